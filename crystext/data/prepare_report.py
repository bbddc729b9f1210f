"""What became of the crystals of a source, to be printed and to be kept in the store."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crystext.runtime.wording import counted
from crystext.structures.matching import Tolerances
from crystext.structures.property_schema import LABELS
from crystext.structures.record import Record

SHOWN = 5
"""Names that are given for each reason."""

_IN_BRACKETS = re.compile(r" ?\([^()]*\)")
_NUMBER = re.compile(r"(?<![A-Za-z])\d+(?:\.\d+)?(?![A-Za-z])")


@dataclass
class PrepareReport:
    """What was written, what was skipped, and why."""

    written: dict[str, int] = field(default_factory=dict)
    """Crystals of each split."""
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    """For each split and label, the number of crystals that have it."""
    counts: dict[str, int] = field(default_factory=dict)
    """For each reason, the number of structures skipped for it."""
    skipped: dict[str, list[str]] = field(default_factory=dict)
    """For each reason, the names of the first structures skipped for it."""
    notes: dict[str, int] = field(default_factory=dict)
    """For each kind of note, the number of crystals that were read with it."""
    noted: dict[str, list[str]] = field(default_factory=dict)
    """For each kind of note, the names of the first crystals that were read with it."""
    overlap: str = ""
    """One sentence on crystals of train that validation or test hold too; empty without any."""

    def skip(self, name: str, reason: str, detail: str = "") -> None:
        """Count a structure that is left out."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        named = self.skipped.setdefault(reason, [])
        if len(named) < SHOWN:
            named.append(f"{name} ({detail})" if detail else name)

    def note(self, name: str, note: str) -> None:
        """Count a crystal that is read with a note, whatever sites and numbers the note names."""
        kind = _NUMBER.sub("#", _IN_BRACKETS.sub("", note))
        self.notes[kind] = self.notes.get(kind, 0) + 1
        named = self.noted.setdefault(kind, [])
        if len(named) < SHOWN:
            named.append(name)

    def count(self, splits: Mapping[str, Sequence[Record]]) -> None:
        """Take down what is written."""
        for split, records in splits.items():
            self.written[split] = len(records)
            self.labels[split] = {
                label: sum(not np.isnan(r.labels.get(label, np.nan)) for r in records)
                for label in LABELS
            }

    def as_dict(self) -> dict[str, Any]:
        """Return what the store keeps."""
        skipped = {
            reason: {"count": n, "examples": self.skipped[reason]}
            for reason, n in self.counts.items()
        }
        notes = {note: {"count": n, "examples": self.noted[note]} for note, n in self.notes.items()}
        return {
            "labels": self.labels,
            "skipped": skipped,
            "notes": notes,
            "overlap": self.overlap,
        }

    def __str__(self) -> str:
        total = sum(self.written.values())
        lines = [f"{counted(total, 'crystal')} written, {sum(self.counts.values()):,} skipped"]
        for split, count in self.written.items():
            known = ", ".join(f"{label} of {n:,}" for label, n in self.labels[split].items() if n)
            lines.append(f"  {split}: {count:,}" + (f"; {known}" if known else ""))
        for reason, count in sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0])):
            more = ", ..." if count > SHOWN else ""
            lines.append(f"  {count:,} {reason}: {', '.join(self.skipped[reason])}{more}")
        for note, count in sorted(self.notes.items(), key=lambda pair: (-pair[1], pair[0])):
            more = ", ..." if count > SHOWN else ""
            lines.append(
                f"  {count:,} read with a note: {note}: {', '.join(self.noted[note])}{more}"
            )
        return "\n".join([*lines, *([f"  {self.overlap}"] if self.overlap else [])])


def named(tolerances: Tolerances) -> str:
    """Return how tolerances are written where a number is printed that depends on them."""
    return (
        f"StructureMatcher, ltol {tolerances.ltol:g}, stol {tolerances.stol:g}, "
        f"angle {tolerances.angle_tol:g}°"
    )
