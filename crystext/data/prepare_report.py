"""The report of `crystext data prepare`: what was written, skipped or noted, and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crystext.io.read.parse import Piece
from crystext.runtime.wording import format_count
from crystext.structures.matching import MatchTolerances
from crystext.structures.property_schema import PROPERTIES, is_known
from crystext.structures.record import Record

MAX_EXAMPLES = 5
"""Names listed for each reason."""

_MAX_PRINTED_EXAMPLES = 3
"""Cells printed for each reason why they are no value of a label."""
_MAX_TEXT_LENGTH = 40
"""Maximum number of characters of a cell in an example."""

_IN_BRACKETS = re.compile(r" ?\([^()]*\)")
_NUMBER = re.compile(r"(?<![A-Za-z])\d+(?:\.\d+)?(?![A-Za-z])")


@dataclass
class PrepareReport:
    """What was written, what was skipped, and why."""

    written_counts: dict[str, int] = field(default_factory=dict)
    """Crystals of each split."""
    label_counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """For each split, the number of crystals with each label; labels without any are left out."""
    skip_counts: dict[str, int] = field(default_factory=dict)
    """For each reason, the number of structures skipped for it."""
    skip_examples: dict[str, list[str]] = field(default_factory=dict)
    """For each reason, the names of the first structures skipped for it."""
    note_counts: dict[str, int] = field(default_factory=dict)
    """For each kind of note, the number of crystals with it."""
    note_examples: dict[str, list[str]] = field(default_factory=dict)
    """For each kind of note, the names of the first crystals with it."""
    unread_columns: dict[str, None] = field(default_factory=dict)
    """Columns of the sources' tables that name no property, in the order in which they occur."""
    unused_counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """For each label, the number of cells that are no value of it, by reason."""
    unused_examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """For each label and reason, the names of the first rows, with their cells."""
    overlap: str = ""
    """One sentence on crystals of train that occur in validation or test; empty without any."""

    def add_skipped(self, name: str, reason: str, detail: str = "") -> None:
        """Count a skipped structure."""
        self.skip_counts[reason] = self.skip_counts.get(reason, 0) + 1
        named = self.skip_examples.setdefault(reason, [])
        if len(named) < MAX_EXAMPLES:
            named.append(f"{name} ({detail})" if detail else name)

    def note_pieces(self, pieces: Iterable[Piece], where: Mapping[str, str]) -> Iterator[Piece]:
        """Yield pieces; add their columns and label values that are not read.

        A column that `where` names is read.
        """
        for piece in pieces:
            self.unread_columns.update((x, None) for x in piece.unread_columns if x not in where)
            for label, reason, text in piece.unused_values:
                counts = self.unused_counts.setdefault(label, {})
                counts[reason] = counts.get(reason, 0) + 1
                named = self.unused_examples.setdefault((label, reason), [])
                if len(named) < MAX_EXAMPLES:
                    more = "..." if len(text) > _MAX_TEXT_LENGTH else ""
                    shown = text[:_MAX_TEXT_LENGTH] + more
                    named.append(f"{piece.name}: {shown}" if text else piece.name)
            yield piece

    def add_note(self, name: str, note: str) -> None:
        """Count a crystal with a note; sites and numbers in the note are ignored."""
        kind = _NUMBER.sub("#", _IN_BRACKETS.sub("", note))
        self.note_counts[kind] = self.note_counts.get(kind, 0) + 1
        named = self.note_examples.setdefault(kind, [])
        if len(named) < MAX_EXAMPLES:
            named.append(name)

    def count_written(self, splits: Mapping[str, Sequence[Record]]) -> None:
        """Count the crystals and labels of the written splits."""
        for split, records in splits.items():
            self.written_counts[split] = len(records)
            counts = Counter(
                name
                for record in records
                for name in record.labels
                if is_known(record.labels[name])
            )
            # Properties that are not installed come last.
            names = [
                *(x for x in PROPERTIES if x in counts),
                *sorted(counts.keys() - {*PROPERTIES}),
            ]
            self.label_counts[split] = {name: counts[name] for name in names}

    def as_dict(self) -> dict[str, Any]:
        """Return the report as in `store.json`."""
        skipped = {
            reason: {"count": n, "examples": self.skip_examples[reason]}
            for reason, n in self.skip_counts.items()
        }
        notes = {
            note: {"count": n, "examples": self.note_examples[note]}
            for note, n in self.note_counts.items()
        }
        for label, counts in self.unused_counts.items():
            for reason, n in counts.items():
                notes[f"{label} not read: {reason}"] = {
                    "count": n,
                    "examples": self.unused_examples[label, reason],
                }
        return {
            "labels": self.label_counts,
            "skipped": skipped,
            "notes": notes,
            "overlap": self.overlap,
        }

    def __str__(self) -> str:
        total = sum(self.written_counts.values())
        lines = [
            f"{format_count(total, 'crystal')} written, {sum(self.skip_counts.values()):,} skipped"
        ]
        for split, count in self.written_counts.items():
            known = ", ".join(
                f"{label} of {n:,}" for label, n in self.label_counts[split].items() if n
            )
            lines.append(f"  {split}: {count:,}" + (f"; {known}" if known else ""))
        for reason, count in sorted(self.skip_counts.items(), key=lambda pair: (-pair[1], pair[0])):
            more = ", ..." if count > MAX_EXAMPLES else ""
            lines.append(f"  {count:,} {reason}: {', '.join(self.skip_examples[reason])}{more}")
        for note, count in sorted(self.note_counts.items(), key=lambda pair: (-pair[1], pair[0])):
            more = ", ..." if count > MAX_EXAMPLES else ""
            lines.append(
                f"  {count:,} read with a note: {note}: {', '.join(self.note_examples[note])}{more}"
            )
        lines += [self._describe_unused(label) for label in self.unused_counts]
        if self.overlap:
            lines.append(f"  {self.overlap}")
        if names := [*self.unread_columns]:
            more = ", ..." if len(names) > MAX_EXAMPLES else ""
            lines.append(
                f"  {format_count(len(names), 'column')} not read, since no property has this "
                f"name: {', '.join(names[:MAX_EXAMPLES])}{more}; to read one, rename it, or add a "
                "property (crystext.Property)"
            )
        return "\n".join(lines)

    def _describe_unused(self, label: str) -> str:
        """Return a line on the cells that are no value of a label, the most frequent reason first.

        Only the first examples of each reason are named.
        """
        counts = self.unused_counts[label]
        parts = []
        for reason, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
            named = self.unused_examples[label, reason][:_MAX_PRINTED_EXAMPLES]
            more = ", ..." if count > len(named) else ""
            parts.append(f"{count:,} {reason} ({', '.join(named)}{more})")
        rows = format_count(sum(counts.values()), "row")
        return f"  {label} not read from {rows}: {'; '.join(parts)}"


def describe_tolerances(tolerances: MatchTolerances) -> str:
    """Return a description of the tolerances."""
    return (
        f"StructureMatcher, ltol {tolerances.ltol:g}, stol {tolerances.stol:g}, "
        f"angle {tolerances.angle_tol:g}°"
    )
