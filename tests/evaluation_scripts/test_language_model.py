"""The whole way from a corpus to a generator, on a few crystals and with a network of no use."""

from __future__ import annotations

from pathlib import Path

from evaluation.measure.language_model import go, steps
from tests.conftest import Run

NETWORK = "{hidden_size: 32, intermediate_size: 64, layers: 1, heads: 2}"


def test_corpus_pretraining_instruction_scores_and_generation_are_one_way(
    cli: Run, tmp_path: Path
) -> None:
    started: list[str] = []

    def run(arguments: list[str]) -> int:
        started.append(" ".join(arguments[:2]))
        ended = cli(*arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.returncode

    way = steps(tmp_path, "textbook", 0.01, NETWORK)
    report = go(way, tmp_path, run)
    losses = report["loss_nats_per_token"]
    for name in ("pretrained", "assistant", "generator"):
        before, after = losses[name]["mean"]
        assert after < before
    assert len(report["cif_tasks"]) == 13
    for methods in report["cif_tasks"].values():
        assert set(methods) == {"chat:model", "constant"}
        # Two crystals each, of which one may have no pair of sites to ask for.
        assert all(0 < score["n"] <= 2 for score in methods.values())
    assert report["samples"]["drawn"] == {"count": 4, "of": 4}
    # What has run is not run again.
    count = len(started)
    assert go(way, tmp_path, run) == report
    assert len(started) == count == len(way)
