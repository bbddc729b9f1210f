"""The check of a faster sampler: what it reads of an evaluation, and of a network."""

from __future__ import annotations

from pathlib import Path

from crystext.evaluate.protocol import load_protocol
from crystext.evaluate.report import MetricValue
from crystext.models.load import load_model
from crystext.text import PLAIN
from evaluation.speed.sampling_quality import MAX_DIVERGENCE, STAGES, compared, divergence
from tests.example_crystals import NACL, SRTIO3


def metric(name: str, value: float | None) -> MetricValue:
    return MetricValue(stage="validity", name=name, title=name, value=value, low=0.4, high=0.6)


def test_the_stages_are_those_of_the_protocol() -> None:
    assert set(STAGES) <= load_protocol("mp20").stages.keys()


def test_metrics_outside_the_interval_of_the_baseline_are_named() -> None:
    before = {name: metric(name, 0.5) for name in ("same", "far", "unknown", "absent")}
    after = {"same": metric("same", 0.6), "far": metric("far", 0.61)}
    found = compared(before, after | {"unknown": metric("unknown", None)})
    assert found["outside_the_interval"] == ["far", "unknown", "absent"]
    assert found["metrics"]["far"] == {
        "baseline": 0.5,
        "interval_of_baseline": [0.4, 0.6],
        "present": 0.61,
    }


def test_the_sampler_s_network_is_close_to_the_exact_one(tiny_model: Path) -> None:
    model = load_model(tiny_model)
    texts = [PLAIN.encode(crystal) for crystal in (NACL, SRTIO3)]
    found = divergence(model, "Crystal:\n", texts)
    assert found["texts"] == 2
    assert found["tokens"] > 50
    assert 0 <= found["mean"] < MAX_DIVERGENCE
