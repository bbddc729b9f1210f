"""The distribution of a property's answers: median, expected value, mode, intervals, calibration.

A distribution is over values, not over texts: the answers of a scale, or the numbers that digits
can spell, each with its probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crystext.structures.crystal import Floats

_UNSPREAD_PROBABILITY = 0.5
"""A value with this probability is an answer of its own, and not a part of a range."""

_MIN_CALIBRATION_VALUES = 30
"""Fewer validation values do not calibrate an interval."""


@dataclass(frozen=True)
class AnswerDistribution:
    """Distributions of N answers over K values."""

    values: Floats
    """(K,) ascending, or (N, K) if each row has values of its own."""
    probabilities: Floats
    """(N, K), each row adds up to 1."""

    def __len__(self) -> int:
        return len(self.probabilities)

    def means(self) -> Floats:
        """Return the expected values (N,): the decoding for R2 and RMSE."""
        return np.asarray((self.probabilities * self.values).sum(axis=1))

    def modes(self) -> Floats:
        """Return the most probable values (N,): what greedy decoding writes."""
        return self._pick(self.probabilities.argmax(axis=1))

    def expected_ranks(self) -> Floats:
        """Return the expected rank of each answer among all N, from 0 to 1 (N,).

        The rank of a value is the mean probability, over the N distributions, of what lies below
        it and of half of what equals it. It is the decoding for an order: the expected value
        follows the few high values, whatever their distance, where most answers are 0.
        """
        if self.values.ndim == 1:
            mass = self.probabilities.mean(axis=0)
            return np.asarray(self.probabilities @ (mass.cumsum() - mass / 2))
        _, index = np.unique(self.values, return_inverse=True)
        index = index.reshape(self.values.shape)
        mass = np.bincount(index.ravel(), self.probabilities.ravel()) / max(len(self), 1)
        ranks = mass.cumsum() - mass / 2
        return np.asarray((self.probabilities * ranks[index]).sum(axis=1))

    def medians(self) -> Floats:
        """Return the medians (N,): the decoding for MAE."""
        return self.quantiles(0.5)

    def quantiles(self, level: float | Floats) -> Floats:
        """Return a quantile of each distribution (N,).

        The probability of a value is spread evenly from the middle between it and the value before
        to the middle between it and the next. A value with half of the probability or more, such as
        a band gap of exactly 0, is not spread.

        Args:
            level: from 0 to 1; one for all, or (N,).
        """
        cumulated = self._cumulated
        wanted = np.broadcast_to(np.asarray(level, dtype=np.float64), (len(self),))
        last = self.probabilities.shape[1] - 1
        index = np.minimum((cumulated < wanted[:, None]).sum(axis=1), last)
        probability = self._at(self.probabilities, index)
        inside = (wanted - (self._at(cumulated, index) - probability)) / np.maximum(
            probability, 1e-12
        )
        low, high = self._at(self._lower_edges, index), self._at(self._upper_edges, index)
        spread = low + np.clip(inside, 0, 1) * (high - low)
        return np.where(probability >= _UNSPREAD_PROBABILITY, self._pick(index), spread)

    def interval(self, probability: float) -> Floats:
        """Return the central interval with this probability: (N, 2).

        An end that falls to the least or the greatest answer is that answer: many true values equal
        it, such as an energy above hull of 0, and an interval that begins just above would miss
        them.
        """
        tail = (1 - probability) / 2
        low, high = self.quantiles(tail), self.quantiles(1 - tail)
        values = np.broadcast_to(self.values, self.probabilities.shape)
        low = np.where(low < self._upper_edges[:, 0], np.minimum(low, values[:, 0]), low)
        high = np.where(high > self._lower_edges[:, -1], np.maximum(high, values[:, -1]), high)
        return np.stack([low, high], axis=1)

    def central_levels(self, true_values: Floats) -> Floats:
        """Return the probability of the smallest central interval that holds each value (N,)."""
        last = self.probabilities.shape[1] - 1
        index = np.minimum((self._upper_edges < true_values[:, None]).sum(axis=1), last)
        probability = self._at(self.probabilities, index)
        before = self._at(self._cumulated, index) - probability
        low, high = self._at(self._lower_edges, index), self._at(self._upper_edges, index)
        inside = np.clip((true_values - low) / np.maximum(high - low, 1e-300), 0, 1)
        here = self._pick(index)
        unspread = probability >= _UNSPREAD_PROBABILITY
        # Beside a value that is not spread, an interval has to leave it behind.
        inside = np.where(unspread, (true_values > here).astype(float), inside)
        levels = np.abs(2 * (before + inside * probability) - 1)
        # An interval that ends in the range of the least or greatest answer holds that range.
        values = np.broadcast_to(self.values, self.probabilities.shape)
        possible = (values[:, 0] <= true_values) & (true_values <= values[:, -1])
        edge = possible & ((index == 0) | (index == last)) & ~unspread
        levels = np.where(edge, np.maximum(1 - 2 * probability, 0) + 1e-9, levels)
        return np.where(unspread & (true_values == here), 0.0, levels)

    @cached_property
    def _cumulated(self) -> Floats:
        cumulated = self.probabilities.cumsum(axis=1)
        return np.asarray(cumulated / cumulated[:, -1:])

    @cached_property
    def _lower_edges(self) -> Floats:
        values = np.broadcast_to(self.values, self.probabilities.shape)
        middles = (values[:, 1:] + values[:, :-1]) / 2
        return np.concatenate([values[:, :1], middles], axis=1)

    @cached_property
    def _upper_edges(self) -> Floats:
        values = np.broadcast_to(self.values, self.probabilities.shape)
        return np.concatenate([self._lower_edges[:, 1:], values[:, -1:]], axis=1)

    @staticmethod
    def _at(table: Floats, index: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
        return np.asarray(table[np.arange(len(index)), index])

    def _pick(self, index: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
        if self.values.ndim == 1:
            return self.values[index]
        return np.asarray(self.values[np.arange(len(self)), index])


def mixture(parts: Sequence[AnswerDistribution]) -> AnswerDistribution:
    """Return the mean of distributions of the same answers: of seeds, or of equivalent texts.

    The parts may have different values, such as the levels of models that were trained on different
    records, or the numbers that digits spell: the mean is over the values of all.
    """
    first = parts[0]
    if all(x.values.ndim == 1 and np.array_equal(x.values, first.values) for x in parts):
        return AnswerDistribution(first.values, np.mean([x.probabilities for x in parts], axis=0))
    if all(x.values.ndim == 1 for x in parts):
        values = np.unique(np.concatenate([x.values for x in parts]))
        total = np.zeros((len(first), len(values)))
        for x in parts:
            total[:, np.searchsorted(values, x.values)] += x.probabilities / len(parts)
        return AnswerDistribution(values, total)
    values = np.concatenate([np.broadcast_to(x.values, x.probabilities.shape) for x in parts], 1)
    chances = np.concatenate([x.probabilities / len(parts) for x in parts], axis=1)
    order = values.argsort(axis=1, kind="stable")
    values, chances = np.take_along_axis(values, order, 1), np.take_along_axis(chances, order, 1)
    # Equal values are one answer: the first of them holds the probability of all.
    starts = np.diff(values, axis=1, prepend=-np.inf) > 0
    group = starts.cumsum(axis=1) - 1
    rows = np.arange(len(values))[:, None]
    merged, total = np.repeat(values[:, -1:], values.shape[1], axis=1), np.zeros_like(chances)
    merged[rows, group] = values
    np.add.at(total, (rows, group), chances)
    return AnswerDistribution(merged, total)


def calibrate(
    distribution: AnswerDistribution, true_values: Floats, levels: Sequence[float]
) -> dict[str, float]:
    """Return, for each level, the probability of the intervals that hold this part of the values.

    Split-conformal: the quantile of the validation values' own central levels, with the correction
    for a finite sample (Angelopoulos and Bates, arXiv:2107.07511, eq. 1).

    Args:
        distribution: of the answers to validation records.
        true_values: (N,) of these records, nan where unknown.
        levels: of the intervals.

    Returns:
        By level as text; the level itself if fewer than 30 values are known.
    """
    known = np.isfinite(true_values)
    n = int(known.sum())
    if n < _MIN_CALIBRATION_VALUES:
        return {f"{level:g}": level for level in levels}
    scores = np.sort(
        AnswerDistribution(
            distribution.values if distribution.values.ndim == 1 else distribution.values[known],
            distribution.probabilities[known],
        ).central_levels(true_values[known])
    )
    found = {}
    for level in levels:
        rank = min(n, int(np.ceil((n + 1) * level)))
        found[f"{level:g}"] = float(min(scores[rank - 1], 1 - 1e-6))
    return found


def calibrated_interval(
    distribution: AnswerDistribution, level: float, calibration: Mapping[str, float]
) -> Floats:
    """Return the interval of a level (N, 2), with the probability that calibration found for it."""
    return distribution.interval(calibration.get(f"{level:g}", level))
