"""The audits of studies: who was to be pruned, went on to the end, and how that ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from predictor.reliability import Audit
from sweep.inspect import open_study
from sweep.ledger import Decision, Ledger, TrialRow
from sweep.sources import names_study
from sweep.trial import turned


@dataclass(frozen=True, slots=True)
class AuditedTrial:
    group: str  # the study's name
    run: str  # as in the recorded study
    kind: str  # rank | guard: what was to prune it
    share: float  # the probability of its audit
    audit: Audit


def read_audits(texts: Sequence[str]) -> list[AuditedTrial]:
    """Of the studies among the sources; recorded sets do not say which runs were audits.

    A rank audit missed where the trial ended better than the incumbent of that moment by min_gain
    x spread or more. A guard's knows no incumbent: it missed where the trial ended better than
    every other finished one.
    """
    found: list[AuditedTrial] = []
    for text in texts:
        if names_study(text):
            ledger, paths = open_study(text)
            try:
                found += _of(ledger, paths.out.resolve().name)
            finally:
                ledger.engine.dispose()
    return found


def _of(ledger: Ledger, folder: str) -> list[AuditedTrial]:
    row = ledger.read_study()
    assert row is not None, ledger.study
    metric: str = row.document["objective"]["metric"]
    trials = {trial.number: trial for trial in ledger.read_trials()}
    objectives = {number: _objective(trial, metric) for number, trial in trials.items()}
    found: list[AuditedTrial] = []
    for decision in ledger.read_decisions():
        if decision.verdict.action != "audit" or decision.trial not in trials:
            continue
        verdict, share = decision.verdict, decision.settings.audit
        others = [
            y for number, y in objectives.items() if number != decision.trial and y is not None
        ]
        goal = _goal(decision) if verdict.kind == "rank" else min(others, default=math.inf)
        ended = trials[decision.trial].state in ("completed", "pruned")
        own = objectives[decision.trial]
        is_miss = None if not ended or goal is None else own is not None and own <= goal
        audit = Audit(share, verdict.probability, is_miss)
        found.append(
            AuditedTrial(row.name, f"{folder}/{decision.trial}", verdict.kind, share, audit)
        )
    return found


def _goal(decision: Decision) -> float | None:
    """The objective that the incumbent of that moment asks for, lower is better; None where an
    early version of the predictor did not record it."""
    evidence: dict[str, Any] = dict(decision.verdict.evidence)
    best, spread = evidence.get("best"), evidence.get("spread")
    if best is None or spread is None:
        return None
    return best - decision.settings.min_gain * spread


def _objective(trial: TrialRow, metric: str) -> float | None:
    """Turned so that lower is better; None where it has none."""
    if trial.state != "completed" or trial.objective is None or not math.isfinite(trial.objective):
        return None
    assert trial.measurements is not None
    return turned(metric, trial.objective, trial.measurements[metric]["num"])
