"""Switches for speed and memory: they change no number, and say where they cannot work."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from predictor.types import Observation
from trainer.contract.spec import Failed, Finished, ModelSpec, Stepped, TrialSpec, UserError
from trainer.model.load import best_device, load_model
from trainer.model.switches import check_padding_free, check_switches, is_padding_free
from trainer.worker import run_trial

Drive = Callable[..., list[Any]]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("switch", "device", "sentence"),
    [
        ({"parallel": "fsdp"}, CPU, "model.parallel: FSDP needs accelerators; on the CPU use ddp"),
        ({"liger": True}, CPU, "model.liger: its kernels need a CUDA GPU, and this is cpu"),
        ({"attention": "flash_attention_2"}, CPU, "needs a CUDA GPU, and this is cpu"),
        ({"dtype": "float16", "parallel": "fsdp"}, CUDA, "float16 does not go with model.parallel"),
        ({"compile": True, "parallel": "fsdp"}, CUDA, "does not go with model.parallel fsdp"),
        ({"compile": True}, torch.device("mps"), "does not work on mps"),
    ],
)
def test_a_switch_that_cannot_work_here_is_refused(
    switch: dict[str, Any], device: torch.device, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        check_switches(ModelSpec("x", **switch), device)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UserError) as raised:
        check_switches(ModelSpec("x", liger=True, parallel="fsdp"), CPU)
    assert len(str(raised.value).splitlines()) == 2


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    check_switches(ModelSpec("x", compile=True), CPU)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler"):
        check_switches(ModelSpec("x", compile=True), CPU)


def test_padding_is_left_out_where_that_costs_nothing(tiny_model: Path) -> None:
    model = load_model(ModelSpec(str(tiny_model)), best_device())
    assert not is_padding_free(ModelSpec("x"), model)  # sdpa looks at all pairs
    assert is_padding_free(ModelSpec("x", padding_free=True), model)
    model.config._attn_implementation = "flash_attention_2"
    assert is_padding_free(ModelSpec("x"), model)
    assert not is_padding_free(ModelSpec("x", padding_free=False), model)


def test_a_model_whose_samples_would_see_each_other_is_refused(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(ModelSpec(str(tiny_model)), best_device())
    check_padding_free(model)
    forward = type(model.model).forward

    def blind(self: Any, *args: Any, position_ids: Any = None, **kwargs: Any) -> Any:
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(type(model.model), "forward", blind)
    with pytest.raises(UserError, match="concatenated see each other"):
        check_padding_free(model)


@pytest.fixture
def spec(tiny_model: Path, data_dir: Path, tmp_path: Path) -> TrialSpec:
    return TrialSpec(
        number=0,
        seed=1,
        model=ModelSpec(str(tiny_model), dtype="float32"),
        data_dir=str(data_dir),
        trial_dir=str(tmp_path / "trial"),
        batch_size=16,
        budget_samples=128,
        window_samples=32,
        metrics=("eval_loss",),
        early_eval=0,
        learning_rate=3e-3,
        save_model=False,
        num_threads=1,
    )


def curve(events: list[Any]) -> list[Observation]:
    failed = [event for event in events if isinstance(event, Failed)]
    assert not failed, failed[0].traceback
    assert isinstance(events[-1], Finished)
    return [event.observation for event in events if isinstance(event, Stepped)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:torch")
@pytest.mark.parametrize(
    "switch",
    [
        {"padding_free": True},
        {"attention": "eager"},
        {"padding_free": True, "attention": "eager"},
        {"gradient_checkpointing": True},
        {"compile": True},
        {"compile": True, "tuning": "lora"},
    ],
)
def test_a_switch_changes_no_number(
    drive: Drive,
    spec: TrialSpec,
    tmp_path: Path,
    switch: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Graphs are captured and differentiated as always, but no C++ is compiled: that takes minutes.
    captured = functools.partialmethod(torch.nn.Module.compile, backend="aot_eager")
    monkeypatch.setattr(torch.nn.Module, "compile", captured)
    tuning = switch.get("tuning", "full")
    plain = replace(spec, model=replace(spec.model, tuning=tuning), trial_dir=str(tmp_path / "p"))
    expected = curve(drive(run_trial, plain))
    found = curve(drive(run_trial, replace(spec, model=replace(spec.model, **switch))))
    for one, other in zip(expected, found, strict=True):
        assert other.loss_tokens_seen == one.loss_tokens_seen
        assert other.input_tokens_seen == one.input_tokens_seen
        assert other.loss == pytest.approx(one.loss, rel=1e-4)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-3)
        if one.grad_sq_noise_free is not None:
            assert other.grad_sq_noise_free == pytest.approx(
                one.grad_sq_noise_free, rel=1e-2, abs=1e-3
            )
