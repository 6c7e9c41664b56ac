"""Final gaps from early ones: past studies' slopes, updated by this study's finished trials.

    Y = a + d . beta + h . eta + noise      noise variance s2 ~ InverseGamma(NU / 2, NU / 2 x noise)

Y is what separates a trial from the leader at the end and d what separates them at one look, both
bent and in early spreads (`predictor.gap.units`); h is the configuration. The slopes are normal
around the pooled ones, with their covariance between studies; a, how far the leader was lucky, and
eta, what the configuration tells beyond the signals, normal around 0; all variances over s2. Models
differ in the signals that they use, in whether eta is there, and in whether the slopes are like
those of past studies; each counts by its weight and its marginal likelihood.
Source: Bishop, Pattern Recognition and Machine Learning, 3.3 to 3.5; Student-t predictions as in
Murphy, Machine Learning, 7.6.3.
Known weakness: trials near the best are less noisy than others, and there is one noise for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.gap.prior import GapPrior, Pooled
from predictor.gap.units import SIGNALS, Signals, columns_of
from predictor.stats import student_cdf, student_log_constant

Floats = NDArray[np.float64]

NU = 4.0  # finished trials that the pooled noise counts for
LUCK_SD = 2.0  # of a, in early spreads
UNLIKE = 0.05  # of the belief: that the slopes of this study are like no other's
CONFIG = 0.5  # prior variance that all columns of the configuration share, over s2

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
    """Final gaps of some trials: mixtures of Student-t distributions, one for each model."""

    weights: Floats  # (num_models,), sum 1
    means: Floats  # (num_models, num_trials)
    scales: Floats  # (num_models, num_trials)
    dof: float
    slopes: Floats  # (3,): of the signals, averaged over the models
    silent: float  # the weight of the models without any signal

    @property
    def mean(self) -> Floats:
        """The expected gap of each trial. Shape (num_trials,)."""
        return self.weights @ self.means

    def below(self, goal: float) -> Floats:
        """P(gap < goal) of each trial. Shape (num_trials,)."""
        return self.weights @ student_cdf((goal - self.means) / self.scales, self.dof)

    def improvement(self, goal: float) -> Floats:
        """E(max(0, goal - gap)) of each trial. Shape (num_trials,).

        As of the expected improvement of a Student-t process (Shah et al., arXiv 1402.4306).
        """
        z, dof = (goal - self.means) / self.scales, self.dof
        density = np.exp(student_log_constant(dof) - (dof + 1) / 2 * np.log1p(z**2 / dof))
        each = z * student_cdf(z, dof) + (dof + z**2) / (dof - 1) * density
        return self.weights @ (self.scales * each)


def final_gaps(
    prior: GapPrior, share: float, finished: Rows, ends: Floats, asked: Rows, has_evals: bool
) -> Ends | None:
    """The final gaps of the trials `asked`, from those of the `finished`, (num_finished,), 0 the
    leader's; all of one look at that share of the budget.

    Without early evaluations models that use them are left out. None where the prior has no model.
    """
    own: list[_Model] = []
    for signals, belief in BELIEF.items():
        pooled = prior.at(share, signals)
        if pooled is None or (not has_evals and "early_eval" in signals):
            continue
        used = columns_of(signals)
        for with_config in (False, True) if finished.config.shape[1] else (False,):
            x, row = _design(finished, used, with_config), _design(asked, used, with_config)
            for slopes, weight in _like_and_unlike(pooled):
                own.append(_fit(slopes, used, belief * weight, x, ends, row))
    if not own:
        return None
    evidence = np.array([one.log_weight for one in own])
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    return Ends(
        weights,
        np.array([one.means for one in own]),
        np.array([one.scales for one in own]),
        NU + len(ends),
        weights @ np.array([one.slopes for one in own]),
        float(weights @ np.array([not one.uses_signals for one in own])),
    )


def _like_and_unlike(pooled: Pooled) -> list[tuple[Pooled, float]]:
    """Past studies' slopes, and slopes of either sign; and how much is believed of each."""
    num = len(pooled.mean)
    if num == 0:
        return [(pooled, 1.0)]
    unlike = Pooled(np.zeros(num), np.eye(num), pooled.noise)
    return [(pooled, 1 - UNLIKE), (unlike, UNLIKE)]


class _Model(NamedTuple):
    log_weight: float  # belief and marginal likelihood, up to what all share
    means: Floats  # (num_asked,)
    scales: Floats  # (num_asked,), noise included
    slopes: Floats  # (3,), of SIGNALS
    uses_signals: bool


def _fit(
    pooled: Pooled, used: Sequence[int], belief: float, x: Floats, ends: Floats, row: Floats
) -> _Model:
    """The posterior predictive of each row of `row`.

    x: (num_finished, num_columns) with the ones, the signals and the configuration; row:
    (num_asked, num_columns).
    """
    num_signals, num_columns = len(used), x.shape[1]
    signals = slice(1, 1 + num_signals)
    mean, variance = np.zeros(num_columns), np.zeros((num_columns, num_columns))  # over s2
    mean[signals] = pooled.mean
    variance[0, 0] = LUCK_SD**2 / pooled.noise
    variance[signals, signals] = pooled.covariance / pooled.noise
    if num_config := num_columns - 1 - num_signals:
        config = range(1 + num_signals, num_columns)
        variance[config, config] = CONFIG / num_config
    precision = np.linalg.inv(variance)
    posterior = precision + x.T @ x
    covariance = np.linalg.inv(posterior)
    left = ends - x @ mean
    moment = x.T @ left
    change = covariance @ moment
    a0, b0 = NU / 2, NU / 2 * pooled.noise
    a, b = a0 + len(ends) / 2, b0 + 0.5 * max(0.0, float(left @ left - moment @ change))
    log_weight = math.log(belief) + a0 * math.log(b0) - a * math.log(b)
    log_weight += 0.5 * (np.linalg.slogdet(precision)[1] - np.linalg.slogdet(posterior)[1])
    slopes = np.zeros(len(SIGNALS))
    slopes[used] = (mean + change)[signals]
    around = 1 + np.einsum("ij,jk,ik->i", row, covariance, row)
    return _Model(
        float(log_weight),
        row @ (mean + change),
        np.sqrt(b / a * around),
        slopes,
        num_signals > 0,
    )


def _design(rows: Rows, used: Sequence[int], with_config: bool) -> Floats:
    columns = [np.ones((len(rows.gaps), 1)), rows.gaps[:, used]]
    return np.concatenate([*columns, rows.config] if with_config else columns, axis=1)
