"""The crystal as plain arrays, the type that all other modules pass around.

It knows the cell, the elements and the positions, and converts to pymatgen and ASE. It knows
nothing about text, files, or symmetry.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crystext.chemistry.elements import (
    ATOMIC_NUMBERS,
    ELECTRONEGATIVITY_RANK,
    HYDROGEN_ISOTOPES,
    SYMBOLS,
)
from crystext.errors import InputError, ReadingWarning
from crystext.runtime.validate_numbers import describe_type, short_repr

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Crystal:
    """A periodic arrangement of atoms; each site is fully occupied by one neutral element.

    The cell is given by lengths and angles only, so two crystals that differ by a rotation in space
    are equal. The basis is right-handed by convention.
    """

    lengths: Floats
    """Cell lengths a, b, c in Å; shape (3,)."""
    angles: Floats
    """Cell angles alpha, beta, gamma in degrees; shape (3,)."""
    numbers: Ints
    """Atomic numbers; shape (N,)."""
    positions: Floats
    """Fractional coordinates; shape (N, 3)."""

    def __post_init__(self) -> None:
        """Convert lists to arrays; refuse wrong shapes and atomic numbers without an element."""
        for name, kind in _DTYPES:
            value = getattr(self, name)
            if not (isinstance(value, np.ndarray) and value.dtype == kind):
                object.__setattr__(self, name, _as_array(name, value, kind))
        count = self.numbers.size
        if not (
            self.lengths.shape == self.angles.shape == (3,)
            and self.numbers.shape == (count,)
            and self.positions.shape == (count, 3)
        ):
            raise InputError(
                f"lengths of shape {self.lengths.shape}, angles {self.angles.shape}, numbers "
                f"{self.numbers.shape} and positions {self.positions.shape} do not make a crystal; "
                "expected (3,), (3,), (N,) and (N, 3)"
            )
        for z in self.numbers.tolist():
            if not 1 <= z <= len(SYMBOLS):
                raise InputError(
                    f"no element has the atomic number {z}; expected 1 to {len(SYMBOLS)}"
                )

    def __len__(self) -> int:
        return len(self.numbers)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Crystal):
            return NotImplemented
        return (
            np.array_equal(self.lengths, other.lengths)
            and np.array_equal(self.angles, other.angles)
            and np.array_equal(self.numbers, other.numbers)
            and np.array_equal(self.positions, other.positions)
        )

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def symbols(self) -> list[str]:
        """Element symbols, one per atom."""
        return [SYMBOLS[z - 1] for z in self.numbers.tolist()]

    @cached_property
    def volume(self) -> float:
        """Volume of the cell in Å^3; 0.0 if the angles do not form a cell."""
        return float(cell_volume(self.lengths, self.angles))

    @cached_property
    def lattice(self) -> Floats:
        """Basis vectors as rows, in Å; shape (3, 3). a lies along x, b in the xy plane."""
        return basis_vectors(self.lengths, self.angles)

    @property
    def structure(self) -> Structure:
        """The crystal as a new pymatgen `Structure`, which the caller may modify."""
        from pymatgen.core.lattice import Lattice
        from pymatgen.core.structure import Structure

        lattice = Lattice.from_parameters(*self.lengths.tolist(), *self.angles.tolist())
        return Structure(lattice, self.symbols, self.positions)

    def to_ase(self, info: Mapping[str, Any] | None = None) -> Atoms:
        """Return the crystal as ASE's `Atoms`, periodic in all directions.

        Args:
            info: stored as `Atoms.info`.
        """
        from ase import Atoms

        return Atoms(
            numbers=self.numbers,
            scaled_positions=self.positions,
            cell=self.lattice,
            pbc=True,
            info=dict(info or {}),
        )

    def digest(self) -> str:
        """Return a hash of exactly these numbers in 32 hexadecimal digits, as a key for caches."""
        digest = hashlib.sha256()
        for array, kind in (
            (self.lengths, np.float64),
            (self.angles, np.float64),
            (self.numbers, np.int64),
            (self.positions, np.float64),
        ):
            digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
        return digest.hexdigest()[:32]

    def text_order(self) -> Ints:
        """Return the sites in text order, by increasing electronegativity; shape (N,)."""
        ranks = [ELECTRONEGATIVITY_RANK[z] for z in self.numbers.tolist()]
        return np.argsort(ranks, kind="stable")

    def in_text_order(self) -> Crystal:
        """Return the crystal with its atoms stably sorted by electronegativity."""
        ranks = [ELECTRONEGATIVITY_RANK[z] for z in self.numbers.tolist()]
        if all(a <= b for a, b in pairwise(ranks)):
            return self
        order = self.text_order()
        return Crystal(self.lengths, self.angles, self.numbers[order], self.positions[order])

    @classmethod
    def from_structure(cls, structure: Structure) -> Crystal:
        """Convert a pymatgen structure.

        Oxidation states, spins and site properties are dropped: texts hold elements only.
        Deuterium and tritium become hydrogen, with a `ReadingWarning` (see `isotope_notes`).
        A left-handed basis is inverted together with its coordinates, which keeps the chirality.

        Raises:
            InputError: it is not a pymatgen structure; a site is partly occupied, shared or not an
                element; a number is not finite; there is no atom; the cell has no volume. Sites
                are counted from 1.
        """
        if not hasattr(structure, "frac_coords"):
            raise InputError(
                f"{describe_type(structure)} is not a pymatgen Structure; crystext.as_crystal "
                "converts an ASE Atoms or the path of a file to a Crystal"
            )
        symbols = [_site_symbol(i, site) for i, site in enumerate(structure, start=1)]
        numbers = [HYDROGEN_ISOTOPES.get(s) or ATOMIC_NUMBERS[s] for s in symbols]
        for note in isotope_notes(enumerate(symbols, start=1)):
            warnings.warn(note, ReadingWarning, stacklevel=2)
        lengths = np.array(structure.lattice.abc, dtype=np.float64)
        angles = np.array(structure.lattice.angles, dtype=np.float64)
        positions = np.array(structure.frac_coords, dtype=np.float64).reshape(-1, 3)
        if np.linalg.det(structure.lattice.matrix) < 0:
            positions = -positions
        crystal = cls(lengths, angles, np.array(numbers, dtype=np.int64), positions)
        crystal.check()
        return crystal

    def check(self) -> None:
        """Raise `InputError` without atoms, without volume, or for a number that is not finite."""
        if len(self.numbers) == 0:
            raise InputError("the structure has no atom; a crystal needs at least one")
        lengths, angles = self.lengths.tolist(), self.angles.tolist()
        if not (np.isfinite(self.lengths).all() and np.isfinite(self.angles).all()):
            raise InputError(
                f"the cell has a number that is not finite: lengths {lengths} Å, angles {angles} "
                "degrees"
            )
        for i, position in enumerate(self.positions, start=1):
            if not np.isfinite(position).all():
                raise InputError(
                    f"site {i} ({self.symbols[i - 1]}) has a coordinate that is not finite: "
                    f"{position.tolist()}"
                )
        if min(lengths) <= 0 or not angles_form_cell(*angles):
            raise InputError(
                f"the cell has no volume: lengths {lengths} Å, angles {angles} degrees; expected "
                "lengths above 0, and angles of which any two sum to more than the third and all "
                "three to less than 360"
            )


_DTYPES = (
    ("lengths", np.dtype(np.float64)),
    ("angles", np.dtype(np.float64)),
    ("numbers", np.dtype(np.int64)),
    ("positions", np.dtype(np.float64)),
)
"""Data types of the arrays of a crystal."""


def _as_array(name: str, value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return numbers as an array; refuse values that the conversion would change."""
    wanted = "atomic numbers, one for each atom" if name == "numbers" else "numbers"
    wrong = InputError(f"the {name} of a crystal are {short_repr(value)}; expected {wanted}")
    try:
        array = np.asarray(value)
    except ValueError:  # Rows of unequal length.
        raise wrong from None
    if array.size and array.dtype.kind not in "iuf":
        raise wrong
    with np.errstate(invalid="ignore"):
        converted = array.astype(dtype)
    if dtype == np.int64 and not (converted == array).all():
        raise wrong
    return converted


_FLAT_CELL_TOLERANCE = 1e-9
"""Minimum deviation of three angles from a flat cell, in degrees. Printed angles deviate by 1e-2 or
more, or not at all; anything smaller is rounding of the sums."""


def angles_form_cell(alpha: float, beta: float, gamma: float) -> bool:
    """Return whether three angles in degrees form a cell with a volume above zero.

    That holds if each is above 0, any two sum to more than the third, and all three to less than
    360.
    """
    half = 0.5 * (alpha + beta + gamma)
    return (
        half - max(alpha, beta, gamma) > _FLAT_CELL_TOLERANCE
        and half < 180.0 - _FLAT_CELL_TOLERANCE
    )


def basis_vectors(lengths: Floats, angles: Floats) -> Floats:
    """Return the basis vectors of cells as rows, in Å: shape (..., 3) and (..., 3) to (..., 3, 3).

    a lies along x and b in the xy plane. Rows are nan where the angles do not form a cell.
    """
    cos_alpha, cos_beta, cos_gamma = np.moveaxis(np.cos(np.radians(angles)), -1, 0)
    a, b, c = np.moveaxis(np.asarray(lengths, dtype=np.float64), -1, 0)
    unit_volume = cell_volume(np.ones(3), angles)
    with np.errstate(invalid="ignore", divide="ignore"):
        sin_gamma = np.sqrt(1.0 - cos_gamma**2)
        c_y = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
        c_z = np.where(unit_volume > 0, unit_volume / sin_gamma, np.nan)
    zero = np.zeros_like(a)
    rows = [
        np.stack([a, zero, zero], axis=-1),
        np.stack([b * cos_gamma, b * sin_gamma, zero], axis=-1),
        np.stack([c * cos_beta, c * c_y, c * c_z], axis=-1),
    ]
    return np.stack(rows, axis=-2)


def lengths_and_angles(vectors: Floats) -> tuple[Floats, Floats]:
    """Return lengths in Å and angles in degrees of cells whose vectors are rows.

    Shape (..., 3, 3) to (..., 3) twice. It inverts `basis_vectors` up to rounding, for any
    orientation in space.
    """
    lengths = np.linalg.norm(vectors, axis=-1)
    unit = vectors / lengths[..., None]
    pairs = ((1, 2), (0, 2), (0, 1))
    cosines = np.stack(
        [(unit[..., i, :] * unit[..., j, :]).sum(axis=-1) for i, j in pairs], axis=-1
    )
    return lengths, np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))


def cell_volume(lengths: Floats, angles: Floats) -> Any:
    """Return the volume of cells in Å^3: shape (..., 3) and (..., 3) to (...).

    V = 2abc sqrt(sin s sin(s-α) sin(s-β) sin(s-γ)) with s = (α+β+γ)/2, which stays exact for
    nearly flat cells; 0 where the angles do not form a cell (see `angles_form_cell`).
    """
    half = 0.5 * np.sum(angles, axis=-1, keepdims=True)
    excess = half - angles
    closed = (excess.min(axis=-1) > _FLAT_CELL_TOLERANCE) & (
        half[..., 0] < 180.0 - _FLAT_CELL_TOLERANCE
    )
    product = np.sin(np.radians(half))[..., 0] * np.sin(np.radians(excess)).prod(axis=-1)
    root = np.sqrt(np.where(closed, product, 0.0))
    return 2.0 * np.prod(lengths, axis=-1) * root


_MAX_LISTED_SITES = 5
"""Maximum number of sites that a note lists."""


def isotope_notes(symbols: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """Return a note for each isotope of hydrogen among the symbols.

    Texts hold elements, so deuterium and tritium are read as hydrogen, whatever the format. What
    goes wrong otherwise: pymatgen gives deuterium the symbol H and its own mass, loses the mass in
    every file it writes, and counts H and D separately in a formula that shows both as H.

    Args:
        symbols: the number of each site, from 1, and its symbol.
    """
    found: dict[str, list[int]] = {}
    for site, symbol in symbols:
        if symbol in HYDROGEN_ISOTOPES:
            found.setdefault(symbol, []).append(site)
    notes = []
    for symbol, sites in sorted(found.items()):
        named = ", ".join(map(str, sites[:_MAX_LISTED_SITES]))
        more = (
            f" and {len(sites) - _MAX_LISTED_SITES:,} more"
            if len(sites) > _MAX_LISTED_SITES
            else ""
        )
        isotope = {"D": "deuterium", "T": "tritium"}[symbol]
        notes.append(
            f"{isotope} is read as hydrogen (site{'s' * (len(sites) > 1)} {named}{more}): texts "
            "know elements, not isotopes"
        )
    return tuple(notes)


def _site_symbol(index: int, site: Any) -> str:
    """Return the symbol of a pymatgen site, or explain why it is not one whole element."""
    occupants = list(site.species.items())
    if len(occupants) != 1 or not abs(occupants[0][1] - 1.0) <= 1e-6:
        found = ", ".join(f"{species} {amount:g}" for species, amount in occupants) or "nothing"
        raise InputError(
            f"site {index} is disordered (occupied by {found}); expected one whole element per "
            "site. Try an ordered approximation, e.g. pymatgen's "
            "OrderDisorderedStructureTransformation"
        )
    species = occupants[0][0]
    element = getattr(species, "element", species)
    # The symbol of pymatgen's deuterium is H; only its name differs from hydrogen's.
    symbol = str(getattr(element, "name", None) or getattr(element, "symbol", species))
    if symbol not in ATOMIC_NUMBERS and symbol not in HYDROGEN_ISOTOPES:
        raise InputError(f"site {index} holds {species}, which is not an element")
    return symbol
