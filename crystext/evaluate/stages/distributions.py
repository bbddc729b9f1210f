"""Densities, sizes, elements, space groups and labels, compared with the reference.

Without a reference only the samples are described.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Any, Literal

from pydantic import Field

from crystext.errors import CrystextError
from crystext.evaluate.reference_sets import ReferenceSet
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import CitedSettings, ReportSection, Stage, StageContext
from crystext.metrics.distributions import DISTRIBUTION_QUANTITIES, wasserstein_distance
from crystext.metrics.element_frequencies import (
    MIN_REFERENCE_PROPORTION,
    RATIO_RANGE,
    count_elements,
    element_ratios,
    expected_out_of_range,
    out_of_range,
)
from crystext.metrics.space_group_distribution import (
    NO_SPACE_GROUP,
    P1,
    space_group_counts,
    total_variation,
)
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal
from crystext.structures.properties import space_group_symbols
from crystext.structures.property_schema import PROPERTIES
from crystext.structures.space_groups import find_space_group

_WORST = 8
"""Elements that are named with the lowest and the highest ratio."""

_TITLES = {"density_g_per_cm3": ("density", "g/cm^3"), "n_elements": ("number of elements", "")}


class DistributionsSettings(CitedSettings):
    """What is compared with the reference."""

    of: Literal["valid", "parsed"] = "valid"
    symprec: float = Field(default=0.1, gt=0)
    """Å; tolerance of space groups."""
    min_element: float = Field(default=MIN_REFERENCE_PROPORTION, gt=0, le=1)
    """Proportion of the reference from which on an element is compared with it."""
    element_ratios: tuple[float, float] = RATIO_RANGE
    """Ratios of an element's proportion to the reference's that are in range."""


class DistributionsStage(Stage[DistributionsSettings]):
    """Distances between distributions, and histograms."""

    name, title = "distributions", "distributions"
    settings_model = DistributionsSettings
    section = ReportSection("Distributions")
    quantities = ("wasserstein", "space_groups", "elements")
    columns = (*DISTRIBUTION_QUANTITIES, "space_group")
    required_columns = ("valid",)
    version = 2
    affected_by = {"reference": frozenset({"distributions"})}  # noqa: RUF012
    libraries = ("spglib", "ase")

    def dependencies(
        self, context: StageContext, settings: DistributionsSettings
    ) -> dict[str, Any]:
        """Return the checksum of the reference, if there is one."""
        reference, _ = _reference_or_reason(context)
        return {"reference": None if reference is None else reference.sha256}

    def measure(
        self, context: StageContext, settings: DistributionsSettings, result: StageResult
    ) -> None:
        """Compare each quantity's distribution with the reference's."""
        reference, problem = _reference_or_reason(context)
        if reference is None:
            result.note = f"nothing to compare with: {problem}"
        valid = context.columns["valid"]
        indices = list(context.crystals)
        chosen = [i for i in indices if settings.of == "parsed" or valid[i] is True]
        for name, quantity in DISTRIBUTION_QUANTITIES.items():
            title, unit = _TITLES[name]
            of_each = {i: quantity(crystal) for i, crystal in context.crystals.items()}
            result.columns[name] = context.per_sample(list(of_each.values()))
            known = None if reference is None else [quantity(c) for c in reference.crystals]
            _compare(
                result,
                name,
                title,
                unit,
                [of_each[i] for i in chosen],
                known,
                settings.source,
                f"of the {len(chosen):,} {settings.of} ones",
            )
            if known is not None and settings.of == "valid":
                _distance(
                    result,
                    f"{name}_of_parsed",
                    f"{title}, of all parsed",
                    unit,
                    list(of_each.values()),
                    known,
                    settings.source,
                    "",
                )
        self._sizes_and_elements(context, result, chosen, reference)
        if reference is not None:
            _compare_elements(context, settings, result, reference)
        self._space_groups(context, settings, result, reference)
        self._labels(context, result, reference)

    def _sizes_and_elements(
        self,
        context: StageContext,
        result: StageResult,
        chosen: Sequence[int],
        reference: ReferenceSet | None,
    ) -> None:
        crystals = [context.crystals[i] for i in chosen]
        known = [] if reference is None else reference.crystals
        sizes, known_sizes = [len(c) for c in crystals], [len(c) for c in known]
        most = max([*sizes, *known_sizes, 1])
        result.add_histogram(
            "n_atoms",
            "atoms in the cell",
            sizes,
            known_sizes if known else None,
            edges=[x + 0.5 for x in range(min(most, 60) + 1)],
        )
        result.add_label_counts(
            "elements",
            "crystals that hold an element",
            count_elements(crystals),
            count_elements(known) if known else None,
            total=len(crystals),
            reference_total=len(known) or None,
            kind="element",
        )

    def _space_groups(
        self,
        context: StageContext,
        settings: DistributionsSettings,
        result: StageResult,
        reference: ReferenceSet | None,
    ) -> None:
        find = partial(find_space_group, symprec=settings.symprec)

        def groups_of(crystals: Sequence[Crystal]) -> list[int]:
            return [
                NO_SPACE_GROUP if g is None else g for g in context.map_crystals(find, crystals)
            ]

        groups = groups_of(list(context.crystals.values()))
        result.columns["space_group"] = context.per_sample([g or None for g in groups])
        drawn = space_group_counts(groups)
        at = f"spglib at {settings.symprec:g} Å"
        known = None
        if reference is not None:
            known = space_group_counts(
                reference.cached_integers(space_group_cache_name(settings.symprec), groups_of)
            )
            result.add_value(
                "space_groups",
                "space groups, total variation distance",
                total_variation(drawn, known),
                total=drawn.total(),
                better="lower",
                note=f"of all parsed; {at}",
            )
        own = "" if known is None else f"; of the reference {known[P1] / known.total():.1%}"
        result.add_proportion(
            "space_group_p1", "space group P1", drawn[P1], len(context), note=at + own
        )
        result.add_label_counts(
            "space_groups",
            "space groups",
            _with_symbols(drawn),
            None if known is None else _with_symbols(known),
            kind="space_group",
        )

    def _labels(
        self, context: StageContext, result: StageResult, reference: ReferenceSet | None
    ) -> None:
        for name, entry in PROPERTIES.items():
            # Space groups are computed from the crystals, whatever their labels.
            if not entry.is_label or entry.kind != "number" or name == "space_group":
                continue
            values = [float(x.labels[name]) for x in context.sample_set.samples if name in x.labels]
            if not values:
                continue
            known = None
            if reference is not None:
                known = [float(x) for x in reference.dataset.labels.known_values(name)]
            _compare(
                result,
                name,
                f"{entry.title}, as labelled",
                entry.unit,
                values,
                known or None,
                "",
                f"of the {len(values):,} that carry it",
            )


def _compare_elements(
    context: StageContext,
    settings: DistributionsSettings,
    result: StageResult,
    reference: ReferenceSet,
) -> None:
    """Add how often each element occurs, as a ratio to the reference; see `element_frequencies`."""
    ratios = element_ratios(
        list(context.crystals.values()),
        reference.crystals,
        n_samples=len(context),
        min_proportion=settings.min_element,
    )
    if not ratios or not context.crystals:
        return
    low, high = settings.element_ratios
    outside = out_of_range(ratios, settings.element_ratios)
    compared = format_count(len(ratios), "element")
    by_chance = expected_out_of_range(ratios, len(context), settings.element_ratios)
    result.add_value(
        "elements_out_of_range",
        f"elements outside {low:g} to {high:g} of the reference",
        len(outside),
        total=len(context),
        better="lower",
        note=f"of {compared} of {settings.min_element:.0%} of the reference or more; by chance "
        f"alone {by_chance:.1f} would be outside",
    )
    for name, title, found, better in (
        ("lowest_element_ratio", "lowest ratio of an element to the reference", ratios, "higher"),
        ("highest_element_ratio", "highest, likewise", ratios[::-1], "lower"),
    ):
        worst = ", ".join(f"{x.symbol} {x.ratio:.2f}" for x in found[:_WORST])
        result.add_value(
            name,
            title,
            found[0].ratio,
            total=len(context),
            better=better,  # type: ignore[arg-type]
            note=worst,
        )
    result.add_table(
        "element_ratios",
        f"Elements of {settings.min_element:.0%} of the reference or more, the lowest ratio first",
        ["", "samples", "proportion of all samples", "of the reference", "ratio"],
        [(x.symbol, x.n, x.proportion, x.reference_proportion, x.ratio) for x in ratios],
    )


def space_group_cache_name(symprec: float) -> str:
    """Return the cache key of the space groups of a set, at a tolerance in Å."""
    return f"space-groups-{symprec:g}-spglib-{version('spglib')}"


def _compare(
    result: StageResult,
    name: str,
    title: str,
    unit: str,
    values: Sequence[float],
    reference_values: Sequence[float] | None,
    source: str,
    note: str,
) -> None:
    edges = None
    if name == "n_elements":
        edges = [x + 0.5 for x in range(int(max([*values, *(reference_values or []), 1])) + 1)]
    result.add_histogram(name, title, values, reference_values, unit=unit, edges=edges)
    if reference_values is not None:
        _distance(result, name, title, unit, values, reference_values, source, note)


def _distance(
    result: StageResult,
    name: str,
    title: str,
    unit: str,
    values: Sequence[float],
    reference_values: Sequence[float],
    source: str,
    note: str,
) -> None:
    result.add_value(
        f"wasserstein_{name}",
        f"Wasserstein distance, {title}",
        wasserstein_distance(values, reference_values) if values and reference_values else None,
        total=len(values),
        unit=unit,
        better="lower",
        source=source,
        note=note,
    )


def _with_symbols(groups: Counter[int]) -> dict[str, int]:
    symbols = space_group_symbols()
    return {
        "none found" if number == NO_SPACE_GROUP else f"{number} {symbols[number]}": count
        for number, count in groups.items()
    }


def _reference_or_reason(context: StageContext) -> tuple[ReferenceSet | None, str]:
    """Return the reference, or why it is missing."""
    try:
        return context.reference, ""
    except CrystextError as error:
        return None, str(error)


STAGE = DistributionsStage()
