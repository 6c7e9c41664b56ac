"""Conjugate Bayesian linear regression, averaged over how far to trust what it is given.

    t = intercept + S b_signals + C b_config + (effect of the point) + noise

with noise variance s2 ~ InverseGamma(a0, b0), and each coefficient normal around the prior's mean
with variance s2 x its model's scale. The effect of a point is shared by trials of one configuration
and integrated out in closed form, so a thousand points cost no more than one. Models differ in
which signals they use and in their scales; each has the weight of its marginal likelihood.
Source: Bishop, Pattern Recognition and Machine Learning, 3.3 to 3.5; Student-t predictions as in
Murphy, Machine Learning, 7.6.3. Known weakness: linear, and one noise for good and bad trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.prior import Prior
from predictor.stats import student_cdf, student_log_constant

Floats = NDArray[np.float64]

LEAST_WEIGHT = 1e-3  # models with less share of the best one's evidence are left out
MOST_LEFT_OUT = 100  # trials, roughly


@dataclass(frozen=True, slots=True)
class Family:
    """The models that are averaged over. Scales of 0 leave a part out."""

    signal_sets: tuple[frozenset[str], ...]  # which signals a model uses
    set_weights: tuple[float, ...]  # of each, before the data
    config_scales: tuple[float, ...]  # prior variances of the configuration's slopes
    point_scales: tuple[float, ...]  # prior variances of the effect of a point
    noise_b0: tuple[float, ...]
    config_weights: tuple[float, ...] = ()  # of each of the scales, before the data; (): equal
    noise_a0: float = 1.0
    inflate: bool = True  # by leave-one-out residuals
    inflation_weight: float = 3.0  # residuals of size 1 that it starts with


class Design(NamedTuple):
    """Rows of finished trials, or of the one to be predicted."""

    signals: Floats  # (num_trials, num_signals), standardised; 0 where missing
    config: Floats  # (num_trials, num_config), standardised; 0 where missing
    points: NDArray[np.int64]  # (num_trials,), from 0, equal for equal configurations

    def rows(self, chosen: Sequence[int]) -> Design:
        """These rows alone, by their indices, in that order."""
        at = list(chosen)
        return Design(self.signals[at], self.config[at], self.points[at])


class Fit(NamedTuple):
    """Every model that carries weight, fitted: all that a prediction needs."""

    scales: Floats  # (num_models, num_features): roots of prior variances, intercept first
    point_scales: Floats  # (num_models,)
    beta: Floats  # (num_models, num_features), of the scaled features
    covariance: Floats  # (num_models, num_features, num_features), over s2
    a: float
    b: Floats  # (num_models, num_b0)
    weights: Floats  # (num_models, num_b0), sum 1
    inflation: Floats  # (num_models, num_b0), of the variance, 1 or more
    residuals: Floats  # (num_models, num_trials)
    design: Design


class Mixture(NamedTuple):
    """A weighted mixture of Student-t distributions."""

    weights: Floats  # (n,)
    means: Floats  # (n,)
    scales: Floats  # (n,)
    dof: float

    def below(self, threshold: float) -> float:
        """P(t < threshold)."""
        return float(self.weights @ student_cdf((threshold - self.means) / self.scales, self.dof))

    def log_density(self, target: float) -> float:
        """log p(t = target)."""
        there = self.weights > 0
        scales, dof = self.scales[there], self.dof
        z = (target - self.means[there]) / scales
        each = student_log_constant(dof) - np.log(scales) - (dof + 1) / 2 * np.log1p(z**2 / dof)
        return float(np.logaddexp.reduce(each + np.log(self.weights[there])))


def fit(design: Design, targets: Floats, names: Sequence[str], prior: Prior, family: Family) -> Fit:
    """All models of the family on finished trials. `targets`: (num_trials,), centred by the caller.

    `names` are those of the signals' columns. The prior acts on signals alone, and each model with
    a signal is there twice, with the prior's direction and without: where the trials contradict it,
    the evidence drops it.
    """
    features = _with_ones(design)
    scales, point_scales, has_prior, log_weights = _models(design, names, prior, family)
    num_models, num_features = scales.shape
    n = len(targets)
    second, cross = prior.moments(names)  # of the signals
    grams = {s: _Gram.of(features, targets, design.points, s) for s in family.point_scales}
    gram = np.stack([grams[s].gram for s in point_scales])  # (num_models, p, p)
    moment = np.stack([grams[s].moment for s in point_scales])  # (num_models, p)
    square = np.array([grams[s].square for s in point_scales])
    log_det = np.array([grams[s].log_det for s in point_scales])

    both = scales[:, :, None] * scales[:, None, :]
    padded = np.zeros((num_models, num_features, num_features))
    signals = slice(1, 1 + len(names))
    padded[:, signals, signals] = has_prior[:, None, None] * second
    prior_precision = np.eye(num_features) + both * padded  # over s2
    first = np.zeros((num_models, num_features))
    first[:, signals] = scales[:, signals] * cross * has_prior[:, None]
    prior_mean = np.linalg.solve(prior_precision, first[..., None])[..., 0]
    precision = prior_precision + both * gram
    covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    right = first + scales * moment
    beta = (covariance @ right[..., None])[..., 0]
    sum_sq = square + (prior_mean * first).sum(1) - (beta * right).sum(1)
    log_det = log_det + np.linalg.slogdet(precision)[1] - np.linalg.slogdet(prior_precision)[1]

    b0 = np.array(family.noise_b0)
    a, b = family.noise_a0 + n / 2, b0 + 0.5 * np.maximum(sum_sq, 0.0)[:, None]
    evidence = family.noise_a0 * np.log(b0) - a * np.log(b) - 0.5 * log_det[:, None]
    evidence += log_weights[:, None]
    weights = np.exp(evidence - evidence.max())
    kept = weights.max(axis=1) >= LEAST_WEIGHT
    weights = weights[kept] / weights[kept].sum()

    fitted = Fit(
        scales[kept],
        np.array(point_scales)[kept],
        beta[kept],
        covariance[kept],
        a,
        b[kept],
        weights,
        np.ones_like(weights),
        targets - (features @ (scales[kept] * beta[kept]).T).T,
        design,
    )
    if not family.inflate:
        return fitted
    return fitted._replace(inflation=inflation(fitted, family.inflation_weight))


def predict(fitted: Fit, row: Design) -> Mixture:
    """The distribution of one trial's target; `row` has one trial, `points` as in the fit."""
    x = np.concatenate([[1.0], row.signals[0], row.config[0]])
    same = fitted.design.points == row.points[0]
    m, scale = int(same.sum()), fitted.point_scales
    shrunk = scale / (1 + m * scale)  # (num_models,): what each trial at the point tells of it
    at_point = np.concatenate(
        [[m], fitted.design.signals[same].sum(0), fitted.design.config[same].sum(0)]
    )
    z = fitted.scales * (x - shrunk[:, None] * at_point)
    mean = (fitted.scales * x * fitted.beta).sum(1) + shrunk * fitted.residuals[:, same].sum(1)
    variance = 1 + shrunk + ((z[:, None] @ fitted.covariance)[:, 0] * z).sum(1)
    spread = np.sqrt(fitted.b / fitted.a * variance[:, None] * fitted.inflation)
    means = np.broadcast_to(mean[:, None], spread.shape)
    return Mixture(fitted.weights.ravel(), means.ravel(), spread.ravel(), 2 * fitted.a)


def leave_one_out(fitted: Fit, every: int = 1) -> tuple[Floats, Floats]:
    """Every trial predicted from the others: residuals (num_models, num_trials) and squared scales
    (num_models, num_b0, num_trials) of the Student-t with 2 a - 1 degrees of freedom. With `every`
    above 1 of each `every`-th trial alone.

    Closed form, no refit: with K the targets' covariance over s2 and k = K^-1, the residual of
    trial i is (k r)_i / k_ii and its variance over s2 is 1 / k_ii (Sundararajan and Keerthi, Neural
    Computation 13, 2001); b without trial i is b - residual^2 k_ii / 2.
    """
    features = _with_ones(fitted.design)
    codes = fitted.design.points
    sizes = np.bincount(codes)[codes]  # (num_trials,)
    scale = fitted.point_scales[:, None]
    shrunk = scale / (1 + sizes * scale)  # (num_models, num_trials)
    one_hot_sums = _group_sums(features, codes)[codes]  # (num_trials, p): of the trial's point
    residual_sums = np.stack([np.bincount(codes, r)[codes] for r in fitted.residuals])
    alpha = (fitted.residuals - shrunk * residual_sums)[:, ::every]
    features, one_hot_sums, shrunk = features[::every], one_hot_sums[::every], shrunk[:, ::every]
    diagonal = np.empty_like(alpha)
    for i, scales in enumerate(fitted.scales):
        rows = (features - shrunk[i][:, None] * one_hot_sums) * scales
        diagonal[i] = 1 - shrunk[i] - ((rows @ fitted.covariance[i]) * rows).sum(1)
    diagonal = np.maximum(diagonal, 1e-12)
    residuals = alpha / diagonal
    b = fitted.b[:, :, None] - 0.5 * (alpha * residuals)[:, None]
    return residuals, np.maximum(b, 1e-300) / (fitted.a - 0.5) / diagonal[:, None]


def inflation(fitted: Fit, weight: float) -> Floats:
    """How much wider a prediction must be for the left-out trials to fit: 1 or more.

    The mean of squared left-out residuals over what the model expects of them, with `weight`
    residuals as expected mixed in. Shape (num_models, num_b0). 1 with fewer than three trials.
    Of many trials some 100 are left out in turn, the mean of which is known well enough.
    Known weakness: replicates of one point predict each other, which hides how new points err.
    """
    if fitted.residuals.shape[1] < 3:
        return np.ones_like(fitted.weights)
    every = max(1, fitted.residuals.shape[1] // MOST_LEFT_OUT)
    residuals, squared_scales = leave_one_out(fitted, every)
    num = residuals.shape[1]
    dof = 2 * fitted.a - 1
    expected = dof / (dof - 2)  # the variance of Student's t
    total = (residuals[:, None] ** 2 / squared_scales).sum(2) / expected
    return np.maximum(1.0, (weight + total) / (weight + num))


class _Gram(NamedTuple):
    """X' D^-1 X, X' D^-1 t, t' D^-1 t and log |D|, where D = 1 + scale x (same point)."""

    gram: Floats
    moment: Floats
    square: float
    log_det: float

    @staticmethod
    def of(x: Floats, t: Floats, codes: NDArray[np.int64], scale: float) -> _Gram:
        gram, moment, square = x.T @ x, x.T @ t, float(t @ t)
        if scale == 0:
            return _Gram(gram, moment, square, 0.0)
        sizes = np.bincount(codes)  # (num_points,), 0 of those that are not among the rows
        shrunk = scale / (1 + sizes * scale)
        x_sums, t_sums = _group_sums(x, codes), np.bincount(codes, t)
        return _Gram(
            gram - (x_sums * shrunk[:, None]).T @ x_sums,
            moment - x_sums.T @ (shrunk * t_sums),
            square - float(shrunk @ t_sums**2),
            float(np.log1p(sizes * scale).sum()),
        )


def _models(
    design: Design, names: Sequence[str], prior: Prior, family: Family
) -> tuple[Floats, list[float], Floats, Floats]:
    """Of each model: the roots of its prior variances, columns (intercept, signals, configuration);
    the variance of the effect of a point; 1 or 0: with the prior's direction or without; the
    logarithm of its weight before the data."""
    num_config = design.config.shape[1]
    sets: dict[tuple[bool, ...], float] = {}
    for chosen, weight in zip(family.signal_sets, family.set_weights, strict=True):
        used = tuple(name in chosen for name in names)  # sets that differ in others are one
        sets[used] = sets.get(used, 0.0) + weight
    even = (1 / len(family.config_scales),) * len(family.config_scales)
    configs = tuple(zip(family.config_scales, family.config_weights or even, strict=True))
    configs = configs if num_config else ((0.0, 1.0),)
    rows: list[list[float]] = []
    columns: list[tuple[float, float, float]] = []
    for used, (config_scale, weight), point_scale in product(sets, configs, family.point_scales):
        directions = (1.0, 0.0) if prior.strength > 0 and any(used) else (0.0,)
        for directed in directions:
            rows.append([1.0, *map(float, used), *[config_scale**0.5] * num_config])
            columns.append((point_scale, directed, sets[used] * weight / len(directions)))
    points, has_prior, weights = zip(*columns, strict=True)
    return np.array(rows), list(points), np.array(has_prior), np.log(np.array(weights))


def _with_ones(design: Design) -> Floats:
    ones = np.ones((len(design.points), 1))
    return np.concatenate([ones, design.signals, design.config], axis=1)


def _group_sums(x: Floats, codes: NDArray[np.int64]) -> Floats:
    sums = np.stack([np.bincount(codes, column) for column in x.T], axis=1)  # (num_points, p)
    return sums.astype(np.float64)
