"""The standard description of a crystal: one cell and one origin for all ways to write it.

The cell is spglib's standardised primitive cell, idealised to its space group, with the lattice
then reduced after Niggli. Two descriptions of the same crystal come out alike as far as spglib's
choice of origin and setting goes; it is no canonical form in the mathematical sense.
Source: Togo, Shinohara, Tanaka, Sci. Technol. Adv. Mater. Meth. 4, 2384822 (2024); Krivy, Gruber,
Acta Cryst. A32, 297 (1976).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from crystext.crystal import Crystal, lengths_and_angles
from crystext.errors import InputError, SettingError

DECIMALS = 6
"""Coordinates are rounded to these: what is beyond is noise of the matrix products."""


def standardize(crystal: Crystal, symprec: float = 0.1) -> tuple[Crystal, int]:
    """Return a crystal in its standard description, and its space-group number.

    Args:
        crystal: any description; it may be a supercell.
        symprec: how far in Å atoms may be from where symmetry wants them; they are moved there.

    Raises:
        InputError: spglib finds no symmetry, most often because atoms are too close together.
        SettingError: `symprec` is not above zero.
    """
    if not symprec > 0:
        raise SettingError(f"symprec is {symprec:g}; expected a distance in Å above 0, such as 0.1")
    import spglib

    # spglib declares lists, yet takes and gives arrays.
    cell: Any = (crystal.lattice, crystal.positions, crystal.numbers)
    with spglib_that_raises_quietly():
        try:
            dataset = spglib.get_symmetry_dataset(cell, symprec=symprec)
            found: Any = spglib.standardize_cell(
                cell, to_primitive=True, no_idealize=False, symprec=symprec
            )
            reduced = None if found is None else spglib.niggli_reduce(found[0])
        except spglib.SpglibError as error:
            raise InputError(f"spglib cannot standardise it: {error}") from None
    if dataset is None or found is None or reduced is None:
        raise InputError("spglib finds no symmetry; are atoms too close together?")
    vectors, positions, numbers = found
    if np.linalg.det(reduced) < 0:
        reduced = -reduced
    positions = np.round((positions @ vectors) @ np.linalg.inv(reduced), DECIMALS) % 1.0
    positions[positions >= 1.0 - 10.0**-DECIMALS] = 0.0
    lengths, angles = lengths_and_angles(reduced)
    standard = Crystal(lengths, angles, numbers.astype(np.int64), positions)
    return standard, int(dataset.number)


@contextmanager
def spglib_that_raises_quietly() -> Iterator[None]:
    """Let spglib raise its errors and keep its C library from printing.

    Both are set by environment variables, which it reads at every call; they are put back after.
    SPGLIB_WARNING=OFF silences lines such as "spglib: ssm_get_exact_positions failed.", after which
    it goes on with a tighter tolerance. SPGLIB_OLD_ERROR_HANDLING=0 makes it raise where it would
    return None.
    """
    wanted = {"SPGLIB_WARNING": "OFF", "SPGLIB_OLD_ERROR_HANDLING": "0"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
