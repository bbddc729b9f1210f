"""The one record: a crystal, or the reason why there is none, with what is known about it.

Readers make records, `data` standardises and stores them, tasks turn them into examples, `evaluate`
and `energies` measure them. Each passes the same type on, so that a name, a label or a note that a
source gives is there to the end.

What goes wrong otherwise: a failure that is dropped on the way shrinks the denominator of every
rate that is computed later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from crystext.errors import InputError
from crystext.structures.crystal import Crystal
from crystext.structures.wyckoff.orbits import WyckoffCrystal

Label = float | bool | str
"""A value of a property: a number, yes or no, or a category."""

UNREADABLE = "UNREADABLE"
"""Kind of the failure of a structure that a file gives and no parser can read."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record holds no crystal."""

    kind: str
    """A word or phrase that failures of one kind share, such as UNREADABLE; tables count by it."""
    message: str = ""
    """One sentence for people."""


@dataclass(frozen=True, slots=True)
class Record:
    """A crystal or a failure, with labels and with what its source says about it."""

    crystal: Crystal | None = None
    labels: Mapping[str, Label] = field(default_factory=dict)
    """Values by property name, see `property_schema.PROPERTIES`; unknown ones are missing or nan.
    Labels of properties that this installation does not know are kept."""
    name: str = ""
    """From the file's name or the row's identifier; several records may share one."""
    wyckoff: WyckoffCrystal | None = None
    """The crystal by space group and orbits, for tasks that write it so."""
    failure: Failure | None = None
    """Why there is no crystal; None where there is one."""
    id: str = ""
    """Tells the rows of a table apart, also in a source of many files; empty where nothing does."""
    split: str = ""
    """The split that the source puts it in, in the source's words; empty where it has none."""
    notes: tuple[str, ...] = ()
    """Sentences on what is only probable about the crystal, such as deuterium read as hydrogen or
    a file without symmetry read as P1; empty where the file says everything without a doubt."""
    conditions: Mapping[str, Label] = field(default_factory=dict)
    """Of a sample: the values requested, by condition name, as `Conditions.requested` has them."""

    @property
    def message(self) -> str | None:
        """The sentence that says why there is no crystal; None where there is one."""
        return None if self.failure is None else self.failure.message

    @property
    def failure_kind(self) -> str | None:
        """The word for it; None where there is a crystal."""
        return None if self.failure is None else self.failure.kind

    def require_crystal(self) -> Crystal:
        """Return the crystal, for callers that cannot go on without one.

        Raises:
            InputError: there is none; the message says why.
        """
        if self.crystal is None:
            reason = self.message or "it has no structure"
            raise InputError(f"{self.name or 'a record'} holds no crystal: {reason}")
        return self.crystal

    @classmethod
    def failed(cls, name: str, kind: str, message: str = "") -> Self:
        """Return a record of something that is no crystal."""
        return cls(name=name, failure=Failure(kind, message))

    if not TYPE_CHECKING:  # Type checkers would take any attribute for one that is there.

        def __getattr__(self, name: str) -> object:
            hint = "; what version 0.1 called problem is Record.message"
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}"
                + (hint if name == "problem" else "")
            )
