"""From relaxed structures to verdicts."""

from dataclasses import replace

import numpy as np
import pytest

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.hull_sources import hull_of_phases, open_hull
from crystext.energies.potential import to_atoms
from crystext.energies.relaxation_files import RelaxedSet, RelaxedStructure
from crystext.energies.stability import (
    Stability,
    assess_stability,
    hull_of_relaxed,
    make_hull,
)
from crystext.errors import InputError, SettingError
from crystext.structures.crystal import Crystal


def cell(*numbers):
    places = np.linspace(0, 0.9, len(numbers))[:, None] * np.ones(3)
    return Crystal(np.full(3, 6.0), np.full(3, 90.0), np.array(numbers), places)


def relaxed(*rows, scale=EnergyCorrection.OWN):
    made = [
        RelaxedStructure(cell(*numbers), name=f"{i}", energy=energy, steps=3, converged=converged)
        for i, (numbers, energy, converged) in enumerate(rows)
    ]
    return RelaxedSet("EMT", scale, tuple(made))


METALS = (((13,), -1.0, True), ((28,), -2.0, True), ((13, 28), -5.0, True))
HULL = hull_of_phases({"Al": -1.0, "Ni": -2.0, "NiAl": -2.5}.items(), name="x", potential="EMT")


def test_every_structure_has_a_verdict_and_none_is_left_out():
    found = relaxed(
        ((13, 28), -5.2, True),
        ((13, 28), -5.0, True),
        ((13, 28), -4.9, False),
        ((13, 28), -4.0, True),
        ((13, 29), -99.0, True),
    )
    lost = RelaxedStructure.failed("lost", "TOO_CLOSE", "atoms are close")
    judged = assess_stability(
        RelaxedSet("EMT", EnergyCorrection.OWN, (*found.structures, lost)), HULL
    )
    assert [j.stability for j in judged] == [
        Stability.CANDIDATE,
        Stability.METASTABLE,
        Stability.METASTABLE,
        Stability.UNSTABLE,
        Stability.UNKNOWN,
        Stability.NO_ENERGY,
    ]
    assert judged[0].position.above_hull == pytest.approx(-0.1)
    assert judged[4].position.unknown_elements == ("Cu",)


def test_no_phase_lies_below_a_hull_of_which_it_is_one(tmp_path):
    found = relaxed(*METALS, ((13, 13, 28), -5.5, True), ((13, 28, 28), -7.2, True))
    above = [j.position.above_hull for j in assess_stability(found, hull_of_relaxed(found))]
    assert min(above) == 0.0
    assert above[:3] == [0.0, 0.0, 0.0]
    make_hull(found, tmp_path / "made.parquet")
    again = assess_stability(found, open_hull(tmp_path / "made.parquet"))
    assert [j.position.above_hull for j in again] == pytest.approx(above, abs=1e-9)


def test_what_did_not_converge_is_no_phase_of_a_hull(tmp_path):
    found = relaxed(*METALS, ((13, 28), -50.0, False))
    hull = make_hull(found, tmp_path / "made.parquet")
    assert hull.energy({"Al": 1, "Ni": 1}) == pytest.approx(-1.0)


def test_a_hull_needs_elements(tmp_path):
    with pytest.raises(InputError, match="no element"):
        make_hull(relaxed(METALS[2]), tmp_path / "made.parquet")
    assert list(tmp_path.iterdir()) == []


def test_energies_of_two_potentials_are_not_compared():
    with pytest.raises(SettingError, match="EMT"):
        assess_stability(
            RelaxedSet("CHGNet-0.3.0", EnergyCorrection.CORRECTED, relaxed(*METALS).structures),
            HULL,
        )


def test_below_a_hull_that_knows_nothing_of_its_elements_nothing_is_a_candidate():
    found = relaxed(((13, 29), -50.0, True), ((13, 29), -3.1, True), ((13, 29), 1.0, True))
    metals = {"Al": -1.0, "Cu": -2.0}
    none = hull_of_phases(metals.items(), name="x", potential="EMT")
    assert [j.stability for j in assess_stability(found, none)] == [
        Stability.NO_EVIDENCE,
        Stability.NO_EVIDENCE,
        # A phase that is missing can only lower the hull.
        Stability.UNSTABLE,
    ]
    one = hull_of_phases({**metals, "AlCu3": -1.8}.items(), name="x", potential="EMT")
    assert assess_stability(found, one)[0].stability is Stability.NO_EVIDENCE
    two = hull_of_phases(
        {**metals, "AlCu3": -1.8, "Al2Cu": -1.4}.items(), name="x", potential="EMT"
    )
    assert assess_stability(found, two)[0].stability is Stability.CANDIDATE
    same = hull_of_phases({**metals, "Al4Cu4": -1.6}.items(), name="x", potential="EMT")
    assert assess_stability(found, same)[0].stability is Stability.CANDIDATE


def test_an_element_is_judged_by_its_reference():
    found = relaxed(((13,), -1.2, True), ((13,), -0.5, True))
    assert [j.stability for j in assess_stability(found, HULL)] == [
        Stability.CANDIDATE,
        Stability.UNSTABLE,
    ]


def test_a_verdict_is_said_with_its_number_and_the_error_of_the_hull():
    judged = assess_stability(relaxed(((13, 28), -5.2, True), ((13, 29), -9.0, True)), HULL)
    assert judged[0].sentence(HULL) == (
        "candidate: below the hull by 0.100 eV/atom (hull error not known)"
    )
    good = replace(HULL, error=0.0147)
    assert judged[0].sentence(good).endswith("(hull error about 0.015)")
    assert judged[1].sentence(HULL) == "unknown: the hull lacks one of its elements"


def test_a_crystal_of_pymatgen_or_ase_is_placed_as_well():
    crystal = cell(13, 28)
    expected = HULL.place(crystal, -5.2, EnergyCorrection.OWN)
    assert HULL.place(crystal.structure, -5.2, EnergyCorrection.OWN) == expected
    assert HULL.place(to_atoms(crystal), -5.2, EnergyCorrection.OWN) == expected


def test_many_are_placed_as_one_by_one():
    found = relaxed(((13, 28), -5.2, True), ((13, 13, 28), -5.0, True), ((13, 29), -9.0, True))
    pairs = [(row.crystal, row.energy) for row in found.structures]
    assert HULL.place_all(pairs, EnergyCorrection.OWN) == [
        HULL.place(c, e, EnergyCorrection.OWN) for c, e in pairs
    ]


def test_progress_is_reported_of_all_structures():
    lost = RelaxedStructure.failed("lost", "TOO_CLOSE")
    counts = []
    assess_stability(
        RelaxedSet("EMT", EnergyCorrection.OWN, (*relaxed(*METALS).structures, lost)),
        HULL,
        report=counts.append,
    )
    assert sum(counts) == 4
