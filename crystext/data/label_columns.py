"""Labels as columns of a store: any property, defined in this installation or not.

label.NAME      a column for each label that a record of any split has. Numbers are float64, nan
                where unknown; booleans and categories (texts) are null there.

`store.json` has the title and unit of each, so that a store can be understood without the property
installed. Stores of version 1 have four columns without the prefix, all numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from crystext.errors import RunError
from crystext.structures.property_schema import PROPERTIES, is_known
from crystext.structures.record import Label

LABEL_PREFIX = "label."
"""Prefix of the columns of labels."""

_VERSION_1_LABELS = ("space_group", "formation_energy", "band_gap", "e_above_hull")


class LabelColumns(Mapping[str, Any]):
    """Labels of many records: by property name, an array with one value per record.

    An array of numbers is a float array, nan where unknown; one of booleans or categories is an
    Arrow array, null where unknown.
    """

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = dict(columns)
        self._numbers = [(x, y) for x, y in columns.items() if isinstance(y, np.ndarray)]
        self._others = [(x, y) for x, y in columns.items() if not isinstance(y, np.ndarray)]

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def row(self, i: int) -> dict[str, Label]:
        """Return the labels of a record; unknown ones are left out."""
        labels: dict[str, Label] = {}
        for name, column in self._numbers:
            number = float(column[i])
            if number == number:  # It is not nan.
                labels[name] = number
        for name, column in self._others:
            if (value := column[i].as_py()) is not None:
                labels[name] = value
        return labels

    def known_values(self, name: str) -> list[Label]:
        """Return the values of a property, in order, of the records that have it."""
        column = self._columns.get(name)
        if column is None:
            return []
        values = column.tolist() if isinstance(column, np.ndarray) else column.to_pylist()
        return [value for value in values if is_known(value)]


def label_arrays(labels: Sequence[Mapping[str, Label]]) -> dict[str, pa.Array]:
    """Return the columns of the labels that any record has, by column name.

    Raises:
        RunError: a label has values of several types.
    """
    known = [{name: x for name, x in row.items() if is_known(x)} for row in labels]
    names = {name for row in known for name in row}
    arrays = {}
    for name in [*(x for x in PROPERTIES if x in names), *sorted(names - {*PROPERTIES})]:
        values = [row.get(name) for row in known]
        kinds = {_arrow_type(x) for x in values if x is not None}
        if len(kinds) > 1:
            raise RunError(
                f"the label {name} is {' and '.join(sorted(map(str, kinds)))} in different "
                "crystals; expected one type, so that a column can hold it"
            )
        kind = kinds.pop()
        if kind == pa.float64():
            numbers = [np.nan if x is None else float(x) for x in values]
            arrays[LABEL_PREFIX + name] = pa.array(np.array(numbers, np.float64))
        else:
            arrays[LABEL_PREFIX + name] = pa.array(values, kind)
    return arrays


def with_same_labels(batches: Mapping[str, pa.RecordBatch]) -> dict[str, pa.RecordBatch]:
    """Return splits that all have the labels that any has; those added are unknown everywhere.

    What goes wrong otherwise: a program that reads a label finds no such column in a small split,
    in which no crystal happens to have a value.
    """
    kinds = {
        field.name: field.type
        for batch in batches.values()
        for field in batch.schema
        if field.name.startswith(LABEL_PREFIX)
    }
    whole = {}
    for split, batch in batches.items():
        for name in [x for x in kinds if x not in batch.schema.names]:
            if kinds[name] == pa.float64():
                values = pa.array(np.full(len(batch), np.nan))
            else:
                values = pa.nulls(len(batch), kinds[name])
            batch = batch.append_column(name, values)
        whole[split] = batch
    return whole


def read_label_columns(column: Mapping[str, Any], version: int) -> LabelColumns:
    """View the columns, each a single chunk, as arrays.

    Args:
        column: all columns of a split by name.
        version: of the store.

    Raises:
        ValueError: one is missing, or has a type that labels cannot have.
    """
    if version == 1:
        names = {name: name for name in _VERSION_1_LABELS}
    else:
        names = {name: LABEL_PREFIX + name for name in label_names(column)}
    labels: dict[str, Any] = {}
    for name, of in names.items():
        if of not in column:
            raise ValueError(f"it has no column {of}")
        array = column[of]
        if array.type == pa.float64():
            if array.null_count:
                raise ValueError("values are missing")
            labels[name] = array.to_numpy()
        elif version > 1 and array.type in (pa.bool_(), pa.large_string()):
            labels[name] = array
        else:
            raise ValueError(f"its column {of} is of type {array.type}")
    return LabelColumns(labels)


def label_names(columns: Iterable[str]) -> list[str]:
    """Return the names of the labels among the columns of a split of version 2."""
    return [x.removeprefix(LABEL_PREFIX) for x in columns if x.startswith(LABEL_PREFIX)]


def describe_properties(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the titles, units and kinds of the installed ones of these properties."""
    return {
        name: {"title": entry.title, "unit": entry.unit, "kind": entry.kind}
        for name in names
        if (entry := PROPERTIES.get(name)) is not None
    }


def _arrow_type(value: Label) -> pa.DataType:
    if isinstance(value, str):
        return pa.large_string()
    return pa.bool_() if isinstance(value, bool | np.bool_) else pa.float64()
