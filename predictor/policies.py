"""Policies to replay: ours, model M of the feasibility study, and rivals that need no library."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from predictor.features import tabulate
from predictor.judge import judge
from predictor.model import SIGNALS, forecast
from predictor.prior import Prior
from predictor.regression import Family, fit, predict
from predictor.replay import Policy
from predictor.target import scale_of
from predictor.types import CohortTrial, Settings

MODEL_M = Family(
    signal_sets=(frozenset(SIGNALS),),
    set_weights=(1.0,),
    config_scales=(4.0, 1.0, 0.25, 0.001),
    point_scales=(10.0, 1.0),
    noise_b0=(0.3,),
    inflate=False,
)
CONFIG_ONLY = replace(MODEL_M, signal_sets=(frozenset(),))
EARLY_EVAL_ONLY = replace(
    MODEL_M, signal_sets=(frozenset({"early_eval"}),), config_scales=(0.0,), point_scales=(0.0,)
)
NO_DIRECTION = Prior(0.0)


def ours(settings: Settings) -> Policy:
    """`judge` itself; the audits' coins are those of the order's seed."""

    def policy(
        trial: CohortTrial, seen: Sequence[CohortTrial], seed: int
    ) -> tuple[bool, float | None]:
        verdict = judge(trial, seen, replace(settings, seed=seed))
        return verdict.action == "prune", verdict.probability

    return policy


def model_m(risk: float = 0.1, min_gain: float = 0.05, startup: int = 3) -> Policy:
    """Model M: all signals, numbers of the configuration, P < risk and no other condition.

    Its target is u = (log y - best) / (median - best), and 1 + log u above 1.
    """

    def policy(
        trial: CohortTrial, seen: Sequence[CohortTrial], seed: int
    ) -> tuple[bool, float | None]:
        cohort = [trial, *seen]
        finished = [i for i, t in enumerate(cohort) if i and t.objective is not None]
        objectives = np.log([t.objective for t in cohort[1:] if t.objective is not None])
        scale = scale_of([float(y) for y in objectives])
        if len(finished) < startup or scale is None:
            return False, None
        table = tabulate(cohort, startup)
        u = (objectives - scale.best) / scale.spread
        u = np.where(u < 1, u, 1 + np.log(np.maximum(u, 1.0)))
        centre = float(u.mean())
        fitted = fit(table.design.rows(finished), u - centre, table.names, NO_DIRECTION, MODEL_M)
        p = predict(fitted, table.design.rows([0])).below(-min_gain - centre)
        return p < risk, p

    return policy


def by_family(
    family: Family, risk: float = 0.1, min_gain: float = 0.05, startup: int = 3
) -> Policy:
    """Our regression with other models in it, pruning where P < risk alone, as a control."""

    def policy(
        trial: CohortTrial, seen: Sequence[CohortTrial], seed: int
    ) -> tuple[bool, float | None]:
        if sum(t.objective is not None for t in seen) < startup:
            return False, None
        found = forecast(
            trial, seen, min_gain=min_gain, startup=startup, prior=NO_DIRECTION, family=family
        )
        return (False, None) if found is None else (found.probability < risk, found.probability)

    return policy


def worse_half(weights: Mapping[str, float], startup: int = 5) -> Policy:
    """Prune above the median of a weighted sum of ranks, once `startup` runs are finished.

    Weights are of early_eval, loss and grad_norm; the paper's direction, its sign hard-coded, is
    {"loss": -1, "grad_norm": 1}.
    """

    def policy(
        trial: CohortTrial, seen: Sequence[CohortTrial], seed: int
    ) -> tuple[bool, float | None]:
        if sum(t.objective is not None for t in seen) < startup:
            return False, None
        scores = rank_score([trial, *seen], weights)
        return bool(scores[0] > np.median(scores)), None

    return policy


def at_random(share: float, startup: int = 3) -> Policy:
    """Prune a share of the trials by a coin."""

    def policy(
        trial: CohortTrial, seen: Sequence[CohortTrial], seed: int
    ) -> tuple[bool, float | None]:
        if sum(t.objective is not None for t in seen) < startup:
            return False, None
        digest = hashlib.sha256(f"random {seed} {trial.number}".encode()).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 < share, None

    return policy


def keep_all(
    trial: CohortTrial, seen: Sequence[CohortTrial], seed: int
) -> tuple[bool, float | None]:
    return False, None


def rank_score(trials: Sequence[CohortTrial], weights: Mapping[str, float]) -> list[float]:
    """The weighted sum of the ranks of the named signals, of each trial; a missing one is last."""
    total = np.zeros(len(trials))
    for name, weight in weights.items():
        values = [getattr(trial.window, name) for trial in trials]
        column = np.array([np.inf if v is None else v for v in values], dtype=np.float64)
        column = np.where(np.isnan(column), np.inf, column)
        below = np.searchsorted(np.sort(column), column, side="left")
        up_to = np.searchsorted(np.sort(column), column, side="right")
        total += weight * (below + up_to + 1) / 2
    return [float(x) for x in total]
