"""The `crystext` command: gathers the subcommands and answers for what goes wrong in them.

Exit status: 0 done; 1 the reader of standard output went away; 2 bad input, options, files or
models, with one message on standard error; 130 interrupted. Anything else is a fault of the
program, and shows its traceback.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from typing import Annotated, NoReturn

import typer

from crystext import __version__
from crystext.cli.data import list_, prepare
from crystext.cli.decode import decode
from crystext.cli.encode import encode
from crystext.cli.evaluate import evaluate
from crystext.cli.hull import hull
from crystext.cli.infill import infill
from crystext.cli.listing import ProtocolCommand, RecipeCommand
from crystext.cli.merge import merge
from crystext.cli.pattern import pattern
from crystext.cli.push import push
from crystext.cli.relax import relax
from crystext.cli.sample import sample
from crystext.cli.train import train
from crystext.cli.usage import UsageError, usage_message
from crystext.cli.view import view
from crystext.errors import CrystextError, ReadingWarning

app = typer.Typer(
    name="crystext",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data = typer.Typer(
    help="Prepare data sets for training, and list them.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"crystext {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    """Crystals as text: generate, complete, evaluate and relax them."""


# Summaries fit on a line of 80 characters of `crystext --help`, which cuts longer ones.
app.command(short_help="Write crystals from files as text.")(encode)
app.command(short_help="Read crystals from text, write structure files.")(decode)
data.command(short_help="Write a store of crystals to train on.")(prepare)
data.command("list", short_help="List the public data sets that prepare knows by name.")(list_)
app.add_typer(data, name="data")
app.command(cls=RecipeCommand, short_help="Train or fine-tune a model by a recipe.")(train)
app.command(short_help="Generate crystals with a model.")(sample)
app.command(short_help="Complete or substitute in a given crystal.")(infill)
app.command(cls=ProtocolCommand, short_help="Measure generated crystals by a protocol.")(evaluate)
app.command(short_help="Relax crystals with a machine-learned potential.")(relax)
app.command(short_help="Formation energies and energies above the hull.")(hull)
app.command(short_help="Merge an adapter into its base model.")(merge)
app.command(short_help="Print a regular expression for guided decoding.")(pattern)
app.command(short_help="Upload a model to the Hugging Face Hub.")(push)
app.command(short_help="Draw a picture of crystals.")(view)

_BAD_INPUT, _INTERRUPTED = 2, 130

_REMEDIES = {
    errno.ENOSPC: "free some space, or write elsewhere, and run the command again",
    errno.EDQUOT: "free some space, or write elsewhere, and run the command again",
    errno.EACCES: "choose a place where you may read and write, or change its permissions",
    errno.EPERM: "choose a place where you may read and write, or change its permissions",
    errno.EROFS: "choose a place that can be written",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of the path is a file; check the path",
    errno.EISDIR: "expected a file; check the path",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


def main() -> None:
    """Run the command line on `sys.argv` and exit."""
    _show_reading_warnings()
    try:
        try:
            # Typer returns the status of an exit that a command asks for, and that of an interrupt.
            status = app(prog_name="crystext", standalone_mode=False)
        finally:
            sys.stdout.flush()
        if status == _INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(status if isinstance(status, int) else 0)
    except (KeyboardInterrupt, typer.Abort):
        _exit_with_message("interrupted; run the same command again to go on", _INTERRUPTED)
    except UsageError as error:
        message = usage_message(error)
        typer.echo(message if message.startswith("Usage:") else f"crystext: {message}", err=True)
        sys.exit(_BAD_INPUT)
    except CrystextError as error:
        _exit_with_message(str(error), _BAD_INPUT)
    except BrokenPipeError:
        _discard_stdout()
        sys.exit(1)
    except OSError as error:
        # The system names what it refuses by a number; without one, the error is the program's.
        if error.errno is None:
            raise
        _discard_stdout()
        _exit_with_message(_describe_os_error(error), _BAD_INPUT)


def _show_reading_warnings() -> None:
    """Print what is only probable about a crystal as a note, not as a line of the program."""
    other = warnings.formatwarning

    def format_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        if issubclass(category, ReadingWarning):
            return f"crystext: note: {message}\n"
        return other(message, category, filename, lineno, line)

    warnings.formatwarning = format_warning
    warnings.simplefilter("always", ReadingWarning)


def _describe_os_error(error: OSError) -> str:
    assert error.errno is not None
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    remedy = _REMEDIES.get(error.errno)
    return f"{where}{error.strerror or error}" + (f"; {remedy}" if remedy else "")


def _exit_with_message(message: str, status: int) -> NoReturn:
    typer.echo(f"crystext: {message}", err=True)
    sys.exit(status)


def _discard_stdout() -> None:
    """Send what is still buffered nowhere, or the interpreter would fail on it once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
