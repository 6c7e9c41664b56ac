"""Scouting: which parked trial goes on, who is parked at a look, and who is given up at the end.

The gap model decides (`predictor/gap/plan.py`) by what is on record alone, so a driver that was
killed decides the same again; here is what it is asked, and its answers in words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from predictor.audit import is_audited
from predictor.gap.bent import parts_in_words, unbent
from predictor.gap.plan import GapForecast, Plan, plan
from predictor.types import Action, Verdict
from sweep import formats as f
from sweep.account.audits import expected_miss
from sweep.account.objective import objective_of
from sweep.account.scouting import scouted
from sweep.account.standing import EXHAUSTED
from sweep.driver.study_state import StudyState
from sweep.driver.trial import State, Trial
from sweep.storage.states import PARKED


def is_over(study: StudyState) -> bool:
    """Whether every trial that is to come has begun, and none waits to be started."""
    roster = study.roster
    if study.has_begun_all:
        return True
    if roster.count(State.WAITING):
        return False
    none_left = not study.num_not_started or study.is_stopped
    return none_left or EXHAUSTED in study.ledger.read_notes()


def answer(study: StudyState, trial: Trial) -> Verdict:
    """The verdict at a look: park, or continue where it is the one that would go on next anyway."""
    if not is_over(study):
        return Verdict("park", "none", "waits until all trials have been looked at")
    found = current_plan(study, asked=trial)
    own = found.forecasts.get(trial.number)
    if found.next == trial.number:
        return _verdict(study, "continue", found, own, _promise(study, found, own))
    reason = "none promises enough" if found.next is None else f"trial {found.next} promises more"
    if own is not None:
        reason += f"; {_chance(found, own)}"
    return _verdict(study, "park", found, own, reason)


def decide_parked(study: StudyState) -> list[tuple[Trial, str, Verdict]]:
    """What is decided when no trial is to come: the trial, the moment, and the verdict.

    One that goes on. Where none is worth it and nothing runs, those that are audited; where there
    are none, all that are parked are given up. [] where nothing is parked, or what runs may change
    who leads.
    """
    parked = [trial for trial in study.roster.of(State.PARKED) if trial.is_parked]
    if not parked:
        return []
    found = current_plan(study)
    compared = found.forecasts.keys() | {found.next}
    if found.next is not None:
        trial, own = study.trials[found.next], found.forecasts.get(found.next)
        verdict = _verdict(study, "continue", found, own, _promise(study, found, own))
        return [(trial, trial.last_moment, verdict)]
    if study.roster.running:
        return []
    parked.sort(key=lambda trial: trial.number)
    for trial in parked:
        if trial.number not in compared:
            reason = "goes on to its end: it was looked at in another way than the others"
            return [(trial, trial.last_moment, Verdict("continue", "none", reason))]
    settings = study.settings
    drawn = [one for one in parked if is_audited(settings.seed, one.number, settings.audit)]
    return [
        (trial, PARKED, _given_up(study, found, trial, is_drawn=bool(drawn)))
        for trial in drawn or parked
    ]


def guarded(trials: Iterable[Trial]) -> set[int]:
    """The numbers of those that a guard ended."""
    return {t.number for t in trials if t.pruned_by is not None and t.pruned_by.kind == "guard"}


def current_plan(study: StudyState, asked: Trial | None = None) -> Plan:
    """What the gap model says as things stand. `asked` waits for its verdict; of those that are
    parked each may go on."""
    trials = study.roster.of(*State)
    found = scouted([trial.row for trial in trials], study.terms.goal, guarded(trials))
    free = {t.number for t in trials if t.state is State.PARKED and t.is_parked}
    free |= set() if asked is None else {asked.number}
    spent = math.fsum(expected_miss(trial.pruned_by) for trial in trials)
    left = max(0.0, study.settings.max_expected_misses - spent)
    busy = {one.number for one in found.trials} - free
    settings = replace(study.settings, max_expected_misses=left)
    return plan(found.trials, found.shares, settings, study.gap_prior, busy)


def _given_up(study: StudyState, found: Plan, trial: Trial, *, is_drawn: bool) -> Verdict:
    own = found.forecasts[trial.number]
    reason = f"{_behind(found, own)}: {_chance(found, own)}"
    if own.feasible.probability < own.overtakes:  # the constraint decides
        reason = f"{_chance(found, own)}; {_behind(found, own)}"
    if is_drawn:
        reason = f"would have been given up: {reason}; goes on to the end to check the predictor"
    return _verdict(study, "audit" if is_drawn else "prune", found, own, reason)


def _verdict(
    study: StudyState, action: Action, found: Plan, own: GapForecast | None, reason: str
) -> Verdict:
    """By rank where a probability is stated, with the evidence that it rests on."""
    if own is None:
        return Verdict(action, "none", reason)
    leader = None if found.leader is None else study.trials[found.leader].row
    evidence: dict[str, Any] = {
        "rule": "gap",
        "leader": found.leader,
        "best": None if leader is None else objective_of(leader, study.metric),
        "spread": found.spread,
        "share": own.share,
        "behind": own.behind,
        "effects": dict(own.effects),
        "improvement": own.improvement,
        "expected_misses": found.expected_misses,
        "silent": found.silent,
    }
    if study.terms.goal.limits:
        evidence |= {
            "overtakes": own.overtakes,
            "feasible": own.feasible.probability,
            "slacks": dict(own.feasible.slacks),
        }
    if (history := study.history) is not None:
        evidence["history"] = {"digest": history.digest, "trials": dict(history.num_trials)}
    return Verdict(action, "rank", reason, own.probability, evidence)


def _promise(study: StudyState, found: Plan, own: GapForecast | None) -> str:
    if own is not None:
        reason = f"promises most: {_chance(found, own)}"
        if own.probability < study.settings.risk:
            reason += (
                "; below the risk, but to give up all that wait would exceed "
                f"max_expected_misses {study.settings.max_expected_misses:g}"
            )
        return reason
    if found.reference is None:
        return "by past studies it promises most; none has ended yet"
    return f"too few have ended to tell how far it is behind trial {found.reference}"


def _chance(found: Plan, own: GapForecast) -> str:
    """P, and its parts where there are constraints, the one that decides first."""
    overtakes = f"P(overtakes trial {found.leader}) = {f.chance(own.overtakes)}"
    if (worst := own.feasible.worst) is None:
        return overtakes
    slack = own.feasible.slacks[worst]
    holds = (
        f"P(feasible) = {f.chance(own.feasible.probability)}: {worst} is expected "
        f"{f.number(abs(slack))} {'beyond' if slack >= 0 else 'short of'} its bound"
    )
    if found.leader is None:
        return f"{holds}; no finished trial holds every constraint"
    parts = (holds, overtakes)
    parts = parts if own.feasible.probability < own.overtakes else parts[::-1]
    return f"P = {f.chance(own.probability)}: {'; '.join(parts)}"


def _behind(found: Plan, own: GapForecast) -> str:
    where = "behind" if own.behind >= 0 else "ahead of"
    return (
        f"{abs(unbent(own.behind)):.1f} early spreads {where} trial {found.reference} expected, "
        "after "
        f"{own.share:.0%} of the budget{parts_in_words(own.behind, own.effects)}"
    )
