"""Texts of records without labels: masked, written by a decoder, or continued."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from crystext.cli.main import app
from crystext.errors import ModelError, SettingError
from crystext.inference.head_readout import pad_rows
from crystext.inference.pooled_states import StateReader
from crystext.models.encoder import load_encoder
from crystext.models.layout import open_model
from crystext.models.load import load_model
from crystext.predict.open import open_predictor
from crystext.structures.record import Record
from crystext.tokenization.encode import IGNORED_LABEL
from crystext.training.recipe import Recipe, parse_recipe
from crystext.training.representation_texts import RepresentationTexts
from crystext.training.text_losses import TokenLoss, pad_masked, pad_written
from crystext.training.trainer import Trainer
from crystext.training.training_data import TrainingData
from tests.example_crystals import NACL
from tests.predict.test_encoder import DATA, QUIET, VALIDATION, log_of, small, values

LEARNED = {
    "roberta": "masked",
    "bert": "masked",
    "bart": "sequence_to_sequence",
    "llama": "causal",
}


def recipe(architecture: str, objective: str | None = None, **changes: Any) -> Recipe:
    given = values(
        objective=objective or LEARNED[architecture],
        model=small(architecture),
        tasks={"representation": 1},
        representations={"inputs": ["formula"]},
        evaluate_every=6,
        checkpoint_every=4,
    )
    del given["properties"], given["head"]
    given["optim"] |= {"steps": 12, "max_tokens": 16}
    return parse_recipe(given | changes, "the test")


@pytest.fixture(scope="module", params=[*LEARNED])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    made = recipe(request.param, keep_models="every_evaluation")
    trainer = Trainer(made, tmp_path_factory.mktemp(request.param) / "run", DATA)
    assert trainer.run(QUIET)
    return trainer


def architecture_of(trainer: Trainer) -> str:
    network = trainer.recipe.model.new_network
    assert network is not None
    return network.architecture


def rows_of(trainer: Trainer) -> list[Any]:
    return list(trainer.datasets.validation["representation"].rows(range(5)))


def test_the_loss_per_token_falls_and_each_evaluation_logs_it(trained: Trainer) -> None:
    losses = [line["loss_representation"] for line in log_of(trained.out) if "loss_mean" in line]
    assert len(losses) == 3
    assert losses[2] < losses[1] < losses[0]
    vocabulary = len(trained.initial_model.tokenizer)
    assert losses[0] == pytest.approx(np.log(vocabulary), rel=0.1)


def test_the_loss_is_that_of_transformers(trained: Trainer) -> None:
    rows, network = rows_of(trained), trained.initial_model.network.eval()
    ids_B_T, mask_B_T = pad_rows([ids for ids, _ in rows], 0)
    labels = [torch.tensor(list(row)) for _, row in rows]
    labels_B_S = torch.nn.utils.rnn.pad_sequence(labels, True, IGNORED_LABEL)
    batch = trained.objective.batch(rows)
    with torch.inference_mode():
        if architecture_of(trained) == "llama":
            # Its module packs rows, and changes its attention for it.
            ours = trained.objective.loss_module(torch.device("cpu"), bf16=False)(batch)
            network.set_attn_implementation("sdpa")
        else:
            ours = TokenLoss(network, bf16=False)(batch)
        theirs = network(input_ids=ids_B_T, attention_mask=mask_B_T, labels=labels_B_S).loss
    torch.testing.assert_close(ours.mean(), theirs)


def test_a_trained_network_is_a_base_for_numbers(trained: Trainer, tmp_path: Path) -> None:
    base = trained.out / "model"
    given = values(model={"base": str(base)}, head={})
    given["optim"] |= {"steps": 6, "max_tokens": 16}
    trainer = Trainer(parse_recipe(given, "the test"), tmp_path / "run", DATA)
    table = trainer.initial_model.network.encoder.get_input_embeddings().weight  # type: ignore[union-attr]
    expected = trained.initial_model.network.get_input_embeddings().weight  # type: ignore[operator,union-attr]
    assert torch.equal(table, expected)  # type: ignore[arg-type]
    trainer.run(QUIET)
    loaded = load_encoder(tmp_path / "run" / "model")
    assert loaded.tokenizer.get_vocab() == trained.initial_model.tokenizer.get_vocab()
    found = open_predictor(tmp_path / "run" / "model").predict(VALIDATION[:3])
    assert found["mean_z"].is_valid.all()


def test_its_states_are_read_without_a_head(trained: Trainer) -> None:
    folder = trained.out / "models" / "step-0000006"
    read = StateReader(folder, inputs=["formula"]).read(VALIDATION[:4])
    assert read.pooled.shape == (4, 32)
    assert read.outputs.shape == (4, 0)
    assert np.isfinite(read.pooled).all()
    last = StateReader(trained.out / "model", inputs=["formula"]).read(VALIDATION[:4])
    assert not np.array_equal(read.pooled, last.pooled)
    with pytest.raises(SettingError, match=r"such as inputs=\['smiles'\]"):
        StateReader(folder)


def test_a_killed_run_ends_as_an_uninterrupted_one(trained: Trainer, tmp_path: Path) -> None:
    first = Trainer(trained.recipe, tmp_path / "run", DATA)
    step = first._train_step

    def killed(rows: Any) -> Any:
        if first.step == 7:
            raise KeyboardInterrupt
        return step(rows)

    first._train_step = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        first.run(QUIET)
    second = Trainer(trained.recipe, tmp_path / "run", DATA)
    second.run(QUIET)
    for name in ("model", "models/step-0000006"):
        whole, resumed = (
            load_file(x / name / "model.safetensors") for x in (trained.out, tmp_path / "run")
        )
        assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_it_is_not_taken_for_a_model_of_another_use(trained: Trainer) -> None:
    folder = trained.out / "model"
    if architecture_of(trained) == "llama":
        assert not load_model(folder).files.description.generates  # type: ignore[union-attr]
        return
    for use in (load_model, load_encoder, open_predictor):
        with pytest.raises(ModelError, match=r"fine-tune it with model\.base="):
            use(folder)
    with pytest.raises(ModelError, match="neither writes crystals nor predicts properties"):
        open_model(folder).require_generator()
    found = CliRunner().invoke(app, ["sample", "--model", str(folder), "--n", "1"])
    assert isinstance(found.exception, ModelError)


def test_training_goes_on_from_texts_to_other_texts(trained: Trainer, tmp_path: Path) -> None:
    """The outputs for tokens are those of the base, not new ones."""
    name = architecture_of(trained)
    made = recipe(name, model={"base": str(trained.out / "model")})
    trainer = Trainer(made, tmp_path / "run", DATA)
    trainer.run(QUIET)
    first = next(x for x in log_of(tmp_path / "run") if "loss_mean" in x)["loss_representation"]
    last = [x for x in log_of(trained.out) if "loss_mean" in x][-1]["loss_representation"]
    # The base was saved with 32 bits.
    assert first == pytest.approx(last, rel=1e-4)


def test_examples_follow_from_seed_and_position_alone() -> None:
    stream = Trainer(recipe("roberta"), Path("unused"), DATA).datasets.train
    other = Trainer(recipe("roberta"), Path("unused"), DATA).datasets.train
    assert (
        stream.rows(range(90, 110))
        == [row for i in reversed(range(90, 110)) for row in other.rows(range(i, i + 1))][::-1]
    )
    n = len(DATA.splits["train"])
    assert isinstance(stream, RepresentationTexts)
    first, second = ({id_: stream.rows(range(e * n, (e + 1) * n))} for e, id_ in ((0, 0), (1, 0)))
    assert first != second, "an epoch masks the same tokens as the one before"


def test_answers_that_a_decoder_writes_exactly_are_counted(tmp_path: Path) -> None:
    """Three of four validation records have the answer that all training records have."""
    train = [
        Record(texts={"description": f"{symbol} crystal", "formula": "Rb3Te"})
        for symbol in ("Li", "Na", "K", "Rb") * 4
    ]
    other = Record(texts={"description": "Li crystal", "formula": "Te"})
    data = TrainingData.of_records(train, [*train[:3], other], {})
    made = recipe(
        "bart",
        representations={"inputs": ["description"], "answer": "formula"},
        optim=values()["optim"] | {"steps": 30, "max_tokens": 40, "learning_rate": 0.01},
        evaluate_every=30,
    )
    trainer = Trainer(made, tmp_path / "run", data)
    tokenizer = trainer.initial_model.tokenizer
    _, answer = trainer.datasets.validation["representation"].rows(range(1))[0]
    assert tokenizer.decode([int(x) for x in answer], skip_special_tokens=True) in ("Rb3Te", "Te")
    assert trainer.evaluate()["exact_formula"] == 0
    trainer.run(QUIET)
    scores = [line for line in log_of(tmp_path / "run") if "exact_formula" in line]
    assert scores[-1]["exact_formula"] == 0.75


def test_targets_are_where_rows_have_labels() -> None:
    batch = pad_masked([([1, 9, 2], [IGNORED_LABEL, 5, IGNORED_LABEL]), ([1, 2], [1, 7])], 0)
    assert batch.target_index_K.tolist() == [1, 3, 4]
    assert batch.targets_K.tolist() == [5, 1, 7]
    assert batch.example_index_K.tolist() == [0, 1, 1]
    assert batch.tokens == 5
    written = pad_written([([1, 2], [1, 5, 2]), ([1, 3, 2], [])], 0, 2)
    assert written.decoder_ids_B_S.tolist() == [[2, 1, 5], [2, 0, 0]]
    assert written.target_index_K.tolist() == [0, 1, 2]


def test_a_table_of_texts_without_labels_is_learned(tmp_path: Path) -> None:
    table = tmp_path / "molecules.csv"
    chains = ["C" * (i + 1) + end for i in range(20) for end in ("O", "N")]
    table.write_text("smiles\n" + "\n".join(chains) + "\n")
    given = recipe("llama").model_dump(mode="json") | {
        "data": {"store": str(table)},
        "representations": {"inputs": ["smiles"], "equivalent_texts": False},
    }
    given["optim"] |= {"steps": 2}
    given["model"]["new_network"]["tokenizer"] = "characters"
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(given))
    found = CliRunner().invoke(app, ["train", str(path), "--out", str(tmp_path / "run")])
    assert found.exit_code == 0, found.output
    vocabulary = load_model(tmp_path / "run" / "model").tokenizer.get_vocab()
    assert {"C", "O", "N"} <= set(vocabulary)


def test_crystals_are_learned_in_any_text_format(tmp_path: Path) -> None:
    data = TrainingData.of_records([Record(NACL)] * 3, [Record(NACL)], {})
    model = small("roberta")
    model["new_network"]["tokenizer"] = "crystal"
    optim = values()["optim"] | {"steps": 2, "max_tokens": 128}
    inputs = {"inputs": ["plain", "gruver2024"]}
    made = recipe("roberta", model=model, representations=inputs, optim=optim)
    assert Trainer(made, tmp_path / "run", data).run(QUIET)


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        ("bart", {"objective": "masked"}, "is for bert and roberta, and model.new_network has the"),
        ("t5_encoder", {"objective": "causal"}, "the objective causal is for llama"),
        ("llama", {"representations": None}, "belong together: give both or neither"),
        ("llama", {"representations": {"inputs": ["smile"]}}, "Did you mean 'smiles'"),
        ("bert", {"representations": {"inputs": ["formula"], "answer": "cif"}}, "answer is for"),
        ("bert", {"tasks": {"representation": 1, "unconditional": 1}}, "tasks other than repres"),
        ("bert", {"head": {}}, "does not have head"),
        ("llama", {"objective": "causal", "dropout": 0.1}, r"there is model\.new_network\.dropout"),
        ("llama", {"model": {"base": "shipped"}}, "has no mask token"),
        ("llama", {"model": {"base": "shipped"}, "objective": "causal"}, "no end-of-text token"),
        ("llama", {"model": {"new": {}}, "objective": "causal"}, "does not have model.new"),
        (
            "bert",
            {
                "representations": {"inputs": ["plain"], "equivalent_texts": False},
                "translate_probability": 1,
            },
            "translate_probability makes equivalent texts",
        ),
        ("bert", {"representations": {"inputs": ["smiles"]}}, "none of the first training records"),
        ("bert", {"optim": values()["optim"] | {"max_tokens": 2}}, "raise optim.max_tokens"),
        (
            "llama",
            {"objective": "causal", "tasks": {"unconditional": 1}, "representations": None},
            "need objective: regression_head, or give model.new",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused(
    tmp_path: Path, architecture: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises((SettingError, ModelError), match=message):
        Trainer(recipe(architecture, **({"objective": "masked"} | changes)), tmp_path / "run", DATA)
    assert not (tmp_path / "run").exists()
