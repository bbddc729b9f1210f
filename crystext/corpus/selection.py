"""Decide what becomes of each document: train, validation, or left out as a duplicate.

Of equal documents the first is kept, in the order of the sources in the recipe. Then documents are
divided by a hash: of their text, of their id, or of their reduced formula. So crystals of one
formula are on one side, whatever source they are from and however they are written. This is more
than a split by material, as only crystals of one reduced formula can match (StructureMatcher), and
does not depend on tolerances.

What goes wrong otherwise: a model is tested on the description of a crystal whose CIF it has seen.

Memory: one byte for each document, and sorted tables of at most `_MAX_ROWS` documents at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from crystext.corpus.document_table import (
    EXACT,
    MATERIAL,
    NEAR,
    TRAIN,
    VALIDATION,
    DocumentTable,
    Positions,
)
from crystext.corpus.near_duplicates import BANDS, band_keys
from crystext.corpus.parts import held_out_below, open_signatures, part_path
from crystext.corpus.recipe import CorpusRecipe
from crystext.data.duplicates import find_duplicates
from crystext.data.store import read_store
from crystext.runtime.progress import StartProgress
from crystext.structures.crystal import Crystal

_MAX_ROWS = 2_000_000
"""Documents that are sorted in one go."""

_MAX_CRYSTALS = 10_000
"""Crystals that are compared in one go."""

_MAX_COMPARISONS = 16
"""Documents of one band with which a document is compared."""

_SIGNATURES_PER_CALL = 10_000

Status = NDArray[np.uint8]


def select_documents(
    table: DocumentTable, recipe: CorpusRecipe, workers: int, begin: StartProgress
) -> Status:
    """Return what becomes of each document: `TRAIN`, `VALIDATION` or a reason to leave it out."""
    status = np.full(len(table), TRAIN, np.uint8)
    if recipe.duplicates.exact:
        _mark_exact(table, status)
    if recipe.duplicates.materials:
        for sources in _sources_by_form(recipe).values():
            _mark_materials(table, status, sources, workers, begin)
    if recipe.duplicates.near is not None:
        texts = [i for i, x in enumerate(recipe.sources.values()) if x.kind != "crystals"]
        _mark_near(table, status, texts, recipe.duplicates.near, begin)
    limit = held_out_below(recipe.validation.fraction)
    for part in table.parts:
        held_out = table.open(part).rows["split"] < np.uint64(limit)
        of_part = status[part.start : part.start + part.documents]
        of_part[held_out & (of_part == TRAIN)] = VALIDATION
    return status


def _mark_exact(table: DocumentTable, status: Status) -> None:
    partitions = 1 + len(table) // _MAX_ROWS
    for partition in range(partitions):
        positions, rows = table.rows_in_partition("high", partition, partitions, status == TRAIN)
        order = np.lexsort((positions, rows["low"], rows["high"]))
        ordered = rows[order]
        same = (ordered["high"][1:] == ordered["high"][:-1]) & (
            ordered["low"][1:] == ordered["low"][:-1]
        )
        status[positions[order][1:][same]] = EXACT


def _sources_by_form(recipe: CorpusRecipe) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for i, source in enumerate(recipe.sources.values()):
        if source.kind == "crystals":
            found[source.form].append(i)
    return found


def _of_sources(table: DocumentTable, sources: Sequence[int]) -> NDArray[np.bool_]:
    chosen = np.zeros(len(table), np.bool_)
    for part in table.parts:
        chosen[part.start : part.start + part.documents] = part.source in sources
    return chosen


def _mark_materials(
    table: DocumentTable,
    status: Status,
    sources: Sequence[int],
    workers: int,
    begin: StartProgress,
) -> None:
    """Mark crystals that match an earlier one of these sources."""
    keep = _of_sources(table, sources) & (status == TRAIN)
    partitions = 1 + int(keep.sum()) // _MAX_ROWS
    for partition in range(partitions):
        positions, rows = table.rows_in_partition("formula", partition, partitions, keep)
        order = np.lexsort((positions, rows["formula"]))
        formulas, positions = rows["formula"][order], positions[order]
        repeated = _in_groups(formulas)
        for some in _batches(formulas[repeated], positions[repeated], _MAX_CRYSTALS):
            crystals = _crystals(table, some)
            duplicates = find_duplicates(
                crystals, [], drop_repeats=True, group=False, workers=workers, start_progress=begin
            )
            status[some[sorted(duplicates.repeats)]] = MATERIAL


def _in_groups(ordered: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which of some ordered numbers occur more than once."""
    same = ordered[1:] == ordered[:-1]
    edge = np.zeros(1, np.bool_)
    found: NDArray[np.bool_] = np.concatenate([edge, same]) | np.concatenate([same, edge])
    return found[: len(ordered)]


def _batches(ordered: NDArray[np.uint64], positions: Positions, size: int) -> Iterator[Positions]:
    """Yield the positions in batches of at least one group of equal numbers, in order."""
    is_last = np.append(ordered[1:] != ordered[:-1], True)[: len(ordered)]
    ends = (np.flatnonzero(is_last) + 1).tolist()
    start = 0
    for k, end in enumerate(ends):
        if k + 1 == len(ends) or ends[k + 1] - start > size:
            # In the order of the documents, since the first of equal ones is kept.
            yield np.sort(positions[start:end])
            start = end


def _crystals(table: DocumentTable, positions: Positions) -> list[Crystal]:
    crystals = []
    opened, dataset = None, None
    for position in positions.tolist():
        part = table.part_of(position)
        if part != opened:
            folder = part_path(part.folder, part.number, ".crystals")
            opened, dataset = part, read_store(folder, "train")
        assert dataset is not None
        crystals.append(dataset[position - part.start].require_crystal())
    return crystals


def _mark_near(
    table: DocumentTable,
    status: Status,
    sources: Sequence[int],
    threshold: float,
    begin: StartProgress,
) -> None:
    """Mark documents that are similar to an earlier one that shares a band."""
    of_texts = _of_sources(table, sources)
    partitions = 1 + int(of_texts.sum()) // _MAX_ROWS
    advance = begin("comparing signatures", BANDS * partitions)
    for band in range(BANDS):
        for partition in range(partitions):
            keep = of_texts & (status == TRAIN)
            keys, positions = _keys_in_partition(table, band, partition, partitions, keep)
            order = np.lexsort((positions, keys))
            keys, positions = keys[order], positions[order]
            repeated = _in_groups(keys)
            _mark_similar(table, status, keys[repeated], positions[repeated], threshold)
            advance()


def _keys_in_partition(
    table: DocumentTable, band: int, partition: int, partitions: int, keep: NDArray[np.bool_]
) -> tuple[NDArray[np.uint64], Positions]:
    keys, positions = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for part in table.parts:
        chosen = np.flatnonzero(keep[part.start : part.start + part.documents])
        if len(chosen):
            found = band_keys(open_signatures(part.folder, part.number)[chosen], band)
            inside = found % np.uint64(partitions) == partition
            keys.append(found[inside])
            positions.append(chosen[inside] + part.start)
    return np.concatenate(keys), np.concatenate(positions)


def _mark_similar(
    table: DocumentTable,
    status: Status,
    keys: NDArray[np.uint64],
    positions: Positions,
    threshold: float,
) -> None:
    """Compare documents with the first of their group; those that differ, with the next one."""
    for _ in range(_MAX_COMPARISONS):
        if not len(keys):
            return
        is_first = np.append(True, keys[1:] != keys[:-1])
        first = positions[is_first][np.cumsum(is_first) - 1]
        later = np.flatnonzero(~is_first)
        similar = _similar(table, first[later], positions[later], threshold)
        status[positions[later[similar]]] = NEAR
        keys, positions = keys[later[~similar]], positions[later[~similar]]


def _similar(
    table: DocumentTable, first: Positions, second: Positions, threshold: float
) -> NDArray[np.bool_]:
    answers = [np.zeros(0, np.bool_)]
    for start in range(0, len(first), _SIGNATURES_PER_CALL):
        some = slice(start, start + _SIGNATURES_PER_CALL)
        equal = table.signatures(first[some]) == table.signatures(second[some])
        answers.append(equal.mean(axis=1) >= threshold)
    return np.concatenate(answers)
