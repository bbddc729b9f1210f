"""`CrystalLM`: sample crystals from a model, complete them and score them in Python.

Everything runs in the calling process, on one thread for small models, so that the same seed gives
the same crystals as on the command line. For large numbers, `crystext sample` runs several
processes, and a run that was stopped can be resumed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from crystext.conditions import Conditions
from crystext.conditions.keywords import ConditionKwargs
from crystext.conditions.sampling_constraints import Constraints
from crystext.discover.keywords import DiscoverKwargs
from crystext.generation.infilling.complete import Infiller, make_infill_task
from crystext.generation.infilling.specify import InfillSpec, SiteReference
from crystext.generation.keywords import (
    SampleKwargs,
    SamplingKwargs,
    SelectedSampleKwargs,
    parse_conditions,
    prompt_properties,
    refuse_renamed_keywords,
    split_keywords,
    split_selection,
)
from crystext.generation.rejection_sampling import iter_attempts
from crystext.generation.requests import resolve_settings
from crystext.generation.results import InfillResults, Sample, Samples
from crystext.generation.sampling_run import SamplingRun, make_sampling_run
from crystext.inference.generate import TextGenerator
from crystext.inference.threads import single_thread_if_small
from crystext.inference.types import DEFAULT_CONSTRAINTS
from crystext.io.read import as_crystal, as_crystals
from crystext.io.read.partial_structures import PartialStructure, as_partial_structure
from crystext.models.layout import SHIPPED, ModelFolder, open_model
from crystext.runtime.progress import iter_with_progress, progress_bar
from crystext.tasks.crystal_generation import generation_prompt
from crystext.tasks.prompts import PromptSet
from crystext.text import get_format

if TYPE_CHECKING:
    import pandas as pd

    from crystext.discover.explain.build import ExplainKwargs
    from crystext.discover.explain.explanation import Explanation
    from crystext.discover.history import Candidate
    from crystext.energies.potentials import PotentialSource
    from crystext.inference.likelihood import LikelihoodScorer, Score
    from crystext.io.read import CrystalSource
    from crystext.models.load import LoadedModel
    from crystext.predict.materials import Material


class CrystalLM:
    """A language model that samples, completes and scores crystals.

        lm = CrystalLM.load()
        lm.sample(100, composition="LiFePO4", space_group=62)

    One object serves one thread at a time.
    """

    def __init__(self, model: LoadedModel | ModelFolder, name: str | None = None) -> None:
        """Wrap a model; `load` is the usual way.

        Args:
            model: a model in memory, or its folder, from which it is loaded at first use.
            name: name for display.
        """
        self._loaded: LoadedModel | None
        if isinstance(model, ModelFolder):
            self.files, self._loaded = model, None
        else:
            self.files, self._loaded = model.files or open_model(model.folder), model
        self.name = str(self.files.path) if name is None else name
        self._generator: TextGenerator | None = None
        self._scorer: LikelihoodScorer | None = None
        self._infiller: Infiller | None = None

    @classmethod
    def load(cls, source: str | Path = SHIPPED) -> Self:
        """Load a model.

        Args:
            source: `shipped`, a folder of a model or of an adapter, or OWNER/NAME on the Hub.

        Raises:
            ModelError: the model does not exist, or is incomplete, damaged or unsafe to load.
        """
        from crystext.models.load import load_model

        return cls(load_model(source), str(source))

    @classmethod
    def open(cls, source: str | Path = SHIPPED) -> Self:
        """Return a model whose weights are loaded at first use; otherwise as `load`."""
        return cls(open_model(source), str(source))

    @property
    def model(self) -> LoadedModel:
        """The model in memory."""
        if self._loaded is None:
            from crystext.models.load import load_model

            self._loaded = load_model(self.files)
        return self._loaded

    @property
    def prompts(self) -> PromptSet:
        """The prompts that the model was trained with."""
        return self.files.prompts if self._loaded is None else self._loaded.prompts

    def __repr__(self) -> str:
        if self._loaded is None:
            return f"<CrystalLM {self.name}: not loaded yet>"
        weights = sum(p.numel() for p in self._loaded.network.parameters())
        return f"<CrystalLM {self.name}: {weights / 1e6:,.1f} million parameters>"

    @refuse_renamed_keywords
    def sample(
        self,
        n: int = 1,
        *,
        seed: int | None = 0,
        max_attempts_per_sample: int | None = None,
        guidance: float = 1.0,
        temperature: float | None = None,
        element_temperature: float | None = None,
        coordinate_temperature: float | None = None,
        cell_temperature: float | None = None,
        top_p: float = 1.0,
        max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms,
        min_distance_ratio: float = DEFAULT_CONSTRAINTS.min_distance_ratio,
        constrained: bool = True,
        batch_size: int | None = None,
        format: str | None = None,
        progress: bool | None = None,
        **conditions: Unpack[SelectedSampleKwargs],
    ) -> Samples:
        """Sample crystals, with or without conditions; keep all, or the best with `keep_best`.

        The grammar enforces conditions where possible; the prompt requests the others. Each sample
        records how each condition was handled, and whether it is satisfied.

        Args:
            n: number of samples.
            seed: each crystal's random numbers follow from (seed, index) alone; a larger n adds to
                the crystals of a smaller one. None takes a random seed, found in `Samples.seed`.
            max_attempts_per_sample: maximum number of texts sampled per crystal, until it satisfies
                every condition that can be checked; None is 100 with `oxidation` or `unit`, else 1.
            guidance: classifier-free guidance: scale of the change of the logits by the conditions
                in the prompt. Above 1, samples satisfy more, vary less and take twice the time.
            temperature: 0 takes the most probable token; None is the model's own, else 1. If given,
                it also applies to elements, coordinates and cells, unless theirs are given.
            element_temperature: temperature of elements, and of whether another atom follows.
            coordinate_temperature, cell_temperature: of coordinates; of the cell in the Wyckoff
                text, where it follows the atoms.
            top_p: sample from the most probable tokens that hold this much probability.
            max_atoms: most atoms in a cell.
            min_distance_ratio: least distance of atoms over the sum of their covalent radii; 0 is
                off.
            constrained: whether sampling is restricted to texts that are crystals and satisfy the
                conditions that the grammar enforces.
            batch_size: number of texts sampled together, in whole batches whatever n is, the first
                one split at 10, 100, 250 and 500; None is 1,000 with a small model, 250 with
                another, and 50 with several attempts per sample.
            format: name of the text format; None is the model's default. In the `wyckoff` format,
                if the model writes it, the space group or the crystal system is enforced.
            progress: whether to show a bar; None shows it on a terminal and in a notebook.
            **conditions: conditions on the crystals, see `ConditionKwargs`; and which samples are
                kept, see `SelectionKwargs`: `keep_best=10, by="energy"` are `SelectedSamples`.

        Raises:
            SettingError: a number is out of range; conditions are unknown, contradict each other or
                are infeasible.
            ModelError: the model cannot write crystals, or not of that length.
        """
        requested, selection = split_selection(conditions, n)
        run = self.sampling_run(
            n,
            [requested],
            seed=seed,
            max_attempts_per_sample=max_attempts_per_sample,
            guidance=guidance,
            temperature=temperature,
            element_temperature=element_temperature,
            coordinate_temperature=coordinate_temperature,
            cell_temperature=cell_temperature,
            top_p=top_p,
            max_atoms=max_atoms,
            min_distance_ratio=min_distance_ratio,
            constrained=constrained,
            batch_size=batch_size,
            format=format,
        )
        samples = Samples(iter_with_progress(self._iter_run(run), "drawing", n, progress))
        if selection is None:
            return samples
        from crystext.predict.choose_samples import choose_samples

        return choose_samples(samples, selection)

    @refuse_renamed_keywords
    def iter_samples(self, n: int = 1, **keywords: Unpack[SampleKwargs]) -> Iterator[Sample]:
        """Yield the samples of `sample` one by one: a batch is sampled when it is reached.

        Takes the arguments of `sample`, and rejects the same ones before sampling.
        """
        conditions, options = split_keywords(keywords)
        return self._iter_run(self.sampling_run(n, [conditions], **options))

    def sampling_run(
        self, n: int, conditions: Sequence[Conditions], **options: Unpack[SamplingKwargs]
    ) -> SamplingRun:
        """Return the run that `sample` executes; `generation.run` executes it in a folder.

        Args:
            n: number of crystals for each of the conditions.
            conditions: one or several sets of conditions on the crystals.
            **options: as in `sample`.

        Raises:
            SettingError, ModelError: as `sample`.
        """
        return make_sampling_run(self.files, n, conditions, **options)

    @refuse_renamed_keywords
    def infill(
        self,
        structure: CrystalSource | PartialStructure,
        *,
        species: Mapping[SiteReference, str | Sequence[str]] | None = None,
        coordinates: Collection[SiteReference] | SiteReference = (),
        cell: bool = False,
        add: Sequence[str] | str = (),
        max_atoms: int = DEFAULT_CONSTRAINTS.max_atoms,
        candidates: Sequence[str] | str | None = None,
        exclude: Collection[str] | str = (),
        keep: Collection[str] | str = (),
        space_group: int | str | None = None,
        relax: bool = False,
        potential: PotentialSource = "auto",
        n: int = 20,
        ranked: bool | None = None,
        seed: int | None = 0,
        temperature: float | None = None,
        element_temperature: float | None = None,
        coordinate_temperature: float | None = None,
        top_p: float = 1.0,
        min_distance_ratio: float = DEFAULT_CONSTRAINTS.min_distance_ratio,
        batch_size: int = 250,
        progress: bool | None = None,
    ) -> InfillResults:
        """Complete a structure with unknown or replaced parts.

        Known parts stay exactly as given: cell, elements, coordinates and site labels. Oxidation
        states and site properties such as magnetic moments are dropped, as they belong to the
        original structure. Completions have no duplicates and list their changes; the most probable
        comes first, or, if the cell is unknown, that of median volume.

        Args:
            structure: a crystal, a sample or an infill result, a pymatgen Structure, an ASE Atoms,
                or the path of a file; a CIF may have `?` for unknown values.
            species: new elements, such as `{"Fe1": "?"}`: by element (the same one at all its
                sites), by label, or by index from 0. `?` is any element, `similar` one similar to
                the present one; else an element, or several to choose from.
            coordinates: sites whose coordinates are unknown, an element for all its sites; `all`
                for all.
            cell: whether lengths and angles are unknown.
            add: atoms to add: `2 O`, `2 ?`, or `...` to let the model choose the number; several
                one by one, or in one text separated by commas.
            max_atoms: maximum number of atoms of a crystal to which atoms are added.
            candidates: elements allowed for a `?`: several, or `similar`; None for any.
            exclude: elements that are not filled in, as in `sample`.
            keep: `space_group`: equivalent sites hold one element, and completions in another group
                are left out; `cell`, which is kept unless it is unknown; one, or a list.
            space_group: number or symbol: missing atoms are found orbit by orbit on the Wyckoff
                positions of this group. `file` is the group that a CIF declares, and the default
                for one that lists an asymmetric unit with `?`.
            relax: whether completions are relaxed, known parts included, and those of one formula
                ranked by energy.
            potential: of the relaxation; see `energies.potentials`.
            n: number of completions to sample, or of elements to rank; with a space group, of
                different completions.
            ranked: whether elements are ranked by their probability rather than sampled, the
                default if a single element is all that is unknown.
            seed: as in `sample`; `InfillResults.seed` has a random one.
            temperature, element_temperature, coordinate_temperature, top_p: as in `sample`.
            min_distance_ratio, progress: as in `sample`.
            batch_size: number of completions sampled together.

        Raises:
            InputError: the structure cannot be read, or not completed in that way.
            SettingError: a site does not exist, or settings contradict each other.
            ModelError: the model knows too few positions, or cannot write crystals.
        """
        spec = InfillSpec(species or {}, coordinates, cell, add, candidates)
        constraints = Constraints(
            max_atoms=max_atoms,
            min_distance_ratio=min_distance_ratio,
            exclude=Conditions.from_keywords(exclude=exclude).exclude,
        )
        task = make_infill_task(
            as_partial_structure(structure),
            spec,
            keep=keep,
            space_group=space_group,
            constraints=constraints,
        )
        settings = resolve_settings(
            self.files,
            seed=seed,
            temperature=temperature,
            element_temperature=element_temperature,
            coordinate_temperature=coordinate_temperature,
            top_p=top_p,
        )
        key = settings, constraints, batch_size
        if self._infiller is None or self._infiller.key != key:
            self.files.require_generator()
            self._infiller = Infiller(self.model, *key)
        with (
            progress_bar("completing", n, progress) as report,
            single_thread_if_small(self.model.network),
        ):
            (result,) = self._infiller.complete([task], n, ranked=ranked, report=report)
        if relax:
            from crystext.generation.infilling.relaxed import relax_run

            with progress_bar("relaxing", len(result.results), progress) as report:
                result = relax_run(result, potential, report=report)
        return InfillResults(result.results, result, settings.seed)

    def discover(self, **keywords: Unpack[DiscoverKwargs]) -> Iterator[Candidate]:
        """Search new crystals as `crystext discover` does, and yield each as its round ends.

        Args:
            **keywords: conditions on the crystals as in `sample`; settings and limits of the
                search, see `discover.keywords.DiscoverKwargs`. With `out`, a folder, its search is
                continued, and the candidates that it has come first.

        Raises:
            SettingError: a number is out of range; no crystal can satisfy the conditions.
            ModelError: the model cannot write crystals, or a potential cannot be used.
            RunError: the folder holds something else.
        """
        from crystext.discover.open import run_search

        return run_search(self.files, keywords, model=self._loaded)

    def score(
        self,
        crystal: CrystalSource,
        *,
        translations: int = 0,
        seed: int = 0,
        format: str | None = None,
        **conditions: Unpack[ConditionKwargs],
    ) -> Score:
        """Return the log-probability of a crystal under the model: total, per site and per token.

        The scored text is in the model's own format by default, and unconstrained.
        `Sample.log_probability` is of the sampled text, mostly in the Wyckoff format, under the
        constraints: the two cannot be compared.

        Args:
            crystal: a crystal, a sample, a pymatgen Structure, an ASE Atoms, or a path.
            translations: average over this many random translations of the crystal, as its text and
                so its score depend on the origin; 0 scores it as given. In the Wyckoff format, this
                many equivalent descriptions.
            seed: seed of the translations.
            format: name of the text format, after the prompt that requests it; in the `wyckoff`
                format the score has no sites. None is the model's own.
            **conditions: conditions in the prompt, as in `sample`; nothing is enforced here.

        Raises:
            InputError: it is not a crystal, or the format cannot express it.
            SettingError: conditions are invalid, or the model does not write the format.
            ModelError: its text is longer than the model can read.
        """
        (score,) = self.score_all(
            [crystal], translations=translations, seed=seed, format=format, **conditions
        )
        return score

    def score_all(
        self,
        crystals: Sequence[CrystalSource],
        *,
        translations: int = 0,
        seed: int = 0,
        format: str | None = None,
        **conditions: Unpack[ConditionKwargs],
    ) -> list[Score]:
        """Return the score of each crystal, as `score` does, many at once."""
        fmt = self.model.format if format is None else get_format(format)
        properties = prompt_properties(parse_conditions(conditions))
        prompt = generation_prompt(self.prompts, properties, fmt)
        taken = as_crystals(crystals)
        if self._scorer is None:
            from crystext.inference.likelihood import LikelihoodScorer

            self._scorer = LikelihoodScorer(self.model)
        with single_thread_if_small(self.model.network):
            return self._scorer.score(
                taken, prompt, format=fmt, translations=translations, seed=seed
            )

    def explain(self, structure: CrystalSource, **options: Unpack[ExplainKwargs]) -> Explanation:
        """Return what speaks for a crystal and against it; `ExplainKwargs` has the options.

        Raises:
            CrystextError: it is not a crystal; a potential, the hull or a set does not exist.
        """
        from crystext.discover.explain.build import explain_crystal

        return explain_crystal(as_crystal(structure), self.score, **options)

    def predict(
        self,
        materials: Material | Iterable[Material],
        properties: Sequence[str] | None = None,
        *,
        views: int | None = None,
    ) -> pd.DataFrame:
        """Return predicted properties as a table; see `LanguagePredictor.table`.

        This model, or encoder, answers if it was trained to predict, else the shipped predictor.
        """
        from crystext.models.prediction_settings import SETTINGS_FILE
        from crystext.predict.open import open_predictor

        source = self.files if (self.files.path / SETTINGS_FILE).is_file() else SHIPPED
        return open_predictor(source).table(materials, properties, views=views)

    def _iter_run(self, run: SamplingRun) -> Iterator[Sample]:
        """Sample a run batch by batch; texts that the model cannot write are rejected at once."""
        source = self.files if self._loaded is None else self._loaded
        if self._generator is None or self._generator.settings != run.settings:
            self._generator = TextGenerator(source, run.settings)
        own_format = self._generator.format
        (request,) = run.requests(self.prompts, own_format)
        self._generator.sampler(request.format)
        attempts = iter_attempts(run, request, self._generator)
        fmt, seed = request.format or own_format, run.settings.seed
        return (Sample.from_attempt(x, request.prompt, seed, fmt) for x in attempts)
