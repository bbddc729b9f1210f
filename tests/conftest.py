"""What tests share: the data beside the checkout, and the command line as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from crystext.errors import PYTHON_INTERNALS, CrystextError, UserCodeError
from tests.forked import run_forked

ROOT = Path(__file__).parents[1]

# No test may depend on the network; an unknown model name would cost half a minute of retries.
os.environ["HF_HUB_OFFLINE"] = "1"

# Several processes test at once, on as many cores: more threads would only wait for each other, and
# sums that are split over threads round differently.
os.environ["OMP_NUM_THREADS"] = "1"

# A shell that starts the tests in the background has them ignore interrupts, and so would commands
# that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines that test are busy: how long one example takes says nothing. The same examples every
# time, so that a failure is the change's own; `--hypothesis-profile explore` looks for new ones.
settings.register_profile("crystext", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("crystext")

Run = Callable[..., subprocess.CompletedProcess[str]]

_MESSAGES: list[str] = []
"""What the errors say that the running test has provoked, in this process and in commands."""


def _recorded(error: CrystextError, *arguments: object) -> None:
    Exception.__init__(error, *arguments)
    # What a user's own code raises is quoted: its author knows it.
    if not isinstance(error, UserCodeError):
        _MESSAGES.append(str(error))


CrystextError.__init__ = _recorded  # type: ignore[method-assign, assignment]


@pytest.fixture(autouse=True)
def _no_message_shows_python() -> Iterator[None]:
    """Fails a test in which an error of the package speaks of Python."""
    _MESSAGES.clear()
    yield
    for message in _MESSAGES:
        met = PYTHON_INTERNALS.search(message)
        assert met is None, f"{met.group()!r} is a word of the program's internals, in: {message}"


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data sets, which is outside the repository."""
    folder = Path(os.environ.get("CRYSTEXT_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the data sets; no folder {folder} (set CRYSTEXT_DATA)")
    return folder


@pytest.fixture(scope="session")
def cli() -> Run:
    """Runs `crystext ARGUMENTS` in a process of its own.

    It is forked from one that has imported the libraries, see `forked`; with options that libraries
    read when they are imported, such as `env`, it is started.
    """

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        words = list(map(str, arguments))
        if options.keys() <= {"cwd", "input", "timeout"}:
            ended = run_forked(words, **options)  # type: ignore[arg-type]
        else:
            command = [sys.executable, "-m", "crystext", *words]
            settings = {"capture_output": True, "text": True, "timeout": 300, **options}
            ended = subprocess.run(command, check=False, **settings)  # type: ignore[call-overload]
        if isinstance(ended.stderr, str):
            said = ended.stderr.splitlines()
            _MESSAGES.extend(line for line in said if line.startswith("crystext: "))
        return ended  # type: ignore[no-any-return]

    return run


@pytest.fixture(scope="session")
def cli_refuses(cli: Run) -> Callable[..., str]:
    """Runs a command that has to be refused as bad input, and returns the message."""

    def run(*arguments: object, **options: object) -> str:
        ended = cli(*arguments, **options)
        assert ended.returncode == 2, f"exit status {ended.returncode}:\n{ended.stderr}"
        assert "Traceback" not in ended.stderr
        assert ended.stderr.strip()
        return ended.stderr

    return run


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model with random weights."""
    from tests.tiny_model import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")
