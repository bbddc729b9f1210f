from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystext.data.split import assign_splits, parse_fractions
from crystext.errors import InputError, SettingError

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


@given(groups=st.lists(st.integers(0, 60), min_size=1, max_size=300), seed=st.integers(0, 9))
def test_a_group_lies_in_one_split_and_no_split_is_empty(groups: list[int], seed: int) -> None:
    try:
        splits = assign_splits(groups, SHARES, seed)
    except InputError:
        # Fewer groups than splits, or hardly one that is not larger than what is to be held out.
        room = max(1, round(0.1 * len(groups)))
        assert sum(size <= room for size in Counter(groups).values()) < 3
        return
    where = defaultdict(set)
    for group, split in zip(groups, splits, strict=True):
        where[group].add(split)
    assert {len(found) for found in where.values()} == {1}
    assert set(splits) == set(SHARES)
    for split in ("validation", "test"):
        assert splits.count(split) <= max(1, round(0.1 * len(groups)))


def test_shares_are_met_exactly_where_every_crystal_is_a_group_of_its_own() -> None:
    counts = Counter(assign_splits(range(1000), parse_fractions("90/5/5"), seed=3))
    assert counts == {"train": 900, "validation": 50, "test": 50}


def test_the_seed_decides_the_split() -> None:
    first, again, other = (assign_splits(range(100), SHARES, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_what_is_not_asked_for_is_not_made() -> None:
    assert set(assign_splits(range(9), parse_fractions("1/0/0"), 0)) == {"train"}
    assert set(assign_splits(range(9), parse_fractions("2/1/0"), 0)) == {"train", "validation"}


def test_too_few_structures_are_refused_with_a_way_out() -> None:
    with pytest.raises(InputError, match=r"4 crystals in 1 groups .*--split 1/0/0"):
        assign_splits([7, 7, 7, 7], SHARES, 0)


@pytest.mark.parametrize("text", ["0.9", "a/b/c", "0/0.5/0.5", "1/-1/0", "nan/0/0", "1/inf/0", ""])
def test_what_is_no_split_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="is invalid; expected fractions"):
        parse_fractions(text)
