"""POSCARs by VASP's rules, against pymatgen and ASE where these follow them."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure
from pymatgen.io.vasp.inputs import Poscar
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystext.errors import InputError
from crystext.io.read import read_crystal, read_crystals
from crystext.io.read.parse import kind_of_text
from crystext.io.read.poscar import read_poscar
from crystext.io.read.reading import Reading
from crystext.io.write import poscar
from crystext.structures.crystal import Crystal
from tests.example_crystals import EXAMPLE_CRYSTALS, QUARTZ
from tests.strategies import crystals

VECTORS = "4 0 0\n0.5 5 0\n0 0.25 6\n"
HEAD = f"title\n1.0\n{VECTORS}"
ATOMS = "Cs Cl\n1 2\nDirect\n0.1 0.2 0.3\n0.5 0.5 0.5\n0.25 0.5 0.75\n"
PLAIN = HEAD + ATOMS
LINES = ["0.1 0.2 0.3", "0.5 0.5 0.5", "0.25 0.5 0.75"]


def lines_with(endings: list[str]) -> str:
    return "".join(f"{line} {end}\n" for line, end in zip(LINES, endings, strict=True))


def by_pymatgen(text: str) -> Crystal:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Crystal.from_structure(Poscar.from_str(text).structure)


def by_ase(text: str) -> Crystal:
    atoms = ase.io.read(io.StringIO(text), format="vasp")
    assert isinstance(atoms, Atoms)
    structure = Structure(Lattice(atoms.cell.array), atoms.numbers.tolist(),
                          atoms.get_scaled_positions(wrap=False))  # fmt: skip
    return Crystal.from_structure(structure)


def assert_same(found: Crystal, expected: Crystal) -> None:
    assert found.numbers.tolist() == expected.numbers.tolist()
    assert found.lengths == pytest.approx(expected.lengths, abs=1e-9)
    assert found.angles == pytest.approx(expected.angles, abs=1e-7)
    assert np.abs(found.positions - expected.positions).max() < 1e-9


BOTH = {
    "plain": PLAIN,
    "no title": PLAIN.replace("title", "", 1),
    "index comments": HEAD + "Cs Cl\n1 2\nDirect\n" + lines_with(["# 1", "# 2", "# 3"]),
    "integers behind": HEAD + "Cs Cl\n1 2\nDirect\n" + lines_with(["21", "22", "23"]),
    "symbols behind": HEAD + "Cs Cl\n1 2\nDirect\n" + lines_with(["Cs", "Cl", "Cl"]),
    "integer positions": HEAD + "Cs Cl\n1 2\nCartesian\n1 2 3\n0 0 0\n3 2 1\n",
    "kartesian": PLAIN.replace("Direct", "k"),
    "cartesian": PLAIN.replace("Direct", "cart"),
    "fractional": PLAIN.replace("Direct", "fractional"),
    "selective": HEAD + "Cs Cl\n1 2\nSelective dynamics\nDirect\n" + lines_with(["T T F"] * 3),
    "selective, one letter": HEAD + "Cs Cl\n1 2\ns\nc\n" + lines_with(["F F F"] * 3),
    "scaled": PLAIN.replace("1.0\n", "2.5\n", 1).replace("Direct", "Cartesian"),
    "volume": PLAIN.replace("1.0\n", "-240.0\n", 1),
    "potentials": PLAIN.replace("Cs Cl", "Cs_sv Cl_h"),
    "hashes": PLAIN.replace("Cs Cl", "Cs_sv/6a2f546d Cl/79d9987ad87"),
    "groups": HEAD + "Cs Cl Cs\n1 1 1\nDirect\n" + lines_with([""] * 3),
    "none of an element": HEAD + "Cs Na Cl\n1 0 2\nDirect\n" + lines_with([""] * 3),
    "trailing lines": PLAIN + "\n   \n\n",
    "velocities": PLAIN + "\n0.1 0.2 0.3\n0.0 0.0 0.0\n0.1 0.1 0.1\n",
    "lattice velocities": PLAIN + "Lattice velocities and vectors\n1\n" + VECTORS + VECTORS,
    "wide": PLAIN.replace("Direct", "   Direct configuration= 1"),
    "long title": PLAIN.replace("title", "a title of many words " * 40),
    "far away": PLAIN.replace("0.1 0.2 0.3", "-3.1 7.2 0.3"),
    "left-handed": PLAIN.replace("0 0.25 6", "0 0.25 -6"),
    "exponents": PLAIN.replace("4 0 0", "4.0E+00 0.0e0 0"),
}
"""Files that pymatgen and ASE read alike."""

SINCE_ASE_3_29 = ("potentials", "hashes")
"""Older versions take the name of a potential for an element's."""


@pytest.mark.parametrize("name", BOTH)
def test_what_pymatgen_and_ase_read_alike_is_read_so(name: str) -> None:
    text = BOTH[name]
    found, notes = read_poscar(text)
    assert not notes
    assert_same(found, by_pymatgen(text))
    if name not in SINCE_ASE_3_29 or Version(ase.__version__) >= Version("3.29"):
        assert_same(found, by_ase(text))


BY_ASE = {
    "three scales": PLAIN.replace("1.0\n", "2 3 4\n", 1),
    "three scales, cartesian": PLAIN.replace("1.0\n", "2 3 4\n", 1).replace("Direct", "Cartesian"),
    "comments in the header": PLAIN.replace("1.0\n", "1.0 ! scale\n", 1).replace(
        "1 2\n", "1 2 ! n\n"
    ),
    "volume, cartesian": PLAIN.replace("1.0\n", "-240.0\n", 1).replace("Direct", "Cartesian"),
    "comments behind vectors": PLAIN.replace("4 0 0", "4 0 0 a axis"),
}
"""Files of which pymatgen reads nothing, or another crystal than VASP."""


@pytest.mark.parametrize("name", BY_ASE)
def test_what_only_ase_reads_as_vasp_does_is_read_so(name: str) -> None:
    found, notes = read_poscar(BY_ASE[name])
    assert not notes
    assert_same(found, by_ase(BY_ASE[name]))


BY_PYMATGEN = {
    "comments behind #": PLAIN.replace("Cs Cl", "Cs Cl # species").replace("1 2\n", "1 2 # n\n"),
    "many symbols": HEAD + "Cs Cl\nNa\n1 1\n1\nDirect\n" + lines_with([""] * 3),
    "VASP 4, symbols behind": HEAD + "1 2\nDirect\n" + lines_with(["Cs", "Cl", "Cl"]),
    "VASP 4, selective": HEAD
    + "1 2\nSel\nDirect\n"
    + lines_with(["T T T Cs", "F F F Cl", "T F T Cl"]),
    "left-handed volume": PLAIN.replace("1.0\n", "-240.0\n", 1).replace("0 0.25 6", "0 0.25 -6"),
}
"""Files of which ASE reads nothing, or another crystal than VASP."""


@pytest.mark.parametrize("name", BY_PYMATGEN)
def test_what_only_pymatgen_reads_as_vasp_does_is_read_so(name: str) -> None:
    found, notes = read_poscar(BY_PYMATGEN[name])
    assert not notes
    assert_same(found, by_pymatgen(BY_PYMATGEN[name]))


def test_exponents_of_fortran_are_numbers() -> None:
    found = read_poscar(PLAIN.replace("4 0 0", "0.4D+01 0.0d0 0"))
    assert_same(found.crystal, by_pymatgen(PLAIN))


@pytest.mark.parametrize("title", ["Cs Cl", "Cs1 Cl2", "CsCl2", "Cs_sv Cl"])
def test_elements_of_a_title_are_read_with_a_note(title: str) -> None:
    text = PLAIN.replace("title", title).replace("Cs Cl\n1 2", "1 2")
    found, notes = read_poscar(text)
    assert found.symbols == ["Cs", "Cl", "Cl"]
    assert notes == ("its elements, Cs, Cl, are taken from its title",)


@pytest.mark.parametrize(
    "title", ["title", "No comment", "In a cell", "As grown", "Cl2Cs", "CsCl3"]
)
def test_words_of_a_title_are_no_elements(title: str) -> None:
    """ASE takes No comment for nobelium and carbon, and pymatgen invents H and He."""
    text = PLAIN.replace("title", title).replace("Cs Cl\n1 2", "1 2")
    with pytest.raises(InputError, match="no line says of which elements"):
        read_poscar(text)


@pytest.mark.parametrize("letter", ["Relative", "artesian"])
def test_a_mode_of_another_word_is_direct_with_a_note(letter: str) -> None:
    found, notes = read_poscar(PLAIN.replace("Direct", letter))
    assert_same(found, by_pymatgen(PLAIN))
    assert notes
    assert "is read as Direct" in notes[0]


CONTRADICTIONS = {
    "other symbols behind": (
        HEAD + "Cs Cl\n1 2\nDirect\n" + lines_with(["Cl", "Cs", "Cl"]),
        "line 9 labels atom 1 Cl, but by the symbols and counts above it is Cs",
        ["Cs", "Cl", "Cl"],
    ),
    "more positions": (
        PLAIN + "0.9 0.9 0.9\n",
        "line 12 holds a further position, but the counts add up to 3 atoms",
        ["Cs", "Cl", "Cl"],
    ),
    "VASP 4, other title": (
        HEAD.replace("title", "Na Cl") + "1 2\nDirect\n" + lines_with(["Cs", "Cl", "Cl"]),
        "its title and the symbols behind its positions name other elements",
        ["Cs", "Cl", "Cl"],
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_contradicts_itself_is_refused_or_noted(name: str, tmp_path: Path) -> None:
    text, reason, symbols = CONTRADICTIONS[name]
    with pytest.raises(InputError, match=reason):
        read_poscar(text)
    (tmp_path / "POSCAR").write_text(text)
    (item,) = read_crystals(tmp_path / "POSCAR", lenient=True)
    assert item.crystal is not None
    assert item.crystal.symbols == symbols
    assert any(reason in note for note in item.notes)


REFUSED = {
    "no mode": (HEAD + "Cs Cl\n1 2\n" + lines_with([""] * 3), "line 8 holds .*Direct or Cartesian"),
    "two scales": (PLAIN.replace("1.0\n", "1 2\n", 1), "line 2 .*one number or three"),
    "no scale": (PLAIN.replace("1.0\n", "0\n", 1), "line 2 .*other than 0"),
    "negative scales": (PLAIN.replace("1.0\n", "1 -2 1\n", 1), "line 2 .*three scales above 0"),
    "flat": (PLAIN.replace("0 0.25 6", "4 0 0"), "lines 3 to 5.*no volume"),
    "nan": (PLAIN.replace("0.1 0.2", "nan 0.2"), "line 9 holds a number that is not finite"),
    "commas": (PLAIN.replace("0.1 0.2 0.3", "0,1 0,2 0,3"), "line 9 holds '0,1 0,2 0,3'"),
    "run together": (PLAIN.replace("0.1 0.2 0.3", "0.1-0.2-0.3"), "line 9 holds '0.1-0.2-0.3'"),
    "unknown": (PLAIN.replace("Cs Cl", "Cs Xx"), "line 6 holds 'Xx', which is not an element"),
    "capitals": (PLAIN.replace("Cs Cl", "CS CL"), "line 6 holds 'CS'.*Did you mean 'Cs'"),
    "pseudo-hydrogen": (PLAIN.replace("Cs Cl", "H1.25 Cl"), "line 6 holds 'H1.25'"),
    "one count": (PLAIN.replace("1 2\n", "3\n"), "names 2 elements .*and 1 counts"),
    "three counts": (PLAIN.replace("1 2\n", "1 1 1\n"), "names 2 elements .*and 3 counts"),
    "no atoms": (PLAIN.replace("1 2\n", "0 0\n"), "add up to 0 atoms"),
    "cut off": (PLAIN[:-20], "add up to 3 atoms, but it ends with line 10"),
    "half a line": (PLAIN[:-6], "line 11 holds '0.25 0.5'; expected a position"),
    "header alone": (HEAD, "it ends after line 5"),
    "an empty line within": (PLAIN.replace("0.5 0.5 0.5\n", "\n"), "line 10 holds nothing"),
    "an empty line of symbols": (PLAIN.replace("Cs Cl\n", "\n"), "line 6 holds nothing"),
    "mixed group": (HEAD + "1 2\nDirect\n" + lines_with(["Cs", "Cl", "Cs"]), "atoms 2 to 3 one"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_poscar_is_refused_with_its_line(name: str) -> None:
    text, reason = REFUSED[name]
    with pytest.raises(InputError, match=reason):
        read_poscar(text)


def test_a_left_handed_basis_keeps_the_chirality() -> None:
    """pymatgen, when it writes one, inverts the basis alone: the other enantiomorph."""
    text = poscar(QUARTZ)
    lines = text.split("\n")
    vectors = np.array([[float(x) for x in line.split()] for line in lines[2:5]]) * [1, 1, -1]
    lines[2:5] = [" ".join(map(repr, row)) for row in vectors.tolist()]
    mirrored = "\n".join(lines)
    assert_same(read_poscar(mirrored).crystal, by_pymatgen(mirrored))
    assert_same(read_poscar(mirrored).crystal, by_ase(mirrored))
    groups = [
        SpacegroupAnalyzer(read_poscar(x).crystal.structure, 0.01).get_space_group_number()
        for x in (text, mirrored)
    ]
    assert sorted(groups) == [152, 154]


@given(crystal=crystals(max_atoms=6), cartesian=st.booleans(), scale=st.floats(0.3, 3.0))
def test_any_crystal_is_read_as_it_was_written(
    crystal: Crystal, cartesian: bool, scale: float
) -> None:
    vectors = crystal.lattice
    places = crystal.positions @ vectors / scale if cartesian else crystal.positions
    rows = "".join(" ".join(map(repr, row)) + "\n" for row in (vectors / scale).tolist())
    text = f"any\n{scale!r}\n{rows}{' '.join(crystal.symbols)}\n{'1 ' * len(crystal)}\n"
    text += "Cartesian\n" if cartesian else "Direct\n"
    text += "".join(" ".join(map(repr, row)) + "\n" for row in places.tolist())
    found = read_poscar(text)
    assert found == Reading(found.crystal, ())
    assert found.crystal.numbers.tolist() == crystal.numbers.tolist()
    assert found.crystal.lengths == pytest.approx(crystal.lengths, rel=1e-9)
    assert found.crystal.positions == pytest.approx(crystal.positions, abs=1e-5)


@pytest.mark.parametrize("name", [*BOTH, *BY_ASE, *BY_PYMATGEN])
def test_a_poscar_is_known_by_its_contents(name: str) -> None:
    assert kind_of_text({**BOTH, **BY_ASE, **BY_PYMATGEN}[name]) == "poscar"


def test_the_cases_of_others_are_read_right(shared_data: Path) -> None:
    """Formulas by hand, or as pymatgen and ASE agree."""
    folder = shared_data / "reading_cases"
    expected = {
        "count_comment.vasp": {"Cs": 1, "Cl": 1},
        "idx_comment.vasp": {"Cs": 1, "Cl": 1},
        "int_cart.vasp": {"O": 1, "H": 2},
        "threescale.vasp": {"Cs": 1, "Cl": 1},
    }
    for name, amounts in expected.items():
        symbols = read_crystal(folder / name).symbols
        assert {s: symbols.count(s) for s in symbols} == amounts, name


@pytest.mark.parametrize("name", sorted(EXAMPLE_CRYSTALS))
def test_what_is_written_here_is_read_back(name: str) -> None:
    found = read_poscar(poscar(EXAMPLE_CRYSTALS[name])).crystal
    assert found.in_text_order().symbols == EXAMPLE_CRYSTALS[name].in_text_order().symbols
    assert found.lengths == pytest.approx(EXAMPLE_CRYSTALS[name].lengths)
