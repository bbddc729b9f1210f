"""Raw geometry of the crystals as they were sampled: close contacts, and isolated atoms.

Structural validity (`validity`) asks for 0.5 Å alone. Here distances are measured in sums of
covalent radii, and the reference stands beside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import gt, lt
from typing import Any

from pydantic import Field

from crystext.errors import CrystextError
from crystext.evaluate.reference_sets import ReferenceSet
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import CitedSettings, ReportSection, Stage, StageContext
from crystext.metrics.contact_distances import (
    CLOSE_CONTACTS,
    NEIGHBOUR_REACH,
    contact_metric_name,
    contact_title,
    isolated_title,
    nearest_ratios,
)
from crystext.structures.crystal import Crystal

_STEPS = 1000
"""Ratios of the reference are stored as whole numbers of thousandths."""


class GeometrySettings(CitedSettings):
    """Limits of distances, in sums of the covalent radii of two atoms."""

    contact_limits: tuple[float, ...] = CLOSE_CONTACTS
    """Below them, two atoms are too close; each is a metric."""
    neighbour: float = Field(default=NEIGHBOUR_REACH, gt=0)
    """An atom without a neighbour within it is isolated."""
    reference: bool = True
    """Whether the proportions of the reference set stand beside."""


class GeometryStage(Stage[GeometrySettings]):
    """Proportions of samples with close contacts, and with isolated atoms."""

    name, title = "geometry", "raw geometry"
    settings_model = GeometrySettings
    section = ReportSection("Raw geometry")
    columns = ("contact_ratio", "neighbour_ratio")
    quantities = ("contacts", "isolated_atom")
    libraries = ("ase",)

    def dependencies(self, context: StageContext, settings: GeometrySettings) -> dict[str, Any]:
        """Return the checksum of the reference, if there is one."""
        reference = _reference_or_none(context, settings)
        return {"reference": None if reference is None else reference.sha256}

    def measure(
        self, context: StageContext, settings: GeometrySettings, result: StageResult
    ) -> None:
        """Measure the distances of each crystal."""
        pairs = context.map_samples(extreme_ratios)
        closest = [None if pair is None else pair[0] for pair in pairs]
        farthest = [None if pair is None else pair[1] for pair in pairs]
        result.columns["contact_ratio"] = closest
        result.columns["neighbour_ratio"] = farthest
        reference = _reference_or_none(context, settings)
        known = None if reference is None else _reference_ratios(context, reference)
        for limit in settings.contact_limits:
            _add_proportion(
                result, contact_metric_name(limit), contact_title(limit), settings,
                closest, None if known is None else known[0], partial(gt, limit),
            )  # fmt: skip
        _add_proportion(
            result, "isolated_atom", isolated_title(settings.neighbour), settings,
            farthest, None if known is None else known[1], partial(lt, settings.neighbour),
        )  # fmt: skip
        for i, (name, title, values) in enumerate(
            (
                ("contact_ratio", "smallest distance over the sum of covalent radii", closest),
                ("neighbour_ratio", "largest nearest-neighbour distance over that sum", farthest),
            )
        ):
            result.add_histogram(
                name, title, [x for x in values if x is not None], known and known[i]
            )


def extreme_ratios(crystal: Crystal) -> tuple[float, float]:
    """Return the ratios of the closest pair, and of the atom farthest from its neighbours."""
    ratios = nearest_ratios(crystal)
    return float(ratios.min()), float(ratios.max())


def _add_proportion(
    result: StageResult,
    name: str,
    title: str,
    settings: GeometrySettings,
    values: Sequence[float | None],
    reference_values: Sequence[float] | None,
    is_true: Callable[[float], bool],
) -> None:
    """Add how many samples have a value for which something is true, of all samples."""
    note = ""
    if reference_values:
        count = sum(map(is_true, reference_values))
        note = f"of the reference {count / len(reference_values):.2%}"
    result.add_proportion(
        name,
        title,
        sum(x is not None and is_true(x) for x in values),
        len(values),
        better="lower",
        source=settings.source,
        note=note,
    )


def _reference_ratios(
    context: StageContext, reference: ReferenceSet
) -> tuple[list[float], list[float]]:
    """Return the ratios of the reference's crystals, which are cached."""
    pairs: list[tuple[float, float]] = []

    def thousandths(place: int, crystals: list[Crystal]) -> list[int]:
        if not pairs:
            pairs.extend(context.map_crystals(extreme_ratios, crystals))
        return [round(_STEPS * pair[place]) for pair in pairs]

    closest, farthest = (
        reference.cached_integers(f"{name}-ratio-thousandths", partial(thousandths, place))
        for place, name in enumerate(("contact", "neighbour"))
    )
    return [x / _STEPS for x in closest], [x / _STEPS for x in farthest]


def _reference_or_none(context: StageContext, settings: GeometrySettings) -> ReferenceSet | None:
    try:
        return context.reference if settings.reference else None
    except CrystextError:
        return None


STAGE = GeometryStage()
