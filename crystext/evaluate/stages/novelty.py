"""Which samples are unique, which are in the training set, and how often formulas repeat.

Uniqueness is measured even without a training set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from crystext.errors import CrystextError
from crystext.evaluate.reference_prototypes import prototype_index
from crystext.evaluate.reference_sets import ReferenceSet
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import (
    CitedSettings,
    FunnelCriterion,
    ReportSection,
    Stage,
    StageContext,
)
from crystext.metrics.coverage import set_distances
from crystext.metrics.novelty import find_matches
from crystext.metrics.novelty_by_fingerprint import is_novel
from crystext.metrics.prototypes import (
    Novelty,
    Prototype,
    find_prototype,
    prototype_label,
)
from crystext.metrics.unique_formulas import count_formulas
from crystext.metrics.uniqueness import duplicates_of
from crystext.structures.matching import MatchTolerances

_OF_TRAINING = ("novel", "training_match", "novelty_degree", "nearest_training")
"""Columns that need a training set."""

_DEGREE_NAMES = tuple(degree.label for degree in Novelty)

DEGREE_TITLES = {
    Novelty.SAME_CRYSTAL: "same crystal",
    Novelty.SUBSTITUTION: "known prototype, at most one element exchanged",
    Novelty.KNOWN_PROTOTYPE: "known prototype, more elements exchanged",
    Novelty.NEW_PROTOTYPE: "new prototype",
}
"""Titles of the degrees of novelty in tables."""


class NoveltySettings(CitedSettings):
    """When two crystals are the same."""

    ltol: float = Field(gt=0)
    stol: float = Field(gt=0)
    angle_tol: float = Field(gt=0)
    """Degrees."""
    by_fingerprint: bool = False
    """Whether novelty by distance of fingerprints is measured as well; those of the training set
    take minutes once."""
    structure_distance: float = Field(default=0.1, gt=0)
    composition_distance: float = Field(default=2.0, gt=0)

    @property
    def tolerances(self) -> MatchTolerances:
        """The tolerances of the matcher."""
        return MatchTolerances(self.ltol, self.stol, self.angle_tol)


class NoveltyStage(Stage[NoveltySettings]):
    """Uniqueness, novelty and repetition."""

    name, title = "novelty", "uniqueness and novelty"
    settings_model = NoveltySettings
    section = ReportSection(
        "Uniqueness and novelty",
        formula_notes=frozenset({"most_frequent_formula"}),
        matches={"training_match": "Samples that match a crystal of the training set"},
        captions={"training_match": "matches {} of the training set".format},
        gallery_order={"unique": "unique ones"},
    )
    funnel = (
        FunnelCriterion("unique", "valid and unique", ("valid", "unique")),
        FunnelCriterion("novel", "valid, unique and novel", ("valid", "unique", "novel")),
    )
    affected_by = {  # noqa: RUF012
        "training": frozenset({"novel", "unique_and_novel", "novel_by_fingerprint", *_DEGREE_NAMES})
    }
    quantities = (
        *("uniqueness", "unique_formulas", "unique_and_novel", "duplicates", "prototypes"),
        *_DEGREE_NAMES,
    )
    columns = ("unique", "duplicate_of", "prototype", *_OF_TRAINING)
    required_columns = ("formula",)
    version = 3
    libraries = ("pymatgen", "spglib")

    def dependencies(self, context: StageContext, settings: NoveltySettings) -> dict[str, Any]:
        """Return the checksum of the training set, where there is one."""
        training, _ = _training_or_reason(context)
        return {"training": None if training is None else training.sha256}

    def measure(
        self, context: StageContext, settings: NoveltySettings, result: StageResult
    ) -> None:
        """Match crystals with each other and with the training set."""
        unique = self._uniqueness(context, settings, result)
        self._unique_formulas(context, result)
        prototypes = self._prototypes(context, result)
        training, problem = _training_or_reason(context)
        if training is None:
            result.note = f"novelty is not known: {problem}"
            for column in _OF_TRAINING:
                result.columns[column] = [None] * len(context)
            return
        matches = find_matches(
            list(context.crystals.values()),
            training.dataset,
            tolerances=settings.tolerances,
            workers=context.workers,
            report=context.report_progress,
        )
        novel = context.per_sample([match is None for match in matches])
        result.columns["novel"] = novel
        result.columns["training_match"] = context.per_sample(
            [None if match is None else training.name(match) for match in matches]
        )
        _add_matched(result, "novel", f"not in {training.title}", novel, settings)
        both = [u is True and v is True for u, v in zip(unique, novel, strict=True)]
        _add_matched(result, "unique_and_novel", "unique and novel, valid or not", both, settings)
        self._degrees(context, result, training, prototypes)
        if settings.by_fingerprint:
            self._by_fingerprint(context, settings, result, training)

    def _uniqueness(
        self, context: StageContext, settings: NoveltySettings, result: StageResult
    ) -> list[bool | None]:
        """Add which samples are unique, and return it."""
        indices = list(context.crystals)
        repeats = duplicates_of(
            list(context.crystals.values()),
            tolerances=settings.tolerances,
            workers=context.workers,
            report=context.report_progress,
        )
        unique = context.per_sample([earlier is None for earlier in repeats])
        result.columns["unique"] = unique
        result.columns["duplicate_of"] = context.per_sample(
            [None if earlier is None else indices[earlier] for earlier in repeats]
        )
        _add_matched(result, "unique", "unique, valid or not", unique, settings)
        return unique

    def _prototypes(self, context: StageContext, result: StageResult) -> list[Prototype | None]:
        """Add the prototypes of the samples, and return those of the crystals."""
        found = context.map_crystals(find_prototype, list(context.crystals.values()))
        labels = [None if x is None else prototype_label(x) for x in found]
        result.columns["prototype"] = context.per_sample(labels)
        # As with formulas, no interval: it is not a sum over samples.
        result.add_value(
            "prototypes",
            "different prototypes",
            len({label for label in labels if label is not None}),
            total=len(context),
            better="higher",
            note="space group and Wyckoff letters, whatever the elements",
        )
        return found

    def _degrees(
        self,
        context: StageContext,
        result: StageResult,
        training: ReferenceSet,
        prototypes: Sequence[Prototype | None],
    ) -> None:
        """Add how new each sample is, in the degrees of `metrics.prototypes`."""
        index = prototype_index(training, context.workers, context.report_progress)
        degrees: list[str | None] = [None] * len(context)
        nearest: list[str | None] = [None] * len(context)
        matches = result.columns["training_match"]
        for i, prototype in zip(context.crystals, prototypes, strict=True):
            if matches[i] is not None:
                degrees[i], nearest[i] = Novelty.SAME_CRYSTAL.label, matches[i]
            elif prototype is not None:
                degree, nearest[i] = index.find(prototype)
                degrees[i] = degree.label
        result.columns["novelty_degree"] = degrees
        result.columns["nearest_training"] = nearest
        for degree in Novelty:
            result.add_proportion(
                degree.label,
                DEGREE_TITLES[degree],
                degrees.count(degree.label),
                len(context),
                better="lower" if degree is Novelty.SAME_CRYSTAL else None,
                note=f"{degree.value}; of {training.title}",
            )

    def _unique_formulas(self, context: StageContext, result: StageResult) -> None:
        n = len(context)
        formulas = [formula for formula in context.columns["formula"] if formula is not None]
        seen = count_formulas(formulas)
        # The number of different ones is not a sum over samples: an interval would be meaningless.
        result.add_value(
            "unique_formulas",
            "different formulas",
            seen.unique_formulas / n,
            total=n,
            better="higher",
        )
        result.add_proportion(
            "most_frequent_formula",
            "proportion of the most frequent formula",
            seen.most_frequent_count,
            n,
            better="lower",
            note=seen.most_frequent or "",
        )
        result.add_label_counts(
            "formulas",
            "most frequent formulas",
            Counter(formulas),
            total=n,
            max_labels=20,
            kind="formula",
        )

    def _by_fingerprint(
        self,
        context: StageContext,
        settings: NoveltySettings,
        result: StageResult,
        training: ReferenceSet,
    ) -> None:
        known = training.fingerprints(context.workers, context.report_progress)
        far = set_distances(context.fingerprints(), known)
        novel = is_novel(
            far,
            structure_distance=settings.structure_distance,
            composition_distance=settings.composition_distance,
        )
        result.columns["novel_by_fingerprint"] = context.per_sample(novel.tolist())
        result.add_proportion(
            "novel_by_fingerprint",
            f"far from all of {training.title} by fingerprint",
            int(novel.sum()),
            len(context),
            better="higher",
            source="Gruver et al., arXiv:2402.04379",
            note=f"structure beyond {settings.structure_distance:g} or composition beyond "
            f"{settings.composition_distance:g}",
        )


def _add_matched(
    result: StageResult,
    name: str,
    title: str,
    values: Sequence[bool | None],
    settings: NoveltySettings,
) -> None:
    """Add the proportion of samples for which a result of the matcher is true."""
    result.add_proportion(
        name,
        title,
        sum(value is True for value in values),
        len(values),
        better="higher",
        source=settings.source,
        note=f"StructureMatcher ltol {settings.ltol:g}, stol {settings.stol:g}, "
        f"{settings.angle_tol:g}°",
    )


def _training_or_reason(context: StageContext) -> tuple[ReferenceSet | None, str]:
    """Return the training set, or why it is missing."""
    try:
        return context.reference_sets.get("training"), ""
    except CrystextError as error:
        return None, str(error)


STAGE = NoveltyStage()
