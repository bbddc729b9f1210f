"""The properties: what every one of them promises, and one that another distribution adds."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.structures.property_schema import (
    PROPERTIES,
    Property,
    available_properties,
    format_properties,
    label_columns,
    parse_labels,
)
from crystext.structures.record import Label
from tests.example_crystals import NACL, SRTIO3

ALL_LABELS: dict[str, Label] = {
    "space_group": 225.0,
    "formation_energy": -2.1,
    "band_gap": 5.0,
    "e_above_hull": 0.0,
    "is_gap_direct": True,
    "is_metal": False,
    "magnetic_ordering": "NM",
}
LABELS = tuple(name for name, entry in PROPERTIES.items() if entry.is_label)


def some_value(entry: Property) -> Label:
    """Return a value that makes sense, with no more digits than a prompt gives it."""
    if entry.kind == "boolean":
        return True
    if entry.kind == "category":
        return entry.categories[-1] if entry.categories else "some words"
    low = max(entry.minimum, -1000.0)
    return math.ceil(low + (min(entry.maximum, 1000.0) - low) / 2)


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_property_is_named_and_described(name: str) -> None:
    entry = PROPERTIES[name]
    assert entry.name == name
    assert name.isidentifier()
    assert entry.title
    assert entry.minimum < entry.maximum
    assert entry.compute is None or entry.derive is None
    assert (entry.derive is None) == (not entry.derived_from)
    assert not entry.categories or entry.kind == "category"
    if entry.derived_from:
        assert PROPERTIES[entry.derived_from].is_label


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_property_reads_what_it_writes(name: str) -> None:
    entry = PROPERTIES[name]
    value = some_value(entry)
    text = entry.format(value)
    assert text == text.strip()
    assert "\n" not in text
    assert entry.parse(text) == entry.parse(value) == value
    for missing in ("", "nan", None, float("nan")):
        assert entry.parse(missing) is None


@pytest.mark.parametrize("name", LABELS)
def test_every_label_is_read_from_each_of_its_columns(name: str) -> None:
    value = some_value(PROPERTIES[name])
    for column in label_columns()[name]:
        assert parse_labels({column: value, "of no meaning": 3}) == ({name: value}, ())
        assert parse_labels({column: str(value)}) == ({name: value}, ()), "as CSV has it"
        assert parse_labels({column: None}) == ({}, ((name, "empty", ""),))


def test_no_column_means_two_labels() -> None:
    columns = [column for names in label_columns().values() for column in names]
    assert len(set(columns)) == len(columns)


def test_numbers_out_of_range_and_unknown_categories_are_not_read() -> None:
    for column, cell, reason in (
        ("space_group", 231, "above the maximum of 230"),
        ("space_group", 2.5, "not a whole number"),
        ("band_gap", math.inf, "not finite"),
        ("band_gap", "wide", "not a number"),
        ("band_gap", "3.1 GPa", "in GPa instead of eV"),
        ("space_group", "3.1 GPa", "with unit GPa"),
        ("e_above_hull", "n/a", "empty"),
        ("magnetic_ordering", "spiral", "not one of NM, FM, AFM, FiM"),
        ("is_metal", "perhaps", "neither yes nor no"),
    ):
        text = "" if reason == "empty" else str(cell)
        assert parse_labels({column: cell}) == ({}, ((column, reason, text),))
    assert parse_labels(
        {"ordering": "fim", "is_metal": 1.0, "band_gap": "", "gap pbe": "2 eV"}
    ) == (
        {"magnetic_ordering": "FiM", "is_metal": True, "band_gap": 2.0},
        (),
    )
    colour = Property("colour", "colour", kind="category")
    assert colour.parse(" pale\n green ") == "pale green"
    positive = Property("bulk_modulus", "bulk modulus", unit="GPa", minimum=0)
    assert positive.title_with_unit == "bulk modulus (GPa)"
    assert (positive.parse(-1), positive.parse("1.5")) == (None, 1.5)
    assert [positive.format(x) for x in (0.0000123456, 123.456, -0.0)] == [
        "1.235e-05",
        "123.5",
        "0",
    ]


def test_every_property_of_a_labelled_crystal_is_written() -> None:
    written = format_properties(NACL, ALL_LABELS)
    assert tuple(written) == tuple(PROPERTIES) == tuple(available_properties(ALL_LABELS))
    assert written == {
        "formula": "NaCl",
        "elements": "Na Cl",
        "chemical_system": "Cl-Na",
        "space_group": "225",
        "space_group_symbol": "Fm-3m",
        "crystal_system": "cubic",
        "n_atoms": "8",
        "density": "2.16",
        "formation_energy": "-2.10",
        "band_gap": "5.00",
        "e_above_hull": "0.000",
        "is_gap_direct": "yes",
        "is_metal": "no",
        "magnetic_ordering": "NM",
    }


@given(known=st.sets(st.sampled_from(LABELS)), nan=st.booleans())
def test_a_missing_label_is_left_out_and_never_invented(known: set[str], nan: bool) -> None:
    labels = {name: ALL_LABELS[name] for name in known}
    if nan:
        labels = {**dict.fromkeys(LABELS, math.nan), **labels}
    missing = set(LABELS) - known
    if "space_group" in missing:
        missing |= {"space_group_symbol", "crystal_system"}
    assert set(format_properties(SRTIO3, labels)) == set(PROPERTIES) - missing


def test_nothing_is_written_as_minus_zero() -> None:
    written = format_properties(NACL, {"formation_energy": -0.001, "e_above_hull": -1e-9})
    assert written["formation_energy"] == "0.00"
    assert written["e_above_hull"] == "0.000"
    for entry in PROPERTIES.values():
        if entry.kind == "number":
            assert not entry.format(-1e-99 if entry.decimals is None else -1e-9).startswith("-0")


def test_a_property_of_another_distribution_is_read_stored_and_written_into_prompts(
    tmp_path: Path,
) -> None:
    about = tmp_path / "melting-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: melting\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[crystext.properties]\nmelting_point = melting:MELTING_POINT\n"
    )
    (tmp_path / "melting.py").write_text(
        "from crystext.structures.property_schema import Property\n"
        "MELTING_POINT = Property('melting_point', 'melting point', unit='K', decimals=0,\n"
        "                         minimum=0, columns=('T_m',))\n"
    )
    (tmp_path / "use.py").write_text(_USE_OF_THE_PLUGIN)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    printed = subprocess.run(
        [sys.executable, str(tmp_path / "use.py"), str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ).stdout
    assert json.loads(printed) == {
        "report": "  train: 2; space_group of 2, melting_point of 1",
        "labels": [1074.0, None],
        "about": {"title": "melting point", "unit": "K", "kind": "number"},
        "prompt": "Melts at 1074 K.",
    }
    # Here the property is not installed, and the store is read all the same.
    from crystext.data.store import read_store

    record = read_store(tmp_path / "store", "train")[0]
    assert record.labels["melting_point"] == 1074.0
    assert "melting_point" not in format_properties(record.require_crystal(), record.labels)


_USE_OF_THE_PLUGIN = """
import json
import sys
from pathlib import Path

import numpy as np

from crystext.data.prepare_store import PrepareSettings, prepare
from crystext.data.store import read_metadata, read_store
from crystext.io.write import write_crystals
from crystext.tasks import TASKS
from crystext.tasks.prompts import load_prompts, write_prompts
from crystext.text import PLAIN
from tests.example_crystals import NACL, SRTIO3

folder = Path(sys.argv[1])
columns = {"T_m": ["1074", "-3"]}
write_crystals([("a", NACL), ("b", SRTIO3)], folder / "table.csv", columns=columns)
report = prepare(folder / "table.csv", folder / "store", PrepareSettings(split="1/0/0"), workers=1)
data = read_store(folder / "store", "train")
write_prompts(folder / "prompts", load_prompts())
with (folder / "prompts" / "conditions.yaml").open("w") as file:
    file.write('melting_point: "Melts at {value} K.\\\\n"\\n')
prompts = load_prompts(folder / "prompts")
rng = np.random.default_rng(0)
drawn = [TASKS["conditional"].make(data[0], prompts, PLAIN, rng).prompt for _ in range(20)]
lines = {line for prompt in drawn for line in prompt.split("\\n") if line.startswith("Melts")}
print(json.dumps({
    "report": str(report).split("\\n")[1],
    "labels": [data[i].labels.get("melting_point") for i in range(2)],
    "about": read_metadata(folder / "store")["properties"]["melting_point"],
    "prompt": lines.pop(),
}))
"""
