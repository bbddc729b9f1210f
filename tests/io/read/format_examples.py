"""One small valid file of each format that is read, as the library that knows the format writes it.

Formats that no installed library writes are given as text.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms
from ase.units import Bohr

from crystext.io.write import cif, poscar
from tests.example_crystals import NACL, WURTZITE

RES = """TITL cell-1 0.0 179.4 -100.0 0.0 0.0 4 (Fm-3m) n - 1
CELL 1.54180 5.64 5.64 5.64 90.0 90.0 90.0
LATT -1
SFAC Na Cl
Na 1 0.0 0.0 0.0 1.0
Cl 2 0.5 0.5 0.5 1.0
END
"""

MCSQS = """4.0 0.0 0.0
0.0 4.0 0.0
0.0 0.0 4.0
1.0 0.0 0.0
0.0 1.0 0.0
0.0 0.0 1.0
0.0 0.0 0.0 Cs
0.5 0.5 0.5 Cl
"""

LAMMPS = """LAMMPS data file
2 atoms
2 atom types
0.0 4.12 xlo xhi
0.0 4.12 ylo yhi
0.0 4.12 zlo zhi

Masses

1 132.905
2 35.45

Atoms # atomic

1 1 0.0 0.0 0.0
2 2 2.06 2.06 2.06
"""

ESPRESSO = """&SYSTEM
  ibrav = 0, nat = 2, ntyp = 2, ecutwfc = 30
/
ATOMIC_SPECIES
Cs 132.905 Cs.upf
Cl 35.45 Cl.upf
CELL_PARAMETERS angstrom
4.12 0 0
0 4.12 0
0 0 4.12
ATOMIC_POSITIONS crystal
Cs 0 0 0
Cl 0.5 0.5 0.5
K_POINTS gamma
"""

CASTEP = """%BLOCK LATTICE_CART
ang
4.12 0 0
0 4.12 0
0 0 4.12
%ENDBLOCK LATTICE_CART

%BLOCK POSITIONS_FRAC
Cs 0 0 0
Cl 0.5 0.5 0.5
%ENDBLOCK POSITIONS_FRAC
SYMMETRY_GENERATE
"""

ABINIT = """acell 4.12 4.12 4.12 angstrom
rprim 1 0 0 0 1 0 0 0 1
natom 2
ntypat 2
typat 1 2
znucl 55 17
xred 0 0 0 0.5 0.5 0.5
"""

JARVIS: dict[str, Any] = {
    "jid": "JVASP-23862",
    "formula": "CsCl",
    "atoms": {
        "lattice_mat": [[4.12, 0, 0], [0, 4.12, 0], [0, 0, 4.12]],
        "coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
        "elements": ["Cs", "Cl"],
        "abc": [4.12, 4.12, 4.12],
        "angles": [90.0, 90.0, 90.0],
        "cartesian": False,
        "props": ["", ""],
    },
}

OPTIMADE: dict[str, Any] = {
    "data": [
        {
            "id": "odbx/1",
            "type": "structures",
            "attributes": {
                "elements": ["Cl", "Cs"],
                "nsites": 2,
                "lattice_vectors": [[4.12, 0, 0], [0, 4.12, 0], [0, 0, 4.12]],
                "cartesian_site_positions": [[0, 0, 0], [2.06, 2.06, 2.06]],
                "species_at_sites": ["Cs1", "Cl"],
                "species": [
                    {"name": "Cs1", "chemical_symbols": ["Cs"], "concentration": [1.0]},
                    {"name": "Cl", "chemical_symbols": ["Cl"], "concentration": [1.0]},
                ],
                "structure_features": [],
            },
        }
    ],
    "meta": {"api_version": "1.1.0", "more_data_available": False},
    "links": {"next": None},
}


def _atoms() -> Atoms:
    return Atoms(NACL.symbols, cell=NACL.lattice, scaled_positions=NACL.positions, pbc=True)


def _by_ase(format: str) -> str:
    stream = io.StringIO()
    ase.io.write(stream, _atoms(), format=format)
    return stream.getvalue()


def _by_pymatgen(format: str, folder: Path) -> str:
    path = folder / f"x.{format}"
    WURTZITE.structure.to(str(path))
    return path.read_text()


def _ase_json(folder: Path) -> str:
    path = folder / "rows.json"
    path.unlink(missing_ok=True)
    ase.io.write(path, _atoms())
    return path.read_text()


def _cube() -> str:
    atoms = _atoms()
    lines = ["cube", "density", f"{len(atoms)} 0 0 0"]
    lines += [f"2 {' '.join(str(x / 2 / Bohr) for x in row)}" for row in atoms.cell.tolist()]
    each = zip(atoms.numbers.tolist(), (atoms.positions / Bohr).tolist(), strict=True)
    lines += [f"{z} {z} {x} {y} {w}" for z, (x, y, w) in each]
    return "\n".join([*lines, "1 1 1 1 1 1 1 1", ""])


def _csv() -> str:
    text = poscar(NACL).replace("\n", "\\n")
    return f'material_id,poscar\nmp-1,"{text}"\n'


FORMAT_EXAMPLES: dict[str, Callable[[Path], str]] = {
    "cif": lambda _: cif(NACL),
    "poscar": lambda _: poscar(NACL),
    "extxyz": lambda _: _by_ase("extxyz"),
    "pymatgen:xsf": lambda folder: _by_pymatgen("xsf", folder),
    "pymatgen:cssr": lambda folder: _by_pymatgen("cssr", folder),
    "pymatgen:res": lambda _: RES,
    "pymatgen:mcsqs": lambda _: MCSQS,
    "ase:gen": lambda _: _by_ase("gen"),
    "ase:castep-cell": lambda _: CASTEP,
    "ase:proteindatabank": lambda _: _by_ase("proteindatabank"),
    "ase:xsd": lambda _: _by_ase("xsd"),
    "ase:cfg": lambda _: _by_ase("cfg"),
    "ase:cube": lambda _: _cube(),
    "ase:lammps-data": lambda _: LAMMPS,
    "ase:espresso-in": lambda _: ESPRESSO,
    "ase:abinit-in": lambda _: ABINIT,
    "xdatcar": lambda _: _by_ase("vasp-xdatcar"),
}
"""Kinds of pieces, and what makes the text of one."""

TABLE_EXAMPLES: dict[str, Callable[[Path], str]] = {
    "structure.json": lambda _: json.dumps(NACL.structure.as_dict()),
    "jarvis.json": lambda _: json.dumps([JARVIS]),
    "optimade.json": lambda _: json.dumps(OPTIMADE),
    "ase.json": _ase_json,
    "rows.csv": lambda _: _csv(),
}
"""Names of files of rows, and what makes the text of one."""
