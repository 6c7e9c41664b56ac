"""Writes that fail for a cause outside, with the errors that the libraries really raise."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from tests.support.trial_events import of
from trainer.contract.outside import Cause
from trainer.contract.spec import (
    Checkpointed,
    Failed,
    Finished,
    Held,
    ModelSpec,
    Stepped,
    Stop,
    Stopped,
    TrialSpec,
)
from trainer.worker import run_trial

pytestmark = pytest.mark.slow

Drive = Callable[..., list[Any]]
TORCH = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 640 vs 598")
RUST = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
SYSTEM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def spec(
    tiny_model: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TrialSpec:
    """8 steps of 8; no window."""
    monkeypatch.setattr("trainer.training.persist.RETRY_S", 0.02)
    monkeypatch.setattr("trainer.training.persist.LISTEN_S", 0.01)
    monkeypatch.setattr("trainer.training.checkpoint.SAVING_SHARE", 1e9)  # as often as is asked for
    return TrialSpec(
        number=0,
        seed=1,
        model=ModelSpec(str(tiny_model), dtype="float32"),
        data_dir=str(data_dir),
        trial_dir=str(tmp_path / "trial"),
        batch_size=8,
        budget_samples=64,
        window_samples=0,
        metrics=("eval_loss",),
        early_eval=0,
        learning_rate=3e-3,
        checkpoint_every_s=3600,
        wait_s=30,
        num_threads=1,
    )


def failing(monkeypatch: pytest.MonkeyPatch, what: str, error: Exception, times: int) -> list[int]:
    """Replace a writer by one that leaves a part of a file and fails so many times; counts them."""
    module, _, name = what.rpartition(".")
    import importlib

    owner = importlib.import_module(module)
    real, failed = getattr(owner, name), list[int]()

    def write(*args: Any, **kwargs: Any) -> Any:
        if len(failed) < times:
            failed.append(1)
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, write)
    return failed


@pytest.mark.parametrize(
    ("writer", "error"),
    [
        ("torch.save", TORCH),
        ("trainer.training.train.save_weights", RUST),
        ("trainer.training.checkpoint.write_json", SYSTEM),
        ("trainer.training.checkpoint.sync_tree", OSError(errno.EIO, os.strerror(errno.EIO))),
    ],
)
def test_a_checkpoint_that_cannot_be_written_is_no_failure(
    spec: TrialSpec, drive: Drive, monkeypatch: pytest.MonkeyPatch, writer: str, error: Exception
) -> None:
    failed = failing(monkeypatch, writer, error, 3)
    every_step = replace(spec, checkpoint_every_s=0, save_model=False)
    events = drive(run_trial, every_step)
    assert isinstance(events[-1], Finished) and len(failed) == 3
    (held,) = of(Held, events)  # it is said once
    assert not held.waits and "no checkpoint at step 1" in held.message
    assert [event.step for event in of(Checkpointed, events)] == [4, 5, 6, 7, 8]
    left = sorted(path.name for path in (Path(spec.trial_dir) / "checkpoints").iterdir())
    assert left == ["checkpoint-7", "checkpoint-8"]
    assert len(of(Stepped, events)) == 8


def test_an_error_of_the_programs_own_still_fails_the_trial(
    spec: TrialSpec, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "torch.save", RuntimeError("cannot pickle this"), 1)
    last = drive(run_trial, replace(spec, checkpoint_every_s=0))[-1]
    assert isinstance(last, Failed) and last.kind == "error"
    assert not list((Path(spec.trial_dir) / "checkpoints").iterdir())


def test_the_model_waits_for_room(
    spec: TrialSpec, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = drive(run_trial, spec)[-1]
    shutil.rmtree(spec.trial_dir)
    free, asked = [1000] * 3, list[Path]()
    real = shutil.disk_usage

    def disk_usage(folder: Path) -> Any:
        asked.append(folder)
        return real(folder)._replace(free=free.pop()) if free else real(folder)

    monkeypatch.setattr("shutil.disk_usage", disk_usage)
    events = drive(run_trial, spec)
    (held,) = of(Held, events)
    assert held.waits and held.cause is Cause.DISK_FULL
    assert "the trained model waits to be written: no room on the disk (" in held.message
    assert "1 kB free" in held.message
    finished = events[-1]
    assert isinstance(finished, Finished) and not free and len(asked) > 3
    assert finished.measurements["eval_loss"].value == undisturbed.measurements["eval_loss"].value
    assert (Path(finished.model_dir or "") / "model.safetensors").is_file()


@pytest.mark.parametrize("error", [SYSTEM, RUST, OSError("1048576 requested and 262112 written")])
def test_a_model_that_never_fits_is_nobodys_failure(
    spec: TrialSpec, drive: Drive, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """And its newest checkpoint stays; the older ones made room."""
    failing(monkeypatch, "trainer.training.trial.sync_tree", error, 1000)
    events = drive(run_trial, replace(spec, checkpoint_every_s=0, wait_s=0.1))
    last = events[-1]
    assert isinstance(last, Failed) and last.kind is Cause.DISK_FULL
    left = [path.name for path in Path(spec.trial_dir).glob("*/*")]
    assert left == ["checkpoint-8"]
    monkeypatch.undo()
    again = drive(run_trial, spec)
    assert isinstance(again[-1], Finished) and not of(Stepped, again)


def test_a_stop_is_obeyed_while_the_model_waits(
    spec: TrialSpec, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "trainer.training.trial.sync_tree", SYSTEM, 1000)

    def stop(event: Any) -> Any:
        return Stop(checkpoint=True) if isinstance(event, Held) else None

    last = drive(run_trial, replace(spec, checkpoint_every_s=0), stop)[-1]
    assert last == Stopped(8)


def test_nothing_is_written_where_the_folder_is_gone(spec: TrialSpec, drive: Drive) -> None:
    def delete(event: Any) -> Any:
        if isinstance(event, Stepped):
            shutil.rmtree(spec.trial_dir, ignore_errors=True)

    last = drive(run_trial, replace(spec, wait_s=0.1), delete)[-1]
    assert isinstance(last, Failed) and last.kind is Cause.FOLDER_GONE
    assert not Path(spec.trial_dir).exists()


def test_what_is_known_to_fit_is_forgotten_where_it_cannot_be_written(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.model.fit import Fit, FitMemory

    failing(monkeypatch, "trainer.model.fit.write_json", SYSTEM, 1000)
    memory = FitMemory(replace(spec, model=ModelSpec("other", tuning="lora")))
    memory.it_fits(8)
    memory.it_fails(16)
    assert memory.read() == Fit()


def test_torch_still_says_what_it_said(tmp_path: Path) -> None:
    """The words that a full disk is known by are the installed library's."""
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("no /dev/full")
    from trainer.contract.outside import cause_of

    with pytest.raises(RuntimeError) as failed:
        torch.save({"a": torch.zeros(1 << 20)}, device)
    assert cause_of(failed.value) is Cause.DISK_FULL
