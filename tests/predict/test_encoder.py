"""Encoders with a head learn, are saved, loaded and asked; T5 and BERT, from scratch and a base."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from typer.testing import CliRunner

from crystext import CrystalLM
from crystext.cli.main import app
from crystext.errors import CrystextError, InputError, ModelError, SettingError
from crystext.models.encoder import load_encoder
from crystext.models.load import load_model
from crystext.predict.encoder import EncoderPredictor
from crystext.predict.encoder_method import EncoderMethod
from crystext.predict.language import LanguagePredictor
from crystext.predict.methods import METHODS
from crystext.predict.open import open_predictor
from crystext.structures.property_schema import Property
from crystext.structures.record import Failure, Record
from crystext.training.recipe import Recipe, parse_recipe
from crystext.training.regression_objective import HeadLoss, RegressionObjective, pad
from crystext.training.trainer import Trainer
from crystext.training.training_data import TrainingData
from tests.example_crystals import NACL

QUIET = Console(quiet=True)
SYMBOLS = {"Li": 3, "Na": 11, "K": 19, "Rb": 37, "O": 8, "S": 16, "Se": 34, "Te": 52}
TARGETS = {
    "mean_z": Property("mean_z", "mean atomic number", minimum=0),
    "is_heavy": Property("is_heavy", "heavy", kind="boolean"),
}


def labelled(n: int, seed: int, known: float = 1.0) -> list[Record]:
    """Return compositions with their mean atomic number; some labels are missing."""
    rng = np.random.default_rng(seed)
    records = []
    for _ in range(n):
        a, b = rng.choice(list(SYMBOLS), 2, replace=False)
        k = int(rng.integers(1, 4))
        mean = (k * SYMBOLS[a] + SYMBOLS[b]) / (k + 1)
        labels: dict[str, Any] = {"mean_z": mean, "is_heavy": mean > 20}
        for name in labels:
            if rng.random() > known:
                labels[name] = float("nan")
        text = f"{a}{k}{b} is a crystal with {a}–{b} bonds of 2.5 Å."
        records.append(Record(texts={"formula": f"{a}{k}{b}", "description": text}, labels=labels))
    return records


TRAIN, VALIDATION = labelled(96, 1, known=0.8), labelled(40, 2)
DATA = TrainingData.of_records(TRAIN, VALIDATION, TARGETS)


def values(**changes: Any) -> dict[str, Any]:
    return {
        "objective": "regression_head",
        "data": "unused.csv",
        "tasks": {"property": 1},
        "properties": {"inputs": ["formula"]},
        "head": {"dropout": 0.1},
        "translate_probability": 0,
        "model": {"new_network": {"architecture": "bert", "hidden_size": 32, "layers": 1,
                                  "intermediate_size": 64, "heads": 2, "vocabulary": 300}},
        "optim": {"learning_rate": 0.005, "schedule": "one_cycle", "decay_fraction": 0.7,
                  "steps": 60, "batch_sequences": 32, "micro_tokens": 200, "max_tokens": 32},
        "precision": "fp32",
        "evaluate_every": 30,
        "checkpoint_every": 20,
    } | changes  # fmt: skip


def recipe(**changes: Any) -> Recipe:
    return parse_recipe(values(**changes), "the test")


def small(architecture: str) -> dict[str, Any]:
    return {"new_network": values()["model"]["new_network"] | {"architecture": architecture}}


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def pooled_recipe(architecture: str) -> Recipe:
    pooling = {"bert": "cls", "t5_encoder": "mean"}[architecture]
    return recipe(model=small(architecture), head={"dropout": 0.1, "pooling": pooling})


@pytest.fixture(scope="module", params=["bert", "t5_encoder"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp(request.param) / "run"
    made = pooled_recipe(request.param)
    trainer = Trainer(made, out, DATA)
    assert trainer.run(QUIET)
    return out


def test_the_loss_falls_and_errors_are_smaller_than_those_of_the_mean(run: Path) -> None:
    losses = [line["loss_mean"] for line in log_of(run) if "loss_mean" in line]
    assert losses[-1] < 0.8 * losses[0]
    truth = np.array([float(record.labels["mean_z"]) for record in VALIDATION])
    found = EncoderPredictor.open(run / "model").predict(VALIDATION)
    error = np.abs(found["mean_z"].values - truth).mean()
    assert error < 0.8 * np.abs(np.median(truth) - truth).mean()
    heavy = np.array([bool(record.labels["is_heavy"]) for record in VALIDATION])
    assert found["is_heavy"].values[heavy].mean() > found["is_heavy"].values[~heavy].mean() + 0.1


def test_a_saved_encoder_answers_as_the_trained_one(tmp_path: Path) -> None:
    trainer = Trainer(recipe(), tmp_path / "run", DATA)
    trainer.run(QUIET)
    objective = trainer.objective
    assert isinstance(objective, RegressionObjective)
    network = objective.initial_model.network.eval()
    tokenizer = objective.initial_model.tokenizer
    ids = tokenizer("NaCl", return_tensors="pt")
    loaded = load_encoder(tmp_path / "run" / "model")
    with torch.inference_mode():
        theirs = loaded.network(loaded.tokenizer("NaCl", return_tensors="pt").input_ids,
                                ids.attention_mask)  # fmt: skip
        ours = network(ids.input_ids, ids.attention_mask)
    torch.testing.assert_close(theirs, ours)
    scale = loaded.settings.scales["mean_z"]
    known = [float(x.labels["mean_z"]) for x in TRAIN if np.isfinite(float(x.labels["mean_z"]))]
    assert (scale.mean, scale.std) == pytest.approx((np.mean(known), np.std(known)))


def test_the_answers_do_not_depend_on_the_other_records(run: Path) -> None:
    predictor = EncoderPredictor.open(run / "model")
    together = predictor.predict(VALIDATION)["mean_z"].values
    alone = [predictor.predict([record])["mean_z"].values[0] for record in VALIDATION[:5]]
    assert together[:5] == pytest.approx(alone, rel=1e-4)


def test_a_folder_holds_safetensors_and_no_pickle(run: Path) -> None:
    names = {path.name for path in (run / "model").iterdir()}
    assert {"model.safetensors", "head.safetensors", "properties.json", "crystext.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    assert load_file(run / "model" / "head.safetensors")["weight"].shape == (2, 32)


def test_a_killed_run_ends_as_an_uninterrupted_one(run: Path, tmp_path: Path) -> None:
    made = pooled_recipe(run.parent.name.rstrip("0123456789"))
    first = Trainer(made, tmp_path / "run", DATA)
    step = first._train_step
    calls = 0

    def killed(rows: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 47:
            raise KeyboardInterrupt
        return step(rows)

    first._train_step = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        first.run(QUIET)
    second = Trainer(made, tmp_path / "run", DATA)
    second.run(QUIET)
    for name in ("model.safetensors", "head.safetensors"):
        whole, resumed = (load_file(x / "model" / name) for x in (run, tmp_path / "run"))
        assert whole.keys() == resumed.keys()
        assert all(torch.equal(whole[key], resumed[key]) for key in whole), name


def test_missing_labels_carry_no_loss() -> None:
    """A batch with a masked value has the gradient of the same batch without that value."""
    objective = Trainer(recipe(head={"dropout": 0.0}), Path("unused"), DATA).objective
    assert isinstance(objective, RegressionObjective)
    network = objective.initial_model.network.eval()
    module = HeadLoss(network, [False, True], torch.device("cpu"), False)
    ids = objective.initial_model.tokenizer("NaCl").input_ids
    losses = module(pad([(ids, [0.5, float("nan")]), (ids, [float("nan"), 1.0])], 0))
    outputs = network(torch.tensor([ids]), torch.ones(1, len(ids)))[0]
    expected = torch.stack([(outputs[0] - 0.5).abs(), torch.nn.functional.softplus(-outputs[1])])
    torch.testing.assert_close(losses, expected)
    losses[0].backward()
    gradient = network.head.weight.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert (gradient[1] == 0).all(), "a masked boolean has moved its output"


def test_a_description_is_read_shortened_and_cut(tmp_path: Path) -> None:
    made = recipe(
        properties={"inputs": ["description"], "targets": ["mean_z"]},
        optim=values()["optim"] | {"max_tokens": 8, "steps": 2},
    )
    trainer = Trainer(made, tmp_path / "run", DATA)
    assert any("lose their end" in x for x in trainer.datasets.warnings())
    assert all(len(ids) == 8 for ids, _ in trainer.batches[0])
    trainer.run(QUIET)
    model = load_encoder(tmp_path / "run" / "model")
    assert model.settings.head is not None
    words = model.settings.head.preparation.prepare("description", "Na is in a bond of 2 Å")
    assert words == "Na bond [NUM]"


def uncased_bert(folder: Path) -> Path:
    """Write a BERT with an uncased WordPiece tokenizer, as its masked language model."""
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

    folder.mkdir()
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(s.lower() for s in SYMBOLS)]
    words += [x for x in (*letters, *(f"##{c}" for c in letters)) if x not in words]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=True)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_base_keeps_its_weights_and_formulas_are_spelled_for_it(
    tmp_path: Path, pooling: str
) -> None:
    base = uncased_bert(tmp_path / "base")
    made = recipe(model={"base": str(base)}, head={"pooling": pooling})
    trainer = Trainer(made, tmp_path / "run", DATA)
    objective = trainer.objective
    assert isinstance(objective, RegressionObjective)
    start = objective.initial_model
    embeddings = load_file(base / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    table = start.network.encoder.get_input_embeddings().weight  # type: ignore[union-attr]
    torch.testing.assert_close(table[: len(embeddings)].cpu(), embeddings)
    assert len(table) == len(start.tokenizer) == len(embeddings) + 2
    assert objective.reader.preferred(Record(texts={"formula": "Na2Te"})) == "Na 2 Te"
    assert start.tokenizer.tokenize("a [NUM] b") == ["a", "[NUM]", "b"]
    trainer.run(QUIET)
    found = EncoderPredictor.open(tmp_path / "run" / "model").predict(VALIDATION)
    assert found["mean_z"].is_valid.all()
    as_is = recipe(model={"base": str(base)}, head={"spell_formulas": False})
    unspelled = Trainer(as_is, tmp_path / "other", DATA).objective
    assert isinstance(unspelled, RegressionObjective)
    assert unspelled.reader.preferred(Record(texts={"formula": "Na2Te"})) == "Na2Te"


def test_a_t5_base_gets_a_class_token_and_loses_its_decoder(tmp_path: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    from crystext.tokenization.encoder_vocabulary import encoder_ids
    from tests.llm_tokenizers import llama_2_like

    tokenizer = llama_2_like()
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    made = recipe(model={"base": str(tmp_path / "base")})
    trainer = Trainer(made, tmp_path / "run", DATA)
    tokenizer = trainer.initial_model.tokenizer
    rows = encoder_ids(tokenizer, ["NaCl", "Na" * 50], 16)
    assert [row[0] for row in rows] == [tokenizer.cls_token_id] * 2
    assert len(rows[1]) == 16
    trainer.run(QUIET)
    names = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert not [name for name in names if name.startswith("decoder")]
    assert EncoderPredictor.open(tmp_path / "run" / "model").predict(VALIDATION[:2])


def test_records_without_a_text_keep_their_problem(run: Path) -> None:
    strange = [
        Record(failure=Failure("UNREADABLE", "it is empty")),
        Record(texts={"smiles": "CCO"}),
        Record(NACL),
    ]
    found = EncoderPredictor.open(run / "model").predict(strange, ["mean_z"])["mean_z"]
    assert found.is_valid.tolist() == [False, False, True]
    assert found.problems[0] == "it is empty"
    assert "no formula" in found.problems[1]
    assert np.isnan(found.intervals[0.9][0]).all()
    low, high = found.intervals[0.9][2]
    assert low < found.values[2] < high
    assert len(EncoderPredictor.open(run / "model").predict([])["mean_z"]) == 0
    with pytest.raises(SettingError, match="Did you mean 'mean_z'"):
        EncoderPredictor.open(run / "model").predict(strange, ["mean_zz"])


def test_the_command_line_predicts_with_a_folder_or_several(run: Path) -> None:
    model = str(run / "model")
    found = CliRunner().invoke(app, ["predict", "NaTe", "--model", model, "--model", model])
    assert found.exit_code == 0, found.output
    assert "NaTe" in found.output
    one, two = open_predictor(model), open_predictor(model, model)
    record = Record(texts={"formula": "NaTe"})
    ours, theirs = (x.predict([record])["mean_z"].values for x in (one, two))
    assert ours == pytest.approx(theirs)
    assert CrystalLM.open(model).predict("NaTe")["mean_z"].tolist() == pytest.approx(ours, 1e-3)


def test_an_encoder_is_not_taken_for_a_language_model_nor_the_other_way(run: Path) -> None:
    for use in (load_model, LanguagePredictor.open):
        with pytest.raises(ModelError, match="predicts properties and writes no text"):
            use(run / "model")
    sampled = CliRunner().invoke(app, ["sample", "--model", str(run / "model"), "--n", "1"])
    assert isinstance(sampled.exception, ModelError)
    with pytest.raises(ModelError, match="is a language model"):
        EncoderPredictor.open("shipped")
    with pytest.raises(ModelError, match="either language models or encoders"):
        open_predictor("shipped", run / "model")


@pytest.mark.parametrize("missing", ["head.safetensors", "properties.json"])
def test_a_damaged_folder_is_explained(run: Path, tmp_path: Path, missing: str) -> None:
    copy = Path(shutil.copytree(run / "model", tmp_path / "model"))
    (copy / missing).write_text("{}")
    with pytest.raises(ModelError):
        load_encoder(copy)
    (copy / missing).unlink()
    with pytest.raises(ModelError, match=missing):
        load_encoder(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"base": "shipped"}, "head": {"pooling": "cls"}}, "give last, or mean"),
        ({"properties": {"inputs": ["smiles"]}}, "none of the 96 training records has both"),
        ({"properties": {"targets": ["band_gap"], "inputs": ["formula"]}}, "cannot be learned"),
        ({"tasks": {"property": 1, "unconditional": 1}}, "tasks other than property"),
        ({"objective": "causal"}, "need objective: regression_head"),
        ({"number_weight": 0.5}, "does not have number_weight"),
        ({"model": {"new": {}}}, "does not have model.new"),
        ({"head": {"descriptions": "short"}}, "head.descriptions: expected"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(CrystextError, match=message):
        Trainer(recipe(**changes), tmp_path / "run", DATA)
    assert not (tmp_path / "run").exists()


def test_a_base_with_too_few_positions_is_refused(tmp_path: Path) -> None:
    base = uncased_bert(tmp_path / "base")
    made = recipe(model={"base": str(base)}, optim=values()["optim"] | {"max_tokens": 65})
    with pytest.raises(SettingError, match="knows 64 positions; give 64 or less"):
        Trainer(made, tmp_path / "run", DATA)


FAST = EncoderMethod(
    overrides=(
        "optim.epochs=4",
        "optim.batch_sequences=16",
        "model.new_network.hidden_size=32",
        "model.new_network.layers=1",
        "model.new_network.intermediate_size=64",
    )
)


def test_the_method_fits_and_predicts_and_its_seed_is_the_only_randomness() -> None:
    assert isinstance(METHODS["encoder"], EncoderMethod)
    chosen = FAST.fit(TRAIN, VALIDATION, TARGETS, seed=1)
    assert isinstance(chosen, EncoderPredictor)
    assert chosen.inputs == ("description",)
    found = chosen.predict(VALIDATION)
    assert found["mean_z"].is_valid.all()
    assert set(found["mean_z"].intervals) == {0.5, 0.9}
    again = FAST.fit(TRAIN, VALIDATION, TARGETS, seed=1).predict(VALIDATION)
    np.testing.assert_array_equal(found["mean_z"].values, again["mean_z"].values)
    # Without validation records some of training are held out.
    other = FAST.fit(TRAIN, (), {"mean_z": TARGETS["mean_z"]}, seed=2).predict(VALIDATION)
    assert (other["mean_z"].values != found["mean_z"].values).any()


def test_the_method_refuses_what_cannot_be_learnt() -> None:
    constant = [Record(texts=x.texts, labels={"mean_z": 1.0}) for x in TRAIN]
    with pytest.raises(InputError, match="mean_z are 1; a constant"):
        FAST.fit(constant, (), {"mean_z": TARGETS["mean_z"]})
    with pytest.raises(InputError, match="no training record has a label of z"):
        FAST.fit(TRAIN, (), {"z": TARGETS["mean_z"]})
    with pytest.raises(InputError, match="no training record has a text"):
        FAST.fit([Record(labels=x.labels) for x in TRAIN], (), {"mean_z": TARGETS["mean_z"]})
