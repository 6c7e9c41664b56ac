"""Studies in which a signal is nothing but noise.

Trials arrive one by one. Of each study: how often a verdict differs from that of a model without
the noise signals, and prunes that missed and whether the best run was lost, beside what the
verdicts stated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from predictor.rank import rank_rule
from predictor.types import CohortTrial, Settings, Verdict, WindowSignals

NUM_TRIALS = 12
SETTINGS = Settings(audit=0.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    num_verdicts: int  # that compared
    num_differ: int  # from the model without the noise signals
    stated: float  # sum of P over the prunes
    misses: int  # prunes that would have beaten the incumbent of their moment by min_gain
    lost_best: bool  # the best run was pruned, and the best kept is worse by min_gain x spread


def simulate(seed: int, told_by_early_eval: float) -> Outcome:
    """One study whose gradient norm and training loss are noise; its early evaluation correlates
    with the end as given (0: noise as well)."""
    rng = np.random.default_rng([seed, round(100 * told_by_early_eval)])
    ends = rng.normal(size=NUM_TRIALS)
    rest = math.sqrt(1 - told_by_early_eval**2)
    early = told_by_early_eval * ends + rest * rng.normal(size=NUM_TRIALS)
    losses, norms = rng.normal(size=(2, NUM_TRIALS))
    objectives = np.exp(0.1 * ends)
    seen: list[CohortTrial] = []
    num_verdicts = num_differ = misses = 0
    stated = 0.0
    for i in range(NUM_TRIALS):
        window = WindowSignals(
            1, math.exp(0.1 * losses[i]), math.exp(norms[i]), None, math.exp(0.1 * early[i])
        )
        trial = CohortTrial(i, {"learning_rate": float(10 ** rng.uniform(-5, -3))}, window)
        verdict = rank_rule(trial, seen, SETTINGS)
        without = rank_rule(_muted(trial), [_muted(other) for other in seen], SETTINGS)
        num_verdicts += verdict.kind == "rank"
        num_differ += verdict.action != without.action
        if verdict.action == "prune":
            assert verdict.probability is not None
            stated += verdict.probability
            misses += _is_miss(float(objectives[i]), verdict)
            seen.append(replace(trial, expected_miss=verdict.probability))
        else:
            seen.append(replace(trial, objective=float(objectives[i])))
    kept = min(t.objective for t in seen if t.objective is not None)
    best = float(objectives.min())
    spread = float(np.median(objectives)) - best
    lost = kept - best > SETTINGS.min_gain * spread
    return Outcome(num_verdicts, num_differ, stated, misses, lost)


def _muted(trial: CohortTrial) -> CohortTrial:
    """Norm and training loss the same in all trials: they tell nothing."""
    assert trial.window is not None
    return replace(trial, window=replace(trial.window, loss=1.0, grad_norm=1.0))


def _is_miss(objective: float, verdict: Verdict) -> bool:
    best, spread = verdict.evidence["best"], verdict.evidence["spread"]
    return objective < best - SETTINGS.min_gain * spread


def shares(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Verdicts that differ, of all; per study: stated and actual misses, best runs lost."""
    return {
        "differ": sum(o.num_differ for o in outcomes) / sum(o.num_verdicts for o in outcomes),
        "stated": float(np.mean([o.stated for o in outcomes])),
        "misses": float(np.mean([o.misses for o in outcomes])),
        "lost_best": float(np.mean([o.lost_best for o in outcomes])),
    }
