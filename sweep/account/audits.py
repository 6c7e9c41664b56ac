"""What pruning may have missed: what the predictor stated of its prunes, what audits found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from predictor.types import Verdict
from sweep.account.objective import ended_with
from sweep.storage.ledger import Decision, TrialRow


def expected_misses(
    trials: Sequence[TrialRow], decisions: Mapping[int, Sequence[Decision]]
) -> dict[str, Any]:
    """The sum of P over the prunes by rank that were not audited, and how many there are."""
    pruned = [
        expected_miss(decision.verdict)
        for trial in trials
        for decision in decisions.get(trial.number, ())
        if (decision.verdict.action, decision.verdict.kind) == ("prune", "rank")
    ]
    return {"sum": math.fsum(pruned), "num": len(pruned)}


def audit_misses(
    trials: Sequence[TrialRow], decisions: Mapping[int, Sequence[Decision]], metric: str
) -> dict[str, Any]:
    """The share of audited prunes that beat the incumbent of their moment by min_gain x spread.

    Weighted by one over the audit's probability, which may have changed within the study, with a 95
    % interval as Clopper and Pearson's. `told` audits are at their end and knew an incumbent;
    the share is None where there is none such.
    """
    audited = [
        (trial, audit)
        for trial in trials
        if (audit := audit_of(decisions.get(trial.number, ()))) is not None
    ]
    nothing = {"told": 0, "misses": 0, "rate": None, "low": 0.0, "high": 1.0, "mean_stated": None}
    if not audited:
        return nothing
    from predictor.evidence.reliability import Audit, audit_miss_rate

    found = audit_miss_rate(
        [
            Audit(
                decision.settings.audit,
                decision.verdict.probability,
                is_miss(trial, decision, metric),
            )
            for trial, decision in audited
        ]
    )
    return {
        "told": found.num_finished,
        "misses": found.num_misses,
        "rate": found.rate,
        "low": found.low,
        "high": found.high,
        "mean_stated": found.mean_stated,
    }


def audit_of(decisions: Iterable[Decision]) -> Decision | None:
    """A trial's audit: the first, as a prune would have spared what was to prune it later."""
    return next((one for one in decisions if one.verdict.action == "audit"), None)


def is_miss(trial: TrialRow, decision: Decision, metric: str) -> bool | None:
    """Whether an audited trial ended better than its decision's incumbent by min_gain x spread.

    None: not at its end yet, failed, or there was no incumbent on record.
    """
    evidence: Mapping[str, Any] = decision.verdict.evidence
    best, spread = evidence.get("best"), evidence.get("spread")
    if trial.state not in ("completed", "pruned") or best is None or spread is None:
        return None
    from predictor.target import is_miss as is_missed  # imports numpy: for studies with audits

    return is_missed(ended_with(trial, metric), best, spread, decision.settings.min_gain)


def expected_miss(at_window: Verdict | None) -> float:
    """The probability stated where the trial was pruned by rank; 0 of an audit, which will show."""
    if at_window is None or (at_window.action, at_window.kind) != ("prune", "rank"):
        return 0.0
    return at_window.probability or 0.0  # the first version stated none
