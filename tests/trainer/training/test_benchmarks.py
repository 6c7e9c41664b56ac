"""A trial that is measured by benchmarks: prepared, looked at, finished."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.trial_events import curve, of
from trainer.contract.spec import (
    BenchmarkSpec,
    DataSpec,
    Finished,
    LoraSpec,
    ModelSpec,
    Prepared,
    PrepareSpec,
    TrialSpec,
    VerdictWanted,
)
from trainer.worker import run_prepare, run_trial

Drive = Callable[..., list[Any]]
METRIC = "lm_eval:sums"


@pytest.fixture
def model(tiny_model: Path) -> ModelSpec:
    """With dropout, whose draws nobody may disturb."""
    return ModelSpec(str(tiny_model), "lora", LoraSpec(rank=4, dropout=0.2), dtype="float32")


@pytest.fixture
def benchmarks(sums: dict[str, Path], tmp_path: Path) -> BenchmarkSpec:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "sums.jsonl").write_bytes(sums["choices"].read_bytes())
    return BenchmarkSpec(str(folder), {"sums": 2})


@pytest.fixture
def prepared(
    model: ModelSpec, benchmarks: BenchmarkSpec, sums: dict[str, Path], tmp_path: Path, drive: Drive
) -> Prepared:
    """In tmp_path/data."""
    out = tmp_path / "data"
    out.mkdir()
    data = DataSpec(str(sums["train"]), eval=str(sums["eval"]))
    metrics = (METRIC, "eval_loss")
    spec = PrepareSpec(model, data, str(out), metrics, benchmarks=benchmarks)
    events = drive(run_prepare, spec)
    assert isinstance(events[-1], Prepared), events[-1]
    return events[-1]


def trial(model: ModelSpec, benchmarks: BenchmarkSpec, folder: Path, **changes: Any) -> TrialSpec:
    spec = TrialSpec(
        number=0,
        seed=1,
        model=model,
        data_dir=str(folder / "data"),
        trial_dir=str(folder / "trial"),
        batch_size=4,
        budget_samples=32,
        window_samples=8,
        looks=(16,),
        metrics=(METRIC, "eval_loss"),
        early_eval=6,
        learning_rate=3e-3,
        micro_batch=4,
        num_threads=1,
        benchmarks=benchmarks,
    )
    return replace(spec, **changes)


@pytest.mark.slow
def test_a_benchmark_is_measured_of_the_base_at_looks_and_at_the_end(
    prepared: Prepared, model: ModelSpec, benchmarks: BenchmarkSpec, tmp_path: Path, drive: Drive
) -> None:
    facts = prepared.facts
    assert facts["benchmarks"][METRIC]["questions"] == 20
    base = facts["base_measurements"][METRIC]
    assert base["num"] == 20 and base["input_tokens"] == facts["benchmarks"][METRIC]["input_tokens"]
    assert json.loads((tmp_path / "data/prepared.json").read_text())["benchmarks"]
    events = drive(run_trial, trial(model, benchmarks, tmp_path))
    looks = [event.early[METRIC] for event in of(VerdictWanted, events)]
    assert [look.num for look in looks] == [6, 6]
    assert all(look.over_base is not None and look.margin is not None for look in looks)
    assert isinstance(events[-1], Finished), events[-1]
    final = events[-1].measurements[METRIC]
    assert final.num == 20 and set(final.groups) == {"even", "odd"}
    assert final.over_base == pytest.approx(final.value - base["value"], abs=1e-6)
    assert len(np.frombuffer(events[-1].scores[METRIC].scores, "<f4")) == 20


@pytest.mark.slow
def test_training_is_the_same_to_the_bit_with_and_without_it(
    prepared: Prepared, model: ModelSpec, benchmarks: BenchmarkSpec, tmp_path: Path, drive: Drive
) -> None:
    assert prepared
    found = []
    for metrics in ((METRIC, "eval_loss"), ("eval_loss",)):
        spec = trial(model, benchmarks, tmp_path, metrics=metrics)
        events = drive(run_trial, replace(spec, trial_dir=str(tmp_path / metrics[0])))
        assert isinstance(events[-1], Finished), events[-1]
        observed = [replace(seen, seconds=0.0) for seen in curve(events)]
        found.append((observed, events[-1].measurements["eval_loss"].value))
    assert found[0] == found[1]


@pytest.mark.slow
def test_two_processes_share_the_questions_and_say_the_same(
    prepared: Prepared,
    model: ModelSpec,
    benchmarks: BenchmarkSpec,
    tmp_path: Path,
    drive_forked: Drive,
) -> None:
    """Of a model that has not learned anything, so that only the evaluation is compared."""
    assert prepared
    found = []
    for processes, parallel in ((1, "none"), (2, "ddp")):
        spec = trial(
            replace(model, parallel=parallel),
            benchmarks,
            tmp_path,
            processes=processes,
            trial_dir=str(tmp_path / parallel),
            learning_rate=0.0,
        )
        events = drive_forked(run_trial, spec)
        assert isinstance(events[-1], Finished), events[-1]
        looks = [event.early[METRIC] for event in of(VerdictWanted, events)]
        found.append([*looks, events[-1].measurements[METRIC]])
    for one, two in zip(*found, strict=True):
        assert replace(one, seconds=0.0) == replace(two, seconds=0.0)
