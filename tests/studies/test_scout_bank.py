"""The bank of looks: one study as two recorded ones, an objective each."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from predictor.recorded.files import read_frames
from predictor.recorded.frames import studies_from_frames
from studies.experiments.scout_bank import record
from sweep.config.limits import STRIDE
from sweep.driver.look import look_at
from tests.support import exports
from tests.support.exports import WINDOW, steps
from tests.support.sweep_ledgers import completed, written
from trainer.contract.measurement import Measurement

EARLY = {
    "choice_accuracy": Measurement(0.4, 64, 9, 0.1, stderr=0.06, margin=-0.3, margin_stderr=0.1),
    "eval_loss": Measurement(2.5, 900, 9, 0.1, stderr=0.02),
}
END = {name: replace(one, value=one.value / 2) for name, one in EARLY.items()}
SECOND = STRIDE  # trial 0 again, with another seed


def made(out: Path, *numbers: int) -> tuple[Any, Any]:
    """The set of a bank of one mix with these trials: runs and steps."""
    with written(out / "mixed") as ledger:
        for number in numbers:
            row, seen = completed(number, 0.2), steps(number)
            exports.record(ledger, row, seen)
            row.window = look_at(seen, WINDOW, EARLY, "choice_accuracy")
            row.looks = [look_at(seen, 160, EARLY, "choice_accuracy")]
            row.measurements = {name: asdict(one) for name, one in END.items()}
            ledger.save_trial(row)
    record(out, out / "x")
    return read_frames(out / "x")


def test_each_mix_is_a_study_of_either_objective(tmp_path: Path) -> None:
    loss, choices = studies_from_frames(*made(tmp_path, 0, 1))
    assert (loss.name, loss.metric, loss.direction) == ("demo-loss", "eval_loss", "minimize")
    assert (choices.name, choices.metric) == ("demo-choices", "choice_accuracy")
    error = 0.6 + 1 / 128
    for study, early, end, stderr, others in (
        (loss, 2.5, 1.25, None, {"choice_accuracy": error, "choice_margin": 0.3}),
        (choices, error, 0.8 + 1 / 128, 0.06, {"eval_loss": 2.5, "choice_margin": 0.3}),
    ):
        assert [list(one) for one in study.runs[0].evals] == [
            [112, early],
            [160, early],
            [256, end],
        ]
        for close in (WINDOW, 160):
            window = study.trials(close)[0].window
            assert window is not None and window.early_eval_stderr == stderr
            assert window.early_others == pytest.approx(others)


@pytest.mark.parametrize(("numbers", "kept"), [((0, SECOND), 2), ((0, 1, SECOND), 2)])
def test_replicates_count_where_every_configuration_has_one(
    tmp_path: Path, numbers: tuple[int, ...], kept: int
) -> None:
    loss, _ = studies_from_frames(*made(tmp_path, *numbers))
    assert len(loss.runs) == kept
    assert loss.num_replicates == len(numbers) - kept
