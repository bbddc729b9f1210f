"""Symmetry operations from a CIF's list, a Hall symbol or a setting.

Settings are those of gemmi's table; the 530 settings of the International Tables in it have the
same order, origins and operations as spglib's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from crystext.errors import InputError
from crystext.structures.crystal import Floats, Ints, basis_vectors
from crystext.structures.standardize import spglib_environment

if TYPE_CHECKING:
    from gemmi import Op, SpaceGroup

_DENOMINATOR = 24
"""Translations are multiples of 1/24, gemmi's unit: those of all settings are integers in it."""


MAX_OPERATIONS = 1000
"""Maximum number of operations in a file; supercells can have more than 192."""


class Operations:
    """A list of operations, each once, in order, translations within the cell."""

    def __init__(self, operations: Iterable[Op]) -> None:
        self._by_triplet: dict[str, Op] = {}
        for operation in operations:
            wrapped = operation.wrap()
            self._by_triplet.setdefault(wrapped.triplet(), wrapped)

    def __len__(self) -> int:
        return len(self._by_triplet)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operations) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def key(self) -> frozenset[str]:
        """The set of operations as triplets: x,y,z and so on."""
        return frozenset(self._by_triplet)

    @cached_property
    def rotations(self) -> Ints:
        """Matrices that act on columns of fractional coordinates; shape (n, 3, 3)."""
        parts = [operation.rot for operation in self._by_triplet.values()]
        return np.array(parts, dtype=np.int64).reshape(-1, 3, 3) // _DENOMINATOR

    @cached_property
    def _twenty_fourths(self) -> Ints:
        parts = [operation.tran for operation in self._by_triplet.values()]
        return np.array(parts, dtype=np.int64).reshape(-1, 3)

    @cached_property
    def translations(self) -> Floats:
        """Fractional translations; shape (n, 3)."""
        return self._twenty_fourths / _DENOMINATOR

    @property
    def is_identity(self) -> bool:
        """Whether this is P1: only x, y, z."""
        return self.key == {"x,y,z"}

    @cached_property
    def setting(self) -> SpaceGroup | None:
        """The setting of the table with exactly these operations; None if there is none."""
        return _settings_by_operations().get(self.key)

    @cached_property
    def group_problem(self) -> str:
        """Why they do not form a group, as the end of a sentence; empty if they do."""
        if self.setting is not None:
            return ""
        if "x,y,z" not in self.key:
            return "the identity x, y, z is missing"
        if (np.abs(np.rint(np.linalg.det(self.rotations))) != 1).any():
            return "one of them changes the volume"
        codes = _operation_codes(self.rotations, self._twenty_fourths)
        products = np.einsum("iab,jbc->ijac", self.rotations, self.rotations)
        moved = np.einsum("iab,jb->ija", self.rotations, self._twenty_fourths)
        sums = (moved + self._twenty_fourths[:, None, :]) % _DENOMINATOR
        outside = ~np.isin(_operation_codes(products, sums), codes)
        if not outside.any():
            return ""
        first, second = np.argwhere(outside)[0]
        names = list(self._by_triplet)
        return f"{names[first]} after {names[second]} is an operation that is not among them"

    @cached_property
    def number(self) -> int:
        """The space group's number; 0 if it cannot be determined."""
        if self.setting is not None:
            return int(self.setting.number)
        import spglib

        with spglib_environment():
            try:
                kind = spglib.get_spacegroup_type_from_symmetry(
                    self.rotations.astype("intc"), self.translations
                )
            except spglib.SpglibError:
                return 0
        return 0 if kind is None else int(kind.number)

    def metric_misfit(self, lengths: Floats, angles: Floats) -> float:
        """Return how much the operations change a cell's metric, as a ratio.

        It is the largest change of a scalar product of two cell vectors, over the product of their
        lengths: 0.01 if a length changes by half a percent.
        """
        if self.is_identity:
            return 0.0
        vectors = basis_vectors(lengths, angles)
        metric = vectors @ vectors.T
        rotations = np.unique(self.rotations, axis=0)
        turned = np.einsum("nia,ij,njb->nab", rotations, metric, rotations)
        return float((np.abs(turned - metric) / np.outer(lengths, lengths)).max())

    def composed_with(self, other: Operations) -> Operations:
        """Return the product of every one of these with every one of the others, applied first."""
        ours, theirs = self._by_triplet.values(), other._by_triplet.values()
        return Operations(left.combine(right) for right in theirs for left in ours)

    def generated_group(self, limit: int = 192) -> Operations | None:
        """Return the group that they generate; None if it has more operations than `limit`."""
        from gemmi import Op

        generators = list(self._by_triplet.values())
        group = {"x,y,z": Op("x,y,z")}
        fresh = list(group.values())
        while fresh:
            produced = {}
            for left in generators:
                for right in fresh:
                    product = left.combine(right).wrap()
                    triplet = product.triplet()
                    if triplet not in group:
                        produced[triplet] = product
            group.update(produced)
            fresh = list(produced.values())
            if len(group) > limit:
                return None
        return Operations(group.values())


def identity() -> Operations:
    """Return P1."""
    from gemmi import Op

    return Operations([Op("x,y,z")])


def operations_of_list(triplets: Sequence[str]) -> Operations:
    """Return the operations that a file lists, such as `-x, y+1/2, -z`.

    Raises:
        InputError: one of them is not an operation, or there are far more than a group has.
    """
    if len(triplets) > MAX_OPERATIONS:
        raise InputError(
            f"it lists {len(triplets)} symmetry operations; a space group has up to 192, and a "
            f"list may have {MAX_OPERATIONS:,}"
        )
    return Operations(
        _parse_operation(number, text) for number, text in enumerate(triplets, start=1)
    )


def operations_of_setting(setting: SpaceGroup) -> Operations:
    """Return all operations of a setting, including centring."""
    return _operations_of_hall(setting.hall)


def operations_of_hall(symbol: str) -> Operations | None:
    """Return the operations of a Hall symbol; None if it is invalid."""
    try:
        # Two apostrophes mean a double prime, but gemmi reads them as one prime.
        plain = symbol.replace("''", '"').replace("\\", "").replace("_", " ")
        return _operations_of_hall(" ".join(plain.split()))
    except (RuntimeError, ValueError):
        return None


@cache
def _operations_of_hall(symbol: str) -> Operations:
    from gemmi import symops_from_hall

    return Operations(symops_from_hall(symbol))


@cache
def _settings_by_operations() -> dict[frozenset[str], SpaceGroup]:
    from gemmi import spacegroup_table

    found: dict[frozenset[str], SpaceGroup] = {}
    for setting in spacegroup_table():
        key = frozenset(operation.wrap().triplet() for operation in setting.operations())
        found.setdefault(key, setting)
    return found


_DECIMAL = re.compile(r"\d*\.\d+")

_MAX_TRIPLET_LENGTH = 100
"""Characters that an operation may have, apart from blanks."""

_LARGE_NUMBER = re.compile(r"\d{4}")


def _parse_operation(number: int, text: str) -> Op:
    from gemmi import Op

    compact = re.sub(r"^\s*\d+\s+(?=\S)|[\s'\"()]", "", text).lower()
    plain = _DECIMAL.sub(_decimal_as_fraction, compact[: _MAX_TRIPLET_LENGTH + 1])
    try:
        # gemmi changes numbers that are too large.
        if len(compact) <= _MAX_TRIPLET_LENGTH and not _LARGE_NUMBER.search(plain):
            return Op(plain)
    except (RuntimeError, ValueError):
        pass
    raise InputError(
        f"its symmetry operation {number} is {text[:40]!r}; expected the form -x, y+1/2, -z, "
        f"with translations that are multiples of 1/{_DENOMINATOR}"
    )


def _decimal_as_fraction(match: re.Match[str]) -> str:
    """Return a rounded decimal, 0.3333, as the fraction that it stands for."""
    value = float(match[0])
    nearest = round(value * _DENOMINATOR)
    if abs(value - nearest / _DENOMINATOR) > 0.004:
        return match[0]
    return f"{nearest}/{_DENOMINATOR}"


def _operation_codes(rotations: Ints, translations: Ints) -> Ints:
    """Return a unique number for each operation; shapes (..., 3, 3) and (..., 3)."""
    weights = 7 ** np.arange(9)
    rotation = ((rotations.reshape(*rotations.shape[:-2], 9) + 3) * weights).sum(axis=-1)
    codes: Ints = rotation * _DENOMINATOR**3 + translations @ (_DENOMINATOR ** np.arange(3))
    return codes
