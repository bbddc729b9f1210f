"""Runs commands and scripts in processes that share the cost of importing the libraries.

A server imports them once; each process is forked from it, and so has its own modules, working
folder, environment and standard streams, as one that was started by itself. What the server never
does is to calculate anything: a fork would share locks with threads that do not exist in it.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

_IMPORTED = (
    "crystext.cli.main",
    "crystext.lm",
    "crystext.models.load",
    "crystext.models.encoder",
    "crystext.generation.infilling.complete",
    "crystext.inference.generate",
    "crystext.evaluate.run",
    "crystext.training.trainer",
    "crystext.predict.open",
    "crystext.benchmark.run",
    "crystext.energies.relaxation_run",
    "crystext.io.read",
    "crystext.io.write",
    "transformers.models.llama.modeling_llama",
    "matplotlib.pyplot",
    "pandas",
    "pymatgen.core",
    "pymatgen.io.cif",
    "spglib",
    "smact",
    "ase.io",
)
"""What most commands need."""

CONTEXT = get_context("forkserver") if hasattr(os, "fork") else get_context("spawn")
if hasattr(os, "fork"):
    CONTEXT.set_forkserver_preload(list(_IMPORTED))  # type: ignore[attr-defined]
_STREAMS = ("stdin", "stdout", "stderr")


def run_forked(
    arguments: Sequence[str],
    *,
    cwd: str | Path | None = None,
    input: str = "",
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run `crystext ARGUMENTS`, or, if the first argument ends in .py, that script.

    Args:
        arguments: of the command; or the path of a script and its arguments.
        cwd: the folder that it runs in; None is the current one.
        input: its standard input.
        timeout: s.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was killed.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stdin").write_text(input, encoding="utf-8")
        where = Path(cwd or ".").resolve()
        process = CONTEXT.Process(
            target=_run, args=(list(arguments), where, dict(os.environ), folder)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(arguments), timeout)
        stdout, stderr = (
            (folder / stream).read_text(encoding="utf-8", errors="replace")
            for stream in _STREAMS[1:]
        )
        return subprocess.CompletedProcess(list(arguments), process.exitcode, stdout, stderr)


def _run(arguments: list[str], cwd: Path, environment: Mapping[str, str], folder: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, name in enumerate(_STREAMS):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(folder / name, flags), number)
        stream = os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = arguments
    if arguments and arguments[0].endswith(".py"):
        runpy.run_path(arguments[0], run_name="__main__")
        return
    from crystext.cli.main import main

    sys.argv = ["crystext", *arguments]
    main()
