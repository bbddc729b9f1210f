"""The record: a crystal, a text, or the reason why there is none, with its labels and its source.

Readers create records, `data` standardises and stores them, tasks turn them into examples,
`evaluate` and `energies` measure them. All pass on the same type, so that names, labels and notes
from the source are kept to the end.

What goes wrong otherwise: dropping a failure on the way shrinks the denominator of every rate that
is computed later.
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
"""Failure kind of a structure that no parser can read."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a record has no crystal."""

    kind: str
    """A word or phrase shared by failures of one kind, such as UNREADABLE; tables count by it."""
    message: str = ""
    """One sentence for people."""


@dataclass(frozen=True, slots=True)
class Record:
    """A crystal or a failure, with labels and metadata of its source."""

    crystal: Crystal | None = None
    labels: Mapping[str, Label] = field(default_factory=dict)
    """Values by property name, see `property_schema.PROPERTIES`; unknown ones are missing or nan.
    Labels of properties that this installation does not know are kept."""
    name: str = ""
    """From the file's name or the row's identifier; several records may share one."""
    wyckoff: WyckoffCrystal | None = None
    """The crystal as space group and orbits, for tasks in the Wyckoff format."""
    failure: Failure | None = None
    """Why there is no crystal; None if there is one."""
    id: str = ""
    """Unique identifier of a table row, also in a source of many files; empty if it has none."""
    split: str = ""
    """Split that the source assigns, in the source's words; empty if there is none."""
    notes: tuple[str, ...] = ()
    """Assumptions made while reading, one sentence each, such as deuterium read as hydrogen or a
    file without symmetry read as P1; empty if the file is unambiguous."""
    conditions: Mapping[str, Label] = field(default_factory=dict)
    """Of a sample: the requested values by condition name, as `Conditions.requested` returns."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Texts that the source gives, by representation (`tasks.representations`): `formula`,
    `smiles`, `description`, `cif`, or a format in which the crystal was sampled. A record of a
    table of compositions or molecules has no crystal and no failure, only such a text."""

    @property
    def message(self) -> str | None:
        """The sentence that says why there is no crystal; None if there is one."""
        return None if self.failure is None else self.failure.message

    @property
    def failure_kind(self) -> str | None:
        """The kind of the failure; None if there is a crystal."""
        return None if self.failure is None else self.failure.kind

    def require_crystal(self) -> Crystal:
        """Return the crystal, for callers that need one.

        Raises:
            InputError: there is none; the message says why.
        """
        if self.crystal is None:
            reason = self.message or "it has no structure"
            raise InputError(f"{self.name or 'a record'} holds no crystal: {reason}")
        return self.crystal

    @classmethod
    def failed(cls, name: str, kind: str, message: str = "") -> Self:
        """Return a record of a failure."""
        return cls(name=name, failure=Failure(kind, message))

    if not TYPE_CHECKING:  # Type checkers would accept any attribute.

        def __getattr__(self, name: str) -> object:
            hint = "; what version 0.1 called problem is Record.message"
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}"
                + (hint if name == "problem" else "")
            )
