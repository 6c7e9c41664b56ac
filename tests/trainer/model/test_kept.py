"""What a study has kept, loaded again: it is the model that was trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Drive
from trainer.contract.final import FinalSpec
from trainer.contract.spec import (
    BenchmarkSpec,
    Failed,
    Finished,
    LoraSpec,
    ModelSpec,
    TrialSpec,
)
from trainer.model.kept import ends_of, load_kept
from trainer.worker import run_final, run_trial

METRICS = ("eval_loss", "choice_accuracy")


@pytest.mark.slow
@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_a_kept_model_measures_as_it_did_in_its_trial(
    tuning: Any, tiny_model: Path, data_dir: Path, tmp_path: Path, drive: Drive
) -> None:
    model = ModelSpec(str(tiny_model), tuning, LoraSpec(rank=4), dtype="float32")
    spec = TrialSpec(
        number=0,
        seed=0,
        model=model,
        data_dir=str(data_dir),
        trial_dir=str(tmp_path / "trial"),
        batch_size=8,
        budget_samples=64,
        window_samples=0,
        metrics=METRICS,
        early_eval=0,
        learning_rate=1e-2,
        num_threads=1,
    )
    trained = drive(run_trial, spec)[-1]
    assert isinstance(trained, Finished), trained
    assert trained.model_dir is not None
    final = FinalSpec(model, trained.model_dir, str(data_dir), METRICS, BenchmarkSpec(), 1)
    found = drive(run_final, final)[-1]
    assert isinstance(found, Finished), found
    for metric in METRICS:
        before, after = trained.measurements[metric], found.measurements[metric]
        assert after.value == pytest.approx(before.value, rel=1e-5)
        assert after.over_base == pytest.approx(before.over_base, rel=1e-3)
    assert set(found.scores) == set(METRICS)
    (tmp_path / "trial" / "model").rename(tmp_path / "elsewhere")
    gone = drive(run_final, final)[-1]
    assert isinstance(gone, Failed) and gone.kind == "bad input" and "is gone" in gone.message


def test_a_metric_whose_data_were_not_prepared_is_named(
    tiny_model: Path, data_dir: Path, tmp_path: Path, drive: Drive
) -> None:
    facts = json.loads((data_dir / "prepared.json").read_text())
    (tmp_path / "prepared.json").write_text(json.dumps({**facts, "choices": None}))
    model = ModelSpec(str(tiny_model), dtype="float32")
    final = FinalSpec(model, None, str(tmp_path), ("choice_accuracy",), BenchmarkSpec(), 1)
    failed = drive(run_final, final)[-1]
    assert isinstance(failed, Failed) and failed.kind == "bad input"
    assert "objective.final: what choice_accuracy is measured on was not" in failed.message


def test_a_reply_ends_where_the_model_says_and_at_the_end_of_text(tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    model = load_kept(ModelSpec(str(tiny_model), dtype="float32"), None, torch.device("cpu"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model.generation_config.eos_token_id = [7, 9]
    assert ends_of(model, tokenizer) == [7, 9, 0]
    model.generation_config.eos_token_id = None
    assert ends_of(model, tokenizer) == [0]
    assert not model.training


def test_the_base_model_is_held_to_its_digest(tiny_model: Path) -> None:
    model = ModelSpec(str(tiny_model), dtype="float32", digest="another")
    with pytest.raises(ValueError, match="no longer those that the study was made with"):
        load_kept(model, None, torch.device("cpu"))
    load_kept(replace(model, digest="another"), tiny_model, torch.device("cpu"))  # a trained one
