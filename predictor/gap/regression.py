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
from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.gap.prior import GapPrior, Pooled
from predictor.gap.units import SIGNALS, Signals, Units, columns_of
from predictor.stats import student_cdf, student_log_constant

Floats = NDArray[np.float64]

NU = 4.0  # finished trials that the pooled noise counts for
LUCK_SD = 2.0  # of a, in early spreads
UNLIKE = 0.05  # of the belief: that the slopes of this study are like no other's
CONFIG = 0.5  # prior variance that all columns of the configuration share, over s2
LEAST_WEIGHT = 1e-5  # of a model, over the largest: below it is left out

# How likely each signal is believed to tell the ends, before a study has finished trials. studies/
# LOG.md has what others do.
TELLS: Mapping[str, float] = {"early_eval": 0.9, "others": 0.4, "loss": 0.2, "grad_norm": 0.4}


def beliefs(missing: Signals, chance: float = 0.0) -> dict[Signals, float]:
    """How much each set of signals is believed to be what tells, none of the missing in any. The
    empty set is there too: that no early number tells. `chance`: how far it is believed that early
    evaluations differ by chance alone, so that ends do as well."""
    tells = {name: share for name, share in TELLS.items() if name not in missing}
    sets = [frozenset(own) for num in range(len(tells) + 1) for own in combinations(tells, num)]
    odds = [math.prod(p if name in own else 1 - p for name, p in tells.items()) for own in sets]
    return {
        own: (1 - chance) * share + (0.0 if own else chance)
        for own, share in zip(sets, odds, strict=True)
    }


class Rows(NamedTuple):
    """Trials at one look."""

    gaps: Floats  # (num_trials, 4), to the leader's, columns as SIGNALS
    config: Floats  # (num_trials, num_columns), standardised over the cohort


class Ends(NamedTuple):
    """Final gaps of some trials: mixtures of Student-t distributions, one for each model."""

    weights: Floats  # (num_models,), sum 1
    means: Floats  # (num_models, num_trials)
    scales: Floats  # (num_models, num_trials)
    dof: float
    slopes: Floats  # (4,): of the signals, averaged over the models
    silent: float  # the weight of the models without any signal

    @property
    def mean(self) -> Floats:
        """The expected gap of each trial. Shape (num_trials,)."""
        return self.weights @ self.means

    def quantile(self, share: float) -> Floats:
        """The gap below which each trial ends with that probability. Shape (num_trials,).

        By bisection: a mixture has no formula for it.
        """
        high: Floats = 1e3 * (1 + np.abs(self.means) + self.scales).max(axis=0)
        low = -high
        for _ in range(60):
            middle: Floats = (low + high) / 2
            below = self.weights @ student_cdf((middle - self.means) / self.scales, self.dof)
            low = np.where(below < share, middle, low)
            high = np.where(below < share, high, middle)
        return low

    def below(self, goal: float) -> tuple[Floats, Floats]:
        """P(gap < goal) and E(max(0, goal - gap)) of each trial. Shapes (num_trials,).

        The expectation as of the expected improvement of a Student-t process (Shah et al., arXiv
        1402.4306).
        """
        z, dof = (goal - self.means) / self.scales, self.dof
        below = student_cdf(z, dof)
        density = np.exp(student_log_constant(dof) - (dof + 1) / 2 * np.log1p(z**2 / dof))
        improvement = self.scales * (z * below + (dof + z**2) / (dof - 1) * density)
        return self.weights @ below, self.weights @ improvement


def final_gaps(
    prior: GapPrior, share: float, finished: Rows, ends: Floats, asked: Rows, units: Units
) -> Ends | None:
    """The final gaps of the trials `asked`, from those of the `finished`, (num_finished,), 0 the
    leader's; all of one look at that share of the budget.

    Models that use a signal which is missing in the study are left out. None where none remains.
    """
    models = _models(prior, share, units.missing, units.chance, finished.config.shape[1])
    if models is None:
        return None
    x, row = _design(finished), _design(asked)
    # All models at once, by sums over the finished: (num_models, k, k) for k columns.
    gram, moments = x.T @ x, x.T @ ends - models.means @ (x.T @ x)
    step = np.eye(x.shape[1]) + models.variances @ gram
    covariances = np.linalg.solve(step, models.variances)
    changes = np.einsum("mij,mj->mi", covariances, moments)
    left = ends - models.means @ x.T  # (num_models, num_finished)
    unexplained = (left**2).sum(axis=1) - (moments * changes).sum(axis=1)
    a0, a = NU / 2, NU / 2 + len(ends) / 2
    b0 = NU / 2 * models.noises
    b = b0 + 0.5 * np.maximum(0.0, unexplained)
    evidence = models.log_beliefs + a0 * np.log(b0) - a * np.log(b)
    evidence -= 0.5 * np.linalg.slogdet(step)[1]
    kept = evidence > evidence.max() + math.log(LEAST_WEIGHT)
    weights = np.exp(evidence[kept] - evidence.max())
    weights /= weights.sum()
    coefficients = (models.means + changes)[kept]
    around = 1 + ((row @ covariances[kept]) * row).sum(axis=2)
    return Ends(
        weights,
        coefficients @ row.T,
        np.sqrt((b / a)[kept, None] * around),
        NU + len(ends),
        weights @ coefficients[:, 1 : 1 + len(SIGNALS)],
        float(weights @ models.is_silent[kept]),
    )


def prior_slopes(prior: GapPrior, share: float, units: Units) -> Floats:
    """What a gap of each signal is worth at the end by past studies alone. Shape (4,)."""
    models = _models(prior, share, units.missing, units.chance, 0)
    if models is None:
        return np.zeros(len(SIGNALS))
    beliefs = np.exp(models.log_beliefs)
    return np.asarray(beliefs @ models.means[:, 1:] / beliefs.sum(), dtype=np.float64)


class _Models(NamedTuple):
    """Priors of all models: k columns, those of `_design`; what a model leaves out has variance 0.

    Variances are over s2, the noise's.
    """

    log_beliefs: Floats  # (num_models,)
    means: Floats  # (num_models, k)
    variances: Floats  # (num_models, k, k)
    noises: Floats  # (num_models,)
    is_silent: NDArray[np.bool_]  # (num_models,)


@lru_cache(maxsize=64)
def _models(
    prior: GapPrior, share: float, missing: Signals, chance: float, num_config: int
) -> _Models | None:
    found: list[tuple[float, Floats, Floats, float, bool]] = []
    missing |= {name for name in SIGNALS if prior.at(share, frozenset({name})) is None}
    for signals, belief in beliefs(missing, chance).items():
        pooled = prior.at(share, signals)
        if pooled is None or belief == 0:
            continue
        used = [1 + i for i in columns_of(signals)]
        for slopes, weight in _like_and_unlike(pooled):
            for has_config in (False, True) if num_config else (False,):
                mean = np.zeros(1 + len(SIGNALS) + num_config)
                variance = np.zeros((len(mean), len(mean)))
                mean[used] = slopes.mean
                variance[0, 0] = LUCK_SD**2 / pooled.noise
                variance[np.ix_(used, used)] = slopes.covariance / pooled.noise
                if has_config:
                    config = range(1 + len(SIGNALS), len(mean))
                    variance[config, config] = CONFIG / num_config
                log_belief = math.log(belief * weight)
                found.append((log_belief, mean, variance, pooled.noise, not signals))
    return _Models(*map(np.array, zip(*found, strict=True))) if found else None


def _like_and_unlike(pooled: Pooled) -> list[tuple[Pooled, float]]:
    """Past studies' slopes, and slopes of either sign; and how much is believed of each."""
    num = len(pooled.mean)
    if num == 0:
        return [(pooled, 1.0)]
    unlike = Pooled(np.zeros(num), np.eye(num), pooled.noise)
    return [(pooled, 1 - UNLIKE), (unlike, UNLIKE)]


def _design(rows: Rows) -> Floats:
    """(num_trials, 1 + 4 + num_columns): ones, the signals, the configuration."""
    return np.concatenate([np.ones((len(rows.gaps), 1)), rows.gaps, rows.config], axis=1)
