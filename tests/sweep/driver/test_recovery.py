"""A study whose stored rows somebody has put a hand to."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from sweep.analysis.recorded.tables import study_tables
from sweep.report.study_report import study_report
from sweep.storage.find import open_study
from sweep.storage.ledger import Cost
from sweep.storage.paths import StudyPaths
from tests.support.home import Home
from tests.support.sweep_ledgers import completed, going_on, trial, written

METRIC = "choice_accuracy"


def test_odd_rows_are_said_and_break_nothing(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    with written(out) as ledger:
        for number in range(4):
            ledger.save_trial(completed(number, 0.5 + 0.1 * number))
        ledger.save_trial(trial(4, "completed", objective=0.99))
        ledger.save_trial(trial(5, "pruned"))  # no decision
        ledger.record(Cost(77, 1, "train", 10, 1.0, 1e12))
    with going_on(out) as ledger:
        report = study_report(ledger, StudyPaths(out))
    lost, gone = report.notes
    assert lost.startswith(f"Completed without a measured {METRIC} in the storage: trial 4.")
    assert gone.startswith("Decisions, costs or observations without a row in sweep_trials: trial")
    runs = study_tables([str(out)]).runs
    assert runs["final_eval_loss"].isna().tolist() == [False] * 4 + [True, True]


@pytest.mark.slow
def test_a_driver_goes_on_beside_odd_rows(home: Home) -> None:
    assert home.run("run.trials=4") == 0
    engine = sa.create_engine(f"sqlite:///{home.out / 'study.db'}")
    with engine.begin() as connection:
        change = "UPDATE sweep_trials SET measurements = NULL WHERE number = 0"
        connection.execute(sa.text(change))
        connection.execute(sa.text("DELETE FROM sweep_decisions WHERE trial = 1"))
        connection.execute(sa.text("DELETE FROM sweep_trials WHERE number = 2"))
    engine.dispose()
    assert home.run("run.trials=6") == 0
    said = "\n".join(home.lines)
    assert "Completed without a measured eval_loss in the storage: trial 0." in said
    assert "without a row in sweep_trials: trial 2." in said
    ledger, _ = open_study(str(home.out))
    assert {row.number for row in ledger.read_trials()} >= {0, 1, 3, 4, 5}
    ledger.engine.dispose()
