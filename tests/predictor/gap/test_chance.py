"""Whether early evaluations differ by more than their standard errors."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.gap.chance import BELIEVED, chance
from predictor.types import WindowSignals


def cohort(spread: float, num: int = 16, stderr: float | None = 0.05) -> list[WindowSignals]:
    """Normal scores with a spread of so many standard errors."""
    scores = -0.5 + 0.05 * spread * np.random.default_rng(0).normal(size=num)
    return [
        WindowSignals(100, 1.0, 1.0, None, float(one), early_eval_stderr=stderr) for one in scores
    ]


def test_differences_within_their_standard_errors_are_likely_chance() -> None:
    assert chance(cohort(0.7)) > 2 * BELIEVED


def test_differences_of_many_standard_errors_are_real() -> None:
    assert chance(cohort(5.0)) < 0.001


def test_in_between_more_spread_is_less_chance() -> None:
    found = [chance(cohort(spread)) for spread in (0.8, 1.2, 1.8, 2.5)]
    assert found == sorted(found, reverse=True)


def test_it_is_free_of_units() -> None:
    scaled = [
        WindowSignals(100, 1.0, 1.0, None, 3 * (w.early_eval or 0), early_eval_stderr=0.15)
        for w in cohort(1.0)
    ]
    assert chance(scaled) == pytest.approx(chance(cohort(1.0)))


@pytest.mark.parametrize("windows", [[], cohort(1.0, num=3), cohort(1.0, stderr=None)])
def test_of_few_trials_or_unknown_standard_errors_nothing_is_said(
    windows: list[WindowSignals],
) -> None:
    assert chance(windows) == 0.0


def test_that_all_answer_alike_is_chance() -> None:
    assert chance(cohort(0.0)) == 1.0
