"""Steps as columns, and what else was measured under any metric's name."""

from __future__ import annotations

import pytest

from predictor.recorded.columns import STEPS
from predictor.recorded.frames import studies_from_frames
from sweep.analysis.recorded import step_table
from sweep.analysis.recorded.evaluations import Evaluation
from sweep.analysis.recorded.step_table import StepTable
from tests.support.recorded_frames import frames, run_row
from tests.support.sweep_ledgers import observation

MMLU = "lm_eval:mmlu"


def row(run: int) -> dict[str, int]:
    return {"run": run, "horizon_step": 4, "horizon_samples": 256}


@pytest.mark.parametrize("rows_a_frame", [1, 1000])
def test_a_metric_of_any_name_has_a_column_and_is_read_again(
    monkeypatch: pytest.MonkeyPatch, rows_a_frame: int
) -> None:
    monkeypatch.setattr(step_table, "STEPS_A_FRAME", rows_a_frame)
    table, seen = StepTable(), [observation(step) for step in range(1, 5)]
    table.add(row(0), seen, [Evaluation(0.5, others={"eval_loss": 2.0})])
    others = {MMLU: 0.6, f"{MMLU} margin": -0.1}
    table.add(row(1), seen, [Evaluation(0.4, 128, others=others), Evaluation(0.3, others=others)])
    steps = table.frame()
    assert list(steps.columns) == [*STEPS, f"other_{MMLU}", f"other_{MMLU} margin"]
    runs, _ = frames(*(run_row(n, horizon_samples=256) for n in (0, 1)))
    (study,) = studies_from_frames(runs, steps)
    first, second = study.runs
    assert first.others.keys() == {"eval_loss"}
    assert {name: values.tolist() for name, values in second.others.items()} == {
        MMLU: [0.6, 0.6],
        f"{MMLU} margin": [-0.1, -0.1],
    }


def test_without_one_the_columns_are_those_that_every_set_has() -> None:
    table = StepTable()
    table.add(row(0), [observation(1)], [Evaluation(0.5, others={"eval_loss": 2.0})])
    assert list(table.frame().columns) == list(STEPS)
