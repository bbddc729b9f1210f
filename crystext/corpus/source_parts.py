"""The parts of a source together: their counts, and what could not be read, with its place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crystext.corpus.parts import part_path
from crystext.corpus.recipe import SourceSettings
from crystext.errors import InputError

_MAX_EXAMPLES = 3


@dataclass
class PartCounts:
    """What was read of a source."""

    parts: int = 0
    documents: int = 0
    tokens: int = 0
    bytes: int = 0
    truncated: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Number of unreadable documents by reason."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first places of each reason."""


def read_counts(folder: Path, n_parts: int, name: str, source: SourceSettings) -> PartCounts:
    """Add up the counts of the parts of a source, as far as they are complete.

    Args:
        folder: of the parts.
        n_parts: how many there are.
        name: of the source.
        source: its settings.

    Raises:
        InputError: something cannot be read, and the source says `on_error: stop`.
    """
    counts = PartCounts()
    lines_before: Counter[str] = Counter()
    for index in range(n_parts):
        path = part_path(folder, index, ".json")
        if not path.exists():
            break
        about = json.loads(path.read_text(encoding="utf-8"))
        _add(counts, about, lines_before)
        if counts.examples and source.on_error == "stop":
            reason, places = next(iter(counts.examples.items()))
            raise InputError(
                f"sources.{name}: {places[0]} (this source says on_error: stop; with on_error: "
                f"skip, documents that are {reason!r} are counted and left out)"
            )
    return counts


def _add(counts: PartCounts, about: dict[str, Any], lines_before: Counter[str]) -> None:
    counts.parts += 1
    for name in ("documents", "tokens", "bytes", "truncated"):
        setattr(counts, name, getattr(counts, name) + about[name])
    counts.dropped.update(about["dropped"])
    for reason, detail, place, line in about["examples"]:
        places = counts.examples.setdefault(reason, [])
        if len(places) < _MAX_EXAMPLES:
            # A chunk knows the number of a line within it.
            where = "" if line is None else f", line {line + lines_before[place]}"
            places.append(f"{place}{where}: {detail}")
    lines_before.update(about["lines"])


def check_counts(counts: Mapping[str, PartCounts]) -> None:
    """Refuse sources without a document, all at once.

    Raises:
        InputError: there are some.
    """
    faults = []
    for name, found in counts.items():
        if not found.documents:
            places = [place for some in found.examples.values() for place in some]
            reasons = ", ".join(f"{n:,} {reason}" for reason, n in found.dropped.items())
            listed = f": {reasons}" + (f" ({places[0]})" if places else "") if reasons else ""
            faults.append(f"sources.{name} has no document{listed}")
    if faults:
        raise InputError("; ".join(faults) + ". Check the paths and settings of these sources")
