"""Space groups and orbits as columns of a store: computed once, not in each training run.

group           space-group number; 0 where the crystal has no Wyckoff description
orbit_numbers   atomic number of each orbit
orbit_letters   letter of each orbit's Wyckoff position
orbit_free      free coordinates of all orbits, one after the other
cell            free parameters of the conventional cell
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crystext.structures.crystal import Floats, Ints
from crystext.structures.wyckoff.cell_parameters import free_parameter_names
from crystext.structures.wyckoff.orbits import Orbit, WyckoffCrystal
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS, wyckoff_positions

WYCKOFF_SCHEMA = pa.schema(
    [
        ("group", pa.int64()),
        ("orbit_numbers", pa.large_list(pa.int64())),
        ("orbit_letters", pa.large_string()),
        ("orbit_free", pa.large_list(pa.float64())),
        ("cell", pa.large_list(pa.float64())),
    ]
)
"""The columns."""


@dataclass(frozen=True)
class WyckoffColumns:
    """The columns as flat arrays. Row i owns items `offsets[i]` to `offsets[i + 1]` of each."""

    groups: Ints
    """Shape (M,)."""
    orbit_offsets: NDArray[np.int64]
    """Shape (M + 1,), as all offsets."""
    numbers: Ints
    letters: NDArray[np.uint8]
    """ASCII, one per orbit."""
    free_offsets: NDArray[np.int64]
    free: Floats
    cell_offsets: NDArray[np.int64]
    cells: Floats

    def __getitem__(self, i: int) -> WyckoffCrystal | None:
        """Return a crystal by space group and orbits; None without such a description."""
        group = int(self.groups[i])
        if not group:
            return None
        known = wyckoff_positions(group)
        own = slice(self.orbit_offsets[i], self.orbit_offsets[i + 1])
        at = int(self.free_offsets[i])
        orbits = []
        for number, letter in zip(
            self.numbers[own].tolist(), self.letters[own].tobytes().decode("ascii"), strict=True
        ):
            position = known[letter]
            orbits.append(Orbit(number, position, self.free[at : at + len(position.free_axes)]))
            at += len(position.free_axes)
        cell = self.cells[self.cell_offsets[i] : self.cell_offsets[i + 1]].tolist()
        return WyckoffCrystal(group, tuple(orbits), tuple(cell))


def wyckoff_arrays(crystals: Sequence[WyckoffCrystal | None]) -> dict[str, pa.Array]:
    """Return the columns of `WYCKOFF_SCHEMA`."""
    found = [() if c is None else c.orbits for c in crystals]
    columns = {
        "group": [0 if c is None else c.space_group for c in crystals],
        "orbit_numbers": [[o.atomic_number for o in orbits] for orbits in found],
        "orbit_letters": ["".join(o.position.letter for o in orbits) for orbits in found],
        "orbit_free": [
            [x for o in orbits for x in o.free_coordinates.tolist()] for orbits in found
        ],
        "cell": [[] if c is None else list(c.cell) for c in crystals],
    }
    return {field.name: pa.array(columns[field.name], field.type) for field in WYCKOFF_SCHEMA}


def read_wyckoff_columns(column: Mapping[str, Any]) -> WyckoffColumns | None:
    """View the columns, each a single chunk, as arrays; None if a store has none of them.

    Raises:
        ValueError: they are inconsistent, or name positions that do not exist.
    """
    if WYCKOFF_SCHEMA.names[0] not in column:
        return None
    for field in WYCKOFF_SCHEMA:
        if field.name not in column or column[field.name].type != field.type:
            raise ValueError(f"it has no column {field.name} of type {field.type}")
        if column[field.name].null_count:
            raise ValueError("values are missing")
    letters = column["orbit_letters"]
    offsets = column["orbit_numbers"].offsets.to_numpy()
    if not np.array_equal(offsets, np.frombuffer(letters.buffers()[1], np.int64)[: len(offsets)]):
        raise ValueError("its crystals do not have a position for each orbit")
    found = WyckoffColumns(
        groups=column["group"].to_numpy(),
        orbit_offsets=offsets,
        numbers=column["orbit_numbers"].values.to_numpy(),
        letters=np.frombuffer(letters.buffers()[2] or b"", np.uint8),
        free_offsets=column["orbit_free"].offsets.to_numpy(),
        free=column["orbit_free"].values.to_numpy(),
        cell_offsets=column["cell"].offsets.to_numpy(),
        cells=column["cell"].values.to_numpy(),
    )
    _check_columns(found)
    return found


def _check_columns(columns: WyckoffColumns) -> None:
    groups = columns.groups
    if len(groups) and not 0 <= groups.min() <= groups.max() <= N_SPACE_GROUPS:
        raise ValueError("it names space groups that do not exist")
    # By group and letter; -1 if the group has no such position.
    free = np.full((N_SPACE_GROUPS + 1, 256), -1)
    parameters = np.zeros(N_SPACE_GROUPS + 1, dtype=np.int64)
    for group in np.unique(groups[groups > 0]).tolist():
        parameters[group] = len(free_parameter_names(group))
        for letter, position in wyckoff_positions(group).items():
            free[group, ord(letter)] = len(position.free_axes)
    orbits = np.diff(columns.orbit_offsets)
    each = free[np.repeat(groups, orbits), columns.letters[: int(orbits.sum())]]
    if each.min(initial=0) < 0:
        raise ValueError("it names Wyckoff positions that do not exist")
    sums = np.concatenate([[0], np.cumsum(each)])[columns.orbit_offsets]
    if not (
        np.array_equal(np.diff(sums), np.diff(columns.free_offsets))
        and np.array_equal(parameters[groups], np.diff(columns.cell_offsets))
    ):
        raise ValueError("it has coordinates or cells that do not fit their positions or groups")
