"""Quantiles against scipy's; intervals of means by resampling, of many units, few and clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from predictor.evidence.correlations import correlate
from predictor.stats import (
    bootstrap_interval,
    expanded_tail,
    holm_adjusted,
    mean_interval,
    student_cdf,
    student_quantile,
)


def intervals(values: Any, clusters: list[str] | None = None) -> tuple[list[float], list[float]]:
    found = bootstrap_interval(values, clusters=clusters)
    assert found is not None
    return found


def test_is_near_the_normal_interval_of_many_units() -> None:
    values = np.random.default_rng(0).normal(size=(1, 400))
    (low,), (high,) = intervals(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_is_paired_over_rows() -> None:
    values = np.random.default_rng(0).normal(size=(1, 20))
    low, high = intervals(np.concatenate([values, values + 0.5]))
    assert low[1] - low[0] == pytest.approx(0.5) and high[1] - high[0] == pytest.approx(0.5)


def test_resamples_clusters_as_a_whole() -> None:
    values = np.repeat([[0.0, 0.25, 0.5, 0.75, 1.0]], 30, axis=1)
    alone = intervals(values)
    together = intervals(values, list(np.repeat(list("abcde"), 30)))
    assert alone[0][0] > 0.4 and alone[1][0] < 0.6
    assert together[0][0] < 0.15 and together[1][0] > 0.85


def test_units_that_are_there_three_times_do_not_narrow_it() -> None:
    values = np.random.default_rng(0).normal(size=(1, 9))
    names = list("aabcdefgh")
    more = intervals(np.repeat(values, 3, axis=1), list(np.repeat(names, 3)))
    assert np.array(more) == pytest.approx(np.array(intervals(values, names)))


def test_of_two_units_there_is_none() -> None:
    assert bootstrap_interval(np.array([[0.0, 1.0]])) is None
    assert bootstrap_interval(np.zeros((1, 6)), clusters=["x", "y"] * 3) is None
    assert mean_interval(0.5, np.array([0.4, 0.6]), 2) == (None, None)


@pytest.mark.parametrize("num", [3, 4])
def test_of_three_or_four_units_it_is_students(num: int) -> None:
    """Percentiles cannot leave the range of the units, and so miss the mean of three in 24 %."""
    values = np.random.default_rng(1).normal(size=(1, num))
    (low,), (high,) = intervals(values)
    expected = stats.t.interval(0.95, num - 1, values.mean(), stats.sem(values[0]))
    assert (low, high) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("num", [3, 5, 12])
def test_no_end_is_where_no_mean_can_be(num: int) -> None:
    values = np.array([[0.0, 0.0, *[0.3] * (num - 2)], [0.5, 1.0, *[1.0] * (num - 2)]])
    free, held = bootstrap_interval(values), bootstrap_interval(values, least=0, most=1)
    assert free is not None and held is not None
    assert held == ([max(0, low) for low in free[0]], [min(1, high) for high in free[1]])
    assert num > 4 or (held[0][0] == 0 and held[1][1] == 1)


@pytest.mark.parametrize("num", [3, 12])
def test_a_higher_level_is_wider(num: int) -> None:
    values = np.random.default_rng(1).normal(size=(1, num))
    found = bootstrap_interval(values, level=1 - 0.05 / 3)
    assert found is not None
    expected = stats.t.interval(1 - 0.05 / 3, num - 1, values.mean(), stats.sem(values[0]))
    assert (found[0][0], found[1][0]) == pytest.approx(expected, rel=0.2)
    assert found[0][0] < intervals(values)[0][0] and found[1][0] > intervals(values)[1][0]


@pytest.mark.parametrize("num", [3, 5, 12])
def test_keeps_its_level(num: int) -> None:
    """Percentiles that are not expanded leave out the true mean in 17 % of draws of five."""
    drawn = np.random.default_rng(0).normal(size=(400, num))
    low, high = intervals(drawn)
    missed = sum(not a <= 0 <= b for a, b in zip(low, high, strict=True))
    assert missed < 0.09 * 400


def test_the_tail_is_hesterbergs() -> None:
    expected = stats.norm.cdf(-((8 / 7) ** 0.5) * stats.t.ppf(0.975, 7))
    assert expanded_tail(8) == pytest.approx(expected)
    assert expanded_tail(10_000) == pytest.approx(0.025, rel=1e-3)


def test_the_same_seed_gives_the_same() -> None:
    values = np.random.default_rng(0).normal(size=(1, 9))
    assert intervals(values) == intervals(values)
    assert bootstrap_interval(values, seed=1) != intervals(values)


@pytest.mark.slow
def test_of_seeds_within_configurations_a_correlation_keeps_its_level() -> None:
    """The sd of the residuals as it is excludes a true 0 in 10 %."""
    labels, claimed = np.repeat(np.arange(6), 2), 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, 6))[:, labels] + rng.normal(size=(2, 12))
        found = correlate(x, y, np.ones(12), labels, np.eye(6)[labels], seed)
        assert found is not None
        claimed += found.excludes_zero
    assert 0.01 * 400 < claimed < 0.07 * 400


def test_the_cdf_is_scipys():
    assert student_cdf(-1.3, 5) == pytest.approx(stats.t(5).cdf(-1.3))


def test_holm_multiplies_by_the_number_that_is_left() -> None:
    adjusted = holm_adjusted({"a": 0.04, "b": 0.01, "c": 0.03, "d": 0.9})
    assert adjusted == pytest.approx({"b": 0.04, "c": 0.09, "a": 0.09, "d": 0.9})


def test_quantiles_are_scipys() -> None:
    assert student_quantile(0.975, 7.5) == pytest.approx(stats.t.ppf(0.975, 7.5))
