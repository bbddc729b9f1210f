"""The errors a user can meet; everything the package raises on purpose is a `CrystextError`.

Messages say what was found, what was expected and what to try. The command line prints them as
they are and exits with status 2.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable


class CrystextError(Exception):
    """Any failure whose cause lies outside the program: input, settings, files, models."""


class InputError(CrystextError):
    """A file or a structure that cannot be read as a crystal."""


class SettingError(CrystextError):
    """An option or a recipe value that is invalid, alone or in combination with others."""


class ModelError(CrystextError):
    """A model folder that is missing, incomplete, unsafe to load or of the wrong kind."""


class UserCodeError(ModelError):
    """Failure in code that the user supplied, such as a potential; the message quotes Python."""


class RunError(CrystextError):
    """A run directory that cannot be written, or that belongs to a run with other settings."""


class InUseError(RunError):
    """A run directory to which another process is writing."""


class UnavailableError(CrystextError):
    """A requirement of an evaluation stage is missing; the other stages still run."""


class ReadingWarning(UserWarning):
    """An assumption made while reading a crystal, such as deuterium read as hydrogen.

    Functions that return a single crystal issue it as a warning; readers of many crystals attach
    the same sentence to the record as a note.
    """


PYTHON_INTERNALS = re.compile(
    r"""
      \b(?!\w*(?:Crystext|Input|Setting|Model|Run)Error)\w+(?:Error|Exception)\b
    | Traceback | NoneType | \bnp\.\w+ | \bnumpy\. | \barray\( | \bdtype\b | \btensor\(
    | <(?:class|function|module|built-in|bound\ method)\b | \bobject\ at\ 0x | \b0x[0-9a-f]{6,}
    | __\w+__ | \blambda\b
    | (?:list|tuple|string|range|pop)\ (?:assignment\ )?index\ out\ of | pop\ from\ (?:an\ )?empty
    | index\ -?\d+\ is\ out\ of\ bounds | out\ of\ bounds\ for\ axis
    | could\ not\ convert\ | cannot\ convert\ | invalid\ literal | could\ not\ be\ broadcast
    | not\ enough\ values | too\ many\ values | values\ to\ unpack | cannot\ unpack
    | object\ (?:is\ not|has\ no|does\ not|cannot) | has\ no\ attribute | unhashable
    | (?:indices|argument|instance|keywords)\ must\ be
    | must\ be\ (?:str|real\ number|an?\ integer,)
    | bytes-like | unsupported\ operand | not\ supported\ between | not\ subscriptable
    | positional\ argument | unexpected\ keyword | can't\ multiply\ sequence
    | cannot\ reshape | inhomogeneous | not\ aligned | Singular\ matrix | all\ input\ array
    | codec\ can't | math\ domain | division\ by\ zero | iterable | generator\ raised
    | Expecting\ (?:value|property|',|':) | Extra\ data: | \(char\ \d+\) | recursion\ depth
    | not\ in\ list | malformed\ node | setting\ an\ array | Invalid\ control\ character
    """,
    re.VERBOSE,
)
"""Matches messages written for programmers: names of Python exceptions, values as Python or NumPy
prints them, sentences of the interpreter. No message to a user may contain any of these; the tests
check every message that they provoke."""


_PROGRAMMING_WORDS = re.compile(
    r"""
      \w\(\) | \b(?:None|True|False)\b | \b[bru]['"] | \blen\( | \bself\b | broadcast | ufunc
    | usecols | local\ variable | \bkwargs?\b | \bpbc\b | \{.*=.*\}
    """,
    re.VERBOSE,
)
"""Further signs that a message of another package is about the program, not its input."""


def describe_error(error: BaseException, fallback: str) -> str:
    """Return what another package's exception says about its input, if a user can understand it.

    Args:
        error: of any type, since parsers fail on broken data with any exception.
        fallback: a sentence for exceptions that are about Python; without a full stop.
    """
    cause = error.__cause__ or error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    if isinstance(cause, UnicodeDecodeError):
        return "it contains bytes that are not valid UTF-8"
    if isinstance(cause, json.JSONDecodeError):
        return f"line {cause.lineno}, column {cause.colno}, is not valid JSON"
    if isinstance(cause, RecursionError):
        return "it is nested too deeply"
    # These describe a failure in a program; the texts of an OSError or of a parser's own error are
    # written for users.
    if isinstance(
        cause, LookupError | TypeError | AttributeError | ArithmeticError | AssertionError
    ):
        return fallback
    line = next((line.strip() for line in str(cause).splitlines() if line.strip()), "")
    if not line or PYTHON_INTERNALS.search(line) or _PROGRAMMING_WORDS.search(line):
        return fallback
    return line.rstrip(".") if len(line) <= 200 else line[:200].rsplit(" ", 1)[0] + " ..."


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest known name, or an empty string.

    A name that differs only in case is always found.
    """
    choices = list(choices)
    same = [other for other in choices if other.lower() == name.lower()]
    near = same or difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


class WorkerDeathError(CrystextError):
    """Raised by an executor for a task whose processes died, as often as the executor allows."""
