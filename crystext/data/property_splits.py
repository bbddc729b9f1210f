"""Splits of property tables: random, matbench's, by formula and by scaffold; and what leaks.

A composition that stands in train and in test makes a split easy: in random folds of the castelli
perovskites 79.5% of test rows have their formula in train. `leaks` counts such rows for any split,
`formula_folds` and `scaffold_split` avoid them.

All splits are indices into the records. Sources: matbench's folds, Dunn et al., npj Comput. Mater.
6, 138 (2020); scaffolds, Bemis and Murcko, J. Med. Chem. 39, 2887 (1996), assigned as by Wu et
al., Chem. Sci. 9, 513 (2018): larger scaffolds first, to train.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.chemistry.formulas import parse_amounts
from crystext.chemistry.molecules import canonical_smiles, has_rdkit, scaffold
from crystext.data.property_table import label_values
from crystext.errors import InputError, SettingError
from crystext.structures.crystal import Ints
from crystext.structures.property_schema import Property
from crystext.structures.record import Record

MATBENCH_FOLDS, MATBENCH_SEED = 5, 18012019
"""Number and seed of matbench's folds."""

_FRACTION_DECIMALS = 6
"""Decimals of element fractions by which compositions are compared."""


class Fold(NamedTuple):
    """A split into training and test records."""

    train: Ints
    test: Ints


class Split(NamedTuple):
    """A split into three."""

    train: Ints
    validation: Ints
    test: Ints


@dataclass(frozen=True)
class Leak:
    """Test records that stand in the training data, by composition or molecule."""

    count: int
    """Number of these."""
    total: int
    """Number of test records that have a composition or a molecule."""
    by: str
    """What was compared: `reduced composition`, `canonical SMILES`, or `SMILES as written`, a lower
    bound, where RDKit isn't installed."""

    @property
    def proportion(self) -> float:
        """The proportion of test records, between 0 and 1; nan without any."""
        return self.count / self.total if self.total else np.nan

    def __str__(self) -> str:
        if not self.total:
            return "no test row has a composition or a molecule, so leaks are unknown"
        bound = "at least " if self.by == "SMILES as written" else ""
        return (
            f"{bound}{self.count:,} of {self.total:,} test rows ({self.proportion:.1%}) stand in "
            f"train by {self.by}"
        )


def matbench_folds(records: Sequence[Record], target: str, entry: Property) -> list[Fold]:
    """Return matbench's five folds of the records that have a label.

    Numbers are shuffled, classes are stratified, both with matbench's seed: records in matbench's
    order get its folds.

    Raises:
        InputError: fewer than five records have a label, or a class has fewer than five.
    """
    values = label_values(records, target)
    known = np.flatnonzero(np.isfinite(values))
    from sklearn.model_selection import KFold, StratifiedKFold

    smallest = len(known)
    if entry.kind == "boolean":
        smallest = int(np.bincount(values[known].astype(int), minlength=2).min())
    if smallest < MATBENCH_FOLDS:
        what = "a class has" if entry.kind == "boolean" else "there are"
        raise InputError(
            f"{what} {smallest} records with a label of {target}; expected at least "
            f"{MATBENCH_FOLDS}, one for each fold"
        )
    kind = StratifiedKFold if entry.kind == "boolean" else KFold
    folds = kind(n_splits=MATBENCH_FOLDS, shuffle=True, random_state=MATBENCH_SEED)
    return [Fold(known[a], known[b]) for a, b in folds.split(known, values[known])]


def random_folds(n: int, k: int = 5, seed: int = 0) -> list[Fold]:
    """Return k folds of n records, in random order.

    Raises:
        SettingError: k is below 2, or larger than n.
    """
    _check_folds(k, n, "records")
    from sklearn.model_selection import KFold

    folds = KFold(n_splits=k, shuffle=True, random_state=seed)
    return [Fold(a, b) for a, b in folds.split(np.zeros(n))]


def random_split(n: int, fractions: tuple[float, float, float], seed: int = 0) -> Split:
    """Return a random split of n records.

    Args:
        n: number of records.
        fractions: of train, validation and test, by which their sum is divided.
        seed: of the order.
    """
    order = np.random.default_rng(seed).permutation(n)
    ends = _ends(n, fractions)
    return Split(*(np.sort(part) for part in np.split(order, ends)))


def formula_folds(records: Sequence[Record], k: int = 5, seed: int = 0) -> list[Fold]:
    """Return k folds, none of which has a composition in train and in test.

    Records without a composition, but with a molecule, are grouped by molecule; others stand alone.

    Raises:
        SettingError: k is below 2, or there are fewer compositions.
    """
    keys, _ = _keys(records)
    groups = {key: i for i, key in enumerate(dict.fromkeys(x for x in keys if x))}
    index = [groups.setdefault(key or f"record {i}", len(groups)) for i, key in enumerate(keys)]
    _check_folds(k, len(groups), "compositions")
    from sklearn.model_selection import GroupKFold

    folds = GroupKFold(n_splits=k, shuffle=True, random_state=seed)
    return [Fold(a, b) for a, b in folds.split(np.zeros(len(records)), groups=index)]


def scaffold_split(records: Sequence[Record], fractions: tuple[float, float, float]) -> Split:
    """Return the scaffold split of molecules: no scaffold is in two parts; nothing is random.

    Scaffolds by decreasing number of molecules fill train, then validation, then test; of equal
    ones the scaffold whose first record stands last comes first, as in DeepChem's implementation
    for MoleculeNet. What goes wrong otherwise: BACE is sorted by class, and the other order leaves
    151 test molecules of one class. Molecules that RDKit cannot parse go to train.

    Raises:
        InputError: a record has no SMILES.
        UnavailableError: RDKit is not installed.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        text = record.texts.get("smiles")
        if text is None:
            raise InputError(
                f"{record.name or f'record {i + 1}'} has no SMILES; expected molecules, so that "
                "they can be split by scaffold"
            )
        found = scaffold(text)
        members["" if found is None else f"scaffold {found}"].append(i)
    unparsed = members.pop("", [])
    first, second = _cutoffs(len(records), fractions)
    parts: tuple[list[int], list[int], list[int]] = (list(unparsed), [], [])
    for group in sorted(members.values(), key=lambda x: (len(x), x[0]), reverse=True):
        if len(parts[0]) + len(group) <= first:
            parts[0].extend(group)
        elif len(parts[0]) + len(parts[1]) + len(group) <= second:
            parts[1].extend(group)
        else:
            parts[2].extend(group)
    return Split(*(np.array(sorted(part), dtype=np.int64) for part in parts))


def group_holdout(records: Sequence[Record], fraction: float, seed: int = 0) -> tuple[Ints, Ints]:
    """Return a split in which no composition, and no scaffold of molecules, is in both parts.

    Molecules without a ring, and all molecules where RDKit isn't installed, are grouped by
    themselves; records without either stand alone.

    Args:
        records: two or more.
        fraction: of the records that the second part has at least; it has one or more, and so has
            the first if there are two groups.
        seed: of the choice of groups.
    """
    keys = _holdout_keys(records)
    groups: dict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[key or f"record {i}"].append(i)
    names = list(groups)
    held: list[int] = []
    for i in np.random.default_rng(seed).permutation(len(names))[: max(1, len(names) - 1)]:
        held += groups[names[i]]
        if len(held) >= fraction * len(records):
            break
    second = np.array(sorted(held), dtype=np.int64)
    return np.setdiff1d(np.arange(len(records)), second), second


def _holdout_keys(records: Sequence[Record]) -> list[str]:
    keys, by = _keys(records)
    if by != "canonical SMILES":
        return keys
    found = [scaffold(x.texts["smiles"]) if "smiles" in x.texts else None for x in records]
    return [f"scaffold {ring}" if ring else key for ring, key in zip(found, keys, strict=True)]


def leaks(train: Sequence[Record], test: Sequence[Record]) -> Leak:
    """Return how many test records stand in train, by reduced composition or canonical SMILES.

    Test records without either do not count.
    """
    known, _ = _keys(train)
    keys, by = _keys(test)
    seen = {key for key in known if key}
    asked = [key for key in keys if key]
    return Leak(sum(key in seen for key in asked), len(asked), by)


def composition_key(record: Record) -> str:
    """Return a text that records of equal element fractions share; empty without a composition."""
    if record.crystal is not None:
        numbers, counts = np.unique(record.crystal.numbers, return_counts=True)
        amounts = {SYMBOLS[z - 1]: float(n) for z, n in zip(numbers, counts, strict=True)}
    elif (given := record.texts.get("formula")) is not None:
        try:
            amounts = parse_amounts(given)
        except SettingError:
            return ""
    else:
        return ""
    total = sum(amounts.values())
    return " ".join(
        f"{symbol}{round(amounts[symbol] / total, _FRACTION_DECIMALS):g}"
        for symbol in sorted(amounts)
    )


def _keys(records: Sequence[Record]) -> tuple[list[str], str]:
    """Return what identifies each record, empty if nothing does, and what that is."""
    keys = [composition_key(record) for record in records]
    if any(keys) or not any("smiles" in record.texts for record in records):
        return keys, "reduced composition"
    texts = [record.texts.get("smiles", "") for record in records]
    if not has_rdkit():
        return texts, "SMILES as written"
    return [(text and canonical_smiles(text)) or text for text in texts], "canonical SMILES"


def _ends(n: int, fractions: Sequence[float]) -> list[int]:
    return [round(cutoff) for cutoff in _cutoffs(n, fractions)]


def _cutoffs(n: int, fractions: Sequence[float]) -> list[float]:
    """Return the numbers of records of train, and of train and validation, not rounded."""
    total = sum(fractions)
    if len(fractions) != 3 or min(fractions) < 0 or not fractions[0] > 0:
        raise SettingError(
            f"the fractions of a split are {fractions}; expected three of train, validation and "
            "test, none below 0 and the first above 0"
        )
    return [n * sum(fractions[:i]) / total for i in (1, 2)]


def _check_folds(k: int, n: int, what: str) -> None:
    if not 2 <= k <= n:
        raise SettingError(f"{k} folds of {n:,} {what} are impossible; expected 2 to {n:,} folds")
