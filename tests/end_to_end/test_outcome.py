"""What the command's exit code says, and what the report says first."""

from __future__ import annotations

import signal

import pytest

from sweep.account.outcome import Outcome, Standing, exit_code, standing_of
from sweep.cli import main
from tests.support.drivers import start_driver, until_trials_run
from tests.support.home import Home


@pytest.mark.parametrize(
    ("states", "is_finished", "state", "code"),
    [
        (["completed", "pruned"], True, Standing.DONE, 0),
        (["completed", "failed"], True, Standing.SOME_FAILED, 4),
        (["failed", "failed"], True, Standing.NONE_COMPLETED, 3),
        (["pruned", "failed"], True, Standing.NONE_COMPLETED, 3),
        ([], True, Standing.NONE_COMPLETED, 3),
        (["completed", "failed"], False, Standing.UNFINISHED, 75),
        ([], False, Standing.UNFINISHED, 75),
    ],
)
def test_a_study_is_as_good_as_its_trials(
    states: list[str], is_finished: bool, state: Standing, code: int
) -> None:
    assert standing_of(states, is_finished=is_finished) is state
    outcome = Outcome.DONE if is_finished else Outcome.OUT_OF_TIME
    assert exit_code(outcome, state) == code


@pytest.mark.parametrize("failed", [[], ["failed"]])
def test_a_study_whose_constraints_none_holds_has_no_best(failed: list[str]) -> None:
    states = ["completed", *failed]
    assert standing_of(states, is_finished=True, has_best=False) is Standing.NONE_FEASIBLE
    assert exit_code(Outcome.DONE, Standing.NONE_FEASIBLE) == 5
    assert standing_of(["failed"], is_finished=True, has_best=False) is Standing.NONE_COMPLETED
    assert standing_of(states, is_finished=False, has_best=False) is Standing.UNFINISHED


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_an_interrupted_run_says_by_which_signal(number: int, code: int) -> None:
    assert exit_code(Outcome.INTERRUPTED, Standing.UNFINISHED, number) == code


@pytest.mark.parametrize("state", Standing)
def test_what_the_outside_ended_is_to_be_run_again_whatever_has_been_done(
    state: Standing,
) -> None:
    assert exit_code(Outcome.OUTSIDE, state) == 75


def test_time_that_runs_out_at_the_end_of_a_study_leaves_nothing_to_do() -> None:
    assert exit_code(Outcome.OUT_OF_TIME, Standing.DONE) == 0


ALL_FAIL = ("run.trials=3", "run.retries=0", "pruning.enabled=false")


@pytest.mark.slow
def test_a_study_without_a_completed_trial_says_so_first_and_in_its_exit_code(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.script({0: "always oom", 1: "always raise", 2: "always oom"})
    assert home.run(*ALL_FAIL) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(
        "fake: eval_loss, lower is better No trial was completed: 3 of 3 trials failed. The most "
        "frequent cause (2 times): out of memory: tried to allocate 100 GiB"
    )
    assert "--dry-run" in said and "sweep retry" in said
    assert "all of it is in" not in said
    assert home.document()["state"] == "no completed trial"
    assert home.run(*ALL_FAIL) == 3  # there was nothing to do, and it is no better for that


@pytest.mark.slow
def test_failed_trials_among_completed_ones_are_said_each_time(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.script({1: "always raise"})
    assert home.run(*ALL_FAIL) == 4
    assert home.run(*ALL_FAIL) == 4
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("1 of 3 trials failed. The cause: error: RuntimeError: something broke") == 2
    assert home.document()["state"] == "some trials failed"


@pytest.mark.slow
def test_a_study_whose_trials_all_diverged_has_no_completed_trial_either(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.script({0: "always nan", 1: "always nan at the end"})
    assert home.run("run.trials=2") == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "No trial was completed: all 2 were pruned" in said and "lower learning rates" in said


@pytest.mark.slow
def test_a_failed_repeat_counts_as_a_failed_trial(home: Home) -> None:
    confirm = ("run.trials=1", "run.confirm={top: 1, seeds: 1}", "run.retries=0")
    home.script({10000: "always raise"})
    assert home.run(*confirm) == 4


@pytest.mark.slow
def test_a_study_that_is_done_is_in_a_state_that_inspect_tells(home: Home) -> None:
    assert home.run("run.trials=2", "pruning.enabled=false") == 0
    assert home.document()["state"] == "done"
    assert home.run("run.trials=3", "run.max_hours=1e-9", "pruning.enabled=false") == 75
    assert home.document()["state"] == "unfinished"


@pytest.mark.slow
def test_a_driver_that_is_terminated_says_so(home: Home) -> None:
    driver = start_driver(home, "pruning.enabled=false", step_s=0.05)
    until_trials_run(home)
    driver.send_signal(signal.SIGTERM)
    driver.communicate(timeout=240)
    assert driver.returncode == 143


def test_the_help_of_run_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert all(code in said for code in ("3 ended without", "4 done, with", "75 not", "143"))
