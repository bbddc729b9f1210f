"""A search of some rounds: what is a candidate, and that neither a kill nor a clock changes one."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crystext import CrystalLM
from crystext.discover.outputs import COLUMNS
from crystext.discover.records import Outcome
from crystext.discover.search import CHECKSUMS, Ending
from crystext.discover.settings import Budget
from crystext.energies.hull_sources import open_hull, save_hull
from crystext.errors import RunError, SettingError
from crystext.io.read import as_crystal
from crystext.structures.matching import DIFFCSP_TOLERANCES, is_same, reduce_for_matching
from tests.conftest import ROOT
from tests.discover.conftest import ROUNDS
from tests.discover.emt_search import OPTIONS, POTENTIAL, open_emt_search


def contents(out: Path) -> dict[str, bytes]:
    """Return all that has to be the same: the rounds, the table and the CIFs."""
    files = [out / "candidates.csv", *(out / "rounds").glob("*"), *out.glob("*/*.cif")]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def test_a_candidate_is_new_unique_converged_and_below_the_limit(done_search):
    candidates = done_search.history.candidates
    assert candidates
    assert done_search.ending is Ending.ROUNDS
    reduced = [reduce_for_matching(x.crystal) for x in candidates]
    matcher = DIFFCSP_TOLERANCES.matcher()
    for i, candidate in enumerate(candidates):
        first = candidate.relaxed.judges[0]
        assert first.converged
        assert first.e_above_hull < done_search.tools.settings.below
        assert set(candidate.crystal.symbols) == {"Cu", "Au"}
        assert 2 <= len(candidate.crystal) <= 5
        assert done_search.tools.known_crystals.match(candidate.crystal) is None
        assert not any(is_same(matcher, reduced[i], other) for other in reduced[:i])


def test_every_text_has_one_outcome_and_its_own_index(done_search):
    history = done_search.history
    assert sorted(history.outcomes) == list(range(4 + 16 * (ROUNDS - 1)))
    relaxed = [row.index for row in history.relaxed]
    assert len(relaxed) == len(set(relaxed))
    assert set(history.waiting) == {
        i for i, outcome in history.outcomes.items() if outcome is Outcome.WAITING
    }


def test_the_table_and_the_files_hold_the_candidates_best_first(done_search):
    out = done_search.out
    with (out / "candidates.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    energies = [float(row["e_above_hull_ev_per_atom"]) for row in rows]
    assert energies == sorted(energies)
    found = {x.name: x.crystal for x in done_search.history.candidates}
    assert {row["name"] for row in rows} == set(found)
    matcher = DIFFCSP_TOLERANCES.matcher()
    for name, crystal in found.items():
        for folder in ("cif", "primitive"):
            read = reduce_for_matching(as_crystal(out / folder / f"{name}.cif"))
            assert is_same(matcher, read, reduce_for_matching(crystal))


def test_a_search_continues_to_the_same_bytes_and_stops_at_its_number_of_candidates(
    done_search, emt_hull, first_round
):
    names = [x.name for x in done_search.history.candidates]
    assert done_search.history.candidates[-1].round == ROUNDS
    again = open_emt_search(emt_hull, first_round)
    assert [x.name for x in again.run(Budget(len(names), None, ROUNDS + 1))] == names
    assert again.ending is Ending.ENOUGH
    assert contents(first_round) == contents(done_search.out)


def test_a_killed_search_continues_to_the_same_bytes(done_search, emt_hull, tmp_path, cli):
    out = tmp_path / "killed"
    limits = ["--hull", emt_hull, "--out", out, "--rounds", ROUNDS]
    command = [sys.executable, "-m", "crystext", "discover", *map(str, (*OPTIONS, *limits))]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 200
    while not (out / "rounds" / "00001.jsonl").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    ended = cli("discover", *OPTIONS, *limits, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    assert contents(out) == contents(done_search.out)
    assert "written to" in ended.stdout


def test_a_search_that_finds_nothing_says_what_was_tried_and_what_to_try(emt_hull, tmp_path, cli):
    limits = ("--below", "0.000001", "--patience", 1, "--rounds", 3, "--texts-per-round", 4)
    ended = cli("discover", *OPTIONS, *limits, "--hull", emt_hull, "--out", tmp_path, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    assert "Tried: 1 text in 1 round" in ended.stdout
    assert "To try:" in ended.stdout
    assert "Stopped after 1 round" in ended.stdout


def test_another_search_is_refused_in_the_folder(done_search, emt_hull):
    with pytest.raises(RunError, match="seed"):
        list(open_emt_search(emt_hull, done_search.out, seed=1).run(Budget(1)))


def test_a_damaged_round_is_refused(emt_hull, first_round):
    (first_round / "rounds" / "00001.jsonl").write_text('{"index": 0, "text": "x"}\n')
    with pytest.raises(RunError, match="rounds after it"):
        list(open_emt_search(emt_hull, first_round).run(Budget(None, None, 2)))


def test_exchanges_are_drawn_and_name_their_origin(done_search):
    texts = done_search.history.texts.values()
    exchanged = [x for x in texts if x.arm.startswith("exchange")]
    assert 0 < len(exchanged) < len(texts)
    for text in texts:
        assert (text.origin is not None) == (text in exchanged)
    origins = [x.origin for x in exchanged]
    assert len(origins) == len(set(origins))


def test_python_yields_the_same_candidates(done_search, emt_hull):
    lm = CrystalLM.open("shipped")
    found = lm.discover(
        rounds=ROUNDS,
        chemical_system="Cu-Au",
        n_atoms="2-5",
        potentials=[POTENTIAL],
        hull=str(emt_hull),
        texts_per_round=16,
        relaxed_per_round=4,
        below=0.3,
        steps=100,
    )
    first = next(found)
    assert first == done_search.history.candidates[0]
    assert first.crystal == done_search.history.candidates[0].crystal


def test_a_check_of_the_user_applies_before_and_after(emt_hull):
    lm = CrystalLM.open("shipped")
    found = lm.discover(
        rounds=1,
        chemical_system="Cu-Au",
        n_atoms="2-5",
        potentials=[POTENTIAL],
        hull=str(emt_hull),
        texts_per_round=8,
        relaxed_per_round=4,
        below=5.0,
        checks=[lambda crystal: "too many atoms" if len(crystal) > 2 else None],
    )
    assert all(len(candidate.crystal) <= 2 for candidate in found)


def test_an_unknown_keyword_names_the_nearest():
    with pytest.raises(SettingError, match="Did you mean 'chemical_system'"):
        CrystalLM.open("shipped").discover(chemical_sytem="Li-O")


def test_a_hull_that_changed_under_its_name_is_refused(emt_hull, first_round, tmp_path):
    other = tmp_path / emt_hull.name
    about = open_hull(emt_hull)
    phases = [*about.references.items(), ("CuAu", -9.0)]
    save_hull(phases, other, name=about.name, date=about.date, potential=about.potential)
    with pytest.raises(RunError, match="hulls_sha256"):
        list(open_emt_search(other, first_round).run(Budget(1)))


def test_a_search_of_version_0_1_without_checksums_goes_on(emt_hull, first_round):
    path = first_round / "settings.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in settings.items() if k not in CHECKSUMS}))
    search = open_emt_search(emt_hull, first_round)
    list(search.run(Budget(None, None, 1)))
    assert search.ending is Ending.ROUNDS
