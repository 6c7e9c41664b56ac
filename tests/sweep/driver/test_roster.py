"""What is counted as trials move, against going through all of them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from predictor.types import Verdict
from sweep.account.compute import compute_report, usage_by_trial
from sweep.account.constraints import Goal
from sweep.account.outlook import outlook, outlook_of
from sweep.account.replicates import Plan, best_trial, confirmed, wanted_numbers
from sweep.account.terms import StoredPruning
from sweep.driver.roster import Roster
from sweep.driver.trial import SETTLED, State, Trial
from sweep.storage.ledger import Cost, TrialRow
from tests.support.sweep_ledgers import completed, trial

GOAL = Goal("choice_accuracy")


def held(row: TrialRow, flops: float) -> Trial:
    spec: Any = type("Spec", (), {"warmup_steps": 0, "window_steps": 1, "num_steps": 10})()
    verdict = Verdict("audit" if row.number % 5 == 0 else "continue", "rank", "a test", 0.1)
    costs = {(1, "train"): Cost(row.number, 1, "train", 10, flops, flops)}
    return Trial(row, spec, verdicts={"window": verdict}, costs=costs)


def test_what_is_counted_as_trials_move_is_what_going_through_all_of_them_gives() -> None:
    rng, plan = random.Random(0), Plan(3, 1)
    roster = Roster(GOAL, plan.top)
    for number in [*range(60), *range(10_000, 10_060, 7)]:
        row = completed(number, round(rng.random(), 2))
        if rng.random() < 0.3:
            row = trial(number, "waiting", window=None if rng.random() < 0.2 else row.window)
        if row.window is not None:
            row.window |= {"phase": number % 2, "early_eval_num": rng.choice([32, 64])}
        roster.add(held(row, rng.random()))
        if rng.random() < 0.2:
            other = rng.choice([*roster.trials.values()])
            for state in (State.RUNNING, rng.choice([State.FAILED, State.PRUNED, State.WAITING])):
                if other.state in (State.WAITING, State.RUNNING):
                    other.move(state)
            if other.state is State.FAILED and rng.random() < 0.5:
                other.move(State.WAITING)
    trials = [*roster.trials.values()]
    rows, originals = [one.row for one in trials], [one for one in trials if not one.is_replicate]
    for state in State:
        assert roster.count(state) == sum(one.state is state for one in originals)
        assert {one.number for one in roster.of(state)} == {
            one.number for one in originals if one.state is state
        }
    for ask in (best_trial, confirmed, wanted_numbers):
        assert ask(roster.contenders, GOAL, plan) == ask(rows, GOAL, plan)
    pruning = StoredPruning(True, 0.1, 0.05, startup=3, stop=False, max_expected_misses=None)
    assert outlook_of(roster.phases, pruning) == outlook(rows, GOAL, pruning) is not None
    settled = [one for one in trials if one.state in SETTLED]
    costs = [cost for one in settled for cost in one.costs.values()]
    whole = compute_report([one.row for one in settled], usage_by_trial(costs), {})
    assert roster.totals.num == len(settled)
    assert roster.totals.audited == sum(one.is_audited for one in settled)
    assert roster.totals.used_flops == pytest.approx(whole.used_flops)
    assert roster.totals.planned_flops == pytest.approx(whole.planned_flops)
    assert roster.totals.seconds == pytest.approx(whole.seconds)


def test_a_trial_is_compared_with_those_whose_windows_were_looked_at_alike() -> None:
    roster = Roster(GOAL)
    for number in range(6):
        row = completed(number, 0.5) if number < 4 else trial(number, "running")
        assert row.window is not None
        row.window |= {"samples": 64, "early_eval_num": 32 if number in (1, 4) else 64}
        roster.add(held(row, 1.0))
    cohort = roster.cohort_of(roster.trials[5])
    assert {one.number: one.window is not None for one in cohort} == {
        0: True, 1: False, 2: True, 3: True, 4: False, 5: True
    }  # fmt: skip
