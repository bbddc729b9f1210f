"""Runs that learn from texts: a corpus of documents, or conversations."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from safetensors.torch import load_file

from crystext.corpus.packed import PackedCorpus, ids_type
from crystext.corpus.write_packed import PartWriter
from crystext.errors import InputError, ModelError, RunError, SettingError
from crystext.models.layout import open_model
from crystext.models.network import read_network, read_tokenizer
from crystext.training.log import TrainingLog
from crystext.training.recipe import Recipe, parse_recipe
from crystext.training.text_streams import CorpusBlocks, WatchedText
from crystext.training.trainer import Trainer
from tests.llm_tokenizers import plain_characters

QUIET = Console(quiet=True)
CONTEXT = 32
SENTENCES = {
    "papers": "rock salt has six neighbours",
    "crystals": "Na 0.0 0.0 0.0 Cl 0.5 0.5 0.5",
}


def write_corpus(folder: Path) -> Path:
    """Write a corpus of two sources; their documents begin somewhere in a sentence."""
    tokenizer = plain_characters()
    tokenizer.save_pretrained(folder / "tokenizer")
    end, kind = int(tokenizer.eos_token_id), ids_type(len(tokenizer))

    def document(name: str, i: int) -> np.ndarray[Any, Any]:
        text = SENTENCES[name][i % 7 :]
        return np.array([*tokenizer(text, add_special_tokens=False)["input_ids"], end])

    parts: dict[str, Any] = {"validation": {}}
    with PartWriter(folder / "train", kind, CONTEXT * 8) as writer:
        for i in range(60):
            writer.append(document(list(SENTENCES)[i % 2], i), i % 2)
    parts["train"] = {"shards": writer.shards}
    for name in SENTENCES:
        with PartWriter(folder / "validation" / name, kind, CONTEXT * 8) as writer:
            for i in range(4):
                writer.append(document(name, i), 0)
        parts["validation"][name] = {"shards": writer.shards}
    manifest = {
        "format": "crystext corpus",
        "version": 1,
        "context_tokens": CONTEXT,
        "sources": {name: {} for name in SENTENCES},
        "tokenizer": {
            "sha256": "0",
            "vocabulary": len(tokenizer),
            "end_of_text": {"id": end, "token": "</s>"},
        },
        "parts": parts,
    }
    (folder / "corpus.json").write_text(json.dumps(manifest))
    return folder


def write_conversations(folder: Path, count: int = 24) -> Path:
    """Write conversations of two tasks: an element's neighbour in a list, and a word."""
    folder.mkdir()
    for split in ("train", "validation", "test"):
        lines = []
        for i in range(count):
            question, answer, task = [("Na?", "Cl", "salt"), ("Ga?", "As", "zincblende")][i % 2]
            turns = [{"role": "user", "content": f"{question}{'!' * (i % 5)}"}]
            turns.append({"role": "assistant", "content": answer})
            lines.append(json.dumps({"task": task, "messages": turns}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def values(store: Path, task: str, **changes: Any) -> dict[str, Any]:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "layers": 1, "heads": 2}
    optim = {
        "optimizer": "muon",
        "learning_rate": 0.02,
        "warmup_fraction": 0.1,
        "final_rate_fraction": 0.1,
        "steps": 30,
        "batch_sequences": 4,
        "max_tokens": CONTEXT,
    }
    return {
        "data": {"store": str(store), "validation_crystals": 4},
        "tasks": {task: 1},
        "translate_probability": 0,
        "model": {"new": sizes},
        "optim": optim | changes.pop("optim", {}),
        "precision": "fp32",
        "evaluate_every": 30,
        "checkpoint_every": 10,
        **changes,
    }


def recipe(store: Path, task: str, **changes: Any) -> Recipe:
    return parse_recipe(values(store, task, **changes), "the test")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the corpus that watches a text in another language."""
    folder = tmp_path_factory.mktemp("run")
    watched = folder / "latin.jsonl"
    watched.write_text('{"text": "alea iacta est"}\n{"text": ""}\n{"text": "cogito"}\n')
    data = {"store": str(corpus), "validation_crystals": 4, "watched": {"latin": str(watched)}}
    trainer = Trainer(recipe(corpus, "text", data=data), folder / "run")
    trainer.run(QUIET)
    assert "latin" in trainer.summary()
    return folder / "run"


def test_what_a_corpus_teaches_is_learned_and_what_is_watched_is_not(run: Path) -> None:
    scored = [line for line in TrainingLog(run / "log.jsonl").read() if "loss_mean" in line]
    first, last = scored[0], scored[-1]
    for source in SENTENCES:
        assert last[f"loss_{source}"] < 0.5 * first[f"loss_{source}"]
    assert last["loss_latin"] > last["loss_papers"]
    # What is watched does not choose the weights.
    mean = (last["loss_crystals"] + last["loss_papers"]) / 2
    assert last["loss_mean"] == pytest.approx(mean)
    assert first["loss_papers"] == pytest.approx(math.log(len(plain_characters())), rel=0.1)


def test_the_model_is_one_of_transformers_with_the_tokenizer_of_the_corpus(
    run: Path, corpus: Path
) -> None:
    model = run / "model"
    assert read_network(model).config.vocab_size == len(plain_characters())
    assert read_tokenizer(model).get_vocab() == read_tokenizer(corpus / "tokenizer").get_vocab()
    with pytest.raises(ModelError, match="crystext chat"):
        open_model(model).require_generator()


def test_a_run_on_a_corpus_goes_on_as_if_it_had_not_stopped(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    for steps in (10, 30):
        # Stopped after so many steps of 30.
        trainer = Trainer(recipe(corpus, "text"), tmp_path / "run")
        batches = trainer.batches.iter_batches
        trainer.batches.iter_batches = lambda first, _, n, s=steps, b=batches: b(first, s, n)  # type: ignore[method-assign]
        trainer.run(QUIET)
    one, other = (load_file(x / "model" / "model.safetensors") for x in (run, tmp_path / "run"))
    assert all((one[name] == other[name]).all() for name in one)


def test_documents_are_rows_of_their_own_in_the_order_of_the_corpus(corpus: Path) -> None:
    part = PackedCorpus.open(corpus).train
    stream = CorpusBlocks(part, task_names=["papers"], max_tokens=CONTEXT)
    tokenizer = plain_characters()
    text = "".join(tokenizer.decode(ids) for ids, _ in stream.rows(range(4)))
    wanted = "".join(f"{SENTENCES[list(SENTENCES)[i % 2]][i % 7 :]}</s>" for i in range(8))
    assert text == wanted[: len(text)]
    assert all(ids == labels for ids, labels in stream.rows(range(len(part))))
    # After the last block comes the first again.
    assert stream.rows(range(len(part), len(part) + 1)) == stream.rows(range(1))


def test_answers_are_learned_with_a_template_that_the_model_keeps(tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer"
    plain_characters().save_pretrained(tokenizer)
    store = write_conversations(tmp_path / "conversations")
    model = {"new": {**values(store, "x")["model"]["new"], "tokenizer": str(tokenizer)}}
    optim = {"max_tokens": 64}
    trainer = Trainer(recipe(store, "conversation", model=model, optim=optim), tmp_path / "run")
    assert trainer.datasets.scored_tasks == ["salt", "zincblende"]
    trainer.run(QUIET)
    last = trainer.log.read()[-1]
    assert last["loss_salt"] < 0.5
    kept = read_tokenizer(tmp_path / "run" / "model")
    assert "assistant" in str(kept.chat_template)


def test_conversations_that_are_too_long_are_left_out_and_counted(tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer"
    plain_characters().save_pretrained(tokenizer)
    store = write_conversations(tmp_path / "conversations")
    model = {"new": {**values(store, "x")["model"]["new"], "tokenizer": str(tokenizer)}}
    settings = recipe(store, "conversation", model=model, optim={"max_tokens": 28})
    trainer = Trainer(settings, tmp_path / "run")
    assert 0 < trainer.datasets.too_long_fraction < 1
    none = recipe(store, "conversation", model=model, optim={"max_tokens": 8})
    with pytest.raises(SettingError, match="max_tokens"):
        Trainer(none, tmp_path / "run")


def test_faults_are_refused_before_training(corpus: Path, tmp_path: Path) -> None:
    conversations = write_conversations(tmp_path / "conversations")
    faults: list[tuple[Path, str, dict[str, Any], str]] = [
        (corpus, "conversation", {}, "for the task text"),
        (conversations, "text", {}, "for the task conversation"),
        (tmp_path, "text", {}, "crystext corpus build"),
        (corpus, "text", {"optim": {"max_tokens": 16}}, "max_tokens=32"),
        (corpus, "text", {"model": {"base": "shipped"}}, "another tokenizer"),
        (
            corpus,
            "text",
            {"data": {"store": str(corpus), "watched": {"papers": "x.txt"}}},
            "another name",
        ),
    ]
    for store, task, changes, said in faults:
        with pytest.raises(SettingError, match=said):
            Trainer(recipe(store, task, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": {"text": 1, "unconditional": 1}}, "other tasks"),
        ({"translate_probability": 0.5}, "translate_probability"),
        ({"sample_format": "wyckoff"}, "sample_format"),
        ({"tasks": {"txt": 1}}, "Did you mean 'text'"),
        ({"tasks": {"unconditional": 1}, "data": {"store": "x", "watched": {"a": "b"}}}, "watched"),
    ],
)
def test_settings_that_texts_do_not_have_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        recipe(Path("x"), "text", **changes)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 is no conversation"),
        ('{"messages": [{"role": "robot", "content": "x"}]}', "line 2 is no conversation"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "no turn of the assistant"),
    ],
)
def test_a_line_that_is_no_conversation_is_named(tmp_path: Path, line: str, said: str) -> None:
    store = write_conversations(tmp_path / "conversations", 1)
    with (store / "train.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=said):
        Trainer(recipe(store, "conversation"), tmp_path / "run")


def test_a_watched_text_is_cut_into_blocks_and_must_hold_some(tmp_path: Path) -> None:
    path = tmp_path / "prose.txt"
    path.write_text("abcdefgh\n\nijk\n\n\nx")
    text = WatchedText(path, plain_characters(), max_tokens=5, count=10)
    blocks = range(len(text.data))
    # The last document is a single token, which has no next one.
    assert text.lengths(blocks) == [len(ids) for ids, _ in text.rows(blocks)] == [5, 3, 3]
    path.write_text("\n\n")
    with pytest.raises(InputError, match="no text"):
        WatchedText(path, plain_characters(), max_tokens=5, count=10)
    with pytest.raises(InputError, match="cannot be read"):
        WatchedText(tmp_path / "absent.txt", plain_characters(), max_tokens=5, count=10)


def test_another_corpus_does_not_continue_a_run(run: Path, tmp_path: Path) -> None:
    other = write_corpus(tmp_path / "other")
    manifest = json.loads((other / "corpus.json").read_text())
    manifest["tokenizer"]["sha256"] = "1"
    (other / "corpus.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="other data"):
        Trainer(recipe(other, "text"), run).run(QUIET)
