"""Symmetrised CIFs and conventional cells: other programs find the atoms that were meant."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import ase.io
import gemmi
import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.cif import CifParser

from crystext.errors import SettingError
from crystext.io.read import read_crystal, read_crystals
from crystext.io.write import Layout, crystal_texts, symmetrized_cif, write_crystals
from crystext.io.write.symmetry import conventional_cell, find_wyckoff
from crystext.structures.crystal import Crystal, Floats
from crystext.structures.distances import has_min_distances
from crystext.structures.space_groups import find_space_group
from crystext.structures.wyckoff.cell_parameters import free_parameter_names
from crystext.structures.wyckoff.orbits import Orbit, WyckoffCrystal
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS, wyckoff_positions
from crystext.text import decode, encode
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL, QUARTZ

SYMMETRIZED = Layout(symmetrized=True)
CONVENTIONAL = Layout(conventional=True)


def example_of(group: int) -> WyckoffCrystal:
    """Return a crystal on the first, the middle and the general position of a group."""
    rng = np.random.default_rng(group)
    known = wyckoff_positions(group)
    letters = list(known)
    chosen = dict.fromkeys((letters[0], letters[len(letters) // 2], letters[-1]))
    while True:
        orbits = tuple(
            Orbit(z, known[letter], rng.uniform(0.02, 0.48, len(known[letter].free_axes)).round(3))
            for z, letter in zip((11, 8, 26), chosen, strict=False)
        )
        cell = [
            round(rng.uniform(15, 22) if len(name) == 1 else rng.uniform(80, 100), 2)
            for name in free_parameter_names(group)
        ]
        found = WyckoffCrystal(group, orbits, tuple(cell))
        whole = conventional_cell(found)
        if has_min_distances(whole.lattice, whole.positions, whole.numbers, 0.6):
            return found


def is_same(crystal: Crystal, numbers: object, sites: Floats) -> bool:
    """Tell whether atoms are those of a crystal, each within rounding and in any order."""
    found = np.asarray(numbers)
    if len(found) != len(crystal):
        return False
    apart = np.asarray(sites)[:, None] - crystal.positions[None]
    near = np.abs(apart - np.rint(apart)).max(axis=2) < 2e-6
    near &= found[:, None] == crystal.numbers[None]
    return bool((near.sum(axis=0) == 1).all() and (near.sum(axis=1) == 1).all())


@pytest.mark.parametrize("group", range(1, N_SPACE_GROUPS + 1))
def test_three_libraries_read_the_atoms_that_a_symmetrized_cif_means(group: int) -> None:
    symmetric = example_of(group)
    text, meant = symmetrized_cif(symmetric), conventional_cell(symmetric)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structure = CifParser.from_str(text).parse_structures(primitive=False)[0]
        atoms = ase.io.read(io.StringIO(text), format="cif")
    assert is_same(meant, [site.specie.Z for site in structure], structure.frac_coords)
    assert not isinstance(atoms, list)
    assert is_same(meant, atoms.numbers, atoms.get_scaled_positions())
    assert atoms.info["spacegroup"].no == group
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(text).sole_block())
    sites = list(small.get_all_unit_cell_sites())
    assert is_same(
        meant,
        [site.element.atomic_number for site in sites],
        np.array([site.fract.tolist() for site in sites]),
    )
    assert small.spacegroup.number == group


def test_a_symmetrized_cif_says_all_that_the_dictionary_has_for_it() -> None:
    block = gemmi.cif.read_string(symmetrized_cif(find_wyckoff(NACL), "salt")).sole_block()
    assert block.name == "salt"
    assert block.find_value("_space_group_name_H-M_alt") == "'F m -3 m'"
    assert block.find_value("_space_group_name_Hall") == "'-F 4 2 3'"
    assert block.find_value("_space_group_IT_number") == "225"
    assert block.find_value("_cell_formula_units_Z") == "4"
    assert block.find_value("_chemical_formula_sum") == "'Cl Na'"
    assert len(block.find_values("_space_group_symop_operation_xyz")) == 192
    assert list(block.find_values("_atom_site_symmetry_multiplicity")) == ["4", "4"]
    assert set(block.find_values("_atom_site_Wyckoff_symbol")) == {"a", "b"}
    assert list(block.find_values("_atom_site_label")) == ["Na1", "Cl1"]


@pytest.mark.parametrize(
    ("group", "symbol"),
    [(227, "F d -3 m :1"), (166, "R -3 m :H"), (14, "P 1 21/c 1"), (152, "P 31 2 1")],
)
def test_the_setting_is_named(group: int, symbol: str) -> None:
    block = gemmi.cif.read_string(symmetrized_cif(example_of(group))).sole_block()
    assert block.find_value("_space_group_name_H-M_alt") == f"'{symbol}'"


@pytest.mark.parametrize(("name", "crystal"), sorted(EXAMPLE_CRYSTALS.items()))
@pytest.mark.parametrize("layout", [SYMMETRIZED, CONVENTIONAL, Layout(True, True)])
@pytest.mark.parametrize("suffix", ["cif", "vasp", "extxyz", "json", "csv", "parquet"])
def test_our_reader_finds_the_crystal_again(
    name: str, crystal: Crystal, layout: Layout, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"x.{suffix}"
    if layout.symmetrized and suffix in ("vasp", "extxyz", "json"):
        with pytest.raises(SettingError, match="cannot hold symmetry operations"):
            write_crystals([(name, crystal)], path, layout=layout)
        return
    write_crystals([(name, crystal)], path, layout=layout)
    found = read_crystal(path)
    assert find_space_group(found) == find_space_group(crystal)
    assert StructureMatcher().fit(found.structure, crystal.structure)
    if layout.conventional:
        assert len(found) == len(conventional_cell(find_wyckoff(crystal)))


TEXT = "225\nNa 4a\nCl 4b\n5.64"
LOWER = "216\nNa 4a\nCl 4b\n5.64"
"""Salt again, declared in a subgroup in which both elements lie on positions of less symmetry."""


def test_the_group_that_a_text_declares_is_that_of_the_cif() -> None:
    crystal = decode(LOWER).crystal
    assert crystal is not None
    assert find_space_group(crystal) == 225
    (by_text,) = crystal_texts([("x", crystal)], "cif", layout=SYMMETRIZED, texts=[LOWER])
    (by_spglib,) = crystal_texts([("x", crystal)], "cif", layout=SYMMETRIZED)
    assert "_space_group_IT_number   216\n" in by_text
    assert "_space_group_IT_number   225\n" in by_spglib


def test_a_text_by_symmetry_comes_back_from_its_cif_letter_for_letter(tmp_path: Path) -> None:
    texts = [TEXT, "152\nSi 3a 0.470\nO 6c 0.413 0.267 0.119\n4.91 5.40"]
    for text in texts:
        crystal = decode(text).crystal
        assert crystal is not None
        path = tmp_path / "x.cif"
        path.unlink(missing_ok=True)
        write_crystals([("x", crystal)], path, layout=SYMMETRIZED, texts=[text])
        again = encode(crystal, "wyckoff")
        assert encode(read_crystal(path), "wyckoff") == again


def test_a_crystal_without_a_symmetry_to_find_is_written_as_it_is_and_said(tmp_path: Path) -> None:
    same_place = Crystal(
        QUARTZ.lengths, QUARTZ.angles, np.array([8, 8]), np.array([[0.1, 0.2, 0.3]] * 2)
    )
    said: list[str] = []
    crystals = [("good", NACL), ("bad", same_place)]
    write_crystals(crystals, tmp_path / "x", layout=SYMMETRIZED, note=said.append)
    assert len(said) == 1
    assert said[0].startswith("bad is written as it is, in P 1: spglib finds no symmetry")
    assert "'P 1'" in (tmp_path / "x" / "bad.cif").read_text()
    assert "'F m -3 m'" in (tmp_path / "x" / "good.cif").read_text()


def test_a_conventional_cell_has_labels_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "x.cif"
    write_crystals([("x", NACL)], path, layout=CONVENTIONAL, labels=[["Na7", "Cl9"]])
    (item,) = read_crystals(path)
    assert item.crystal is not None
    assert len(item.crystal) == 8
    labels = gemmi.cif.read_file(str(path)).sole_block().find_values("_atom_site_label")
    assert list(labels) == [f"{s}{i}" for s in ("Na", "Cl") for i in range(1, 5)]
