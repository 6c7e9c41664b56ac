"""The audits of studies: who was to be pruned, went on to the end, and how that ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from predictor.reliability import Audit
from sweep.inspect import open_study
from sweep.ledger import Decision, Ledger, TrialRow
from sweep.misses import ended_with, is_miss
from sweep.sources import names_study


@dataclass(frozen=True, slots=True)
class AuditedTrial:
    group: str  # the study's name
    kind: str  # rank | guard: what was to prune it
    audit: Audit


def read_audits(texts: Sequence[str]) -> list[AuditedTrial]:
    """Of the studies among the sources; recorded sets do not hold what was decided.

    A rank audit missed where the trial beat the incumbent of its moment (`sweep.misses`). A guard's
    knows no incumbent: it missed where the trial ended better than every other finished one.
    """
    found: list[AuditedTrial] = []
    for text in texts:
        if names_study(text):
            ledger, _ = open_study(text)
            try:
                found += _of(ledger)
            finally:
                ledger.engine.dispose()
    return found


def _of(ledger: Ledger) -> list[AuditedTrial]:
    row = ledger.read_study()
    assert row is not None, ledger.study
    metric: str = row.document["objective"]["metric"]
    trials = {trial.number: trial for trial in ledger.read_trials()}
    found: list[AuditedTrial] = []
    for decision in ledger.read_decisions():
        verdict = decision.verdict
        if verdict.action != "audit" or decision.trial not in trials:
            continue
        if verdict.kind == "rank":
            missed = is_miss(trials[decision.trial], decision, metric)
        else:
            missed = _beats_all(decision, trials, metric)
        audit = Audit(decision.settings.audit, verdict.probability, missed)
        found.append(AuditedTrial(row.name, verdict.kind, audit))
    return found


def _beats_all(decision: Decision, trials: Mapping[int, TrialRow], metric: str) -> bool | None:
    trial = trials[decision.trial]
    if trial.state not in ("completed", "pruned"):
        return None
    ends = {number: ended_with(other, metric) for number, other in trials.items()}
    own = ends.pop(decision.trial)
    others = min((end for end in ends.values() if end is not None), default=math.inf)
    return own is not None and own < others
