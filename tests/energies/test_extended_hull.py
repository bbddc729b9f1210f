"""A hull with further phases."""

from __future__ import annotations

import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core.composition import Composition

from crystext.energies.extended_hull import (
    UnseatedPhase,
    decomposition_without,
    energy_on,
    extend_hull,
    unseated_phases,
)
from crystext.energies.hull_sources import hull_of_phases, open_hull

PHASES = [("Na", -1.0), ("Cl", -2.0), ("NaCl", -3.5), ("NaCl3", -2.9)]
"""Formation energies of NaCl and NaCl3: -2 and -1.15 eV/atom; NaCl3 is 0.15 below their mixture."""


@pytest.fixture
def hull():
    return hull_of_phases(PHASES, name="small", potential=None)


def test_a_further_phase_lowers_the_hull_and_unseats_what_is_above_it(hull):
    after = extend_hull(hull, ["Na", "Cl"], [({"Na": 1, "Cl": 2}, -1.9)])
    assert after.energy({"Na": 1, "Cl": 2}) == pytest.approx(-1.9)
    (phase,) = unseated_phases(hull, after)
    # Half of its atoms are in NaCl2 3/4 of them: -1.9 * 3/4 + 0 * 1/4.
    assert phase.formula == "NaCl3"
    assert phase.above_hull == pytest.approx(-1.15 + 1.9 * 3 / 4)
    assert phase.decomposition == "0.75 NaCl2 + 0.25 Cl"


def test_a_phase_above_the_hull_unseats_nothing(hull):
    after = extend_hull(hull, ["Na", "Cl"], [({"Na": 2, "Cl": 1}, -0.1)])
    assert unseated_phases(hull, after) == []
    assert after.energy({"Na": 1, "Cl": 1}) == hull.energy({"Na": 1, "Cl": 1})


def test_what_a_phase_competes_with_leaves_it_out(hull):
    assert decomposition_without(hull, "NaCl3", {"Na": 1, "Cl": 3}) == "0.50 NaCl + 0.50 Cl"
    assert decomposition_without(hull, "Na", {"Na": 1}) == "Na"


def test_the_shipped_hull_is_unchanged_without_further_phases():
    hull = open_hull()
    part = extend_hull(hull, ["Li", "P", "O"], [])
    for amounts in ({"Li": 3, "P": 1, "O": 4}, {"Li": 1, "P": 5, "O": 1}, {"P": 2, "O": 3}):
        before, after = hull.phases_at(amounts), part.phases_at(amounts)
        assert after.mixture.energy == pytest.approx(before.mixture.energy, abs=1e-9)
        assert str(after.mixture) == str(before.mixture)
    assert unseated_phases(hull, part) == []


def test_a_lower_phase_of_an_element_raises_what_stands_above_it(hull):
    polymorph = ({"Na": 1}, -0.5)
    after = extend_hull(hull, ["Na", "Cl"], [polymorph])
    diagram = PhaseDiagram(
        [
            PDEntry(formula, energy * Composition(formula).num_atoms)
            for formula, energy in [*PHASES, ("Na", -1.5)]
        ]
    )
    for formula, energy in PHASES:
        amounts = Composition(formula).get_el_amt_dict()
        entry = PDEntry(formula, energy * Composition(formula).num_atoms)
        total = sum(amounts.values())
        formation = energy - sum(n * hull.references[s] for s, n in amounts.items()) / total
        above = energy_on(after, hull, amounts, formation) - after.energy(amounts)
        assert above == pytest.approx(diagram.get_e_above_hull(entry), abs=1e-6), formula
    assert unseated_phases(hull, after)[0] == UnseatedPhase("Na", pytest.approx(0.5), "Na")


def test_a_higher_phase_of_an_element_changes_nothing(hull):
    after = extend_hull(hull, ["Na", "Cl"], [({"Na": 1}, 0.1)])
    assert after.references == hull.references
    assert unseated_phases(hull, after) == []
