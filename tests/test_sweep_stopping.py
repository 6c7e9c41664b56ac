"""When a study says that further trials are unlikely to help, and when it ends by that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sweep.inspect import study_document
from sweep.paths import StudyPaths
from sweep.stopping import unlikely
from tests.home import Home
from tests.sweep_ledgers import cost, decision, document, forecast, trial, written

STOP = ("run.trials=16", "run.workers=1", "pruning.risk=0.35", "pruning.max_expected_misses=100")


def at_window(*stated: tuple[float, int]) -> list:
    """Window verdicts with P0 and phase each, as they were taken."""
    return [
        decision(number, "continue", "rank", evidence=forecast(before=before, phase=phase))
        for number, (before, phase) in enumerate(stated)
    ]


@pytest.mark.parametrize(
    ("stated", "before"),
    [
        ([], None),
        ([(0.2, 0)], None),
        ([(0.1, 0)], None),  # below the risk, not at it
        ([(0.09, 0)], 0.09),
        ([(0.2, 0), (0.06, 0)], 0.06),
        ([(0.06, 0), (0.2, 0)], None),  # the latest counts
        ([(0.06, 1), (0.2, 0)], None),  # each phase must say so
        ([(0.06, 1), (0.2, 0), (0.08, 0)], 0.08),
    ],
)
def test_the_latest_verdicts_say_whether_further_trials_may_help(
    stated: Sequence[tuple[float, int]], before: float | None
) -> None:
    found = unlikely(at_window(*stated), risk=0.1)
    assert (found.before if found else None) == before


def test_verdicts_that_state_nothing_do_not_count() -> None:
    guard = decision(0, "prune", "guard", moment="divergence", evidence={"best": 1, "spread": 0.1})
    waiting = decision(1, "continue", "none", evidence={})
    assert unlikely([guard, waiting], risk=0.9) is None


def test_the_sentence_names_the_incumbent_and_both_numbers() -> None:
    found = unlikely(at_window((0.06, 0)), risk=0.1)
    assert found is not None
    assert found.sentence() == (
        "Further trials are unlikely to help: one not yet looked at beats trial 1 with "
        "P = 0.06, below the risk 0.10."
    )


def said(home: Home) -> list[str]:
    return [line for line in home.lines if line.startswith("Further trials are unlikely")]


def test_stopping_is_offered_once_and_not_done_unasked(home: Home) -> None:
    home.run(*STOP)
    assert len(home.states()) == 16
    (offer,) = said(home)
    assert offer.endswith("`pruning.stop: true` would end the study here.")
    home.run(*STOP, "run.trials=18")
    assert said(home) == [offer]
    assert offer in home.document()["notes"]


def test_a_study_that_says_so_ends_and_stays_ended(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home.run(*STOP, "pruning.stop=true") == 0
    ended = home.document()
    num = len(ended["trials"])
    assert 3 < num < 16
    assert said(home)[0].endswith("`pruning.stop: true` ends the study here.")
    shown = " ".join(capsys.readouterr().out.split())
    assert "The study has been stopped. Further trials are unlikely to help" in shown
    assert f"{16 - num} of 16 trials were not started. To go on: --set pruning.stop=false" in shown

    assert home.run(*STOP, "pruning.stop=true") == 0
    assert home.document() == ended
    assert "The study has been stopped." in capsys.readouterr().out
    assert len(said(home)) == 1

    assert home.run(*STOP, "pruning.stop=false") == 0
    assert len(home.states()) == 16


def test_trials_that_run_are_not_cut_off(home: Home) -> None:
    home.run(*STOP, "run.workers=3", "pruning.stop=true")
    assert set(home.states()) <= {"completed", "pruned"}
    assert len(home.states()) < 16


def test_what_was_not_started_is_saved_by_stopping(home: Home) -> None:
    home.run(*STOP, "pruning.stop=true")
    found = home.document()
    assert found["stopping"]["stopped"]
    left = found["stopping"]["num_not_started"]
    planned = [trial["planned_flops"] for trial in found["trials"]]
    assert left == 16 - len(planned)
    saved = found["compute"]["saved_by_stopping"]
    assert saved == pytest.approx(left * sum(planned) / len(planned))
    assert found["compute"]["planned_flops"] > sum(planned) + saved


def test_of_a_grid_only_its_points_can_be_saved(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        grid = {"learning_rate": {"choices": [1e-5, 1e-4, 1e-3]}, "batch_size": 16}
        stopped = document() | {
            "search": {"sampler": "grid", "space": grid},
            "pruning": {"risk": 0.1, "stop": True},
        }
        ledger.continue_as(stopped, "learned-2", [])
        ledger.save_trial(trial(0, "pruned"), decision=at_window((0.06, 0))[0])
        ledger.book(cost(0, 1e12))
        found = study_document(ledger, StudyPaths(tmp_path))
    assert found["stopping"]["num_not_started"] == 2
