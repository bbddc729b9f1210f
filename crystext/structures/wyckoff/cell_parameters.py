"""The free parameters of a conventional cell, by crystal system."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, radians, sin, sqrt

import numpy as np

from crystext.structures.crystal import Floats, basis_vectors
from crystext.structures.properties import crystal_system

_FREE_PARAMETERS = {
    "triclinic": ("a", "b", "c", "alpha", "beta", "gamma"),
    "monoclinic": ("a", "b", "c", "beta"),
    "orthorhombic": ("a", "b", "c"),
    "tetragonal": ("a", "c"),
    "trigonal": ("a", "c"),
    "hexagonal": ("a", "c"),
    "cubic": ("a",),
}
_PARAMETERS = ("a", "b", "c", "alpha", "beta", "gamma")


def free_parameter_names(space_group: int) -> tuple[str, ...]:
    """Return the names of the free parameters: lengths a, b, c, angles alpha, beta, gamma."""
    return _FREE_PARAMETERS[crystal_system(space_group)]


def cell_parameters(space_group: int, free: Sequence[float]) -> tuple[Floats, Floats]:
    """Return lengths (Å) and angles (degrees) of a conventional cell from its free parameters."""
    system = crystal_system(space_group)
    values = dict(zip(_FREE_PARAMETERS[system], free, strict=True))
    lengths = [values.get("a", 0.0), values.get("b", values["a"]), 0.0]
    lengths[2] = values.get("c", lengths[0])
    angles = [values.get(name, 90.0) for name in _PARAMETERS[3:]]
    if system in ("trigonal", "hexagonal"):
        angles[2] = 120.0
    return np.array(lengths), np.array(angles)


def conventional_lattice(space_group: int, free: Sequence[float]) -> Floats:
    """Return the basis vectors of a conventional cell as rows, Å, from its free parameters.

    They are those of `basis_vectors`, which takes many cells of any kind, and ten times as long.
    """
    system = crystal_system(space_group)
    if system == "triclinic":
        return basis_vectors(*cell_parameters(space_group, free))
    a, *others = free
    if system == "cubic":
        return np.diag([a, a, a])
    if system == "orthorhombic":
        return np.diag(free)
    if system == "monoclinic":
        b, c, beta = others
        angle = radians(beta)
        return np.array([[a, 0.0, 0.0], [0.0, b, 0.0], [c * cos(angle), 0.0, c * sin(angle)]])
    (c,) = others
    if system == "tetragonal":
        return np.diag([a, a, c])
    return np.array([[a, 0.0, 0.0], [-0.5 * a, sqrt(0.75) * a, 0.0], [0.0, 0.0, c]])


def free_parameter_values(space_group: int, lengths: Floats, angles: Floats) -> list[float]:
    """Return the free parameters of a conventional cell; the inverse of `cell_parameters`."""
    values = dict(zip(_PARAMETERS, [*lengths.tolist(), *angles.tolist()], strict=True))
    return [values[name] for name in free_parameter_names(space_group)]
