"""Final gaps from early ones: past studies' slopes, updated by this study's finished trials.

    Y = a + d . beta + h . eta + noise

Y is what separates a trial from the leader at the end and d what separates them at one look, both
bent and in early spreads (`predictor.gap.units`); h is the configuration. The slopes are normal
around the pooled ones, with their covariance between studies; a, how far the leader was lucky, and
eta, what the configuration tells beyond the signals, normal around 0; the noise is normal, its
variance one of a grid about the pooled one. Models differ in the signals that they use, in whether
eta is there and in the noise; each counts by its weight and its marginal likelihood.
Source: Bishop, Pattern Recognition and Machine Learning, 3.3 to 3.5.
Known weakness: trials near the best are less noisy than others, and there is one noise for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.gap.prior import GapPrior, Pooled, Signals
from predictor.gap.units import SIGNALS

Floats = NDArray[np.float64]

NOISES = (0.05, 0.22, 1.0, 2.2, 5.0)  # variances, over the pooled one
NOISE_BELIEF = (0.1, 0.25, 0.35, 0.2, 0.1)
LUCK_SD = 2.0  # of a, in early spreads
UNLIKE = 0.05  # of the belief: that the slopes of this study are like no other's
CONFIG = 0.5  # prior variance that all columns of the configuration share, over the pooled noise

# How much each set of signals is believed before a study has finished trials. That an early
# evaluation tells nothing, or the other two alone do, is not ruled out: studies/LOG.md has what
# other weights do.
BELIEF: Mapping[Signals, float] = {
    frozenset(): 0.10,
    frozenset({"early_eval"}): 0.287,
    frozenset({"early_eval", "loss"}): 0.209,
    frozenset({"early_eval", "grad_norm"}): 0.209,
    frozenset(SIGNALS): 0.165,
    frozenset({"loss"}): 0.01,
    frozenset({"grad_norm"}): 0.01,
    frozenset({"loss", "grad_norm"}): 0.01,
}


class Rows(NamedTuple):
    """Trials at one look."""

    gaps: Floats  # (num_trials, 3), to the leader's, columns as SIGNALS
    config: Floats  # (num_trials, num_columns), standardised over the cohort


class Ends(NamedTuple):
    """Final gaps of some trials: mixtures of normal distributions, one for each model."""

    weights: Floats  # (num_models,), sum 1
    means: Floats  # (num_models, num_trials)
    scales: Floats  # (num_models, num_trials)
    slopes: Floats  # (3,): of the signals, averaged over the models
    silent: float  # the weight of the models without any signal

    @property
    def mean(self) -> Floats:
        """The expected gap of each trial. Shape (num_trials,)."""
        return self.weights @ self.means

    def below(self, goal: float) -> Floats:
        """P(gap < goal) of each trial. Shape (num_trials,)."""
        return self.weights @ _normal_cdf((goal - self.means) / self.scales)

    def improvement(self, goal: float) -> Floats:
        """E(max(0, goal - gap)) of each trial. Shape (num_trials,).

        Source: Jones, Schonlau and Welch, Journal of Global Optimization 13, 1998.
        """
        z = (goal - self.means) / self.scales
        density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
        return self.weights @ (self.scales * (z * _normal_cdf(z) + density))


def final_gaps(
    prior: GapPrior, share: float, finished: Rows, ends: Floats, asked: Rows, has_evals: bool
) -> Ends | None:
    """The final gaps of the trials `asked`, from those of the `finished`, (num_finished,), 0 the
    leader's; all of one look at that share of the budget.

    Without early evaluations models that use them are left out. None where the prior has no model.
    """
    own: list[_Models] = []
    for signals, belief in BELIEF.items():
        pooled = prior.at(share, signals)
        if pooled is None or (not has_evals and "early_eval" in signals):
            continue
        used = [i for i, name in enumerate(SIGNALS) if name in signals]
        for with_config in (False, True) if finished.config.shape[1] else (False,):
            x, row = _design(finished, used, with_config), _design(asked, used, with_config)
            for slopes, weight in _like_and_unlike(pooled):
                own.append(_fit(slopes, used, belief * weight, x, ends, row))
    if not own:
        return None
    evidence = np.concatenate([one.log_weights for one in own])
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    silent = np.repeat([not one.uses_signals for one in own], len(NOISES))
    return Ends(
        weights,
        np.concatenate([one.means for one in own]),
        np.concatenate([one.scales for one in own]),
        weights @ np.concatenate([one.slopes for one in own]),
        float(weights @ silent),
    )


def _like_and_unlike(pooled: Pooled) -> list[tuple[Pooled, float]]:
    """Past studies' slopes, and slopes of either sign; and how much is believed of each."""
    num = len(pooled.mean)
    if num == 0:
        return [(pooled, 1.0)]
    unlike = Pooled(np.zeros(num), np.eye(num), pooled.noise)
    return [(pooled, 1 - UNLIKE), (unlike, UNLIKE)]


class _Models(NamedTuple):
    """Models that differ in the noise alone, as many as NOISES."""

    log_weights: Floats  # (num_noises,): belief and marginal likelihood, up to what all share
    means: Floats  # (num_noises, num_asked)
    scales: Floats  # (num_noises, num_asked), noise included
    slopes: Floats  # (num_noises, 3), of SIGNALS
    uses_signals: bool


def _fit(
    pooled: Pooled, used: Sequence[int], belief: float, x: Floats, ends: Floats, row: Floats
) -> _Models:
    """The posterior predictive of each row of `row`.

    x: (num_finished, num_columns) with the ones, the signals and the configuration; row:
    (num_asked, num_columns). With coefficients m + L w, w ~ N(0, 1), and Z = X L, the eigenvectors
    of Z'Z give the posterior of w for every noise at once.
    """
    num_signals, num_columns = len(used), x.shape[1]
    signals = slice(1, 1 + num_signals)
    mean, root = np.zeros(num_columns), np.zeros((num_columns, num_columns))
    mean[signals] = pooled.mean
    root[0, 0] = LUCK_SD
    if num_signals:
        root[signals, signals] = np.linalg.cholesky(pooled.covariance)
    if num_config := num_columns - 1 - num_signals:
        config = range(1 + num_signals, num_columns)
        root[config, config] = math.sqrt(CONFIG * pooled.noise / num_config)
    z, left = x @ root, ends - x @ mean
    values, vectors = np.linalg.eigh(z.T @ z)
    along = vectors.T @ (z.T @ left)  # (num_columns,)
    noises = pooled.noise * np.array(NOISES)[:, None]  # (num_noises, 1)
    shrunk = 1 / (noises + np.maximum(values, 0.0))  # (num_noises, num_columns)
    posterior = (shrunk * along) @ vectors.T @ root.T + mean  # (num_noises, num_columns)
    turned = row @ root @ vectors  # (num_asked, num_columns)
    variances = noises * (shrunk @ (turned**2).T + 1)
    misfit = float(left @ left) - (shrunk * along**2).sum(1)
    log_det = len(ends) * np.log(noises[:, 0]) - np.log(noises * shrunk).sum(1)
    slopes = np.zeros((len(NOISES), len(SIGNALS)))
    slopes[:, used] = posterior[:, signals]
    return _Models(
        np.log(belief * np.array(NOISE_BELIEF)) - 0.5 * (log_det + misfit / noises[:, 0]),
        posterior @ row.T,
        np.sqrt(variances),
        slopes,
        num_signals > 0,
    )


def _design(rows: Rows, used: Sequence[int], with_config: bool) -> Floats:
    columns = [np.ones((len(rows.gaps), 1)), rows.gaps[:, used]]
    return np.concatenate([*columns, rows.config] if with_config else columns, axis=1)


def _normal_cdf(z: Floats) -> Floats:
    from scipy.special import ndtr  # pyright: ignore

    return np.asarray(ndtr(z), dtype=np.float64)
