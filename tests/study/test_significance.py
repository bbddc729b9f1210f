"""Chance and differences: planted ones are found, others are not."""

from __future__ import annotations

import dataclasses
from itertools import permutations, product

import numpy as np
import pytest
from scipy.stats import binomtest

from crystext.study.significance import bootstrap_scores, permutation_test
from crystext.study.study_data import Study
from crystext.study.total_error_score import total_error_scores
from tests.study.simulated_study import ARCHITECTURES, simulate

BY = ["architecture"]


def test_the_published_ranking_of_architectures_is_chance(published: Study) -> None:
    found = permutation_test(published, published.group(BY))
    assert found is not None
    assert found.is_exact
    assert found.n_permutations == 6**6
    assert found.p_least == pytest.approx(0.77, abs=0.02)
    assert found.p_spread == pytest.approx(0.741, abs=0.001)


def test_the_published_leader_is_best_in_just_over_half_of_the_samples(published: Study) -> None:
    grouping = published.group(BY)
    repeats = bootstrap_scores(published, grouping, cells=False).p_best_G
    assert repeats == pytest.approx([0.69, 0.18, 0.13], abs=0.03)
    cells = bootstrap_scores(published, grouping).p_best_G
    assert cells == pytest.approx([0.56, 0.23, 0.21], abs=0.03)


def test_equal_architectures_are_told_apart_in_one_study_of_twenty() -> None:
    studies = [simulate(seed) for seed in range(100)]
    tests = [permutation_test(study, study.group(BY)) for study in studies]
    found = sum(test is not None and test.p_spread < 0.05 for test in tests)
    assert binomtest(found, 100, 0.05).pvalue > 0.01
    least = sum(test is not None and test.p_least < 0.05 for test in tests)
    assert least <= 11  # the 99.5% point of the binomial distribution


def test_a_planted_difference_is_found() -> None:
    for seed in range(20):
        study = simulate(seed, effect=3.0)
        grouping = study.group(BY)
        test = permutation_test(study, grouping)
        assert test is not None
        assert test.p_spread < 0.05
        best = bootstrap_scores(study, grouping, samples=1000).p_best_G
        assert ARCHITECTURES[int(best.argmax())] == "BART"
        assert best.max() > 0.95
        # A leader of all tasks is what labels by chance make here, too.
        assert test.p_least > 0.05


def test_repeats_alone_are_sure_of_the_luck_of_pretraining() -> None:
    """With equal architectures, P(best) over cells is above 95% far more rarely."""
    sure = {True: 0, False: 0}
    for seed in range(60):
        study = simulate(seed, repeat_noise=0.3)
        for cells in sure:
            best = bootstrap_scores(study, study.group(BY), cells=cells, samples=400).p_best_G
            sure[cells] += bool(best.max() > 0.95)
    assert sure[False] > 30
    assert sure[True] < sure[False] / 3


def test_all_arrangements_are_those_of_a_plain_enumeration() -> None:
    study = simulate(3, data=("5k",))
    grouping = study.group(BY)
    found = permutation_test(study, grouping)
    metric = study.selected.metric_CRT.mean(axis=1).reshape(3, 2, -1)  # architecture, size, task
    spreads = []
    for first, second in product(permutations(range(3)), repeat=2):
        means = (metric[list(first), 0] + metric[list(second), 1]) / 2
        scores = total_error_scores(means, study.sign_T)
        spreads.append(scores.max() - scores.min())
    assert found is not None
    assert found.n_permutations == len(spreads) == 36
    assert found.p_spread == np.mean(np.array(spreads) >= spreads[0] - 1e-12)


def test_sampled_permutations_agree_with_all_of_them() -> None:
    study = simulate(5, n_seeds=2)
    grouping = study.group(BY)
    sampled = permutation_test(study, grouping, samples=20_000)
    other = permutation_test(study, grouping, samples=20_000, seed=1)
    single = simulate(5)
    exact = permutation_test(single, single.group(BY))
    forced = permutation_test(single, single.group(BY), max_exact=1)
    assert sampled is not None
    assert other is not None
    assert exact is not None
    assert forced is not None
    assert not sampled.is_exact
    assert exact.is_exact
    assert sampled.p_spread == pytest.approx(other.p_spread, abs=0.02)
    assert forced.p_spread == pytest.approx(exact.p_spread, abs=0.02)


def test_a_study_too_small_for_any_p_says_how_small_p_can_be() -> None:
    study = simulate(0, effect=100.0, data=("5k",))
    test = permutation_test(study, study.group(BY))
    assert test is not None
    assert test.p_spread >= test.smallest_p > 0.05


def test_groups_of_one_pretraining_each_have_no_test() -> None:
    study = simulate(0)
    assert permutation_test(study, study.group(["architecture", "size", "data"])) is None


def test_a_missing_run_is_left_out_of_its_cells_mean() -> None:
    study = simulate(0)
    metric = study.metric_CRTK.copy()
    metric[0, 1:, 2] = np.nan
    metric[1] = np.nan  # A pretraining that failed.
    metric[2, 3] = np.nan
    partial = dataclasses.replace(study, metric_CRTK=metric)
    found = bootstrap_scores(partial, partial.group(BY), samples=500)
    assert np.isfinite(found.low_G).all()
    assert found.p_best_G.sum() == pytest.approx(1)
    test = permutation_test(partial, partial.group(BY))
    assert test is not None
    assert 0 < test.p_spread <= 1
