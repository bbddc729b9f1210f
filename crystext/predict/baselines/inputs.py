"""What the baselines read of a record: numbers for its composition or its molecule.

composition   the 142 features of `chemistry.element_features`; a structure is read as its
              composition
descriptors   RDKit's two-dimensional descriptors of a molecule
morgan        its Morgan fingerprint, radius 2, 2,048 bits

A descriptor that does not exist for a molecule has the median of the training data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from crystext.chemistry.element_features import composition_features, element_fractions
from crystext.chemistry.molecules import descriptors, morgan_fingerprints
from crystext.errors import InputError, SettingError
from crystext.structures.crystal import Floats
from crystext.structures.record import Record
from crystext.tasks.representations import amounts

Features = Literal["auto", "composition", "descriptors", "morgan"]
"""Names of inputs; `auto` is composition if a training record has one, else descriptors."""


@dataclass(frozen=True)
class Inputs:
    """Features of N records."""

    values: Floats
    """Shape (N, number of features); a row of nan has a problem."""
    problems: tuple[str, ...]
    """Why a record has no features; empty if it has them."""

    @property
    def is_valid(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which records have features, shape (N,)."""
        return np.array([not problem for problem in self.problems], dtype=np.bool_)


def choose_features(features: Features, records: Sequence[Record]) -> Features:
    """Return the features for training records.

    Raises:
        InputError: `auto`, and no record has a composition or a molecule.
        SettingError: there are no such features.
    """
    if features not in ("auto", *_FUNCTIONS):
        raise SettingError(
            f"no features are called {features!r}; there are auto, {', '.join(_FUNCTIONS)}"
        )
    if features != "auto":
        return features
    if any(record.crystal is not None or "formula" in record.texts for record in records):
        return "composition"
    if any("smiles" in record.texts for record in records):
        return "descriptors"
    raise InputError(
        "no training record has a composition or a molecule, which this method reads; give a table "
        "with a column of formulas, structures or SMILES"
    )


def read_inputs(features: Features, records: Sequence[Record]) -> Inputs:
    """Return the features of records; never raises for the content of a record.

    Raises:
        UnavailableError: they need RDKit, which is not installed.
    """
    return _FUNCTIONS[features](records)


def _composition(records: Sequence[Record]) -> Inputs:
    found: list[Mapping[str, float] | None] = []
    problems = []
    for record in records:
        given, problem = None, _failure(record)
        if not problem:
            try:
                given = amounts(record)
                problem = (
                    "" if given is not None else "it has no composition, which this model reads"
                )
            except SettingError as error:
                problem = str(error)
        found.append(given)
        problems.append(problem)
    return Inputs(composition_features(element_fractions(found)), tuple(problems))


def _molecule(
    function: Callable[[Sequence[str]], Floats],
) -> Callable[[Sequence[Record]], Inputs]:
    def read(records: Sequence[Record]) -> Inputs:
        texts = ["" if _failure(x) else x.texts.get("smiles", "") for x in records]
        values = function(texts)
        problems = tuple(
            _failure(record) or _message(text, row)
            for record, text, row in zip(records, texts, values, strict=True)
        )
        return Inputs(values, problems)

    return read


def _failure(record: Record) -> str:
    if record.failure is None:
        return ""
    return record.failure.message or record.failure.kind


def _message(text: str, row: Floats) -> str:
    if not text:
        return "it has no SMILES, which this model reads"
    return "" if np.isfinite(row).any() else f"RDKit reads no molecule in {text[:60]!r}"


_FUNCTIONS: Mapping[str, Callable[[Sequence[Record]], Inputs]] = {
    "composition": _composition,
    "descriptors": _molecule(descriptors),
    "morgan": _molecule(morgan_fingerprints),
}


@dataclass(frozen=True)
class Imputer:
    """Fills features that do not exist with the medians of the training data."""

    medians: Floats
    """Shape (number of features,); 0 for a feature that no training record has."""

    @classmethod
    def of(cls, values: Floats) -> Imputer:
        """Return the medians of training features, shape (N, number of features)."""
        known = np.isfinite(values).any(axis=0)
        medians = np.zeros(values.shape[1])
        medians[known] = np.nanmedian(values[:, known], axis=0)
        return cls(medians)

    def fill(self, values: Floats) -> Floats:
        """Return features without gaps."""
        return np.where(np.isfinite(values), values, self.medians)
