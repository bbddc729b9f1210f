"""Mix the sources into the training part: stages, ratios, and what happens when a source runs dry.

The length of the corpus is settled first, from what the sources have: as long as the shortest
source with `stop` (or `error`) allows, or `tokens` where that is less. So the stages keep their
proportions. A source with `error` that has less than `tokens` needs of it is refused before
anything is written.

A phase is a stretch with one set of weights: a stage, or the rest of one after a source has left
(`drop`). Within a phase, the ratio holds in every window (`scheduler`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crystext.corpus.document_table import TRAIN, DocumentTable
from crystext.corpus.recipe import CorpusRecipe
from crystext.corpus.scheduler import DeficitScheduler
from crystext.corpus.selection import Status
from crystext.corpus.source_reader import SourceReader
from crystext.corpus.write_packed import PartWriter
from crystext.errors import InputError

_REPORT_INTERVAL = 2**20
"""Tokens between two reports of progress."""


@dataclass
class SourceCounts:
    """What a stage took of a source."""

    tokens: int = 0
    documents: int = 0
    """Documents whose last token lies in the stage."""
    divided: int = 0
    """Documents that were divided to keep the ratio, so that another source came in between."""


@dataclass
class Phase:
    """A stretch of the training part with one set of weights."""

    stage: int
    first_token: int
    last_token: int
    """The one after its last token."""
    weights: dict[str, float]
    tokens: dict[str, int]
    largest_deviation: float
    """In any window of the phase, no source's proportion differs by more from its weight."""

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the manifest."""
        about = dict(vars(self))
        about["weights"] = {name: round(weight, 6) for name, weight in self.weights.items()}
        about["largest_deviation"] = round(self.largest_deviation, 6)
        return about


@dataclass
class Mixture:
    """The result of mixing."""

    counts: list[dict[str, SourceCounts]]
    """By stage and source."""
    phases: list[Phase] = field(default_factory=list)
    unfinished: set[str] = field(default_factory=set)
    """Sources of whose last document the end is missing, as the corpus or the stage ended first."""
    when_dry: list[dict[str, Any]] = field(default_factory=list)
    """What happened where a source ran dry: source, policy, position."""


def available_tokens(table: DocumentTable, status: Status, n_sources: int) -> list[int]:
    """Return how many training tokens each source has."""
    totals = [0] * n_sources
    for part in table.parts:
        chosen = status[part.start : part.start + part.documents] == TRAIN
        totals[part.source] += int(table.open(part).rows["tokens"][chosen].sum(dtype=np.int64))
    return totals


def corpus_length(recipe: CorpusRecipe, available: Sequence[int]) -> int | None:
    """Return how many tokens the training part should have; None: until all sources have ended.

    Raises:
        InputError: a source with `when_dry: error` has too few for `tokens`.
    """
    proportions = source_proportions(recipe)
    names = list(recipe.sources)
    ends = [
        math.floor(available[i] / proportions[name])
        for i, name in enumerate(names)
        if recipe.sources[name].when_dry == "stop"
        or (recipe.sources[name].when_dry == "error" and recipe.tokens is None)
    ]
    if recipe.tokens is None:
        return min(ends, default=None)
    length = min([recipe.tokens, *ends])
    missing = [
        f"{name} has {available[i]:,} tokens for training, and {round(length * share):,} are needed"
        for i, name in enumerate(names)
        if recipe.sources[name].when_dry == "error"
        and available[i] < (share := proportions[name]) * length
    ]
    if missing:
        listed = "".join(f"\n  {line}" for line in missing)
        raise InputError(
            f"sources are too small for tokens={length:,}:{listed}\nGive fewer tokens, or say what "
            "happens with when_dry: repeat, stop or drop"
        )
    return length


def source_proportions(recipe: CorpusRecipe) -> dict[str, float]:
    """Return the proportion of each source in the whole corpus."""
    found = dict.fromkeys(recipe.sources, 0.0)
    start = 0.0
    for stage in recipe.stages:
        total = sum(stage.weights.values())
        for name, weight in stage.weights.items():
            found[name] += weight / total * (stage.until - start)
        start = stage.until
    return found


class Mixer:
    """Mixes the sources of a recipe."""

    def __init__(
        self,
        recipe: CorpusRecipe,
        table: DocumentTable,
        status: Status,
        report: Callable[[int], object],
    ) -> None:
        """Prepare; `report` is called with the number of tokens written."""
        self.recipe, self.report = recipe, report
        self.names = list(recipe.sources)
        self.readers = [
            SourceReader(
                table,
                status,
                i,
                seed=recipe.seed,
                shuffle=recipe.shuffle,
                repeat=source.when_dry == "repeat",
            )
            for i, source in enumerate(recipe.sources.values())
        ]
        self.mixture = Mixture(
            [{name: SourceCounts() for name in stage.weights} for stage in recipe.stages]
        )
        self._tokens = self._next_report = 0
        self._last: int | None = None
        """Source of the last part, if its document is not complete."""

    def run(self, writer: PartWriter, length: int | None) -> Mixture:
        """Write the training part.

        Args:
            writer: of the part.
            length: of `corpus_length`.
        """
        self._mix(writer, length)
        for name, reader in zip(self.names, self.readers, strict=True):
            if reader.epoch:
                self.mixture.when_dry.append(
                    {"source": name, "policy": "repeat", "times": reader.epoch}
                )
            if reader.is_within_document:
                self.mixture.unfinished.add(name)
        return self.mixture

    def _mix(self, writer: PartWriter, length: int | None) -> None:
        left: set[str] = set()
        for s, stage in enumerate(self.recipe.stages):
            end = None if length is None else math.floor(length * stage.until)
            while weights := {x: w for x, w in stage.weights.items() if x not in left}:
                dry = self._run_phase(writer, s, weights, end)
                if dry is None:
                    break
                policy = self.recipe.sources[dry].when_dry
                self.mixture.when_dry.append(
                    {"source": dry, "policy": policy, "token": self._tokens, "stage": s}
                )
                if policy != "drop":
                    # Whole documents make the end of a stage late, so that the last one ends early.
                    return
                left.add(dry)

    def _run_phase(
        self, writer: PartWriter, stage: int, weights: dict[str, float], end: int | None
    ) -> str | None:
        """Mix until the end, and return None; or until a source is dry, and return its name."""
        by_index = {self.names.index(name): weight for name, weight in weights.items()}
        scheduler = DeficitScheduler(
            by_index, self.recipe.window_tokens, self.recipe.ratio_tolerance
        )
        limits = {i: scheduler.max_part_tokens(i) for i in by_index}
        first, dry = self._tokens, None
        while end is None or self._tokens < end:
            i = scheduler.next_source()
            part = self.readers[i].next_part(limits[i])
            if part is None:
                dry = self.names[i]
                break
            continues = not part.is_first and self._last == i
            writer.append(part.ids, i, stage, continues=continues)
            self._count(
                stage, i, part.ids, part.is_last, divided=not part.is_first and not continues
            )
            self._last = None if part.is_last else i
            scheduler.add(i, len(part.ids))
        if self._tokens > first:
            self.mixture.phases.append(
                Phase(
                    stage,
                    first,
                    self._tokens,
                    {self.names[i]: scheduler.proportion(i) for i in by_index},
                    {self.names[i]: scheduler.emitted[i] for i in by_index},
                    scheduler.largest_deviation(),
                )
            )
        return dry

    def _count(
        self, stage: int, source: int, ids: NDArray[Any], is_last: bool, *, divided: bool
    ) -> None:
        counts = self.mixture.counts[stage][self.names[source]]
        counts.tokens += len(ids)
        counts.documents += is_last
        counts.divided += divided
        self._tokens += len(ids)
        if self._tokens >= self._next_report:
            self.report(self._tokens)
            self._next_report = self._tokens + _REPORT_INTERVAL
