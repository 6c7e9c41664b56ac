"""Checkpoints that are known to be whole: written, put on disk, and only then marked complete."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.contract.files import remove_tree, sync_tree, write_json
from trainer.contract.spec import LoraSpec, TrialSpec, UserError

TRIAL = "trial.json"  # what trial it is of
# What another value of makes another trial. How it is run (processes, micro-batches, window, ...)
# may change between two attempts.
IDENTITY = (
    *("seed", "batch_size", "budget_samples", "learning_rate", "schedule", "warmup_ratio"),
    *("weight_decay", "beta1", "beta2", "clip", "strategy", "replay", "reset_optimizer"),
)
MODEL_IDENTITY = ("base", "tuning", "lora", "dtype", "weights")
MARKER = "complete.json"  # {file name: bytes} of every file, written last
PROGRESS = "progress.json"
SAVING_SHARE = 0.05  # of the time, at most, goes into saving
# What every checkpoint has; of several processes each has a random state of its own.
_NEEDED = ("optimizer", "scheduler.pt", "rng_state", "trainer_state.json", PROGRESS, TRIAL)


@dataclass(slots=True)
class Progress:
    """What a trial has to remember beyond what the library's checkpoint holds."""

    input_tokens: int = 0
    loss_tokens: int = 0
    judged_step: int = 0  # of the last look that was judged; 0: none


def checkpoint_dir(folder: Path, step: int) -> Path:
    """The checkpoint's folder, as the library names it."""
    return folder / f"checkpoint-{step}"


def is_complete(checkpoint: Path) -> bool:
    """Whether the marker is there, and every file that it names has its size."""
    try:
        sizes = json.loads((checkpoint / MARKER).read_text())
        if not all(any(name.startswith(needed) for name in sizes) for needed in _NEEDED):
            return False
        # The progress may be written again, always whole: its size is whatever it is.
        files = {name: (checkpoint / name).stat().st_size for name in sizes}
        return all(files[name] == sizes[name] or name == PROGRESS for name in sizes)
    except (OSError, ValueError):
        return False


def mark_complete(checkpoint: Path) -> None:
    """The checkpoint is on disk and says so; the marker is written last."""
    sync_tree(checkpoint)
    files = [path for path in checkpoint.rglob("*") if path.is_file() and path.name != MARKER]
    sizes = {path.relative_to(checkpoint).as_posix(): path.stat().st_size for path in files}
    write_json(checkpoint / MARKER, sizes)


def newest_complete(folder: Path) -> tuple[Path, int] | None:
    """The checkpoint to go on from, and its step. Torn ones are deleted on the way."""
    found: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        step = path.name.removeprefix("checkpoint-")
        if step.isdigit() and is_complete(path):
            found.append((int(step), path))
        else:
            shutil.rmtree(path, ignore_errors=True)
    if not found:
        return None
    step, path = max(found)
    return path, step


def keep_newest(folder: Path, num_kept: int) -> None:
    """Delete all checkpoints but the newest `num_kept`, complete or not."""
    steps = {
        int(path.name.removeprefix("checkpoint-")): path
        for path in folder.glob("checkpoint-*")
        if path.name.removeprefix("checkpoint-").isdigit()
    }
    for step in sorted(steps, reverse=True)[num_kept:]:
        remove_tree(steps[step])


def write_progress(checkpoint: Path, progress: Progress) -> None:
    """The progress lies beside what the library saved, in place of what it was where it is there
    already: whole, whoever is killed."""
    write_json(checkpoint / PROGRESS, asdict(progress))


def read_progress(checkpoint: Path, spec: TrialSpec) -> Progress:
    """The progress that `write_progress` left."""
    values = json.loads((checkpoint / PROGRESS).read_text())
    if values.pop("window_judged", False):  # as it was written before there were later looks
        values["judged_step"] = spec.window_steps
    return Progress(**values)


def identity(spec: TrialSpec) -> dict[str, Any]:
    """What a checkpoint of the trial must have been made with, flat: {key: value}, as JSON has
    it."""
    values = json.loads(json.dumps(spec.to_json()))
    own = {key: values[key] for key in IDENTITY}
    model = {f"model.{key}": values["model"][key] for key in MODEL_IDENTITY}
    if spec.model.digest is not None:  # the same files may lie elsewhere by now
        model["model.files"] = spec.model.digest
        del model["model.base"]
    return own | model


def write_identity(checkpoint: Path, spec: TrialSpec) -> None:
    """The checkpoint says which trial it is of."""
    write_json(checkpoint / TRIAL, identity(spec))


def refuse_other(checkpoint: Path, spec: TrialSpec) -> None:
    """Raises UserError if the checkpoint is of another trial than this one."""
    written, own = _written_identity(checkpoint), identity(spec)
    differ = [
        f"{key} was {written[key]}, is {own[key]}"
        for key in own
        if key in written and written[key] != own[key]
    ]
    if differ:
        raise UserError(
            f"{checkpoint} is of another trial ({'; '.join(differ)}): put these back, or give this "
            "trial a folder of its own"
        )


def _written_identity(checkpoint: Path) -> dict[str, Any]:
    """Settings of LoRA that the program has learned of since had their defaults."""
    written = json.loads((checkpoint / TRIAL).read_text())
    defaults = json.loads(json.dumps(asdict(LoraSpec())))
    return {**written, "model.lora": defaults | written["model.lora"]}


@dataclass(slots=True)
class Clock:
    """When the next checkpoint is due: every so often, but saving takes at most 5 % of the time."""

    every_s: float
    last_end: float
    last_took_s: float = 0.0

    def due(self, now: float) -> bool:
        """Whether one is to be written; `now` and all times of time.monotonic."""
        return now - self.last_end >= max(self.every_s, self.last_took_s / SAVING_SHARE)

    def saved(self, began: float, ended: float) -> None:
        """The time to the next checkpoint counts from `ended`, and this one took from `began` to
        `ended`."""
        self.last_end, self.last_took_s = ended, ended - began
