"""What relaxing changes, in a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from crystext.evaluate.protocol import parse_protocol
from crystext.evaluate.reference_sets import ReferenceSets
from crystext.evaluate.samples import read_samples
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import EvaluationOptions, StageContext
from crystext.evaluate.stages.registry import STAGES
from crystext.io.write import cif
from crystext.metrics.prototypes import Novelty
from tests.evaluate.example_inputs import ROCK_SALT, write_run

RULES = parse_protocol(
    {
        "name": "own",
        "title": "own",
        "validity": {"source": "s", "min_distance": 0.5, "min_volume": 0.1},
        "relaxation_change": {"source": "s"},
        "novelty_energies": {"source": "s"},
    }
)


def grown(factor: float) -> str:
    return cif(replace(ROCK_SALT, lengths=ROCK_SALT.lengths * factor ** (1 / 3)), "x")


def measure(stage: str, folder: Path, columns: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    samples = read_samples(write_run(folder / "run"))
    context = StageContext(
        samples, RULES.stages, EvaluationOptions(), ReferenceSets({}), columns,
        folder / "work", folder / "shared", 1,
    )  # fmt: skip
    result = StageResult(stage)
    STAGES[stage].measure(context, RULES.stages[stage], result)
    return {metric.name: (metric.value, metric.total) for metric in result.metrics}


def test_samples_that_are_not_relaxed_stay_in_the_denominator(tmp_path: Path) -> None:
    # Of six samples five are requested, of which two are no crystals and one is not relaxed.
    found = measure(
        "relaxation_change",
        tmp_path,
        {
            "energy_requested": [True] * 5 + [False],
            "relaxed_cif": [grown(1.15), None, grown(0.7), None, None, None],
            "e_above_hull_ev_per_atom": [0.6, None, 0.1, None, None, None],
        },
    )
    assert found == {
        "volume_change_above_10": (2 / 5, 5),
        "volume_change_above_20": (1 / 5, 5),
        "matches_relaxed": (2 / 5, 5),
        "high_energy": (1 / 5, 5),
    }


def test_metastable_samples_are_counted_within_each_degree_of_novelty(tmp_path: Path) -> None:
    same, swapped, _, new = (degree.label for degree in Novelty)
    found = measure(
        "novelty_energies",
        tmp_path,
        {
            "energy_requested": [True] * 5 + [False],
            "novelty_degree": [same, swapped, swapped, new, None, swapped],
            "metastable": [True, True, False, None, None, True],
        },
    )
    assert found == {
        "same_crystal_metastable": (1, 1),
        "substitution_metastable": (1 / 2, 2),
        "known_prototype_metastable": (None, 0),
        "new_prototype_metastable": (0, 1),
    }
