"""The crystals of a set of instructions, split by material.

Crystals that match (StructureMatcher, DiffCSP's tolerances) are one material, and so are crystals
that match a third one: a group is never divided between train, validation and test. Questions about
one crystal, or about two descriptions of it, are therefore in one part.

What goes wrong otherwise: LLaMat's split is by question, so that a model is tested on crystals that
it was trained on, with another question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, combinations, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crystext.data.duplicates import SPLIT_TOLERANCES, find_duplicates
from crystext.data.shipped import (
    TRAINING_SET,
    is_shipped_training,
    read_shipped_set,
    shipped_set,
)
from crystext.data.source import open_source
from crystext.data.split import assign_splits
from crystext.data.store import SPLITS, STORE_FILE, read_metadata, read_store
from crystext.data.textbook import TEXTBOOK, is_textbook, read_textbook
from crystext.errors import InputError
from crystext.io.read.parse import Piece, parse_piece
from crystext.runtime.processes import run_in_order
from crystext.runtime.progress import StartProgress
from crystext.structures.crystal import Crystal
from crystext.structures.matching import group_by_formula, map_groups, reduce_for_matching
from crystext.structures.record import Record

_CHUNK_SIZE = 64
"""Structures that are parsed together."""


@dataclass
class Materials:
    """Records with their parts."""

    records: list[Record]
    """Each with a crystal, and a name of its own."""
    parts: list[str] = field(default_factory=list)
    """The part of each: train, validation or test."""
    groups: list[int] = field(default_factory=list)
    """For each record, the index of the first of its group."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """Structures of the source that are left out, by reason."""
    source: Mapping[str, object] = field(default_factory=dict)
    """Name and checksum of the source."""


class SplitCheck(NamedTuple):
    """What a comparison of the parts found."""

    n_pairs: int
    """Pairs of one reduced formula in different parts; no other pair can match."""
    matches: list[tuple[int, int]]
    """Those that match."""


def read_materials(
    source: str,
    *,
    n: int | None,
    seed: int,
    lenient: bool,
    workers: int,
    start_progress: StartProgress,
) -> Materials:
    """Read the crystals of a source as they are; of a store, with its splits.

    Args:
        source: see `open_source`; the folder of a store; or `shipped`, the crystals that the
            shipped model was trained on.
        n: so many readable crystals, drawn by the seed, in their order; None is all.
        seed: see n.
        lenient: see `read_crystals`.
        workers: processes.
        start_progress: shows progress.

    Raises:
        InputError: the source holds no crystal.
    """
    path = Path(source)
    if (path / STORE_FILE).exists():
        materials = _read_store(path)
    elif is_shipped_training(path):
        records = list(read_shipped_set(shipped_set(TRAINING_SET)))
        materials = Materials(records, source={"name": source})
    elif is_textbook(path):
        datasets = [read_textbook(part) for part in ("train", "validation")]
        records = [dataset[i] for dataset in datasets for i in range(len(dataset))]
        materials = Materials(records, source={"name": source})
    else:
        materials = _read_source(source, lenient, workers, start_progress)
    if not materials.records:
        raise InputError(f"{source} holds no crystal that can be read; expected at least one")
    if n is not None and n < len(materials.records):
        drawn = np.random.default_rng(seed).choice(len(materials.records), n, replace=False)
        chosen = sorted(drawn.tolist())
        materials.records = [materials.records[i] for i in chosen]
        materials.parts = [materials.parts[i] for i in chosen] if materials.parts else []
    materials.records = _with_unique_names(materials.records)
    return materials


def _read_source(
    source: str, lenient: bool, workers: int, start_progress: StartProgress
) -> Materials:
    opened = open_source(source, {}, start_progress, other_names=(TRAINING_SET, TEXTBOOK))
    materials = Materials([])
    advance = start_progress(f"reading {Path(opened.name).name}", opened.estimate_size())
    for record in parse_pieces(opened.pieces(), lenient, workers):
        advance(1)
        if record.failure is not None:
            materials.unreadable[record.failure.kind] += 1
        else:
            materials.records.append(record)
    materials.source = opened.describe()
    return materials


def parse_pieces(pieces: Iterator[Piece], lenient: bool, workers: int) -> Iterator[Record]:
    """Yield a record of each structure, in order, parsed by so many processes."""
    first = list(islice(pieces, _CHUNK_SIZE))
    chunks = chain([first], iter(lambda: list(islice(pieces, _CHUNK_SIZE)), []))
    parse = partial(_parse_chunk, lenient=lenient)
    # Starting processes takes longer than the work on a few structures.
    if workers == 1 or len(first) < _CHUNK_SIZE:
        for chunk in chunks:
            yield from parse(chunk)
        return
    for records in run_in_order(partial(partial, parse), chunks, workers):
        yield from records


def _parse_chunk(pieces: Sequence[Piece], lenient: bool) -> list[Record]:
    return [record for piece in pieces for record in parse_piece(piece, lenient=lenient)]


def _read_store(folder: Path) -> Materials:
    about = read_metadata(folder)
    records, parts = [], []
    for split in SPLITS:
        if split in about["splits"]:
            dataset = read_store(folder, split)
            records += [dataset[i] for i in range(len(dataset))]
            parts += [split] * len(dataset)
    return Materials(records, parts, source={"name": folder.name, "store": about["splits"]})


def _with_unique_names(records: Sequence[Record]) -> list[Record]:
    """Return records whose names are their ids, or names, with a number where several share one."""
    counts: Counter[str] = Counter()
    named = []
    for record in records:
        name = record.id or record.name or "crystal"
        counts[name] += 1
        named.append(replace(record, name=name if counts[name] == 1 else f"{name}#{counts[name]}"))
    return named


def split_materials(
    materials: Materials,
    fractions: dict[str, float],
    seed: int,
    workers: int,
    start_progress: Callable[[str, int], Callable[..., object]],
) -> None:
    """Find the groups of equal crystals, and assign each to a part; a store keeps its own parts.

    Raises:
        InputError: there are too few groups for a split; or crystals of one group lie in several
            parts of a store.
    """
    records = materials.records
    materials.groups = find_duplicates(
        [record.require_crystal() for record in records],
        [],
        drop_repeats=False,
        group=True,
        workers=workers,
        start_progress=start_progress,
    ).groups
    if not materials.parts:
        if fractions["train"] == 1.0:
            materials.parts = ["train"] * len(records)
        else:
            materials.parts = assign_splits(materials.groups, fractions, seed)
        return
    first_parts: dict[int, int] = {}
    for i, (group, part) in enumerate(zip(materials.groups, materials.parts, strict=True)):
        k = first_parts.setdefault(group, i)
        if materials.parts[k] != part:
            raise InputError(
                f"{records[k].name} of {materials.parts[k]} and {records[i].name} of {part} are "
                "the same material, or connected by crystals that match both; a model trained on "
                "one would be tested on the other. Prepare the store with --drop-overlap, or give "
                "its source instead of the store"
            )


def compare_parts(
    crystals: Sequence[Crystal],
    parts: Sequence[str],
    workers: int,
    advance: Callable[[], object] = lambda: None,
) -> SplitCheck:
    """Compare every two crystals of one formula in different parts by pymatgen's matcher.

    This shares neither the order of comparisons nor the shortcuts of `find_duplicates`: each pair
    is given to `StructureMatcher.fit`, both ways, whole and not reduced before. Only a cell that is
    too thin to be reduced matches nothing, as there: comparing it would take all memory.
    """
    pairs = [
        (i, k)
        for members in group_by_formula(crystal.numbers for crystal in crystals).values()
        for i, k in combinations(members, 2)
        if parts[i] != parts[k]
    ]
    answers = map_groups(
        _is_match, [(crystals[i], crystals[k]) for i, k in pairs], workers, advance
    )
    return SplitCheck(len(pairs), [x for x, same in zip(pairs, answers, strict=True) if same])


def _is_match(pair: tuple[Crystal, Crystal]) -> bool:
    if any(reduce_for_matching(crystal) is None for crystal in pair):
        return False
    matcher = SPLIT_TOLERANCES.matcher()
    first, second = (crystal.structure for crystal in pair)
    return bool(matcher.fit(first, second) or matcher.fit(second, first))
