"""Proposals and their targets: what fits, what is equal, which comes first."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from crystext.metrics.proposals import (
    match_proposals,
    most_frequent,
    most_probable,
    probability_among,
)
from crystext.metrics.structure_prediction import rms_distance
from crystext.structures.crystal import Crystal
from crystext.structures.matching import DIFFCSP_TOLERANCES

CENTRE = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])


def cell(length: float, angle: float, positions: object = CENTRE, second: int = 17) -> Crystal:
    return Crystal(
        np.full(3, length), np.full(3, angle), np.array([11, second]), np.asarray(positions)
    )


ROCK_SALT, STRETCHED = cell(3.99, 60.0), cell(4.2, 60.0)
CSCL = cell(3.4, 90.0)
SHIFTED = cell(3.99, 60.0, [[0.0, 0.0, 0.0], [0.53, 0.53, 0.53]])
BROMIDE = cell(4.2, 60.0, second=35)


def test_a_proposal_has_the_distance_of_its_pair_and_a_failure_none() -> None:
    (found,) = match_proposals([ROCK_SALT], [[BROMIDE, None, CSCL, SHIFTED, ROCK_SALT]])
    expected = [
        None,
        None,
        None,
        rms_distance(SHIFTED, ROCK_SALT),
        rms_distance(ROCK_SALT, ROCK_SALT),
    ]
    assert list(found.distances) == pytest.approx(expected)
    assert [found.best(k) for k in (1, 3)] == [None, None]
    # Of several that fit, the nearest counts.
    assert found.best(4) == found.distances[3] > 0.01
    assert found.best(20) == pytest.approx(0, abs=1e-6)


def test_a_match_is_a_distance_of_pymatgen_whatever_the_farthest_atom_is_off() -> None:
    # Its `fit`, which asks the tolerance of every atom, refuses some of these.
    random = np.random.default_rng(0)
    numbers, lengths, angles = (
        np.array([11, 11, 17, 17, 8, 8]),
        np.array([5.0, 6.0, 7.0]),
        np.array([90.0, 95.0, 100.0]),
    )
    matcher, fits = DIFFCSP_TOLERANCES.matcher(), []
    for _ in range(20):
        positions = random.random((6, 3))
        moved = positions.copy()
        moved[random.integers(6)] += random.normal(size=3) * 0.18
        target = Crystal(lengths, angles, numbers, positions)
        proposal = Crystal(lengths, angles, numbers, moved % 1)
        expected = matcher.get_rms_dist(proposal.structure, target.structure)
        (found,) = match_proposals([target], [[proposal]])
        assert found.best(1) == pytest.approx(expected[0], abs=1e-6)
        assert found.earliest_of_formula == 0
        fits.append(matcher.fit(proposal.structure, target.structure))
    assert not all(fits)


def test_equal_proposals_are_one_group() -> None:
    (found,) = match_proposals([ROCK_SALT], [[CSCL, STRETCHED, ROCK_SALT, None, CSCL, BROMIDE]])
    assert found.first_of_group == (0, 1, 1, None, 0, None)


def test_a_proposal_for_another_polymorph_counts_for_metre_alone() -> None:
    salt, cscl = match_proposals([ROCK_SALT, CSCL], [[CSCL, CSCL], [None, ROCK_SALT]])
    assert (salt.best(2), cscl.best(2)) == (None, None)
    assert (salt.earliest_of_formula, cscl.earliest_of_formula) == (1, 0)
    alone, other = match_proposals([ROCK_SALT, BROMIDE], [[CSCL], [ROCK_SALT]])
    assert (alone.earliest_of_formula, other.earliest_of_formula) == (None, None)


def test_a_target_without_proposals_is_not_matched() -> None:
    (found,) = match_proposals([ROCK_SALT], [[]])
    assert (found.distances, found.best(20), found.earliest_of_formula) == ((), None, None)


def test_the_largest_group_wins_and_of_equals_the_more_probable() -> None:
    assert most_frequent([0, 1, 1, None, 0, 1], [-1.0, -9.0, -8.0, None, -1.5, -9.5]) == 2
    assert most_frequent([0, 1, 1, 0], [-1.0, -9.0, -8.0, -0.5]) == 3
    assert most_frequent([0, 1, 1, 0], [None] * 4) == 0
    assert most_frequent([None], [None]) is None


def test_the_most_probable_proposal_is_a_crystal_of_the_formula() -> None:
    assert most_probable([0, 1, None, 0], [-3.0, -2.0, -1.0, -2.5]) == 1
    assert most_probable([0, None], [None, -1.0]) is None


@pytest.mark.parametrize(
    ("matching", "total", "drawn"), [(0, 5, 2), (2, 5, 2), (4, 5, 2), (1, 6, 6)]
)
def test_the_probability_is_that_of_all_ways_to_draw(matching: int, total: int, drawn: int) -> None:
    ways = list(itertools.combinations(range(total), drawn))
    hits = sum(any(i < matching for i in way) for way in ways)
    assert probability_among(matching, total, drawn) == pytest.approx(hits / len(ways))
