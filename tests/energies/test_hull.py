"""Formation energies and hulls, beside pymatgen's phase diagram and published corrections."""

import gzip
import itertools
import json
import time
import warnings
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core.composition import Composition
from pymatgen.core.structure import Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.energies.corrections import (
    EnergyCorrection,
    _electronegativity,
    _hubbards,
    mp2020_correction,
)
from crystext.energies.hull_folder import read_hull_folder
from crystext.energies.hull_sources import open_hull
from crystext.errors import InputError, SettingError
from crystext.io.read import read_crystals
from crystext.structures.crystal import Crystal
from tests.example_crystals import EXAMPLE_CRYSTALS

REFERENCES = {"Na": -1.3, "Cl": -1.8, "K": -1.1}
POINTS = {"NaCl": -2.0, "Na2Cl": -1.0, "KCl": -2.2, "KNaCl2": -2.3, "K": -0.05}


@pytest.fixture
def folder(tmp_path):
    entries = {
        symbol: {"energy": 2 * energy, "composition": {symbol: 2.0}, "correction": 0.0}
        for symbol, energy in REFERENCES.items()
    }
    with gzip.open(tmp_path / "x-elemental-reference-entries.json.gz", "wt") as file:
        json.dump(entries, file)
    columns = {
        "reduced_formula": list(POINTS),
        "e_form_per_atom_hull_point": list(POINTS.values()),
    }
    pq.write_table(pa.table(columns), tmp_path / "hull_points_x.parquet")
    return tmp_path


def crystal(symbols):
    structure = Structure(
        np.eye(3) * 6, symbols, np.linspace(0, 0.9, len(symbols))[:, None] * [1, 1, 1]
    )
    return Crystal.from_structure(structure)


def phase_diagram(points):
    entries = [
        PDEntry(Composition(f), e * Composition(f).num_atoms)
        for f, e in points.items()
        if len(Composition(f)) > 1
    ]
    elements = {symbol for formula in points for symbol in Composition(formula).get_el_amt_dict()}
    return PhaseDiagram(entries + [PDEntry(Composition(x), 0.0) for x in sorted(elements)])


@pytest.mark.parametrize("formula", ["NaCl", "Na2Cl", "Na3Cl", "K2Na3Cl", "KNaCl2", "NaCl9", "K"])
def test_the_hull_is_that_of_pymatgens_phase_diagram(folder, formula):
    composition = Composition(formula)
    expected = phase_diagram(POINTS).get_hull_energy_per_atom(composition)
    found = read_hull_folder(folder).energy(composition.get_el_amt_dict())
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_shipped_hull_is_that_of_pymatgens_phase_diagram():
    hull = open_hull()
    rng = np.random.default_rng(0)
    systems = sorted({tuple(sorted(c)) for c, _ in hull.compounds if len(c) == 3})
    for symbols in rng.choice(np.array(systems), 5).tolist():
        chosen = hull.compounds.within([ATOMIC_NUMBERS[symbol] for symbol in symbols]).tolist()
        points = dict.fromkeys(symbols, 0.0) | {
            hull.compounds.formula(i): hull.compounds.energies[i] for i in chosen
        }
        composition = dict(zip(symbols, rng.integers(1, 9, 3).tolist(), strict=True))
        expected = phase_diagram(points).get_hull_energy_per_atom(Composition(composition))
        assert hull.energy(composition) == pytest.approx(expected, abs=1e-7)


def test_labels_of_materials_project_lie_above_the_shipped_hull_as_they_say(shared_data):
    hull = open_hull()
    table = pq.read_table(shared_data / "mp20_val.parquet").to_pylist()
    errors = []
    for row in islice(table, 0, None, 90):
        amounts = Composition(row["pretty_formula"]).get_el_amt_dict()
        above = row["formation_energy_per_atom"] - hull.energy(amounts)
        errors.append(abs(above - row["e_above_hull"]))
    assert np.mean(errors) < 0.01


# eV per atom of the anion, and per atom of the metal where it is computed with U.
# Wang et al., Sci. Rep. 11, 15496 (2021), Table 1.
OXIDE, PEROXIDE, CHLORIDE, IRON_IN_OXIDES = -0.687, -0.465, -0.614, -2.256


def test_corrections_are_the_published_ones():
    assert mp2020_correction(EXAMPLE_CRYSTALS["nacl"]) == pytest.approx(
        CHLORIDE * EXAMPLE_CRYSTALS["nacl"].symbols.count("Cl"), abs=1e-3
    )
    assert mp2020_correction(EXAMPLE_CRYSTALS["iron"]) == 0
    wustite = Crystal(
        np.full(3, 4.33),
        np.full(3, 90.0),
        np.array([26] * 4 + [8] * 4),
        np.array(
            [
                *([0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]),
                *([0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]),
            ]
        ),
    )
    assert mp2020_correction(wustite) == pytest.approx(4 * (OXIDE + IRON_IN_OXIDES), abs=1e-2)


def test_a_peroxide_is_told_from_an_oxide_by_its_bonds():
    def barium_peroxide(bond):
        half = bond / 2 / 6.8
        return Crystal(
            np.array([3.8, 3.8, 6.8]),
            np.full(3, 90.0),
            np.array([56, 56, 8, 8, 8, 8]),
            np.array(
                [
                    *([0, 0, 0], [0.5, 0.5, 0.5]),
                    *([0, 0, 0.5 + half], [0, 0, 0.5 - half]),
                    *([0.5, 0.5, half], [0.5, 0.5, 1 - half]),
                ]
            ),
        )

    assert mp2020_correction(barium_peroxide(1.49)) == pytest.approx(4 * PEROXIDE, abs=1e-2)
    assert mp2020_correction(barium_peroxide(2.6)) == pytest.approx(4 * OXIDE, abs=1e-2)


def test_formation_energy_and_distance_follow_from_the_references(folder):
    hull, salt = read_hull_folder(folder), crystal(["Na", "Cl"])
    energy = -1.3 - 1.8 + 2 * -1.9
    placed = hull.place(salt, energy, EnergyCorrection.CORRECTED)
    assert placed.formation_energy == pytest.approx(-1.9)
    assert placed.above_hull == pytest.approx(0.1)
    assert hull.above(salt, energy - 0.4) == pytest.approx(-0.1)


def test_corrections_are_added_once_and_where_they_are_missing(folder):
    hull, salt = read_hull_folder(folder), crystal(["Na", "Cl"])
    without, whole = (
        hull.place(salt, -7.0, s)
        for s in (EnergyCorrection.UNCORRECTED, EnergyCorrection.CORRECTED)
    )
    difference = without.above_hull - whole.above_hull
    assert difference == pytest.approx(mp2020_correction(salt) / 2)
    assert difference == pytest.approx(CHLORIDE / 2, abs=1e-3)


def test_energies_of_another_functional_meet_no_hull_of_corrected_ones(folder):
    hull = read_hull_folder(folder)
    hull.check_comparable("CHGNet-0.3.0", EnergyCorrection.CORRECTED)
    with pytest.raises(SettingError, match="of the same potential only"):
        hull.check_comparable("MatPES", EnergyCorrection.OWN)


def test_an_unknown_element_is_unknown_and_never_stable(folder):
    hull, strange = read_hull_folder(folder), crystal(["Na", "Xe"])
    for scale in EnergyCorrection:
        placed = hull.place(strange, -1000.0, scale)
        assert placed.unknown_elements == ("Xe",)
        assert placed.formation_energy is None
        assert placed.above_hull is None


def test_a_hull_that_cannot_be_read_is_named(folder, tmp_path):
    with pytest.raises(InputError, match="hull_points"):
        read_hull_folder(tmp_path / "nothing")
    (folder / "x-elemental-reference-entries.json.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="no elemental reference entries"):
        read_hull_folder(folder)
    pq.write_table(pa.table({"formula": ["NaCl"]}), folder / "hull_points_x.parquet")
    with pytest.raises(InputError):
        read_hull_folder(folder)


def test_a_composition_that_is_none_is_refused_and_a_missing_element_unknown(folder):
    hull = read_hull_folder(folder)
    assert hull.phases_at({"Na": 1, "Xe": 1}) is None
    wrong = [({}, "amounts above 0"), ({"Na": 0, "Cl": 1}, "above 0"), ({"Nq": 1}, "no element")]
    for composition, match in wrong:
        with pytest.raises(SettingError, match=match):
            hull.phases_at(composition)


def test_corrections_are_those_that_pymatgen_gives_an_entry(shared_data):
    found = read_crystals(shared_data / "mp20_test.parquet")
    crystals = [item.crystal for item in islice(found, 0, 600, 10)]
    scheme = MaterialsProject2020Compatibility(check_potcar=False)
    for crystal in crystals:
        hubbards = _hubbards(crystal.structure.get_sorted_structure(key=_electronegativity))
        parameters = {"run_type": "GGA+U" if hubbards else "GGA", "hubbards": hubbards}
        entry = ComputedStructureEntry(crystal.structure, 0.0, parameters=parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = sum(x.value for x in scheme.get_adjustments(entry))
        assert mp2020_correction(crystal) == pytest.approx(expected, abs=1e-9)


def test_a_cell_of_many_different_elements_is_corrected_at_once():
    symbols = "Re Os Ru Tc Mn W Mo Ir I Br Cl Xe S Se N P As C".split()
    started = time.monotonic()
    assert np.isfinite(mp2020_correction(crystal(symbols)))
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("gas", ["He", "Ne", "Ar"])
def test_an_element_without_electronegativity_leaves_the_correction_to_the_others(gas):
    # The U of iron oxides applies, however the atoms are ordered.
    orders = itertools.permutations(["Fe", "O", gas])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {round(mp2020_correction(crystal(symbols)), 6) for symbols in orders}
    assert found == {round(mp2020_correction(crystal(["Fe", "O"])), 6)}
