"""Runs what a page shows: its commands and its Python, in order, in one folder.

Calls of `crystext` run in this process, where its imports are paid once; what else a shell
command holds is run by bash.
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from typer.testing import CliRunner

from crystext.cli.main import app
from tests.documents import NEEDS, blocks, calls, statements

MOST = 6
"""Crystals that are sampled or relaxed where a page says more."""

FEWER = {
    r"--n 100 --out run\b": "--n 30 --out run",  # is split for training afterwards
    r"evaluate run --relax \d+": "evaluate run --only validity,novelty,stability --relax 1",
    # Its training set is a quarter of the default one.
    r"evaluate (na-ti-o|run|best)\b": r"evaluate \1 --train mp20_val",
    r"--keep-best \d+ --of \d+": "--keep-best 3 --of 10",
    r"--max-attempts-per-sample \d+ --n \d+": "--max-attempts-per-sample 2 --n 2",
    r"--unit PO4 --n \d+": "--unit PO4 --max-attempts-per-sample 2 --n 2",
    r"relax (novel.extxyz|titanates)": r"relax \1 --n 2 --steps 2",
    r"relax (examples/CsCl.cif)": r"relax \1 --steps 2",
    r"discover (.*) --n \d+ --budget \d+m": r"discover \1 --n 6 --rounds 1 --texts-per-round 4 "
    "--relaxed-per-round 1 --steps 3 --n-atoms 2-8",
    r"(discover --composition.* --rounds 1)": r"\1 --texts-per-round 4 --relaxed-per-round 1",
    r"--n 30000 (.*) --out samples": r"--n 120 \1 --out samples",
    r"train reward-shipped": "train reward-shipped rewards.held_out=10 optim.steps=2 "
    "optim.warmup_steps=1 optim.batch_sequences=8 data.validation_crystals=2 data.store=textbook",
    r"train smoke": "train smoke optim.steps=2",
    r"train finetune-your-own": "train finetune-your-own optim.steps=2 optim.warmup_steps=1 "
    "optim.batch_sequences=4",
}
"""What makes minutes of a command seconds: fewer crystals and fewer steps."""

ELSEWHERE = {
    "python3 -m venv": "makes the environment that runs this test",
    ".venv/bin/pip install": "installs what this test runs; needs a package index",
    ".venv/bin/pytest": "is how this test is run",
    ". .venv/bin/activate": "puts crystext on the path; here it is called in this process",
    "python examples/": "is run by tests/test_examples.py",
}
"""Beginnings of commands that are not run, and why."""

_ENOUGH = ("--n 30 --out run", "--out samples")
"""Endings of commands whose samples are trained on."""

_ALONE = ("sample", "evaluate", "relax", "discover", "prepare", "build")
"""Commands that would start a process on every processor."""

_SHARED = "crystext sample --n 30 --out run"
_SHARED_FILES: dict[str, bytes] = {}
"""The files of the run that several pages start from: it is sampled once, then copied."""


def smaller(command: str) -> str:
    """Return a command that does the same with less."""
    fewer = command
    for pattern, replacement in FEWER.items():
        fewer = re.sub(pattern, replacement, fewer)
    if fewer.endswith(_ENOUGH):
        return fewer
    return re.sub(r"(?<= -n )\d+|(?<=--n )\d+", lambda n: str(min(int(n[0]), MOST)), fewer)


def runnable(text: str) -> Iterator[tuple[str, str]]:
    """Yield language and content of what is run of a page: shell commands one by one."""
    for language, content in blocks(text, "sh", "python"):
        if language == "python":
            yield language, content
            continue
        for statement in statements(content):
            started = statement.split(" && ")
            if not NEEDS.search(statement) and not any(
                command.startswith(tuple(ELSEWHERE)) for command in started
            ):
                yield language, statement


def type_in(command: str, folder: Path) -> None:
    """Run one shell command in a folder, which is the current one."""
    arguments = list(calls(command.partition("\n")[0]))
    if not arguments:
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        subprocess.run(
            ["/bin/bash", "-euc", command],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
        )
        return
    command = smaller(command)
    if command == _SHARED and _SHARED_FILES:
        for name, content in _SHARED_FILES.items():
            (folder / "run").mkdir(exist_ok=True)
            (folder / "run" / name).write_bytes(content)
        return
    output = None
    for call in map(list, calls(command)):
        if set(call) & set(_ALONE) and "--workers" not in call:
            call += ["--workers", "1"]
        ended = CliRunner().invoke(app, call, input=output)
        told = f"crystext {' '.join(call)}\n{ended.output}\n{ended.exception!r}"
        assert ended.exit_code == 0, told
        output = ended.stdout
    if command == _SHARED:
        files = (path for path in (folder / "run").iterdir() if path.is_file())
        _SHARED_FILES.update((path.name, path.read_bytes()) for path in files)


def run_script(script: str, folder: Path) -> None:
    """Run a block of Python as a program in a folder, which is the current one."""
    path = folder / "script.py"
    path.write_text(script, encoding="utf-8")
    runpy.run_path(str(path))
