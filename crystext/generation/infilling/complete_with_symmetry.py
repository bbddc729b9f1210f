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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import InputError, ModelError, SettingError
from crystext.generation.infilling.clusters import Candidate, Cluster, cluster
from crystext.generation.infilling.orbit_task import (
    OrbitTask,
    as_numbers,
    atom_counts,
    make_orbit_task,
    standard_cell,
)
from crystext.generation.infilling.result import (
    InfillResult,
    changes_between,
    closest_contact_problem,
    completed_labels,
    group_problem,
    has_atoms_too_close,
    with_ranks,
)
from crystext.grammar.fields import FieldKind
from crystext.grammar.wyckoff.token_reader import WyckoffTokenReader
from crystext.inference.crystal_vocabulary_sampler import BatchSampler
from crystext.inference.orbit_completion import CellToFill, CompletionVocabulary
from crystext.inference.types import Request, SamplingSettings
from crystext.io.read.cif.build import METRIC_TOLERANCE
from crystext.io.read.partial_structures import PartialStructure
from crystext.metrics.uniqueness import duplicates_of
from crystext.models.plain_llama import why_unsupported
from crystext.structures.close_pairs import iter_contacts
from crystext.structures.crystal import Floats, basis_vectors
from crystext.structures.matching import PYMATGEN_TOLERANCES
from crystext.structures.properties import cell_formula
from crystext.structures.wyckoff.metric_tensor import consistent_cells, fill_tied
from crystext.structures.wyckoff.setting import GroupSetting
from crystext.tasks.crystal_generation import generation_prompt
from crystext.text import WYCKOFF
from crystext.text.partial import PartialCrystal

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
class WyckoffTask:
    """A crystal to complete in a space group."""

    number: int
    """Of the space group."""
    settings: tuple[OrbitTask, ...]
    """The settings that the known part allows, with what their orbits have to cover."""
    partial: PartialCrystal
    sites: PartialStructure
    strict: bool
    """Whether completions in which spglib finds another space group are left out."""


def make_wyckoff_task(
    partial: PartialCrystal,
    sites: PartialStructure,
    settings: Sequence[GroupSetting],
    constraints: Constraints,
    *,
    strict: bool = False,
) -> WyckoffTask:
    """Return the task, checked before any model is loaded.

    Args:
        partial: made from the structure; atoms that were added come last.
        sites: the structure, and places of added atoms.
        settings: of the space group, those that may be meant.
        constraints: elements that are not filled in, and the maximum number of atoms.
        strict: whether completions in another space group are left out.

    Raises:
        InputError: the cell contradicts the group, or no set of Wyckoff positions holds the missing
            atoms.
        SettingError: the number of atoms to add is open.
    """
    lengths, angles = _tied_cell(settings[0], partial)
    filled = replace(partial, lengths=lengths, angles=angles)
    tasks, refusal = [], None
    for setting in settings:
        try:
            tasks.append(
                make_orbit_task(setting, filled, sites, constraints.exclude, constraints.max_atoms)
            )
        except InputError as error:
            refusal = refusal or error
    if not tasks:
        assert refusal is not None, "there is a setting"
        raise refusal
    return WyckoffTask(settings[0].number, tuple(tasks), partial, sites, strict)


def _tied_cell(setting: GroupSetting, partial: PartialCrystal) -> tuple[Floats, Floats]:
    """Return lengths and angles with those filled in that symmetry ties to known ones."""
    cells = consistent_cells(setting.rotations, partial.lengths, partial.angles, METRIC_TOLERANCE)
    if not cells:
        raise InputError(
            "the known lengths and angles of its cell contradict its symmetry operations; correct "
            "them, or leave them open (?)"
        )
    return fill_tied(partial.lengths, partial.angles, cells)


def _free_parameters(task: OrbitTask) -> tuple[float | None, ...]:
    """Return the free parameters of the standard cell; None where the file leaves them open."""
    if task.lattice is not None:
        return tuple(standard_cell(task, task.lattice))
    cells = consistent_cells(
        task.setting.rotations, task.partial.lengths, task.partial.angles, METRIC_TOLERANCE
    )
    first, second = (standard_cell(task, basis_vectors(*cell)) for cell in cells)
    return tuple(a if abs(a - b) < 1e-4 else None for a, b in zip(first, second, strict=True))


class _Plan(NamedTuple):
    """A batch of texts to sample."""

    vocabulary: CompletionVocabulary
    settings: SamplingSettings
    texts: int


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
        self._ids = WyckoffTokenReader(model.tokenizer)
        self._scorer: LikelihoodScorer | None = None

    def complete(
        self, task: WyckoffTask, n: int, report: Callable[[int], object] = lambda done: None
    ) -> WyckoffRun:
        """Return up to `n` completions, the most probable first.

        Raises:
            InputError: no completion agrees with what is known.
        """
        candidates: dict[tuple[str, int], Candidate] = {}
        drawn, rejected, prompt = 0, 0, ""
        share = max(1, -(-DRAWS_PER_COMPLETION * n // len(task.settings)))
        for place, setting in enumerate(task.settings):
            cell = CellToFill(
                setting.lattice, _free_parameters(setting), self._constraints.min_distance_ratio
            )
            prompt = self._prompt(setting)
            for plan in self._plans(setting, cell, share):
                for text, times in self._draw(plan, prompt).items():
                    drawn += times
                    made = _read(plan.vocabulary, text, setting, (prompt, place))
                    if made is None:
                        rejected += times
                    else:
                        candidates.setdefault((made.text, place), made).times_drawn += times
                report(min(n, drawn * n // (share * len(task.settings))))
        if not candidates:
            raise InputError(
                "no completion agrees with all that is known (coordinates, formula, number of "
                "atoms); expected an orbit that has the known coordinates. Leave more of them open"
            )
        kept, duplicates = self._rank(task, list(candidates.values()), n)
        left_out = len(kept)
        if task.strict:
            kept = [each for each in kept if each[0].space_group == task.number]
        results = [replace(result, times_drawn=times) for result, times in kept[:n]]
        return WyckoffRun(
            with_ranks(results), prompt, drawn, duplicates, rejected + left_out - len(kept)
        )

    def _prompt(self, task: OrbitTask) -> str:
        prompts = self._model.prompts
        lines = {"space_group": str(task.setting.number)}
        if counts := atom_counts(task):
            lines = {"formula": cell_formula(as_numbers(counts)), **lines}
        known = {name: value for name, value in lines.items() if name in prompts.conditions}
        try:
            return generation_prompt(prompts, known, WYCKOFF)
        except SettingError as error:
            raise ModelError(
                f"a space group is asked for, and this model has no Wyckoff texts: {error}"
            ) from None

    def _plans(self, task: OrbitTask, cell: CellToFill, share: int) -> Iterator[_Plan]:
        """Yield the batches of texts for one setting."""
        free = CompletionVocabulary(self._ids, [task.gaps], cell)
        # Elements are not to vary, but to be probable.
        cool = self._settings
        if cool.temperature_of(FieldKind.ELEMENT) > 1.0:
            cool = replace(cool, element_temperature=1.0)
        yield _Plan(free, cool, max(1, share // 2))
        sets = task.gaps.assignments(MAX_ASSIGNMENTS)
        fixed = CompletionVocabulary(self._ids, sets, cell)
        warm = cool
        if cool.temperature_of(FieldKind.COORDINATE) < 1.0:
            warm = replace(cool, coordinate_temperature=1.0)
        yield _Plan(fixed, warm, max(share - share // 2, min(2 * len(sets), share)))

    def _draw(self, plan: _Plan, prompt: str) -> dict[str, int]:
        """Return texts with how often each was sampled."""
        sampler = BatchSampler(self._model, plan.settings, plan.vocabulary)
        request = Request(prompt, self._constraints, format=WYCKOFF)
        texts: dict[str, int] = {}
        for start in range(0, plan.texts, self._batch_size):
            batch = range(start, min(plan.texts, start + self._batch_size))
            for attempt in sampler.draw(request, batch):
                texts[attempt.text] = texts.get(attempt.text, 0) + 1
        return texts

    def _rank(
        self, task: WyckoffTask, candidates: list[Candidate], n: int
    ) -> tuple[list[tuple[InfillResult, int]], int]:
        """Return results with how often each was sampled, the best first, and the duplicates."""
        self._score(candidates)
        ratio = self._constraints.min_distance_ratio
        for each in candidates:
            crystal, requested = each.filled.crystal, each.filled.requested
            each.too_close = has_atoms_too_close(crystal, requested, ratio)
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

    def _score(self, candidates: list[Candidate]) -> None:
        from crystext.inference.likelihood import LikelihoodScorer

        self._scorer = self._scorer or LikelihoodScorer(self._model)
        for prompt in dict.fromkeys(each.prompt for each in candidates):
            some = [each for each in candidates if each.prompt == prompt]
            scored = self._scorer.score_texts(prompt, [each.text for each in some])
            for each, score in zip(some, scored, strict=True):
                each.score = score.total


def _read(
    vocabulary: CompletionVocabulary, text: str, task: OrbitTask, origin: tuple[str, int]
) -> Candidate | None:
    """Return what a text of the sampler completes; None if known values rule it out."""
    cell = vocabulary.cell
    parameters = list(cell.free_parameters)
    if cell.lattice is None:
        words = text.rpartition("\n")[2].split(" ")
        parameters = [
            float(word) if known is None else known
            for word, known in zip(words, parameters, strict=True)
        ]
    filled = task.fill(vocabulary.placements[text], [x for x in parameters if x is not None])
    if filled is None:
        return None
    return Candidate(filled, WYCKOFF.encode_wyckoff(filled.wyckoff), *origin)


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
