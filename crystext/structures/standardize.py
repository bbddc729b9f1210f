"""The standard description of a crystal: one cell and one origin for equivalent descriptions.

The cell is spglib's standardised primitive cell, idealised to its space group, with the lattice
then Niggli-reduced. Two descriptions of the same crystal agree up to spglib's choice of origin and
setting; it is not a canonical form in the mathematical sense.
Source: Togo, Shinohara, Tanaka, Sci. Technol. Adv. Mater. Meth. 4, 2384822 (2024); Krivy, Gruber,
Acta Cryst. A32, 297 (1976).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from crystext.errors import InputError, SettingError
from crystext.structures.crystal import Crystal, Floats, Ints, lengths_and_angles

if TYPE_CHECKING:
    from spglib import SpglibDataset

POSITION_DECIMALS = 6
"""Decimals of coordinates; further digits are noise of the matrix products."""


def standardize(crystal: Crystal, symprec: float = 0.1) -> tuple[Crystal, int]:
    """Return a crystal in its standard description, and its space-group number.

    Args:
        crystal: any description; it may be a supercell.
        symprec: how far in Å atoms may be from their symmetric positions; they are moved there.

    Raises:
        InputError: spglib finds no symmetry, most often because atoms are too close together.
        SettingError: `symprec` is not above zero.
    """
    if not symprec > 0:
        raise SettingError(f"symprec is {symprec:g}; expected a distance in Å above 0, such as 0.1")
    import spglib

    dataset = find_symmetry(crystal.lattice, crystal.positions, crystal.numbers, symprec)
    # spglib declares lists, yet takes and gives arrays.
    cell: Any = (crystal.lattice, crystal.positions, crystal.numbers)
    with spglib_environment():
        try:
            found: Any = spglib.standardize_cell(
                cell, to_primitive=True, no_idealize=False, symprec=symprec
            )
        except spglib.SpglibError as error:
            raise InputError(f"spglib cannot standardise it: {error}") from None
    reduced = None if found is None else niggli_reduce(found[0])
    if reduced is None:
        raise InputError("spglib cannot standardise it; are atoms too close together?")
    vectors, positions, numbers = found
    if np.linalg.det(reduced) < 0:
        reduced = -reduced
    positions = np.round((positions @ vectors) @ np.linalg.inv(reduced), POSITION_DECIMALS) % 1.0
    positions[positions >= 1.0 - 10.0**-POSITION_DECIMALS] = 0.0
    lengths, angles = lengths_and_angles(reduced)
    standard = Crystal(lengths, angles, numbers.astype(np.int64), positions)
    return standard, int(dataset.number)


def find_symmetry(
    lattice: Floats, positions: Floats, numbers: Ints, symprec: float
) -> SpglibDataset:
    """Return the symmetry that spglib finds in a cell.

    Args:
        lattice: basis vectors as rows, in Å; shape (3, 3).
        positions: fractional; shape (N, 3).
        numbers: atomic numbers; shape (N,).
        symprec: Å; how far atoms may be from their symmetric positions.

    Raises:
        InputError: spglib finds none, most often because atoms are too close together.
    """
    import spglib

    # spglib crashes on numbers that are not finite, such as the vectors of a cell without volume.
    if not math.isfinite(lattice.sum() + positions.sum()):
        raise InputError("symmetry needs finite numbers; does the cell have a volume?")
    # spglib declares lists, yet takes arrays.
    cell: Any = (lattice, positions, numbers)
    with spglib_environment():
        try:
            found = spglib.get_symmetry_dataset(cell, symprec=symprec)
        except spglib.SpglibError as error:
            raise InputError(f"spglib finds no symmetry in it: {error}") from None
    if found is None:
        raise InputError("spglib finds no symmetry in it; are atoms too close together?")
    return found


def niggli_reduce(lattice: Floats) -> Floats | None:
    """Return a Niggli-reduced basis, left- or right-handed; None if spglib gives up."""
    import spglib

    with spglib_environment():
        try:
            return spglib.niggli_reduce(lattice)
        except spglib.SpglibError:
            return None


@contextmanager
def spglib_environment() -> Iterator[None]:
    """Let spglib raise its errors and keep its C library from printing.

    Both are set by environment variables, which it reads at every call; they are restored after.
    SPGLIB_WARNING=OFF silences lines such as "spglib: ssm_get_exact_positions failed.", after which
    it retries with a tighter tolerance. SPGLIB_OLD_ERROR_HANDLING=0 makes it raise where it would
    return None.
    """
    environment = _environment
    environment.enter()
    try:
        yield
    finally:
        environment.leave()


class _SpglibEnvironment:
    """The environment: set by the first thread that enters, restored by the last that leaves.

    What goes wrong otherwise: threads that each restore what they found restore values that
    another thread has set.
    """

    variables: ClassVar = {"SPGLIB_WARNING": "OFF", "SPGLIB_OLD_ERROR_HANDLING": "0"}

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._saved: dict[str, str | None] = {}

    def enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._saved = {name: os.environ.get(name) for name in self.variables}
                os.environ.update(self.variables)

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self.restore()

    def restore(self) -> None:
        for name, value in self._saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._saved = {}


_environment = _SpglibEnvironment()


def _reset_environment() -> None:
    """Restore the environment in a forked process, where the threads that set it do not exist."""
    global _environment
    _environment.restore()
    _environment = _SpglibEnvironment()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_environment)
