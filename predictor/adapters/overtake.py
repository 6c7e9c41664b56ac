"""The gap model's verdict on one trial at its window, where trials are judged one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from predictor.gap.bent import parts_in_words, unbent
from predictor.gap.plan import GapForecast, Plan, plan
from predictor.gap.prior import GapPrior
from predictor.judge import audited
from predictor.rank import SHARE_OF_REST
from predictor.types import CohortTrial, Settings, Verdict


def judge_by_gaps(
    trial: CohortTrial, cohort: Sequence[CohortTrial], settings: Settings, share: float
) -> Verdict:
    """The verdict at the window, `share` of the training: continue, prune, or audit (a prune that
    goes on to the end). `cohort` is every trial seen so far, with or without this one."""
    if not settings.enabled:
        return _not_judged("pruning is off in this study")
    others = [t for t in cohort if t.number != trial.number]
    return audited(gap_rule(trial, others, settings, share), trial.number, settings)


def gap_rule(
    trial: CohortTrial,
    others: Sequence[CohortTrial],
    settings: Settings,
    share: float,
    prior: GapPrior | None = None,
) -> Verdict:
    """The verdict, prune or continue, on a trial at its window, `share` of the budget, against
    `others` (without it, in any order).

    The cohort is the trial and those with a window at the same number of samples that closed in
    the same phase. Nothing is pruned until `startup` others of it have been trained to the end.
    Pruned is a trial with P < risk, and P at most a quarter of what earlier unaudited prunes have
    left of `max_expected_misses`. P is that of overtaking the best finished trial, as
    `predictor.gap.plan.plan` has it. `prior`: the shipped one where None.
    """
    own = trial.window
    if own is None:
        return _not_judged("no window was measured, nothing to judge by")
    cohort = [
        other
        for other in others
        if other.window is not None
        and (other.window.samples, other.window.phase) == (own.samples, own.phase)
    ]
    num_finished = sum(other.is_finished for other in cohort)
    if num_finished < settings.startup:
        return _not_judged(
            f"waiting for finished trials: {num_finished} of the {settings.startup} needed before "
            "any is pruned by rank"
        )
    found = plan([*cohort, trial], (share,), settings, prior)
    forecast = found.forecasts.get(trial.number)
    if forecast is None or found.leader is None:
        return _not_judged("nothing tells the finished trials apart, nothing to judge by")
    spent = math.fsum(other.expected_miss for other in others)
    free = max(0.0, settings.max_expected_misses - spent)
    hindrance = _hindrance(forecast.probability, free, settings)
    return Verdict(
        action="continue" if hindrance else "prune",
        kind="rank",
        reason=_reason(found, forecast, hindrance, settings),
        probability=forecast.probability,
        evidence={
            "rule": "gap",
            "samples": own.samples,
            "phase": own.phase,
            "leader": found.leader,
            "spread": found.spread,
            "share": share,
            "behind": forecast.behind,
            "effects": dict(forecast.effects),
            "silent": found.silent,
            "expected_misses_before": spent,
        },
    )


def _hindrance(p: float, free: float, settings: Settings) -> str:
    """Why the trial goes on; empty: nothing speaks against a prune."""
    if not p < settings.risk:  # also where it is NaN
        return "not below the risk"
    if p > SHARE_OF_REST * free:
        return (
            f"more than a quarter of the {free:.2g} that earlier prunes left of "
            f"max_expected_misses {settings.max_expected_misses:g}"
        )
    return ""


def _reason(found: Plan, own: GapForecast, hindrance: str, settings: Settings) -> str:
    """As in: P(overtakes trial 4) = 0.031 < risk 0.10: 0.9 spreads behind it expected, after 10% of
    the budget (early evaluation 0.8, training loss 0.1 of it)."""
    sign = "<" if own.probability < settings.risk else ">="
    where = "behind" if own.behind >= 0 else "ahead of"
    goes_on = f"; goes on: {hindrance}" if hindrance and own.probability < settings.risk else ""
    return (
        f"P(overtakes trial {found.leader}) = {own.probability:.2g} {sign} risk "
        f"{settings.risk:.2f}: {abs(unbent(own.behind)):.1f} spreads {where} it expected, after "
        f"{own.share:.0%} of the budget{parts_in_words(own.behind, own.effects)}{goes_on}"
    )


def _not_judged(reason: str) -> Verdict:
    return Verdict(action="continue", kind="none", reason=reason)
