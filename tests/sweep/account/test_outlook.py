"""When a study says that further trials are unlikely to help, and when it ends by that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.account.constraints import Goal
from sweep.account.outlook import Outlook, outlook
from sweep.account.terms import StoredPruning
from sweep.config.limits import STRIDE
from sweep.report.study_report import study_report
from sweep.storage.ledger import TrialRow
from sweep.storage.paths import StudyPaths
from tests.support.home import Home
from tests.support.sweep_ledgers import completed, cost, document, trial, written

STOP = ("run.trials=16", "run.workers=1", "pruning.risk=0.35", "pruning.max_expected_misses=100")


PRUNING = StoredPruning(
    True, risk=0.1, min_gain=0.05, startup=3, stop=False, max_expected_misses=None
)
GOAL = Goal("choice_accuracy")
WINNABLE = (0.5, 0.6, 0.7)  # accuracies: three trials tell little
SPENT = (0.7, *[0.5 + 0.002 * i for i in range(8)])  # one stands out, the others are alike


def finished(accuracies: Sequence[float], phase: int = 0, first: int = 0) -> list[TrialRow]:
    rows = [completed(first + i, accuracy) for i, accuracy in enumerate(accuracies)]
    for row in rows:
        row.window = {**(row.window or {}), "phase": phase}
    return rows


@pytest.mark.parametrize(
    ("accuracies", "min_gain", "p0"),
    [
        (WINNABLE, 0.0, 1 / 4),  # of four trials drawn alike each is as likely the best
        (SPENT, 0.0, 1 / 10),
        (WINNABLE, 0.05, 0.2408),  # worked out by hand
    ],
)
def test_p0_is_one_in_the_trials_with_it_less_what_the_gain_asks_for(
    accuracies: Sequence[float], min_gain: float, p0: float
) -> None:
    found = outlook(finished(accuracies), GOAL, replace(PRUNING, min_gain=min_gain))
    assert found is not None and found.before == pytest.approx(p0, abs=5e-5)


def test_the_incumbent_is_the_best_finished_trial() -> None:
    found = outlook(finished(WINNABLE), GOAL, PRUNING)
    assert found is not None and found.incumbent == 2 and not found.is_unlikely


def test_it_changes_with_every_trial_that_ends_whether_a_window_closed_since_or_not() -> None:
    rows = finished(SPENT)
    found = outlook(rows, GOAL, PRUNING)
    assert found is not None and found.is_unlikely
    again = outlook([*rows, *finished((0.9,), first=90)], GOAL, PRUNING)
    assert again is not None and again.incumbent == 90 and again.before < found.before


def test_every_phase_must_say_so_and_the_largest_chance_counts() -> None:
    spent, winnable = finished(SPENT, phase=1), finished(WINNABLE, phase=0, first=50)
    both, alone = outlook([*spent, *winnable], GOAL, PRUNING), outlook(winnable, GOAL, PRUNING)
    assert both == alone
    assert outlook([*spent, *winnable[:2]], GOAL, PRUNING) is None  # too few to say
    unfinished = trial(60, "running")
    assert outlook([*spent, unfinished], GOAL, PRUNING) is None


@pytest.mark.parametrize(
    ("rows", "pruning"),
    [
        ([], PRUNING),
        (finished(WINNABLE[:2]), PRUNING),
        (finished([0.5] * 5), PRUNING),  # a tie
        (finished(SPENT), replace(PRUNING, enabled=False)),
        (finished(SPENT), replace(PRUNING, risk=None)),  # a study of an earlier version
        (finished(SPENT, first=STRIDE), PRUNING),  # repeats
    ],
)
def test_nothing_is_said_without_grounds(rows: list[TrialRow], pruning: StoredPruning) -> None:
    assert outlook(rows, GOAL, pruning) is None


def test_the_sentence_names_the_incumbent_and_both_numbers() -> None:
    assert Outlook(0.06, 1, 0.1).sentence() == (
        "Further trials are unlikely to help: one not yet looked at beats trial 1 with "
        "P = 0.06, below the risk 0.10."
    )
    assert "P = 0.099, below the risk 0.10." in Outlook(0.0999, 1, 0.1).sentence()
    assert Outlook(0.1, 1, 0.1).sentence() == (
        "Further trials may help after all: one not yet looked at beats trial 1 with "
        "P = 0.10, not below the risk 0.10."
    )


def said(home: Home) -> list[str]:
    return [line for line in home.lines if line.startswith("Further trials are unlikely")]


@pytest.mark.slow
def test_stopping_is_offered_once_and_not_done_unasked(home: Home) -> None:
    home.run(*STOP)
    assert len(home.states()) == 16
    (offer,) = said(home)
    assert offer.endswith("`pruning.stop: true` would end the study here.")
    home.run(*STOP, "run.trials=18")
    assert said(home) == [offer]
    assert offer in home.report().notes


@pytest.mark.slow
def test_an_offer_is_withdrawn_where_it_no_longer_holds(home: Home) -> None:
    home.run(*STOP)
    home.run(*STOP, "run.trials=18", "pruning.risk=0.01")
    notes = [note.split(":")[0] for note in home.report().notes]
    unlikely, withdrawn = "Further trials are unlikely to help", "Further trials may help after all"
    assert [note for note in notes if note in (unlikely, withdrawn)] == [unlikely, withdrawn]


@pytest.mark.slow
def test_a_study_that_says_so_ends_and_stays_ended(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home.run(*STOP, "pruning.stop=true") == 0
    ended = home.report()
    num = len(ended.trials)
    assert 3 <= num < 16
    assert said(home)[0].endswith("`pruning.stop: true` ends the study here.")
    shown = " ".join(capsys.readouterr().out.split())
    assert "The study has been stopped. Further trials are unlikely to help" in shown
    assert f"{16 - num} of 16 trials were not started. To go on: --set pruning.stop=false" in shown

    assert home.run(*STOP, "pruning.stop=true") == 0
    assert home.report() == ended
    assert "The study has been stopped." in capsys.readouterr().out
    assert len(said(home)) == 1

    assert home.run(*STOP, "pruning.stop=false") == 0
    assert len(home.states()) == 16


@pytest.mark.slow
def test_trials_that_run_are_not_cut_off(home: Home) -> None:
    home.run(*STOP, "run.workers=3", "pruning.stop=true")
    assert set(home.states()) <= {"completed", "pruned"}
    assert len(home.states()) < 16


@pytest.mark.slow
def test_what_was_not_started_is_saved_by_stopping(home: Home) -> None:
    home.run(*STOP, "pruning.stop=true")
    found = home.report()
    assert found.stopping.stopped
    left = found.stopping.num_not_started
    planned = [trial.planned_flops for trial in found.trials]
    assert left == 16 - len(planned)
    saved = found.compute.saved_by_stopping
    assert saved == pytest.approx(left * sum(planned) / len(planned))
    assert found.compute.planned_flops > sum(planned) + saved


def test_of_a_grid_only_its_points_can_be_saved(tmp_path: Path) -> None:
    rates = {"learning_rate": {"choices": [1e-6 * (1 + i) for i in range(len(SPENT) + 2)]}}
    stopped = document() | {
        "search": {"sampler": "grid", "space": rates | {"batch_size": 16}},
        "pruning": {"risk": 0.1, "min_gain": 0.05, "startup": 3, "stop": True},
        "run": {"trials": 40},
    }
    with written(tmp_path) as ledger:
        ledger.continue_as(stopped, "learned-2", [])
        for row in finished(SPENT):
            ledger.save_trial(row)
        ledger.record(cost(0, 1e12))
        found = study_report(ledger, StudyPaths(tmp_path)).stopping
        assert found.stopped and found.num_not_started == 2

        ledger.save_trial(trial(30, "running"))  # may change it
        found = study_report(ledger, StudyPaths(tmp_path)).stopping
    assert found.unlikely and not found.stopped and found.num_not_started == 0


@pytest.mark.slow
def test_a_grid_that_is_through_was_not_stopped(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = "search.space={learning_rate: {choices: [1e-5, 1e-4, 1e-3, 1e-2]}, batch_size: 4}"
    stop = (*STOP, "search.sampler=grid", "pruning.stop=true")
    home.run(*stop, grid, "pruning.startup=4")
    assert len(home.states()) == 4
    shown = " ".join(capsys.readouterr().out.split())
    assert "has been stopped" not in shown and not said(home)
    assert not home.report().stopping.stopped


@pytest.mark.slow
def test_of_a_stopped_grid_the_points_left_are_told(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = [f"{1e-5 * 2**i:g}" for i in range(8)]
    grid = f"search.space={{learning_rate: {{choices: [{', '.join(rates)}]}}, batch_size: 4}}"
    home.run(*STOP, "search.sampler=grid", "pruning.stop=true", grid)
    left = 8 - len(home.states())
    assert left > 0
    assert f"{left} of 8 trials were not started" in " ".join(capsys.readouterr().out.split())
    assert home.report().stopping.num_not_started == left
