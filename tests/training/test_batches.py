from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from crystext.augment import permute_within_species, translate
from crystext.codec import PLAIN
from crystext.crystal import Crystal
from crystext.data.store import Dataset, read_dataset, write_dataset
from crystext.prompts import load_prompts
from crystext.tasks import Record
from crystext.tokens import IGNORED, example_ids
from crystext.training.batches import Batch, Batches
from crystext.vocabulary import build_tokenizer
from tests.handmade import HANDMADE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PROMPTS = load_prompts()
TASK_WEIGHTS = {"unconditional": 0.5, "conditional": 0.3, "infill_element": 0.2}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(PROMPTS.phrases())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three hundred crystals: the handmade ones, strained, so that each is another."""
    rng = np.random.default_rng(0)
    records = []
    for i in range(300):
        crystal = list(HANDMADE.values())[i % len(HANDMADE)]
        lengths = crystal.lengths * rng.uniform(0.8, 1.2)
        strained = Crystal(lengths, crystal.angles, crystal.numbers, crystal.positions)
        records.append(Record(strained, {"band_gap": float(i)}))
    path = tmp_path_factory.mktemp("data") / "data.parquet"
    write_dataset(path, records)
    return read_dataset(path)


def stream(data: Dataset, tokenizer: PreTrainedTokenizerFast, **changes: object) -> Batches:
    values: dict[str, object] = {
        "task_weights": TASK_WEIGHTS,
        "translate_share": 0.5,
        "batch_tokens": 512,
        "max_tokens": 256,
        "seed": 3,
        **changes,
    }
    return Batches(data, tokenizer, PROMPTS, PLAIN, **values)  # type: ignore[arg-type]


def rows(batches: list[Batch]) -> Counter[tuple[int, ...]]:
    """Count the rows, without their padding."""
    found: Counter[tuple[int, ...]] = Counter()
    for ids, labels in batches:
        for row, label in zip(ids.tolist(), labels.tolist(), strict=True):
            end = max(i for i, x in enumerate(label) if x != IGNORED)
            found[tuple(row[: end + 1])] += 1
    return found


def same(one: list[Batch], two: list[Batch]) -> bool:
    return len(one) == len(two) and all(
        np.array_equal(a, b) and np.array_equal(c, d)
        for (a, c), (b, d) in zip(one, two, strict=True)
    )


def test_a_seed_and_an_epoch_give_the_same_batches_whatever_came_before(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    fresh = list(stream(data, tokenizer).epoch(2))
    used = stream(data, tokenizer)
    next(used.epoch(0))
    list(used.epoch(1))
    np.random.seed(0)
    assert same(fresh, list(used.epoch(2)))


def test_epochs_and_seeds_differ_in_order_and_augmentation(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    one = list(stream(data, tokenizer).epoch(0))
    assert not same(one, list(stream(data, tokenizer).epoch(1)))
    assert not same(one, list(stream(data, tokenizer, seed=4).epoch(0)))


def test_the_order_of_crystals_differs_between_epochs(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    # Without augmentation and with one task a crystal gives the same row in every epoch.
    plain = stream(data, tokenizer, task_weights={"unconditional": 1.0}, translate_share=0.0)
    first, second = ([ids.tobytes() for ids, _ in plain.epoch(i)] for i in (0, 1))
    assert first != second


def test_an_epoch_loses_no_crystal_and_repeats_none(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    batches = stream(data, tokenizer)
    expected: Counter[tuple[int, ...]] = Counter(
        tuple(example_ids(tokenizer, batches.example(i, 5))[0]) for i in range(len(data))
    )
    assert rows(list(batches.epoch(5))) == expected
    assert expected.total() == len(data)


def test_what_is_too_long_is_left_out_and_nothing_else(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    batches = stream(data, tokenizer, max_tokens=40)
    lengths = [len(example_ids(tokenizer, batches.example(i, 0))[0]) for i in range(len(data))]
    found = rows(list(batches.epoch(0)))
    assert 0 < found.total() == sum(n <= 40 for n in lengths) < len(data)


def test_batches_keep_to_their_size(data: Dataset, tokenizer: PreTrainedTokenizerFast) -> None:
    for ids, labels in stream(data, tokenizer).epoch(0):
        longest = max(max(i for i, x in enumerate(row) if x != IGNORED) + 1 for row in labels)
        assert len(ids) * longest <= 512
        assert 0 <= ids.shape[1] - longest < 8
    for ids, _ in stream(data, tokenizer, batch_tokens=1).epoch(0):
        assert len(ids) == 1


def test_tasks_come_as_often_as_their_weights_say(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    batches = stream(data, tokenizer)
    infill = PROMPTS.templates["infill"].partition("{")[0]
    plain = PROMPTS.render("generate", conditions="")
    count = Counter(
        "infill" if prompt.startswith(infill) else "plain" if prompt == plain else "conditional"
        for epoch in range(5)
        for prompt in (batches.example(i, epoch).prompt for i in range(len(data)))
    )
    total = count.total()
    assert abs(count["plain"] / total - 0.5) < 0.05
    assert abs(count["conditional"] / total - 0.3) < 0.05
    assert abs(count["infill"] / total - 0.2) < 0.05


def test_a_task_of_weight_zero_never_comes(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    weights = {"infill_element": 0.0, "unconditional": 1.0, "conditional": 0.0}
    batches = stream(data, tokenizer, task_weights=weights)
    plain = PROMPTS.render("generate", conditions="")
    assert all(batches.example(i, 0).prompt == plain for i in range(len(data)))


def test_the_share_of_translated_crystals_is_the_one_asked_for(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    for share in (0.0, 0.3, 1.0):
        batches = stream(
            data, tokenizer, translate_share=share, task_weights={"unconditional": 1.0}
        )
        # Rock salt as it stands has no coordinate but 0 and 1/2.
        still = {"0.000", "0.500"}
        texts = [batches.example(i, e).completion for i in range(0, 300, 5) for e in range(8)]
        moved = np.mean([set(" ".join(x.split("\n")[3::2]).split()) != still for x in texts])
        assert abs(moved - share) < 0.07


def test_loss_lies_on_the_completion_unless_asked_otherwise(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    ids, labels = next(stream(data, tokenizer).epoch(0))
    assert (labels[:, 0] == IGNORED).all()
    assert ((labels == IGNORED) | (labels == ids)).all()
    ids, labels = next(stream(data, tokenizer, loss_on_prompt=True).epoch(0))
    assert (labels[:, 0] == ids[:, 0]).all()


def test_augmentation_leaves_the_data_as_it_was(
    data: Dataset, tokenizer: PreTrainedTokenizerFast
) -> None:
    before = data.positions.copy()
    list(stream(data, tokenizer).epoch(0))
    rng = np.random.default_rng(0)
    translate(permute_within_species(data[0].crystal, rng), rng)
    assert np.array_equal(before, data.positions)
