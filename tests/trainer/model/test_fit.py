"""The micro-batch that fits: found by halving, remembered, and made smaller where memory runs out.

Memory is pretended: a micro-batch of too many samples raises what torch raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from predictor.types import Observation
from trainer.contract.spec import Failed, Finished, ModelSpec, Stepped, TrialSpec
from trainer.model.fit import Fit, FitMemory, largest_that_fits
from trainer.training.train import ObservedTrainer
from trainer.worker import run_trial

Drive = Callable[..., list[Any]]


@pytest.fixture
def spec(tiny_model: Path, data_dir: Path, tmp_path: Path) -> TrialSpec:
    import shutil

    own = tmp_path / "data"  # of its own: what fits is remembered there
    shutil.copytree(data_dir, own)
    return TrialSpec(
        number=0,
        seed=1,
        model=ModelSpec(str(tiny_model), dtype="float32"),
        data_dir=str(own),
        trial_dir=str(tmp_path / "trial"),
        batch_size=32,
        budget_samples=192,
        window_samples=32,
        metrics=("eval_loss",),
        early_eval=0,
        learning_rate=3e-3,
        save_model=False,
        num_threads=1,
    )


class Memory:
    """Of a device that holds `capacity` samples, and counts what was tried."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.tried = capacity, []

    def hold(self, size: int) -> None:
        self.tried.append(size)
        if size > self.capacity:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def search(memory: FitMemory, own: int, attempt: Callable[[int], None]) -> int:
    return largest_that_fits(memory, memory.read(), own, attempt)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("capacity", "own", "found", "tried"),
    [
        (100, 32, 32, [32]),
        (9, 32, 8, [32, 16, 8]),
        (9, 12, 6, [12, 6]),
        (0, 8, 1, [8, 4, 2]),  # one sample is not tried: there is nothing smaller
        (0, 1, 1, []),
    ],
)
def test_it_is_halved_until_it_fits(
    spec: TrialSpec, capacity: int, own: int, found: int, tried: list[int]
) -> None:
    device = Memory(capacity)
    assert search(FitMemory(spec), own, device.hold) == found
    assert device.tried == tried


@pytest.mark.slow
def test_only_the_first_trial_searches(spec: TrialSpec) -> None:
    device = Memory(9)
    search(FitMemory(spec), 32, device.hold)
    device.tried.clear()
    assert search(FitMemory(spec), 32, device.hold) == 8
    assert search(FitMemory(spec), 4, device.hold) == 4
    assert search(FitMemory(spec), 64, device.hold) == 8
    assert device.tried == []
    # A trial that holds other things in memory searches for itself.
    lora = replace(spec, model=replace(spec.model, tuning="lora"))
    assert search(FitMemory(lora), 8, device.hold) == 8
    assert device.tried == [8]


def test_what_fitted_once_and_then_did_not_is_not_tried_again(spec: TrialSpec) -> None:
    memory = FitMemory(spec)
    memory.it_fits(16)
    memory.it_fails(16)
    assert memory.read() == Fit(15, 16)
    assert search(memory, 16, Memory(100).hold) == 8


def test_a_torn_memory_costs_a_search_and_nothing_else(spec: TrialSpec) -> None:
    Path(spec.data_dir, "micro_batch.json").write_text("{")
    assert FitMemory(spec).read() == Fit()


@pytest.mark.slow
def test_an_error_that_is_not_about_memory_passes(spec: TrialSpec) -> None:
    def broken(size: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        search(FitMemory(spec), 8, broken)


def with_memory(monkeypatch: pytest.MonkeyPatch, device: Memory, from_step: int = 0) -> None:
    add_gradient = ObservedTrainer._add_gradient

    def limited(self: Any, model: Any, batch: Any, num_items: Any) -> Any:
        if self.state.global_step >= from_step:
            device.hold(len(batch["labels"]))
        return add_gradient(self, model, batch, num_items)

    monkeypatch.setattr(ObservedTrainer, "_add_gradient", limited)


def curve(events: list[Any]) -> list[Observation]:
    assert isinstance(events[-1], Finished), events[-1]
    return [event.observation for event in events if isinstance(event, Stepped)]


@pytest.mark.slow
def test_running_out_of_memory_halves_the_micro_batch_and_loses_no_step(
    drive: Drive, spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropout = replace(spec.model.lora, rank=4, dropout=0.0)
    model = replace(spec.model, tuning="lora", lora=dropout)
    spec = replace(spec, model=model, micro_batch=32)
    whole = curve(drive(run_trial, replace(spec, trial_dir=str(tmp_path / "whole"))))
    device = Memory(5)
    with_memory(monkeypatch, device, from_step=2)
    smaller = curve(drive(run_trial, spec))
    # The size outside the window: a step of 32 that fails, then 16, then 8, then 4 to the end.
    assert device.tried[:4] == [32, 16, 8, 4] and set(device.tried[4:]) == {4}
    assert [o.step for o in smaller] == [1, 2, 3, 4, 5, 6]
    for one, other in zip(whole, smaller, strict=True):
        assert other.loss_tokens_seen == one.loss_tokens_seen
        assert other.loss == pytest.approx(one.loss, rel=1e-4)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-4)


@pytest.mark.slow
def test_a_search_with_the_model_itself_leaves_no_trace(
    drive: Drive, spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an accelerator: the longest row, with room for the optimizer, before the first step."""
    lora = replace(spec.model.lora, rank=4, dropout=0.2)
    spec = replace(spec, model=replace(spec.model, tuning="lora", lora=lora))
    known = replace(spec, trial_dir=str(tmp_path / "known"), micro_batch=4)
    expected = curve(drive(run_trial, known))
    device = Memory(5)
    with_memory(monkeypatch, device)
    monkeypatch.setattr(ObservedTrainer, "_can_search", lambda self: True)
    found = curve(drive(run_trial, spec))
    assert device.tried[:4] == [32, 16, 8, 4] and set(device.tried[4:]) == {4}
    assert [(o.loss, o.grad_norm) for o in found] == [(o.loss, o.grad_norm) for o in expected]
    device.tried.clear()
    drive(run_trial, replace(spec, trial_dir=str(tmp_path / "second")))
    assert set(device.tried) == {4}


@pytest.mark.slow
def test_a_sample_that_does_not_fit_alone_fails_the_trial(
    drive: Drive, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_memory(monkeypatch, Memory(0))
    failed = drive(run_trial, spec)[-1]
    assert isinstance(failed, Failed) and failed.kind == "out of memory"


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 4, 32])
def test_the_result_does_not_depend_on_the_micro_batch(
    drive: Drive, spec: TrialSpec, tmp_path: Path, size: int
) -> None:
    reference = curve(drive(run_trial, replace(spec, trial_dir=str(tmp_path / "reference"))))
    found = curve(drive(run_trial, replace(spec, micro_batch=size)))
    for one, other in zip(reference, found, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-4)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-4)


@pytest.mark.slow
def test_processes_that_run_out_of_memory_start_again_from_their_checkpoint(
    drive_forked: Drive, spec: TrialSpec
) -> None:
    """The launcher does it: no process can halve alone while the others wait for its gradient."""
    two = replace(spec, processes=2, model=replace(spec.model, parallel="ddp"), micro_batch=16)
    events = drive_forked(run_trial_in_little_memory, two)
    assert [o.step for o in curve(events)][-6:] == [1, 2, 3, 4, 5, 6]
    assert FitMemory(two).read().fails == 8


def run_trial_in_little_memory(spec: TrialSpec, channel: Any) -> None:
    with_memory(pytest.MonkeyPatch(), Memory(5), from_step=2)
    run_trial(spec, channel)
