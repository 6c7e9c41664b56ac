"""The regression: against scikit-learn, scipy, brute force, and simulation where it is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct
from sklearn.linear_model import Ridge

from predictor.model import OURS, SIGNALS
from predictor.prior import Prior, paper_prior, pooled_prior
from predictor.regression import Design, Family, fit, leave_one_out, predict

NO_PRIOR = Prior(0.0)
PLAIN = Family(
    signal_sets=(frozenset(SIGNALS),),
    set_weights=(1.0,),
    config_scales=(1.0,),
    point_scales=(0.0,),
    noise_b0=(0.3,),
    inflate=False,
)


def data(seed: int, n: int = 12, num_points: int | None = None) -> tuple[Design, np.ndarray]:
    rng = np.random.default_rng(seed)
    points = np.arange(n) if num_points is None else rng.integers(num_points, size=n)
    signals, config = rng.normal(size=(n, 3)), rng.normal(size=(n, 2))[points]
    targets = signals @ [0.5, 0.0, -0.3] + config @ [0.4, 0.0] + 0.3 * rng.normal(size=n)
    return Design(signals, config, points), targets - targets.mean()


def columns(design: Design) -> np.ndarray:
    return np.concatenate([np.ones((len(design.points), 1)), design.signals, design.config], axis=1)


def test_the_mean_is_ridge_regression():
    design, targets = data(0)
    fitted = fit(design, targets, SIGNALS, NO_PRIOR, PLAIN)
    ridge = Ridge(alpha=1.0, fit_intercept=False).fit(columns(design), targets)
    assert fitted.beta[0] == pytest.approx(ridge.coef_)


def test_means_and_scales_are_those_of_a_gaussian_process():
    design, targets = data(1)
    train, test = design.rows(range(11)), design.rows([11])
    fitted = fit(train, targets[:11], SIGNALS, NO_PRIOR, PLAIN)
    x = columns(design)[:, 1:]
    kernel = DotProduct(1.0, "fixed")
    process = GaussianProcessRegressor(kernel, alpha=1.0, optimizer=None)  # pyright: ignore
    mean, sd = process.fit(x[:11], targets[:11]).predict(x[11:], return_std=True)
    found = predict(fitted, test)
    b = float(fitted.b[0, 0] / fitted.a)
    assert found.means[0] == pytest.approx(mean[0])
    assert found.scales[0] ** 2 == pytest.approx(b * (sd[0] ** 2 + 1))
    assert found.dof == 2 + 11


def test_the_weights_are_the_marginal_likelihoods_of_scipy():
    """Of Student-t processes: the targets' joint density under each model."""
    design, targets = data(2, num_points=5)
    even = (1.0,) * len(OURS.signal_sets)
    family = replace(OURS, inflate=False, set_weights=even, config_weights=())
    fitted = fit(design, targets, SIGNALS, NO_PRIOR, family)
    same = (design.points[:, None] == design.points).astype(float)
    logs = np.empty_like(fitted.b)
    for i, (scales, point) in enumerate(zip(fitted.scales, fitted.point_scales, strict=True)):
        x = columns(design) * scales
        shape = np.eye(len(targets)) + x @ x.T + point * same
        for j, b0 in enumerate(family.noise_b0):
            t = stats.multivariate_t(np.zeros(len(targets)), shape * b0, df=2)
            logs[i, j] = t.logpdf(targets)
    expected = np.exp(logs - logs.max())
    assert fitted.weights == pytest.approx(expected / expected.sum(), rel=1e-6)


@pytest.mark.parametrize("num_points", [None, 4])
def test_the_effect_of_a_point_is_that_of_a_column_for_each(num_points):
    """Integrated out in closed form, or as indicator columns with the same prior variance."""
    design, targets = data(3, num_points=num_points)
    family = replace(PLAIN, point_scales=(0.7,))
    fitted = fit(design.rows(range(11)), targets[:11], SIGNALS, NO_PRIOR, family)
    found = predict(fitted, design.rows([11]))
    indicators = (design.points[:, None] == np.unique(design.points)).astype(float) * 0.7**0.5
    wide = Design(design.signals, np.concatenate([design.config, indicators], 1), design.points)
    brute = fit(wide.rows(range(11)), targets[:11], SIGNALS, NO_PRIOR, PLAIN)
    expected = predict(brute, wide.rows([11]))
    assert found.means == pytest.approx(expected.means)
    assert found.scales == pytest.approx(expected.scales)


@pytest.mark.parametrize("prior", [NO_PRIOR, paper_prior(1.0)])
@pytest.mark.parametrize("num_points", [None, 4])
def test_leave_one_out_in_closed_form_is_that_by_brute_force(num_points, prior):
    design, targets = data(4, n=9, num_points=num_points)
    family = replace(PLAIN, point_scales=(0.7,), noise_b0=(0.1, 0.3))
    residuals, squared_scales = leave_one_out(fit(design, targets, SIGNALS, prior, family))
    for i in range(9):
        others = [j for j in range(9) if j != i]
        refit = fit(design.rows(others), targets[others], SIGNALS, prior, family)
        found = predict(refit, design.rows([i]))
        assert targets[i] - found.means == pytest.approx(np.repeat(residuals[:, i], 2))
        assert found.scales**2 == pytest.approx(squared_scales[:, :, i].ravel())


def test_a_prior_is_as_many_pseudo_trials_that_say_nothing_about_the_noise():
    """The slopes are those of further rows; no prior of strength 0 has a direction."""
    design, targets = data(5)
    x = columns(design)
    pseudo = np.array([[0.0, 1.0, -0.3, 0.3, 0.0, 0.0]])
    fitted = fit(design, targets, SIGNALS, paper_prior(2.0), PLAIN)
    assert len(fitted.beta) == 2  # with the direction, and without
    more = np.concatenate([x, 2.0**0.5 * pseudo])
    ridge = Ridge(alpha=1.0, fit_intercept=False).fit(more, np.append(targets, 2.0**0.5))
    assert fitted.beta[0] == pytest.approx(ridge.coef_)
    without = fit(design, targets, SIGNALS, paper_prior(0.0), PLAIN)
    assert without.beta == pytest.approx(fit(design, targets, SIGNALS, NO_PRIOR, PLAIN).beta)


def test_a_pooled_prior_has_the_slopes_of_the_past():
    past, targets = data(6, n=200)
    prior = pooled_prior(1e6, SIGNALS, past.signals, targets)
    design, few = data(7, n=4)
    fitted = fit(design, few, SIGNALS, prior, PLAIN)
    alone = np.linalg.lstsq(past.signals, targets, rcond=None)[0]
    assert fitted.beta[0, 1:4] == pytest.approx(alone, abs=1e-3)
    assert pooled_prior(1.0, SIGNALS, np.zeros((0, 3)), np.zeros(0)).moments(SIGNALS)[1].sum() == 0


def test_inflation_is_one_where_the_model_is_true_and_grows_where_it_is_not():
    rng = np.random.default_rng(8)
    design, _ = data(8, n=60)
    wild = replace(PLAIN, inflate=True)
    calm = fit(design, 0.1 * rng.normal(size=60), SIGNALS, NO_PRIOR, wild).inflation
    assert calm == pytest.approx(1.0, abs=0.1)
    assert (
        fit(design, 0.1 * rng.standard_t(1.5, size=60), SIGNALS, NO_PRIOR, wild).inflation >= 1
    ).all()


@pytest.mark.slow
def test_probabilities_are_right_where_the_model_is_true():
    """2,000 data sets from one model of the family: P(t < a threshold) is met as often as said."""
    rng = np.random.default_rng(9)
    stated, met = [], []
    for _ in range(2_000):
        n = int(rng.integers(3, 12))
        sd = float(np.sqrt(0.3 / rng.gamma(1.0)))
        x = np.concatenate([np.ones((n + 1, 1)), rng.normal(size=(n + 1, 3))], axis=1)
        targets = sd * (x @ rng.normal(size=4) + rng.normal(size=n + 1))
        design = Design(x[:, 1:], np.zeros((n + 1, 0)), np.arange(n + 1))
        fitted = fit(design.rows(range(n)), targets[:n], SIGNALS, NO_PRIOR, PLAIN)
        threshold = float(targets[:n].min())
        stated.append(predict(fitted, design.rows([n])).below(threshold))
        met.append(targets[n] < threshold)
    stated, met = np.array(stated), np.array(met)
    for low, high in ((0, 0.02), (0.02, 0.05), (0.05, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1)):
        chosen = (stated >= low) & (stated < high)
        num, share = int(chosen.sum()), float(stated[chosen].mean())
        assert num > 50
        assert stats.binomtest(int(met[chosen].sum()), num, share).pvalue > 0.005
