"""A spec that cannot work is refused before anything is loaded, all its mistakes at once."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from trainer.contract.checks import check_data, check_spec
from trainer.contract.metrics import ALLOWED
from trainer.contract.spec import Failed, LoraSpec, ModelSpec, TrialSpec, UserError
from trainer.worker import run_trial

SPEC = TrialSpec(0, 0, ModelSpec("base"), "data", "trial", 8, 77, 16, ("eval_loss",), 4, 1e-3)
DDP = ModelSpec("base", parallel="ddp")
FACTS: dict[str, Any] = {"eval": {"rows": 1, "input_tokens": 9}, "choices": None, "phases": None}
COUNT, SHARE = "must be a whole number of at least 1", "must be at least 0 and below 1"
NUMBER = "must be a number of at least 0"
BOUNDS = (
    "must be whole numbers that ascend, above window_samples (16) and below budget_samples (77)"
)
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"batch_size": 0}, f"batch_size: 0 {COUNT}"),
        ({"batch_size": 8.0}, f"batch_size: 8.0 {COUNT}"),
        ({"batch_size": "8"}, f"batch_size: '8' {COUNT}"),
        ({"budget_samples": -8}, f"budget_samples: -8 {COUNT}"),
        ({"processes": 0}, f"processes: 0 {COUNT}"),
        ({"checkpoints_kept": 0}, f"checkpoints_kept: 0 {COUNT}"),
        ({"micro_batch": 0}, f"micro_batch: 0 {COUNT}, or null"),
        ({"window_samples": -1}, "window_samples: -1 must be a whole number of at least 0"),
        ({"early_eval": 0.5}, "early_eval: 0.5 must be a whole number of at least 0"),
        ({"learning_rate": NAN}, f"learning_rate: nan {NUMBER}"),
        ({"learning_rate": INF}, f"learning_rate: inf {NUMBER}"),
        ({"learning_rate": -1e-3}, f"learning_rate: -0.001 {NUMBER}"),
        ({"clip": -1.0}, f"clip: -1.0 {NUMBER}"),
        ({"weight_decay": -0.1}, f"weight_decay: -0.1 {NUMBER}"),
        ({"warmup_ratio": 1.0}, f"warmup_ratio: 1.0 {SHARE}"),
        ({"beta1": -0.1}, f"beta1: -0.1 {SHARE}"),
        ({"beta2": 1.0}, f"beta2: 1.0 {SHARE}"),
        ({"replay": 1.5}, f"replay: 1.5 {SHARE}"),
        ({"model": ModelSpec("base", lora=LoraSpec(rank=0))}, f"model.lora.rank: 0 {COUNT}"),
        (
            {"model": ModelSpec("base", lora=LoraSpec(dropout=1.0))},
            f"model.lora.dropout: 1.0 {SHARE}",
        ),
        ({"window_samples": 81}, "window_samples: 81 is beyond the trial's end; at most 80"),
        ({"looks": (16,)}, f"looks: [16] {BOUNDS}"),
        ({"looks": (40, 24)}, f"looks: [40, 24] {BOUNDS}"),
        ({"looks": (24, 24)}, f"looks: [24, 24] {BOUNDS}"),
        ({"looks": (24, 77)}, f"looks: [24, 77] {BOUNDS}"),
        ({"looks": (24, 160)}, f"looks: [24, 160] {BOUNDS}"),
        ({"looks": (24.5,)}, f"looks: [24.5] {BOUNDS}"),
        (
            {"looks": (24,), "window_samples": 0},
            "looks: come after the window, and there is none; give window_samples, or no looks",
        ),
        (
            {"metrics": ("bleu",)},
            f"metrics: 'bleu' is unknown; allowed: {ALLOWED}",
        ),
        (
            {"metrics": ()},
            "early_eval: measures the metrics, and there is none; give one, or 0 here",
        ),
        (
            {"processes": 2},
            "model.parallel: none, but 2 processes share a trial by ddp or fsdp",
        ),
        ({"model": DDP}, "model.parallel: ddp goes with 2 processes or more; with one it is none"),
        (
            {"processes": 3, "model": DDP},
            "batch_size: 3 processes do not divide 8; 6 or 9 would do",
        ),
        (
            {"processes": 9, "model": DDP},
            "batch_size: 9 processes do not divide 8; 9 would do",
        ),
    ],
)
def test_a_value_that_cannot_work_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as raised:
        check_spec(replace(SPEC, **change))
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"window_samples": 80},  # the budget, rounded up to whole steps
        {"window_samples": 0},
        {"looks": (17, 18, 76)},  # several within one step are one look
        {"metrics": (), "early_eval": 0},
        {"learning_rate": 0, "clip": 0, "micro_batch": 1},
        {"processes": 4, "model": DDP},
        {"replay": 0.5, "reset_optimizer": True},  # without phases they do nothing
    ],
)
def test_a_value_at_its_bound_passes(change: dict[str, Any]) -> None:
    check_spec(replace(SPEC, **change))


def test_every_mistake_has_a_line_of_its_own() -> None:
    wrong = replace(SPEC, batch_size=0, clip=-1.0, replay=2.0, metrics=("bleu",))
    with pytest.raises(UserError) as raised:
        check_spec(wrong)
    keys = [line.split(":")[0] for line in str(raised.value).splitlines()]
    assert keys == ["batch_size", "clip", "replay", "metrics"]


def test_what_the_prepared_data_lack_is_refused() -> None:
    check_data(SPEC, FACTS)
    check_data(replace(SPEC, strategy="phased"), FACTS | {"phases": [{}]})
    with pytest.raises(UserError, match=r"metrics: choice_accuracy is measured on data\.choices"):
        check_data(replace(SPEC, metrics=("choice_accuracy",)), FACTS)
    with pytest.raises(UserError, match=r"metrics: eval_loss is measured on data\.eval, and none"):
        check_data(SPEC, FACTS | {"eval": None})
    with pytest.raises(UserError, match=r"strategy: phased needs data\.phases"):
        check_data(replace(SPEC, strategy="phased"), FACTS)


def test_a_wrong_trial_fails_with_the_sentence_before_anything_starts() -> None:
    ours, theirs = multiprocessing.Pipe()
    run_trial(replace(SPEC, processes=0), theirs)
    assert ours.recv() == Failed("bad input", f"processes: 0 {COUNT}")


def test_the_checks_import_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'transformers', 'datasets', 'pydantic'}"
    code = f"import sys, trainer.contract.checks; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
