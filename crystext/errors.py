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
    """A file or a structure that cannot be taken as a crystal."""


class SettingError(CrystextError):
    """An option or a recipe value that makes no sense, alone or beside the others."""


class ModelError(CrystextError):
    """A model folder that is missing, incomplete, unsafe to load or of the wrong kind."""


class UserCodeError(ModelError):
    """Code that a user named, such as a potential's function, failed; its message quotes Python."""


class RunError(CrystextError):
    """A run directory that cannot be written, or that belongs to other settings."""


class InUseError(RunError):
    """A run directory to which another process is writing."""


class UnavailableError(CrystextError):
    """Something that a stage of an evaluation needs and that is not there; the others go on."""


class ReadingWarning(UserWarning):
    """What is only probable about a crystal that was read, such as deuterium taken for hydrogen.

    Functions that return a crystal alone give it; readers of many hand the same sentence over as a
    note of the item.
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
"""What a message looks like that was written for programmers: names of Python's exceptions, values
as Python or NumPy prints them, sentences of the interpreter. No message to a user holds any of it;
the tests look for it in every one that they provoke."""


_PROGRAMMING_WORDS = re.compile(
    r"""
      \w\(\) | \b(?:None|True|False)\b | \b[bru]['"] | \blen\( | \bself\b | broadcast | ufunc
    | usecols | local\ variable | \bkwargs?\b | \bpbc\b | \{.*=.*\}
    """,
    re.VERBOSE,
)
"""What else tells, in a message of another package, that it speaks of a program."""


def describe_error(error: BaseException, fallback: str) -> str:
    """Return what another package's exception says of its input, if a user can make sense of it.

    Args:
        error: of any type, as parsers meet broken data.
        fallback: a sentence for exceptions that speak of Python; no full stop.
    """
    cause = error.__cause__ or error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    if isinstance(cause, UnicodeDecodeError):
        return "it holds bytes that are no text in UTF-8"
    if isinstance(cause, json.JSONDecodeError):
        return f"line {cause.lineno}, column {cause.colno}, is not what JSON has there"
    if isinstance(cause, RecursionError):
        return "it is nested too deep"
    # These say what went wrong in a program; what an OSError or a parser's own error says is meant
    # to be read.
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

    A name that is right but for its case is always found.
    """
    choices = list(choices)
    same = [other for other in choices if other.lower() == name.lower()]
    near = same or difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
