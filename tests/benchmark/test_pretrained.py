"""A model that was trained before takes part where it predicts the task's property."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from crystext.benchmark.measure import BenchmarkOptions, benchmark
from crystext.benchmark.pretrained import PretrainedMethod, matching_property
from crystext.errors import InputError
from crystext.predict.language import LanguagePredictor
from crystext.structures.property_schema import PROPERTIES, Property
from crystext.structures.record import Record
from crystext.training.recipe import parse_recipe
from crystext.training.trainer import Trainer
from tests.benchmark.example_suite import SUITE, write_example


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that predicts densities, trained for a moment."""
    recipe = {
        "data": "textbook",
        "tasks": {"property": 1},
        "properties": {"targets": ["density"], "inputs": ["composition"], "levels": 32},
        "translate_probability": 0,
        "model": {"new": {"hidden_size": 32, "intermediate_size": 64, "layers": 2, "heads": 2}},
        "optim": {
            "learning_rate": 0.02,
            "steps": 20,
            "batch_sequences": 16,
            "warmup_steps": 5,
        },
        "precision": "fp32",
        "evaluate_every": 20,
    }
    out = tmp_path_factory.mktemp("trained") / "run"
    Trainer(parse_recipe(recipe, "the test"), out).run(Console(quiet=True))
    return out / "model"


def test_it_predicts_as_it_does_by_itself(folder: Path) -> None:
    target = Property("Density", "density", unit="g/cm^3", columns=("density",))
    records = [Record(texts={"formula": x}) for x in ("NaCl", "MgO")]
    predictor = PretrainedMethod(str(folder)).fit([], [], {"density": target})
    found = predictor.predict(records)["density"]
    alone = LanguagePredictor.open(folder).predict(records)["density"]
    assert found.target == target
    assert np.array_equal(found.values, alone.values)
    assert found.intervals.keys() == alone.intervals.keys()


def test_a_task_of_a_suite_is_measured_and_others_are_said(folder: Path, tmp_path: Path) -> None:
    properties = {
        **SUITE["datasets"]["salts"]["properties"],
        "density": {"title": "density", "unit": "g/cm^3", "column": "volume"},
    }
    suite = write_example(
        tmp_path, datasets={"salts": {"title": "salts", "properties": properties}}
    )
    options = BenchmarkOptions(tasks=["salts/density", "salts/gap"])
    results = benchmark(suite, tmp_path, [str(folder)], tmp_path / "out", options)
    (task,) = results.tasks
    assert (task.task, task.method, task.n_valid) == ("salts/density", "model", 24)
    assert "coverage_90" in task.metrics
    assert [(x.task, "predicts density, and not gap" in x.message) for x in results.failed] == [
        ("salts/gap", True)
    ]


def test_a_property_is_known_under_its_aliases_in_the_same_unit() -> None:
    known = {"formation_energy": PROPERTIES["formation_energy"], "gap": Property("gap", "gap")}
    column = "formation_energy_per_atom"
    in_ev, in_kj = (Property(column, column, unit=x) for x in ("eV/atom", "kJ/mol"))
    assert matching_property(column, in_ev, known) == "formation_energy"
    with pytest.raises(InputError, match="in eV/atom, and formation_energy_per_atom is in kJ/mol"):
        matching_property(column, in_kj, known)
    with pytest.raises(InputError, match="Did you mean 'gap'"):
        matching_property("gapp", Property("gapp", "gap"), known)
