"""A trial that was killed and is started again gives, to the bit, what it would have given."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from predictor.types import Observation, Verdict
from tests.conftest import converse
from tests.support.stopping_trials import run_and_stop, run_and_stop_while
from trainer.contract.spec import (
    DataSpec,
    Finished,
    LoraSpec,
    ModelSpec,
    Prepared,
    PrepareSpec,
    Started,
    Stepped,
    Stopped,
    TrialSpec,
    VerdictWanted,
)
from trainer.worker import run_prepare, run_trial

pytestmark = pytest.mark.slow

Drive = Callable[..., list[Any]]
GO_ON = Verdict("continue", "none", "a test")


@pytest.fixture(scope="session")
def phased_data(
    tiny_model: Path, sums: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The sums as two phases of 100 and 30 rows."""
    out_dir = tmp_path_factory.mktemp("phased")
    data = DataSpec(phases=(str(sums["train"]), str(sums["eval"])), eval=str(sums["eval"]))
    spec = PrepareSpec(
        ModelSpec(str(tiny_model)), data, str(out_dir), ("eval_loss",), num_threads=1
    )
    assert isinstance(converse(run_prepare, spec)[-1], Prepared)
    return out_dir


@pytest.fixture
def spec(tiny_model: Path, data_dir: Path, tmp_path: Path) -> TrialSpec:
    """17 steps of 8 out of 100 rows, two micro-batches each; a checkpoint after every step."""
    lora = LoraSpec(rank=4, alpha=8, dropout=0.2)
    return TrialSpec(
        number=0,
        seed=1,
        model=ModelSpec(str(tiny_model), "lora", lora, dtype="float32"),
        data_dir=str(data_dir),
        trial_dir=str(tmp_path / "trial"),
        batch_size=8,
        budget_samples=136,
        window_samples=24,
        metrics=("eval_loss",),
        early_eval=8,
        learning_rate=3e-3,
        schedule="cosine",
        warmup_ratio=0.2,
        weight_decay=0.1,
        micro_batch=4,
        checkpoint_every_s=0.0,
        num_threads=1,
    )


def run_and_die(dying: tuple[TrialSpec, int], channel: Connection) -> None:
    """Entry point: killed with -9 between the two micro-batches of a step."""
    import trainer.training.checkpoint
    from trainer.training.train import ObservedTrainer

    spec, step = dying
    trainer.training.checkpoint.SAVING_SHARE = 1.0
    add_gradient = ObservedTrainer._add_gradient

    def dies(self: Any, *args: Any) -> Any:
        part = add_gradient(self, *args)
        if self.state.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return part

    setattr(ObservedTrainer, "_add_gradient", dies)  # noqa: B010  a type checker would object
    run_trial(spec, channel)


def killed(forked: Any, spec: TrialSpec, step: int) -> list[Any]:
    ours, theirs = forked.Pipe()
    process = forked.Process(target=run_and_die, args=((spec, step), theirs))
    process.start()
    theirs.close()
    events: list[Any] = []
    try:
        while True:
            events.append(ours.recv())
            if isinstance(events[-1], VerdictWanted):
                ours.send(GO_ON)
    except (EOFError, ConnectionError):
        process.join()
    assert process.exitcode == -signal.SIGKILL
    return events


def curve(events: list[Any]) -> list[Observation]:
    return [event.observation for event in events if isinstance(event, Stepped)]


def values(observations: list[Observation]) -> list[tuple[Any, ...]]:
    """All but the wall time."""
    return [
        (o.step, o.phase, o.loss, o.grad_norm, o.lr, o.input_tokens_seen, o.loss_tokens_seen)
        for o in observations
    ]


def weights(events: list[Any]) -> dict[str, bytes]:
    assert isinstance(events[-1], Finished), events[-1]
    folder = Path(events[-1].model_dir or "")
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def started(events: list[Any]) -> int:
    return next(event.step for event in events if isinstance(event, Started))


def full(spec: TrialSpec) -> TrialSpec:
    return replace(spec, model=replace(spec.model, tuning="full"))


Whole = Callable[[TrialSpec], list[Any]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The events of the trial that nothing ends, and that writes no checkpoint: run once each."""
    found: dict[TrialSpec, list[Any]] = {}

    def run(spec: TrialSpec) -> list[Any]:
        key = replace(spec, trial_dir="", checkpoint_every_s=1e9)
        if key not in found:
            folder = str(tmp_path_factory.mktemp("whole"))
            found[key] = converse(run_trial, replace(key, trial_dir=folder))
        return found[key]

    return run


@pytest.mark.parametrize("tuning", [full, lambda spec: spec], ids=["full", "lora"])
@pytest.mark.parametrize("step", [2, 7, 13], ids=["in the window", "after it", "after the epoch"])
def test_killed_between_two_micro_batches(
    drive: Drive, whole: Whole, forked: Any, spec: TrialSpec, tuning: Any, step: int
) -> None:
    spec = tuning(spec)
    expected = whole(spec)
    first = killed(forked, spec, step)
    rest = drive(run_trial, spec)
    began = started(rest)
    assert 0 < began <= step
    assert values(curve(first)[:began] + curve(rest)) == values(curve(expected))
    assert weights(rest) == weights(expected)


def test_a_torn_checkpoint_gives_way_to_the_one_before(
    drive: Drive, whole: Whole, forked: Any, spec: TrialSpec
) -> None:
    expected = whole(spec)
    killed(forked, spec, 8)
    folder = Path(spec.trial_dir) / "checkpoints"
    kept = sorted(int(path.name.split("-")[1]) for path in folder.glob("checkpoint-*"))
    assert len(kept) == spec.checkpoints_kept == 2
    torn = folder / f"checkpoint-{kept[1]}" / "optimizer.pt"
    torn.write_bytes(torn.read_bytes()[:-100])
    rest = drive(run_trial, spec)
    assert started(rest) == kept[0]
    assert weights(rest) == weights(expected)


def test_as_many_checkpoints_are_kept_as_asked_for(forked: Any, spec: TrialSpec) -> None:
    killed(forked, replace(spec, checkpoints_kept=4), 9)
    assert len(list((Path(spec.trial_dir) / "checkpoints").glob("checkpoint-*"))) == 4


@pytest.mark.parametrize("reset", [False, True], ids=["moments kept", "moments reset"])
def test_killed_where_one_phase_ends(
    drive: Drive, whole: Whole, forked: Any, spec: TrialSpec, phased_data: Path, reset: bool
) -> None:
    phased = replace(
        spec, data_dir=str(phased_data), strategy="phased", replay=0.2, reset_optimizer=reset
    )
    expected = whole(phased)
    border = [o.phase for o in curve(expected)].index(2)
    assert border == 13  # 100 of 130 rows, of 17 steps
    first = killed(forked, phased, border)
    rest = drive(run_trial, phased)
    began = started(rest)
    assert began <= border
    assert values(curve(first)[:began] + curve(rest)) == values(curve(expected))
    assert weights(rest) == weights(expected)


def test_moments_are_forgotten_where_a_phase_begins(
    drive: Drive, whole: Whole, spec: TrialSpec, phased_data: Path
) -> None:
    phased = replace(full(spec), data_dir=str(phased_data), strategy="phased", save_model=False)
    kept = curve(drive(run_trial, phased))
    reset = curve(whole(replace(phased, reset_optimizer=True)))
    border = [o.phase for o in kept].index(2)
    # The step in which the phase begins is taken with new moments, so the next one differs.
    same = [one.loss == other.loss for one, other in zip(kept, reset, strict=True)]
    assert same == [True] * (border + 1) + [False] * (len(kept) - border - 1)


def test_another_number_of_processes_goes_on_too(
    whole: Whole, drive_forked: Drive, spec: TrialSpec
) -> None:
    """Without dropout to the last digits: each process has random numbers of its own."""
    alone = full(spec)
    expected = curve(whole(alone))
    two = replace(alone, processes=2, model=replace(alone.model, parallel="ddp"))
    for before, after in ((alone, two), (two, alone)):
        shutil.rmtree(spec.trial_dir, ignore_errors=True)
        drive_forked(run_and_stop, (before, 6))
        rest = drive_forked(run_trial, after)
        assert started(rest) == 6
        for one, other in zip(expected[6:], curve(rest), strict=True):
            assert other.loss == pytest.approx(one.loss, rel=1e-4)
            assert other.input_tokens_seen == one.input_tokens_seen


@pytest.mark.parametrize(
    ("what", "step"),
    [
        ("training", 5),
        ("evaluating", 3),
        ("training", 0),
        ("evaluating", 17),
    ],
)
def test_a_stop_is_obeyed_within_a_step_and_within_an_evaluation(
    drive_forked: Drive, drive: Drive, whole: Whole, spec: TrialSpec, what: str, step: int
) -> None:
    spec = replace(spec, checkpoint_every_s=1e9)  # but for the one that the Stop asks for
    expected = whole(spec)
    first = drive_forked(run_and_stop_while, (spec, what, step))
    assert first[-1] == Stopped(step)
    assert len(curve(first)) == step
    rest = drive(run_trial, spec)
    assert started(rest) == step
    assert values(curve(first) + curve(rest)) == values(curve(expected))
    assert rest[-1].measurements["eval_loss"].value == (
        expected[-1].measurements["eval_loss"].value
    )
