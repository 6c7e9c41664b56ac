"""The estimator: scikit-learn's own checks, and the judge's numbers to the bit."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from predictor.estimator import AveragedBayesianRegression
from predictor.features import point_codes
from predictor.model import INCLUDED, OURS, SIGNALS
from predictor.prior import paper_prior
from predictor.regression import Design, fit, predict

PRIOR = paper_prior(1.0).comparing("grad_norm")


def as_judged(**options: Any) -> AveragedBayesianRegression:
    return AveragedBayesianRegression(SIGNALS, inclusion=tuple(INCLUDED.values()), **options)


def data(seed: int, n: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Three signals, and eight configurations that repeat."""
    rng = np.random.default_rng(seed)
    config = rng.normal(size=(8, 2))[rng.integers(8, size=n)]
    x = np.concatenate([rng.normal(size=(n, 3)), config], axis=1)
    return x, x @ [0.5, 0.0, -0.3, 0.4, 0.0] + 0.3 * rng.normal(size=n)


@parametrize_with_checks([AveragedBayesianRegression()])
def test_keeps_the_contract_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_its_family_is_that_of_the_judge() -> None:
    assert as_judged()._family() == OURS  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("seed", range(4))
def test_predicts_what_the_judge_does_to_the_bit(seed: int) -> None:
    x, y = data(seed)
    design = Design(x[:, :3], x[:, 3:], point_codes(x[:, 3:]))
    rows = design.rows(range(1, 20))
    fitted = fit(rows, y[1:] - y[1:].mean(), SIGNALS, PRIOR, OURS)
    expected = predict(fitted, design.rows([0]))
    found = as_judged(prior=PRIOR).fit(x[1:], y[1:]).predict_mixtures(x[:1])[0]
    assert np.array_equal(found.means, expected.means + y[1:].mean())
    assert np.array_equal(found.scales, expected.scales)
    assert np.array_equal(found.weights, expected.weights)


def test_the_sd_is_that_of_draws() -> None:
    x, y = data(5)
    model = as_judged().fit(x[1:], y[1:])
    (mean,), (sd,) = model.predict(x[:1], return_std=True)
    (found,) = model.predict_mixtures(x[:1])
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(found.weights), 200_000, p=found.weights)
    drawn = found.means[chosen] + found.scales[chosen] * rng.standard_t(found.dof, 200_000)
    assert (mean, sd) == pytest.approx((drawn.mean(), drawn.std()), rel=0.02, abs=0.01)


def test_equal_configurations_tell_of_each_other_and_unseen_ones_less() -> None:
    x, y = data(6)
    model = AveragedBayesianRegression(SIGNALS, config_scales=(0.0,), config_weights=(1.0,))
    known, unseen = x[:1].copy(), x[:1].copy()
    unseen[0, 3:] += 1e-3
    sds = model.fit(x, y).predict(np.concatenate([known, unseen]), return_std=True)[1]
    assert sds[0] < sds[1]


def test_works_in_a_pipeline_and_a_search() -> None:
    x, y = data(7, n=60)
    pipeline = make_pipeline(StandardScaler(), as_judged())
    grid = {"averagedbayesianregression__inflate": [True, False]}
    found = GridSearchCV(pipeline, grid, cv=3).fit(x * 100 + 7, y)
    assert found.best_score_ > 0.5
    copy: Any = clone(as_judged(prior=PRIOR))
    assert copy.get_params()["prior"] == PRIOR


def test_fewer_columns_than_signals_are_refused() -> None:
    with pytest.raises(ValueError, match="X has 2 columns for 3 signals"):
        as_judged().fit(np.eye(2), [0.0, 1.0])


def test_a_decision_does_not_import_scikit_learn() -> None:
    code = "import sys, predictor.judge; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
