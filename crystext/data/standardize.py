"""Parses, standardises and selects the structures of a source, in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import NamedTuple

from crystext.errors import CrystextError
from crystext.io.read.parse import Piece, parse_piece
from crystext.runtime.processes import run_in_order
from crystext.structures.record import Failure, Record
from crystext.structures.standardize import standardize
from crystext.structures.wyckoff.orbits import to_wyckoff_or_none
from crystext.text.formats import MAX_LENGTH

MIN_LENGTH = 1.0
"""Å; a shorter cell length is an error in the source: no two atoms are that close."""

CHUNK_SIZE = 64
"""Pieces per task of a worker."""


class StandardizeSettings(NamedTuple):
    """How structures are standardised, and which are kept."""

    standard: bool
    max_atoms: int | None
    symprec: float
    lenient: bool = False


def standardize_pieces(
    pieces: Iterator[Piece], settings: StandardizeSettings, workers: int
) -> Iterator[Record]:
    """Yield a record of each structure, in order, with few pieces in flight.

    A skipped structure is a failure; its kind is the reason, for counting, and its message the
    details.

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
    for records in run_in_order(make_function, chunks, workers):
        yield from records


def _make_standardizing(settings: StandardizeSettings) -> Callable[[list[Piece]], list[Record]]:
    return partial(_standardize_chunk, settings=settings)


def _standardize_chunk(chunk: list[Piece], settings: StandardizeSettings) -> list[Record]:
    return [
        standardize_record(record, settings)
        for piece in chunk
        for record in parse_piece(piece, lenient=settings.lenient)
    ]


def standardize_record(record: Record, settings: StandardizeSettings) -> Record:
    """Return a record with its crystal standardised, or a failure if it is skipped."""

    def left_out(kind: str, message: str) -> Record:
        return replace(record, crystal=None, failure=Failure(kind, message), notes=())

    crystal, labels = record.crystal, dict(record.labels)
    if crystal is None:
        return left_out("cannot be read", record.message or "")
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
    # The length has to stay below when rounded to two decimals.
    if round(float(longest), 2) >= MAX_LENGTH:
        return left_out(f"with a cell length of {MAX_LENGTH} Å or more", f"{longest:g} Å")
    return replace(record, crystal=crystal, labels=labels, wyckoff=to_wyckoff_or_none(crystal))
