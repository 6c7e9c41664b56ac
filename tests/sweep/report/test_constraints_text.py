"""What a report, a card and --json say of constraints and of what is noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.documents import to_json
from sweep.report.card import model_card
from sweep.report.console import make_console
from sweep.report.constraints_text import constraint_line, trade_off_rows
from sweep.report.print_study import print_study
from sweep.report.study_report import study_report, trial_report
from sweep.report.study_text import best_lines
from sweep.report.study_types import StudyReport
from sweep.report.trial_text import trial_rows
from sweep.storage.ledger import BASE, TrialRow
from sweep.storage.paths import StudyPaths
from tests.support.sweep_ledgers import (
    completed,
    document,
    going_on,
    measurement,
    trial,
    written,
)
from trainer.contract.measurement import Scores
from trainer.evaluation.rows import Rows

MMLU = "lm_eval:mmlu"
FLOOR = {"metric": MMLU, "at_least": "base - 0.01", "at_most": None, "margin": 0.0}


def ended(number: int, objective: float, over: float) -> TrialRow:
    mmlu = {**measurement(0.4 + over), "over_base": over, "over_base_stderr": 0.004}
    row = completed(number, objective)
    row.measurements = {"choice_accuracy": measurement(objective), MMLU: mmlu}
    return row


def answers(share: float, num: int = 500) -> Scores:
    """The questions are as hard for all: who knows more knows what the others do as well."""
    return Rows.alike((np.arange(num) < share * num).astype(float)).packed()


def report(folder: Path, *rows: TrialRow, constraints: Any = (FLOOR,)) -> StudyReport:
    base = {"choice_accuracy": measurement(0.3), MMLU: {**measurement(0.4), "stderr": 0.015}}
    with written(folder, base_measurements=base) as ledger:
        resolved = document()
        objective = {"metric": "choice_accuracy", "constraints": list(constraints)}
        ledger.continue_as({**resolved, "objective": objective}, "rank-1", [])
        for row in rows:
            ledger.save_trial(row)
            if row.objective is not None:
                ledger.save_scores(row.number, {"choice_accuracy": answers(row.objective)})
        ledger.save_scores(BASE, {"choice_accuracy": answers(0.3)})
        ledger.flush()
        return study_report(ledger, StudyPaths(folder))


ROWS = (ended(0, 0.70, 0.01), ended(1, 0.80, -0.05), ended(2, 0.698, 0.03), trial(3, "pruned"))


def test_the_best_is_feasible_and_stands_against_the_base_model_and_the_next(
    tmp_path: Path,
) -> None:
    found = report(tmp_path, *ROWS)
    assert found.best is not None and found.best.number == 0
    lines = best_lines(found)
    assert "trial 0 less the base model: +0.4000, 95 % interval +0.3570 to +0.4430: better" in lines
    (next_best,) = [line for line in lines if "less trial 2" in line]
    assert next_best.endswith("within noise")
    assert not any("less trial 1" in line for line in lines)  # it is not feasible


def test_what_is_noise_is_called_neither_better_nor_worse(tmp_path: Path) -> None:
    first = best_lines(report(tmp_path, ended(0, 0.302, 0.01)))[0]
    assert "within noise of the base model's 0.3000 (+0.0020" in first


def test_feasible_and_infeasible_stand_apart_with_by_how_much(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(tmp_path, *ROWS)
    print_study(found, make_console())
    text = capsys.readouterr().out
    feasible, infeasible = text.index("Feasible, best first"), text.index("Infeasible, best first")
    assert feasible < text.index("\n    2 ") < infeasible < text.index("Constraints")
    (one,) = found.constraints
    line = constraint_line(found, one)
    assert line == (
        "lm_eval:mmlu at least base - 0.01: base model 0.4000, bound 0.3900, held by 2 of 3 "
        "completed trials"
    )
    rows = trade_off_rows(found, one)
    assert [row[0] for row in rows] == ["1*", "0*", "2*"]
    assert rows[0][1:] == [
        *("0.8000", "0.3500", "-0.0400", "-0.0478", "-0.0322", "-0.0478", "broken for certain")
    ]


def test_a_trial_that_another_beats_in_both_is_not_on_the_front(tmp_path: Path) -> None:
    found = report(tmp_path, ended(0, 0.7, 0.01), ended(1, 0.6, 0.0), ended(2, 0.5, 0.05))
    assert found.constraints[0].front == (0, 2)


def test_without_a_feasible_trial_none_is_the_best_and_the_nearest_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(tmp_path, ended(0, 0.70, -0.02), ended(1, 0.80, -0.05))
    assert found.best is None and found.nearest is not None
    assert (found.nearest.number, found.nearest.shortfall) == (0, pytest.approx(0.01784, abs=1e-5))
    told, broken, model = best_lines(found)
    assert told.startswith("no completed trial holds every constraint; the nearest is trial 0")
    assert broken == "lm_eval:mmlu at least base - 0.01: broken for certain, by 0.0178"
    assert model == "its model: not kept"


def test_the_document_has_it_all(tmp_path: Path) -> None:
    found = to_json(report(tmp_path, *ROWS))
    (one,) = found["constraints"]
    assert (one["text"], one["front"]) == ("lm_eval:mmlu at least base - 0.01", [1, 0, 2])
    held = [own["constraints"][0]["is_held"] for own in found["trials"][:3]]
    assert held == [True, False, True]
    assert found["trials"][3]["constraints"] == []
    assert [own["other"] for own in found["differences"]] == [None, 2]
    assert [own["is_within_noise"] for own in found["differences"]] == [False, True]
    assert found["nearest"] is None


def test_a_trial_says_how_it_stands(tmp_path: Path) -> None:
    report(tmp_path, *ROWS)
    with going_on(tmp_path) as ledger:
        told = dict(trial_rows(trial_report(ledger, StudyPaths(tmp_path), 1)))
    assert told["constraint: lm_eval:mmlu"].startswith(
        "broken for certain: -0.0400 from the bound 0.3900, 95 % interval -0.0478 to -0.0322"
    )


def test_a_study_without_constraints_reads_as_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(tmp_path, *ROWS, constraints=())
    assert found.best is not None and found.best.number == 1
    assert found.constraints == () and found.trials[0].is_feasible is None
    print_study(found, make_console())
    text = capsys.readouterr().out
    assert "Completed, best first" in text and "onstraint" not in text


def test_the_card_and_a_trial_tell_groups_with_errors_beside_the_base_model(tmp_path: Path) -> None:
    row = ended(0, 0.70, 0.01)
    assert row.measurements is not None
    mmlu = row.measurements[MMLU]
    row.measurements[MMLU] = {**mmlu, "stderr": 0.012, "group_stderrs": {"retention": 0.02}}
    text = model_card(report(tmp_path, row), 0, "org/tiny-base", {}, has_chats=False)
    assert "| lm_eval:mmlu |  | 400 | 0.4100 ± 0.0120 | 0.4000 ± 0.0150 |" in text
    assert "| lm_eval:mmlu | retention |  | 0.5100 ± 0.0200 | 0.5000 |" in text
    with going_on(tmp_path) as ledger:
        told = dict(trial_rows(trial_report(ledger, StudyPaths(tmp_path), 0)))
    measured = told["measured: lm_eval:mmlu"]
    assert measured.startswith("0.4100 ± 0.0120 over 400 (base model: 0.4000 ± 0.0150)")
    assert "retention 0.510 ± 0.020" in measured


def test_the_card_says_what_holds_and_what_is_noise(tmp_path: Path) -> None:
    text = model_card(report(tmp_path, *ROWS), 0, "org/tiny-base", {}, has_chats=False)
    assert "the best of the 2 trials that were trained to their end and hold every" in text
    assert "| lm_eval:mmlu at least base - 0.01 | 0.4100 | 0.4000 | +0.0200 |" in text
    assert "- trial 0 less the base model: +0.4000" in text
