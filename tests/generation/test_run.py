from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from crystext.conditions import Conditions
from crystext.errors import ModelError, RunError, SettingError
from crystext.generation.run import read_attempts, run_sampling
from crystext.generation.sampling_run import SamplingRun
from crystext.inference.types import SamplingSettings
from crystext.text import decode

SETTINGS = SamplingSettings(seed=11)
N, BATCH = 40, 8
OPTIONS = ("--n", N, "--seed", 11, "--max-atoms", 3, "--batch-size", BATCH)

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def campaign(tiny_model: Path) -> SamplingRun:
    return SamplingRun(N, str(tiny_model), SETTINGS, max_atoms=3, batch_size=BATCH)


@pytest.fixture(scope="module")
def whole(campaign: SamplingRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted, by one process."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run_sampling(campaign, out, workers=1) == N
    return out


@pytest.fixture(scope="module")
def expected(whole: Path) -> bytes:
    return (whole / "attempts.jsonl").read_bytes()


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of the whole run, to be harmed."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


@pytest.fixture
def start(tiny_model: Path) -> Iterator[Start]:
    """Starts `crystext sample` as a group of processes, of which none is left behind."""
    started: list[subprocess.Popen[str]] = []

    def run(out: Path, *options: object, **settings: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "crystext", "sample", "--out", out, "--model", tiny_model]
        process = subprocess.Popen(
            [str(part) for part in (*command, *options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **settings,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until(true: Callable[[], object], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def group_members(group: int) -> list[int]:
    """Return the live processes of a process group, zombies left out (Linux)."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[2]) == group:
            members.append(int(stat.parent.name))
    return members


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_run_holds_every_attempt_in_order(whole: Path, tiny_model: Path) -> None:
    attempts = list(read_attempts(whole))
    assert [attempt["index"] for attempt in attempts] == list(range(N))
    for attempt in attempts:
        assert attempt["failure"] is None
        assert decode(attempt["text"]).crystal is not None
        assert attempt["prompt"] == json.loads((whole / "settings.json").read_text())["prompt"]


def test_a_run_records_settings_model_and_versions(whole: Path, tiny_model: Path) -> None:
    settings = json.loads((whole / "settings.json").read_text())
    assert settings["model"] == str(tiny_model)
    assert len(settings["model_sha256"]) == 64
    assert settings["seed"] == 11
    assert settings["batch_size"] == BATCH
    (note,) = map(json.loads, (whole / "starts.jsonl").read_text().splitlines())
    assert note["n"] == N
    assert {"crystext", "commit", "machine", "python"} <= note.keys()
    assert {"torch", "transformers", "numpy"} <= note["versions"].keys()


def test_two_workers_write_the_bytes_of_one(
    campaign: SamplingRun, expected: bytes, tmp_path: Path
) -> None:
    run_sampling(campaign, tmp_path / "run", workers=2)
    assert (tmp_path / "run" / "attempts.jsonl").read_bytes() == expected


def test_a_run_that_is_extended_has_the_bytes_of_one_that_was_drawn_at_once(
    campaign: SamplingRun, expected: bytes, tmp_path: Path
) -> None:
    short = N - BATCH - 3
    assert run_sampling(replace(campaign, n=short), tmp_path / "run") == short
    assert sum(1 for _ in read_attempts(tmp_path / "run")) == short
    assert run_sampling(campaign, tmp_path / "run") == N
    assert (tmp_path / "run" / "attempts.jsonl").read_bytes() == expected


def test_a_run_that_is_done_is_left_alone(campaign: SamplingRun, run: Path) -> None:
    before = contents(run)
    assert run_sampling(campaign, run) == N
    assert run_sampling(replace(campaign, n=3), run) == N
    assert contents(run) == before


@pytest.mark.parametrize("place", ["in a line", "between batches", "before the first end"])
def test_a_file_cut_anywhere_is_completed_to_the_same_bytes(
    campaign: SamplingRun, run: Path, expected: bytes, place: str
) -> None:
    ends = [i + 1 for i, byte in enumerate(expected) if byte == ord("\n")]
    cut = {
        "in a line": ends[BATCH + 2] + 57,
        "between batches": ends[2 * BATCH - 1],
        "before the first end": ends[0] - 1,
    }[place]
    os.truncate(run / "attempts.jsonl", cut)
    assert sum(1 for _ in read_attempts(run)) == sum(end <= cut for end in ends)
    reports: list[tuple[int, int]] = []
    run_sampling(campaign, run, report=lambda done, crystals: reports.append((done, crystals)))
    assert (run / "attempts.jsonl").read_bytes() == expected
    assert reports[0][0] == sum(end <= cut for end in ends)
    assert reports[-1] == (N, N)


def kill_after(process: subprocess.Popen[str], path: Path, seconds: float) -> None:
    """Kill a command soon after it has appended to a file."""
    before = size(path)
    wait_until(lambda: size(path) > before or process.poll() is not None)
    time.sleep(seconds)
    process.kill()
    process.wait()


def test_kills_at_any_moment_change_no_byte(start: Start, expected: bytes, tmp_path: Path) -> None:
    out, moments = tmp_path / "run", np.random.default_rng(0)
    # While the model is being loaded.
    process = start(out, *OPTIONS, "--workers", 1)
    wait_until((out / "lock").exists)
    time.sleep(moments.uniform(0, 1))
    process.kill()
    process.wait()
    assert not (out / "attempts.jsonl").exists()
    for workers in (2, 1, 2):
        process = start(out, *OPTIONS, "--workers", workers)
        kill_after(process, out / "attempts.jsonl", moments.uniform(0, 0.03))
        assert expected.startswith((out / "attempts.jsonl").read_bytes())
    assert start(out, *OPTIONS, "--workers", 1).wait(timeout=300) == 0
    assert (out / "attempts.jsonl").read_bytes() == expected


def test_no_process_outlives_a_killed_command(start: Start, tmp_path: Path) -> None:
    process = start(tmp_path / "run", "--n", 10**6, *OPTIONS[2:], "--workers", 2)
    wait_until(lambda: size(tmp_path / "run" / "attempts.jsonl"))
    assert len(group_members(process.pid)) >= 3
    process.kill()
    process.wait()
    wait_until(lambda: not group_members(process.pid), seconds=30)


def test_a_second_command_on_a_run_is_refused_while_the_first_goes_on(
    start: Start, campaign: SamplingRun, tmp_path: Path
) -> None:
    process = start(tmp_path / "run", "--n", 10**6, *OPTIONS[2:], "--workers", 1)
    wait_until(lambda: size(tmp_path / "run" / "attempts.jsonl"))
    with pytest.raises(RunError, match="another process is writing"):
        run_sampling(campaign, tmp_path / "run")
    assert process.poll() is None
    process.send_signal(signal.SIGSTOP)
    assert all(attempt["failure"] is None for attempt in read_attempts(tmp_path / "run"))
    process.send_signal(signal.SIGCONT)


def test_an_interrupt_ends_all_processes_with_one_message(start: Start, tmp_path: Path) -> None:
    process = start(tmp_path / "run", "--n", 10**6, *OPTIONS[2:], "--workers", 2)
    wait_until(lambda: size(tmp_path / "run" / "attempts.jsonl"))
    os.killpg(process.pid, signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert message.splitlines()[-1].startswith("crystext: interrupted")
    assert "Traceback" not in message
    wait_until(lambda: not group_members(process.pid), seconds=30)


def test_a_killed_worker_is_told_and_what_was_drawn_is_kept(
    start: Start, campaign: SamplingRun, expected: bytes, tmp_path: Path
) -> None:
    process = start(tmp_path / "run", "--n", 10**6, *OPTIONS[2:], "--workers", 2)
    wait_until(lambda: size(tmp_path / "run" / "attempts.jsonl"))
    for member in group_members(process.pid):
        command = Path(f"/proc/{member}/cmdline").read_bytes()
        if b"spawn_main" in command:
            os.kill(member, signal.SIGKILL)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "exit code -9" in message
    assert "Traceback" not in message
    kept = (tmp_path / "run" / "attempts.jsonl").read_bytes()
    assert kept[: len(expected)] == expected[: len(kept)]


@pytest.fixture(scope="module")
def table(tiny_model: Path) -> SamplingRun:
    """Several requests, drawn again until they match."""
    rows = (
        Conditions.from_keywords(composition="NaCl", density=3),
        Conditions(),
        Conditions.from_keywords(chemical_system="Li-O", neutral=True, space_group="Pm-3m"),
    )
    model = str(tiny_model)
    return SamplingRun(
        5, model, SETTINGS, rows, max_atoms=3, batch_size=3, max_attempts_per_sample=2
    )


def test_a_campaign_of_many_requests_is_cut_and_completed_to_the_same_bytes(
    table: SamplingRun, tmp_path: Path
) -> None:
    path = tmp_path / "run" / "attempts.jsonl"
    assert run_sampling(table, tmp_path / "run", workers=2) == table.total == 15
    drawn = path.read_bytes()
    attempts = list(read_attempts(tmp_path / "run"))
    assert [attempt["index"] for attempt in attempts] == list(range(15))
    for place, conditions in enumerate(table.conditions):
        for attempt in attempts[5 * place : 5 * place + 5]:
            asked = {record["name"]: record["requested"] for record in attempt["conditions"]}
            assert asked == conditions.requested()
            assert all(
                line in attempt["prompt"] for line in conditions.prompt_properties().values()
            )
            assert attempt["satisfied"] or attempt["attempts"] == 2
    salt = [decode(attempt["text"]).crystal for attempt in attempts[:5]]
    assert {tuple(x.symbols) for x in salt if x is not None} == {("Na", "Cl")}
    os.truncate(path, drawn.index(b'{"index": 7') + 40)
    run_sampling(table, tmp_path / "run")
    assert path.read_bytes() == drawn
    before = contents(tmp_path / "run")
    with pytest.raises(RunError, match=r"conditions \(--conditions\): .* here"):
        run_sampling(replace(table, conditions=table.conditions[:2]), tmp_path / "run")
    with pytest.raises(RunError, match=r"n \(--n\): 5 there, 6 here"):
        run_sampling(replace(table, n=6), tmp_path / "run")
    assert contents(tmp_path / "run") == before


def changed(campaign: SamplingRun, **changes: Any) -> SamplingRun:
    settings = {key: changes.pop(key) for key in [*changes] if hasattr(campaign.settings, key)}
    own = {key: changes.pop(key) for key in [*changes] if hasattr(campaign, key)}
    conditions = (Conditions.from_keywords(**changes),) if changes else campaign.conditions
    return replace(
        campaign, settings=replace(campaign.settings, **settings), conditions=conditions, **own
    )


def test_elements_cannot_be_excluded_without_constraints(
    campaign: SamplingRun, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match="without constraints"):
        run_sampling(changed(campaign, exclude="U", constrained=False), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 12}, "seed (--seed): 11 there, 12 here"),
        ({"temperature": 0.7}, "temperature (--temperature): 1.0 there, 0.7 here"),
        ({"top_p": 0.9}, "top_p (--top-p): 1.0 there, 0.9 here"),
        ({"max_atoms": 5}, "max_atoms (--max-atoms): 3 there, 5 here"),
        (
            {"min_distance_ratio": 0.0},
            "min_distance_ratio (--min-distance-ratio): 0.65 there, 0.0 here",
        ),
        ({"exclude": "U"}, "exclude (--exclude): not given there, 'U' here"),
        ({"composition": "NaCl"}, "composition (--composition): not given there, 'NaCl' here"),
        ({"space_group": "Fm-3m"}, "space_group (--space-group): not given there, 225 here"),
        (
            {"max_attempts_per_sample": 2, "n_atoms": "1-3"},
            "max_attempts_per_sample (--max-attempts-per-sample): 1 there, 2 here",
        ),
        (
            {"guidance": 2.0, "composition": "NaCl"},
            "guidance (--guidance): 1.0 there, 2.0 here",
        ),
        ({"constrained": False}, "constrained (--constrained): True there, False here"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_other_settings_are_refused_by_name_and_nothing_is_changed(
    campaign: SamplingRun, run: Path, changes: dict[str, Any], message: str
) -> None:
    before = contents(run)
    with pytest.raises(RunError) as refusal:
        run_sampling(changed(campaign, **changes), run)
    assert f"\n  {message}\n" in str(refusal.value)
    assert contents(run) == before


def test_every_difference_is_named_at_once(campaign: SamplingRun, run: Path) -> None:
    other = replace(changed(campaign, seed=1, top_p=0.5), batch_size=9)
    with pytest.raises(RunError) as refusal:
        run_sampling(other, run)
    names = [line.split(":")[0].strip() for line in str(refusal.value).splitlines()[1:-1]]
    assert sorted(names) == ["batch_size (--batch-size)", "seed (--seed)", "top_p (--top-p)"]


def test_another_model_is_refused_and_the_same_in_another_place_is_not(
    campaign: SamplingRun, run: Path, tiny_model: Path, tmp_path: Path
) -> None:
    twin = Path(shutil.copytree(tiny_model, tmp_path / "twin"))
    assert run_sampling(replace(campaign, model=str(twin)), run) == N
    prompt = twin / "prompts" / "generate.txt"
    prompt.write_text(prompt.read_text() + "\n")
    with pytest.raises(RunError, match="model_sha256"):
        run_sampling(replace(campaign, model=str(twin)), run)


@pytest.mark.parametrize("name", ["notes.txt", "attempts.jsonl", ".hidden"])
def test_a_folder_with_other_files_is_refused(
    campaign: SamplingRun, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(RunError, match=f"{name}.*not a run of crystext sample"):
        run_sampling(campaign, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("content", ["{}", "[]", "not json", "\xff", '{"seed": 11}'])
def test_the_settings_of_something_else_are_refused(
    campaign: SamplingRun, tmp_path: Path, content: str
) -> None:
    (tmp_path / "settings.json").write_text(content, encoding="latin-1")
    before = contents(tmp_path)
    with pytest.raises(RunError, match=r"damaged|other settings"):
        run_sampling(campaign, tmp_path)
    assert contents(tmp_path) == before


def test_a_kill_while_the_settings_were_written_does_no_harm(
    campaign: SamplingRun, tmp_path: Path
) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "settings.json.partial").write_text('{"mod')
    with FileLock(tmp_path / "lock"), pytest.raises(RunError, match="another process"):
        run_sampling(campaign, tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        b"not json\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"7\n",
        b"\n",
        b'{"index": 4}\n',
        b'{"index": 4, "text": 5, "failure": null}\n',
        b'{"index": "4", "text": "x", "failure": null}\n',
        b"[" * 100_000 + b"\n",
    ],
    ids=range(9),
)
def test_a_damaged_line_is_refused_by_its_number(
    campaign: SamplingRun, run: Path, damage: bytes
) -> None:
    path = run / "attempts.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], damage, *lines[5:]]))
    before = contents(run)
    with pytest.raises(RunError, match="line 5 is damaged"):
        run_sampling(campaign, run)
    with pytest.raises(RunError, match="line 5 is damaged"):
        list(read_attempts(run))
    assert contents(run) == before


@pytest.mark.parametrize("change", ["twice", "left out", "swapped"])
def test_attempts_out_of_order_are_refused(campaign: SamplingRun, run: Path, change: str) -> None:
    path = run / "attempts.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    third = {"twice": [lines[2]] * 2, "left out": [], "swapped": [lines[3], lines[2]]}[change]
    path.write_bytes(b"".join([*lines[:2], *third, *lines[4:]]))
    with pytest.raises(RunError, match=r"line [34] is not sample [23]"):
        run_sampling(campaign, run)


def test_a_file_in_the_place_of_the_folder_is_refused(
    campaign: SamplingRun, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="is a file"):
        run_sampling(campaign, tmp_path / "file")
    with pytest.raises(RunError, match="cannot be written"):
        run_sampling(campaign, tmp_path / "file" / "inner")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_model_that_cannot_be_loaded_claims_no_folder(
    campaign: SamplingRun, tiny_model: Path, tmp_path: Path, expected: bytes
) -> None:
    broken = Path(shutil.copytree(tiny_model, tmp_path / "broken"))
    os.truncate(broken / "model.safetensors", 1000)
    with pytest.raises(ModelError, match="cannot be loaded"):
        run_sampling(replace(campaign, model=str(broken)), tmp_path / "run")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["lock"]
    run_sampling(campaign, tmp_path / "run")
    assert (tmp_path / "run" / "attempts.jsonl").read_bytes() == expected


def test_no_run_is_no_attempts(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        next(read_attempts(tmp_path))


@pytest.mark.parametrize(("n", "batch_size"), [(0, 1), (-3, 1), (1, 0)])
def test_numbers_below_one_are_refused(n: int, batch_size: int) -> None:
    with pytest.raises(SettingError, match="expected 1 or more"):
        SamplingRun(n, "shipped", SETTINGS, batch_size=batch_size)


def test_no_workers_are_refused(campaign: SamplingRun, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="0 workers"):
        run_sampling(campaign, tmp_path / "run", workers=0)


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))


def test_a_disk_that_fills_up_keeps_what_was_drawn(
    start: Start, expected: bytes, tmp_path: Path
) -> None:
    """A limit on the size of files refuses a write in the middle, as a full disk does."""
    out = tmp_path / "run"
    process = start(out, *OPTIONS, "--workers", 1, preexec_fn=small_files)
    _, message = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "cannot be written: File too large" in message
    assert "what was written so far is kept: free some space" in message
    assert "Traceback" not in message
    kept = (out / "attempts.jsonl").read_bytes()
    assert expected.startswith(kept)
    assert len(kept) > 2000
    assert start(out, *OPTIONS, "--workers", 1).wait(timeout=300) == 0
    assert (out / "attempts.jsonl").read_bytes() == expected


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system, which takes the rights of root."""
    place = tmp_path / "mounted"
    place.mkdir()
    mounted: list[Path] = []
    mount, unmount = shutil.which("mount"), shutil.which("umount")

    def run(options: str) -> Path:
        command = [str(mount), "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if not (mount and unmount) or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no file system can be mounted here")
        mounted.append(place)
        return place

    yield run
    for path in mounted:
        subprocess.run([str(unmount), str(path)], check=True)


def test_a_full_file_system_keeps_what_was_drawn(
    start: Start, mount: Callable[[str], Path], expected: bytes
) -> None:
    place = mount("size=16k")
    process = start(place / "run", *OPTIONS, "--workers", 1)
    _, message = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "No space left on device" in message
    assert "what was written so far is kept: free some space" in message
    assert expected.startswith((place / "run" / "attempts.jsonl").read_bytes())


def test_a_place_that_cannot_be_written_is_refused_before_drawing(
    campaign: SamplingRun, mount: Callable[[str], Path]
) -> None:
    place = mount("ro")
    with pytest.raises(RunError, match="cannot be written: Read-only file system"):
        run_sampling(campaign, place / "run")
