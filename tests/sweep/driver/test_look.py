"""What a look showed, as the storage has it and as the predictor reads it."""

from __future__ import annotations

import json
import math

import pytest

from predictor.types import Observation
from sweep.account.objective import signals_of
from sweep.driver.look import look_at
from trainer.contract.measurement import Measurement

STEPS = [Observation(n, 8 * n, 80 * n, 40 * n, 2.0, 1.0, 1e-3, 0.1) for n in (1, 2, 3)]
CHOICES = Measurement(0.75, 64, 500, 0.1, stderr=0.05, margin=0.4, margin_stderr=0.1)
LOSS = Measurement(1.5, 900, 500, 0.1, stderr=0.02)
BOTH = {"choice_accuracy": CHOICES, "eval_loss": LOSS}


def stored(metric: str, **changes: Measurement) -> dict[str, object]:
    """A look as the storage gives it back."""
    return json.loads(json.dumps(look_at(STEPS, 16, BOTH | changes, metric)))


def test_a_look_keeps_what_was_measured_as_it_is() -> None:
    look = stored("choice_accuracy")
    assert (look["early_eval"], look["early_eval_num"], look["early_eval_stderr"]) == (
        0.75,
        64,
        0.05,
    )
    assert look["early_others"] == {
        "choice_margin": {"value": 0.4, "num": 64, "stderr": 0.1},
        "eval_loss": {"value": 1.5, "num": 900, "stderr": 0.02},
    }


def test_the_predictor_reads_all_of_it_lower_being_better() -> None:
    choices = signals_of(stored("choice_accuracy"), "choice_accuracy")
    assert choices.early_eval == pytest.approx(0.25 + 1 / 128)
    assert choices.early_eval_stderr == 0.05
    assert choices.early_others == {"choice_margin": -0.4, "eval_loss": 1.5}
    loss = signals_of(stored("eval_loss"), "eval_loss")
    assert (loss.early_eval, loss.early_eval_stderr) == (1.5, None)  # of rows, not of trials
    assert loss.early_others == pytest.approx(
        {"choice_accuracy": 0.25 + 1 / 128, "choice_margin": -0.4}
    )


def test_what_is_not_finite_stays_so() -> None:
    wrecked = Measurement(0.0, 64, 500, 0.1, stderr=0.0, margin=math.nan, margin_stderr=math.nan)
    read = signals_of(stored("eval_loss", choice_accuracy=wrecked), "eval_loss")
    assert math.isnan(read.early_others["choice_margin"])


def test_a_look_of_an_earlier_version_and_one_without_evaluation_have_no_others() -> None:
    look = stored("choice_accuracy")
    del look["early_others"], look["early_eval_stderr"]
    early = signals_of(look, "choice_accuracy")
    assert early.early_eval is not None
    nothing = signals_of(look_at(STEPS, 16, {}, "eval_loss"), "eval_loss")
    assert nothing.early_eval is None
    for one in (early, nothing):
        assert one.early_others == {} and one.early_eval_stderr is None
