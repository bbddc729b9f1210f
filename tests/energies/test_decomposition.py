"""Competing phases, beside pymatgen's phase diagram."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core.composition import Composition

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.energies.decomposition import Mixture, lowest_mixtures
from crystext.energies.phases import make_compounds

FORMULAS = ("LiP", "Li3P", "Li2O", "P2O5", "Li3PO4", "Li4P2O7", "LiP5")
WANTED = ("LiPO3", "Li2PO4", "LiP2O7", "Li9PO9", "P", "LiO")


def numbers_of(formula):
    amounts = Composition(formula).get_el_amt_dict()
    return {ATOMIC_NUMBERS[symbol]: n for symbol, n in amounts.items()}


def table_of(energies):
    return make_compounds((Composition(f).get_el_amt_dict(), e) for f, e in energies.items())


@given(st.dictionaries(st.sampled_from(FORMULAS), st.floats(-4, 1, allow_subnormal=False)))
@settings(max_examples=40)
def test_the_competing_phases_are_those_of_pymatgens_phase_diagram(energies):
    entries = [PDEntry(Composition(f), e * Composition(f).num_atoms) for f, e in energies.items()]
    elements = [PDEntry(Composition(symbol), 0.0) for symbol in ("Li", "P", "O")]
    diagram = PhaseDiagram(entries + elements)
    mixtures = lowest_mixtures([numbers_of(f) for f in WANTED], table_of(energies))
    for formula, mixture in zip(WANTED, mixtures, strict=True):
        composition = Composition(formula)
        expected = diagram.get_hull_energy_per_atom(composition)
        assert mixture.energy == pytest.approx(expected, abs=1e-7)
        # Which phases they are is settled where no two mixtures are equally low.
        phases = {e.composition.reduced_formula: x for e, x in
                  diagram.get_decomposition(composition).items()}  # fmt: skip
        found = {Composition(f).reduced_formula: x for f, x in mixture.phases}
        low = sum(x * energies.get(f, 0.0) for f, x in mixture.phases)
        assert low == pytest.approx(expected, abs=1e-7)
        if set(found) == set(phases):
            assert found == pytest.approx(phases, abs=1e-6)


@given(st.dictionaries(st.sampled_from(FORMULAS), st.floats(-4, 1, allow_subnormal=False)))
@settings(max_examples=40)
def test_the_shares_are_of_atoms_and_make_the_composition(energies):
    for formula, mixture in zip(
        WANTED,
        lowest_mixtures([numbers_of(f) for f in WANTED], table_of(energies)),
        strict=True,
    ):
        whole = Composition(formula)
        made = dict.fromkeys(whole.get_el_amt_dict(), 0.0)
        for phase, share in mixture.phases:
            assert share > 0
            for symbol in made:
                made[symbol] += share * Composition(phase).get_atomic_fraction(symbol)
        assert made == pytest.approx({s: whole.get_atomic_fraction(s) for s in made}, abs=1e-9)
        assert len(mixture.phases) <= len(made)


def test_many_compositions_at_once_are_as_one_by_one():
    rng = np.random.default_rng(0)
    compounds = table_of(
        dict(zip(FORMULAS, (-rng.random(len(FORMULAS)) * 3).tolist(), strict=True))
    )
    wanted = [
        dict(zip((3, 8, 15), rng.integers(1, 9, 3).tolist(), strict=True)) for _ in range(150)
    ]
    together = lowest_mixtures(wanted, compounds)
    alone = [lowest_mixtures([composition], compounds)[0] for composition in wanted]
    assert [m.energy for m in together] == pytest.approx([m.energy for m in alone], abs=1e-9)


def test_a_compound_that_is_left_out_takes_no_part():
    compounds = table_of({"Li3PO4": -2.9, "P2O5": -2.2, "Li2O": -2.0})
    (whole, without) = lowest_mixtures(
        [numbers_of("Li3PO4")] * 2, compounds, [None, compounds.find(numbers_of("Li3PO4"))]
    )
    assert whole.phases == (("Li3PO4", pytest.approx(1.0)),)
    assert {formula for formula, _ in without.phases} == {"P2O5", "Li2O"}


def test_a_height_of_the_hull_counts_and_is_no_phase_that_competes():
    compounds = table_of({"Li3PO4": -2.9, "P2O5": -2.2, "LiPO3": -2.75})
    known = compounds.find(numbers_of("LiPO3"))
    height_only = np.arange(len(compounds)) == known
    (mixture,) = lowest_mixtures([numbers_of("LiPO3")], replace(compounds, height_only=height_only))
    assert mixture.energy == pytest.approx(-2.75)
    assert str(mixture) == "0.53 Li3PO4 + 0.47 P2O5"


def test_small_shares_are_not_written_as_none():
    assert str(Mixture(-1.0, (("NaCl", 0.997), ("Na", 0.003)))) == "1.00 NaCl + 0.003 Na"
