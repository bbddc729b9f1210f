"""Every file of an export is read back by the library that owns its format."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import ase.io
import gemmi
import numpy as np
import pytest
from ase import Atoms
from ase.io.espresso import read_fortran_namelist
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core.structure import Structure
from pymatgen.io.cp2k.inputs import Cp2kInput
from pymatgen.io.optimade import OptimadeStructureAdapter
from pymatgen.io.vasp.inputs import Incar, Kpoints, Poscar

from crystext.io.calculations.export import EXPORT_TARGETS, export_candidates
from crystext.io.calculations.materials_project import starting_moments, valence_electrons
from crystext.io.read import as_crystal, read_crystals
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from tests.io.calculations.example_candidates import CANDIDATES

MOMENTS = {"Fe": 5.0, "Mn": 5.0, "Co": 0.6}
"""Of MPRelaxSet, in Bohr magnetons."""

Exported = Callable[[str], Path]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Exports all candidates to a target, once."""
    out = tmp_path_factory.mktemp("exported")

    @cache
    def export(target: str) -> Path:
        records = [Record(crystal, name=name) for name, crystal in CANDIDATES.items()]
        written = export_candidates(records, target, out / target)
        assert written.problems == []
        return out / target

    return export


def folders(out: Path) -> list[Path]:
    return sorted(path for path in out.iterdir() if path.is_dir())


def assert_same(
    found: Structure | Atoms | Crystal, expected: Crystal, ordered: bool = True
) -> None:
    """Compare site by site: elements, cell and positions."""
    crystal = as_crystal(found)
    if not ordered:
        crystal, expected = crystal.in_text_order(), expected.in_text_order()
    np.testing.assert_allclose(crystal.lengths, expected.lengths, atol=1e-6)
    np.testing.assert_allclose(crystal.angles, expected.angles, atol=1e-5)
    assert crystal.symbols == expected.symbols
    apart = crystal.positions - expected.positions
    np.testing.assert_allclose(apart - apart.round(), 0, atol=1e-7)
    assert StructureMatcher().fit(crystal.structure, expected.structure)


def moments_of(crystal: Crystal) -> list[float]:
    return [MOMENTS.get(symbol, 0.0) for symbol in crystal.symbols]


def test_every_target_is_read_back_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in EXPORT_TARGETS if f'exported("{name}")' not in text] == []


def test_vasp_is_read_by_pymatgen(exported: Exported) -> None:
    for folder, crystal in zip(folders(exported("vasp")), CANDIDATES.values(), strict=True):
        poscar = Poscar.from_file(folder / "POSCAR", check_for_potcar=False)
        assert_same(poscar.structure, crystal, ordered=False)
        elements = [name.split("_")[0] for name in (folder / "POTCAR.spec").read_text().split()]
        assert elements == poscar.site_symbols
        moments = Incar.from_file(folder / "INCAR")["MAGMOM"]
        symbols = [site.species_string for site in poscar.structure]
        assert moments == [MOMENTS.get(symbol, 0.6) for symbol in symbols]
        assert np.prod(Kpoints.from_file(folder / "KPOINTS").kpts[0]) >= 1


def test_quantum_espresso_is_read_by_ase(exported: Exported) -> None:
    for folder, crystal in zip(folders(exported("qe")), CANDIDATES.values(), strict=True):
        assert_same(ase.io.read(folder / "pw.in", format="espresso-in"), crystal)
        with (folder / "pw.in").open() as file:
            data, cards = read_fortran_namelist(file)
        system = data["system"]
        assert system["nspin"] == (2 if any(moments_of(crystal)) else 1)
        first = cards.index("ATOMIC_SPECIES") + 1
        for i, line in enumerate(cards[first : first + system["ntyp"]], start=1):
            symbol, _, potential = line.split()
            assert potential == f"{symbol}.upf"
            share = system.get(f"starting_magnetization({i})", 0.0)
            assert abs(share) < 1
            assert share * valence_electrons(symbol) == pytest.approx(
                MOMENTS.get(symbol, 0.0), abs=1e-3
            )


def test_abinit_is_read_by_ase(exported: Exported) -> None:
    for folder, crystal in zip(folders(exported("abinit")), CANDIDATES.values(), strict=True):
        atoms = ase.io.read(folder / "run.abi", format="abinit-in")
        assert_same(atoms, crystal)
        assert atoms.get_initial_magnetic_moments().tolist() == moments_of(crystal)


@pytest.mark.filterwarnings("ignore:FHI-aims IO is moving:FutureWarning")
def test_fhi_aims_is_read_by_ase(exported: Exported) -> None:
    for folder, crystal in zip(folders(exported("aims")), CANDIDATES.values(), strict=True):
        atoms = ase.io.read(folder / "geometry.in", format="aims")
        assert_same(atoms, crystal)
        assert atoms.get_initial_magnetic_moments().tolist() == moments_of(crystal)
        control = (folder / "control.in").read_text()
        species = (folder / "species.spec").read_text().split()
        assert [name.split("_")[1] for name in species] == list(dict.fromkeys(crystal.symbols))
        assert [name for name in species if name not in control] == []
        assert ("collinear" in control) == any(moments_of(crystal))


def test_cp2k_is_read_by_ase_and_pymatgen(exported: Exported) -> None:
    """ASE for the sites: pymatgen reads those of a kind together, and loses their order."""
    for folder, crystal in zip(folders(exported("cp2k")), CANDIDATES.values(), strict=True):
        assert_same(ase.io.read(folder / "cp2k.inp", format="cp2k-restart"), crystal)
        force = Cp2kInput.from_file(folder / "cp2k.inp")["FORCE_EVAL"]
        kinds = dict(force["SUBSYS"].subsections.items())
        found = {
            kind["ELEMENT"].values[0]: float(kind["MAGNETIZATION"].values[0])
            for kind in kinds.values()
            if "ELEMENT" in kind.keywords and "MAGNETIZATION" in kind.keywords
        }
        assert found == dict(zip(crystal.symbols, moments_of(crystal), strict=True))
        assert force["DFT"]["UKS"].values[0] == any(moments_of(crystal))


@pytest.mark.parametrize("target", ["atomate2", "aiida"])
def test_structures_of_workflows_are_read_by_pymatgen(exported: Exported, target: str) -> None:
    assert {"atomate2", "aiida"} == {exported("atomate2").name, exported("aiida").name}
    for folder, crystal in zip(folders(exported(target)), CANDIDATES.values(), strict=True):
        assert_same(Structure.from_file(folder / "structure.json"), crystal)
        inputs = json.loads((folder / "inputs.json").read_text())
        wanted = dict(zip(crystal.symbols, moments_of(crystal), strict=True))
        assert inputs["starting_moments"] == (wanted if any(wanted.values()) else {})
    scripts = list(exported(target).glob("*.py"))
    assert len(scripts) == 1
    assert "MAKER" not in scripts[0].read_text()
    ast.parse(scripts[0].read_text())


def test_atomate2_makes_flows(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("atomate2", reason="atomate2 is not installed")
    monkeypatch.syspath_prepend(str(exported("atomate2")))
    from flows import flows  # type: ignore[import-not-found]

    assert [flow.name for flow in flows] == [f.name for f in folders(exported("atomate2"))]


def test_optimade_is_read_by_pymatgen(exported: Exported) -> None:
    path = exported("optimade") / "structures.json"
    entries = json.loads(path.read_text())["data"]
    for i, (entry, (name, crystal)) in enumerate(zip(entries, CANDIDATES.items(), strict=True)):
        structure = OptimadeStructureAdapter.get_structure(entry)
        assert_same(structure, crystal)
        tags = structure.properties["optimade_attributes"]
        assert tags["_crystext_index"] == i
        assert tags["_crystext_source_name"] == name
    found = [record.crystal for record in read_crystals(path)]
    assert [x.symbols for x in found if x] == [x.symbols for x in CANDIDATES.values()]


def test_extended_xyz_is_read_by_ase(exported: Exported) -> None:
    frames = ase.io.read(exported("extxyz") / "candidates.extxyz", index=":")
    for i, (frame, (name, crystal)) in enumerate(zip(frames, CANDIDATES.items(), strict=True)):
        assert_same(frame, crystal)
        assert frame.info["place"] == i + 1
        assert frame.info["source_name"] == name


def test_cif_is_read_by_pymatgen_and_its_tags_by_gemmi(exported: Exported) -> None:
    paths = sorted(exported("cif").glob("*.cif"))
    for path, (name, crystal) in zip(paths, CANDIDATES.items(), strict=True):
        assert_same(Structure.from_file(path), crystal, ordered=False)
        block = gemmi.cif.read(str(path)).sole_block()
        assert gemmi.cif.as_string(block.find_value("_crystext_source_name")) == name


def test_an_export_is_itself_a_source(exported: Exported) -> None:
    """The index beside the files of structures is not taken for one of them."""
    for target in ("vasp", "cif", "extxyz", "optimade", "atomate2"):
        records = list(read_crystals(exported(target)))
        assert [record.message for record in records] == [None] * len(CANDIDATES)


def test_a_symmetrised_cif_is_the_same_crystal(tmp_path: Path) -> None:
    quartz = CANDIDATES["quartz"]
    export_candidates([quartz], "cif", tmp_path / "out", symmetrized=True)
    path = tmp_path / "out" / "001-SiO2.cif"
    assert "_space_group_IT_number   152" in path.read_text()
    structure = Structure.from_file(path)
    assert StructureMatcher().fit(structure, quartz.structure)
    assert structure.get_space_group_info(0.01)[1] == 152


def test_starting_moments_are_those_of_the_materials_project() -> None:
    for crystal in CANDIDATES.values():
        assert starting_moments(crystal) == moments_of(crystal)
