from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from crystext.data.store import Dataset, read_store
from crystext.structures.augment import permute_within_species, translate
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN
from crystext.tokenization.crystal_vocabulary import build_tokenizer
from crystext.tokenization.encode import IGNORED_LABEL
from crystext.training.batches import Batches, steps_for_epochs
from crystext.training.example_stream import Examples, TokenizedExample
from tests.tiny_model import write_tiny_store

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PROMPTS = load_prompts()
TASK_WEIGHTS = {"unconditional": 0.5, "conditional": 0.3, "infill_element": 0.2}
COUNT = 150


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(PROMPTS.phrases())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder: Path = write_tiny_store(tmp_path_factory.mktemp("data") / "store", COUNT)
    return read_store(folder, "train")


def examples(data: Dataset, tokenizer: PreTrainedTokenizerFast, **changes: object) -> Examples:
    values: dict[str, object] = {
        "task_weights": TASK_WEIGHTS,
        "translate_probability": 0.5,
        "max_tokens": 256,
        "seed": 3,
        **changes,
    }
    return Examples(data, tokenizer, PROMPTS, PLAIN, **values)  # type: ignore[arg-type]


def as_set(rows: list[TokenizedExample]) -> Counter[tuple[int, ...]]:
    return Counter(tuple(ids) for ids, _ in rows)


def test_seed_and_position_give_the_same_example_whatever_came_before(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    positions = range(2 * COUNT, 2 * COUNT + 20)
    fresh = examples(data, tokenizer).rows(positions)
    used = examples(data, tokenizer)
    used.rows(range(0, 3 * COUNT, 7))
    np.random.seed(0)
    torch.manual_seed(0)
    assert used.rows(positions) == fresh


def test_epochs_and_seeds_differ_in_order_and_augmentation(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    stream = examples(data, tokenizer)
    first = stream.rows(range(COUNT))
    assert first != stream.rows(range(COUNT, 2 * COUNT))
    assert first != examples(data, tokenizer, seed=4).rows(range(COUNT))


def test_an_epoch_loses_no_crystal_and_repeats_none_and_comes_in_another_order(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    still = examples(
        data, tokenizer, task_weights={"unconditional": 1.0}, translate_probability=0.0
    )
    prompt = len(tokenizer(PROMPTS.render("generate", conditions=""))["input_ids"]) + 1
    # The cell, two tokens a number, tells the crystals apart: each is strained by another amount.
    first, second = (
        [tuple(ids[prompt : prompt + 12]) for ids, _ in still.rows(epoch)]
        for epoch in (range(COUNT), range(COUNT, 2 * COUNT))
    )
    assert Counter(first) == Counter(second)
    assert first != second
    assert len(first) == COUNT


def test_the_order_of_the_tasks_in_a_recipe_means_nothing(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    turned = dict(reversed(TASK_WEIGHTS.items()))
    positions = range(40)
    assert examples(data, tokenizer, task_weights=turned).rows(positions) == examples(
        data, tokenizer
    ).rows(positions)


def test_what_is_too_long_is_left_out_and_nothing_else(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    whole = examples(data, tokenizer).rows(range(COUNT))
    short = examples(data, tokenizer, max_tokens=40).rows(range(COUNT))
    assert 0 < len(short) < len(whole)
    assert short == [row for row in whole if len(row[0]) <= 40]


def test_tasks_come_as_often_as_their_weights_say(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    stream = examples(data, tokenizer)
    infill = PROMPTS.templates["infill_element"].partition("{")[0]
    plain = PROMPTS.render("generate", conditions="")
    count = Counter(
        "infill" if prompt.startswith(infill) else "plain" if prompt == plain else "conditional"
        for epoch in range(10)
        for prompt in (stream.example(i, epoch).prompt for i in range(len(data)))
    )
    total = count.total()
    assert abs(count["plain"] / total - 0.5) < 0.05
    assert abs(count["conditional"] / total - 0.3) < 0.05
    assert abs(count["infill"] / total - 0.2) < 0.05


def test_a_task_of_weight_zero_never_comes(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    weights = {"infill_element": 0.0, "unconditional": 1.0, "conditional": 0.0}
    stream = examples(data, tokenizer, task_weights=weights)
    plain = PROMPTS.render("generate", conditions="")
    assert all(stream.example(i, 0).prompt == plain for i in range(len(data)))


def test_the_share_of_translated_crystals_is_the_one_asked_for(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    for share in (0.0, 0.3, 1.0):
        stream = examples(
            data, tokenizer, translate_probability=share, task_weights={"unconditional": 1.0}
        )
        # Rock salt as it stands has no coordinate but 0 and 1/2.
        still = {"0.000", "0.500"}
        texts = [stream.example(i, e).completion for i in range(0, COUNT, 5) for e in range(16)]
        moved = np.mean([set(" ".join(x.split("\n")[3::2]).split()) != still for x in texts])
        assert abs(moved - share) < 0.07


def test_loss_lies_on_the_completion_unless_asked_otherwise(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    ids, labels = examples(data, tokenizer).rows(range(1))[0]
    assert labels[0] == IGNORED_LABEL
    assert all(label in (IGNORED_LABEL, i) for i, label in zip(ids, labels, strict=True))
    ids, labels = examples(data, tokenizer, loss_on_prompt=True).rows(range(1))[0]
    assert labels == ids


def test_augmentation_leaves_the_data_as_it_was(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    before = data.positions.copy()
    examples(data, tokenizer).rows(range(COUNT))
    rng = np.random.default_rng(0)
    translate(permute_within_species(data[0].crystal, rng), rng)
    assert np.array_equal(before, data.positions)


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_the_shares_of_all_processes_are_the_batch_of_one(
    data: Dataset, tokenizer: PreTrainedTokenizerFast, processes: int
) -> None:
    stream = examples(data, tokenizer)
    for step in (0, 5, 11):  # the last one crosses from one epoch into the next
        whole = Batches(stream, 13)[step]
        shares = [Batches(stream, 13, p, processes)[step] for p in range(processes)]
        assert as_set([row for share in shares for row in share]) == as_set(whole)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_workers_change_no_batch(data: Dataset, tokenizer: PreTrainedTokenizerFast) -> None:
    batches = Batches(examples(data, tokenizer), 10)
    alone = list(batches.iter_batches(3, 8))
    assert list(batches.iter_batches(3, 8, workers=2)) == alone
    assert len(alone) == 5


def test_epochs_are_counted_in_batches() -> None:
    assert steps_for_epochs(2, crystals=100, batch_size=10) == 20
    assert steps_for_epochs(1, crystals=101, batch_size=10) == 11
    assert steps_for_epochs(0.5, crystals=100, batch_size=10) == 5
