"""A table of properties is training data: split by composition, with its own titles and units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from crystext.data.property_splits import composition_key
from crystext.errors import InputError, RunError, SettingError
from crystext.models.prediction_settings import read_prediction_settings
from crystext.predict.language import LanguagePredictor
from crystext.structures.record import Record
from crystext.training.recipe import parse_recipe
from crystext.training.trainer import Trainer
from crystext.training.training_data import TrainingData, read_data

METALS = ("Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Zn")
ANIONS = ("F", "Cl", "Br", "I", "O", "S")
FORMULAS = [f"{metal}{anion}" for metal in METALS for anion in ANIONS]
FORMULAS += [f"{metal}2{anion}2" for metal in METALS for anion in ANIONS]
"""Every composition twice."""


def values(**sections: Any) -> dict[str, Any]:
    return {
        "data": {"store": "table.csv", "validation_fraction": 0.2},
        "tasks": {"property": 1},
        "properties": {"levels": 16},
        "translate_probability": 0,
        "model": {"new": {"hidden_size": 16, "intermediate_size": 32, "layers": 1, "heads": 2}},
        "optim": {"learning_rate": 0.02, "steps": 4, "batch_sequences": 16},
        "precision": "fp32",
        **sections,
    }


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_table(tmp_path / "table.csv")


def write_table(path: Path, header: str = "formula,gap (eV),hard", end: str = "") -> Path:
    rows = [f"{x},{0.1 * i:.1f},{i % 2 == 0}{end}" for i, x in enumerate(FORMULAS)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_no_composition_is_in_both_parts(table: Path) -> None:
    data = read_data(parse_recipe(values(), "the test"))
    parts = [
        {composition_key(part[i]) for i in range(len(part))}
        for part in (data.splits["train"], data.splits["validation"])
    ]
    assert not parts[0] & parts[1]
    assert len(data.splits["validation"]) == 24
    assert sum(map(len, data.splits.values())) == len(FORMULAS)


def test_all_columns_are_learned_with_the_units_of_their_headers(table: Path) -> None:
    Trainer(parse_recipe(values(), "the test"), Path("run")).run(Console(quiet=True))
    settings = read_prediction_settings(Path("run/model"))
    assert settings is not None
    found = {name: (x.title, x.unit, x.kind) for name, x in settings.properties.items()}
    assert found == {"gap": ("gap", "eV", "number"), "hard": ("hard", "", "boolean")}
    predictions = LanguagePredictor.open("run/model").predict([Record(texts={"formula": "NaCl"})])
    assert 0 <= predictions["gap"].values[0] <= 12
    assert 0 <= predictions["hard"].values[0] <= 1


def test_named_targets_alone_are_learned(table: Path) -> None:
    recipe = parse_recipe(values(properties={"targets": ["gap"]}), "the test")
    assert recipe.properties is not None
    data = read_data(recipe)
    assert list(recipe.properties.properties(data.targets)) == ["gap"]
    assert recipe.properties.properties(data.targets)["gap"].unit == "eV"


def test_a_column_split_decides(tmp_path: Path) -> None:
    rows = [f"{x},{i},{('train', 'val', 'test')[i % 3]}" for i, x in enumerate(FORMULAS)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["formula,y,split", *rows]) + "\n")
    data = read_data(parse_recipe(values(data=str(path)), "the test"))
    assert [len(data.splits[x]) for x in ("train", "validation")] == [40, 40]


def test_a_table_teaches_no_crystals(table: Path) -> None:
    recipe = parse_recipe(values(tasks={"property": 1, "unconditional": 1}), "the test")
    with pytest.raises(SettingError, match="is a table, which teaches properties or texts alone"):
        read_data(recipe)


def test_a_run_does_not_go_on_with_another_table(table: Path) -> None:
    recipe = parse_recipe(values(checkpoint_every=2), "the test")
    Trainer(recipe, Path("run")).run(Console(quiet=True))
    text = table.read_text().replace("NaCl,", "NaI,", 1)
    table.write_text(text)
    with pytest.raises(RunError, match="on other data"):
        Trainer(recipe, Path("run")).run(Console(quiet=True))


def test_only_a_table_says_what_there_is_to_learn() -> None:
    recipe = parse_recipe(values(data="textbook"), "the test")
    with pytest.raises(SettingError, match=r"give properties\.targets"):
        Trainer(recipe, Path("run"))


def test_records_in_memory_need_both_parts() -> None:
    record = Record(texts={"formula": "NaCl"}, labels={"y": 1.0})
    with pytest.raises(InputError, match="no validation record"):
        TrainingData.of_records([record], [], {})
