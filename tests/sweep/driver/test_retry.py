"""A way back from failed: `sweep retry`, and `run.retries` raised."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sweep.cli import main
from sweep.driver.best_model import settle_files
from sweep.driver.retry import retry_trials
from sweep.storage.find import open_study
from sweep.storage.ledger import TrialRow
from sweep.storage.lock import only_driver
from sweep.storage.paths import StudyPaths
from tests.support.home import Home
from trainer.contract.spec import UserError

pytestmark = pytest.mark.slow


def untried(point: Mapping[str, Any]) -> bool:
    return False


ONCE = ("run.trials=4", "run.workers=1", "run.retries=0", "pruning.enabled=false")


@pytest.fixture
def failed(home: Home) -> Home:
    """A study of four trials, 1 and 2 of which have failed for good."""
    home.script({1: "always oom", 2: "always raise"})
    assert home.run(*ONCE) == 4
    home.script({})
    return home


def params(home: Home) -> list[object]:
    return [trial["params"] for trial in home.document()["trials"]]


def test_failed_trials_come_back_under_their_numbers_with_their_params(failed: Home) -> None:
    before = params(failed)
    said = retry_trials(str(failed.out), [])
    assert said == (
        "To be tried again in study 'fake': 1, 2. Go on with "
        f"`sweep run {failed.file} --out {failed.out}`, and --set as before."
    )
    assert failed.states() == ["completed", "waiting", "waiting", "completed"]
    assert failed.document()["state"] == "unfinished"
    assert failed.run(*ONCE) == 0
    assert failed.states() == ["completed"] * 4
    assert params(failed) == before
    assert [t.state.name for t in failed.optuna_trials()] == ["COMPLETE"] * 4


def test_what_is_left_of_the_whole_study_is_said_when_it_goes_on(failed: Home) -> None:
    def said() -> list[str]:
        return [line for line in failed.lines if line.startswith("going on with")]

    assert not said()  # it was made
    retry_trials(str(failed.out), [1, 2])
    assert failed.run(*ONCE, "run.trials=5") == 0
    assert said() == ["going on with study fake: 2 of 5 trials settled, 2 begun, 1 to come"]
    failed.lines.clear()
    assert failed.run(*ONCE, "run.trials=5") == 0
    assert not said()  # nothing is left


def test_only_those_that_are_named_come_back(failed: Home) -> None:
    retry_trials(str(failed.out), [2])
    assert failed.run(*ONCE) == 4
    assert failed.states() == ["completed", "failed", "completed", "completed"]
    assert [t.state.name for t in failed.optuna_trials()][1:3] == ["FAIL", "COMPLETE"]


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ([0], "trial 0 is completed: only failed ones are tried again (failed: 1, 2)"),
        ([1, 7], "study 'fake' has no trial 7 (failed: 1, 2)"),
    ],
)
def test_a_trial_that_has_not_failed_is_refused(
    failed: Home, numbers: list[int], says: str
) -> None:
    with pytest.raises(UserError) as refused:
        retry_trials(str(failed.out), numbers)
    assert str(refused.value) == says
    assert failed.states().count("failed") == 2


def test_a_study_without_failed_trials_has_none_to_try_again(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.run("run.trials=1")
    assert main(["retry", str(home.out)]) == 0
    assert "none to be tried again" in capsys.readouterr().out


def test_a_driver_at_work_is_named_and_nothing_changes(failed: Home) -> None:
    url = StudyPaths(failed.out).default_storage
    held, done = threading.Event(), threading.Event()

    def drive() -> None:
        with only_driver(url, "fake"):
            held.set()
            done.wait()

    driver = threading.Thread(target=drive)
    driver.start()
    held.wait()
    try:
        with pytest.raises(UserError, match="already being run by process"):
            retry_trials(str(failed.out), [])
    finally:
        done.set()
        driver.join()
    assert failed.states().count("failed") == 2


def test_a_trial_that_fails_again_keeps_the_history_of_its_errors(failed: Home) -> None:
    failed.script({1: "always bad input"})
    retry_trials(str(failed.out), [1])
    assert failed.run(*ONCE) == 4
    row = open_study(str(failed.out))[0].read_trials()[1]
    assert (row.state, row.attempts, row.failures) == ("failed", 2, 2)
    assert row.error is not None and row.error["kind"] == "bad input"
    assert [one["kind"] for one in row.error["earlier"]] == ["out of memory"]
    retry_trials(str(failed.out), [1])
    failed.script({})
    assert failed.run(*ONCE) == 4  # trial 2 was not asked for
    assert failed.states()[:2] == ["completed", "completed"]


def test_a_trial_that_is_asked_for_again_has_all_its_tries(failed: Home) -> None:
    failed.script({1: "always oom"})
    more = (*ONCE[:2], "run.retries=1", ONCE[3])
    assert failed.run(*more) == 4
    retry_trials(str(failed.out), [1])
    assert failed.run(*more) == 4
    assert [t["failures"] for t in failed.document()["trials"]] == [0, 4, 1, 0]


def test_more_retries_bring_failed_trials_back(failed: Home) -> None:
    failed.script({1: "always oom"})
    assert failed.run(*ONCE[:2], "run.retries=3", ONCE[3]) == 4
    trials = failed.document()["trials"]
    assert [t["state"] for t in trials] == ["completed", "failed", "completed", "completed"]
    assert [t["attempts"] for t in trials] == [1, 4, 2, 1]
    assert any("trial 1 is tried again: run.retries is 3 now" in line for line in failed.lines)
    assert failed.run(*ONCE[:2], "run.retries=3", ONCE[3]) == 4
    assert [t["attempts"] for t in failed.document()["trials"]] == [1, 4, 2, 1]


def test_a_mistake_of_the_users_is_not_made_again_by_more_retries(home: Home) -> None:
    home.script({0: "always bad input"})
    assert home.run(*ONCE) == 4
    home.script({})
    assert home.run(*ONCE[:2], "run.retries=9", ONCE[3]) == 4
    assert home.states()[0] == "failed"
    retry_trials(str(home.out), [0])
    assert home.run(*ONCE[:2], "run.retries=9", ONCE[3]) == 0


def test_a_failed_point_of_a_grid_is_tried_again_and_no_other_twice(home: Home) -> None:
    grid = (
        "search.sampler=grid",
        "search.space.learning_rate={choices: [1e-4, 1e-3]}",
        *("run.trials=9", *ONCE[1:]),
    )
    home.script({2: "always raise"})
    assert home.run(*grid) == 4
    before = params(home)
    retry_trials(str(home.out), [])
    home.script({})
    assert home.run(*grid) == 0
    assert params(home) == before
    assert len({str(one) for one in before}) == 4


def test_a_failed_repeat_comes_back(home: Home) -> None:
    confirm = ("run.trials=1", "run.confirm={top: 1, seeds: 1}", "run.retries=0")
    home.script({10000: "always raise"})
    assert home.run(*confirm) == 4
    home.script({})
    retry_trials(str(home.out), [10000])
    assert home.run(*confirm) == 0


def test_of_a_trial_that_may_go_on_the_checkpoints_stay(tmp_path: Path) -> None:
    paths = StudyPaths(tmp_path)
    for state, stays in (("failed", True), ("parked", True), ("completed", False)):
        row = TrialRow(0, state, {}, 10, 0.0)
        for name in ("checkpoints", "model"):
            (paths.trial(0) / name).mkdir(parents=True, exist_ok=True)
        settle_files(paths, row, None, "best")
        assert paths.trial_checkpoints(0).exists() is stays
        assert not paths.trial_model(0).exists()
