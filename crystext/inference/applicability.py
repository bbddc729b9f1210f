"""How far a composition is from those that a model was trained on.

The distance of two compositions is the Earth Mover's distance between their elements, placed by
Mendeleev number, where chemically similar elements are neighbours: the number of steps that an
average atom must be moved to turn one into the other. With F the cumulative fraction of elements,

    d(a, b) = sum over Mendeleev numbers k of |F_a(k) - F_b(k)|

NaCl and KCl differ by 0.5: half the atoms move one step, from Na to K. Sources: Hargreaves et al.,
Chem. Mater. 32, 10610 (2020), ElMD; Pettifor, Solid State Commun. 51, 31 (1984), for the order,
whose numbers are Magpie's here.

A distance is judged by those that training compositions have to their own nearest neighbours, each
left out in turn: the percentile is the percentage of these that are smaller. Above 95 a model
answers for a composition that is stranger than nearly all it was trained on. Structures and
molecules are not compared; polymorphs have the distance zero.

What goes wrong otherwise: a model that is good on a random test set is trusted on a chemistry that
it has never seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crystext.chemistry.element_features import (
    element_fractions,
    filled_element_properties,
    property_names,
)
from crystext.chemistry.elements import SYMBOLS
from crystext.chemistry.formulas import sort_by_electronegativity
from crystext.errors import InputError, SettingError, describe_error
from crystext.runtime.files import write_npz
from crystext.structures.crystal import Floats
from crystext.structures.record import Record
from crystext.tasks.representations import amounts

COMPOSITIONS_FILE = "training_compositions.npz"
"""Name of the file in a model folder."""

FILE_FORMAT = "crystext training compositions 1"
"""Format and version in a file; increase the number with any change of the distance."""

_PARTS = 65535
"""Fractions are stored as multiples of 1/65535, so that a composition takes some 13 bytes."""

_MAX_LEFT_OUT = 2000
"""Number of training compositions that are left out in turn; a larger set is sampled."""


@dataclass(frozen=True)
class Applicability:
    """Distances of N records to the training compositions."""

    distances: Floats
    """(N,) steps of Mendeleev number per atom; nan without a composition."""
    percentiles: Floats
    """(N,) percentage of training compositions that are nearer to the rest of the training set; nan
    without a composition."""
    nearest: tuple[str, ...]
    """(N,) the nearest training composition, as element fractions: Na0.5Cl0.5; empty without."""


@dataclass(frozen=True)
class TrainingCompositions:
    """The compositions of a training set, each once."""

    parts: NDArray[np.uint16]
    """Fractions of each element in units of 1/65535, shape (U, 118)."""
    left_out: Floats
    """Sorted distances of training compositions to the nearest of the others."""

    @classmethod
    def of(cls, records: Sequence[Record], seed: int = 0) -> TrainingCompositions:
        """Return the compositions of training records.

        Args:
            records: those without a composition are left out.
            seed: chooses the compositions that are left out in turn, if there are many.

        Raises:
            InputError: fewer than two different compositions.
        """
        parts = _parts(records)
        parts = np.unique(parts[parts.any(axis=1)], axis=0)
        if len(parts) < 2:
            raise InputError(
                f"the training set has {len(parts)} compositions; expected two or more, so that "
                "distances have a scale"
            )
        whole = cls(parts, np.zeros(0))
        chosen = np.random.default_rng(seed).permutation(len(parts))[:_MAX_LEFT_OUT]
        distances, _ = whole._tree.query(_cumulative_fractions(parts[chosen]), k=2, p=1)
        return cls(parts, np.sort(distances[:, 1]))

    def __len__(self) -> int:
        return len(self.parts)

    def assess(self, records: Sequence[Record]) -> Applicability:
        """Return the distances of records to the nearest training composition."""
        parts = _parts(records)
        known = parts.any(axis=1)
        distances, percentiles = np.full((2, len(parts)), np.nan)
        nearest = [""] * len(parts)
        if known.any():
            unique, inverse = np.unique(parts[known], axis=0, return_inverse=True)
            nearby = self._tree.query(_cumulative_fractions(unique), k=1, p=1, workers=-1)
            found, indices = (x[inverse.ravel()] for x in nearby)
            distances[known] = found
            below = np.searchsorted(self.left_out, found, side="left")
            percentiles[known] = 100 * below / len(self.left_out)
            for i, index in zip(np.flatnonzero(known).tolist(), indices.tolist(), strict=True):
                nearest[i] = _formula(self.parts[index])
        return Applicability(distances, percentiles, tuple(nearest))

    def save(self, path: str | Path) -> None:
        """Write the compositions as arrays without code: 0.4 MB for 35,000.

        Raises:
            RunError: the place cannot be written.
        """
        rows, elements = np.nonzero(self.parts)
        write_npz(
            path,
            format=np.array(FILE_FORMAT),
            counts=np.bincount(rows, minlength=len(self.parts)).astype(np.uint8),
            elements=elements.astype(np.uint8),
            parts=self.parts[rows, elements],
            left_out=self.left_out.astype(np.float32),
        )

    @classmethod
    def read(cls, path: str | Path) -> TrainingCompositions:
        """Read a file that `save` has written.

        Raises:
            InputError: it is missing, damaged or of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                if str(file["format"]) != FILE_FORMAT:
                    raise InputError(f"its format is {file['format']}, not {FILE_FORMAT}")
                counts, elements = file["counts"], file["elements"]
                values, left_out = file["parts"], file["left_out"].astype(np.float64)
            parts = np.zeros((len(counts), len(SYMBOLS)), dtype=np.uint16)
            parts[np.repeat(np.arange(len(counts)), counts), elements] = values
            if not len(left_out) or not parts.any(axis=1).all():
                raise InputError("a composition is empty")
        except FileNotFoundError:
            raise InputError(f"no file {path}; check the path") from None
        except (InputError, OSError, ValueError, LookupError, EOFError) as error:
            reason = describe_error(error, "its arrays are others")
            raise InputError(f"{path} holds no training compositions: {reason}") from None
        return cls(parts, left_out)

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(_cumulative_fractions(self.parts))


def composition_distance(first: str, second: str) -> float:
    """Return the distance of two formulas, in steps of Mendeleev number per atom.

    Raises:
        SettingError: one is not a formula.
    """
    records = [Record(texts={"formula": text}) for text in (first, second)]
    for record in records:
        amounts(record)
    a, b = _cumulative_fractions(_parts(records))
    return float(np.abs(a - b).sum())


def _parts(records: Sequence[Record]) -> NDArray[np.uint16]:
    """Return the fractions of each element in each record, shape (N, 118); zeros without any."""
    compositions = []
    for record in records:
        try:
            compositions.append(None if record.failure is not None else amounts(record))
        except SettingError:
            compositions.append(None)
    fractions = element_fractions(compositions)
    return np.round(np.nan_to_num(fractions) * _PARTS).astype(np.uint16)


def _cumulative_fractions(parts: NDArray[np.uint16]) -> Floats:
    """Return cumulative fractions times the step to the next number, shape (N, 117).

    The city-block distance of two rows is the Earth Mover's distance.
    """
    numbers = filled_element_properties()[:, property_names().index("MendeleevNumber")]
    order = np.argsort(numbers, kind="stable")
    fractions = parts[:, order] / parts.sum(axis=1, keepdims=True, dtype=np.float64)
    weighted: Floats = np.cumsum(fractions, axis=1)[:, :-1] * np.diff(numbers[order])
    return weighted


def _formula(parts: NDArray[np.uint16]) -> str:
    total = int(parts.sum(dtype=np.int64))
    found = {SYMBOLS[i]: int(parts[i]) / total for i in np.flatnonzero(parts).tolist()}
    return "".join(
        symbol if len(found) == 1 else f"{symbol}{found[symbol]:.3g}"
        for symbol in sort_by_electronegativity(found)
    )
