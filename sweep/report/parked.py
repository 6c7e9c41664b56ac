"""The parked trials of a study, each with what the gap model expects of it as things stand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from predictor.types import Settings
from sweep.account.scouting import Scouted, looks_of, scouted, share_of
from sweep.account.terms import Terms
from sweep.report.prior import PRIOR
from sweep.storage.ledger import Decision, TrialRow
from sweep.storage.paths import StudyPaths, checkpoint_bytes
from sweep.storage.states import State

if TYPE_CHECKING:
    from predictor.gap.choice import GapForecast
    from predictor.gap.prior import GapPrior


@dataclass(frozen=True, slots=True)
class ParkedReport:
    """A trial that waits at a look: to go on, or to be given up when none is worth it."""

    number: int
    """the trial"""
    samples: int
    """seen by the look that it has reached"""
    share: float | None
    """the same, as a share of the smallest budget"""
    early_eval: float | None
    """the objective on the few early samples, at that look"""
    leader: int | None
    """the best finished trial that holds every constraint; null while none does"""
    probability: float | None
    """P: that it overtakes the leader by min_gain x spread, and holds every constraint; while no
    finished trial holds them, that it does; null while none is finished"""
    behind: float | None
    """early spreads (median - best of the first looks) that it is expected to end behind the
    leader (without one, behind the best finished trial), bent: above 1 it is 1 + the logarithm;
    below 0: ahead"""
    checkpoint_bytes: int | None
    """what its checkpoint takes on disk; null without one (run.parked_gb): if the trial goes on, it
    is trained again"""
    feasible: float | None = None
    """P(feasible): that it holds every constraint, a part of P; null without constraints"""


def parked_reports(
    trials: Sequence[TrialRow],
    decisions: Mapping[int, Sequence[Decision]],
    terms: Terms,
    paths: StudyPaths,
    facts: Mapping[str, Any],
) -> tuple[ParkedReport, ...]:
    """The parked trials: those most likely to overtake the leader first, then by number. `facts`:
    the study's, for what past ones say."""
    parked = [row for row in trials if row.state == State.PARKED]
    if not parked:
        return ()
    seen = scouted(trials, terms.goal, guarded(decisions))
    found = _forecasts(seen, terms.pruning.min_gain, facts)
    unknown = None, None, None, None
    reports = [_report(row, paths, *found.get(row.number, unknown)) for row in parked]
    return tuple(sorted(reports, key=lambda one: (-(one.probability or 0.0), one.number)))


def _forecasts(
    seen: Scouted, min_gain: float, facts: Mapping[str, Any]
) -> Mapping[int, tuple[int | None, float | None, float | None, float | None]]:
    """By trial: the leader, P, the gap expected and P(feasible)."""
    from predictor.gap.plan import plan  # numpy: only for studies with parked trials

    found = plan(seen.trials, seen.shares, Settings(min_gain=min_gain), gap_prior(facts))
    return {
        number: (found.leader, one.probability, one.behind, _feasible(one))
        for number, one in found.forecasts.items()
    }


def _feasible(one: GapForecast) -> float | None:
    return one.feasible.probability if one.feasible.slacks else None


def gap_prior(facts: Mapping[str, Any]) -> GapPrior | None:
    """The prior of the gap model that a study's facts name; None: the shipped one."""
    from predictor.gap.prior import from_json
    from predictor.recorded.gap_history import prior_with

    past = from_json(facts.get(PRIOR, {}).get("fits", ()))
    return prior_with(past) if past else None


def guarded(decisions: Mapping[int, Sequence[Decision]]) -> set[int]:
    """The trials that a guard ended."""
    return {
        number
        for number, own in decisions.items()
        if any((d.verdict.action, d.verdict.kind) == ("prune", "guard") for d in own)
    }


def _report(
    row: TrialRow,
    paths: StudyPaths,
    leader: int | None,
    probability: float | None,
    behind: float | None,
    feasible: float | None,
) -> ParkedReport:
    last = looks_of(row)[-1]
    early: float | None = last["early_eval"]
    return ParkedReport(
        number=row.number,
        samples=last["samples"],
        share=share_of(last),
        early_eval=early if early is not None and math.isfinite(early) else None,
        leader=leader,
        probability=probability,
        behind=behind,
        checkpoint_bytes=checkpoint_bytes(paths.trial_checkpoints(row.number)),
        feasible=feasible,
    )
