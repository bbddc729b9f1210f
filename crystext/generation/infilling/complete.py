"""Completions of a partial crystal by a model, the best first (see `order`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from crystext.conditions import Conditions
from crystext.conditions.constraints import Constraints
from crystext.errors import SettingError, did_you_mean
from crystext.generation.infilling.ranking import rank_keys
from crystext.generation.infilling.result import (
    Proposal,
    changes_between,
    is_crowded,
    labels_after,
    numbered,
)
from crystext.generation.infilling.specify import Blanks, blank, words
from crystext.generation.infilling.symmetry import share_by_orbit, space_group_of
from crystext.inference.element_ranking import Ranker, is_one_choice
from crystext.inference.samplers import Sampler, make_sampler
from crystext.inference.types import ORDINARY, DrawSettings, Request
from crystext.io.read.partial_structures import Sites
from crystext.metrics.uniqueness import duplicates_of
from crystext.models.load import LoadedModel
from crystext.runtime.validate import whole_number
from crystext.structures.crystal import Crystal
from crystext.structures.matching import PYMATGEN
from crystext.tasks.infilling import infill_prompt
from crystext.text.partial import PartialCrystal

KEEPABLE = ("space_group", "cell")
"""What a completion can be asked to keep."""


@dataclass(frozen=True, eq=False)
class Infilling:
    """All that came of one partial crystal."""

    proposals: tuple[Proposal, ...]
    sites: Sites
    """What was given, and places of added atoms."""
    partial: PartialCrystal
    prompt: str
    drawn: int
    """Texts that were drawn; 0 where elements were ranked by their probability."""
    repeated: int
    """Texts among them that gave a crystal that is there already."""
    cut_off: int
    """Texts among them for which the model knew too few positions."""
    dropped: int
    """Proposals left out because they do not keep what was to be kept."""
    space_group: int | None
    """That which was to be kept; None where none was."""


@dataclass(frozen=True, eq=False)
class _Job:
    """A structure to be completed."""

    partial: PartialCrystal
    sites: Sites
    request: Request
    space_group: int | None
    """To be kept."""


@dataclass(frozen=True)
class _Text:
    """A completion, and how often it was drawn."""

    text: str
    log_probability: float
    drawn: int


class Filler:
    """A model, ready to complete crystals."""

    def __init__(
        self,
        model: LoadedModel,
        settings: DrawSettings | None = None,
        *,
        distance_scale: float = ORDINARY.distance_scale,
        max_atoms: int = ORDINARY.max_atoms,
        exclude: Collection[str] | str = (),
        batch_size: int = 250,
    ) -> None:
        """Set up.

        Args:
            model: the model.
            settings: how it is drawn from.
            distance_scale: see `Constraints`.
            max_atoms: most atoms of a crystal to which atoms are added.
            exclude: elements that nothing is filled with, as `Conditions.of` takes them.
            batch_size: completions that are drawn together.

        Raises:
            SettingError: a number out of range, or an unknown element.
        """
        batch_size = whole_number("batch_size", batch_size)
        if batch_size < 1:
            raise SettingError(f"a batch size of {batch_size}: expected 1 or more; try 250")
        self.model, self.settings, self.batch_size = model, settings or DrawSettings(), batch_size
        if not self.settings.constrained:
            raise SettingError(
                "completions are always constrained: what is given could not be kept otherwise"
            )
        self.constraints = Constraints(
            max_atoms=max_atoms,
            distance_scale=distance_scale,
            exclude=Conditions.of(exclude=exclude).exclude,
        )
        self._sampler: Sampler | None = None
        self._ranker: Ranker | None = None

    def fill(
        self,
        sites: Sites,
        blanks: Blanks,
        n: int = 20,
        *,
        keep: Collection[str] | str = (),
        ranked: bool | None = None,
        report: Callable[[int], object] = lambda done: None,
    ) -> Infilling:
        """Complete one structure.

        Args:
            sites: the structure, as far as it is known.
            blanks: what of it is to be filled in.
            n: completions that are drawn; of ranked elements, how many are listed.
            keep: one or several of `KEEPABLE`. A space group is said to the model, sites that it
                makes equal hold one element, and proposals that have another group are left out;
                the cell is kept unless `blanks` asks for it.
            ranked: whether elements are ranked by their probability rather than drawn, which can
                be done where one element is all that is not known; None does it where it can.
            report: called with the number of completions drawn so far.

        Raises:
            SettingError: something is asked for that is not there, or cannot be kept.
            InputError: the structure cannot be completed in that way.
            ModelError: the model knows too few positions, or cannot write crystals.
        """
        return self.fill_all([(sites, blanks)], n, keep=keep, ranked=ranked, report=report)[0]

    def fill_all(
        self,
        asked: Sequence[tuple[Sites, Blanks]],
        n: int = 20,
        *,
        keep: Collection[str] | str = (),
        ranked: bool | None = None,
        report: Callable[[int], object] = lambda done: None,
    ) -> list[Infilling]:
        """Complete many structures, as `fill` does each; elements of all are ranked together."""
        n, keep = whole_number("n", n), words(keep)
        if n < 1:
            raise SettingError(f"{n} completions: expected 1 or more")
        jobs = [self._job(sites, blanks, keep) for sites, blanks in asked]
        choices = [is_one_choice(job.partial) for job in jobs]
        if ranked and not all(choices):
            raise SettingError(
                "elements can be ranked where a single one is all that is not known; leave the "
                "ranking out to draw completions"
            )
        by_rank = [i for i, one in enumerate(choices) if one and ranked is not False]
        found = dict(zip(by_rank, self._rank([jobs[i] for i in by_rank], n), strict=True))
        infillings = []
        for i, job in enumerate(jobs):
            texts = found[i] if i in found else self._draw(job, n, report)
            infillings.append(self._judged(job, texts, ranked=i in found))
        return infillings

    def _job(self, sites: Sites, blanks: Blanks, keep: Sequence[str]) -> _Job:
        for name in keep:
            if name not in KEEPABLE:
                raise SettingError(
                    f"{name!r} cannot be kept; expected {' or '.join(KEEPABLE)}."
                    + did_you_mean(name, KEEPABLE)
                )
        if "cell" in keep and blanks.cell:
            raise SettingError("the cell is to be found and to be kept; ask for one of the two")
        partial, before = blank(sites, blanks, self.constraints.max_atoms)
        group = None
        if "space_group" in keep:
            group = space_group_of(sites)
            partial = share_by_orbit(partial, sites)
        return _Job(partial, before, self._request(partial, group), group)

    def _request(self, partial: PartialCrystal, group: int | None) -> Request:
        prompts = self.model.prompts
        given = partial.given(self.model.format, prompts.marks)
        if partial.is_one_element:
            prompt = prompts.render("infill_element", crystal=given)
        else:
            conditions = {}
            if partial.more[0] == partial.more[1] > 0:
                conditions["n_atoms"] = str(len(partial) + partial.more[1])
            if group is not None:
                conditions["space_group"] = str(group)
            known = {k: v for k, v in conditions.items() if k in prompts.conditions}
            prompt = infill_prompt(given, prompts, known)
        return Request(prompt, self.constraints, partial=partial)

    def _rank(self, jobs: list[_Job], n: int) -> list[list[_Text]]:
        if not jobs:
            return []
        self._ranker = self._ranker or Ranker(self.model)
        ranks = self._ranker.rank([job.request for job in jobs])
        return [[_Text(c.symbol, c.log_probability, 0) for c in rank[:n]] for rank in ranks]

    def _draw(self, job: _Job, n: int, report: Callable[[int], object]) -> list[_Text]:
        """Draw texts, and count those that are equal as one."""
        self._sampler = self._sampler or make_sampler(self.model, self.settings)
        texts: dict[str, _Text] = {}
        for start in range(0, n, self.batch_size):
            batch = range(start, min(start + self.batch_size, n))
            for drawn in self._sampler.draw(job.request, batch):
                before = texts.get(drawn.text)
                count = 1 + (before.drawn if before else 0)
                texts[drawn.text] = _Text(drawn.text, drawn.log_probability, count)
            report(batch.stop)
        return list(texts.values())

    def _judged(self, job: _Job, texts: list[_Text], *, ranked: bool) -> Infilling:
        fmt = self.model.format
        read = [(text, job.partial.complete(text.text, fmt).crystal) for text in texts]
        whole = [(text, crystal) for text, crystal in read if crystal is not None]
        cut_off = sum(text.drawn for text, crystal in read if crystal is None)
        keys = rank_keys(job.partial, [(c, t.log_probability, t.drawn) for t, c in whole])
        order = sorted(range(len(whole)), key=lambda i: (keys[i], whole[i][0].text))
        whole = [whole[i] for i in order]
        if not ranked:
            whole = _without_repetitions(whole)
        judged = []
        for text, crystal in whole:
            judged.append(
                Proposal(
                    index=0,
                    crystal=crystal,
                    labels=labels_after(job.sites, crystal),
                    log_probability=round(text.log_probability, 4),
                    text=text.text,
                    drawn=text.drawn,
                    changes=tuple(changes_between(job.sites, crystal)),
                    crowded=is_crowded(crystal, job.partial, self.constraints.distance_scale),
                )
            )
        if job.space_group is not None:
            judged = [replace(p, kept=p.space_group == job.space_group) for p in judged]
        kept = [proposal for proposal in judged if proposal.matched]
        kept.sort(key=lambda proposal: proposal.crowded)
        drawn = sum(text.drawn for text in texts)
        return Infilling(
            proposals=numbered(kept),
            sites=job.sites,
            partial=job.partial,
            prompt=job.request.prompt,
            drawn=drawn,
            repeated=0 if ranked else drawn - cut_off - len(judged),
            cut_off=cut_off,
            dropped=len(judged) - len(kept),
            space_group=job.space_group,
        )


def _without_repetitions(found: list[tuple[_Text, Crystal]]) -> list[tuple[_Text, Crystal]]:
    """Return the first of those that are one crystal, with how often all of them were drawn."""
    twins = duplicates_of([crystal for _, crystal in found], tolerances=PYMATGEN)
    counts = [text.drawn for text, _ in found]
    for i, twin in enumerate(twins):
        if twin is not None:
            counts[twin] += counts[i]
    return [
        (replace(text, drawn=count), crystal)
        for (text, crystal), twin, count in zip(found, twins, counts, strict=True)
        if twin is None
    ]
