"""The difference of two trials on the same questions."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.account.paired import difference, differences
from sweep.storage.ledger import BASE
from trainer.contract.measurement import Scores
from trainer.evaluation.rows import Rows


def packed(scores: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    return Rows(scores, np.ones(len(scores)) if weights is None else weights).packed()


def correlated(num: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two models' answers to the same questions, of which most are as easy for both."""
    rng = np.random.default_rng(seed)
    easy = rng.random(num)
    one, other = ((easy + 0.2 * rng.random(num) + by > 0.5).astype(float) for by in (0.02, 0.0))
    return one, other


def test_the_interval_is_the_bootstraps_over_questions() -> None:
    one, other = correlated()
    found = difference("lm_eval:x", 3, 4, {3: packed(one), 4: packed(other)})
    assert found.value == pytest.approx(one.mean() - other.mean())
    rng = np.random.default_rng(1)
    drawn = (one - other)[rng.integers(len(one), size=(20_000, len(one)))].mean(axis=1)
    assert found.stderr == pytest.approx(drawn.std(), rel=0.02)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.003)


def test_the_interval_of_a_weighted_metric_is_the_bootstraps_of_the_ratio() -> None:
    rng = np.random.default_rng(2)
    weights = rng.integers(1, 200, size=600).astype(float)  # tokens of each row
    other = rng.normal(2.0, 0.5, 600)
    one = other - 0.03 + rng.normal(0, 0.1, 600)
    found = difference("eval_loss", 0, 1, {0: packed(one, weights), 1: packed(other, weights)})
    rows = rng.integers(600, size=(20_000, 600))
    drawn = ((one - other) * weights)[rows].sum(axis=1) / weights[rows].sum(axis=1)
    assert found.stderr == pytest.approx(drawn.std(), rel=0.03)
    assert not found.is_within_noise


def test_it_is_what_the_trainer_says_against_the_base_model() -> None:
    one, other = (values.astype("f4").astype(float) for values in correlated(seed=3))
    pairs = Rows.alike(one - other)
    found = difference("lm_eval:x", 0, BASE, {0: packed(one), BASE: packed(other)})
    assert (found.value, found.stderr, found.other) == (pairs.mean, pairs.stderr, None)


def test_pairing_sees_what_two_intervals_do_not() -> None:
    one, other = correlated(2000)
    found = difference("lm_eval:x", 0, 1, {0: packed(one), 1: packed(other)})
    assert found.stderr is not None
    apart = np.hypot(one.std() / len(one) ** 0.5, other.std() / len(one) ** 0.5)
    assert found.stderr < 0.6 * apart


def test_a_difference_that_is_noise_is_called_noise() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.random((2, 100)).round()
    assert difference("lm_eval:x", 0, 1, {0: packed(one), 1: packed(other)}).is_within_noise
    same = difference("lm_eval:x", 0, 1, {0: packed(one), 1: packed(one)})
    assert (same.value, same.is_within_noise) == (0.0, True)


def test_a_trial_is_compared_with_the_base_model_and_those_whose_scores_are_there() -> None:
    one, other = correlated(50)
    broken = np.where(other > 0, np.nan, other)
    scores = {0: packed(one), 1: packed(other), 2: packed(broken), 3: packed(one[:9])}
    found = differences("lm_eval:x", 0, [1, 2, 3, 9], {**scores, BASE: packed(other)})
    assert [own.other for own in found] == [None, 1]
    assert differences("lm_eval:x", 9, [0, 1], scores) == ()  # of an earlier version
