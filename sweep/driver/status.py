"""Where a running study stands, in numbers, from the driver's trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from sweep import formats as f
from sweep.account.compute import usage_of
from sweep.account.grid import Grid
from sweep.account.replicates import nearest_trial
from sweep.account.scouting import looks_of, share_of
from sweep.driver.roster import Totals
from sweep.driver.sampling import searched
from sweep.driver.study_state import StudyState
from sweep.driver.trial import State, Trial
from sweep.report.view import ParkedTrial, RunningTrial, Status
from trainer.contract.metrics import higher_is_better


def running_trial(trial: Trial, names: Sequence[str]) -> RunningTrial:
    """The trial as a progress display shows it, with the params in `names`."""
    last = trial.observations[-1] if trial.observations else None
    verdict = next(reversed(trial.verdicts.values())).action if trial.verdicts else ""
    return RunningTrial(
        trial.number,
        {name: trial.row.params[name] for name in names},
        trial.doing,
        last.step if last else 0,
        trial.spec.num_steps,
        last.loss if last else None,
        last.grad_norm if last else None,
        verdict,
    )


def parked_trials(study: StudyState) -> list[ParkedTrial]:
    """Those that wait at a look, by the P that was stated of them last, as a progress display shows
    them; without one, by their early evaluation."""
    names, sign = searched(study.loaded.study), -1 if higher_is_better(study.metric) else 1
    shown: list[ParkedTrial] = []
    for trial in study.roster.of(State.PARKED):
        look, verdict = looks_of(trial.row)[-1], trial.verdicts.get(trial.last_moment)
        params = {name: trial.row.params[name] for name in names}
        probability = None if verdict is None else verdict.probability
        early = look.get("early_eval")
        shown.append(ParkedTrial(trial.number, params, share_of(look), early, probability))
    return sorted(shown, key=lambda one: (-(one.probability or 0.0), sign * (one.early_eval or 0)))


def study_status(study: StudyState, num_slots: int, elapsed_s: float) -> Status:
    """How far the study is. It reads the trials under way and no others."""
    roster, config = study.roster, study.loaded.study
    running, settled, total = roster.running, roster.totals, study.num_trials
    under_way = [*running, *roster.of(State.WAITING, State.PARKED)]
    scouts = study.settings.scouts
    num_planned = total + study.replicates.top * study.replicates.seeds
    left_s = None if scouts else _left_s(settled, running, num_planned, num_slots)
    found = Status(
        study=config.name,
        running=[_running(study, trial) for trial in running],
        completed=roster.count(State.COMPLETED),
        pruned=roster.count(State.PRUNED),
        audited=settled.audited + sum(trial.is_audited for trial in under_way),
        failed=roster.count(State.FAILED),
        total=total,
        saved_share=_saved_share(settled, study.base_flops),
        elapsed_s=elapsed_s,
        left_s=left_s,
        best=_best(study),
        nearest=_nearest(study),
        doing=_doing(study) if scouts else (),
        parked=roster.count(State.PARKED),
        waiting=parked_trials(study) if scouts else (),
    )
    grid = roster.grid(roster.originals + study.num_not_started)
    if not scouts or grid is None or roster.has_replicates:  # these come after, and are in no grid
        return found
    return _with_compute(found, study, grid, under_way, num_slots)


def _best(study: StudyState) -> str:
    """As Status.best."""
    best, base = study.best, study.terms.goal.base.get(study.metric)
    if best is None:
        return ""
    beside = "" if base is None else f", base {base['value']:.4g}"
    return f"trial {best.number}: {study.metric} {best.objective:.4g}{beside}"


def _nearest(study: StudyState) -> str:
    """As Status.nearest."""
    nearest = nearest_trial(study.roster.contenders, study.terms.goal)
    if nearest is None:
        return ""
    short = f.number(study.terms.goal.shortfall(nearest))
    return f"trial {nearest.number}, short by {short}: {study.metric} {nearest.objective:.4g}"


def _with_compute(
    found: Status, study: StudyState, grid: Grid, under_way: Sequence[Trial], num_slots: int
) -> Status:
    """The time left from the compute measured so far per second of a device."""
    settled, own = study.roster.totals, usage_of(c for t in under_way for c in t.costs.values())
    used, seconds = settled.used_flops + own.flops, settled.seconds + own.seconds
    rest = [_flops_to_go(trial) for trial in study.roster.running]
    left_s = None
    if used > 0 and seconds > 0:
        processes = study.loaded.study.run.processes_per_trial
        per_second = processes * used / seconds  # of one worker
        left = grid.flops_left(used, math.fsum(rest)) / num_slots
        left_s = max(left, *rest, 0.0) / per_second
    return replace(found, used_share=used / grid.flops, floor_share=grid.floor, left_s=left_s)


def _flops_to_go(trial: Trial) -> float:
    """Until the trial is looked at again, or ends."""
    at, spec = trial.observations[-1].step if trial.observations else 0, trial.spec
    to = next((step for step in spec.look_steps if step > at), spec.num_steps)
    return trial.row.planned_flops * (to - at) / spec.num_steps


def _doing(study: StudyState) -> list[str]:
    """How many trials have been scouted while not all have, and who goes on, how far and why."""
    roster = study.roster
    begun = roster.of(State.RUNNING, State.WAITING)
    num_scouted = roster.originals - sum(trial.row.window is None for trial in begun)
    total = roster.originals + study.num_not_started
    about = "about " if study.loaded.study.run.trials == "auto" else ""
    lines = [f"scouting {num_scouted} of {about}{total}"] if num_scouted < total else []
    for trial in roster.running:
        if _goes_on(trial):
            lines.append(f"advancing trial {trial.number} {_goal(study, trial)}{_why(trial)}")
    return lines


def _running(study: StudyState, trial: Trial) -> RunningTrial:
    """The trial, and with scouting how far it goes and the P that it was sent on with."""
    found = running_trial(trial, searched(study.loaded.study))
    if not study.settings.scouts:
        return found
    if trial.is_replicate:
        return replace(found, goal="another seed")
    if not _goes_on(trial):
        return replace(found, goal="scouting" if trial.row.window is None else "at a look")
    verdict = trial.verdicts.get(trial.last_moment)
    probability = None if verdict is None else verdict.probability
    return replace(found, goal=_goal(study, trial), probability=probability)


def _goes_on(trial: Trial) -> bool:
    return trial.row.window is not None and not trial.is_replicate and not trial.is_parked


def _goal(study: StudyState, trial: Trial) -> str:
    """How far a trial that has been scouted goes on."""
    ahead = trial.spec.looks[trial.last_look :]
    if not ahead or trial.is_audited:
        return "to its end"
    return f"to {ahead[0] / study.specs.smallest_samples:.0%}"


def _why(trial: Trial) -> str:
    if trial.is_audited:
        return " to check the predictor"
    verdict = trial.verdicts.get(trial.last_moment)
    if verdict is None or verdict.action != "continue" or verdict.probability is None:
        return ""
    leader = verdict.evidence.get("leader")  # not read again when a study goes on
    whom = "the best" if leader is None else f"trial {leader}"
    if "feasible" in verdict.evidence:
        whom = "none is feasible so far" if leader is None else f"overtakes {whom}"
        return f": P(feasible; {whom}) = {f.chance(verdict.probability)}"
    return f": P(overtakes {whom}) = {f.chance(verdict.probability)}"


def _saved_share(settled: Totals, base_flops: float) -> float | None:
    """As account.compute.account; None before a trial is settled."""
    planned = base_flops + settled.planned_flops
    if not settled.num or planned <= 0:
        return None
    return (planned - base_flops - settled.used_flops) / planned


def _left_s(settled: Totals, running: Sequence[Trial], total: int, num_slots: int) -> float | None:
    """What the trials to come take if they take what the settled ones did."""
    if not settled.num:
        return None
    under_way = sum(
        trial.observations[-1].step / trial.spec.num_steps
        for trial in running
        if trial.observations
    )
    mean_s = settled.seconds / settled.num
    return max(0.0, total - settled.num - under_way) * mean_s / num_slots
