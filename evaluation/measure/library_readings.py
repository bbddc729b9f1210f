"""What gemmi, pymatgen and ASE read from a structure file: what other readings are measured by.

Knows files of one structure or of several CIF blocks. Knows nothing of crystext's reader.
"""

from __future__ import annotations

import io
import signal
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from types import FrameType
from typing import Any, NamedTuple

import gemmi
import numpy as np

from crystext.structures.crystal import Floats

SECONDS = 10
"""That one library may take for one structure."""

MAX_ATOMS = 600
"""Of a cell, above which nearest neighbours are not compared."""


class Reading(NamedTuple):
    """What a library makes of a structure; `problem` where it refuses it."""

    formula: tuple[tuple[str, float], ...] = ()
    """Elements and atoms per cell, occupancies summed; deuterium and tritium count as hydrogen."""
    volume: float = 0.0
    """Å^3, of the cell."""
    distances: tuple[tuple[str, float], ...] = ()
    """For each atom, its element and the distance of its nearest neighbour in Å, sorted."""
    ordered: bool = True
    """Whether every place holds one whole atom."""
    problem: str = ""

    @property
    def text(self) -> str:
        """The formula of the cell, or that there is none."""
        return " ".join(f"{x}{n:g}" for x, n in self.formula) or "refused"


def agree(one: Reading, other: Reading) -> bool:
    """Say whether two readings are of one crystal: atoms, volume, and distances within 0.05 Å."""
    if one.problem or other.problem:
        return False
    if [x for x, _ in one.formula] != [x for x, _ in other.formula]:
        return False
    counts = zip(one.formula, other.formula, strict=True)
    if any(abs(n - m) > 0.01 * max(n, 1) for (_, n), (_, m) in counts):
        return False
    if abs(one.volume - other.volume) > 0.005 * one.volume:
        return False
    if len(one.distances) != len(other.distances):
        return not one.distances or not other.distances
    return all(
        x == y and abs(d - e) < 0.05
        for (x, d), (y, e) in zip(one.distances, other.distances, strict=True)
    )


def reading_of(vectors: Floats, species: list[tuple[str, float]], positions: Floats) -> Reading:
    """Return the reading of a cell.

    Args:
        vectors: rows, Å; shape (3, 3).
        species: element and occupancy of each atom.
        positions: fractional coordinates; shape (N, 3).
    """
    named = [("H" if x in ("D", "T") else x, float(n)) for x, n in species]
    counts: Counter[str] = Counter()
    for symbol, n in named:
        counts[symbol] += n  # type: ignore[assignment]
    formula = tuple((x, round(float(n), 3)) for x, n in sorted(counts.items()))
    volume = abs(float(np.linalg.det(vectors)))
    whole = all(abs(n - 1) < 1e-3 for _, n in named)
    distances: tuple[tuple[str, float], ...] = ()
    if whole and 0 < len(named) <= MAX_ATOMS:
        nearest = _nearest(vectors, np.asarray(positions, dtype=float))
        pairs = zip([x for x, _ in named], nearest.tolist(), strict=True)
        distances = tuple(sorted((x, round(d, 3)) for x, d in pairs))
    return Reading(formula, volume, distances, whole)


def _nearest(vectors: Floats, positions: Floats) -> Floats:
    """Return the distance of each atom's nearest neighbour, images of itself included."""
    from pymatgen.core.lattice import Lattice

    lattice = Lattice(vectors)
    reduced = lattice.get_lll_reduced_lattice()
    fractional = reduced.get_fractional_coords(lattice.get_cartesian_coords(positions)) % 1.0
    steps = np.array(list(product((-1, 0, 1), repeat=3)), dtype=float)
    own = np.linalg.norm(steps[np.abs(steps).any(axis=1)] @ reduced.matrix, axis=1).min()
    nearest = np.full(len(fractional), own)
    for i, x in enumerate(fractional):
        apart = fractional - x
        apart -= np.round(apart)
        apart = np.delete(apart, i, axis=0)
        if len(apart):
            around = (apart[:, None, :] + steps) @ reduced.matrix
            nearest[i] = min(own, float(np.linalg.norm(around, axis=-1).min()))
    return nearest


def crystal_blocks(document: gemmi.cif.Document) -> list[gemmi.cif.Block]:
    """Return the blocks of a CIF that hold a cell and fractional coordinates of atoms."""
    return [
        block
        for block in document
        if block.find_values("_cell_length_a") or block.find_value("_cell_length_a")
        if block.find_values("_atom_site_fract_x") or block.find_value("_atom_site_fract_x")
    ]


def cif_readings(block: gemmi.cif.Block, text: str) -> dict[str, Reading]:
    """Return what the three libraries read from one block of a CIF.

    Args:
        block: the block, for gemmi.
        text: the block's own text, or the file's where it has one block, for the other two.
    """
    return {
        "gemmi": attempt(lambda: _gemmi(block)),
        "pymatgen": attempt(lambda: _pymatgen_cif(text)),
        "ASE": attempt(lambda: _ase(text, "cif")),
    }


def other_readings(text: str, format: str) -> dict[str, Reading]:
    """Return what pymatgen and ASE read from a file of another format, by ASE's name."""
    readings = {"ASE": attempt(lambda: _ase(text, format))}
    names = {"vasp": "poscar", "xsf": "xsf", "res": "res"}
    if format in names:
        readings["pymatgen"] = attempt(lambda: _pymatgen(text, names[format]))
    return readings


def attempt(read: Callable[[], Reading]) -> Reading:
    """Return a reading, or the problem in one line; nothing that a parser raises gets out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _limit(SECONDS):
                reading = read()
        except Exception as error:
            line = next(iter(str(error).splitlines()), "") or type(error).__name__
            return Reading(problem=line[:150])
    return reading if reading.formula else Reading(problem="no atoms")


def structure_reading(structure: Any) -> Reading:
    """Return the reading that a pymatgen structure is."""
    species, positions = [], []
    for site in structure:
        for specie, n in site.species.items():
            element = getattr(specie, "element", specie)
            species.append((getattr(element, "symbol", str(element)), float(n)))
            positions.append(site.frac_coords)
    return reading_of(structure.lattice.matrix, species, np.array(positions))


def _gemmi(block: gemmi.cif.Block) -> Reading:
    small = gemmi.make_small_structure_from_block(block)
    sites = small.get_all_unit_cell_sites()
    vectors = np.array(small.cell.orth.mat.tolist()).T
    species = [(site.element.name, site.occ) for site in sites]
    return reading_of(vectors, species, np.array([site.fract.tolist() for site in sites]))


def _pymatgen_cif(text: str) -> Reading:
    from pymatgen.io.cif import CifParser

    parser = CifParser.from_str(text, occupancy_tolerance=100.0)
    return structure_reading(parser.parse_structures(primitive=False, check_occu=False)[0])


def _pymatgen(text: str, format: str) -> Reading:
    from pymatgen.core.structure import Structure

    return structure_reading(Structure.from_str(text, fmt=format))  # type: ignore[arg-type]


def _ase(text: str, format: str) -> Reading:
    import ase.io

    atoms = ase.io.read(io.StringIO(text), format=format, index=0 if format == "cif" else -1)
    assert not isinstance(atoms, list)
    positions = atoms.get_scaled_positions(wrap=False)
    kinds = atoms.arrays.get("spacegroup_kinds")
    occupancy = atoms.info.get("occupancy")
    species, places = [], []
    for i, symbol in enumerate(atoms.get_chemical_symbols()):
        inside = {symbol: 1.0}
        if occupancy and kinds is not None:
            inside = occupancy.get(str(kinds[i]), inside)
        for name, n in inside.items():
            species.append((name, float(n)))
            places.append(positions[i])
    return reading_of(atoms.cell.array, species, np.array(places))


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
