"""What a study's compute went into, and what was not spent: `planned - used` told apart by cause.

Counted are the base model's measurement and every settled trial, all attempts and early
evaluations included. A trial that still runs or waits is in neither `used` nor `planned`; what it
has cost so far is `unsettled`. A failed trial's plan is not counted either: a crash is no saving,
and all that it used is overhead. Trials that a study which was stopped did not start are planned at
the mean of those that it did. So, exactly:

    planned - used = saved_by_guards + saved_by_rank + saved_by_stopping - overhead

where overhead is what completed trials used beyond their plan (early evaluations, steps done twice
after an interruption) and all that failed trials used. Known weakness: plans are estimates from
the mean length of a sample, so the overhead of completed trials carries that error too and may be
slightly negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sweep.storage.ledger import BASE, Cost, Decision, TrialRow
from sweep.storage.states import SETTLED, State, is_look


@dataclass(frozen=True, slots=True)
class Usage:
    """What one trial cost, over all its attempts."""

    input_tokens: int = 0
    """tokens trained on and evaluated, prompts included and padding not"""
    seconds: float = 0.0
    """device-seconds: wall time times the trial's processes"""
    flops: float = 0.0
    """FLOPs, early evaluations included"""
    early_eval_flops: float = 0.0
    """of `flops`, those of early evaluations"""
    final_flops: float = 0.0
    """of `flops`, those of what the best few are measured by at the end (objective.final)"""


NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Overhead:
    """Compute that no plan had; their sum is `overhead_flops`."""

    early_evals: float
    """FLOPs of the early evaluations of completed trials"""
    beyond_plan: float
    """FLOPs of completed trials beyond their plan: steps done twice after an interruption, less
    what a plan overestimated"""
    failed: float
    """FLOPs of failed trials: all that they used"""


@dataclass(frozen=True, slots=True)
class ComputeReport:
    """What a study's compute went into. planned_flops - used_flops = saved_by_guards +
    saved_by_rank + saved_by_stopping - overhead_flops."""

    used_flops: float
    """FLOPs of the settled trials, all attempts and evaluations, and of the base model's
    measurement"""
    planned_flops: float
    """FLOPs of the same, each completed or pruned trial trained once to its end, and of the trials
    that the study did not start as it was stopped; what the best few are measured by at the end
    counts as it was"""
    saved_share: float | None
    """(planned - used) / planned; null before there is a plan"""
    saved_by_guards: float
    """FLOPs not spent on trials pruned by a guard"""
    saved_by_rank: float
    """FLOPs not spent on trials pruned by rank"""
    saved_by_stopping: float
    """FLOPs of the trials not started, each at the mean plan of those that were"""
    overhead_flops: float
    """FLOPs of `overhead` together"""
    overhead: Overhead
    """the overhead by cause"""
    base_flops: float
    """FLOPs of measuring the base model; part of used and planned"""
    unsettled_flops: float
    """FLOPs so far of trials that wait, run or are parked; in neither used nor planned"""
    seconds: float
    """device-seconds of everything, all trials together"""


def usage_by_trial(costs: Iterable[Cost]) -> dict[int, Usage]:
    """Each trial's usage, by its number; the base model's under `BASE`."""
    by_trial: dict[int, list[Cost]] = {}
    for cost in costs:
        by_trial.setdefault(cost.trial, []).append(cost)
    return {number: usage_of(own) for number, own in by_trial.items()}


def usage_of(costs: Iterable[Cost]) -> Usage:
    """The usage that the costs of one trial add up to."""
    own = list(costs)
    return Usage(
        input_tokens=sum(cost.input_tokens for cost in own),
        seconds=sum((cost.seconds for cost in own), 0.0),
        flops=sum((cost.flops for cost in own), 0.0),
        early_eval_flops=_flops_for("early_eval", own),
        final_flops=_flops_for("final", own),
    )


def _flops_for(what: str, costs: Iterable[Cost]) -> float:
    return sum((cost.flops for cost in costs if cost.what == what), 0.0)


def decisive(trial: TrialRow, decisions: Sequence[Decision]) -> Decision | None:
    """The one decision to show: what pruned the trial, else its audit, else its last look.

    `decisions` are the trial's own, in the order they were taken.
    """
    actions = ["prune", "audit"] if trial.state == State.PRUNED else ["audit", "prune"]
    for action in actions:
        for decision in decisions:
            if decision.verdict.action == action:
                return decision
    at_looks = [decision for decision in decisions if is_look(decision.moment)]
    return (at_looks or list(decisions) or [None])[-1]


def compute_report(
    trials: Sequence[TrialRow],
    usage: Mapping[int, Usage],
    decided: Mapping[int, Decision],
    num_stopped: int = 0,
) -> ComputeReport:
    """The study's compute in FLOPs; the module says what is counted where.

    `decided` holds the decisive decisions by trial, `num_stopped` is how many trials were not
    started as the study was stopped.
    """
    base = usage.get(BASE, NOTHING).flops
    stopping = 0.0
    if trials:
        stopping = num_stopped * math.fsum(row.planned_flops for row in trials) / len(trials)
    used, planned, unsettled = base, base + stopping, 0.0
    guards = rank = early_evals = beyond_plan = failed = 0.0
    for trial in trials:
        spent = usage.get(trial.number, NOTHING)
        if trial.state not in SETTLED:
            unsettled += spent.flops
            continue
        used += spent.flops
        if trial.state == State.FAILED:
            failed += spent.flops
            continue
        planned += trial.planned_flops + spent.final_flops
        if trial.state == State.COMPLETED:
            early_evals += spent.early_eval_flops
            own = spent.flops - spent.early_eval_flops - spent.final_flops
            beyond_plan += own - trial.planned_flops
            continue
        decision = decided.get(trial.number)
        if decision is not None and decision.verdict.kind == "rank":
            rank += trial.planned_flops - spent.flops
        else:
            guards += trial.planned_flops - spent.flops
    return ComputeReport(
        used_flops=used,
        planned_flops=planned,
        saved_share=(planned - used) / planned if planned > 0 else None,
        saved_by_guards=guards,
        saved_by_rank=rank,
        saved_by_stopping=stopping,
        overhead_flops=early_evals + beyond_plan + failed,
        overhead=Overhead(early_evals, beyond_plan, failed),
        base_flops=base,
        unsettled_flops=unsettled,
        seconds=sum(one.seconds for one in usage.values()),
    )
