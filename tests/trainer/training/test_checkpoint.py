"""Which checkpoints are whole, which is gone on from, and when the next one is due."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trainer.contract.files import write_json
from trainer.contract.spec import LoraSpec, ModelSpec, TrialSpec, UserError
from trainer.training.checkpoint import (
    Clock,
    Progress,
    is_complete,
    keep_newest,
    mark_complete,
    newest_complete,
    read_progress,
    refuse_other,
    write_identity,
    write_progress,
)

SPEC = TrialSpec(
    0, 0, ModelSpec("base", "lora"), "data", "trial", 8, 80, 16, ("eval_loss",), 0, 1e-3
)


def write(folder: Path, step: int) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "model"):
        (checkpoint / name).write_bytes(b"x" * 100)
    write_progress(checkpoint, Progress(step, 2 * step, judged_step=2))
    write_identity(checkpoint, SPEC)
    mark_complete(checkpoint)
    return checkpoint


def test_a_whole_one_is_found_with_what_it_remembers(tmp_path: Path) -> None:
    checkpoint = write(tmp_path, 7)
    assert newest_complete(tmp_path) == (checkpoint, 7)
    assert read_progress(checkpoint, SPEC) == Progress(7, 14, judged_step=2)


def test_what_a_whole_one_remembers_may_be_written_again(tmp_path: Path) -> None:
    checkpoint = write(tmp_path, 7)
    write_progress(checkpoint, Progress(7, 14, judged_step=1000))
    assert newest_complete(tmp_path) == (checkpoint, 7)
    assert read_progress(checkpoint, SPEC).judged_step == 1000
    (checkpoint / "progress.json").unlink()
    assert not is_complete(checkpoint)


@pytest.mark.parametrize(("window_judged", "judged_step"), [(False, 0), (True, 3)])
def test_one_from_before_there_were_later_looks_is_read(
    tmp_path: Path, window_judged: bool, judged_step: int
) -> None:
    checkpoint = write(tmp_path, 7)
    before = {"input_tokens": 7, "loss_tokens": 14, "window_judged": window_judged}
    write_json(checkpoint / "progress.json", before)
    window_of_3 = replace(SPEC, window_samples=24, looks=(32, 48))
    assert read_progress(checkpoint, window_of_3) == Progress(7, 14, judged_step)


@pytest.mark.parametrize(
    "harm",
    [
        lambda c: (c / "complete.json").unlink(),
        lambda c: (c / "complete.json").write_text('{"optim'),
        lambda c: (c / "model").write_bytes(b"x" * 99),
        lambda c: (c / "optimizer.pt").unlink(),
        lambda c: (c / "scheduler.pt").unlink(),
        lambda c: write_json(c / "complete.json", {"model": 100}),
    ],
    ids=[
        "no marker",
        "torn marker",
        "cut file",
        "no optimizer",
        "no schedule",
        "marker of too few",
    ],
)
def test_a_torn_one_is_deleted_and_the_one_before_used(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    good, torn = write(tmp_path, 5), write(tmp_path, 10)
    harm(torn)
    assert not is_complete(torn)
    assert newest_complete(tmp_path) == (good, 5)
    assert not torn.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rate": 5e-3}, "learning_rate was 0.001, is 0.005"),
        ({"batch_size": 16, "seed": 1}, "seed was 0, is 1; batch_size was 8, is 16"),
        ({"model": ModelSpec("base", "lora", LoraSpec(rank=8))}, "model.lora was"),
        ({"model": ModelSpec("other", "lora")}, "model.base was base, is other"),
    ],
)
def test_a_checkpoint_of_another_trial_is_refused(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    checkpoint = write(tmp_path, 7)
    with pytest.raises(UserError, match=re.escape(said)):
        refuse_other(checkpoint, replace(SPEC, **change))


def test_how_a_trial_is_run_may_change_between_two_attempts(tmp_path: Path) -> None:
    checkpoint = write(tmp_path, 7)
    parallel = replace(SPEC.model, parallel="ddp", gradient_checkpointing=True)
    refuse_other(checkpoint, replace(SPEC, processes=2, micro_batch=2, model=parallel))


def test_a_checkpoint_goes_with_the_files_of_its_base_wherever_they_lie(tmp_path: Path) -> None:
    def of(base: str, digest: str | None) -> TrialSpec:
        return replace(SPEC, model=replace(SPEC.model, base=base, digest=digest))

    checkpoint = write(tmp_path, 7)  # of a study made before: its base has no digest
    refuse_other(checkpoint, of("base", "one"))
    write_identity(checkpoint, of("base", "one"))
    refuse_other(checkpoint, of("moved", "one"))
    with pytest.raises(UserError, match=r"model\.files was one, is other"):
        refuse_other(checkpoint, of("base", "other"))


def test_a_checkpoint_from_before_a_setting_of_lora_was_known_had_its_default(
    tmp_path: Path,
) -> None:
    checkpoint = write(tmp_path, 7)
    written = json.loads((checkpoint / "trial.json").read_text())
    del written["model.lora"]["modules_to_save"]
    write_json(checkpoint / "trial.json", written)
    refuse_other(checkpoint, SPEC)
    saving = replace(SPEC, model=replace(SPEC.model, lora=LoraSpec(modules_to_save=("norm",))))
    with pytest.raises(UserError, match=r"model\.lora was"):
        refuse_other(checkpoint, saving)


def test_nothing_there(tmp_path: Path) -> None:
    assert newest_complete(tmp_path / "never") is None
    (tmp_path / "checkpoint-3.removing").mkdir()
    assert newest_complete(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_the_newest_are_kept_by_number(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        write(tmp_path, step)
    keep_newest(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-100"]


@pytest.mark.parametrize(
    ("every_s", "took_s", "waited_s", "due"),
    [
        (120, 0, 119, False),
        (120, 0, 120, True),
        (120, 6, 120, True),  # 5 % of the time
        (120, 12, 239, False),
        (120, 12, 240, True),
        (0, 0, 0, True),
    ],
)
def test_when_the_next_is_due(every_s: float, took_s: float, waited_s: float, due: bool) -> None:
    clock = Clock(every_s, last_end=0.0)
    clock.saved(began=1000.0, ended=1000.0 + took_s)
    assert clock.due(1000.0 + took_s + waited_s) is due
