"""The errors a user can meet; everything the package raises on purpose is a `CrystextError`.

Messages say what was found, what was expected and what to try. The command line prints them as
they are and exits with status 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CrystextError(Exception):
    """Any failure whose cause lies outside the program: input, settings, files, models."""


class InputError(CrystextError):
    """A file or a structure that cannot be taken as a crystal."""


class SettingError(CrystextError):
    """An option or a recipe value that makes no sense, alone or beside the others."""


class ModelError(CrystextError):
    """A model folder that is missing, incomplete, unsafe to load or of the wrong kind."""


class RunError(CrystextError):
    """A run directory that cannot be written, or that belongs to other settings."""


class InUseError(RunError):
    """A run directory to which another process is writing."""


class UnavailableError(CrystextError):
    """Something that a stage of an evaluation needs and that is not there; the others go on."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest known name, or an empty string.

    A name that is right but for its case is always found.
    """
    known = list(known)
    same = [other for other in known if other.lower() == name.lower()]
    near = same or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
