"""The ratio holds in tokens, also after a source has run dry, whatever the recipe says of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystext.corpus.packed import PackedCorpus
from crystext.errors import InputError
from tests.corpus.sources import (
    build,
    crystal_store,
    documents,
    papers,
    sentences,
    token_sources,
    write_jsonl,
)

WINDOW = 4_000
SETTINGS: dict[str, Any] = {"window_tokens": WINDOW, "ratio_tolerance": 0.05}


@pytest.fixture(scope="module")
def long_and_short(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("sources")
    return {
        "long": str(papers(folder / "long.jsonl", 1, 60, 200)),
        "short": str(papers(folder / "short.jsonl", 2, 100, 10)),
    }


def check_windows(corpus: PackedCorpus) -> None:
    """Compare the ratio of every window of every phase with its weights."""
    row = token_sources(corpus)
    for phase in corpus.manifest["phases"]:
        tokens = row[phase["first_token"] : phase["last_token"]]
        window = min(WINDOW, len(tokens))
        for name, weight in phase["weights"].items():
            counts = np.cumsum(np.append(0, tokens == corpus.sources.index(name)))
            found = (counts[window:] - counts[:-window]) / window
            limit = SETTINGS["ratio_tolerance"] * WINDOW / window
            assert np.abs(found - weight).max() <= limit
        assert phase["largest_deviation"] <= SETTINGS["ratio_tolerance"]


def with_policy(sources: dict[str, str], **policies: str) -> dict[str, Any]:
    return {name: {"jsonl": sources[name], "when_dry": policies[name]} for name in sources}


def test_stop_ends_the_corpus_with_the_source(
    long_and_short: dict[str, str], tmp_path: Path
) -> None:
    built = build(tmp_path, with_policy(long_and_short, long="error", short="stop"), **SETTINGS)
    check_windows(built)
    available = built.manifest["sources"]["short"]["available_tokens"]
    assert built.train.n_tokens == pytest.approx(2 * available, rel=0.1)


def test_stop_shortens_a_corpus_that_should_be_longer_and_its_stages_alike(
    long_and_short: dict[str, str], tmp_path: Path
) -> None:
    stages = [
        {"until": 0.75, "weights": {"long": 0.8, "short": 0.2}},
        {"weights": {"long": 0.3, "short": 0.7}},
    ]
    given = with_policy(long_and_short, long="error", short="stop")
    built = build(tmp_path, given, tokens=10**9, stages=stages, **SETTINGS)
    check_windows(built)
    first, second = (stage["tokens"] for stage in built.manifest["stages"])
    assert first / (first + second) == pytest.approx(0.75, abs=0.05)


def test_repeat_begins_again_in_another_order(
    long_and_short: dict[str, str], tmp_path: Path
) -> None:
    built = build(tmp_path, with_policy(long_and_short, long="stop", short="repeat"), **SETTINGS)
    check_windows(built)
    (dry,) = built.manifest["when_dry"]
    assert (dry["source"], dry["policy"]) == ("short", "repeat")
    texts = [text for name, text in documents(built, built.train) if name == "short"]
    once = len(set(texts))
    assert dry["times"] == (len(texts) - 1) // once > 1
    assert set(texts[:once]) == set(texts[once : 2 * once])
    assert texts[:once] != texts[once : 2 * once]


def test_drop_leaves_its_weight_to_the_others(
    long_and_short: dict[str, str], tmp_path: Path
) -> None:
    given = with_policy(long_and_short, long="drop", short="drop")
    third = {"jsonl": str(papers(tmp_path / "third.jsonl", 3, 60, 100)), "when_dry": "drop"}
    built = build(
        tmp_path,
        {**given, "third": third},
        stages=[{"weights": {"long": 0.6, "short": 0.2, "third": 0.2}}],
        **SETTINGS,
    )
    check_windows(built)
    phases = built.manifest["phases"]
    assert [len(phase["weights"]) for phase in phases] == [3, 2, 1]
    assert phases[1]["weights"] == pytest.approx({"long": 0.75, "third": 0.25})
    counts = built.manifest["sources"].values()
    assert all(source["train_tokens"] == source["available_tokens"] for source in counts)


def test_error_refuses_a_corpus_for_which_sources_are_too_small(
    long_and_short: dict[str, str], tmp_path: Path
) -> None:
    given = with_policy(long_and_short, long="error", short="error")
    with pytest.raises(InputError, match=r"(?s)long has .* tokens .*short has .* tokens") as error:
        build(tmp_path, given, tokens=10**6, **SETTINGS)
    assert "500,000 are needed" in str(error.value)
    assert not (tmp_path / "corpus" / "train").exists()


def test_without_a_number_of_tokens_error_ends_like_stop(
    long_and_short: dict[str, str], tmp_path: Path
) -> None:
    built = build(tmp_path, with_policy(long_and_short, long="error", short="error"), **SETTINGS)
    check_windows(built)
    assert built.manifest["sources"]["short"]["train_tokens"] > 0


def test_a_source_of_one_stage_only_stays_in_it(
    long_and_short: dict[str, str], tmp_path: Path
) -> None:
    given = with_policy(long_and_short, long="repeat", short="repeat")
    given["crystals"] = {"crystals": crystal_store(tmp_path / "store"), "when_dry": "repeat"}
    stages = [
        {"until": 0.5, "weights": {"long": 0.9, "short": 0.1}},
        {"weights": {"crystals": 0.5, "short": 0.5}},
    ]
    built = build(tmp_path, given, tokens=40_000, stages=stages, **SETTINGS)
    check_windows(built)
    boundary = built.manifest["phases"][0]["last_token"]
    row = token_sources(built)
    assert set(np.unique(row[:boundary])) == {0, 1}
    assert set(np.unique(row[boundary:])) == {1, 2}


def test_a_document_too_long_for_the_ratio_is_divided_and_counted(
    long_and_short: dict[str, str], tmp_path: Path
) -> None:
    text = sentences(5, 6000)
    huge = write_jsonl(tmp_path / "huge.jsonl", [{"text": text}])
    built = build(
        tmp_path,
        {
            "huge": {"jsonl": str(huge), "when_dry": "stop"},
            "long": {"jsonl": long_and_short["long"], "when_dry": "repeat"},
        },
        validation={"fraction": 0},
        **SETTINGS,
    )
    check_windows(built)
    assert built.manifest["sources"]["huge"]["divided"] > 1
    assert built.manifest["sources"]["long"]["unfinished"] <= 1
    assert text in {found for _, found in documents(built, built.train)}
