"""What is masked in a text: how much, what takes its place, and that it can be restored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.errors import SettingError
from crystext.tokenization.encode import IGNORED_LABEL
from crystext.training.masking import MaskVocabulary, mask_parts, mask_tokens
from tests.llm_tokenizers import llama_2_like

PAD, FIRST, LAST, MASK = range(4)
VOCABULARY = MaskVocabulary(MASK, frozenset(range(4)), tuple(range(4, 50)))
texts = st.lists(st.integers(4, 49), max_size=60).map(lambda ids: [FIRST, *ids, LAST])
fractions = st.floats(0.01, 0.99)


@given(ids=texts, fraction=fractions, seed=st.integers(0, 2**32))
def test_labels_restore_a_text_and_special_tokens_stay(
    ids: list[int], fraction: float, seed: int
) -> None:
    masked, labels = mask_tokens(ids, VOCABULARY, fraction, np.random.default_rng(seed))
    assert len(masked) == len(labels) == len(ids)
    restored = [x if y == IGNORED_LABEL else y for x, y in zip(masked, labels, strict=True)]
    assert restored == ids
    assert masked[0] == FIRST
    assert masked[-1] == LAST
    count = sum(label != IGNORED_LABEL for label in labels)
    inner = len(ids) - 2
    assert count == (max(1, round(fraction * inner)) if inner else 0)
    again = mask_tokens(ids, VOCABULARY, fraction, np.random.default_rng(seed))
    assert again == (masked, labels)


def test_eight_of_ten_are_masks_one_is_another_token_and_one_stays() -> None:
    ids = [FIRST, *([7] * 20_000), LAST]
    masked, labels = mask_tokens(ids, VOCABULARY, 0.5, np.random.default_rng(0))
    chosen = np.array(masked)[np.array(labels) != IGNORED_LABEL]
    assert len(chosen) == 10_000
    assert np.mean(chosen == MASK) == pytest.approx(0.8, abs=0.02)
    # One in 46 of the random tokens is the same.
    assert np.mean(chosen == 7) == pytest.approx(0.1 + 0.1 / 46, abs=0.02)
    assert set(chosen.tolist()) - {MASK, 7} == set(VOCABULARY.others) - {7}


@given(ids=texts, fraction=fractions, mean=st.floats(1, 5), seed=st.integers(0, 2**32))
def test_what_is_left_of_a_text_are_its_tokens_in_their_order(
    ids: list[int], fraction: float, mean: float, seed: int
) -> None:
    found = mask_parts(ids, VOCABULARY, fraction, mean, np.random.default_rng(seed))
    left = [x for x in found if x != MASK]
    inner = len(ids) - 2
    assert len(left) == len(ids) - (max(1, round(fraction * inner)) if inner else 0)
    rest = iter(ids)
    assert all(token in rest for token in left), "a token is new, or in another place"
    assert (left[0], left[-1]) == (FIRST, LAST)
    assert found == mask_parts(ids, VOCABULARY, fraction, mean, np.random.default_rng(seed))


def test_the_parts_have_poissons_mean_length() -> None:
    ids = [FIRST, *([7] * 30_000), LAST]
    found = mask_parts(ids, VOCABULARY, 0.3, 3.0, np.random.default_rng(0))
    assert 9_000 / found.count(MASK) == pytest.approx(3.0, rel=0.05)


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    with pytest.raises(SettingError, match="has no mask token"):
        MaskVocabulary.of(llama_2_like())
