"""Targets of pretraining: their values, what is missing, and their scale.

Numbers are scaled to mean 0 and standard deviation 1 over the training records that have them. A
target that a record lacks is masked: it has no part in the loss, and its place in a mean is taken
by nothing. What goes wrong otherwise: RDKit's descriptors are not finite for salts and dummy atoms,
and one nan makes a whole batch nan; a 0 in its place teaches a value that nobody computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from crystext.data.property_table import read_property_table
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.runtime.files import write_parquet
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Floats
from crystext.structures.record import Record
from crystext.study.crystal_targets import CRYSTAL_TARGETS, crystal_values
from crystext.study.descriptors import DESCRIPTORS, descriptor_values
from crystext.study.finite_values import finite_mean, finite_std
from crystext.study.grid import ObjectiveSpec

_SMALLEST_SCALE = 1e-9
"""Standard deviation, relative to the mean, below which a target is constant."""


class MaskedTargets(NamedTuple):
    """Targets for a loss."""

    values_NT: Floats
    """0 where missing."""
    is_given_NT: NDArray[np.bool_]


@dataclass(frozen=True)
class TargetScale:
    """Mean and standard deviation of targets over training records."""

    names: tuple[str, ...]
    mean_T: Floats
    std_T: Floats
    """nan for a target that is constant or always missing, which is masked everywhere."""

    @classmethod
    def fit(cls, names: Sequence[str], values_NT: Floats, classes: Sequence[int] = ()) -> Self:
        """Return the scale of training values.

        Args:
            names: of the T targets.
            values_NT: nan where missing.
            classes: number of classes of each target; categories are left as they are.
        """
        mean, std = finite_mean(values_NT, axis=0), finite_std(values_NT, axis=0)
        constant = ~(std > _SMALLEST_SCALE * np.maximum(np.abs(mean), 1.0))
        is_category = np.array(classes or [0] * len(names)) > 0
        std = np.where(constant, np.nan, np.where(is_category, 1.0, std))
        return cls(tuple(names), np.where(is_category, 0.0, mean), std)

    def apply(self, values_NT: Floats) -> MaskedTargets:
        """Return scaled values and which of them are given."""
        scaled = (values_NT - self.mean_T) / self.std_T
        is_given = np.isfinite(scaled)
        return MaskedTargets(np.where(is_given, scaled, 0.0), is_given)

    @property
    def constant(self) -> list[str]:
        """Targets that tell nothing apart."""
        return [name for name, std in zip(self.names, self.std_T, strict=True) if np.isnan(std)]


class TargetTable(NamedTuple):
    """Targets of N records."""

    names: tuple[str, ...]
    values_NT: Floats
    classes: tuple[int, ...]
    """Number of classes of each target; 0 for a number."""

    @property
    def n_missing(self) -> dict[str, int]:
        """Records that lack a target, for the targets that any record lacks."""
        counts = (~np.isfinite(self.values_NT)).sum(axis=0).tolist()
        return {name: n for name, n in zip(self.names, counts, strict=True) if n}


def n_targets(objective: ObjectiveSpec) -> int:
    """Return the number of outputs of a network for an objective; 0 of texts."""
    if objective.targets == "texts":
        return 0
    if objective.targets == "descriptors":
        return len(DESCRIPTORS)
    return sum(target.n_outputs for target in CRYSTAL_TARGETS)


def compute_targets(objective: ObjectiveSpec, records: Sequence[Record]) -> TargetTable:
    """Return the targets of records.

    Raises:
        InputError: a record has no SMILES, or no crystal.
        UnavailableError: descriptors need RDKit.
    """
    if objective.targets == "crystal":
        return TargetTable(
            tuple(target.name for target in CRYSTAL_TARGETS),
            crystal_values([record.require_crystal() for record in records]),
            tuple(target.n_classes for target in CRYSTAL_TARGETS),
        )
    lacking = [record.name or record.id for record in records if "smiles" not in record.texts]
    if lacking:
        raise InputError(
            f"{len(lacking):,} of {len(records):,} records have no SMILES, such as {lacking[0]}; "
            "expected molecules, or the objective targets: crystal"
        )
    values = descriptor_values([record.texts["smiles"] for record in records])
    return TargetTable(DESCRIPTORS, values, (0,) * len(DESCRIPTORS))


def write_targets(source: Path, out: Path, kind: str) -> str:
    """Write the targets of the records of a source as a Parquet table; return what is in it.

    Args:
        source: a table of molecules, or anything with crystals.
        out: the table: `id`, and a column for each target, null where it does not exist.
        kind: see `ObjectiveSpec.targets`.

    Raises:
        InputError: the source cannot be read, or has records of another kind.
        RunError: the table cannot be written.
        SettingError: there is no such kind, or `out` is no .parquet.
        UnavailableError: descriptors need RDKit.
    """
    import pyarrow as pa

    objective = _objective(kind)
    if out.suffix != ".parquet":
        raise SettingError(f"--out {out}: expected a path that ends in .parquet")
    table = read_property_table(source, targets=[])
    found = compute_targets(objective, table.records)
    columns = {
        name: pa.array(column, from_pandas=True)
        for name, column in zip(found.names, found.values_NT.T, strict=True)
    }
    names = [record.id or record.name for record in table.records]
    write_parquet(out, pa.table({"id": pa.array(names, pa.string()), **columns}))
    counted = format_count(len(table), "record")
    constant = TargetScale.fit(found.names, found.values_NT, found.classes).constant
    lines = [f"{counted}, {format_count(len(found.names), 'target')}"]
    if missing := found.n_missing:
        lines.append(
            "missing, to be masked: " + ", ".join(f"{x} {n:,}" for x, n in missing.items())
        )
    if constant and len(table) > 1:
        lines.append(f"without a difference, to be masked: {', '.join(constant)}")
    return "\n".join(lines)


def _objective(kind: str) -> ObjectiveSpec:
    kinds = [x for x in get_args(ObjectiveSpec.model_fields["targets"].annotation) if x != "texts"]
    if kind not in kinds:
        raise SettingError(
            f"no targets {kind!r}; there are {', '.join(kinds)}.{did_you_mean(kind, kinds)}"
        )
    return ObjectiveSpec.model_validate({"targets": kind})
