from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystext.energies.potential import Potential, to_atoms
from crystext.errors import InputError, SettingError
from crystext.generation.infilling.group_settings import KnownSites, find_settings
from crystext.generation.results import InfillResults
from crystext.io.read.partial_structures import read_partial_structure
from crystext.lm import CrystalLM
from crystext.structures.crystal import Crystal
from tests.example_crystals import NACL

ANATASE = Structure.from_spacegroup(
    "I4_1/amd", Lattice.tetragonal(3.785, 9.514), ["Ti", "O"], [[0, 0, 0], [0, 0, 0.2081]]
)
RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.3053, 0.3053, 0]]
)
RUTILE_CIF = """data_rutile
_cell_length_a 4.594
_cell_length_b 4.594
_cell_length_c 2.959
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 42/m n m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Ti1 Ti 0 0 0
O1 O ? ? 0
"""
MATCHER = StructureMatcher()


@cache
def lm() -> CrystalLM:
    return CrystalLM.load()


def infill(structure: Any, n: int = 3, **options: Any) -> InfillResults:
    return lm().infill(structure, n=n, progress=False, **options)


def without(structure: Structure, symbol: str) -> Structure:
    left = structure.copy()
    left.remove_species([symbol])
    return left


TITANIUM = without(RUTILE, "O")
HALF_OF_TITANIUM = Structure(RUTILE.lattice, ["Ti"], [[0, 0, 0]])


def known(structure: Structure, *unplaced: int) -> KnownSites:
    return KnownSites(
        np.array(structure.lattice.abc),
        np.array(structure.lattice.angles),
        np.array(structure.atomic_numbers),
        structure.frac_coords,
        tuple(f"{site.specie}{i}" for i, site in enumerate(structure)),
        unplaced,
    )


def rutile_file(folder: Path, *changes: tuple[str, str]) -> Path:
    text = RUTILE_CIF
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "rutile.cif"
    path.write_text(text)
    return path


def assert_found_first(found: InfillResults, expected: Structure) -> None:
    assert MATCHER.fit(found[0].structure, expected)
    assert SpacegroupAnalyzer(found[0].structure, 0.01).get_space_group_number() == (
        SpacegroupAnalyzer(expected, 0.01).get_space_group_number()
    )
    assert found[0].problem == ""


@pytest.mark.parametrize("primitive", [False, True])
def test_the_oxygens_of_anatase_are_found_first_in_any_cell(primitive: bool) -> None:
    given = ANATASE.get_primitive_structure() if primitive else ANATASE
    found = infill(given, coordinates="O", space_group=141)
    assert_found_first(found, ANATASE)
    best = found[0].structure
    assert best.lattice.abc == pytest.approx(given.lattice.abc)
    titanium = [i for i, site in enumerate(given) if site.specie.symbol == "Ti"]
    assert np.array_equal(
        found[0].crystal.positions[titanium], given.frac_coords[titanium]
    ) or np.allclose(best.frac_coords[titanium] % 1, given.frac_coords[titanium] % 1, atol=1e-12)
    letters = {result.orbits[0].split()[1] for result in found}
    assert letters <= {"8c", "8d", "8e"}
    for one in range(len(found)):
        for other in range(one):
            assert not MATCHER.fit(found[one].structure, found[other].structure)


def test_an_asymmetric_unit_is_completed_as_it_is(tmp_path: Path) -> None:
    found = infill(rutile_file(tmp_path))
    assert_found_first(found, RUTILE)
    best = found[0]
    assert best.labels == ("Ti1", "Ti1_2", "O1", "O1_2", "O1_3", "O1_4")
    assert best.crystal.positions[0].tolist() == [0, 0, 0]
    assert best.crystal.positions[2, 2] == 0
    assert [change.label for change in best.changes] == ["O1", "O1_2", "O1_3", "O1_4"]
    assert found.infill_run.space_group == 136
    assert not found.infill_run.only_space_group


def test_a_formula_and_tied_lengths_are_used(tmp_path: Path) -> None:
    path = rutile_file(
        tmp_path,
        ("? ? 0", "? ? ?"),
        ("_cell_length_b 4.594", "_cell_length_b ?"),
        ("loop_", "_chemical_formula_sum 'Ti O2'\nloop_"),
    )
    found = infill(path)
    assert_found_first(found, RUTILE)
    assert found[0].crystal.lengths.tolist() == [4.594, 4.594, 2.959]
    assert {result.crystal.symbols.count("O") for result in found} == {4}


def test_atoms_are_added_orbit_by_orbit_and_known_coordinates_stay(tmp_path: Path) -> None:
    added = infill(without(RUTILE, "O"), add="4 O", space_group="P4_2/mnm")
    assert_found_first(added, RUTILE)
    rows = "Ti2 Ti .5 .5 .5\nO1 O ? ? 0.5\nO2 O ? ? 0\nO3 O ? ? 0\nO4 O ? ? 0.5"
    path = rutile_file(
        tmp_path, ("O1 O ? ? 0", rows), ("_symmetry_space_group_name_H-M 'P 42/m n m'\n", "")
    )
    listed = infill(path, space_group=136)
    assert_found_first(listed, RUTILE)
    assert listed[0].crystal.positions[2:, 2].tolist() == [0.5, 0, 0, 0.5]
    assert listed[0].labels == ("Ti1", "Ti2", "O1", "O2", "O3", "O4")


def test_the_space_group_of_a_complete_crystal_is_kept_where_coordinates_are_unknown() -> None:
    kept = infill(RUTILE, coordinates="O", keep="space_group")
    assert_found_first(kept, RUTILE)
    assert {result.space_group for result in kept} == {136}


def test_unknown_elements_are_one_for_each_orbit(tmp_path: Path) -> None:
    found = infill(rutile_file(tmp_path, ("Ti1 Ti", "M1 ?")), candidates="Ti,Sn", n=4)
    assert {result.crystal.symbols[0] for result in found} == {"Ti", "Sn"}
    for result in found:
        assert result.crystal.symbols[0] == result.crystal.symbols[1]


@pytest.mark.parametrize(
    ("expected", "number", "candidates", "among"),
    [(RUTILE, 136, "Li,N,O,Ni", 1), (ANATASE, 141, None, 3)],
)
def test_oxygen_is_found_where_the_elements_of_atoms_to_add_are_unknown(
    expected: Structure, number: int, candidates: str | None, among: int
) -> None:
    given = without(expected.get_primitive_structure(), "O")
    found = infill(given, n=3, add="4 ?", space_group=number, candidates=candidates)
    assert any(MATCHER.fit(result.structure, expected) for result in found[:among])
    assert {symbol for x in found for symbol in x.crystal.symbols} - {"Ti", "O"}
    # Probabilities are those of the whole text, and say how much better oxygen fits.
    assert found[0].log_probability > found[1].log_probability


def test_the_number_of_atoms_to_add_is_found() -> None:
    given = Structure(Lattice.cubic(3.905), ["Sr", "Ti"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    found = infill(given, n=3, add="...", space_group=221, candidates="N,O")
    oxygens = [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    expected = Structure(given.lattice, ["Sr", "Ti", *"OOO"], [*given.frac_coords, *oxygens])
    assert_found_first(found, expected)


@pytest.mark.parametrize("add", [["Ti", "4 O"], ["5 ?"]])
def test_atoms_to_add_complete_known_orbits_first(add: list[str]) -> None:
    found = infill(HALF_OF_TITANIUM, n=1, add=add, space_group=136, candidates="O,N")
    assert_found_first(found, RUTILE)
    assert found[0].crystal.symbols.count("Ti") == 2


def test_an_unknown_cell_has_the_shape_of_the_crystal_system(tmp_path: Path) -> None:
    path = rutile_file(tmp_path, ("_cell_length_c 2.959", "_cell_length_c ?"), ("? ? 0", "? ? ?"))
    for result in infill(path, add=(), cell=True):
        a, b, _ = result.crystal.lengths.tolist()
        assert a == b
        assert result.crystal.angles.tolist() == [90, 90, 90]


def test_the_same_seed_gives_the_same_completions() -> None:
    one, other = (infill(without(RUTILE, "O"), add="4 O", space_group=136) for _ in range(2))
    assert [x.text for x in one] == [x.text for x in other]


@pytest.mark.parametrize("shift", [[0, 0, 0], [0.13, 0.21, 0.04]])
@pytest.mark.parametrize("primitive", [False, True])
def test_a_group_is_found_at_any_origin_and_in_a_primitive_cell(
    shift: list[float], primitive: bool
) -> None:
    given = ANATASE.get_primitive_structure() if primitive else ANATASE.copy()
    given.translate_sites(range(len(given)), shift)
    titanium = without(given, "O")
    settings = find_settings(141, known(titanium, *[8] * (len(given) - len(titanium))))
    assert len(settings) == 1
    orbit = settings[0].expand(22, titanium.frac_coords[0], titanium.lattice.matrix)
    assert orbit.orbit.position.name in ("4a", "4b")
    assert len(orbit.sites) == len(titanium)
    # The oxygens keep the operations that the titanium atoms alone determine.
    oxygen = given.frac_coords[[site.specie.symbol == "O" for site in given]]
    images = settings[0].rotations @ oxygen[0] + settings[0].translations
    away = images[:, None] - oxygen
    away -= np.rint(away)
    assert (np.abs(away).max(axis=2).min(axis=1) < 1e-4).all()


@pytest.mark.parametrize(
    ("structure", "options", "message"),
    [
        (TITANIUM, {"add": "3 O", "space_group": 136}, "no set of Wyckoff positions .* 3 O"),
        (TITANIUM, {"add": "4 O", "space_group": 225}, "which is cubic; expected three equal"),
        (TITANIUM, {"add": "4 O", "space_group": 62}, "the known atoms contradict .*62 .*Ti"),
        (ANATASE, {"add": "3 O", "space_group": 141}, "multiples of 2"),
        (
            TITANIUM,
            {"add": "...", "space_group": 136, "max_atoms": 3},
            "no set of Wyckoff .* 1 \\?",
        ),
        (
            Structure(Lattice.cubic(1.9), ["Fe"], [[0, 0, 0]]),
            {"add": "...", "space_group": 221},
            "no room for another orbit of space group 221",
        ),
        (HALF_OF_TITANIUM, {"add": "4 ?", "space_group": 136}, "holds 3 \\?"),
        (TITANIUM, {"add": "4 O", "space_group": "file"}, "declares none but P 1"),
        (TITANIUM, {"add": "4 O", "space_group": "P4_2/mnn"}, "Did you mean"),
    ],
)
def test_what_contradicts_a_group_is_said(
    structure: Structure, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((InputError, SettingError), match=message):
        infill(structure, **options)


def test_a_file_and_a_number_that_differ_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"those of space group 136 .* 141 .* is asked for"):
        infill(rutile_file(tmp_path), space_group=141)
    stretched = rutile_file(tmp_path, ("_cell_length_b 4.594", "_cell_length_b 5.2"))
    with pytest.raises(InputError, match="do not keep its cell"):
        read_partial_structure(stretched)


def rare_gas() -> Potential:
    """Return a potential of equal spheres, which knows one energy of its own."""
    calculator = LennardJones(sigma=2.2, epsilon=0.2, rc=6.0)
    atoms = to_atoms(NACL)
    atoms.calc = calculator
    energy = float(atoms.get_potential_energy()) / len(NACL)
    return Potential("spheres", calculator, known_energies=(("NaCl", NACL, energy),))


def test_completions_are_relaxed_and_ranked_by_energy() -> None:
    sodium = Crystal(NACL.lengths, NACL.angles, NACL.numbers[:4], NACL.positions[:4])
    found = infill(sodium, add="4 Cl", space_group=225, relax=True, potential=rare_gas)
    assert found.infill_run.potential == "spheres"
    energies = [result.energy for result in found if result.energy is not None]
    assert energies
    assert energies == sorted(energies)
    assert not np.allclose(found[0].crystal.lengths, NACL.lengths)
    assert found.to_dataframe()["energy"].tolist()[: len(energies)] == energies
