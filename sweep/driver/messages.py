"""What the driver says of a trial as it moves, a sentence each. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.types import Verdict
from sweep.account.constraints import Goal
from sweep.account.outlook import BEGINNING, Outlook
from sweep.account.replicates import original_of
from sweep.driver.trial import Trial
from sweep.formats import parameters
from sweep.storage.ledger import TrialRow
from sweep.storage.states import State
from trainer.contract.spec import Failed


def started(trial: Trial, step: int, searched: Sequence[str]) -> str:
    """The message on a trial that starts. `step`: the one that its checkpoint was written after; 0
    without."""
    goes_on = f", goes on after step {step}" if step else ""
    origin = f" (recipe {trial.row.recipe})" if trial.row.recipe else ""
    if trial.is_replicate:
        origin = f" (trial {original_of(trial.number)} again, seed {trial.spec.seed})"
    return f"trial {trial.number}{origin}: {parameters(trial.row.params, searched)}{goes_on}"


def decided(trial: Trial, step: int, verdict: Verdict) -> str:
    """The message on a verdict at `step`."""
    action: str = verdict.action
    if action == "park":
        action = "parked"
    elif trial.state is State.PARKED:
        action = {"prune": "given up", "continue": "goes on"}.get(action, action)
    return f"trial {trial.number}: {action} at step {step}: {verdict.reason}"


def stopped(trial: Trial, step: int) -> str:
    """The message on a trial that wrote a checkpoint at `step` as it was told."""
    return f"trial {trial.number}: stopped at step {step}, to be continued"


def interrupted(trial: Trial, failed: Failed) -> str:
    """The message on a trial that ended for a cause outside."""
    return f"trial {trial.number}: {failed.message}; to be continued"


def failed(trial: Trial, cause: Failed, *, is_tried_again: bool) -> str:
    """The message on a trial that ended for a cause of its own."""
    then = "to be tried again" if is_tried_again else "given up"
    return f"trial {trial.number}: {cause.kind}: {cause.message}; {then}"


def completed(row: TrialRow, goal: Goal, *, is_best: bool) -> str:
    """The message on a trial that ended with its objective."""
    best = "; the best so far" if is_best else ""
    broken = "".join(f"; {text}" for text in goal.broken(row))
    return f"trial {row.number}: completed, {goal.metric} {row.objective:.4g}{best}{broken}"


def ending(why: str, *, some_run: bool) -> str:
    """The message on a session that starts nothing new; `some_run`: trials are under way."""
    then = "; running trials write a checkpoint first" if some_run else ""
    return f"stopping: {why}{then}"


def outlook(found: Outlook, said: str | None, *, ends_the_study: bool) -> str | None:
    """The message on an outlook that is another than the study's notes `said` last; else None."""
    if found.is_unlikely and said != BEGINNING:
        then = "ends the study here" if ends_the_study else "would end the study here"
        return f"{found.sentence()} `pruning.stop: true` {then}."
    if not found.is_unlikely and said == BEGINNING:
        return found.sentence()
    return None
