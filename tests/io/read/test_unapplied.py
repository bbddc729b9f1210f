"""A file whose symmetry, units or elements a parser passes over is refused, or read with a note."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crystext.io.read.parse import Piece, parse_piece
from crystext.structures.record import Record
from tests.io.read.format_examples import ABINIT, CASTEP, ESPRESSO, FORMAT_EXAMPLES, LAMMPS, RES

SHELX = """TITL NaCl in F m -3 m
CELL 0.71073 5.64 5.64 5.64 90 90 90
ZERR 4 0.001 0.001 0.001 0 0 0
LATT 4
SYMM -X, -Y, Z
SYMM Z, X, Y
SFAC Na Cl
UNIT 4 4
FVAR 1.0
Na1 1 0.0 0.0 0.0 10.02083 0.01
Cl1 2 0.5 0.5 0.5 10.02083 0.01
HKLF 4
END
"""

CSSR = """                                         5.6400     5.6400     5.6400
                        90.0000    90.0000    90.0000 SPGR = 225 F m -3 m    OPT = 1
   2   0
     0 NaCl : NaCl
   1 Na         0.0000    0.0000    0.0000    0    0    0    0    0    0    0    0  0.000
   2 Cl         0.5000    0.5000    0.5000    0    0    0    0    0    0    0    0  0.000
"""

PDB = """CRYST1    5.640    5.640    5.640  90.00  90.00  90.00 F m -3 m      4
ATOM      1 NA   NA      1       0.000   0.000   0.000  1.00  0.00          NA
ATOM      2 CL   CL      1       2.820   2.820   2.820  1.00  0.00          CL
END
"""

SPACE_GROUP = (
    '<SpaceGroup ID="6" Parent="4" AVector="4,0,0" BVector="0,4,0" CVector="0,0,4" '
    'Name="{name}" Operators="{operators}" GroupName="{name}"/>'
)
XSD = """<?xml version="1.0" encoding="latin1"?>
<XSD Version="6.0"><AtomisticTreeRoot ID="1"><SymmetrySystem ID="2"><MappingSet ID="3">
<MappingFamily ID="4"><IdentityMapping ID="5">
<Atom3d ID="7" Name="Cs1" XYZ="0,0,0" Components="Cs"/>
<Atom3d ID="8" Name="Cl1" XYZ="0.5,0.5,0.5" Components="Cl"/>
{group}
</IdentityMapping></MappingFamily></MappingSet></SymmetrySystem></AtomisticTreeRoot></XSD>
"""
IDENTITY = "1,0,0,0,0,1,0,0,0,0,1,0"
INVERSION = "-1,0,0,0,0,-1,0,0,0,0,-1,0"


def read(kind: str, text: str) -> Record:
    (item,) = parse_piece(Piece("x", kind, text.encode() if ":" in kind else text))
    return item


def xsd(name: str, operators: str) -> str:
    return XSD.format(group=SPACE_GROUP.format(name=name, operators=operators))


REFUSED = {
    "SHELX": ("pymatgen:res", SHELX, "LATT 4 and SYMM: most of its atoms follow from symmetry"),
    "SHELX, centring": ("pymatgen:res", RES.replace("LATT -1", "LATT -4"), "LATT -4"),
    "SHELX, inversion": ("pymatgen:res", RES.replace("LATT -1", "LATT 1"), "LATT 1"),
    "SHELX, default": ("pymatgen:res", RES.replace("LATT -1\n", ""), "no LATT, which means an inv"),
    "SHELX in P1": (
        "pymatgen:res",
        "".join(x for x in SHELX.splitlines(True) if "SYMM" not in x).replace("LATT 4", "LATT -1"),
        "a refinement of SHELXL (FVAR, UNIT, ZERR)",
    ),
    "res, half an atom": ("pymatgen:res", RES.replace("0.0 1.0", "0.0 0.5"), "atom 1 (Na) is"),
    "res, other number": ("pymatgen:res", RES.replace("Na 1", "Na 2"), "number 2 means Cl"),
    "cssr": ("pymatgen:cssr", CSSR, "line 2 has SPGR = 225 F m -3 m"),
    "cssr, orthogonal": (
        "pymatgen:cssr",
        CSSR.replace("225 F m -3 m", "1 P 1").replace("2   0\n", "2   1\n", 1),
        "its coordinates are orthogonal",
    ),
    "cssr, count": (
        "pymatgen:cssr",
        CSSR.replace("225 F m -3 m", "1 P 1").replace("2   0\n", "3   0\n", 1),
        "it lists 2 atoms, but line 3 says 3",
    ),
    "pdb": ("ase:proteindatabank", PDB, "the space group F m -3 m, and only the asymmetric unit"),
    "pdb, half an atom": (
        "ase:proteindatabank",
        PDB.replace("F m -3 m", "P 1     ").replace("2.820  1.00", "2.820  0.50"),
        "atom 2 (CL) is disordered",
    ),
    "pdb, two places": (
        "ase:proteindatabank",
        PDB.replace("F m -3 m", "P 1     ").replace("NA   NA", "NA  ANA"),
        "alternative locations",
    ),
    "pdb, no element": (
        "ase:proteindatabank",
        PDB.replace("F m -3 m", "P 1     ").replace("          NA\n", "\n"),
        "names no element in columns 77 and 78",
    ),
    "pdb, no cell": (
        "ase:proteindatabank",
        PDB.replace("    5.640" * 3, "    1.000" * 3).replace("F m -3 m", "P 1     "),
        "means that it has no cell",
    ),
    "xsd": ("ase:xsd", xsd("PM-3M", IDENTITY), "the space group PM-3M"),
    "xsd, operators": ("ase:xsd", xsd("P1", f"{IDENTITY}:{INVERSION}"), "with 2 operations"),
    "cfg, unit": (
        "ase:cfg",
        "Number of particles = 1\nA = 4.05 Angstrom\nH0(1,1) = 1 A\nH0(2,2) = 1 A\nH0(3,3) = 1 A\n"
        ".NO_VELOCITY.\nentry_count = 3\n26.98\nAl\n0 0 0\n",
        "its unit of length is 'A = 4.05 Angstrom'",
    ),
    "cell, mixture": (
        "ase:castep-cell",
        CASTEP.replace("Cl 0.5 0.5 0.5", "Cl 0.5 0.5 0.5 MIXTURE:(1 0.5)"),
        "line 10 has a MIXTURE",
    ),
    "cell, unit": ("ase:castep-cell", CASTEP.replace("ang\n", "a0\n"), "line 2 has the unit A0"),
    "lammps, types alone": (
        "ase:lammps-data",
        LAMMPS.replace("Masses\n\n1 132.905\n2 35.45\n\n", ""),
        "atoms have numbered types",
    ),
    "lammps, masses of a model": (
        "ase:lammps-data",
        LAMMPS.replace("132.905", "1.0").replace("35.45", "1.0"),
        "type 1 has the mass 1.0, which matches no element",
    ),
    "espresso": (
        "ase:espresso-in",
        ESPRESSO.replace("ibrav = 0", "space_group = 221"),
        "it has space_group",
    ),
    "abinit": ("ase:abinit-in", ABINIT + "spgroup 221\n", "it has spgroup"),
    "abinit, angles": ("ase:abinit-in", ABINIT + "angdeg 90 90 120\n", "it has angdeg"),
    "abinit, xcart in Å": (
        "ase:abinit-in",
        ABINIT.replace("xred 0 0 0 0.5 0.5 0.5", "xcart 0 0 0 2 2 2 angstrom"),
        "its xcart are in Å",
    ),
    "abinit, comment": ("ase:abinit-in", "! natom 1\n" + ABINIT, "natom in a comment after !"),
    "xsf, count": (
        "pymatgen:xsf",
        "CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n3 1\n55 0 0 0\n17 2 2 2\n",
        "it lists 2 atoms, but its PRIMCOORD says 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_parser_would_pass_over_is_refused(name: str) -> None:
    kind, text, reason = REFUSED[name]
    item = read(kind, text)
    assert item.crystal is None
    assert reason in str(item.message)


def test_lengths_of_a_cube_in_angstrom_are_refused(tmp_path: Path) -> None:
    text = FORMAT_EXAMPLES["ase:cube"](tmp_path).split("\n")
    text[3] = "-" + text[3]
    assert "its lengths are in Å" in str(read("ase:cube", "\n".join(text)).message)


READ = {
    "res of AIRSS": ("pymatgen:res", RES, ["Na", "Cl"], 5.64),
    "cssr in P1": ("pymatgen:cssr", CSSR.replace("225 F m -3 m", "1 P 1"), ["Na", "Cl"], 5.64),
    "pdb in P1": ("ase:proteindatabank", PDB.replace("F m -3 m", "P 1     "), ["Na", "Cl"], 5.64),
    "xsd in P1": ("ase:xsd", xsd("P1", IDENTITY), ["Cs", "Cl"], 4.0),
    "CASTEP with symmetry lists every atom": ("ase:castep-cell", CASTEP, ["Cs", "Cl"], 4.12),
    "CASTEP in Bohr": (
        "ase:castep-cell",
        CASTEP.replace("ang\n", "bohr\n").replace("4.12", "10.0"),
        ["Cs", "Cl"],
        5.2917721,
    ),
    "espresso": ("ase:espresso-in", ESPRESSO, ["Cs", "Cl"], 4.12),
    "abinit": ("ase:abinit-in", ABINIT, ["Cs", "Cl"], 4.12),
}


@pytest.mark.parametrize("name", READ)
def test_what_lists_every_atom_is_read(name: str) -> None:
    kind, text, symbols, length = READ[name]
    item = read(kind, text)
    assert item.crystal is not None, item.message
    assert item.crystal.symbols == symbols
    assert np.allclose(item.crystal.lengths, length, atol=1e-5)
    assert item.notes == ()


def test_elements_told_by_masses_alone_are_noted() -> None:
    item = read("ase:lammps-data", LAMMPS)
    assert item.crystal is not None
    assert item.crystal.symbols == ["Cs", "Cl"]
    assert item.notes == ("its elements are inferred from masses: type 1 Cs, 2 Cl",)


def test_a_pdb_without_a_space_group_is_noted() -> None:
    item = read("ase:proteindatabank", PDB.replace("F m -3 m      4", ""))
    assert item.crystal is not None
    assert item.notes == ("it names no space group, and is read as P 1",)


@pytest.mark.parametrize("scale", ["1.0", "2.0", "-64.0", "1 2 3"])
def test_each_configuration_of_an_xdatcar_is_read_by_the_rules_of_a_poscar(scale: str) -> None:
    header = f"NaCl\n{scale}\n4 0 0\n0 4 0\n0 0 4\nNa_pv Cl\n1 1\n"
    one, two = "Direct configuration=     1\n0 0 0\n.5 .5 .5\n", "Direct configuration=     2\n"
    frames = one + two + "0 0 0\n.5 .5 .6\n"
    first, second = parse_piece(Piece("x", "xdatcar", header + frames))
    alone = parse_piece(Piece("x", "poscar", header + "Direct\n0 0 0\n.5 .5 .6\n"))[0]
    assert first.crystal is not None
    assert second.crystal == alone.crystal
    varied = header + frames.replace(
        "Direct configuration=     2", header + "Direct configuration= 2"
    )
    assert [x.crystal for x in parse_piece(Piece("x", "xdatcar", varied))] == [
        first.crystal,
        second.crystal,
    ]


def test_a_configuration_that_is_cut_off_is_no_end_of_the_others() -> None:
    header = "NaCl\n1\n4 0 0\n0 4 0\n0 0 4\nNa Cl\n1 1\n"
    frames = "Direct configuration= 1\n0 0 0\n.5 .5 .5\nDirect configuration= 2\n0 0 0\n"
    first, second = parse_piece(Piece("x", "xdatcar", header + frames))
    assert first.crystal is not None
    assert second.crystal is None
    assert "configuration 2" in str(second.message)
