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
from typing import Any

from sweep.storage.ledger import BASE, Cost, Decision, TrialRow


@dataclass(slots=True)
class Usage:
    """What one trial cost, over all its attempts."""

    input_tokens: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    early_eval_flops: float = 0.0  # of `flops`

    def add(self, cost: Cost) -> None:
        self.input_tokens += cost.input_tokens
        self.seconds += cost.seconds
        self.flops += cost.flops
        if cost.what == "early_eval":
            self.early_eval_flops += cost.flops


def usage_by_trial(costs: Iterable[Cost]) -> dict[int, Usage]:
    """Keyed by the trial's number; the base model's under `BASE`."""
    usage: dict[int, Usage] = {}
    for cost in costs:
        usage.setdefault(cost.trial, Usage()).add(cost)
    return usage


def usage_of(costs: Iterable[Cost]) -> Usage:
    """Of costs of one trial."""
    usage = Usage()
    for cost in costs:
        usage.add(cost)
    return usage


def decisive(trial: TrialRow, decisions: Sequence[Decision]) -> Decision | None:
    """The one decision to show: what pruned the trial, else its audit, else its look at the window.

    `decisions` are the trial's own, in the order they were taken.
    """
    actions = ["prune", "audit"] if trial.state == "pruned" else ["audit", "prune"]
    for action in actions:
        for decision in decisions:
            if decision.verdict.action == action:
                return decision
    at_window = [decision for decision in decisions if decision.moment == "window"]
    return (at_window or list(decisions) or [None])[-1]


def account(
    trials: Sequence[TrialRow],
    usage: Mapping[int, Usage],
    decided: Mapping[int, Decision],
    num_stopped: int = 0,
) -> dict[str, Any]:
    """The study's compute in FLOPs; the module says what is counted where.

    `decided` holds the decisive decisions by trial, `num_stopped` is how many trials were not
    started as the study was stopped. `saved_share` is None before there is a plan.
    """
    base = usage.get(BASE, Usage()).flops
    stopping = 0.0
    if trials:
        stopping = num_stopped * math.fsum(row.planned_flops for row in trials) / len(trials)
    used, planned, unsettled = base, base + stopping, 0.0
    guards = rank = early_evals = beyond_plan = failed = 0.0
    for trial in trials:
        spent = usage.get(trial.number, Usage())
        if trial.state not in ("completed", "pruned", "failed"):
            unsettled += spent.flops
            continue
        used += spent.flops
        if trial.state == "failed":
            failed += spent.flops
            continue
        planned += trial.planned_flops
        if trial.state == "completed":
            early_evals += spent.early_eval_flops
            beyond_plan += spent.flops - spent.early_eval_flops - trial.planned_flops
            continue
        decision = decided.get(trial.number)
        if decision is not None and decision.verdict.kind == "rank":
            rank += trial.planned_flops - spent.flops
        else:
            guards += trial.planned_flops - spent.flops
    return {
        "used_flops": used,
        "planned_flops": planned,
        "saved_share": (planned - used) / planned if planned > 0 else None,
        "saved_by_guards": guards,
        "saved_by_rank": rank,
        "saved_by_stopping": stopping,
        "overhead_flops": early_evals + beyond_plan + failed,
        "overhead": {"early_evals": early_evals, "beyond_plan": beyond_plan, "failed": failed},
        "base_flops": base,
        "unsettled_flops": unsettled,
        "seconds": sum(one.seconds for one in usage.values()),
    }


def audit_cost(
    trials: Sequence[TrialRow],
    usage: Mapping[int, Usage],
    decisions: Mapping[int, Sequence[Decision]],
) -> dict[str, Any]:
    """How often a would-be prune went on to its end, and what that cost.

    `beyond_flops`: what finished audited trials used after the step of their audit, reckoned by
    their share of steps.
    """
    num = finished = 0
    beyond = 0.0
    for trial in trials:
        steps = [d.step for d in decisions.get(trial.number, ()) if d.verdict.action == "audit"]
        if not steps:
            continue
        num += 1
        if trial.state in ("completed", "pruned"):
            finished += 1
            spent = usage.get(trial.number, Usage())
            by_then = trial.planned_flops * steps[0] / max(trial.num_steps, 1)
            beyond += max(0.0, spent.flops - spent.early_eval_flops - by_then)
    return {"num": num, "finished": finished, "beyond_flops": beyond}
