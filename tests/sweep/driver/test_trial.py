"""The state machine of a trial: every move there is, and what each leaves behind."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from sweep.driver.trial import SETTLED, State, Trial, ask_again, has_tries_left
from sweep.storage.ledger import TrialRow
from trainer.contract.spec import Failed

ALLOWED = {
    (State.WAITING, State.RUNNING),
    (State.WAITING, State.PRUNED),  # a driver died between the verdict and the record of its end
    (State.RUNNING, State.WAITING),
    (State.RUNNING, State.COMPLETED),
    (State.RUNNING, State.PRUNED),
    (State.RUNNING, State.FAILED),
    (State.FAILED, State.WAITING),
    (State.RUNNING, State.PARKED),
    (State.PARKED, State.RUNNING),
    (State.PARKED, State.PRUNED),
    (State.PARKED, State.WAITING),  # the study goes on without scouting
}


def make_trial(state: State, number: int = 3) -> Trial:
    spec: Any = None  # no move looks at it
    return Trial(TrialRow(number, state.value, {}, 10, 1.0), spec)


@pytest.mark.parametrize(("before", "after"), [*itertools.product(State, State)])
def test_every_move_is_allowed_or_refused(before: State, after: State) -> None:
    trial, heard = make_trial(before), list[tuple[State, State]]()
    trial.on_move = lambda moved, was: heard.append((was, moved.state))
    if (before, after) in ALLOWED:
        trial.move(after)
        assert (trial.state, trial.row.state) == (after, after.value)
        assert heard == [(before, after)]
    else:
        with pytest.raises(AssertionError, match=f"trial 3: {before.value} -> {after.value}"):
            trial.move(after)
        assert (trial.state, heard) == (before, [])


def test_settled_is_what_no_move_but_a_retry_leaves() -> None:
    leaving = {before for before, _ in ALLOWED}
    assert set(State) - leaving | {State.FAILED} == SETTLED


def test_a_new_attempt_is_counted_and_has_not_begun() -> None:
    trial = make_trial(State.WAITING)
    trial.start()
    assert (trial.row.attempts, trial.state, trial.has_begun) == (1, State.RUNNING, False)
    trial.go_on_from(0)
    trial.move(State.WAITING)
    trial.start()
    assert (trial.row.attempts, trial.has_begun) == (2, False)


@pytest.mark.parametrize("state", [one for one in State if one is not State.FAILED])
def test_only_a_failed_trial_is_asked_for_again(state: State) -> None:
    with pytest.raises(AssertionError):
        ask_again(make_trial(state).row)


@pytest.mark.parametrize(
    ("kind", "failures", "retries", "has_tries"),
    [
        ("error", 1, 0, False),
        ("error", 1, 1, True),
        ("error", 2, 1, False),
        ("bad input", 1, 3, False),  # the user's mistake is made again at every try
    ],
)
def test_a_failed_trial_has_as_many_tries_as_the_study_gives(
    kind: Any, failures: int, retries: int, has_tries: bool
) -> None:
    trial = make_trial(State.RUNNING)
    for _ in range(failures):
        trial.fail(Failed(kind, "said"))
    assert has_tries_left(trial.row, retries) is has_tries
    trial.move(State.FAILED)
    ask_again(trial.row)
    assert has_tries_left(trial.row, 0) is True  # all its tries anew
    assert trial.row.error is not None and trial.row.error["kind"] == kind  # it stays on record
