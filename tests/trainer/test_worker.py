"""The process around a trial: whose package it is, what it imports, how it fails."""

from __future__ import annotations

import errno
import multiprocessing
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import trainer
from predictor.types import Verdict
from tests import ROOT
from trainer.contract.spec import Failed, ModelSpec, TrialSpec, UserError, VerdictWanted
from trainer.worker import describe_failure, run_trial


def test_the_trainer_imported_is_ours() -> None:
    # `trainer` is also what another distribution calls its package.
    assert trainer.__file__ is not None
    assert Path(trainer.__file__).parent == ROOT / "trainer"


@pytest.mark.parametrize(
    "module", ["trainer.contract.spec", "trainer.worker", "trainer.training.link"]
)
def test_naming_the_entry_points_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*{{'torch', 'numpy', 'datasets'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (UserError("no file x"), "bad input", "no file x"),
        (torch.OutOfMemoryError("CUDA out of memory. 3 GiB"), "out of memory", "CUDA out of"),
        (MemoryError(), "out of memory", "MemoryError"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "out of memory",
            "",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "disk full", "No space left"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk full", ""),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk full", ""),
        (RuntimeError("PytorchStreamWriter failed writing file data/3"), "disk full", ""),
        (OSError(errno.EACCES, "Permission denied"), "error", "PermissionError"),
        (ZeroDivisionError("division by zero"), "error", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_failure_is_named_by_what_can_be_done(error: Exception, kind: str, message: str) -> None:
    failed = describe_failure(error)
    assert failed.kind == kind
    assert message in failed.message and "\n" not in failed.message
    assert bool(failed.traceback) == (kind != "bad input")


def spec(tmp_path: Path, base: Path) -> TrialSpec:
    return TrialSpec(
        number=0,
        seed=0,
        model=ModelSpec(str(base), dtype="float32"),
        data_dir=str(tmp_path / "data"),
        trial_dir=str(tmp_path / "trial"),
        batch_size=8,
        budget_samples=80,
        window_samples=16,
        metrics=("eval_loss",),
        early_eval=0,
        learning_rate=1e-3,
        num_threads=1,
    )


def test_data_that_were_never_prepared(drive: Any, tmp_path: Path, tiny_model: Path) -> None:
    last = drive(run_trial, spec(tmp_path, tiny_model))[-1]
    assert isinstance(last, Failed) and last.kind == "bad input"
    assert "no prepared data" in last.message


def test_a_spec_survives_json(tmp_path: Path, tiny_model: Path) -> None:
    import json

    one = spec(tmp_path, tiny_model)
    lora = replace(one.model.lora, targets=("q_proj", "v_proj"))
    two = replace(one, model=replace(one.model, tuning="lora", lora=lora))
    for each in (one, two):
        assert TrialSpec.from_json(json.loads(json.dumps(each.to_json()))) == each


@pytest.mark.slow
def test_a_forked_trial_starts_trains_and_ends(
    drive: Any, tmp_path: Path, tiny_model: Path, sums: dict[str, Path]
) -> None:
    """As the executor runs it: forkserver, preloaded. The second trial imports nothing."""
    from trainer.contract.spec import PRELOAD, DataSpec, Finished, Prepared, PrepareSpec
    from trainer.worker import run_prepare

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    own = spec(tmp_path, tiny_model)
    Path(own.data_dir).mkdir()
    data = DataSpec(str(sums["train"]), eval=str(sums["eval"]))
    prepare = PrepareSpec(own.model, data, own.data_dir, ("eval_loss",), True, 1)
    for entry, each, end in ((run_prepare, prepare, Prepared), (run_trial, own, Finished)):
        ours, theirs = context.Pipe()
        process = context.Process(target=entry, args=(each, theirs))
        process.start()
        theirs.close()
        events = []
        try:
            while True:
                events.append(ours.recv())
                if isinstance(events[-1], VerdictWanted):
                    ours.send(Verdict("continue", "none", "a test"))
        except EOFError:
            pass
        process.join()
        assert process.exitcode == 0
        assert isinstance(events[-1], end), events[-1]
