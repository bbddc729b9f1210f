"""A model in the hands of a Python program: draw crystals, complete them, score them.

Everything is done in the process that calls, on one thread for small models, so that the same seed
gives the same crystals as on the command line. For large numbers, `crystext sample` draws in
several processes and keeps what it has when it is stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from crystext.conditions import CONDITION_NAMES, Conditions
from crystext.conditions.keywords import ConditionKwargs
from crystext.errors import SettingError, did_you_mean
from crystext.generation.infilling.complete import Infiller
from crystext.generation.infilling.result import InfillResult
from crystext.generation.infilling.specify import InfillSpec, SiteReference
from crystext.generation.rejection_sampling import sample_until_satisfied
from crystext.generation.requests import resolve_settings
from crystext.generation.results import InfillResults, Sample, Samples
from crystext.generation.sampling_run import SamplingRun, default_batch_size
from crystext.inference.likelihood import LikelihoodScorer, Score
from crystext.inference.samplers import Sampler, make_sampler
from crystext.inference.types import DEFAULT_CONSTRAINTS
from crystext.io.read import as_crystal
from crystext.io.read.partial_structures import (
    PartialStructure,
    partial_structure_of,
    read_partial_structure,
)
from crystext.models.layout import SHIPPED, default_format
from crystext.models.load import LoadedModel, load_model
from crystext.runtime.progress import progress_bar
from crystext.structures.crystal import Crystal
from crystext.tasks.generation import generation_prompt
from crystext.tasks.prompts import PromptSet
from crystext.text import get_format

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure


class CrystalLM:
    """A language model of crystals, ready to draw, to complete and to score them.

        lm = CrystalLM.load()
        lm.sample(100, composition="LiFePO4", space_group=62)

    One object serves one thread at a time.
    """

    def __init__(self, model: LoadedModel, name: str | None = None) -> None:
        """Take a model in memory; `load` is the usual way. The name is for people."""
        self.model, self.name = model, str(model.folder) if name is None else name
        self._sampler: tuple[object, Sampler] | None = None
        self._scorer: LikelihoodScorer | None = None
        self._infiller: tuple[object, Infiller] | None = None

    @classmethod
    def load(cls, source: str | Path = SHIPPED) -> Self:
        """Load a model.

        Args:
            source: `shipped`, a folder of a model or of an adapter, or OWNER/NAME on the Hub.

        Raises:
            ModelError: there is no such model, or it is incomplete, damaged or unsafe to load.
        """
        return cls(load_model(source), str(source))

    @property
    def prompts(self) -> PromptSet:
        """The words in which the model is asked."""
        return self.model.prompts

    def __repr__(self) -> str:
        weights = sum(p.numel() for p in self.model.network.parameters())
        return f"<CrystalLM {self.name}: {weights / 1e6:,.1f} million parameters>"

    def sample(
        self,
        n: int = 1,
        *,
        seed: int | None = 0,
        max_tries: int = 1,
        guidance: float = 1.0,
        temperature: float | None = None,
        element_temperature: float | None = None,
        coordinate_temperature: float | None = None,
        top_p: float = 1.0,
        max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms,
        min_distance: float = DEFAULT_CONSTRAINTS.min_distance_ratio,
        constrained: bool = True,
        batch_size: int | None = None,
        format: str | None = None,
        progress: bool | None = None,
        **conditions: Unpack[ConditionKwargs],
    ) -> Samples:
        """Draw crystals, any or such as are asked for.

        What can be seen to while a crystal is written is enforced, and the rest asked for in the
        prompt; the record of each sample tells which is which, and what came of it.

        Args:
            n: how many.
            seed: each crystal's random numbers follow from (seed, index) alone; a larger n adds to
                the crystals of a smaller one. None takes a random seed, which `Samples.seed` says.
            max_tries: draw a crystal again, this many texts in all, until every condition that can
                be checked is kept; the one that keeps most is taken.
            guidance: scale of what the conditions in the prompt change in the logits; above 1 the
                model obeys more, varies less and takes twice the time.
            temperature: 0 takes the most probable token; None is the model's own, else 1. If given,
                it is that of elements and coordinates too, unless these are given.
            element_temperature: that of elements, and of whether a further atom follows.
            coordinate_temperature: that of coordinates.
            top_p: draw from the most probable tokens that hold this share.
            max_atoms: most atoms in a cell.
            min_distance: least distance of atoms over the sum of their covalent radii; 0 is off.
            constrained: whether only texts that are crystals, and as asked, can be written.
            batch_size: texts drawn together, whole batches whatever n is, the first cut at 10,
                100, 250 and 500; None is 1,000 with a small model, 250 with another, and 50 with
                several tries.
            format: `wyckoff` for texts by symmetry, where the model knows them: the space group
                asked for, or one of the crystal system, is then enforced. None is the model's own.
            progress: whether to show a bar; None shows it on a terminal and in a notebook.
            **conditions: what is asked for, see `ConditionKwargs`.

        Raises:
            SettingError: a number out of range; conditions that are unknown, contradict each other
                or cannot be met.
            ModelError: the model cannot write a crystal, or none of that length.
        """
        samples = self.iter_samples(
            n,
            seed=seed,
            max_tries=max_tries,
            guidance=guidance,
            temperature=temperature,
            element_temperature=element_temperature,
            coordinate_temperature=coordinate_temperature,
            top_p=top_p,
            max_atoms=max_atoms,
            min_distance=min_distance,
            constrained=constrained,
            batch_size=batch_size,
            format=format,
            **conditions,
        )
        return Samples(_with_progress(samples, n, progress))

    def iter_samples(
        self,
        n: int = 1,
        *,
        seed: int | None = 0,
        max_tries: int = 1,
        guidance: float = 1.0,
        temperature: float | None = None,
        element_temperature: float | None = None,
        coordinate_temperature: float | None = None,
        top_p: float = 1.0,
        max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms,
        min_distance: float = DEFAULT_CONSTRAINTS.min_distance_ratio,
        constrained: bool = True,
        batch_size: int | None = None,
        format: str | None = None,
        **conditions: Unpack[ConditionKwargs],
    ) -> Iterator[Sample]:
        """Yield what `sample` returns, as it comes: a batch is drawn when it is reached.

        Takes what `sample` takes, and refuses the same before anything is drawn.
        """
        if isinstance(n, str):
            raise SettingError(
                f"n is {n!r}, and says how many crystals to draw; did you mean composition={n!r}?"
            )
        asked = _parse_conditions(conditions)
        settings = resolve_settings(
            self.model.folder,
            [asked],
            seed=seed,
            temperature=temperature,
            element_temperature=element_temperature,
            coordinate_temperature=coordinate_temperature,
            top_p=top_p,
            guidance=guidance,
            constrained=constrained,
        )
        if batch_size is None:
            batch_size = default_batch_size(self.model.folder, max_tries)
        run = SamplingRun(
            n,
            str(self.model.folder),
            settings,
            (asked,),
            max_atoms=max_atoms,
            min_distance_ratio=min_distance,
            batch_size=batch_size,
            max_tries=max_tries,
            format=default_format(self.model.folder) if format is None else format,
        )
        run.requests(self.prompts)
        self._sampler_for(run)
        return self._iter_run(run)

    def infill(
        self,
        structure: Crystal | Structure | Atoms | Sample | InfillResult | str | Path,
        *,
        species: Mapping[SiteReference, str | Sequence[str]] | None = None,
        coordinates: Collection[SiteReference] | SiteReference = (),
        cell: bool = False,
        add: Sequence[str] | str = (),
        candidates: Sequence[str] | str | None = None,
        exclude: Collection[str] | str = (),
        keep: Collection[str] | str = (),
        n: int = 20,
        ranked: bool | None = None,
        seed: int | None = 0,
        temperature: float | None = None,
        element_temperature: float | None = None,
        coordinate_temperature: float | None = None,
        top_p: float = 1.0,
        max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms,
        min_distance: float = DEFAULT_CONSTRAINTS.min_distance_ratio,
        batch_size: int = 250,
        progress: bool | None = None,
    ) -> InfillResults:
        """Fill in what of a structure is not known, or is to be another.

        What is given stays exactly as given: cell, elements, coordinates and labels of sites.
        Oxidation states and site properties such as magnetic moments are dropped, as they belong to
        the structure that was there before. Completions are without repetitions, the most probable
        first, or where the cell is to be found that of middle size, and each tells what it changes.

        Args:
            structure: a crystal, a sample or proposal, a pymatgen Structure, an ASE Atoms, or the
                path of a file; a CIF may have `?` where something is not known.
            species: what is to stand where, such as `{"Fe1": "?"}`: by element, then at all its
                sites and the same at each, by label, or by index from 0. `?` is any element,
                `similar` one like that which is there; else an element, or several to choose from.
            coordinates: sites whose coordinates are to be found, an element for all its sites;
                `all` for all.
            cell: whether lengths and angles are to be found.
            add: atoms that are missing: `2 O`, `2 ?`, or `...` for as many as the model likes;
                several one by one, or in one text with commas between them.
            candidates: elements that may stand for a `?`: several, or `similar`; None for any.
            exclude: elements that nothing is filled with, as in `sample`.
            keep: `space_group`, so that sites which it makes equal hold one element and what has
                another group is left out, and `cell`, which is kept unless it is to be found; one,
                or a list.
            n: completions that are drawn, or elements that are ranked.
            ranked: whether elements are ranked by their probability rather than drawn, which is
                done where a single one is not known unless this is False.
            seed: of the draws; None takes a random one, which `InfillResults.seed` says.
            temperature: of the draws, as in `sample`; None is the model's own, else 1.
            element_temperature, coordinate_temperature: those of elements and of coordinates.
            top_p: draw from the most probable tokens that hold this share.
            max_atoms: most atoms of a crystal to which atoms are added.
            min_distance: least distance of atoms over the sum of their covalent radii; 0 is off.
            batch_size: completions drawn together.
            progress: whether to show a bar; None shows it on a terminal and in a notebook.

        Raises:
            InputError: the structure cannot be read, or not be completed in that way.
            SettingError: something is asked for that is not there or makes no sense.
            ModelError: the model knows too few positions, or cannot write crystals.
        """
        settings = resolve_settings(
            self.model.folder,
            seed=seed,
            temperature=temperature,
            element_temperature=element_temperature,
            coordinate_temperature=coordinate_temperature,
            top_p=top_p,
        )
        exclude = Conditions.from_keywords(exclude=exclude).exclude
        key = settings, min_distance, max_atoms, exclude, batch_size
        if self._infiller is None or self._infiller[0] != key:
            infiller = Infiller(
                self.model,
                settings,
                min_distance_ratio=min_distance,
                max_atoms=max_atoms,
                exclude=exclude,
                batch_size=batch_size,
            )
            self._infiller = key, infiller
        spec = InfillSpec(species or {}, coordinates, cell, add, candidates)
        with (
            progress_bar("completing", n, progress) as report,
            _single_threaded_if_small(self.model),
        ):
            result = self._infiller[1].infill(
                _read_sites(structure), spec, n, keep=keep, ranked=ranked, report=report
            )
        return InfillResults(result.results, result, settings.seed)

    def score(
        self,
        crystal: Crystal | Structure | Atoms | Sample | InfillResult | str | Path,
        *,
        translations: int = 0,
        seed: int = 0,
        format: str | None = None,
        **conditions: Unpack[ConditionKwargs],
    ) -> Score:
        """Return the log-probability of a crystal under the model: whole, per site and per token.

        What is scored is the plain text of the crystal, where nobody says otherwise, unconstrained.
        `Sample.log_probability` is that of the text that was drawn, mostly one by symmetry, under
        the constraints: the two are not to be compared.

        Args:
            crystal: a crystal, a sample or proposal, a pymatgen Structure, an ASE Atoms, or a path.
            translations: average over this many random translations of the crystal, as its text
                and so its score depend on where the origin is; 0 scores it as it stands. Of the
                text by symmetry, this many equivalent descriptions.
            seed: of the translations.
            format: `wyckoff` for the text by symmetry, behind the prompt that asks for it; its
                score has no sites. None is the plain text, in the model's own decimals.
            **conditions: what the prompt asks for, as in `sample`; nothing is enforced here.

        Raises:
            InputError: it is no crystal, or one that the format cannot hold.
            SettingError: conditions that make no sense, or a format that the model does not write.
            ModelError: its text is longer than the model can read.
        """
        (score,) = self.score_all(
            [crystal], translations=translations, seed=seed, format=format, **conditions
        )
        return score

    def score_all(
        self,
        crystals: Sequence[Crystal | Structure | Atoms | Sample | InfillResult | str | Path],
        *,
        translations: int = 0,
        seed: int = 0,
        format: str | None = None,
        **conditions: Unpack[ConditionKwargs],
    ) -> list[Score]:
        """Return the score of each crystal, many at once, and of the text that `score` says."""
        fmt = self.model.format if format is None else get_format(format)
        prompt = generation_prompt(
            self.prompts, _prompt_properties(_parse_conditions(conditions)), wyckoff=fmt.is_wyckoff
        )
        taken = [as_crystal(crystal) for crystal in crystals]
        if self._scorer is None:
            self._scorer = LikelihoodScorer(self.model)
        with _single_threaded_if_small(self.model):
            return self._scorer.score(
                taken, prompt, format=fmt, translations=translations, seed=seed
            )

    def _iter_run(self, run: SamplingRun) -> Iterator[Sample]:
        (asked,), (request,) = run.conditions, run.requests(self.prompts)
        sampler = self._sampler_for(run)
        for batch in run.iter_batches():
            with _single_threaded_if_small(self.model):
                attempts = sample_until_satisfied(
                    sampler,
                    request,
                    asked,
                    range(batch.start, batch.start + batch.size),
                    fmt=self.model.format,
                    constrained=run.settings.constrained,
                    max_attempts_per_sample=run.max_tries,
                )
            for attempt in attempts[: run.n - batch.start]:
                yield Sample.from_attempt(attempt, request.prompt, run.settings.seed)

    def _sampler_for(self, run: SamplingRun) -> Sampler:
        """Return the sampler of a campaign, the last one if it draws in the same way."""
        key = run.settings, run.text_format
        if self._sampler is None or self._sampler[0] != key:
            self._sampler = key, make_sampler(self.model, *key)
        return self._sampler[1]


def _parse_conditions(keywords: Any) -> Conditions:
    """Return what is asked for; a name that is no condition may be meant for another keyword."""
    for name in keywords:
        if name not in CONDITION_NAMES:
            known = [*CONDITION_NAMES, *signature(CrystalLM.sample).parameters]
            raise SettingError(
                f"nothing can be asked for by the name {name!r}; there are "
                f"{', '.join(CONDITION_NAMES)}." + did_you_mean(name, known)
            )
    return Conditions.from_keywords(**keywords)


def _prompt_properties(conditions: Conditions) -> dict[str, str]:
    """Return the lines of a prompt, or refuse what no line says: a score cannot depend on it."""
    silent = [*conditions.not_in_prompt(), *(["neutral"] if conditions.neutral else [])]
    if silent:
        raise SettingError(
            f"no line of a prompt says {silent[0]!r}, so a score cannot depend on it; leave it out"
        )
    return conditions.prompt_properties()


_SINGLE_THREAD_PARAMETERS = 100_000_000
"""Parameters below which a network is run on one thread: more would hardly be faster."""


@contextmanager
def _single_threaded_if_small(model: LoadedModel) -> Iterator[None]:
    """Run a small network on one thread: sums that are split over threads round otherwise."""
    import torch

    if sum(p.numel() for p in model.network.parameters()) > _SINGLE_THREAD_PARAMETERS:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _read_sites(
    structure: Crystal | Structure | Atoms | Sample | InfillResult | str | Path,
) -> PartialStructure:
    """Return the sites of whatever holds a structure, with its own labels where they differ."""
    if isinstance(structure, str | Path):
        return read_partial_structure(structure)
    crystal = as_crystal(structure)
    labels = [str(label) for label in getattr(structure, "labels", ())]
    return partial_structure_of(crystal, labels if len(set(labels)) == len(crystal) else ())


def _with_progress(samples: Iterator[Sample], n: int, progress: bool | None) -> Iterator[Sample]:
    """Yield samples under a bar."""
    with progress_bar("drawing", n, progress) as report:
        for done, sample in enumerate(samples, start=1):
            yield sample
            report(done)
