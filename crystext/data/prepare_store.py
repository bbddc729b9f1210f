"""Prepares a store from sources of crystals: read, standardise, select, compare, split, write.

Defines the order of the steps and which inputs are refused; `store` defines the layout. The store
depends only on the sources and the settings, not on the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from crystext.data.duplicates import REPEAT_TOLERANCES, SPLIT_TOLERANCES, find_duplicates
from crystext.data.existing_store import check_existing_store
from crystext.data.prepare_report import MAX_EXAMPLES, PrepareReport, describe_tolerances
from crystext.data.source import Source, open_source
from crystext.data.split import (
    DEFAULT_FRACTIONS,
    assign_splits,
    parse_fractions,
    round_fractions,
)
from crystext.data.standardize import StandardizeSettings, standardize_pieces
from crystext.data.store import SPLITS, check_store_path, write_store
from crystext.errors import InputError, SettingError
from crystext.io.read import no_row_error, nothing_readable_error
from crystext.io.read.tables import SPLIT_NAMES
from crystext.runtime.processes import available_cores
from crystext.runtime.progress import Progress, StartProgress
from crystext.structures.record import Record

Overlap = Literal["refuse", "allow", "drop"]
"""Policies for crystals of train that occur in validation or test as well."""


@dataclass(frozen=True)
class PrepareSettings:
    """Settings of `prepare`."""

    standard: bool = True
    """Whether crystals are standardised (see `standardize`)."""
    symprec: float = 0.1
    """Tolerance of standardisation in Å."""
    max_atoms: int | None = None
    """Cells with more atoms after standardising are skipped."""
    where: Mapping[str, str] | None = None
    """For tables, the value that each of these columns must have; not for held-out sources."""
    split: str | None = None
    """Fractions of train, validation and test. None takes `DEFAULT_FRACTIONS` if nothing else is
    held out, and otherwise leaves all of the source in train."""
    seed: int = 0
    """Of the split."""
    keep_duplicates: bool = False
    """Whether crystals of train that repeat an earlier one are kept. Held-out ones always are, so
    that scores compare with published ones."""
    overlap: Overlap = "refuse"
    lenient: bool = False
    """Whether files that contradict themselves are read, with a note, if one reading exists."""


def prepare(
    source: str | Path,
    out: str | Path,
    settings: PrepareSettings = PrepareSettings(),
    *,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> PrepareReport:
    """Write the crystals of a source to a store.

    Every column that names a property becomes a label (see `property_schema`). A space group in the
    source is kept; without one, standardised crystals are labelled with the group that spglib
    finds.

    Args:
        source: see `open_source`. If it has splits, they are kept.
        out: folder of the store; an existing store is replaced if it was made from the same
            crystals with the same settings.
        settings: see `PrepareSettings`.
        validation: source of crystals for model selection; of a source with splits, its validation
            split.
        test: source of crystals for the final score, likewise.
        workers: processes; None starts one for each available core. A script that requests more
            than one needs an `if __name__ == "__main__":`.
        progress: whether to show progress on standard error.

    Raises:
        InputError: a source has no readable crystal, no crystal is left, or crystals of train are
            held out as well.
        SettingError: a number out of range, settings that contradict each other, or a missing
            column.
        RunError: the folder cannot be written or holds a store of other crystals or settings, the
            disk is full, or a worker process died.
    """
    out = Path(out)
    if workers is None:
        workers = available_cores()
    shares = _check_settings(settings, validation, test, workers)
    check_store_path(out)
    report = PrepareReport()
    with Progress(bar=None if progress else False, lines=progress) as bars:
        begin = bars.begin
        opened = _open_sources(source, validation, test, settings.where or {}, begin)
        sources = _describe_sources(opened)
        check_existing_store(out, {**sources, "settings": _describe_settings(settings, shares)})
        splits = _read_splits(opened, source, settings, report, workers, begin)
        if shares is None and len(splits) == 1:
            shares = parse_fractions(DEFAULT_FRACTIONS)
        splits = _deduplicate_and_split(splits, settings, shares, report, workers, begin)
    report.count_written(splits)
    about = {
        **sources,
        "settings": _describe_settings(settings, shares),
        "report": report.as_dict(),
    }
    write_store(out, splits, about)
    return report


def _check_settings(
    settings: PrepareSettings, validation: object, test: object, workers: int
) -> dict[str, float] | None:
    """Check the settings, and return the fractions they request; None where they request none."""
    if workers < 1:
        raise SettingError(f"workers is {workers}; expected at least 1")
    if settings.max_atoms is not None and settings.max_atoms < 1:
        raise SettingError(f"max_atoms is {settings.max_atoms}; expected at least 1")
    if not settings.symprec > 0:
        raise SettingError(
            f"symprec is {settings.symprec:g}; expected a distance in Å above 0, such as 0.1"
        )
    if settings.split is None:
        return None
    shares = parse_fractions(settings.split)
    for split, given in (("validation", validation), ("test", test)):
        if given is not None and shares[split] > 0:
            raise SettingError(
                f"--split {settings.split} takes crystals of the source for {split}, and --{split} "
                f"names a source for it; make the fraction 0, or leave out --{split}"
            )
    return shares


def _open_sources(
    source: str | Path,
    validation: str | Path | None,
    test: str | Path | None,
    where: Mapping[str, str],
    start_progress: StartProgress,
) -> dict[str, Source]:
    """Return the given sources by the split that each is for; `where` selects rows of train."""
    given = {"train": source, "validation": validation, "test": test}
    return {
        split: open_source(text, where if split == "train" else {}, start_progress)
        for split, text in given.items()
        if text is not None
    }


def _read_splits(
    opened: Mapping[str, Source],
    source: str | Path,
    settings: PrepareSettings,
    report: PrepareReport,
    workers: int,
    start_progress: StartProgress,
) -> dict[str, list[Record]]:
    """Return the records of all sources by split, before any is split by fractions.

    Raises:
        SettingError: the source of train has splits that the settings contradict.
    """
    where = settings.where or {}
    own = _read_source(opened["train"], settings, report, workers, start_progress, where)
    held_out = {
        split: _records_of_split(
            _read_source(opened[split], settings, report, workers, start_progress, {}), split
        )
        for split in opened
        if split != "train"
    }
    splits = _join_splits(own, held_out, source)
    own_splits = own.keys() - {""}
    if settings.split and own_splits:
        raise SettingError(
            f"{source} has the splits {', '.join(s for s in SPLITS if s in own_splits)}; leave "
            "out --split, or choose rows with --where split=..."
        )
    return splits


def _read_source(
    source: Source,
    settings: PrepareSettings,
    report: PrepareReport,
    workers: int,
    start_progress: StartProgress,
    where: Mapping[str, str],
) -> dict[str, list[Record]]:
    """Return the records of a source by split, under `""` if it has no splits."""
    met: dict[str, list[Record]] = {}
    seen: set[tuple[str, str]] = set()
    selection = StandardizeSettings(
        settings.standard, settings.max_atoms, settings.symprec, settings.lenient
    )
    try:
        advance = start_progress(f"reading {source.name}", source.estimate_size())
        for record in standardize_pieces(
            report.note_pieces(source.pieces(), where), selection, workers
        ):
            advance(1)
            _collect_record(record, met, seen, report)
    except InputError as error:
        text = str(error)
        raise InputError(text if source.name in text else f"{source.name}: {text}") from None
    if not met:
        raise _nothing_left_error(source.name, report, where)
    splits = {name: SPLIT_NAMES.get(name.lower(), "") for name in met}
    if "train" not in splits.values() or len(splits) == 1:
        # The words mean something else, or there is only one of them.
        return {"": [record for records in met.values() for record in records]}
    if unknown := [name for name, split in splits.items() if not split]:
        raise InputError(
            f"{source.name} has the splits {', '.join(name or '(none)' for name in met)}; expected "
            f"train, val and test, and nothing else than {unknown[0] or 'rows without one'!r}. "
            "Choose rows with --where split=..."
        )
    joined: dict[str, list[Record]] = {}
    for name, split in splits.items():
        joined.setdefault(split, []).extend(met[name])
    return joined


def _collect_record(
    record: Record,
    met: dict[str, list[Record]],
    seen: set[tuple[str, str]],
    report: PrepareReport,
) -> None:
    if record.failure is not None:
        report.add_skipped(record.name, record.failure.kind, record.failure.message)
        return
    if record.id:
        if (record.split, record.id) in seen:
            report.add_skipped(record.name, "with the id of an earlier row")
            return
        seen.add((record.split, record.id))
    for note in record.notes:
        report.add_note(record.name, note)
    met.setdefault(record.split, []).append(record)


def _records_of_split(splits: dict[str, list[Record]], split: str) -> list[Record]:
    if "" in splits:
        return splits[""]
    if split not in splits:
        raise InputError(
            f"the source of --{split} has the splits {', '.join(splits)}, but no {split}; expected "
            "that split, or a source without splits"
        )
    return splits[split]


def _join_splits(
    source_splits: dict[str, list[Record]], held_out: dict[str, list[Record]], source: str | Path
) -> dict[str, list[Record]]:
    splits = {"train": source_splits[""]} if "" in source_splits else source_splits
    if twice := splits.keys() & held_out.keys():
        raise SettingError(
            f"{source} has a split {min(twice)} already; leave out --{min(twice)}, or choose "
            "rows with --where split=train"
        )
    both = {**splits, **held_out}
    return {split: both[split] for split in SPLITS if split in both}


def _deduplicate_and_split(
    splits: dict[str, list[Record]],
    settings: PrepareSettings,
    fractions: dict[str, float] | None,
    report: PrepareReport,
    workers: int,
    start_progress: StartProgress,
) -> dict[str, list[Record]]:
    """Leave out duplicates, handle crystals on both sides of a split, and split by structure."""
    train = splits["train"]
    known = [(s, record) for s, records in splits.items() if s != "train" for record in records]
    same = find_duplicates(
        [record.require_crystal() for record in train],
        [record.require_crystal() for _, record in known],
        drop_repeats=not settings.keep_duplicates,
        group=fractions is not None and fractions["train"] < 1,
        workers=workers,
        start_progress=start_progress,
    )
    for i, first in sorted(same.repeats.items()):
        report.add_skipped(
            train[i].name,
            f"equal to an earlier one ({describe_tolerances(REPEAT_TOLERANCES)})",
            train[first].name,
        )
    kept = [i for i in range(len(train)) if i not in same.repeats]
    if same.held_out:
        report.overlap = _describe_overlap(train, known, same.held_out)
        if settings.overlap == "refuse":
            raise InputError(
                f"{report.overlap}. Published splits, such as MP-20's and Carbon-24's, have such "
                "pairs. --drop-overlap leaves these crystals of train out, so that scores say "
                "something; --allow-overlap keeps them, so that scores compare with published ones"
            )
        if settings.overlap == "drop":
            report.overlap += "; these crystals of train were left out"
            for i in sorted(same.held_out):
                report.add_skipped(
                    train[i].name, "of train held out as well", known[same.held_out[i]][1].name
                )
            kept = [i for i in kept if i not in same.held_out]
    if not kept:
        raise InputError("no crystal is left in train: all of them are held out as well")
    if fractions is None:
        return {**splits, "train": [train[i] for i in kept]}
    assigned = assign_splits([same.groups[i] for i in kept], fractions, settings.seed)
    made = {split: splits.get(split, []) for split in SPLITS if split in splits or fractions[split]}
    made["train"] = []
    for i, split in zip(kept, assigned, strict=True):
        made[split].append(train[i])
    return made


def _describe_overlap(
    train: list[Record], held_out: list[tuple[str, Record]], matches: dict[int, int]
) -> str:
    """Return how many crystals of train are held out as well, and which, in one sentence.

    A crystal in both validation and test is counted with validation.
    """
    splits = [held_out[k][0] for k in matches.values()]
    of = " and ".join(f"{splits.count(s):,} of {s}" for s in SPLITS if s in splits)
    examples = ", ".join(
        f"{train[i].name} is {held_out[k][1].name} of {held_out[k][0]}"
        for i, k in sorted(matches.items())[:MAX_EXAMPLES]
    )
    return (
        f"{len(matches):,} of the {len(train):,} crystals of train are held out as well, {of} "
        f"({describe_tolerances(SPLIT_TOLERANCES)}): "
        f"{examples}{', ...' if len(matches) > MAX_EXAMPLES else ''}"
    )


def _nothing_left_error(source: str, report: PrepareReport, where: Mapping[str, str]) -> InputError:
    if report.skip_counts:
        return InputError(f"nothing of {source} is left: {report}")
    return no_row_error(Path(source), where) if where else nothing_readable_error(Path(source), [])


def _describe_sources(opened: Mapping[str, Source]) -> dict[str, Any]:
    """Return the sources as in `store.json`."""
    held_out = {split: opened[split].describe() for split in SPLITS[1:] if split in opened}
    return {"source": opened["train"].describe(), **held_out}


def _describe_settings(
    settings: PrepareSettings, fractions: dict[str, float] | None
) -> dict[str, Any]:
    """Return the settings as in `store.json`, with defaults resolved."""
    return {
        **asdict(settings),
        "split": None if fractions is None else round_fractions(fractions),
        "repeated": asdict(REPEAT_TOLERANCES),
        "separate": asdict(SPLIT_TOLERANCES),
    }
