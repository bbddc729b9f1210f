from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crystext import __version__
from crystext.runtime.shipped_files import shipped_path

Run = Callable[..., subprocess.CompletedProcess[str]]

COMMANDS = (
    "encode",
    "decode",
    "data",
    "corpus",
    "train",
    "sample",
    "relax",
    "hull",
    "export",
    "merge",
    "push",
    "view",
)


def run_with_command(body: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the real entry point, to which one more command, `extra`, was added."""
    script = (
        "import errno, os, sys\nfrom crystext.cli import main as cli\n"
        f"@cli.app.command()\ndef extra():\n    {body}\n"
        "cli.main()"
    )
    settings = {"capture_output": True, "text": True, "timeout": 300, **options}
    return subprocess.run(
        [sys.executable, "-c", script, "extra"],
        check=False,
        **settings,  # type: ignore[call-overload]
    )


def test_help_names_every_command(cli: Run) -> None:
    ended = cli("--help")
    assert ended.returncode == 0
    assert [c for c in COMMANDS if f"\n  {c} " not in ended.stdout] == []


@pytest.mark.parametrize("command", [*COMMANDS, "data prepare", "data list", "corpus build"])
def test_every_command_has_help(cli: Run, command: str) -> None:
    ended = cli(*command.split(), "--help")
    assert ended.returncode == 0
    assert f"crystext {command}" in ended.stdout


def test_the_version_is_the_package_s(cli: Run) -> None:
    assert cli("--version").stdout == f"crystext {__version__}\n"


@pytest.mark.parametrize(("typo", "meant"), [("sampel", "sample"), ("encod", "encode")])
def test_a_misspelt_command_gets_a_suggestion(
    cli_refuses: Callable[..., str], typo: str, meant: str
) -> None:
    assert f"Did you mean '{meant}'" in cli_refuses(typo)


def test_a_misspelt_option_gets_a_suggestion(cli_refuses: Callable[..., str]) -> None:
    assert "--version" in cli_refuses("--versoin")


def test_an_option_that_is_no_number_is_refused(cli_refuses: Callable[..., str]) -> None:
    assert "--n" in cli_refuses("sample", "--n", "ten")


def test_a_fault_of_the_program_shows_its_traceback() -> None:
    ended = run_with_command("return [][0]")
    assert ended.returncode == 1
    assert "IndexError" in ended.stderr
    assert "Traceback" in ended.stderr


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_what_the_system_refuses_is_told_with_the_path(code: int) -> None:
    ended = run_with_command(f"raise OSError({code}, os.strerror({code}), 'some/file')")
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"crystext: some/file: {os.strerror(code)}")
    assert ended.stderr.count("\n") == 1


def test_a_missing_file_is_told_with_its_path(tmp_path: Path) -> None:
    ended = run_with_command(f"open({str(tmp_path / 'absent')!r})")
    assert ended.returncode == 2
    assert str(tmp_path / "absent") in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("size", [1, 100_000], ids=["buffered", "unbuffered"])
def test_a_full_disk_behind_standard_output_is_told_once(size: int) -> None:
    with Path("/dev/full").open("w") as full:
        ended = run_with_command(
            f"sys.stdout.write('x' * {size})", stdout=full, stderr=-1, capture_output=False
        )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"crystext: {os.strerror(errno.ENOSPC)}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("size", [1, 1_000_000], ids=["buffered", "unbuffered"])
def test_a_reader_that_goes_away_ends_the_command_without_a_word(size: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = run_with_command(
        f"sys.stdout.write('x' * {size})", stdout=writer, stderr=-1, capture_output=False
    )
    os.close(writer)
    assert ended.returncode == 1
    assert ended.stderr == ""


def test_an_interrupt_ends_with_a_word_and_status_130(tmp_path: Path) -> None:
    started = tmp_path / "started"
    script = (
        # Whoever runs the tests in the background may have them ignore interrupts.
        "import pathlib, signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from crystext.cli import main as cli\n@cli.app.command()\n"
        f"def extra():\n    pathlib.Path({str(started)!r}).touch(); time.sleep(300)\ncli.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "extra"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=300)
    assert process.returncode == 130
    assert message == "crystext: interrupted; run the same command again to resume\n"


@pytest.mark.parametrize("command", ["", "sample", "data", "data list"])
def test_h_is_help(cli: Run, command: str) -> None:
    short, long = cli(*command.split(), "-h"), cli(*command.split(), "--help")
    assert short.returncode == 0
    assert short.stdout == long.stdout


@pytest.mark.parametrize("command", ["", "data"])
def test_no_summary_of_a_command_is_cut(cli: Run, command: str) -> None:
    listed = cli(*command.split(), "--help", env={**os.environ, "COLUMNS": "80"}).stdout
    lines = listed.partition("Commands:\n")[2].splitlines()
    assert len(lines) >= 2
    assert not any("..." in line for line in lines)
    assert all(line.endswith(".") and len(line) <= 80 for line in lines)


@pytest.mark.parametrize(
    ("command", "folder"), [("train", ["recipes"]), ("evaluate", ["evaluation", "protocols"])]
)
def test_help_lists_what_comes_with_the_package(cli: Run, command: str, folder: list[str]) -> None:
    listed = cli(command, "--help").stdout
    names = [path.stem for path in shipped_path(*folder).glob("*.yaml")]
    assert len(names) >= 4
    assert [name for name in names if not re.search(rf"\n  {name} +\S", listed)] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("sample --keep vaild", "--keep: 'vaild' is not one of .* Did you mean 'valid'"),
        ("sample --until satisfy", "Did you mean 'satisfied'"),
        ("sample --temperature hot", "--temperature: expected a number"),
        ("sample --n ten", "--n: expected a whole number"),
        ("sample --workers 1.5", "--workers: expected a whole number"),
        ("sample extra", "there is no place for 'extra'"),
        ("view x.cif --n 0", "--n: expected 1 or more"),
        ("merge folder", "--out is missing"),
        ("encode", "source is missing"),
    ],
)
def test_a_command_that_is_mistyped_gets_one_message_in_plain_words(
    cli_refuses: Callable[..., str], arguments: str, told: str
) -> None:
    message = cli_refuses(*arguments.split())
    assert re.match(rf"crystext: .*{told}", message), message
    assert message.count("\n") == 1
    assert not re.search(r"Value error|Input should be|Invalid value|parse string", message)
