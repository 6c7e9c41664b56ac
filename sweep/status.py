"""Where a running study stands, in numbers, from the driver's trials and costs."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.accounting import account, usage_by_trial
from sweep.ledger import Cost, TrialRow
from sweep.progress import RunningTrial, Status
from sweep.trial import SETTLED, State, Trial


def running_trial(trial: Trial, searched: Sequence[str]) -> RunningTrial:
    last = trial.observations[-1] if trial.observations else None
    verdict = next(reversed(trial.verdicts.values())).action if trial.verdicts else ""
    return RunningTrial(
        trial.number,
        {name: trial.row.params[name] for name in searched},
        trial.doing,
        last.step if last else 0,
        trial.spec.num_steps,
        last.loss if last else None,
        last.grad_norm if last else None,
        verdict,
    )


def study_status(
    name: str,
    trials: Sequence[Trial],
    costs: Sequence[Cost],
    *,
    total: int,
    num_repeats: int,
    num_slots: int,
    elapsed_s: float,
    best: TrialRow | None,
    metric: str,
    searched: Sequence[str],
) -> Status:
    def count(state: State) -> int:
        return sum(trial.state is state for trial in trials if not trial.is_repeat)

    settled = [trial for trial in trials if trial.state in SETTLED]
    running = [trial for trial in trials if trial.state is State.RUNNING]
    return Status(
        study=name,
        running=[running_trial(trial, searched) for trial in running],
        completed=count(State.COMPLETED),
        pruned=count(State.PRUNED),
        audited=sum(trial.is_audited for trial in trials),
        failed=count(State.FAILED),
        total=total,
        saved_share=_saved_share(settled, costs) if settled else None,
        elapsed_s=elapsed_s,
        left_s=_left_s(settled, running, costs, total + num_repeats, num_slots),
        best=f"trial {best.number}: {metric} {best.objective:.4g}" if best else "",
    )


def _saved_share(settled: Sequence[Trial], costs: Sequence[Cost]) -> float | None:
    rows = [trial.row for trial in settled]
    return account(rows, usage_by_trial(costs), {})["saved_share"]


def _left_s(
    settled: Sequence[Trial],
    running: Sequence[Trial],
    costs: Sequence[Cost],
    total: int,
    num_slots: int,
) -> float | None:
    """What the trials to come take if they take what the settled ones did."""
    if not settled:
        return None
    numbers = {trial.number for trial in settled}
    mean_s = sum(cost.seconds for cost in costs if cost.trial in numbers) / len(settled)
    under_way = sum(
        trial.observations[-1].step / trial.spec.num_steps
        for trial in running
        if trial.observations
    )
    return max(0.0, total - len(settled) - under_way) * mean_s / num_slots
