"""Turns sources of crystals into a store: read, standardise, select, compare, split, write.

Knows the order of the steps and what is refused. Knows nothing of training, nor of the store's
layout (`store`). The store depends on the sources and the settings alone, not on the machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from crystext.data.duplicates import REPEATED, SEPARATE, compare
from crystext.data.prepare_report import SHOWN, PrepareReport, named
from crystext.data.progress import Begin, progress_bars
from crystext.data.source import Source, open_source
from crystext.data.split import DEFAULT_SHARES, assign, parse_shares
from crystext.data.standardize import Outcome, Selection, outcomes
from crystext.data.store import ABOUT, SPLITS, check_place, write_store
from crystext.errors import InputError, RunError, SettingError
from crystext.io.read import no_row, nothing_readable
from crystext.io.read.tables import SPLIT_NAMES
from crystext.runtime.processes import cores
from crystext.structures.record import Record

Overlap = Literal["refuse", "allow", "drop"]
"""What is done about crystals of train that validation or test hold too."""


@dataclass(frozen=True)
class Settings:
    """How a store is made of its sources."""

    standard: bool = True
    """Whether crystals are brought into their standard description (see `standardize`)."""
    symprec: float = 0.1
    """Tolerance of that in Å."""
    max_atoms: int | None = None
    """Cells with more atoms, counted after standardising, are skipped."""
    where: Mapping[str, str] | None = None
    """For tables, the value that each of these columns must have; not for held-out sources."""
    split: str | None = None
    """Shares of train, validation and test; None takes `DEFAULT_SHARES` where nothing else says
    what is held out, and otherwise leaves all of the source in train."""
    seed: int = 0
    """Of the split."""
    keep_duplicates: bool = False
    """Whether crystals of train that repeat an earlier one are kept. Held-out ones always are: as
    published, their scores compare."""
    overlap: Overlap = "refuse"
    lenient: bool = False
    """Whether files that contradict themselves are read where one reading exists, with a note."""


def prepare(
    source: str | Path,
    out: str | Path,
    settings: Settings = Settings(),
    *,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> PrepareReport:
    """Write the crystals of a source to a store.

    A space group that the source gives is kept as the label; where it gives none and the crystals
    are standardised, the label is what spglib finds.

    Args:
        source: see `open_source`. If it has splits of its own, they are kept.
        out: folder of the store; one that is there is replaced if it was made of the same crystals
            by the same settings.
        settings: what is done with the crystals.
        validation: source of crystals to choose models by. Of one with splits of its own, its
            validation split is taken.
        test: source of crystals to score models by, likewise.
        workers: processes; None takes one for each processor that may be used. A script that asks
            for more than one must have its `if __name__ == "__main__":`.
        progress: whether progress is shown on standard error.

    Raises:
        InputError: nothing in a source can be read, nothing is left to write, or crystals to learn
            from are held out as well.
        SettingError: a number that makes no sense, settings that contradict each other, or a column
            that is not there.
        RunError: the place cannot be written or is full, or holds a store made otherwise, or a
            worker process died.
    """
    out = Path(out)
    if workers is None:
        workers = cores()
    shares = _checked(settings, validation, test, workers)
    check_place(out)
    report = PrepareReport()
    asked = {"train": source, "validation": validation, "test": test}
    with progress_bars(progress) as begin:
        opened = {
            split: open_source(text, (settings.where or {}) if split == "train" else {}, begin)
            for split, text in asked.items()
            if text is not None
        }
        sources = _sources(opened)
        _check_older(out, {**sources, "settings": _about(settings, shares)})
        own = _read(opened["train"], settings, report, workers, begin, settings.where or {})
        held_out = {
            split: _of_split(_read(opened[split], settings, report, workers, begin, {}), split)
            for split in opened
            if split != "train"
        }
        splits = _join(own, held_out, source)
        own_splits = own.keys() - {""}
        if settings.split and own_splits:
            raise SettingError(
                f"{source} has the splits {', '.join(s for s in SPLITS if s in own_splits)}; leave "
                "out --split, or choose rows with --where split=..."
            )
        if shares is None and len(splits) == 1:
            shares = parse_shares(DEFAULT_SHARES)
        splits = _separate(splits, settings, shares, report, workers, begin)
    report.count(splits)
    about = {
        **sources,
        "settings": _about(settings, shares),
        "report": report.as_dict(),
    }
    write_store(out, splits, about)
    return report


def _checked(
    settings: Settings, validation: object, test: object, workers: int
) -> dict[str, float] | None:
    """Return the shares that are asked for, if settings make sense."""
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
    shares = parse_shares(settings.split)
    for split, given in (("validation", validation), ("test", test)):
        if given is not None and shares[split] > 0:
            raise SettingError(
                f"--split {settings.split} takes crystals of the source for {split}, and --{split} "
                f"names a source for it; make the share 0, or leave out --{split}"
            )
    return shares


def _read(
    source: Source,
    settings: Settings,
    report: PrepareReport,
    workers: int,
    begin: Begin,
    where: Mapping[str, str],
) -> dict[str, list[Record]]:
    """Return the crystals of a source by its splits, under `""` if it has none."""
    met: dict[str, list[Record]] = {}
    seen: set[tuple[str, str]] = set()
    selection = Selection(settings.standard, settings.max_atoms, settings.symprec, settings.lenient)
    try:
        advance = begin(f"reading {source.text}", source.size())
        for outcome in outcomes(source.pieces(), selection, workers):
            advance(1)
            _take(outcome, met, seen, report)
    except InputError as error:
        text = str(error)
        raise InputError(text if source.text in text else f"{source.text}: {text}") from None
    if not met:
        raise _nothing_left(source.text, report, where)
    splits = {name: SPLIT_NAMES.get(name.lower(), "") for name in met}
    if "train" not in splits.values() or len(splits) == 1:
        # Words that mean something else, or nothing to tell apart.
        return {"": [record for records in met.values() for record in records]}
    if unknown := [name for name, split in splits.items() if not split]:
        raise InputError(
            f"{source.text} has the splits {', '.join(name or '(none)' for name in met)}; expected "
            f"train, val and test, and nothing else than {unknown[0] or 'rows without one'!r}. "
            "Choose rows with --where split=..."
        )
    joined: dict[str, list[Record]] = {}
    for name, split in splits.items():
        joined.setdefault(split, []).extend(met[name])
    return joined


def _take(
    outcome: Outcome,
    met: dict[str, list[Record]],
    seen: set[tuple[str, str]],
    report: PrepareReport,
) -> None:
    if outcome.record is None:
        report.skip(outcome.name, outcome.reason, outcome.detail)
        return
    if outcome.id:
        if (outcome.split, outcome.id) in seen:
            report.skip(outcome.name, "with the id of an earlier row")
            return
        seen.add((outcome.split, outcome.id))
    for note in outcome.notes:
        report.note(outcome.name, note)
    met.setdefault(outcome.split, []).append(outcome.record)


def _of_split(splits: dict[str, list[Record]], split: str) -> list[Record]:
    if "" in splits:
        return splits[""]
    if split not in splits:
        raise InputError(
            f"the source of --{split} has the splits {', '.join(splits)}, but no {split}; expected "
            "one, or a source without splits"
        )
    return splits[split]


def _join(
    own: dict[str, list[Record]], held_out: dict[str, list[Record]], source: str | Path
) -> dict[str, list[Record]]:
    splits = {"train": own[""]} if "" in own else own
    if twice := splits.keys() & held_out.keys():
        raise SettingError(
            f"{source} has a split {min(twice)} of its own; leave out --{min(twice)}, or choose "
            "rows with --where split=train"
        )
    both = {**splits, **held_out}
    return {split: both[split] for split in SPLITS if split in both}


def _separate(
    splits: dict[str, list[Record]],
    settings: Settings,
    shares: dict[str, float] | None,
    report: PrepareReport,
    workers: int,
    begin: Begin,
) -> dict[str, list[Record]]:
    """Leave out repetitions, see to what is on both sides, and split by structure."""
    train = splits["train"]
    known = [(s, record) for s, records in splits.items() if s != "train" for record in records]
    same = compare(
        [record.crystal for record in train],
        [record.crystal for _, record in known],
        drop_repeats=not settings.keep_duplicates,
        group=shares is not None and shares["train"] < 1,
        workers=workers,
        begin=begin,
    )
    for i, first in sorted(same.repeats.items()):
        report.skip(
            train[i].name, f"equal to an earlier one ({named(REPEATED)})", train[first].name
        )
    kept = [i for i in range(len(train)) if i not in same.repeats]
    if same.held_out:
        report.overlap = _overlap(train, known, same.held_out)
        if settings.overlap == "refuse":
            raise InputError(
                f"{report.overlap}. Published splits, such as MP-20's and Carbon-24's, have such "
                "pairs. --drop-overlap leaves these crystals of train out, so that scores say "
                "something; --allow-overlap keeps them, so that scores compare with published ones"
            )
        if settings.overlap == "drop":
            report.overlap += "; these crystals of train were left out"
            for i in sorted(same.held_out):
                report.skip(
                    train[i].name, "of train held out as well", known[same.held_out[i]][1].name
                )
            kept = [i for i in kept if i not in same.held_out]
    if not kept:
        raise InputError("no crystal is left to learn from: all of train are held out as well")
    if shares is None:
        return {**splits, "train": [train[i] for i in kept]}
    assigned = assign([same.groups[i] for i in kept], shares, settings.seed)
    made = {split: splits.get(split, []) for split in SPLITS if split in splits or shares[split]}
    made["train"] = []
    for i, split in zip(kept, assigned, strict=True):
        made[split].append(train[i])
    return made


def _overlap(train: list[Record], known: list[tuple[str, Record]], pairs: dict[int, int]) -> str:
    """Return how many crystals of train are held out as well, and which, in one sentence.

    One that is in both validation and test is counted with validation.
    """
    splits = [known[k][0] for k in pairs.values()]
    of = " and ".join(f"{splits.count(s):,} of {s}" for s in SPLITS if s in splits)
    examples = ", ".join(
        f"{train[i].name} is {known[k][1].name} of {known[k][0]}"
        for i, k in sorted(pairs.items())[:SHOWN]
    )
    return (
        f"{len(pairs):,} of the {len(train):,} crystals of train are held out as well, {of} "
        f"({named(SEPARATE)}): {examples}{', ...' if len(pairs) > SHOWN else ''}"
    )


def _nothing_left(source: str, report: PrepareReport, where: Mapping[str, str]) -> InputError:
    if report.counts:
        return InputError(f"nothing of {source} is left: {report}")
    return no_row(Path(source), where) if where else nothing_readable(Path(source), [])


def _sources(opened: Mapping[str, Source]) -> dict[str, Any]:
    """Return what the store says of its sources."""
    held_out = {split: opened[split].about() for split in SPLITS[1:] if split in opened}
    return {"source": opened["train"].about(), **held_out}


def _check_older(out: Path, asked: dict[str, Any]) -> None:
    """Refuse to replace a store that was made of other crystals, or by other settings.

    Args:
        out: its folder, which may be missing.
        asked: what the new store will say of its sources and settings. Without a split, which
            splits the source has is not known yet; either way follows from the source.
    """
    if not (out / ABOUT).exists():
        return
    there = json.loads((out / ABOUT).read_text(encoding="utf-8"))
    # As JSON has it.
    asked = json.loads(json.dumps(asked))
    found = []
    for role in ("source", *SPLITS[1:]):
        old, new = there.get(role), asked.get(role)
        if _contents(old) != _contents(new):
            names = [_name(x) for x in (old, new)]
            also = " of other contents" if names[0] == names[1] else ""
            found.append(f"{role} {names[0]} there, {names[1]}{also} asked for")
    old, new = there.get("settings"), asked["settings"]
    # Stores of versions without --lenient were made without it.
    old = {"lenient": False, **(old if isinstance(old, dict) else {})}
    if new["split"] is None and old.get("split") == _written(parse_shares(DEFAULT_SHARES)):
        new["split"] = old["split"]
    found += [
        f"{key} {json.dumps(old.get(key))} there, {json.dumps(value)} asked for"
        for key, value in new.items()
        if old.get(key) != value
    ]
    if found:
        raise RunError(
            f"{out} holds a store made otherwise: {'; '.join(found)}. Name another folder, or "
            "remove this one if it is not needed"
        )


def _contents(source: object) -> object:
    """Return what tells whether two sources are the same crystals, wherever they lie."""
    if not isinstance(source, dict):
        return source
    return {key: value for key, value in source.items() if key not in ("name", "unreadable")}


def _name(source: object) -> str:
    return str(source.get("name") if isinstance(source, dict) else source or "none")


def _about(settings: Settings, shares: dict[str, float] | None) -> dict[str, Any]:
    """Return the settings as the store keeps them: with what they came to mean."""
    return {
        **asdict(settings),
        "split": None if shares is None else _written(shares),
        "repeated": asdict(REPEATED),
        "separate": asdict(SEPARATE),
    }


def _written(shares: dict[str, float]) -> dict[str, float]:
    return {split: round(share, 6) for split, share in shares.items()}
