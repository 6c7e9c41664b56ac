"""What pruning may have missed: what the predictor stated of its prunes, what audits found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from predictor.types import Verdict
from sweep.account.compute import NOTHING, Usage
from sweep.account.constraints import Goal
from sweep.account.objective import ended_with
from sweep.storage.ledger import Decision, TrialRow
from sweep.storage.states import State


@dataclass(frozen=True, slots=True)
class ExpectedMisses:
    """How many of the pruned trials would have won, as the predictor states it."""

    sum: float
    """the sum of P over the prunes by rank that were not audited"""
    num: int
    """how many prunes that are"""
    most: float | None
    """pruning.max_expected_misses; null in studies of a version without it"""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What came of the trials that were to be pruned and went on to their end as a check."""

    num: int
    """trials audited"""
    finished: int
    """of these, completed or pruned by now"""
    beyond_flops: float
    """FLOPs that finished audited trials used after the step of their audit, by their share of
    steps: what auditing cost"""
    told: int
    """audits that tell a miss rate: at their end, and decided with an incumbent on record"""
    misses: int
    """of these, trials that ended better than the incumbent by min_gain x spread"""
    rate: float | None
    """estimated share of misses among all that would have been pruned: misses weighted by one over
    the audit's probability; null where no audit tells one"""
    low: float
    """lower end of the 95 % interval (Clopper and Pearson) of the share of misses"""
    high: float
    """upper end of that interval"""
    mean_stated: float | None
    """mean of the probabilities that the predictor stated of the audits that tell; null without"""


def expected_misses(
    trials: Sequence[TrialRow],
    decisions: Mapping[int, Sequence[Decision]],
    most: float | None = None,
) -> ExpectedMisses:
    """The expected misses of a study's trials; `most` is its limit."""
    pruned = [
        expected_miss(decision.verdict)
        for trial in trials
        for decision in decisions.get(trial.number, ())
        if (decision.verdict.action, decision.verdict.kind) == ("prune", "rank")
    ]
    return ExpectedMisses(math.fsum(pruned), len(pruned), most)


def audit_report(
    trials: Sequence[TrialRow],
    usage: Mapping[int, Usage],
    decisions: Mapping[int, Sequence[Decision]],
    goal: Goal,
) -> AuditReport:
    """What audits of a study's trials found. Each audit counts by one over its probability, which
    may have changed within the study; with several probabilities the interval is that of the
    effective number."""
    audits = [
        (trial, audit)
        for trial in trials
        if (audit := audit_of(decisions.get(trial.number, ()))) is not None
    ]
    if not audits:
        return AuditReport(0, 0, 0.0, 0, 0, None, 0.0, 1.0, None)
    from predictor.evidence.reliability import Audit, audit_miss_rate

    finished = [
        _flops_after(trial, audit, usage.get(trial.number, NOTHING))
        for trial, audit in audits
        if trial.state in (State.COMPLETED, State.PRUNED)
    ]
    found = audit_miss_rate(
        [
            Audit(audit.settings.audit, audit.verdict.probability, is_miss(trial, audit, goal))
            for trial, audit in audits
        ]
    )
    return AuditReport(
        num=len(audits),
        finished=len(finished),
        beyond_flops=sum(finished, 0.0),
        told=found.num_finished,
        misses=found.num_misses,
        rate=found.rate,
        low=found.low,
        high=found.high,
        mean_stated=found.mean_stated,
    )


def _flops_after(trial: TrialRow, audit: Decision, spent: Usage) -> float:
    by_then = trial.planned_flops * audit.step / max(trial.num_steps, 1)
    return max(0.0, spent.flops - spent.early_eval_flops - by_then)


def audit_of(decisions: Iterable[Decision]) -> Decision | None:
    """A trial's audit: the first, as a prune would have spared what was to prune it later."""
    return next((one for one in decisions if one.verdict.action == "audit"), None)


def is_miss(trial: TrialRow, decision: Decision, goal: Goal) -> bool | None:
    """Whether an audited trial ended better than its decision's incumbent by min_gain x spread, and
    holds every constraint; where none held them before, whether it does.

    None: not at its end yet, failed, or there was no incumbent on record.
    """
    evidence = decision.verdict.evidence
    best, spread = evidence.get("best"), evidence.get("spread")
    if trial.state not in (State.COMPLETED, State.PRUNED) or spread is None:
        return None
    end = ended_with(trial, goal.metric)
    is_feasible = end is not None and goal.is_feasible(trial)
    if best is None:
        return is_feasible if "feasible" in evidence else None
    from predictor.target import is_miss as is_missed  # imports numpy: for studies with audits

    return is_feasible and is_missed(end, best, spread, decision.settings.min_gain)


def decisions_by_trial(decisions: Iterable[Decision]) -> dict[int, list[Decision]]:
    """Each trial's decisions, in their order; no key for a trial without one."""
    found: dict[int, list[Decision]] = {}
    for decision in decisions:
        found.setdefault(decision.trial, []).append(decision)
    return found


def expected_miss(verdict: Verdict | None) -> float:
    """The probability stated where the trial was pruned by rank; 0 of an audit, which will show."""
    if verdict is None or (verdict.action, verdict.kind) != ("prune", "rank"):
        return 0.0
    return verdict.probability or 0.0  # the first version stated none
