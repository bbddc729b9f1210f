"""Completions of a partial crystal by a model, the best first (see `ranking`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import SettingError, did_you_mean
from crystext.generation.infilling.ranking import rank_keys
from crystext.generation.infilling.result import (
    InfillResult,
    changes_between,
    closest_contact_problem,
    completed_labels,
    has_atoms_too_close,
    with_ranks,
)
from crystext.generation.infilling.specify import InfillSpec, specify, split_names
from crystext.generation.infilling.symmetry import (
    requested_settings,
    settings_of_structure,
    share_elements_by_orbit,
    space_group_of,
)
from crystext.grammar.infilling import is_single_element
from crystext.inference.generate import TextGenerator
from crystext.inference.types import DEFAULT_CONSTRAINTS, Request, SamplingSettings
from crystext.io.read.partial_structures import PartialStructure
from crystext.metrics.uniqueness import duplicates_of
from crystext.runtime.validate_numbers import whole_number
from crystext.structures.crystal import Crystal
from crystext.structures.matching import PYMATGEN_TOLERANCES
from crystext.structures.wyckoff.setting import GroupSetting
from crystext.tasks.infilling import infill_prompt
from crystext.text.partial import PartialCrystal

if TYPE_CHECKING:
    from crystext.generation.infilling.complete_with_symmetry import WyckoffCompleter
    from crystext.generation.infilling.wyckoff_task import WyckoffTask
    from crystext.inference.element_ranking import ElementRanker
    from crystext.models.load import LoadedModel

KEEP_OPTIONS = ("space_group", "cell")
"""What completions can preserve."""


@dataclass(frozen=True, eq=False)
class InfillRun:
    """The completions of one partial crystal."""

    results: tuple[InfillResult, ...]
    sites: PartialStructure
    """What was given, and places of added atoms."""
    partial: PartialCrystal
    prompt: str
    texts_drawn: int
    """Number of sampled texts; 0 if elements were ranked by their probability."""
    duplicates: int
    """Number of these texts that repeat another crystal."""
    truncated: int
    """Number of these texts that exceeded the model's maximum length."""
    rejected: int
    """Number of results left out because they do not keep the space group, or of texts that do not
    agree with known coordinates or a formula."""
    space_group: int | None
    """The space group to keep, or to complete in; None if any is accepted."""
    only_space_group: bool = True
    """Whether completions in another space group are left out."""
    potential: str = ""
    """Name of the potential with which the completions are relaxed; empty if they are not."""


@dataclass(frozen=True, eq=False)
class InfillTask:
    """A structure and the partial crystal to complete."""

    partial: PartialCrystal
    sites: PartialStructure
    """What is given, and places of added atoms."""
    space_group: int | None
    """The space group to keep; None if any is accepted."""
    wyckoff: WyckoffTask | None = None
    """Set if orbits of a space group are completed."""


def make_infill_task(
    sites: PartialStructure,
    spec: InfillSpec,
    *,
    keep: Collection[str] | str = (),
    space_group: int | str | None = None,
    constraints: Constraints = DEFAULT_CONSTRAINTS,
) -> InfillTask:
    """Return the task, checked before any model is loaded.

    Args:
        sites: the structure, with unknown parts.
        spec: what to fill in.
        keep: one or several of `KEEP_OPTIONS`. With `space_group`, the prompt names it, equivalent
            sites hold one element, and completions in another group are left out; the cell is kept
            unless `spec` makes it unknown.
        space_group: number or symbol of the space group in which missing atoms are found orbit by
            orbit; `file` is that which the file declares, and the default for a file that lists
            an asymmetric unit with `?`.
        constraints: elements that are not filled in, and the maximum number of atoms of a crystal
            to which atoms are added.

    Raises:
        SettingError: a site does not exist, or something cannot be kept.
        InputError: the structure cannot be completed in that way.
    """
    keep = split_names(keep)
    for name in keep:
        if name not in KEEP_OPTIONS:
            raise SettingError(
                f"{name!r} cannot be kept; expected {' or '.join(KEEP_OPTIONS)}."
                + did_you_mean(name, KEEP_OPTIONS)
            )
    if "cell" in keep and spec.cell:
        raise SettingError("the cell is both unknown and to be kept; choose one")
    partial, before = specify(sites, spec, constraints.max_atoms)
    _check_candidates(partial, before.labels, constraints.exclude)
    strict = "space_group" in keep
    settings: list[GroupSetting] = []
    if space_group is not None or sites.unit is not None:
        settings = requested_settings(space_group, partial, before)
    elif strict and (partial.unknown.positions or partial.missing_atoms[1]):
        settings = settings_of_structure(sites)
    if settings:
        from crystext.generation.infilling.wyckoff_task import make_wyckoff_task

        made = make_wyckoff_task(partial, before, settings, constraints, strict=strict)
        return InfillTask(partial, before, made.number, made)
    if not strict:
        return InfillTask(partial, before, None)
    group = space_group_of(sites)
    return InfillTask(share_elements_by_orbit(partial, sites), before, group)


def _check_candidates(
    partial: PartialCrystal, labels: Sequence[str], exclude: Collection[str]
) -> None:
    """Raise `SettingError` if all elements that may be filled in somewhere are excluded."""
    places = {labels[site]: names for site, names in partial.candidates.items()}
    if partial.missing_candidates:
        places["the missing atoms"] = partial.missing_candidates
    for place, names in places.items():
        if set(names) <= set(exclude):
            raise SettingError(
                f"the elements allowed at {place} ({', '.join(names)}) are all excluded; exclude "
                "fewer, or allow another element"
            )


@dataclass(frozen=True)
class _CompletionText:
    """A completion, and how often it was sampled."""

    text: str
    log_probability: float
    times_drawn: int


class Infiller:
    """A model, ready to complete crystals."""

    def __init__(
        self,
        model: LoadedModel,
        settings: SamplingSettings | None = None,
        constraints: Constraints = DEFAULT_CONSTRAINTS,
        batch_size: int = 250,
    ) -> None:
        """Set up.

        Args:
            model: the model.
            settings: the sampling settings.
            constraints: maximum number of atoms of a crystal to which atoms are added, minimum
                distance of atoms, and elements that are not filled in.
            batch_size: number of completions sampled together.

        Raises:
            SettingError: a number out of range.
        """
        self.settings = settings or SamplingSettings()
        self.key = self.settings, constraints, batch_size
        """The arguments of the constructor."""
        self.model, self.constraints = model, constraints
        self.batch_size = whole_number("batch_size", batch_size)
        if self.batch_size < 1:
            raise SettingError(f"a batch size of {batch_size}: expected 1 or more; try 250")
        if not self.settings.constrained:
            raise SettingError(
                "completions are always constrained; known values could not be kept otherwise"
            )
        self._generator = TextGenerator(model, self.settings)
        self._ranker: ElementRanker | None = None
        self._completer: WyckoffCompleter | None = None

    def infill(
        self,
        sites: PartialStructure,
        spec: InfillSpec,
        n: int = 20,
        *,
        keep: Collection[str] | str = (),
        space_group: int | str | None = None,
        ranked: bool | None = None,
        report: Callable[[int], object] = lambda done: None,
    ) -> InfillRun:
        """Complete one structure.

        Args:
            sites, spec, keep, space_group: see `make_infill_task`.
            n: number of completions to sample, or of ranked elements to list; with a space group,
                of different completions.
            ranked: whether elements are ranked by their probability rather than sampled, which is
                possible if a single element is all that is unknown; None ranks if possible.
            report: called with the number of completions sampled so far.

        Raises:
            SettingError: a site does not exist, or something cannot be kept.
            InputError: the structure cannot be completed in that way.
            ModelError: the model knows too few positions, or cannot write crystals.
        """
        task = make_infill_task(
            sites, spec, keep=keep, space_group=space_group, constraints=self.constraints
        )
        return self.complete([task], n, ranked=ranked, report=report)[0]

    def infill_all(
        self,
        structures: Sequence[tuple[PartialStructure, InfillSpec]],
        n: int = 20,
        *,
        keep: Collection[str] | str = (),
        ranked: bool | None = None,
        report: Callable[[int], object] = lambda done: None,
    ) -> list[InfillRun]:
        """Complete many structures, as `infill` does each; elements of all are ranked together."""
        tasks = [
            make_infill_task(*each, keep=keep, constraints=self.constraints) for each in structures
        ]
        return self.complete(tasks, n, ranked=ranked, report=report)

    def complete(
        self,
        tasks: Sequence[InfillTask],
        n: int = 20,
        *,
        ranked: bool | None = None,
        report: Callable[[int], object] = lambda done: None,
    ) -> list[InfillRun]:
        """Complete structures, as `infill` does; elements of all are ranked together."""
        n = whole_number("n", n)
        if n < 1:
            raise SettingError(f"{n} completions: expected 1 or more")
        choices = [task.wyckoff is None and is_single_element(task.partial) for task in tasks]
        if ranked and not all(choices):
            raise SettingError(
                "elements can be ranked only if a single element is all that is unknown; leave "
                "out the ranking to sample completions"
            )
        if any(task.wyckoff is not None for task in tasks):
            return [self._complete_one(task, n, ranked, report) for task in tasks]
        requests = [self.request(task) for task in tasks]
        by_rank = [i for i, one in enumerate(choices) if one and ranked is not False]
        rankings = self._rank([requests[i] for i in by_rank], n)
        ranks = dict(zip(by_rank, rankings, strict=True))
        runs = []
        for i, (task, request) in enumerate(zip(tasks, requests, strict=True)):
            texts = ranks[i] if i in ranks else self._draw(request, n, report)
            runs.append(self._collect_results(task, request.prompt, texts, ranked=i in ranks))
        return runs

    def _complete_one(
        self, task: InfillTask, n: int, ranked: bool | None, report: Callable[[int], object]
    ) -> InfillRun:
        """Complete one of several structures, some of them in a space group."""
        if task.wyckoff is None:
            return self.complete([task], n, ranked=ranked, report=report)[0]
        from crystext.generation.infilling.complete_with_symmetry import WyckoffCompleter

        self._completer = self._completer or WyckoffCompleter(
            self.model, self.settings, self.constraints, self.batch_size
        )
        run = self._completer.complete(task.wyckoff, n, report)
        return InfillRun(
            results=run.results,
            sites=task.sites,
            partial=task.partial,
            prompt=run.prompt,
            texts_drawn=run.texts_drawn,
            duplicates=run.duplicates,
            truncated=0,
            rejected=run.rejected,
            space_group=task.space_group,
            only_space_group=task.wyckoff.strict,
        )

    def request(self, task: InfillTask) -> Request:
        """Return the request for the completion of a structure."""
        partial, group = task.partial, task.space_group
        prompts = self.model.prompts
        given = partial.known_text(self.model.format, prompts.marks)
        if partial.is_element_infilling:
            prompt = prompts.render("infill_element", crystal=given)
        else:
            conditions = {}
            if partial.missing_atoms[0] == partial.missing_atoms[1] > 0:
                conditions["n_atoms"] = str(len(partial) + partial.missing_atoms[1])
            if group is not None:
                conditions["space_group"] = str(group)
            known = {k: v for k, v in conditions.items() if k in prompts.conditions}
            prompt = infill_prompt(given, prompts, known)
        return Request(prompt, self.constraints, partial=partial)

    def _rank(self, requests: list[Request], n: int) -> list[list[_CompletionText]]:
        from crystext.inference.element_ranking import ElementRanker

        if not requests:
            return []
        self._ranker = self._ranker or ElementRanker(self.model)
        ranks = self._ranker.rank(requests)
        return [
            [_CompletionText(c.symbol, c.log_probability, 0) for c in rank[:n]] for rank in ranks
        ]

    def _draw(
        self, request: Request, n: int, report: Callable[[int], object]
    ) -> list[_CompletionText]:
        """Sample texts, and count equal ones together."""
        texts: dict[str, _CompletionText] = {}
        done = 0
        for batch in self._generator.draw_batches(request, n, self.batch_size):
            for drawn in batch:
                before = texts.get(drawn.text)
                count = 1 + (before.times_drawn if before else 0)
                texts[drawn.text] = _CompletionText(drawn.text, drawn.log_probability, count)
            done += len(batch)
            report(done)
        return list(texts.values())

    def _collect_results(
        self, task: InfillTask, prompt: str, texts: list[_CompletionText], *, ranked: bool
    ) -> InfillRun:
        fmt = self.model.format
        read = [(text, task.partial.decode_completion(text.text, fmt).crystal) for text in texts]
        whole = [(text, crystal) for text, crystal in read if crystal is not None]
        cut_off = sum(text.times_drawn for text, crystal in read if crystal is None)
        keys = rank_keys(task.partial, [(c, t.log_probability, t.times_drawn) for t, c in whole])
        order = sorted(range(len(whole)), key=lambda i: (keys[i], whole[i][0].text))
        whole = [whole[i] for i in order]
        if not ranked:
            whole = _merge_duplicates(whole)
        judged = []
        for text, crystal in whole:
            too_close = has_atoms_too_close(
                crystal, task.partial, self.constraints.min_distance_ratio
            )
            judged.append(
                InfillResult(
                    index=0,
                    crystal=crystal,
                    labels=completed_labels(task.sites, crystal),
                    log_probability=round(text.log_probability, 4),
                    text=text.text,
                    times_drawn=text.times_drawn,
                    changes=tuple(changes_between(task.sites, crystal)),
                    atoms_too_close=too_close,
                    problem=closest_contact_problem(crystal) if too_close else "",
                )
            )
        if task.space_group is not None:
            judged = [
                replace(p, keeps_space_group=p.space_group == task.space_group) for p in judged
            ]
        kept = [proposal for proposal in judged if proposal.satisfied]
        kept.sort(key=lambda result: result.atoms_too_close)
        drawn = sum(text.times_drawn for text in texts)
        return InfillRun(
            results=with_ranks(kept),
            sites=task.sites,
            partial=task.partial,
            prompt=prompt,
            texts_drawn=drawn,
            duplicates=0 if ranked else drawn - cut_off - len(judged),
            truncated=cut_off,
            rejected=len(judged) - len(kept),
            space_group=task.space_group,
        )


def _merge_duplicates(
    completions: list[tuple[_CompletionText, Crystal]],
) -> list[tuple[_CompletionText, Crystal]]:
    """Return the first of equal completions, with the number of all of them."""
    twins = duplicates_of([crystal for _, crystal in completions], tolerances=PYMATGEN_TOLERANCES)
    counts = [text.times_drawn for text, _ in completions]
    for i, twin in enumerate(twins):
        if twin is not None:
            counts[twin] += counts[i]
    return [
        (replace(text, times_drawn=count), crystal)
        for (text, crystal), twin, count in zip(completions, twins, counts, strict=True)
        if twin is None
    ]
