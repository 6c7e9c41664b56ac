"""The two questions that the driver asks: is this trial still sound, and should it go on?

`guard` is asked after every step, `judge` once, when the trial's window closes. Both are pure: the
same observations, cohort and settings give the same verdict, so a restart changes nothing. A rule
says prune or continue; what an audit makes of a prune is decided here, in one place for all rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from predictor.audit import is_audited
from predictor.guards import check_guards
from predictor.prior import Prior
from predictor.rank import rank_rule
from predictor.types import CohortTrial, Observation, Settings, Verdict

PREDICTOR_VERSION = "learned-6"  # of `judge`
GAP_VERSION = "gap-1"  # of the verdicts by predictor.gap: where trials are scouted, and adapters'


def version_of(settings: Settings) -> str:
    """The version that verdicts under these settings are stored with."""
    return GAP_VERSION if settings.scouts else PREDICTOR_VERSION


def judge(
    trial: CohortTrial,
    cohort: Sequence[CohortTrial],
    settings: Settings,
    prior: Prior | None = None,
) -> Verdict:
    """The verdict at the window: continue, prune, or audit (a prune that goes on to the end).

    `cohort` is every trial seen so far, with or without this one, in any order. The kind is "rank"
    where a probability could be stated, "none" where none could be. `prior`: the paper's where None
    (predictor.recorded.history makes one of past studies).
    """
    if not settings.enabled:
        return Verdict(action="continue", kind="none", reason="pruning is off in this study")
    others = [t for t in cohort if t.number != trial.number]
    return audited(rank_rule(trial, others, settings, prior), trial.number, settings)


def guard(
    observations: Sequence[Observation], warmup_steps: int, number: int, settings: Settings
) -> Verdict | None:
    """The verdict of the guard that the latest of a trial's observations trips, or None.

    Divergence is audited like a rank decision; a trial that is not finite never is. An audited
    trial that stays diverged gets the same verdict again at every further step.
    """
    hit = check_guards(observations, warmup_steps, settings)
    if hit is None:
        return None
    verdict = Verdict(action="prune", kind="guard", reason=hit.reason, evidence=hit.evidence)
    return verdict if hit.name == "not finite" else audited(verdict, number, settings)


def audited(verdict: Verdict, number: int, settings: Settings) -> Verdict:
    """The verdict, with a prune turned into an audit where the trial's coin says so."""
    if verdict.action != "prune" or not is_audited(settings.seed, number, settings.audit):
        return verdict
    reason = f"would have been pruned: {verdict.reason}; goes on to the end to check the predictor"
    return replace(verdict, action="audit", reason=reason)
