"""The `crystext` command: gathers the subcommands and reports their errors.

Exit status: 0 done; 1 the reader of standard output went away; 2 bad input, options, files or
models, with one message on standard error; 130 interrupted. Anything else is a bug and shows its
traceback.
"""

from __future__ import annotations

import errno
import inspect
import os
import re
import sys
import warnings
from typing import Annotated, NoReturn

import typer

from crystext import __version__
from crystext.cli.command import Command
from crystext.cli.commands import COMMANDS
from crystext.cli.renamed import with_new_names
from crystext.cli.usage_errors import UsageError, usage_message
from crystext.errors import CrystextError, ReadingWarning, UserCodeError
from crystext.runtime.garbage import collect_rarely

app = typer.Typer(
    name="crystext",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_DOCSTRING_SECTION = re.compile(
    r"^(?:Args|Arguments|Returns?|Yields?|Raises|Examples?|Notes?):[ \t]*$",
    re.MULTILINE,
)
"""The first line of a section in a docstring, which is meant for readers of the code."""


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


def _add(to: typer.Typer, name: str, command: Command) -> None:
    if command.function is None:
        group = typer.Typer(help=command.summary, rich_markup_mode=None, no_args_is_help=True)
        for inner, below in command.commands.items():
            _add(group, inner, below)
        to.add_typer(group, name=name)
    else:
        help_text = _help_of(command)
        to.command(name, cls=command.cls, help=help_text, short_help=command.summary)(
            command.function
        )


def _help_of(command: Command) -> str:
    """Return the docstring of a command without sections such as `Args:`, else its summary."""
    text = inspect.cleandoc(command.function.__doc__ or "")
    return _DOCSTRING_SECTION.split(text, maxsplit=1)[0].rstrip() or command.summary


def _add_commands() -> None:
    for name in COMMANDS:
        try:
            command = COMMANDS[name]
        except UserCodeError as error:
            # The commands of the package work whatever else is installed.
            typer.echo(f"crystext: note: {error}", err=True)
            continue
        _add(app, name, command)


_add_commands()

_BAD_INPUT, _INTERRUPTED = 2, 130

_REMEDIES = {
    errno.ENOSPC: "free some space, or write elsewhere, and run the command again",
    errno.EDQUOT: "free some space, or write elsewhere, and run the command again",
    errno.EACCES: "use a place where you may read and write, or change its permissions",
    errno.EPERM: "use a place where you may read and write, or change its permissions",
    errno.EROFS: "use a place that can be written",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of the path is a file; check the path",
    errno.EISDIR: "expected a file; check the path",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


def main() -> None:
    """Run the command line on `sys.argv` and exit."""
    collect_rarely()
    _show_reading_warnings()
    try:
        try:
            # Typer returns the status of an exit that a command asks for, and that of an interrupt.
            arguments, notes = with_new_names(sys.argv[1:])
            for note in notes:
                typer.echo(f"crystext: note: {note}", err=True)
            status = app(arguments, prog_name="crystext", standalone_mode=False)
        finally:
            sys.stdout.flush()
        if status == _INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(status if isinstance(status, int) else 0)
    except (KeyboardInterrupt, typer.Abort):
        _exit_with_message("interrupted; run the same command again to resume", _INTERRUPTED)
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
        # Errors of the system have a number; one without is a bug of the program.
        if error.errno is None:
            raise
        _discard_stdout()
        _exit_with_message(_describe_os_error(error), _BAD_INPUT)


def _show_reading_warnings() -> None:
    """Print reading warnings as notes, not as lines of source code."""
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
    """Discard buffered output, or the interpreter would fail on it again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
