"""Rank correlations with weights, given other columns, and with honest intervals for few runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictor.stats import cluster_counts, student_quantile, two_sided_p

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

LEAST_DOF = 3  # below, no interval is stated: four runs of noise are in order once in twelve times
_NEAR_ONE = 0.999  # correlations are held below, for Fisher's z


@dataclass(frozen=True, slots=True)
class Correlation:
    """`low` and `high`, the 95 % interval, are NaN where there are too few configurations."""

    rho: float  # Spearman's
    low: float  # lower end of the 95 % interval
    high: float  # upper end
    p_value: float  # of no correlation, two-sided
    num_runs: int  # that it is over
    num_configs: int  # different ones: a further seed of one is no new evidence

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low > 0 or self.high < 0

    @property
    def half_width(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2


def correlate(
    x: Floats, y: Floats, weights: Floats, clusters: Codes, controls: Floats, seed: int
) -> Correlation | None:
    """Spearman's correlation of x and y, all (n,); with `controls` (n, p) of what they leave.

    Given controls, it is Pearson's correlation of the residuals of the ranks on them. Infinite
    values rank last. `clusters` are equal for replicates of one configuration, which are drawn
    together in the bootstrap and count as one for the degrees of freedom (of m configurations: m
    - 2 less the controls' rank), unless the controls tell all clusters apart: then runs count.
    The interval: rho +- t x sd of the bootstrap on Fisher's scale (Fieller, Hartley and Pearson,
    Biometrika 44, 1957), the sd times sqrt(units / (dof + 1)): the residuals are taken once, and
    are smaller than the errors by what the controls took. The p-value: Student's t as in
    scipy.stats.spearmanr, which it equals for unit weights and no replicates.
    None where x or y, or what the controls leave of one, is constant.
    """
    left = residuals(x, controls, weights), residuals(y, controls, weights)
    rho = float(pearson(*left, weights[None])[0])
    if not math.isfinite(rho):
        return None
    num, rank = len(np.unique(clusters)), _rank(controls)
    within = rank >= num - 1 and num > 1  # the controls are the configurations themselves
    units = np.arange(len(x)) if within else clusters
    share = weights.sum() ** 2 / (len(x) * float(weights @ weights))  # Kish's effective number
    num_units = len(x) if within else num
    dof = share * num_units - 2 - rank
    if dof < LEAST_DOF:
        return Correlation(rho, math.nan, math.nan, math.nan, len(x), num)
    held = min(max(rho, -_NEAR_ONE), _NEAR_ONE)
    t = held * (dof / (1 - held**2)) ** 0.5
    p_value = two_sided_p(t, dof)
    drawn_weights = weights * cluster_counts(units, seed)
    drawn = pearson(*left, drawn_weights) if rank else rank_correlations(x, y, drawn_weights)
    z = np.arctanh(np.clip(drawn[np.isfinite(drawn)], -_NEAR_ONE, _NEAR_ONE))
    half = student_quantile(0.975, dof) * float(z.std()) * (num_units / (dof + 1)) ** 0.5
    low, high = np.tanh(np.arctanh(held) + np.array([-half, half]))
    return Correlation(rho, float(low), float(high), p_value, len(x), num)


def rank_correlations(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Spearman's correlations (num_draws,), one for each row of `weights` (num_draws, n): as if run
    i were there weights[., i] times. NaN where x or y, both (n,), is constant."""
    return pearson(midranks(x, weights), midranks(y, weights), weights)


def residuals(values: Floats, controls: Floats, weights: Floats) -> Floats:
    """What weighted least squares on the controls (n, p) and a constant leaves of the ranks (n,);
    what is there by rounding alone is 0."""
    ranks = midranks(values, weights[None])[0]
    columns = np.concatenate([np.ones((len(ranks), 1)), controls], axis=1)
    root = np.sqrt(weights)
    inverse = np.asarray(np.linalg.pinv(columns * root[:, None]), dtype=np.float64)
    left = ranks - columns @ (inverse @ (ranks * root))
    return np.where(np.abs(left) > 1e-9 * weights.sum(), left, 0.0)


def pearson(x: Floats, y: Floats, weights: Floats) -> Floats:
    """The weighted correlation (num_draws,) of x and y, (n,) or (num_draws, n); weights (num_draws,
    n). NaN if one is constant."""
    total = weights.sum(1, keepdims=True)
    x = x - (weights * x).sum(1, keepdims=True) / total
    y = y - (weights * y).sum(1, keepdims=True) / total
    xx, yy, xy = (weights * x * x).sum(1), (weights * y * y).sum(1), (weights * x * y).sum(1)
    varies = np.minimum(xx, yy) > 1e-12 * total[:, 0] ** 3  # of squared ranks
    return np.where(varies, xy / np.sqrt(np.where(varies, xx * yy, 1.0)), np.nan)


def midranks(values: Floats, weights: Floats) -> Floats:
    """The weight below each value and half of that at it. Shapes (n,), (num_draws, n) ->
    (num_draws, n). With unit weights scipy.stats.rankdata less a half."""
    order = np.argsort(values, kind="stable")
    starts, codes = np.unique(values[order], return_index=True, return_inverse=True)[1:]
    codes = codes[np.argsort(order)]
    at = np.add.reduceat(weights[:, order], starts, axis=1)  # (num_draws, num_distinct)
    return (np.cumsum(at, axis=1) - at / 2)[:, codes]


def num_configs_needed(half_width: float) -> int:
    """How many configurations give a 95 % interval of about +- half_width around a rho of 0.

    Fisher's z has the sd 1.03 / sqrt(n - 3) for Spearman's rho (Fieller, Hartley and Pearson).
    """
    return 3 + math.ceil((1.96 * 1.03 / math.atanh(half_width)) ** 2)


def _rank(controls: Floats) -> int:
    return int(np.linalg.matrix_rank(controls - controls.mean(0))) if controls.size else 0
