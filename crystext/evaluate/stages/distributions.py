"""Densities, sizes, elements, space groups and labels, beside those of the reference.

Without a reference what was drawn is described all the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

from crystext.errors import CrystextError
from crystext.evaluate.reference_sets import Known
from crystext.evaluate.stage_result import Findings
from crystext.evaluate.stages.base import Context, Stage
from crystext.metrics.distributions import QUANTITIES, wasserstein_distance
from crystext.metrics.space_group_distribution import (
    NONE_FOUND,
    P1,
    space_group_counts,
    total_variation,
)
from crystext.structures.crystal import Crystal
from crystext.structures.properties import space_group_symbols
from crystext.structures.space_groups import find_space_group

_TITLES = {"density_g_per_cm3": ("density", "g/cm^3"), "n_elements": ("number of elements", "")}

_ENERGIES = {
    "formation_energy": ("formation energy", "eV/atom"),
    "e_above_hull": ("energy above hull", "eV/atom"),
    "band_gap": ("band gap", "eV"),
}
"""Labels that are compared where both sets have them."""


class Distributions(Stage):
    """Distances between distributions, and histograms."""

    name, title = "distributions", "distributions"
    columns = (*QUANTITIES, "space_group")
    needs = ("valid",)
    libraries = ("spglib", "ase")

    def settings(self, context: Context) -> dict[str, Any]:
        """Return the checksum of the reference, where there is one."""
        reference, _ = _reference(context)
        return {"reference": None if reference is None else reference.sha256}

    def measure(self, context: Context, found: Findings) -> None:
        """Compare each quantity's distribution with the reference's."""
        rules = context.protocol.distributions
        assert rules is not None
        reference, problem = _reference(context)
        if reference is None:
            found.note = f"nothing to compare with: {problem}"
        valid = context.columns["valid"]
        indices = list(context.crystals)
        chosen = [i for i in indices if rules.of == "parsed" or valid[i] is True]
        for name, quantity in QUANTITIES.items():
            title, unit = _TITLES[name]
            of_each = {i: quantity(crystal) for i, crystal in context.crystals.items()}
            found.columns[name] = context.spread(list(of_each.values()))
            known = None if reference is None else [quantity(c) for c in reference.crystals]
            _compare(found, name, title, unit, [of_each[i] for i in chosen],
                     known, rules.source, f"of the {len(chosen):,} {rules.of} ones")  # fmt: skip
            if known is not None and rules.of == "valid":
                _distance(found, f"{name}_of_parsed", f"{title}, of all parsed", unit,
                          list(of_each.values()), known, rules.source, "")  # fmt: skip
        self._sizes_and_elements(context, found, chosen, reference)
        self._space_groups(context, found, reference)
        self._labels(context, found, reference)

    def _sizes_and_elements(
        self, context: Context, found: Findings, chosen: Sequence[int], reference: Known | None
    ) -> None:
        crystals = [context.crystals[i] for i in chosen]
        known = [] if reference is None else reference.crystals
        sizes, known_sizes = [len(c) for c in crystals], [len(c) for c in known]
        most = max([*sizes, *known_sizes, 1])
        found.histogram("n_atoms", "atoms in the cell", sizes, known_sizes if known else None,
                        edges=[x + 0.5 for x in range(min(most, 60) + 1)])  # fmt: skip
        found.counts(
            "elements",
            "crystals that hold an element",
            _elements(crystals),
            _elements(known) if known else None,
            of=len(crystals),
            reference_of=len(known) or None,
        )

    def _space_groups(self, context: Context, found: Findings, reference: Known | None) -> None:
        rules = context.protocol.distributions
        assert rules is not None
        find = partial(find_space_group, symprec=rules.symprec)

        def groups_of(crystals: Sequence[Crystal]) -> list[int]:
            return [NONE_FOUND if g is None else g for g in context.map(find, crystals)]

        groups = groups_of(list(context.crystals.values()))
        found.columns["space_group"] = context.spread([g or None for g in groups])
        drawn = space_group_counts(groups)
        at = f"spglib at {rules.symprec:g} Å"
        known = None
        if reference is not None:
            known = space_group_counts(reference.numbers(groups_name(rules.symprec), groups_of))
            found.number(
                "space_groups", "space groups, total variation distance",
                total_variation(drawn, known), of=drawn.total(), better="lower",
                note=f"of all parsed; {at}",
            )  # fmt: skip
        own = "" if known is None else f"; of the reference {known[P1] / known.total():.1%}"
        found.share("space_group_p1", "space group P1", drawn[P1], len(context), note=at + own)
        found.counts("space_groups", "space groups", _named(drawn),
                     None if known is None else _named(known))  # fmt: skip

    def _labels(self, context: Context, found: Findings, reference: Known | None) -> None:
        for name, (title, unit) in _ENERGIES.items():
            values = [x.labels[name] for x in context.input.attempts if name in x.labels]
            if not values:
                continue
            known = None
            if reference is not None:
                known = [x for x in reference.data.labels[name].tolist() if math.isfinite(x)]
            _compare(found, name, f"{title}, as labelled", unit, values, known or None, "",
                     f"of the {len(values):,} that carry it")  # fmt: skip


def groups_name(symprec: float) -> str:
    """Return what the space groups of a set are kept under, at a tolerance in Å."""
    return f"space-groups-{symprec:g}-spglib-{version('spglib')}"


def _compare(
    found: Findings,
    name: str,
    title: str,
    unit: str,
    values: Sequence[float],
    known: Sequence[float] | None,
    source: str,
    note: str,
) -> None:
    edges = None
    if name == "n_elements":
        edges = [x + 0.5 for x in range(int(max([*values, *(known or []), 1])) + 1)]
    found.histogram(name, title, values, known, unit=unit, edges=edges)
    if known is not None:
        _distance(found, name, title, unit, values, known, source, note)


def _distance(
    found: Findings,
    name: str,
    title: str,
    unit: str,
    values: Sequence[float],
    known: Sequence[float],
    source: str,
    note: str,
) -> None:
    found.number(
        f"wasserstein_{name}", f"Wasserstein distance, {title}",
        wasserstein_distance(values, known) if values and known else None,
        of=len(values), unit=unit, better="lower", source=source, note=note,
    )  # fmt: skip


def _elements(crystals: Sequence[Crystal]) -> Counter[str]:
    return Counter(symbol for crystal in crystals for symbol in set(crystal.symbols))


def _named(groups: Counter[int]) -> dict[str, int]:
    symbols = space_group_symbols()
    return {
        "none found" if number == NONE_FOUND else f"{number} {symbols[number]}": count
        for number, count in groups.items()
    }


def _reference(context: Context) -> tuple[Known | None, str]:
    """Return the reference, or why there is none."""
    try:
        return context.reference, ""
    except CrystextError as error:
        return None, str(error)
