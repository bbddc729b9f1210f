"""A corpus holds its sources, each document once, and every build of a recipe gives the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crystext.corpus.build import build_corpus
from crystext.corpus.packed import PackedCorpus
from crystext.corpus.recipe import load_corpus_recipe
from crystext.errors import RunError
from tests.corpus.sources import (
    build,
    contents,
    crystal_store,
    documents,
    held_out,
    papers,
    sentences,
    write_jsonl,
    write_recipe,
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    folder = tmp_path_factory.mktemp("sources")
    for i in range(4):
        (folder / "notes").mkdir(exist_ok=True)
        (folder / "notes" / f"{i}.txt").write_text(f"Note {i}: µ ≤ 3 Å.\n" + sentences(i, 50))
    return {
        "papers": {"jsonl": str(papers(folder / "papers.jsonl", 1, 150)), "when_dry": "drop"},
        "notes": {"text": str(folder / "notes"), "when_dry": "drop"},
        "crystals": {
            "crystals": crystal_store(folder / "store"),
            "form": "plain",
            "when_dry": "drop",
        },
    }


@pytest.fixture(scope="module")
def corpus(
    sources: dict[str, dict[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> PackedCorpus:
    return build(tmp_path_factory.mktemp("built"), sources, validation={"fraction": 0.1})


def test_unpacking_gives_every_document_once(
    corpus: PackedCorpus, sources: dict[str, dict[str, object]]
) -> None:
    found = [*documents(corpus, corpus.train), *held_out(corpus)]
    assert len(found) == len(set(found)) == 150 + 4 + 80
    notes = sorted(text for name, text in found if name == "notes")
    folder = Path(str(sources["notes"]["text"]))
    assert notes == [path.read_text() for path in sorted(folder.iterdir())]


def test_documents_are_held_out_of_every_source_by_a_hash(corpus: PackedCorpus) -> None:
    assert len(list(documents(corpus, corpus.validation["papers"]))) in range(5, 30)
    other = {text for _, text in held_out(corpus)}
    assert other.isdisjoint(text for _, text in documents(corpus, corpus.train))


def test_the_manifest_counts_what_is_there(corpus: PackedCorpus) -> None:
    about = corpus.manifest["sources"]
    train = list(documents(corpus, corpus.train))
    for name, source in about.items():
        assert source["train_documents"] == sum(1 for x in train if x[0] == name)
        assert (
            source["validation_documents"] + source["train_documents"] == source["documents_read"]
        )
    assert sum(source["train_tokens"] for source in about.values()) == corpus.train.n_tokens
    corpus.verify()


def test_two_builds_give_the_same_bytes_with_any_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crystext.corpus.documents.CHUNK_BYTES", 5_000)
    given = {"papers": {"jsonl": str(papers(tmp_path / "p.jsonl", 1, 150)), "when_dry": "stop"}}
    one, two = (build(tmp_path / str(n), given, workers=n) for n in (1, 2))
    assert one.manifest["sources"]["papers"]["documents_read"] == 150
    assert contents(one.folder) == contents(two.folder)


KILLED = """
import os, signal, sys
from pathlib import Path
from crystext.corpus.build import build_corpus
from crystext.corpus.recipe import load_corpus_recipe

recipe, out = load_corpus_recipe(sys.argv[1]), sys.argv[2]
build_corpus(recipe, sys.argv[3], workers=1)
replace, rename = Path.replace, Path.rename
for moment in range(1, 100):
    child = os.fork()
    if child == 0:
        left = moment % 7 + 1
        def killing(move):
            def moved(self, to):
                global left
                left -= 1
                if left == 0 and moment % 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                move(self, to)
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return moved
        Path.replace, Path.rename = killing(replace), killing(rename)
        build_corpus(recipe, out, workers=1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
        print(moment)
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
"""


def test_a_build_that_is_killed_again_and_again_gives_the_same_bytes(
    sources: dict[str, dict[str, object]], tmp_path: Path
) -> None:
    settings = {"validation": {"fraction": 0.1}, "shard_tokens": 1000}
    recipe = write_recipe(tmp_path / "recipe.yaml", sources, **settings)
    out = tmp_path / "killed"
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(recipe), str(out),
         str(tmp_path / "whole")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 5
    assert contents(out) == contents(tmp_path / "whole")
    assert not (out / "work").exists()


def test_a_complete_corpus_is_opened(
    corpus: PackedCorpus, sources: dict[str, dict[str, object]]
) -> None:
    before = (corpus.folder / "corpus.json").stat().st_mtime_ns
    recipe = load_corpus_recipe(corpus.folder.parent / "recipe.yaml")
    assert build_corpus(recipe, corpus.folder).digest == corpus.digest
    assert (corpus.folder / "corpus.json").stat().st_mtime_ns == before


def test_another_recipe_or_changed_files_are_refused(tmp_path: Path) -> None:
    given = {"papers": {"jsonl": str(papers(tmp_path / "papers.jsonl", 1, 20)), "when_dry": "stop"}}
    built = build(tmp_path, given)
    with pytest.raises(RunError, match=r"recipe\.seed: not given there, 1 here"):
        build(tmp_path, given, seed=1)
    papers(tmp_path / "papers.jsonl", 2, 20)
    with pytest.raises(RunError, match=r"files\.papers"):
        build(tmp_path, given)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    recipe = load_corpus_recipe(tmp_path / "recipe.yaml")
    with pytest.raises(RunError, match="thesis"):
        build_corpus(recipe, other)
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]
    assert built.train.n_tokens


def test_long_documents_go_on_in_the_next_block_and_shard(tmp_path: Path) -> None:
    texts = [sentences(i, n) for i, n in enumerate([900, 3, 2000, 40])]
    rows = [{"text": text} for text in texts]
    built = build(
        tmp_path,
        {"papers": {"jsonl": str(write_jsonl(tmp_path / "p.jsonl", rows)), "when_dry": "stop"}},
        validation={"fraction": 0},
        shuffle=False,
        shard_tokens=128,
    )
    assert len(built.train.shards) > 3
    assert [text for _, text in documents(built, built.train)] == texts
    assert built.manifest["sources"]["papers"]["divided"] == 0


def test_truncated_documents_are_counted_and_end(tmp_path: Path) -> None:
    source = {"jsonl": str(papers(tmp_path / "p.jsonl", 1, 40)), "max_document_tokens": 30}
    built = build(tmp_path, {"papers": {**source, "when_dry": "stop"}}, validation={"fraction": 0})
    counted = built.manifest["sources"]["papers"]["truncated"]
    assert 0 < counted < 40
    assert len(list(documents(built, built.train))) == 40
    assert built.train.n_tokens <= 40 * 30
