"""One trial, from its spec to its end, against a driver at the other end of a real pipe."""

from __future__ import annotations

import json
import math
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from predictor.types import Observation, Verdict
from tests.support.trial_events import curve, of
from trainer.contract.spec import (
    Alive,
    Checkpointed,
    Finished,
    LoraSpec,
    ModelSpec,
    Started,
    Stepped,
    Stop,
    Stopped,
    TrialSpec,
    VerdictWanted,
)
from trainer.data.batches import Rows, Stacked, pad_rows
from trainer.worker import run_trial

pytestmark = pytest.mark.slow

Drive = Callable[..., list[Any]]
LORA = LoraSpec(rank=4, alpha=8, dropout=0.2)


@pytest.fixture
def spec(tiny_model: Path, data_dir: Path, tmp_path: Path) -> TrialSpec:
    """16 steps of 8 out of 100 rows: across the border of an epoch. The window is 3 steps."""
    return TrialSpec(
        number=0,
        seed=1,
        model=ModelSpec(str(tiny_model), dtype="float32", lora=LORA),
        data_dir=str(data_dir),
        trial_dir=str(tmp_path / "trial"),
        batch_size=8,
        budget_samples=128,
        window_samples=24,
        metrics=("eval_loss",),
        early_eval=8,
        learning_rate=3e-3,
        schedule="cosine",
        warmup_ratio=0.2,
        weight_decay=0.1,
        save_model=False,
        num_threads=1,
    )


def values(observations: list[Observation]) -> list[tuple[Any, ...]]:
    """All but the wall time."""
    return [
        (o.step, o.loss, o.grad_norm, o.lr, o.input_tokens_seen, o.loss_tokens_seen)
        for o in observations
    ]


def lora(spec: TrialSpec, **changes: Any) -> TrialSpec:
    return replace(spec, model=replace(spec.model, tuning="lora"), **changes)


def test_a_trial_tells_its_story_in_order(drive: Drive, spec: TrialSpec) -> None:
    events = drive(run_trial, spec)
    told = [type(event).__name__ for event in events if not isinstance(event, Alive)]
    steps = ["Stepped"] * 16
    assert told == ["Started", *steps[:3], "VerdictWanted", *steps[3:], "Finished"]
    (wanted,), (finished,) = of(VerdictWanted, events), of(Finished, events)
    assert (wanted.step, wanted.why) == (3, "window")
    assert wanted.early["eval_loss"].num < finished.measurements["eval_loss"].num
    seen = curve(events)
    assert [o.step for o in seen] == list(range(1, 17))
    assert [o.samples_seen for o in seen] == list(range(8, 129, 8))
    assert seen[0].lr == 0 and max(o.lr for o in seen) == pytest.approx(3e-3)
    assert seen[-1].loss < seen[0].loss - 0.5
    assert finished.model_dir is None


def test_the_first_observation_is_what_a_direct_computation_gives(
    drive: Drive, spec: TrialSpec, tiny_model: Path, data_dir: Path
) -> None:
    from transformers import AutoModelForCausalLM

    first = curve(drive(run_trial, replace(spec, clip=0.01)))[0]
    rows = Rows(data_dir / "train")
    drawn = [rows[row] for row in Stacked(len(rows), 8, seed=1).rows(0)]
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    total, tokens = torch.zeros(()), 0
    for ids, labels in drawn:  # one by one: no padding, no mean of means
        batch = pad_rows([ids], [labels])
        logits = model(input_ids=batch["input_ids"]).logits[0, :-1]
        total = total + torch.nn.functional.cross_entropy(
            logits, batch["labels"][0, 1:], reduction="sum"
        )
        tokens += int((batch["labels"][0, 1:] != -100).sum())
    (total / tokens).backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    norm = math.sqrt(sum(float(grad.square().sum()) for grad in grads))
    assert first.loss == pytest.approx(total.item() / tokens, rel=1e-5)
    assert first.grad_norm == pytest.approx(norm, rel=1e-5)  # before clipping
    assert first.loss_tokens_seen == tokens
    assert first.input_tokens_seen == sum(len(ids) for ids, _ in drawn)


@pytest.mark.parametrize("window_samples", [0, 32])
def test_loss_and_norm_do_not_depend_on_the_split(
    drive: Drive, spec: TrialSpec, window_samples: int
) -> None:
    short = replace(spec, budget_samples=32, window_samples=window_samples, early_eval=0)
    curves = [curve(drive(run_trial, replace(short, micro_batch=size))) for size in (1, 3, 8)]
    for other in curves[1:]:
        for one, two in zip(curves[0], other, strict=True):
            assert one.loss == pytest.approx(two.loss, rel=1e-5)
            assert one.grad_norm == pytest.approx(two.grad_norm, rel=1e-5)


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_the_norm_is_taken_apart_inside_the_window_only(
    drive: Drive, spec: TrialSpec, tuning: str
) -> None:
    changed = replace(spec, model=replace(spec.model, tuning=tuning), budget_samples=48)
    for o in curve(drive(run_trial, changed)):
        if o.step > 3:
            assert o.grad_sq_noise_free is None and o.grad_sq_noise is None
        else:
            assert o.grad_sq_noise_free is not None and o.grad_sq_noise is not None
            parts = o.grad_sq_noise_free + o.grad_sq_noise
            assert parts == pytest.approx(o.grad_norm**2, rel=1e-4)


def test_a_batch_of_one_has_no_noise_free_norm(drive: Drive, spec: TrialSpec) -> None:
    one = replace(spec, batch_size=1, budget_samples=4, window_samples=2, early_eval=0)
    assert [o.grad_sq_noise_free for o in curve(drive(run_trial, one))] == [None] * 4


def test_looking_does_not_change_what_is_looked_at(drive: Drive, spec: TrialSpec) -> None:
    """Dropout is on: an evaluation that took a random number would show."""
    with_eval, without = lora(spec, early_eval=8), lora(spec, early_eval=0)
    seen, unseen = curve(drive(run_trial, with_eval)), curve(drive(run_trial, without))
    assert values(seen) == values(unseen)


@pytest.mark.parametrize("action", ["continue", "audit"])
def test_a_verdict_lets_the_trial_go_on(drive: Drive, spec: TrialSpec, action: Any) -> None:
    def answer(event: Any) -> Any:
        return Verdict(action, "rank", "a test") if isinstance(event, VerdictWanted) else None

    assert isinstance(drive(run_trial, spec, answer)[-1], Finished)


def test_a_pruned_trial_stops_right_there_and_leaves_nothing(drive: Drive, spec: TrialSpec) -> None:
    def answer(event: Any) -> Any:
        return Verdict("prune", "rank", "a test") if isinstance(event, VerdictWanted) else None

    events = drive(run_trial, replace(spec, save_model=True, checkpoint_every_s=0.0), answer)
    assert len(curve(events)) == 3
    assert events[-1] == Stopped(3)
    assert not list(Path(spec.trial_dir).rglob("*.safetensors"))


def test_a_prune_that_comes_unasked_is_obeyed(drive: Drive, spec: TrialSpec) -> None:
    def answer(event: Any) -> Any:
        if isinstance(event, VerdictWanted):
            return Verdict("continue", "none", "a test")
        if isinstance(event, Stepped) and event.observation.step == 6:
            return Verdict("prune", "guard", "diverged")
        return None

    events = drive(run_trial, spec, answer)
    assert isinstance(events[-1], Stopped)
    assert 6 <= events[-1].step < 16


def test_a_loss_that_is_not_finite_is_asked_about_once(drive: Drive, spec: TrialSpec) -> None:
    wild = replace(spec, learning_rate=1e18, clip=0.0, schedule="constant", warmup_ratio=0.0)
    events = drive(run_trial, wild)
    asked = [event for event in of(VerdictWanted, events) if event.why == "not finite"]
    assert len(asked) == 1
    bad = next(o for o in curve(events) if not math.isfinite(o.loss + o.grad_norm))
    assert bad.step == asked[0].step  # never shown as a loss of zero
    assert isinstance(events[-1], Finished)

    def prune(event: Any) -> Any:
        return Verdict("prune", "guard", "nan") if isinstance(event, VerdictWanted) else None

    assert drive(run_trial, wild, prune)[-1] == Stopped(asked[0].step)


def test_no_window_no_question(drive: Drive, spec: TrialSpec) -> None:
    assert not of(VerdictWanted, drive(run_trial, replace(spec, window_samples=0)))


def stop_after(step: int, checkpoint: bool = True) -> Callable[[Any], Any]:
    """Trial and driver run apart, so the Stop is sent as an answer at the last moment."""

    def answer(event: Any) -> Any:
        if isinstance(event, VerdictWanted):
            return Verdict("continue", "none", "a test")
        if isinstance(event, Stepped) and event.observation.step == step:
            return Stop(checkpoint)
        return None

    return answer


@pytest.mark.parametrize(
    ("tuning", "stop_at"),
    [
        ("full", 12),  # the 13th step holds the border of two epochs
        ("lora", 5),
        ("full", 5),
        ("lora", 12),
    ],
)
def test_an_interrupted_trial_goes_on_to_the_bit(
    drive: Drive, spec: TrialSpec, tuning: str, stop_at: int, tmp_path: Path
) -> None:
    spec = replace(spec, model=replace(spec.model, tuning=tuning), save_model=True)
    whole = drive(run_trial, replace(spec, trial_dir=str(tmp_path / "whole")))
    first = drive(run_trial, spec, stop_after(stop_at))
    stopped = first[-1].step
    assert stop_at <= stopped < 16
    assert of(Checkpointed, first) == [Checkpointed(stopped)]
    torch.manual_seed(99)  # whatever the new process drew before it got here
    second = drive(run_trial, spec)
    assert of(Started, second) == [Started(stopped)]
    assert values(curve(first) + curve(second)) == values(curve(whole))
    assert second[-1].measurements["eval_loss"].value == whole[-1].measurements["eval_loss"].value
    files = [path.name for path in Path(whole[-1].model_dir).glob("*.safetensors")]
    assert files
    for name in files:
        one, two = (Path(events[-1].model_dir) / name for events in (whole, second))
        assert one.read_bytes() == two.read_bytes()


def test_a_trial_stopped_before_its_verdict_asks_again(drive: Drive, spec: TrialSpec) -> None:
    def stop(event: Any) -> Any:
        return Stop(checkpoint=True) if isinstance(event, VerdictWanted) else None

    first = drive(run_trial, spec, stop)
    assert first[-1] == Stopped(3)
    second = drive(run_trial, spec)
    assert [type(event) for event in second if not isinstance(event, Alive)][:2] == [
        Started,
        VerdictWanted,
    ]
    assert of(VerdictWanted, second) == of(VerdictWanted, first) or (
        of(VerdictWanted, second)[0].early["eval_loss"].value
        == of(VerdictWanted, first)[0].early["eval_loss"].value
    )
    assert curve(second)[0].step == 4


def test_a_trial_whose_end_alone_is_missing_is_measured(drive: Drive, spec: TrialSpec) -> None:
    whole = drive(run_trial, replace(spec, trial_dir=spec.trial_dir + "-whole"))
    first = drive(run_trial, spec, stop_after(16))
    if isinstance(first[-1], Stopped):  # the Stop came in time
        second = drive(run_trial, spec)
        assert not curve(second)
        value = second[-1].measurements["eval_loss"].value
        assert value == whole[-1].measurements["eval_loss"].value


def test_a_stop_without_a_checkpoint_just_stops(drive: Drive, spec: TrialSpec) -> None:
    events = drive(run_trial, spec, stop_after(5, checkpoint=False))
    assert isinstance(events[-1], Stopped)
    assert not of(Checkpointed, events)


def test_a_torn_checkpoint_is_thrown_away(drive: Drive, spec: TrialSpec) -> None:
    stopped = drive(run_trial, spec, stop_after(5))[-1].step
    torn = Path(spec.trial_dir) / "checkpoints" / f"checkpoint-{stopped}" / "optimizer.pt"
    torn.write_bytes(torn.read_bytes()[:-100])
    events = drive(run_trial, spec)
    assert of(Started, events) == [Started(0)]
    assert isinstance(events[-1], Finished)


def test_a_checkpoint_holds_no_tokenizer_and_no_card(drive: Drive, spec: TrialSpec) -> None:
    stopped = drive(run_trial, lora(spec), stop_after(5))[-1].step
    folder = Path(spec.trial_dir) / "checkpoints" / f"checkpoint-{stopped}"
    assert {path.name for path in folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "complete.json",
        "optimizer.pt",
        "progress.json",
        "rng_state.pth",
        "scheduler.pt",
        "trainer_state.json",
        "trial.json",
    }
    assert json.loads((folder / "trainer_state.json").read_text())["log_history"] == []


@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
def test_the_saved_model_is_the_trained_one(
    drive: Drive, spec: TrialSpec, weights: Any, data_dir: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from trainer.evaluation.measure import load_scored, measure

    model = replace(spec.model, weights=weights)
    finished = drive(run_trial, replace(spec, model=model, save_model=True))[-1]
    loaded = AutoModelForCausalLM.from_pretrained(finished.model_dir)
    assert loaded.dtype == getattr(torch, weights)
    again, _ = measure(loaded, load_scored(data_dir, "eval_loss"), torch.float32, lambda: None)
    assert again.value == pytest.approx(finished.measurements["eval_loss"].value, rel=1e-6)
    assert AutoTokenizer.from_pretrained(finished.model_dir)("1+1")["input_ids"]
    ids = torch.tensor([[5, 6, 7]])
    assert loaded(input_ids=ids).logits.shape == (1, 3, 257)


def test_a_saved_adapter_finds_its_base(
    drive: Drive, spec: TrialSpec, tiny_model: Path, data_dir: Path
) -> None:
    from peft import AutoPeftModelForCausalLM

    from trainer.evaluation.measure import load_scored, measure

    finished = drive(run_trial, lora(spec, save_model=True))[-1]
    config = json.loads((Path(finished.model_dir) / "adapter_config.json").read_text())
    assert Path(config["base_model_name_or_path"]) == tiny_model.resolve()
    loaded = AutoPeftModelForCausalLM.from_pretrained(finished.model_dir)
    again, _ = measure(loaded, load_scored(data_dir, "eval_loss"), torch.float32, lambda: None)
    assert again.value == pytest.approx(finished.measurements["eval_loss"].value, rel=1e-6)


def test_bfloat16_computes_and_float32_is_kept(drive: Drive, spec: TrialSpec) -> None:
    short = replace(spec, budget_samples=48)
    exact = curve(drive(run_trial, short))
    half = curve(drive(run_trial, replace(short, model=replace(spec.model, dtype="bfloat16"))))
    losses = np.array([[o.loss for o in each] for each in (exact, half)])
    assert not np.array_equal(losses[0], losses[1])
    assert np.allclose(losses[0], losses[1], rtol=2e-2)


def test_gradient_checkpointing_changes_no_number(drive: Drive, spec: TrialSpec) -> None:
    for short in (replace(spec, budget_samples=32), lora(spec, budget_samples=32)):
        plain = curve(drive(run_trial, short))
        model = replace(short.model, gradient_checkpointing=True)
        frugal = curve(drive(run_trial, replace(short, model=model)))
        for one, two in zip(plain, frugal, strict=True):
            assert one.loss == pytest.approx(two.loss, rel=1e-5)
            assert one.grad_norm == pytest.approx(two.grad_norm, rel=1e-5)
            assert (one.grad_sq_noise is None) == (two.grad_sq_noise is None)


def test_every_metric_is_measured_at_the_end_and_at_a_look(drive: Drive, spec: TrialSpec) -> None:
    events = drive(run_trial, replace(spec, metrics=("choice_accuracy", "eval_loss")))
    end, (wanted,) = events[-1].measurements, of(VerdictWanted, events)
    assert set(wanted.early) == set(end) == {"choice_accuracy", "eval_loss"}
    assert wanted.early["choice_accuracy"].num == 8  # questions
    for measured in (wanted.early, end):
        assert measured["choice_accuracy"].margin is not None
        assert measured["eval_loss"].margin is None
        assert all(one.stderr is not None and one.stderr > 0 for one in measured.values())
    assert set(end["choice_accuracy"].groups) == {"odd", "even"}


def test_a_driver_that_is_gone_ends_the_trial_quietly(spec: TrialSpec) -> None:
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    run_trial(spec, theirs)


def test_a_driver_that_goes_while_it_is_asked_ends_the_trial_quietly(
    drive: Drive, spec: TrialSpec
) -> None:
    def leave(event: Any) -> Any:
        if isinstance(event, VerdictWanted):
            raise EOFError
        return None

    events = drive(run_trial, replace(spec, budget_samples=48), leave)
    assert isinstance(events[-1], VerdictWanted)
