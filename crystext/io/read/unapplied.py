"""Refuse files with information that pymatgen's or ASE's parser silently ignores.

A file whose symmetry is not applied would be read as its asymmetric unit, one whose unit of length
is not applied as a cell of another size. Such files are refused here, by their text, before they
are parsed; unavoidable guesses are noted. This module does not parse structures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import takewhile

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.errors import InputError

_CONVERT_ADVICE = "Convert it to CIF, with its symmetry, using the program that wrote it"

Notes = tuple[str, ...]


def check_fully_parsed(format: str, text: str) -> Notes:
    """Refuse a text with structural information that its parser ignores; return notes.

    Args:
        format: by pymatgen's or ASE's name, as `parse.PYMATGEN_FORMATS` and `ASE_FORMATS` have it.
        text: the whole file.

    Raises:
        InputError: it has symmetry, a unit, mixed sites or elements that would be lost.
    """
    check = _CHECKS.get(format)
    return check(text) if check else ()


def _res(text: str) -> Notes:
    """SHELX: LATT and SYMM generate atoms. pymatgen reads files in P1, as AIRSS writes them."""
    cards: dict[str, list[list[str]]] = {}
    elements: list[str] = []
    atoms: list[list[str]] = []
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        card = words[0].upper()[:4]
        cards.setdefault(card, []).append(words[1:])
        if card == "SFAC":
            elements = words[1:]
        elif card in ("END", "HKLF"):
            break
        elif elements and len(words) >= 6 and words[1].isdigit():
            atoms.append(words)
    lattice = cards.get("LATT", [["1"]])[0][:1]
    if "SYMM" in cards or lattice != ["-1"]:
        found = f"LATT {' '.join(lattice)}" + (" and SYMM" if "SYMM" in cards else "")
        if "LATT" not in cards:
            found = "no LATT, which means an inversion" + (", and SYMM" if "SYMM" in cards else "")
        raise InputError(
            f"it has {found}: most of its atoms follow from symmetry, which is not applied here; "
            "expected LATT -1 and no SYMM, as AIRSS writes it. Convert it to CIF (SHELXL does, by "
            "ACTA)"
        )
    if foreign := sorted(cards.keys() & {"ZERR", "UNIT", "FVAR", "WGHT", "PLAN"}):
        raise InputError(
            f"it is a refinement of SHELXL ({', '.join(foreign)}); expected a .res file as AIRSS "
            "writes it. Convert it to CIF (SHELXL does, by ACTA)"
        )
    for number, words in enumerate(atoms, start=1):
        _require_occupancy(number, words[0], words[5], ("1", "11"))
        at = int(words[1]) - 1
        symbol = re.match("[A-Za-z]*", words[0]).group().title()  # type: ignore[union-attr]
        if not 0 <= at < len(elements) or elements[at].title() != symbol:
            meant = elements[at] if 0 <= at < len(elements) else "nothing"
            raise InputError(
                f"atom {number} is called {words[0]}, but its number {words[1]} means {meant} "
                f"in SFAC; expected the same"
            )
    return ()


def _require_occupancy(number: int, name: str, occupancy: str, whole: Iterable[str]) -> None:
    """Refuse an atom whose occupancy is not one of these numbers."""
    try:
        value = float(occupancy)
    except ValueError:
        return
    if all(abs(value - float(x)) > 1e-6 for x in whole):
        raise InputError(
            f"atom {number} ({name}) is disordered (occupied by {value:g}); expected one whole "
            "element per site. Try an ordered approximation, e.g. pymatgen's "
            "OrderDisorderedStructureTransformation"
        )


def _cssr(text: str) -> Notes:
    """CSSR: a space group on the second line, and a flag for Cartesian coordinates on the third."""
    lines = text.splitlines()
    if len(lines) < 4:
        raise InputError(f"it ends after line {len(lines)}; expected four lines and the atoms")
    group = re.search(r"SPGR\s*=?\s*(\d+)", lines[1], re.IGNORECASE)
    if group and int(group[1]) != 1:
        named = lines[1][group.start() :].split("OPT")[0].strip()
        raise InputError(
            f"line 2 has {named}: its atoms follow from symmetry, which is not applied here; "
            f"expected SPGR = 1 P 1. {_CONVERT_ADVICE}"
        )
    counts = lines[2].split()
    if not counts or not counts[0].isdigit():
        raise InputError(f"line 3 holds {lines[2].strip()[:40]!r}; expected the number of atoms")
    if counts[1:2] == ["1"]:
        raise InputError(
            f"line 3 holds {lines[2].strip()[:40]!r}: its coordinates are orthogonal; expected "
            "fractional ones, which are marked by a second number 0"
        )
    listed = sum(bool(re.match(r"\s*\d+\s+\w+\s", line)) for line in lines[4:])
    if int(counts[0]) != listed:
        raise InputError(f"it lists {listed} atoms, but line 3 says {counts[0]}; expected as many")
    return ()


def _xsf(text: str) -> Notes:
    """XSF: pymatgen 2026.10 silently reads fewer atoms than the file declares."""
    lines = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    for at, words in enumerate(lines[:-1]):
        if words[:1] == ["PRIMCOORD"] and lines[at + 1][:1] and lines[at + 1][0].isdigit():
            behind = takewhile(lambda words: len(words) > 3, lines[at + 2 :])
            listed = sum(1 for _ in behind)
            if listed != int(lines[at + 1][0]):
                raise InputError(
                    f"it lists {listed} atoms, but its PRIMCOORD says {lines[at + 1][0]}; expected "
                    "as many"
                )
    return ()


_CASTEP_UNITS = ("bohr", "ang", "m", "cm", "nm", "pm")
"""Units of length that ASE supports; it reads others as Å."""


def _cell(text: str) -> Notes:
    """CASTEP: positions list every atom, with or without symmetry; a mixture shares a site."""
    block = ""
    for number, line in enumerate(text.splitlines(), start=1):
        code = re.split("[!#]", line, maxsplit=1)[0].upper()
        words = code.split()
        if words[:1] == ["%BLOCK"]:
            block = " ".join(words[1:])
        elif words[:1] == ["%ENDBLOCK"]:
            block = ""
        elif (
            block.startswith(("LATTICE_", "POSITIONS_ABS"))
            and len(words) == 1
            and words[0].lower() not in _CASTEP_UNITS
        ):
            raise InputError(
                f"line {number} has the unit {words[0]}, which is not applied here; expected "
                f"{', '.join(_CASTEP_UNITS)}"
            )
        if "MIXTURE" in code:
            raise InputError(
                f"line {number} has a MIXTURE of elements on one site; expected one whole element "
                "per site. Try an ordered approximation"
            )
    return ()


def _cfg(text: str) -> Notes:
    """AtomEye: the cell H0 is in units of A, which ASE reads as 1 Å."""
    found = re.search(r"^\s*A\s*=\s*([^\s#]+)[ \t]*(\w*)", text, re.MULTILINE)
    if found is None:
        return ()
    try:
        length = float(found[1])
    except ValueError:
        length = 0.0
    if length != 1.0 or found[2].lower() not in ("", "angstrom", "a"):
        raise InputError(
            f"its unit of length is {found[0].strip()!r}, which is not applied here; expected "
            "A = 1.0 Angstrom. Multiply H0 by it"
        )
    return ()


def _pdb(text: str) -> Notes:
    """PDB: a space group after the cell, occupancies, alternatives, elements in columns 77-78."""
    group = None
    number = 0
    for line in text.splitlines():
        if line.startswith("CRYST1"):
            if line[6:33].split() == ["1.000"] * 3:
                raise InputError(
                    "its CRYST1 is a cube of 1 Å, which means that it has no cell; expected a "
                    "crystal"
                )
            group = line[55:66].strip()
        elif line.startswith(("ATOM  ", "HETATM")):
            number += 1
            name = line[12:16].strip()
            if line[16:17].strip():
                raise InputError(
                    f"atom {number} ({name}) has alternative locations; expected one place for "
                    "each atom"
                )
            _require_occupancy(number, name, line[54:60], ("1",))
            if not line[76:78].strip():
                raise InputError(
                    f"atom {number} ({name}) names no element in columns 77 and 78; a name such as "
                    "CA may be calcium or a carbon. Write the elements there"
                )
    if group and "".join(group.split()).upper() not in ("P1", "P111"):
        raise InputError(
            f"its CRYST1 has the space group {group}, and only the asymmetric unit is listed; "
            f"expected P 1 and every atom. {_CONVERT_ADVICE}"
        )
    return () if group is None or group else ("it names no space group, and is read as P 1",)


def _xsd(text: str) -> Notes:
    """Materials Studio: other atoms follow from the operators of SpaceGroup."""
    for tag in re.findall(r"<SpaceGroup\b[^>]*>", text):
        operators = re.search(r'\bOperators="([^"]*)"', tag)
        numbers = re.split("[,:;\\s]+", operators[1].strip(":; \t")) if operators else []
        group = re.search(r'\bGroupName="([^"]*)"', tag)
        name = group[1] if group else ""
        # ASE writes the name of its attribute in place of the group's name.
        plain = name.replace(" ", "").upper() in ("", "P1", "GROUPNAME")
        if len(numbers) > 12 or not plain:
            raise InputError(
                f"it has the space group {name or '?'}"
                + (f" with {len(numbers) // 12} operations" if len(numbers) > 12 else "")
                + ": most of its atoms follow from symmetry, which is not applied here; expected "
                "P 1. In Materials Studio: Build, Symmetry, Make P1; or export as CIF"
            )
    if "<AtomisticTreeRoot" in text and "<SymmetrySystem" not in text:
        raise InputError("it holds a molecule; expected a crystal with a SymmetrySystem")
    return ()


def _lammps(text: str) -> Notes:
    """LAMMPS: atoms have numbered types. ASE reads numbers as elements, or guesses by mass."""
    body = text.partition("\n")[2]
    labels = _lammps_section(body, "Atom Type Labels")
    if labels and all(words[1] in ATOMIC_NUMBERS for words in labels if len(words) > 1):
        return ()
    masses = _lammps_section(body, "Masses")
    if not masses:
        raise InputError(
            "its atoms have numbered types, and no section Masses or Atom Type Labels gives their "
            "elements; expected one of these sections"
        )
    from ase.data import atomic_masses

    named = []
    for words in masses:
        try:
            mass = float(words[1])
        except (ValueError, IndexError):
            raise InputError(
                f"its section Masses has the line {' '.join(words)[:40]!r}; expected a type and a "
                "mass"
            ) from None
        z = int(abs(atomic_masses - mass).argmin())
        if abs(atomic_masses[z] - mass) > 0.05 or mass == 1.0:
            raise InputError(
                f"its type {words[0]} has the mass {words[1]}, which matches no element; "
                "expected g/mol. Name the elements in a section Atom Type Labels"
            )
        named.append(f"{words[0]} {list(ATOMIC_NUMBERS)[z - 1]}")
    return (f"its elements are inferred from masses: type {', '.join(named)}",)


def _lammps_section(text: str, title: str) -> list[list[str]]:
    """Return the words of the lines of a section of a LAMMPS file."""
    found: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0][0].isalpha():
            if inside:
                break
            inside = " ".join(words) == title
        elif inside:
            found.append(words)
    return found


def _espresso(text: str) -> Notes:
    """pw.x: with space_group only the asymmetric unit is listed."""
    if re.search(r"^\s*[^!#\n]*\bspace_group\s*=", text, re.MULTILINE | re.IGNORECASE):
        raise InputError(
            "it has space_group: most of its atoms follow from symmetry, which is not applied "
            f"here; expected every atom, with ibrav. {_CONVERT_ADVICE}"
        )
    return ()


_ABINIT_VARIABLES = {
    "acell",
    "natom",
    "ntypat",
    "typat",
    "znucl",
    "rprim",
    "xred",
    "xcart",
    "xangst",
}


def _abinit(text: str) -> Notes:
    """ABINIT: some variables generate atoms or change the cell; ASE ignores all of them."""
    lines = text.lower().splitlines()
    words = [w for line in lines for w in re.split("[#!]", line)[0].split()]
    # ASE knows only comments after #, and takes the first of two values.
    behind = {w for line in lines for w in line.partition("#")[0].partition("!")[2].split()}
    if met := sorted(behind & _ABINIT_VARIABLES):
        raise InputError(f"it has {', '.join(met)} in a comment after !; remove the comment")
    if "xcart" in words and any(w.startswith("ang") for w in words[words.index("xcart") :]):
        raise InputError("its xcart are in Å, which is not applied here; write them as xangst")
    lost = ("spgroup", "natrd", "nobj", "scalecart", "angdeg", "brvltt", "spgroupma")
    if met := [word for word in lost if word in words]:
        raise InputError(
            f"it has {', '.join(met)}, which is not applied here; expected natom, typat, znucl, "
            f"acell, rprim and xred, xcart or xangst of every atom. {_CONVERT_ADVICE}"
        )
    return ()


def _cube(text: str) -> Notes:
    """Cube: a negative number of voxels means that lengths are in Å; ASE reads Bohr."""
    counts = [line.split()[:1] for line in text.splitlines()[3:6]]
    if any(count and count[0].startswith("-") for count in counts):
        raise InputError(
            "its numbers of voxels are negative: its lengths are in Å, which is not applied here; "
            "expected Bohr, and numbers above 0"
        )
    return ()


_CHECKS: dict[str, Callable[[str], Notes]] = {
    "res": _res,
    "xsf": _xsf,
    "cube": _cube,
    "cssr": _cssr,
    "castep-cell": _cell,
    "cfg": _cfg,
    "proteindatabank": _pdb,
    "xsd": _xsd,
    "lammps-data": _lammps,
    "espresso-in": _espresso,
    "abinit-in": _abinit,
}
