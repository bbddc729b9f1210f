"""Measure `crystext discover`: time to the first candidate, other systems, kills, efficiency.

    python -m evaluation.measure.discover --work /tmp/discover --kills 10 \
        --out evaluation/results/YYYY-MM-DD_weights-DIGEST7/discover.json

- `first`: `crystext discover --chemical-system Li-P-O --n 10 --budget 10m`; when the first
  candidate was in `candidates.csv`, and whether the report is complete.
- `systems`: a search of each of `SYSTEMS` for 5 candidates, for `--minutes` at most; new candidates
  below the limit, by the first judge and by all.
- `kills`: a search of some rounds is killed at random moments and continued; whether rounds,
  candidates and CIFs have the same bytes as one that was left alone.
- `efficiency`: candidates per CPU hour of a search for `--efficiency-minutes`, and of sampling and
  relaxing everything with the same limits until the same CPU time is spent; both in this run, on
  the same systems. The CPU time of the search includes its start, its second judge and its report;
  that of the other has none of these.

What is measured is kept in the folder of `--work`: the same command continues after an
interruption, with the same parts or more.

The exit status is 1 where the first candidate took more than two minutes, fewer than eight of the
other systems have candidates, a byte differs, or the search is less than three times as efficient.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from crystext.conditions import Conditions
from crystext.discover.known_crystals import CrystalMatcher, KnownCrystals
from crystext.energies.judges import judge_crystals, open_judges
from crystext.energies.relax import RelaxationLimits
from crystext.lm import CrystalLM
from crystext.runtime.files import write_json
from evaluation.result_file import Report, rounded, write_result

FIRST = "Li-P-O"

SYSTEMS = (
    *("Na-Cl", "Mg-Si", "Zn-S", "Sr-Ti-O", "K-Ni-F", "Ca-Al-Si", "Li-Fe-O"),
    *("Na-V-P-O", "Cs-Pb-Br-Cl", "Ba-Y-Cu-O"),
)
"""Ten systems of two to four elements."""

EFFICIENCY_SYSTEMS = ("Li-P-O", "Sr-Ti-O", "K-Ni-F", "Ca-Al-Si", "Mg-Si")

MAX_FIRST_S = 120
MIN_SYSTEMS = 8
MIN_RATIO = 3.0

_BELOW = 0.1
_RELAXED_AT_ONCE, _STEPS = 12, 300


def measure(work: Path, asked: argparse.Namespace) -> Report:
    """Measure the parts that are asked for; those in the folder are taken from it."""
    work.mkdir(parents=True, exist_ok=True)
    measures: dict[str, Callable[[], Report]] = {
        "first": lambda: first_candidate(work / "first", FIRST, 10, 10),
        "systems": lambda: {
            system: kept(
                work / f"{system}.json",
                lambda system=system: first_candidate(work / system, system, asked.minutes, 5),
            )
            for system in SYSTEMS
        },
        "kills": lambda: measure_kills(work, asked.kills),
        "efficiency": lambda: measure_efficiency(work, asked.efficiency_minutes),
    }
    limits = {"minutes": asked.minutes, "efficiency_minutes": asked.efficiency_minutes}
    return limits | {
        name: kept(work / f"{name}.json", measures[name])
        for name in measures
        if name in asked.parts
    }


def kept(path: Path, measured: Callable[[], Report]) -> Report:
    """Return what a file has; measure and write it if there is none."""
    if not path.is_file():
        write_json(path, measured())
    report: Report = json.loads(path.read_text(encoding="utf-8"))
    return report


def misses(report: Report) -> bool:
    """Return whether a figure misses what it has to reach."""
    first, systems = report.get("first"), report.get("systems")
    kills, efficiency = report.get("kills"), report.get("efficiency")
    return bool(
        (first and not (first["first_candidate_s"] or MAX_FIRST_S + 1) <= MAX_FIRST_S)
        or (systems and sum(x["by_all_judges"] > 0 for x in systems.values()) < MIN_SYSTEMS)
        or (kills and kills["differing"])
        or (efficiency and (efficiency["ratio"] or 0) < MIN_RATIO)
    )


def command(system: str, out: Path, *limits: object) -> list[str]:
    """Return the command of a search."""
    words = ("discover", "--chemical-system", system, "--out", out, *limits)
    return [sys.executable, "-m", "crystext", *map(str, words)]


def first_candidate(out: Path, system: str, minutes: float, n: int) -> Report:
    """Run a search; return when its first candidate was on disk, and what it found."""
    shutil.rmtree(out, ignore_errors=True)
    started = time.monotonic()
    process = subprocess.Popen(command(system, out, "--n", n, "--budget", f"{minutes:g}m"))
    first = None
    while process.poll() is None:
        if first is None and read_table(out):
            first = time.monotonic() - started
        time.sleep(0.2)
    rows = read_table(out)
    summary = json.loads((out / "search.json").read_text(encoding="utf-8"))
    return {
        "exit_status": process.returncode,
        "judges": [judge["name"] for judge in summary["judges"]],
        "first_candidate_s": rounded(first, 1),
        "seconds": round(time.monotonic() - started, 1),
        "candidates": len(rows),
        "by_all_judges": sum(agree(row) for row in rows),
        "novelty": dict(Counter(row["novelty"] for row in rows)),
        "report": (out / "report.html").is_file(),
        "ending": summary["ending"],
        "rounds": summary["rounds"],
        "texts": summary["funnel"][0]["count"],
    }


def agree(row: Mapping[str, str]) -> bool:
    """Return whether all judges that have an answer find a candidate below the limit."""
    below, answers = row["judges_below"].split(" of ")
    return below == answers


def read_table(out: Path) -> list[dict[str, str]]:
    """Return the rows of `candidates.csv`; empty without one."""
    path = out / "candidates.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measure_kills(work: Path, kills: int, rounds: int = 3) -> Report:
    """Kill a search at random moments, each time continuing it; compare it with one left alone."""
    limits = ("--n-atoms", "2-8", "--texts-per-round", 40, "--relaxed-per-round", 4)
    limits = (*limits, "--rounds", rounds)
    alone, killed = work / "alone", work / "killed"
    for folder in (alone, killed):
        shutil.rmtree(folder, ignore_errors=True)
    started = time.monotonic()
    subprocess.run(command(FIRST, alone, *limits), check=True)
    seconds = time.monotonic() - started
    moments = random.Random(0)  # noqa: S311  # not a secret
    done = 0
    for _ in range(kills):
        process = subprocess.Popen(command(FIRST, killed, *limits))
        try:
            process.wait(moments.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
    subprocess.run(command(FIRST, killed, *limits), check=True)
    expected, actual = contents(alone), contents(killed)
    names = expected.keys() | actual.keys()
    return {
        "killed": done,
        "files": len(expected),
        "differing": sorted(name for name in names if expected.get(name) != actual.get(name)),
    }


def contents(out: Path) -> dict[str, bytes]:
    """Return the files of a search that have to be the same, by their names."""
    paths = [out / "candidates.csv", *(out / "rounds").glob("*"), *out.glob("*/*.cif")]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def measure_efficiency(work: Path, minutes: float) -> Report:
    """Compare candidates per CPU hour with sampling and relaxing everything."""
    systems = {
        system: kept(
            work / f"efficiency-{system}.json",
            lambda system=system: compare_efficiency(work, system, minutes),
        )
        for system in EFFICIENCY_SYSTEMS
    }
    hours = sum(row["cpu_s"] for row in systems.values()) / 3600
    search = sum(row["search"] for row in systems.values()) / hours
    everything = sum(row["everything"]["candidates"] for row in systems.values()) / hours
    return {
        "systems": systems,
        "search_per_cpu_hour": rounded(search, 1),
        "everything_per_cpu_hour": rounded(everything, 1),
        "ratio": rounded(search / everything if everything else None, 2),
    }


def compare_efficiency(work: Path, system: str, minutes: float) -> Report:
    """Return the candidates of a search, and of relaxing everything in the same CPU time."""
    out = work / f"efficiency-{system}"
    shutil.rmtree(out, ignore_errors=True)
    before = _children_cpu()
    limits = ("--budget", f"{minutes:g}m", "--workers", 1, "--patience", 1000)
    subprocess.run(command(system, out, *limits), check=True)
    seconds = _children_cpu() - before
    rows = read_table(out)
    return {
        "cpu_s": round(seconds, 1),
        "search": len(rows),
        "search_by_all_judges": sum(agree(row) for row in rows),
        "search_novelty": dict(Counter(row["novelty"] for row in rows)),
        "everything": relax_everything(system, seconds),
    }


def relax_everything(system: str, seconds: float) -> Report:
    """Return the candidates of sampling and relaxing each crystal, in so much CPU time."""
    started = time.process_time()
    conditions = Conditions.from_keywords(chemical_system=system)
    samples = CrystalLM.load().iter_samples(100_000, seed=1, **conditions.requested())
    (judge,), known, matcher = open_judges(["auto"])[:1], KnownCrystals(), CrystalMatcher()
    limits = RelaxationLimits(steps=_STEPS, seconds=3600.0)
    count, relaxed = 0, 0
    while time.process_time() - started < seconds:
        drawn = [next(samples).crystal for _ in range(_RELAXED_AT_ONCE)]
        crystals = {i: crystal for i, crystal in enumerate(drawn) if crystal is not None}
        relaxed += len(crystals)
        # One worker is this process, whose time is counted.
        for result in judge_crystals(judge, crystals, limits, workers=1).values():
            crystal, above = result.relaxation.crystal, result.above_hull
            if crystal is None or above is None or above >= _BELOW or not result.converged:
                continue
            if matcher.find(crystal) is None and known.match(crystal) is None:
                matcher.add("", crystal)
                count += 1
    return {"candidates": count, "relaxed": relaxed}


def _children_cpu() -> float:
    """Return the CPU time of all ended child processes, in seconds."""
    times = os.times()
    return times.children_user + times.children_system


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = ("first", "systems", "kills", "efficiency")
    parser.add_argument("--work", type=Path, required=True, help="new folder for the searches")
    parser.add_argument("--minutes", type=float, default=4, help="budget of each system")
    parser.add_argument(
        "--efficiency-minutes", type=float, default=2, help="budget of each search of efficiency"
    )
    parser.add_argument("--kills", type=int, default=10, help="number of kills")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="what to measure")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    asked = parser.parse_args(arguments)
    return write_result(
        asked.out,
        lambda: measure(asked.work, asked),
        script=__file__,
        arguments=arguments,
        packages=("ase", "chgnet", "matgl", "torch"),
        model="shipped",
        misses=misses,
    )


if __name__ == "__main__":
    sys.exit(main())
