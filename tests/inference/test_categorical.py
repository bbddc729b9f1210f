from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from crystext.errors import ModelError
from crystext.inference.categorical import draw_categorical, uniform_numbers

LOGITS = np.array([0.3, -1.2, 2.0, 0.0, 1.1, -0.4, 0.31, -3.0])
ALLOWED = np.array([True, False, True, True, True, False, True, True])
DRAWS = 40_000
ALMOST_ONE = 1.0 - 2.0**-53


def expected_shares(temperature: float, top_p: float, allowed: np.ndarray) -> np.ndarray:
    """Say how often each value has to come, by the definition and in plain numpy."""
    weights = np.where(allowed, np.exp(LOGITS / temperature), 0.0)
    shares = weights / weights.sum()
    kept = np.zeros(len(shares), dtype=bool)
    for value in np.argsort(-shares):
        if shares[kept].sum() < top_p:
            kept[value] = True
    shares = np.where(kept, shares, 0.0)
    return shares / shares.sum()


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("top_p", [1.0, 0.8, 0.3])
@pytest.mark.parametrize("allowed", [np.ones(8, dtype=bool), ALLOWED], ids=["all", "some"])
def test_values_come_as_often_as_they_are_probable(
    temperature: float, top_p: float, allowed: np.ndarray
) -> None:
    uniform = torch.from_numpy(uniform_numbers(7, range(DRAWS // 100), 100).ravel())
    values, _ = draw_categorical(
        torch.from_numpy(LOGITS).expand(DRAWS, -1),
        uniform,
        allowed_B_V=torch.from_numpy(allowed).expand(DRAWS, -1),
        temperature=temperature,
        top_p=top_p,
    )
    counts = np.bincount(values.numpy(), minlength=len(LOGITS))
    expected = expected_shares(temperature, top_p, allowed)
    possible = expected > 0
    assert counts[~possible].sum() == 0
    if possible.sum() > 1:
        assert chisquare(counts[possible], DRAWS * expected[possible]).pvalue > 1e-3


@given(
    logits=st.lists(
        st.floats(-100, 100) | st.sampled_from([1e30, -1e30, 3e38, -3e38]), min_size=2, max_size=9
    ),
    mask=st.integers(1, 2**9 - 1),
    uniform=st.floats(0, ALMOST_ONE) | st.sampled_from([0.0, ALMOST_ONE]),
    temperature=st.sampled_from([0.0, 1e-300, 1e-9, 0.3, 1.0, 10.0]),
    top_p=st.sampled_from([1.0, 0.9, 1e-9]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float64]),
)
def test_a_masked_value_is_never_drawn(
    logits: list[float],
    mask: int,
    uniform: float,
    temperature: float,
    top_p: float,
    dtype: torch.dtype,
) -> None:
    allowed = torch.tensor([[bool(mask >> i & 1) for i in range(len(logits))]])
    allowed[0, 0] |= not allowed.any()
    values, log_probability = draw_categorical(
        torch.tensor([logits], dtype=torch.float64).clamp(-3e38, 3e38).to(dtype),
        torch.tensor([uniform], dtype=torch.float64),
        allowed_B_V=allowed,
        temperature=temperature,
        top_p=top_p,
    )
    assert allowed[0, values[0]]
    assert log_probability[0] <= 1e-6


@pytest.mark.parametrize("temperature", [0.0, 1e-45, 1e-12])
def test_at_temperature_zero_the_most_probable_allowed_value_is_drawn(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, 50, generator=generator)
    allowed = torch.rand(200, 50, generator=generator) < 0.5
    uniform = torch.rand(200, generator=generator, dtype=torch.float64)
    values, _ = draw_categorical(logits, uniform, allowed_B_V=allowed, temperature=temperature)
    rows = zip(logits.tolist(), allowed.tolist(), strict=True)
    expected = [max(np.nonzero(mask)[0], key=lambda i: row[i]) for row, mask in rows]
    assert values.tolist() == expected


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.01, 1), (0.4, 1), (0.5, 2), (0.7, 2), (0.71, 3), (0.99, 4)]
)
def test_top_p_keeps_the_smallest_set_that_holds_the_share(top_p: float, kept: int) -> None:
    shares = torch.tensor([[0.2, 0.4, 0.1, 0.3]])
    uniform = torch.linspace(0, ALMOST_ONE, 1001, dtype=torch.float64)
    values, _ = draw_categorical(shares.log().expand(1001, -1), uniform, top_p=top_p)
    assert set(values.tolist()) == {1, 3, 0, 2} - set([1, 3, 0, 2][kept:])


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("top_p", [1.0, 0.5])
def test_the_log_probability_is_that_of_temperature_one_among_the_allowed(
    temperature: float, top_p: float
) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 5 * torch.randn(100, 30, generator=generator)
    allowed = torch.rand(100, 30, generator=generator) < 0.5
    uniform = torch.rand(100, generator=generator, dtype=torch.float64)
    values, log_probability = draw_categorical(
        logits, uniform, allowed_B_V=allowed, temperature=temperature, top_p=top_p
    )
    masked = torch.where(allowed, logits.double(), -torch.inf)
    expected = masked.log_softmax(dim=1)[torch.arange(100), values]
    assert torch.allclose(log_probability.double(), expected, atol=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_told(bad: float) -> None:
    with pytest.raises(ModelError, match="not finite"):
        draw_categorical(torch.tensor([[0.0, bad]]), torch.tensor([0.5], dtype=torch.float64))


def test_random_numbers_belong_to_the_seed_and_the_index_alone() -> None:
    whole = uniform_numbers(3, range(100), 40)
    assert np.array_equal(uniform_numbers(3, range(30, 33), 40), whole[30:33])
    assert np.array_equal(uniform_numbers(3, range(100), 7), whole[:, :7])
    others = [*uniform_numbers(4, range(100), 40), *uniform_numbers(2**63 - 1, range(100), 40)]
    assert len({row.tobytes() for row in [*whole, *others]}) == 300
    assert whole.min() >= 0
    assert whole.max() < 1
