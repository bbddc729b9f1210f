"""Validity of structures and compositions, by the protocol's rules and by alternative ones."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from crystext.chemistry.oxidation import OXIDATION_TABLES
from crystext.errors import did_you_mean
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import (
    CitedSettings,
    FunnelCriterion,
    ReportSection,
    Stage,
    StageContext,
)
from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.structure_validity import StructureFailure, structure_failure
from crystext.structures.crystal import Crystal


class ValiditySettings(CitedSettings):
    """When a crystal is valid."""

    min_distance: float = Field(gt=0)
    """Å between two atoms."""
    min_volume: float = Field(ge=0)
    """Å^3."""
    self_images: bool = False
    """Whether an atom too close to its own images counts as invalid; CDVAE ignores them."""
    table: str = "smact14"
    """Table of oxidation states that decides; the other tables are reported as well."""
    alloys: bool = True
    """Whether compositions of metals alone are valid whatever their charges."""

    @model_validator(mode="after")
    def _check_table(self) -> Self:
        if self.table not in OXIDATION_TABLES:
            raise ValueError(
                f"unknown oxidation table {self.table!r}; the tables are "
                f"{', '.join(OXIDATION_TABLES)}." + did_you_mean(self.table, OXIDATION_TABLES)
            )
        return self


class ValidityStage(Stage[ValiditySettings]):
    """Structural validity, composition validity, and both."""

    name, title = "validity", "validity"
    settings_model = ValiditySettings
    section = ReportSection(
        "Validity",
        failures={"structure_failure": "Crystals whose structure is not valid"},
        gallery_order={"valid": "valid ones"},
    )
    is_mandatory = True
    version = 3
    funnel = (
        FunnelCriterion("structure_valid", "structurally valid", ("structure_valid",)),
        FunnelCriterion("valid", "structurally and composition valid", ("valid",)),
    )
    columns = (
        "structure_failure",
        "structure_valid",
        "composition_valid",
        "valid",
        *(f"composition_valid_{table}" for table in OXIDATION_TABLES),
        *(f"composition_valid_{table}_no_alloys" for table in OXIDATION_TABLES),
    )
    libraries = ("smact",)

    def measure(
        self, context: StageContext, settings: ValiditySettings, result: StageResult
    ) -> None:
        """Judge each crystal."""
        validities = context.map_samples(partial(check_validity, settings=settings))
        result.columns["structure_failure"] = [v and v.structure_failure for v in validities]
        structures = [v and v.structure_valid for v in validities]
        _add_column(
            result, "structure_valid", "structurally valid", structures, source=settings.source
        )
        rule = settings.table, settings.alloys
        compositions = [v and v.composition_valid[rule] for v in validities]
        _add_column(
            result,
            "composition_valid",
            f"composition valid ({_table_label(*rule)})",
            compositions,
            source=settings.source,
            note="a value well above that of real crystals shows a bias, not quality",
        )
        both = [
            None if v is None else bool(s and c)
            for v, s, c in zip(validities, structures, compositions, strict=True)
        ]
        _add_column(
            result, "valid", "structurally and composition valid", both, source=settings.source
        )
        result.add_proportion(
            "structure_valid_self_images",
            "structurally valid, self-images included",
            sum(v is not None and v.structure_failure is None for v in validities),
            len(context),
            better="higher",
        )
        for table in OXIDATION_TABLES:
            for alloys in (True, False):
                name = f"composition_valid_{table}" + ("" if alloys else "_no_alloys")
                values = [v and v.composition_valid[table, alloys] for v in validities]
                if (table, alloys) == rule:
                    # It is `composition_valid` already.
                    result.columns[name] = values
                    continue
                title = f"composition valid, {_table_label(table, alloys)}"
                _add_column(result, name, title, values)


class ValidityResult(NamedTuple):
    """The validity of a crystal by all rules."""

    structure_failure: str | None
    """Name of the `StructureFailure`, images of an atom itself included."""
    structure_valid: bool
    """By the protocol's settings."""
    composition_valid: dict[tuple[str, bool], bool]
    """By table, and whether the alloy shortcut is used."""


def check_validity(crystal: Crystal, settings: ValiditySettings) -> ValidityResult:
    """Judge a crystal by all rules at once."""
    failure = structure_failure(
        crystal, min_distance=settings.min_distance, min_volume=settings.min_volume
    )
    structure = failure is None or (
        failure is StructureFailure.IMAGES_TOO_CLOSE and not settings.self_images
    )
    compositions = {
        (table, alloys): is_composition_valid(crystal.numbers, table=table, alloys=alloys)
        for table in OXIDATION_TABLES
        for alloys in (True, False)
    }
    return ValidityResult(None if failure is None else failure.name, structure, compositions)


def _add_column(
    result: StageResult,
    name: str,
    title: str,
    values: list[bool | None],
    *,
    source: str = "",
    note: str = "",
) -> None:
    """Add a column, and the proportion of samples for which it is true under the same name."""
    result.columns[name] = values
    count = sum(value is True for value in values)
    result.add_proportion(
        name, title, count, len(values), better="higher", source=source, note=note
    )


def _table_label(table: str, alloys: bool) -> str:
    return table.upper() + ("" if alloys else ", no alloy shortcut")


STAGE = ValidityStage()
