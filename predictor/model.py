"""The learned predictor: what a trial's window and configuration say about its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.features import RAW, Table, tabulate
from predictor.prior import Prior
from predictor.regression import Family, Fit, Mixture, fit, predict
from predictor.stats import student_cdf
from predictor.target import scale_of
from predictor.types import CohortTrial

Floats = NDArray[np.float64]

SIGNALS = ("early_eval", "loss", "grad_norm")
CONFIGURATION = "configuration"

# What is believed of each signal before a study has runs: that it tells something at all. An even
# chance for the early evaluation; the other two must earn their place, or they change more than one
# verdict in twenty where they are noise (studies/experiments/pure_noise).
INCLUDED = {"early_eval": 0.5, "loss": 0.07, "grad_norm": 0.07}


def _set_weight(used: frozenset[str]) -> float:
    return math.prod(p if name in used else 1 - p for name, p in INCLUDED.items())


_SETS = tuple(
    frozenset(name for name, used in zip(SIGNALS, chosen, strict=True) if used)
    for chosen in product((False, True), repeat=len(SIGNALS))
)
# What the belief that looking tells nothing counts for, in finished trials: three of them fit by
# chance, and without it prunes missed three times as often as stated (studies/LOG.md).
DOUBT = 3.0

NEXT_TO_BEST = 3  # spacings that tell how far a new best trial lies ahead

# Half of the belief is that the configuration tells nothing: three finished trials and many columns
# fit by chance.
OURS = Family(
    signal_sets=_SETS,
    set_weights=tuple(_set_weight(used) for used in _SETS),
    config_scales=(1.0, 0.25, 0.0),
    config_weights=(0.25, 0.25, 0.5),
    point_scales=(10.0, 1.0),
    noise_b0=(0.01, 0.03, 0.1, 0.3),
    inflate=True,
)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the model says about one trial."""

    probability: float  # that it beats the incumbent by min_gain x spread
    p_signals: float  # the same without the belief that they tell nothing
    p0: float  # the same of a trial that nothing is known of yet
    incumbent: int  # the number of the best finished trial
    best: float  # its objective
    spread: float  # median - best of the finished trials
    num_finished: int
    num_seen: int  # with a window, this one included
    norm: str  # the kind of norm that was compared
    signals: dict[str, float]  # sd above the mean of the trials seen
    slopes: dict[str, float]  # of each signal: target per sd, averaged over the models
    effects: dict[str, float]  # of each signal and the configuration, in targets: above 0 is worse
    config_weight: float  # of the models that use the configuration

    def to_json(self) -> dict[str, Any]:
        """The fields by their names, of which two are those that verdicts are stored with."""
        stored = {"p_signals": "by_signals", "p0": "before"}
        return {stored.get(name, name): getattr(self, name) for name in self.__slots__}


def forecast(
    trial: CohortTrial,
    others: Sequence[CohortTrial],
    *,
    min_gain: float,
    startup: int,
    prior: Prior,
    family: Family = OURS,
) -> Forecast | None:
    """The chance that the trial beats the best by min_gain x spread, and what it rests on. None
    where the finished trials tie, or fewer than two are finished.

    How often a further trial wins comes from its being one more of its kind (P0); how much what it
    shows changes that, from the regression, as a ratio of odds, for the regression's tails are only
    as right as its scale is. P is that, mixed with P0 at a weight of DOUBT to the n finished
    trials: that looking tells nothing is one more belief, which n trials outweigh.
    `others`: all with a window comparable with the trial's, without the trial itself; their order
    changes nothing. "Finished" are those with a finite objective.
    """
    cohort = [trial, *sorted(others, key=lambda other: other.number)]
    table = tabulate(cohort, startup)
    finished = [i for i, t in enumerate(cohort) if i and t.is_finished]
    objectives = [_objective(cohort[i]) for i in finished]
    scale = scale_of(objectives)
    if scale is None or len(finished) < 2:
        return None
    targets = scale.squash(np.array(objectives))
    fitted, predicted = regress(table, finished, targets, prior, family)
    p0 = chance_of_another(objectives, min_gain)
    assert p0 is not None
    goal = scale.beaten_by(min_gain)
    odds = _odds(predicted.below(goal)) / _odds(_p0_of_regression(targets, goal)) * _odds(p0)
    p_signals = odds / (1 + odds)
    slopes, sds = _slopes(fitted, table), table.design.signals[0]
    signals = {name: float(sd) for name, sd in zip(table.names, sds, strict=True)}
    effects = {name: slopes[name] * sd for name, sd in signals.items()}
    unlike_others = float(predicted.weights @ predicted.means) - _middle(fitted, targets)
    effects[CONFIGURATION] = unlike_others - sum(effects.values())
    return Forecast(
        probability=(len(finished) * p_signals + DOUBT * p0) / (len(finished) + DOUBT),
        p_signals=p_signals,
        p0=p0,
        incumbent=cohort[finished[int(np.argmin(objectives))]].number,
        best=scale.best,
        spread=scale.spread,
        num_finished=len(finished),
        num_seen=len(cohort),
        norm=table.norm if "grad_norm" in table.names else RAW,
        signals=signals,
        slopes=slopes,
        effects=effects,
        config_weight=_config_weight(fitted, table),
    )


def regress(
    table: Table, finished: Sequence[int], targets: Floats, prior: Prior, family: Family
) -> tuple[Fit, Mixture]:
    """The models on the `finished` rows of a table, and what they predict of its first.

    targets: (num_finished,). Without replicates of a point its effect is only noise under another
    name, and is left out.
    """
    centre, design = float(targets.mean()), table.design
    points = design.points[[0, *finished]]
    if len(np.unique(points)) == len(points):
        family = replace(family, point_scales=(0.0,))
    rows, own = design.rows(finished), prior.comparing(table.norm)
    fitted = fit(rows, targets - centre, table.names, own, family)
    found = predict(fitted, design.rows([0]))
    return fitted, found._replace(means=found.means + centre)


def chance_of_another(objectives: Sequence[float], min_gain: float) -> float | None:
    """P0: that a further trial beats the best finished one by min_gain x (median - best).

    Of n + 1 trials drawn alike each is as likely the best, whatever their distribution: 1 / (n + 1)
    beat the best at all. By how much is exponential beyond it, with the mean of the scaled spacings
    i (y_i+1 - y_i) next to the best as its scale, and one spacing of median - best mixed in (Renyi,
    On the theory of order statistics, 1953). None for fewer than two finished trials, and for ties.
    Known weaknesses: too high where the finished are the better for earlier prunes; too low for a
    sampler that has learned where good trials are.
    """
    scale, n = scale_of(objectives), len(objectives)
    if scale is None or n < 2:
        return None
    spacings = np.diff(np.sort(objectives)[: NEXT_TO_BEST + 1])
    scaled = spacings * np.arange(1, len(spacings) + 1)
    typical = (float(scaled.sum()) + scale.spread) / (len(scaled) + 1)
    return math.exp(-min_gain * scale.spread / typical) / (n + 1)


def _p0_of_regression(targets: Floats, goal: float) -> float:
    """What the regression would say of a further trial if it had looked at nothing.

    The Student-t prediction of a normal sample under the reference prior, as scipy.stats.t with
    n - 1 degrees of freedom at the mean with scale sd x sqrt(1 + 1/n); n >= 2.
    """
    n = len(targets)
    sd = float(np.std(targets, ddof=1))
    return float(student_cdf((goal - float(targets.mean())) / (sd * (1 + 1 / n) ** 0.5), n - 1))


def _odds(probability: float) -> float:
    """Of one that is neither 0 nor 1, by as much as numbers can tell."""
    least = 1e-12
    return max(probability, least) / max(1 - probability, least)


def _objective(trial: CohortTrial) -> float:
    assert trial.objective is not None
    return trial.objective


def _middle(fitted: Fit, targets: Floats) -> float:
    """The target of a trial like the mean of all, whatever its configuration."""
    intercept = fitted.weights.sum(1) @ (fitted.scales[:, 0] * fitted.beta[:, 0])
    return float(targets.mean() + intercept)


def _slopes(fitted: Fit, table: Table) -> dict[str, float]:
    weights = fitted.weights.sum(1)
    slopes = weights @ (fitted.scales * fitted.beta)
    return {name: float(slopes[1 + i]) for i, name in enumerate(table.names)}


def _config_weight(fitted: Fit, table: Table) -> float:
    first = 1 + len(table.names)
    if fitted.scales.shape[1] == first:
        return 0.0
    return float(fitted.weights.sum(1) @ (fitted.scales[:, first] > 0))
