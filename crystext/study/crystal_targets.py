"""Targets of pretraining that follow from a crystal itself, so that no label is needed.

Some stand in the text as they are, or are a count of its lines: `readable` names the
representations for which this is so. To learn them is to copy; a study reports them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from crystext.chemistry.element_features import element_properties, property_names
from crystext.errors import InputError
from crystext.structures.crystal import Crystal, Floats
from crystext.structures.distances import image_distances, shortest_lattice_vector
from crystext.structures.properties import crystal_system, density
from crystext.structures.space_groups import SYMPREC
from crystext.structures.standardize import find_symmetry

SYSTEMS = (
    "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic",
)  # fmt: skip

_COORDINATES = frozenset({"plain", "gruver2024", "gruver2024-rounded", "cif"})
"""Representations that list cell and atoms."""

_ALL = _COORDINATES | {"formula", "composition", "wyckoff"}


class CrystalTarget(NamedTuple):
    """A target that follows from a crystal."""

    name: str
    unit: str = ""
    readable: frozenset[str] = frozenset()
    """Representations in whose texts it stands."""
    n_classes: int = 0
    """Of a category, whose values are 0, 1, ...; 0 for a number."""

    @property
    def n_outputs(self) -> int:
        """Outputs of a network for it: one of a number, one a class of a category."""
        return self.n_classes or 1


CRYSTAL_TARGETS = (
    CrystalTarget("density", "g/cm^3"),
    CrystalTarget("volume_per_atom", "Å^3"),
    CrystalTarget("n_atoms", "", _COORDINATES | {"formula"}),
    CrystalTarget("n_elements", "", _ALL),
    *(CrystalTarget(name, "Å", _COORDINATES) for name in ("a", "b", "c")),
    *(CrystalTarget(name, "degrees", _COORDINATES) for name in ("alpha", "beta", "gamma")),
    CrystalTarget("least_distance", "Å"),
    CrystalTarget("packing_fraction"),
    CrystalTarget("mean_electronegativity"),
    CrystalTarget("electronegativity_range"),
    CrystalTarget("mean_mass", "u"),
    CrystalTarget("mean_radius", "Å"),
    CrystalTarget("crystal_system", "", frozenset({"wyckoff"}), len(SYSTEMS)),
    CrystalTarget("space_group", "", frozenset({"wyckoff"}), 230),
)
"""All targets, in the order of their values. Distances and radii are of covalent spheres (Cordero
et al., Dalton Trans. 2008, 2832), electronegativities are Pauling's; of an element for which Magpie
has none, such as argon, the target does not exist."""


def crystal_values(crystals: Sequence[Crystal]) -> Floats:
    """Return the targets of crystals, shape (N, 16); nan where one does not exist."""
    return np.array([_values(crystal) for crystal in crystals]).reshape(-1, len(CRYSTAL_TARGETS))


def least_distance(crystal: Crystal) -> float:
    """Return the least distance of two atoms in Å, images of an atom included."""
    n = len(crystal)
    lattice = np.tile(crystal.lattice, (n, 1, 1))
    found = image_distances(lattice, crystal.positions, np.tile(crystal.positions, (n, 1, 1)))
    np.fill_diagonal(found, shortest_lattice_vector(crystal.lattice[None])[0])
    return float(found.min())


def _values(crystal: Crystal) -> list[float]:
    chi, mass, radius = _element_table()[crystal.numbers - 1].T
    spheres = 4 / 3 * np.pi * (radius**3).sum()
    try:
        group = find_symmetry(crystal.lattice, crystal.positions, crystal.numbers, SYMPREC).number
    except InputError:
        group = 0
    symmetry = (
        [float(SYSTEMS.index(crystal_system(group))), float(group - 1)] if group else [np.nan] * 2
    )
    return [
        density(crystal),
        crystal.volume / len(crystal),
        float(len(crystal)),
        float(len(set(crystal.numbers.tolist()))),
        *crystal.lengths.tolist(),
        *crystal.angles.tolist(),
        least_distance(crystal),
        float(spheres / crystal.volume),
        float(chi.mean()),
        float(np.ptp(chi)),
        float(mass.mean()),
        float(radius.mean()),
        *symmetry,
    ]


@cache
def _element_table() -> Floats:
    """Return electronegativity, mass (u) and covalent radius (Å) by atomic number from 1."""
    names = property_names()
    columns = [names.index(x) for x in ("Electronegativity", "AtomicWeight", "CovalentRadius")]
    table: Floats = element_properties()[:, columns] * np.array([1.0, 1.0, 0.01])
    return table
