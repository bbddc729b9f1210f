"""Pieces of a source to records: parsed, standardised and selected, by several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from typing import NamedTuple

from crystext.errors import CrystextError
from crystext.io.read.parse import Piece, ReadItem, parse_piece
from crystext.runtime.processes import run_in_order
from crystext.structures.record import Record
from crystext.structures.standardize import standardize
from crystext.structures.wyckoff.orbits import to_wyckoff_or_none
from crystext.text.formats import MAX_LENGTH

MIN_LENGTH = 1.0
"""Å; a shorter cell length is a mistake of its source: no two atoms are that close."""

CHUNK_SIZE = 64
"""Pieces that a worker takes at a time."""


class StandardizeSettings(NamedTuple):
    """What is done to each structure, and which are kept."""

    standard: bool
    max_atoms: int | None
    symprec: float
    lenient: bool = False


class StandardizedItem(NamedTuple):
    """What became of a structure: a record, or why there is none."""

    name: str
    id: str
    split: str
    """In the source's words."""
    record: Record | None
    reason: str = ""
    detail: str = ""
    notes: tuple[str, ...] = ()
    """On what is only probable about the record's crystal."""


def standardize_pieces(
    pieces: Iterator[Piece], settings: StandardizeSettings, workers: int
) -> Iterator[StandardizedItem]:
    """Yield what becomes of each piece, in order, with few pieces in flight.

    Raises:
        RunError: a worker process died.
    """
    first = list(islice(pieces, CHUNK_SIZE))
    chunks = chain([first], iter(lambda: list(islice(pieces, CHUNK_SIZE)), []))
    # Starting processes takes longer than the work on a few structures.
    if workers == 1 or len(first) < CHUNK_SIZE:
        for chunk in chunks:
            yield from _standardize_chunk(chunk, settings)
        return
    make_function = partial(_make_standardizing, settings)
    for items in run_in_order(make_function, chunks, workers):
        yield from items


def _make_standardizing(
    settings: StandardizeSettings,
) -> Callable[[list[Piece]], list[StandardizedItem]]:
    return partial(_standardize_chunk, settings=settings)


def _standardize_chunk(chunk: list[Piece], settings: StandardizeSettings) -> list[StandardizedItem]:
    return [
        _standardize_item(item, settings)
        for piece in chunk
        for item in parse_piece(piece, lenient=settings.lenient)
    ]


def _standardize_item(item: ReadItem, settings: StandardizeSettings) -> StandardizedItem:
    def left_out(reason: str, detail: str) -> StandardizedItem:
        return StandardizedItem(item.name, item.id, item.split, None, reason, detail)

    crystal, labels = item.crystal, dict(item.labels)
    if crystal is None:
        return left_out("cannot be read", item.problem or "")
    if settings.standard:
        try:
            crystal, space_group = standardize(crystal, settings.symprec)
        except CrystextError as error:
            return left_out("cannot be standardised", str(error))
        labels.setdefault("space_group", float(space_group))
    if settings.max_atoms is not None and len(crystal) > settings.max_atoms:
        return left_out(f"with more than {settings.max_atoms} atoms", str(len(crystal)))
    shortest, longest = crystal.lengths.min(), crystal.lengths.max()
    if shortest < MIN_LENGTH:
        return left_out(f"with a cell length below {MIN_LENGTH:g} Å", f"{shortest:g} Å")
    # Rounding to two decimals must stay below as well.
    if round(float(longest), 2) >= MAX_LENGTH:
        return left_out(f"with a cell length of {MAX_LENGTH} Å or more", f"{longest:g} Å")
    record = Record(crystal, labels, item.name, to_wyckoff_or_none(crystal))
    return StandardizedItem(item.name, item.id, item.split, record, notes=item.notes)
