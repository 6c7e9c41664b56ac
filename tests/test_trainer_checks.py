"""A spec that cannot work is refused before anything is loaded, all its mistakes at once."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from trainer.checks import check_data, check_spec
from trainer.spec import LoraSpec, ModelSpec, TrialSpec, UserError

SPEC = TrialSpec(0, 0, ModelSpec("base"), "data", "trial", 8, 80, 16, ("eval_loss",), 4, 1e-3)
FACTS: dict[str, Any] = {"eval": {}, "choices": None, "phases": None}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"batch_size": 0}, "batch_size: 0 must be at least 1"),
        ({"budget_samples": -8}, "budget_samples: -8 must be at least 1"),
        ({"processes": 0}, "processes: 0 must be at least 1"),
        ({"checkpoints_kept": 0}, "checkpoints_kept: 0 must be at least 1"),
        ({"micro_batch": 0}, "micro_batch: 0 must be at least 1, or null"),
        ({"clip": -1.0}, "clip: -1.0 must be a number of at least 0"),
        ({"learning_rate": float("nan")}, "learning_rate: nan must be a number of at least 0"),
        ({"warmup_ratio": 2.0}, "warmup_ratio: 2.0 must be at least 0 and below 1"),
        ({"replay": 1.5}, "replay: 1.5 must be at least 0 and below 1"),
        ({"window_samples": 81}, "window_samples: 81 is beyond the trial's last step"),
        ({"metrics": ("bleu",)}, "metrics: 'bleu' is unknown; one of eval_loss, choice_accuracy"),
        ({"metrics": ()}, "early_eval: needs a metric"),
        ({"model": ModelSpec("base", lora=LoraSpec(rank=0))}, "model.lora.rank: 0 must be"),
        ({"processes": 2}, "model.parallel: 2 processes share a trial by ddp or fsdp"),
        ({"model": ModelSpec("base", parallel="ddp")}, "model.parallel: ddp goes with 2 processes"),
        (
            {"processes": 3, "model": ModelSpec("base", parallel="ddp")},
            "batch_size: 3 processes do not divide 8; 6 or 9 would do",
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused(change: dict[str, Any], said: str) -> None:
    check_spec(SPEC)
    with pytest.raises(UserError, match=re.escape(said)):
        check_spec(replace(SPEC, **change))


def test_all_mistakes_are_said_at_once() -> None:
    with pytest.raises(UserError) as raised:
        check_spec(replace(SPEC, batch_size=0, clip=-1.0, replay=2.0))
    assert len(str(raised.value).splitlines()) == 3


def test_what_the_data_lack_is_refused() -> None:
    check_data(SPEC, FACTS)
    with pytest.raises(UserError, match="choice_accuracy is measured on choices, and none"):
        check_data(replace(SPEC, metrics=("choice_accuracy",)), FACTS)
    with pytest.raises(UserError, match="phased needs data in phases"):
        check_data(replace(SPEC, strategy="phased"), FACTS)
