"""Where a running study stands, in numbers, from the driver's trials."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.driver.roster import Totals
from sweep.driver.sampling import searched
from sweep.driver.study_state import StudyState
from sweep.driver.trial import State, Trial
from sweep.report.view import RunningTrial, Status


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


def study_status(study: StudyState, num_slots: int, elapsed_s: float) -> Status:
    """How far the study is. It reads the trials under way and no others."""
    roster, best, config = study.roster, study.best, study.loaded.study
    running, settled, total = roster.running, roster.totals, config.run.trials
    under_way = [*running, *roster.of(State.WAITING, State.PARKED)]
    scouts = study.settings.scouts
    num_planned = total + study.replicates.top * study.replicates.seeds
    return Status(
        study=config.name,
        running=[running_trial(trial, searched(config)) for trial in running],
        completed=roster.count(State.COMPLETED),
        pruned=roster.count(State.PRUNED),
        audited=settled.audited + sum(trial.is_audited for trial in under_way),
        failed=roster.count(State.FAILED),
        total=total,
        saved_share=_saved_share(settled, study.base_flops),
        elapsed_s=elapsed_s,
        left_s=None if scouts else _left_s(settled, running, num_planned, num_slots),
        best=f"trial {best.number}: {roster.metric} {best.objective:.4g}" if best else "",
        doing=_doing(study) if scouts else "",
        parked=roster.count(State.PARKED),
    )


def _doing(study: StudyState) -> str:
    """How many trials have been scouted while not all have, and who goes on, and how far."""
    roster = study.roster
    begun = roster.of(State.RUNNING, State.WAITING)
    num_scouted = roster.originals - sum(trial.row.window is None for trial in begun)
    total = roster.originals + study.num_not_started
    parts = [f"scouting {num_scouted} of {total}"] if num_scouted < total else []
    for trial in roster.running:
        if trial.row.window is not None and not trial.is_replicate and not trial.is_parked:
            ahead = trial.spec.looks[trial.last_look :]
            smallest = study.specs.smallest_samples
            to = f"{ahead[0] / smallest:.0%}" if ahead and not trial.is_audited else "its end"
            parts.append(f"advancing trial {trial.number} to {to}")
    return ", ".join(parts)


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
