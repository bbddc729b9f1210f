"""RoBERTa, BART and LLaMA with a head, the whole way; T5 and BERT have `test_encoder`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crystext.errors import ModelError, RunError, SettingError
from crystext.inference.head_readout import pad_rows
from crystext.inference.pooled_states import StateReader
from crystext.models.architectures.regression_head import EncoderWithHead, pooled_states
from crystext.models.encoder import load_encoder
from crystext.models.load import load_model
from crystext.predict.encoder import EncoderPredictor
from crystext.structures.property_schema import Property
from crystext.structures.record import Record
from crystext.tokenization.encoder_vocabulary import encoder_ids
from crystext.training.recipe import Recipe, load_recipe, parse_recipe
from crystext.training.regression_objective import HeadLoss, RegressionObjective, pad
from crystext.training.trainer import Trainer
from crystext.training.training_data import TrainingData
from tests.predict.test_encoder import DATA, QUIET, TARGETS, TRAIN, VALIDATION, small, values

ARCHITECTURES = ("roberta", "bart", "llama")


def recipe(architecture: str, *, dropout: float = 0.1, **changes: Any) -> Recipe:
    model = small(architecture)
    model["new_network"]["dropout"] = dropout
    given = values(model=model, head={}, evaluate_every=5, checkpoint_every=4)
    given["optim"]["steps"] = 10
    return parse_recipe(given | {"keep_models": "every_evaluation"} | changes, "the test")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    trainer = Trainer(recipe(request.param), tmp_path_factory.mktemp(request.param) / "run", DATA)
    assert trainer.run(QUIET)
    return trainer


def network_of(trainer: Trainer) -> EncoderWithHead:
    assert isinstance(trainer.objective, RegressionObjective)
    return trainer.objective.initial_model.network.eval()


def rows_of(trainer: Trainer, texts: list[str]) -> list[list[int]]:
    return encoder_ids(trainer.initial_model.tokenizer, texts)


TEXTS = ["NaCl", "Rb3Te", "K2O", "LiNaKRbOSSeTe"]


def test_a_saved_network_answers_bit_for_bit_as_the_trained_one(trained: Trainer) -> None:
    loaded = load_encoder(trained.out / "model")
    ids_B_T, mask_B_T = pad_rows(rows_of(trained, TEXTS), loaded.tokenizer.pad_token_id)
    assert loaded.tokenizer(TEXTS).input_ids == rows_of(trained, TEXTS)
    with torch.inference_mode():
        assert torch.equal(
            loaded.network(ids_B_T, mask_B_T), network_of(trained)(ids_B_T, mask_B_T)
        )
    names = {path.name for path in (trained.out / "model").iterdir()}
    assert {"model.safetensors", "head.safetensors"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]


def test_a_text_is_represented_alike_whatever_its_neighbours(trained: Trainer) -> None:
    reader = StateReader(trained.out / "model")
    records = [Record(texts={"formula": text}) for text in (*TEXTS, "Na")]
    together = reader.read(records)
    for i, record in enumerate(records):
        alone = reader.read([record])
        np.testing.assert_allclose(together.pooled[i], alone.pooled[0], atol=2e-6)
        np.testing.assert_allclose(together.outputs[i], alone.outputs[0], atol=2e-6)


def test_the_state_is_that_of_the_first_or_of_the_last_token(trained: Trainer) -> None:
    """Another text behind the padding's place, or another first token, changes what is read."""
    body, padding = network_of(trained).encoder, trained.initial_model.tokenizer.pad_token_id
    pooling = network_of(trained).pooling
    assert pooling == ("cls" if body.config.model_type == "roberta" else "last")
    row = rows_of(trained, ["Rb3Te"])[0]
    ids_B_T, mask_B_T = pad_rows([row, [*row, 5, 6]], padding)
    with torch.inference_mode():
        found = pooled_states(body, pooling, ids_B_T, mask_B_T)[0]
        states = body(input_ids=torch.tensor([row])).last_hidden_state[0]
    expected = states[0] if pooling == "cls" else states[len(row) - 1]
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


def test_the_model_of_each_evaluation_is_kept(trained: Trainer) -> None:
    folders = sorted(path.name for path in (trained.out / "models").iterdir())
    assert folders == ["step-0000005", "step-0000010"]
    weights = [
        load_file(folder / "model.safetensors")
        for folder in (*(trained.out / "models" / name for name in folders), trained.out / "model")
    ]
    assert all(torch.equal(weights[1][name], weights[2][name]) for name in weights[2])
    assert any(not torch.equal(weights[0][name], weights[2][name]) for name in weights[2])


def test_the_outputs_of_a_kept_model_are_its_answers(trained: Trainer) -> None:
    folder = trained.out / "models" / "step-0000005"
    records = [*VALIDATION[:6], Record(texts={"smiles": "CCO"})]
    read = StateReader(folder).read(records)
    assert read.names == ("mean_z", "is_heavy")
    assert read.is_valid.tolist() == [True] * 6 + [False]
    assert np.isnan(read.pooled[6]).all()
    assert np.isnan(read.outputs[6]).all()
    answers = EncoderPredictor.open(folder).predict(records[:6])
    scale = load_encoder(folder).settings.scales["mean_z"]
    mean_z = np.clip(scale.mean + scale.std * read.outputs[:6, 0].astype(float), 0, None)
    np.testing.assert_allclose(answers["mean_z"].values, mean_z, rtol=1e-5)
    head = load_file(folder / "head.safetensors")
    outputs = read.pooled[:6] @ head["weight"].numpy().T + head["bias"].numpy()
    np.testing.assert_allclose(outputs, read.outputs[:6], atol=1e-5)
    again = StateReader(folder).read(records)
    np.testing.assert_array_equal(read.pooled, again.pooled)


def test_a_killed_run_ends_as_an_uninterrupted_one(trained: Trainer, tmp_path: Path) -> None:
    first = Trainer(trained.recipe, tmp_path / "run", DATA)
    step = first._train_step

    def killed(rows: Any) -> Any:
        if first.step == 6:
            raise KeyboardInterrupt
        return step(rows)

    first._train_step = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        first.run(QUIET)
    second = Trainer(trained.recipe, tmp_path / "run", DATA)
    second.run(QUIET)
    for name in ("model.safetensors", "head.safetensors"):
        whole, resumed = (load_file(x / "model" / name) for x in (trained.out, tmp_path / "run"))
        assert whole.keys() == resumed.keys()
        assert all(torch.equal(whole[key], resumed[key]) for key in whole), name


def test_fine_tuning_begins_with_the_weights_and_the_dropout_of_a_saved_network(
    trained: Trainer, tmp_path: Path
) -> None:
    targets = {"is_heavy": TARGETS["is_heavy"]}
    data = TrainingData.of_records(TRAIN, VALIDATION, targets)
    base = str(trained.out / "model")
    trainer = Trainer(recipe("bert", model={"base": base}), tmp_path / "run", data)
    found, expected = network_of(trainer).encoder.state_dict(), network_of(trained).encoder
    assert all(torch.equal(found[name], x) for name, x in expected.state_dict().items())
    ids_B_T = torch.tensor(rows_of(trained, ["NaCl"]))
    module = network_of(trainer).train()
    module.dropout.p = 0.0
    first, second = (module(ids_B_T, torch.ones_like(ids_B_T)) for _ in range(2))
    assert not torch.equal(first, second), "the base lost its dropout"
    trainer.run(QUIET)
    assert set(EncoderPredictor.open(tmp_path / "run" / "model").properties) == {"is_heavy"}


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "bert", "t5_encoder"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_one_setting_is_the_dropout_of_every_architecture(
    architecture: str, dropout: float
) -> None:
    head = {"dropout": 0.0}
    trainer = Trainer(recipe(architecture, dropout=dropout, head=head), Path("unused"), DATA)
    network, ids_B_T = network_of(trainer), torch.tensor(rows_of(trainer, ["NaCl"]))
    mask_B_T = torch.ones_like(ids_B_T)
    with torch.no_grad():
        evaluated = network(ids_B_T, mask_B_T)
        trained = network.train()(ids_B_T, mask_B_T)
    assert torch.allclose(evaluated, trained, atol=1e-6) == (dropout == 0)


def test_barts_pooled_state_is_that_of_transformers() -> None:
    from transformers import BartForSequenceClassification

    trainer = Trainer(recipe("bart"), Path("unused"), DATA)
    network = network_of(trainer)
    theirs = BartForSequenceClassification(network.encoder.config).eval()
    theirs.model.load_state_dict(network.encoder.state_dict())
    seen: list[torch.Tensor] = []
    theirs.classification_head.register_forward_hook(lambda module, given, _: seen.append(given[0]))
    ids_B_T, mask_B_T = pad_rows(rows_of(trainer, TEXTS), 0)
    with torch.inference_mode():
        theirs(input_ids=ids_B_T, attention_mask=mask_B_T)
        ours = pooled_states(network.encoder, "last", ids_B_T, mask_B_T)
    torch.testing.assert_close(ours, seen[0])


def test_llamas_outputs_are_those_of_transformers() -> None:
    from transformers import LlamaForSequenceClassification

    trainer = Trainer(recipe("llama"), Path("unused"), DATA)
    network = network_of(trainer)
    config = network.encoder.config
    config.num_labels = 2
    theirs = LlamaForSequenceClassification(config).eval()
    theirs.model.load_state_dict(network.encoder.state_dict())
    with torch.inference_mode():
        theirs.score.weight.copy_(network.head.weight)
        ids_B_T, mask_B_T = pad_rows(rows_of(trainer, TEXTS), 0)
        expected = theirs(input_ids=ids_B_T, attention_mask=mask_B_T).logits + network.head.bias
        torch.testing.assert_close(network(ids_B_T, mask_B_T), expected)


@pytest.mark.parametrize("loss", ["l1", "l2"])
def test_the_loss_is_that_of_torch_over_the_finite_values_alone(loss: Any) -> None:
    trainer = Trainer(recipe("roberta", head={"loss": loss}), Path("unused"), DATA)
    network, rows = network_of(trainer), rows_of(trainer, TEXTS)
    labels = np.array([[0.5, 1.0], [np.inf, -2.0], [np.nan, 0.0], [3.0, -np.inf]])
    module = HeadLoss(network, [False, False], torch.device("cpu"), False, loss)
    with torch.inference_mode():
        outputs = network(*pad_rows(rows, 0))
        found = module(pad(list(zip(rows, labels.tolist(), strict=True)), 0))
    known = torch.tensor(np.isfinite(labels))
    of_torch = torch.nn.functional.l1_loss if loss == "l1" else torch.nn.functional.mse_loss
    expected = of_torch(outputs[known], torch.tensor(labels, dtype=torch.float32)[known])
    torch.testing.assert_close(found.mean(), expected)
    assert len(found) == 5


def test_masked_values_are_counted_and_in_no_mean() -> None:
    strange = [1.0, 2.0, 3.0, float("inf"), float("nan"), -float("inf"), 3.0, 3.0]
    train = [
        Record(texts=record.texts, labels={"mean_z": float(i), "strange": value})
        for i, (record, value) in enumerate(zip(TRAIN, strange, strict=False))
    ]
    targets = {"mean_z": TARGETS["mean_z"], "strange": Property("strange", "strange")}
    data = TrainingData.of_records(train, train, targets)
    trainer = Trainer(recipe("roberta"), Path("unused"), data)
    objective = trainer.objective
    assert isinstance(objective, RegressionObjective)
    scale = objective.task.scales["strange"]
    assert scale.mean == pytest.approx(np.mean([1, 2, 3, 3, 3]))
    notes = list(trainer.datasets.warnings())
    assert any("1 of 2 properties have values" in note and "strange 3." in note for note in notes)


def test_an_encoder_by_its_former_name_is_read() -> None:
    given = values()
    given["model"] = {"new_encoder": given["model"]["new_network"]}
    network = parse_recipe(given, "the test").model.new_network
    assert network is not None
    assert network.architecture == "bert"
    changed = load_recipe("encoder-new", ["model.new_encoder.layers=1"]).model.new_network
    assert changed is not None
    assert changed.layers == 1


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"architecture": "gpt"}, "architecture"),
        ({"architecture": "llama", "hidden_size": 20, "heads": 4}, "twice the heads, 8"),
        ({"architecture": "bert", "decoder_layers": 2}, "decoder_layers is for bart"),
        ({"architecture": "bert", "vocabulary": 100}, "expected 300 or more with tokenizer bpe"),
    ],
)
def test_sizes_that_make_no_network_are_refused(network: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        parse_recipe(values(model={"new_network": network}), "the test")


def test_a_base_of_another_architecture_or_with_too_few_positions_is_refused(
    trained: Trainer, tmp_path: Path
) -> None:
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(vocab_size=300, n_positions=8, n_embd=8, n_layer=1, n_head=1)
    GPT2Model(config).save_pretrained(tmp_path / "base")
    trained.initial_model.tokenizer.save_pretrained(tmp_path / "base")
    with pytest.raises(ModelError, match="of the type gpt2; a regression head goes on t5, bert"):
        Trainer(recipe("bert", model={"base": str(tmp_path / "base")}), tmp_path / "run", DATA)
    optim = values()["optim"] | {"max_tokens": 33}
    made = recipe("bert", model={"base": str(trained.out / "model")}, optim=optim)
    with pytest.raises(SettingError, match="knows 32 positions; give 32 or less"):
        Trainer(made, tmp_path / "run", DATA)


def test_a_network_with_a_head_is_no_language_model_and_its_run_goes_on_with_its_own_loss(
    trained: Trainer,
) -> None:
    with pytest.raises(ModelError, match="predicts properties and writes no text"):
        load_model(trained.out / "model")
    other = trained.recipe.model_copy(
        update={"head": trained.recipe.head.model_copy(update={"loss": "l2"})}  # type: ignore[union-attr]
    )
    with pytest.raises(RunError, match=r"head\.loss"):
        Trainer(other, trained.out, DATA).run(QUIET)
