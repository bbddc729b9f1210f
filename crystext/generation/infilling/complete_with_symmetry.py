"""Completions of a crystal in a given space group: missing atoms are found orbit by orbit.

The known orbits are lines of a Wyckoff text, and the model writes the others. Half of the texts
choose their positions freely; the others share out all sets of positions that hold the missing
atoms, as far as they can be listed, with coordinates sampled at temperature 1 or the one asked for
if higher: so no set is left out because the model thinks little of it. The cell, which a text gives
last, is known mostly, so texts are compared by their probability with the cell,

    log p(space group, orbits, cell | prompt),

and not by how often they are sampled; those of nearly the same coordinates add up. Crystals that
pymatgen's matcher finds equal are one result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import InputError, ModelError
from crystext.generation.infilling.clusters import Cluster, cluster
from crystext.generation.infilling.element_search import Choice, probable_elements
from crystext.generation.infilling.orbit_texts import OrbitTexts
from crystext.generation.infilling.result import (
    InfillResult,
    changes_between,
    closest_contact_problem,
    completed_labels,
    group_problem,
    with_ranks,
)
from crystext.generation.infilling.wyckoff_task import WyckoffTask
from crystext.grammar.fields import FieldKind
from crystext.inference.orbit_completion import CompletionVocabulary
from crystext.inference.types import SamplingSettings
from crystext.metrics.uniqueness import duplicates_of
from crystext.models.plain_llama import why_unsupported
from crystext.structures.close_pairs import iter_contacts
from crystext.structures.matching import PYMATGEN_TOLERANCES
from crystext.text import WYCKOFF

if TYPE_CHECKING:
    from crystext.inference.likelihood import LikelihoodScorer
    from crystext.models.load import LoadedModel

DRAWS_PER_COMPLETION = 16
"""Texts that are sampled for each completion asked for."""

MAX_ASSIGNMENTS = 128
"""Maximum number of sets of positions that are tried one by one."""

_MAX_COMPARED = 5
"""Crystals compared by the matcher for each completion asked for, the most probable first."""

_SAME_PLACE = 0.2
"""Å; atoms that are closer are one atom twice."""


@dataclass(frozen=True, eq=False)
class WyckoffRun:
    """The completions of a crystal in a space group."""

    results: tuple[InfillResult, ...]
    prompt: str
    texts_drawn: int
    duplicates: int
    rejected: int


class WyckoffCompleter:
    """A model, ready to complete crystals in a space group."""

    def __init__(
        self,
        model: LoadedModel,
        settings: SamplingSettings,
        constraints: Constraints,
        batch_size: int,
    ) -> None:
        """Set up.

        Raises:
            ModelError: the model does not write Wyckoff texts in tokens of the crystal vocabulary.
        """
        reason = why_unsupported(model.network)
        if reason is not None or not CompletionVocabulary.fits(model, WYCKOFF):
            raise ModelError(
                "a space group is asked for, and this model cannot complete in one: "
                + (reason or "its tokens are not those of Wyckoff texts")
                + "; expected a model with the crystal vocabulary, such as --model shipped"
            )
        self._model, self._settings = model, settings
        self._constraints, self._batch_size = constraints, batch_size

    @cached_property
    def _scorer(self) -> LikelihoodScorer:
        from crystext.inference.likelihood import LikelihoodScorer

        return LikelihoodScorer(self._model)

    def complete(
        self, task: WyckoffTask, n: int, report: Callable[[int], object] = lambda done: None
    ) -> WyckoffRun:
        """Return up to `n` completions, the most probable first.

        Raises:
            InputError: no completion agrees with what is known.
        """
        texts = OrbitTexts(self._model, self._scorer, self._constraints, self._batch_size, task)
        # Elements are not to vary, but to be probable.
        cool = self._settings
        if cool.temperature_of(FieldKind.ELEMENT) > 1.0:
            cool = replace(cool, element_temperature=1.0)
        choices = probable_elements(texts, task, cool)
        share = max(1, -(-DRAWS_PER_COMPLETION * n // len(choices)))
        for done, choice in enumerate(choices, start=1):
            self._sample(texts, choice, cool, share)
            report(n * done // len(choices))
        if not texts.candidates:
            raise InputError(
                "no completion agrees with all that is known (coordinates, formula, number of "
                "atoms); expected an orbit that has the known coordinates. Leave more of them open"
            )
        kept, duplicates = self._rank(task, texts, n)
        left_out = len(kept)
        if task.strict:
            kept = [each for each in kept if each[0].space_group == task.number]
        results = [replace(result, times_drawn=times) for result, times in kept[:n]]
        rejected = texts.rejected + left_out - len(kept)
        return WyckoffRun(with_ranks(results), texts.prompt, texts.drawn, duplicates, rejected)

    def _sample(
        self, texts: OrbitTexts, choice: Choice, settings: SamplingSettings, share: int
    ) -> None:
        """Sample texts that choose positions freely, and texts of each set of positions."""
        place, gaps = choice
        texts.sample(place, [gaps], settings, max(1, share // 2))
        sets = gaps.assignments(MAX_ASSIGNMENTS)
        if settings.temperature_of(FieldKind.COORDINATE) < 1.0:
            settings = replace(settings, coordinate_temperature=1.0)
        texts.sample(place, sets, settings, max(share - share // 2, min(2 * len(sets), share)))

    def _rank(
        self, task: WyckoffTask, texts: OrbitTexts, n: int
    ) -> tuple[list[tuple[InfillResult, int]], int]:
        """Return results with how often each was sampled, the best first, and the duplicates."""
        candidates = list(texts.candidates.values())
        texts.score(candidates)
        # Coordinates at which an orbit has fewer atoms than its position are no crystal.
        candidates = [
            each
            for each in candidates
            if not each.too_close or next(iter_contacts(each.filled.crystal)).distance > _SAME_PLACE
        ]
        clusters = cluster(candidates)
        clusters.sort(key=lambda each: (each.best.too_close, -each.score, each.best.text))
        compared = clusters[: max(_MAX_COMPARED * n, 50)]
        twins = duplicates_of(
            [each.best.filled.crystal for each in compared], tolerances=PYMATGEN_TOLERANCES
        )
        times = [each.times_drawn for each in compared]
        for i, twin in enumerate(twins):
            if twin is not None:
                times[twin] += times[i]
        kept = [
            (_result(task, each), count)
            for each, count, twin in zip(compared, times, twins, strict=True)
            if twin is None
        ]
        kept.sort(key=lambda pair: (pair[0].atoms_too_close, bool(pair[0].problem)))
        duplicates = sum(each.times_drawn for each in candidates) - len(kept)
        return kept, duplicates


def _result(task: WyckoffTask, cluster: Cluster) -> InfillResult:
    candidate = cluster.best
    filled = candidate.filled
    result = InfillResult(
        index=0,
        crystal=filled.crystal,
        labels=completed_labels(filled.before, filled.crystal),
        log_probability=round(cluster.score, 4),
        text=candidate.text,
        times_drawn=cluster.times_drawn,
        changes=tuple(changes_between(filled.before, filled.crystal)),
        atoms_too_close=candidate.too_close,
        orbits=filled.orbits,
    )
    problem = ""
    if candidate.too_close:
        problem = closest_contact_problem(filled.crystal)
    elif result.space_group != task.number:
        problem = group_problem(result.space_group)
    return replace(
        result,
        problem=problem,
        keeps_space_group=result.space_group == task.number if task.strict else None,
    )
