"""Small networks on frozen inputs: each seed is independent, and the course is torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from crystext.errors import InputError
from crystext.metrics.classification import roc_auc
from crystext.training.frozen_finetuning import (
    FrozenFinetuningSettings,
    Labelled,
    finetune_on_frozen,
)

RNG = np.random.default_rng(0)
DIRECTION = RNG.standard_normal(12)
SETTINGS = FrozenFinetuningSettings(hidden=(16, 16), epochs=4, batch_records=32)


def split(count: int, kind: str) -> Labelled:
    inputs = RNG.standard_normal((count, 12)).astype(np.float32)
    labels = 40 + 5 * np.tanh(inputs @ DIRECTION)
    return Labelled(inputs, labels if kind == "number" else (labels > 40).astype(float))


SPLITS = {
    kind: (split(250, kind), split(60, kind), split(80, kind)) for kind in ("number", "boolean")
}


def test_it_learns_a_number_and_errors_are_in_standard_deviations() -> None:
    train, validation, test = SPLITS["number"]
    found = finetune_on_frozen(train, validation, test, "number", seeds=range(3), settings=SETTINGS)
    assert found.validation_loss_S_E.shape == found.test_S_E["rmse"].shape == (3, 4)
    assert (found.mean, found.std) == pytest.approx((train.labels_N.mean(), train.labels_N.std()))
    assert found.test_S_E["rmse"][:, -1].max() < 0.7
    assert found.test_S_E["r_squared"][:, -1].min() > 0.5
    spread = test.labels_N.std() / found.std
    expected = 1 - (found.test_S_E["rmse"] / spread) ** 2
    np.testing.assert_allclose(found.test_S_E["r_squared"], expected, rtol=1e-4)
    assert (found.best_epochs() == found.validation_loss_S_E.argmin(1)).all()


def test_it_learns_two_classes() -> None:
    found = finetune_on_frozen(*SPLITS["boolean"], "boolean", seeds=[3], settings=SETTINGS)
    assert found.test_S_E["roc_auc"][0, -1] > 0.85
    assert found.test_S_E["accuracy"][0, -1] > 0.75
    assert (found.mean, found.std) == (0.0, 1.0)


@pytest.mark.parametrize("kind", ["number", "boolean"])
def test_a_seed_has_the_same_course_alone_and_among_others(kind: str) -> None:
    together, again, alone = (
        finetune_on_frozen(*SPLITS[kind], kind, seeds=seeds, settings=SETTINGS)  # type: ignore[arg-type]
        for seeds in ([5, 6, 7], [5, 6, 7], [6])
    )
    np.testing.assert_array_equal(together.validation_loss_S_E, again.validation_loss_S_E)
    np.testing.assert_allclose(
        together.validation_loss_S_E[1], alone.validation_loss_S_E[0], rtol=1e-3
    )
    assert not np.allclose(together.validation_loss_S_E[0], together.validation_loss_S_E[1])


@pytest.mark.parametrize("kind", ["number", "boolean"])
def test_the_course_is_that_of_torchs_own_layers(kind: str) -> None:
    train, validation, test = SPLITS[kind]
    found = finetune_on_frozen(train, validation, test, kind, seeds=[9], settings=SETTINGS)  # type: ignore[arg-type]
    torch.manual_seed(9)
    layers = [nn.Linear(12, 16), nn.Linear(16, 16), nn.Linear(16, 1)]
    network = nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU(), layers[2], nn.Flatten(0))
    loss = nn.MSELoss() if kind == "number" else nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(network.parameters(), 0.01, weight_decay=0.01)
    order = np.random.default_rng([9, 1])

    def tensors(part: Labelled) -> tuple[torch.Tensor, torch.Tensor]:
        labels = (part.labels_N - found.mean) / found.std
        return torch.from_numpy(part.inputs_N_T), torch.from_numpy(labels).float()

    losses, areas = [], []
    for _ in range(4):
        inputs, labels = tensors(train)
        for batch in torch.from_numpy(order.permutation(len(labels))).split(32):
            optimizer.zero_grad()
            loss(network(inputs[batch]), labels[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            losses.append(float(loss(network(tensors(validation)[0]), tensors(validation)[1])))
            areas.append(roc_auc(test.labels_N, network(tensors(test)[0]).numpy()))
    np.testing.assert_allclose(found.validation_loss_S_E[0], losses, rtol=2e-3)
    if kind == "boolean":
        np.testing.assert_allclose(found.test_S_E["roc_auc"][0], areas, atol=5e-3)


def test_records_without_a_text_or_a_label_are_left_out_and_the_rest_is_counted() -> None:
    train, validation, test = SPLITS["number"]
    holes = Labelled(train.inputs_N_T.copy(), train.labels_N.copy())
    holes.labels_N[:5], holes.labels_N[5] = np.nan, np.inf
    holes.inputs_N_T[6:9] = np.nan
    found = finetune_on_frozen(holes, validation, test, "number", seeds=[0], settings=SETTINGS)
    assert found.counts == {"train": 241, "validation": 60, "test": 80}
    rest = Labelled(train.inputs_N_T[9:], train.labels_N[9:])
    expected = finetune_on_frozen(rest, validation, test, "number", seeds=[0], settings=SETTINGS)
    np.testing.assert_array_equal(found.validation_loss_S_E, expected.validation_loss_S_E)


def test_what_teaches_nothing_is_refused() -> None:
    train, validation, test = SPLITS["number"]
    nothing = Labelled(test.inputs_N_T, np.full(80, np.nan))
    with pytest.raises(InputError, match="no validation and no test record has both"):
        finetune_on_frozen(train, nothing, nothing, "number", seeds=[0])
    constant = Labelled(train.inputs_N_T, np.full(250, 2.5))
    with pytest.raises(InputError, match=r"all 250 training labels are 2\.5"):
        finetune_on_frozen(constant, validation, test, "number", seeds=[0])
