"""How a trial stands to what it must hold, and who is the best then."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sweep.account.constraints import Z95, Goal, Held
from sweep.account.outcome import Outcome, Standing, exit_code
from sweep.account.outlook import phases_of
from sweep.account.replicates import Plan, best_trial, nearest_trial, wanted_numbers
from sweep.account.standing import standing
from sweep.account.terms import Terms
from sweep.storage.ledger import TrialRow
from tests.support.sweep_ledgers import trial

MMLU = "lm_eval:mmlu"
BASE = {MMLU: {"value": 0.40, "num": 1000, "stderr": 0.015}}
FLOOR = {"metric": MMLU, "at_least": "base - 0.01"}


def goal(*constraints: dict[str, Any], base: Any = BASE) -> Goal:
    stored = list(constraints) or [FLOOR]
    objective = {"metric": "choice_accuracy", "constraints": stored}
    return Goal.of(objective, {"base_measurements": base})


def measured(value: float, **more: Any) -> dict[str, Any]:
    return {"value": value, "num": 1000, **more}


def row(number: int, objective: float, over: float, stderr: float | None = 0.004) -> TrialRow:
    """A completed trial, `over` the base model by MMLU."""
    mmlu = measured(0.40 + over, stderr=0.015, over_base=over, over_base_stderr=stderr)
    own = {"choice_accuracy": measured(objective), MMLU: mmlu}
    return trial(number, "completed", objective=objective, measurements=own)


def held(one: TrialRow, to: Goal | None = None) -> Held:
    (found,) = (to or goal()).held(one)
    return found


# --- one constraint


def test_a_bound_of_the_base_is_held_by_the_paired_difference() -> None:
    found = held(row(0, 0.7, 0.002))
    assert (found.value, found.base, found.bound) == (0.402, 0.40, pytest.approx(0.39))
    assert found.distance == pytest.approx(0.012)  # 0.002 - -0.01
    assert (found.low, found.slack) == (pytest.approx(0.012 - Z95 * 0.004), found.low)
    assert found.is_held and found.words == "holds"


@pytest.mark.parametrize(
    ("over", "words"),
    [
        (0.000, "holds"),
        (-0.004, "broken, within noise"),  # the value is on the right side, its interval is not
        (-0.014, "broken, within noise"),
        (-0.020, "broken for certain"),
    ],
)
def test_uncertainty_counts_and_noise_is_called_noise(over: float, words: str) -> None:
    assert held(row(0, 0.7, over)).words == words


def test_a_margin_lets_the_interval_reach_beyond_the_bound() -> None:
    wide = goal({**FLOOR, "margin": 0.005})
    found = held(row(0, 0.7, -0.004), wide)
    assert found.is_held and found.words == "holds by its margin, within noise"
    assert held(row(0, 0.7, -0.008), wide).words == "broken, within noise"


def test_the_most_is_held_by_the_upper_end() -> None:
    loss = goal({"metric": "eval_loss", "at_most": 2.0}, base={})
    for value, is_held in ((1.97, True), (1.985, False)):
        one = trial(0, "completed", objective=0.7)
        one.measurements = {"eval_loss": measured(value, stderr=0.01)}
        assert held(one, loss).is_held is is_held
    over = goal({"metric": "eval_loss", "at_most": "base + 0.1"}, base={})
    one.measurements = {"eval_loss": measured(9.0, over_base=0.08, over_base_stderr=0.01)}
    assert held(one, over).is_held  # 0.08 + 1.96 x 0.01 <= 0.1
    one.measurements = {"eval_loss": measured(9.0, over_base=0.09, over_base_stderr=0.01)}
    assert held(one, over).is_held is False


def test_a_bound_of_its_own_goes_by_the_values_own_error() -> None:
    one = row(0, 0.7, 0.0)  # 0.40 with a standard error of 0.015
    assert held(one, goal({"metric": MMLU, "at_least": 0.37})).is_held
    assert not held(one, goal({"metric": MMLU, "at_least": 0.38})).is_held


def test_what_was_not_paired_with_the_base_has_the_errors_of_both() -> None:
    one = row(0, 0.7, 0.0)
    assert one.measurements is not None
    one.measurements[MMLU] = measured(0.45, stderr=0.02)
    found = held(one)
    assert found.stderr == pytest.approx(math.hypot(0.02, 0.015))
    assert found.distance == pytest.approx(0.06)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_or_not_measured_breaks_it(value: float) -> None:
    one = row(0, 0.9, 0.1)
    assert one.measurements is not None
    for own in ({MMLU: measured(value, over_base=math.nan)}, {}):
        one.measurements = own
        assert held(one).words == "broken: not measured, or not finite"
        assert goal().shortfall(one) == math.inf and not goal().is_feasible(one)


def test_without_an_error_the_value_itself_counts() -> None:
    assert held(row(0, 0.7, -0.01, stderr=None)).slack == 0


def test_how_much_is_broken_is_told_with_the_bound() -> None:
    (text,) = goal().broken(row(0, 0.7, -0.03))
    assert text == "lm_eval:mmlu at least base - 0.01: broken for certain, by 0.0278"
    assert goal().broken(row(0, 0.7, 0.01)) == []


# --- at a look


def test_at_a_look_the_slack_is_what_the_end_would_have_with_more_questions() -> None:
    look = {"early_others": {MMLU: {"value": 0.41, "num": 250, "stderr": 0.03}}}
    look["over_base"] = {MMLU: {"value": 0.005, "stderr": 0.008}}
    ((slack, error),) = goal().early_slacks(look).values()
    assert error == 0.008
    assert slack == pytest.approx(0.015 - Z95 * 0.004)  # four times the questions, half the error


def test_the_objective_itself_may_be_constrained() -> None:
    own = Goal.of({"metric": MMLU, "constraints": [{"metric": MMLU, "at_least": 0.3}]}, {})
    look = {"early_eval": 0.41, "early_eval_num": 250, "early_eval_stderr": 0.0}
    assert own.early_slacks(look) == {MMLU: (pytest.approx(0.11 - 1.96 / 250, abs=1e-5), 1 / 250)}


def test_what_a_look_did_not_measure_says_nothing() -> None:
    assert goal().early_slacks({"early_eval": 0.4, "early_eval_num": 9}) == {}
    broken = {"early_others": {MMLU: {"value": math.nan, "num": 9, "stderr": None}}}
    assert goal().early_slacks(broken) == {MMLU: (-math.inf, 0.0)}


# --- the best


ROWS = [row(0, 0.60, 0.01), row(1, 0.80, -0.05), row(2, 0.65, 0.0), row(3, 0.90, -0.02)]


def test_a_trial_that_breaks_a_constraint_is_never_the_best() -> None:
    best = best_trial(ROWS, goal(), Plan())
    assert best is not None and best.number == 2
    assert nearest_trial(ROWS, goal()) is None
    unconstrained = best_trial(ROWS, Goal("choice_accuracy"), Plan())
    assert unconstrained is not None and unconstrained.number == 3


def test_without_a_feasible_trial_none_is_the_best_and_the_nearest_is_told() -> None:
    rows = [ROWS[1], ROWS[3]]
    assert best_trial(rows, goal(), Plan()) is None
    nearest = nearest_trial(rows, goal())
    assert nearest is not None and nearest.number == 3


def test_what_several_constraints_are_broken_by_adds_up() -> None:
    both = goal(FLOOR, {"metric": "choice_accuracy", "at_least": 0.7})
    assert both.shortfall(row(0, 0.6, 0.1)) == pytest.approx(0.1)
    assert both.shortfall(row(0, 0.6, -0.02)) == pytest.approx(0.1 + 0.01 + Z95 * 0.004)


def test_only_feasible_trials_are_trained_again() -> None:
    assert wanted_numbers(ROWS, goal(), Plan(top=3, seeds=1)) == [10002, 10000]


def test_an_infeasible_end_is_nothing_that_further_trials_must_beat() -> None:
    (ended,) = phases_of(ROWS, goal()).values()
    assert [number for number, _ in ended] == [0, 2]


def test_a_finished_study_without_a_feasible_trial_says_so_and_has_an_exit_code() -> None:
    objective = {"metric": "choice_accuracy", "constraints": [FLOOR]}
    terms = Terms.of({"objective": objective, "run": {"trials": 2}}, {"base_measurements": BASE})
    assert standing([ROWS[1], ROWS[3]], terms, no_new=False) is Standing.NONE_FEASIBLE
    assert standing([ROWS[1], ROWS[2]], terms, no_new=False) is Standing.DONE
    assert standing([ROWS[1]], terms, no_new=False) is Standing.UNFINISHED
    assert exit_code(Outcome.DONE, Standing.NONE_FEASIBLE) == 5
