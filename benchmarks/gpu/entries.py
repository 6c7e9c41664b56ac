"""What runs in the jobs of the check: called as `entry(spec, channel)`, see trainer.contract."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.specs import bare_trial
from trainer.contract.spec import ModelSpec, Prepared, TrialSpec

MEMORY = "memory.json"  # in the trial's folder


@dataclass(frozen=True, slots=True)
class Comparison:
    """Our trial against another that trains the same samples in the same order, step by step."""

    ours: TrialSpec
    other: TrialSpec
    against: Literal["trl", "ours"]
    rounds: int


def compare(asked: Comparison, channel: Connection) -> None:
    """Tells tokens per second of both, and their ratio with its interval."""
    from benchmarks.throughput import ratio, together, train_ours, train_trl
    from trainer.data.batches import Rows, Stacked

    spec = asked.ours
    rows = Rows(Path(spec.data_dir) / "train")
    order = Stacked(len(rows), spec.batch_size, spec.seed)
    tokens = sum(len(rows[r][0]) for step in range(spec.num_steps) for r in order.rows(step))

    def one_round(number: int) -> np.ndarray:
        def named(one: TrialSpec, who: str) -> TrialSpec:
            return replace(one, trial_dir=f"{one.trial_dir}-{who}-{number}")

        other, ours = named(asked.other, "other"), named(spec, "ours")
        return together(
            lambda turns: (
                train_trl(other, rows, turns, 0)
                if asked.against == "trl"
                else train_ours(other, turns, 0)
            ),
            lambda turns: train_ours(ours, turns, 1),
        )[:, 1:]  # a first step makes the optimizer's state, and loads kernels

    seconds = np.concatenate([one_round(i) for i in range(asked.rounds)], axis=1)[:, :, 0]
    share = (spec.num_steps - 1) / spec.num_steps
    other, ours = tokens * share * asked.rounds / seconds.sum(1)
    found = ratio(seconds[0], seconds[1], np.zeros(seconds.shape[1], dtype=bool))
    channel.send(Prepared({"ours": ours, "other": other, "ratio": found}))


def run_and_tell_memory(spec: TrialSpec, channel: Connection) -> None:
    """A trial; the most bytes that it held on the GPU go into its folder."""
    import torch

    from trainer.worker import run_trial

    run_trial(spec, channel)
    if torch.cuda.is_available():
        peak = {
            "allocated": torch.cuda.max_memory_allocated(),
            "reserved": torch.cuda.max_memory_reserved(),
        }
        (Path(spec.trial_dir) / MEMORY).write_text(json.dumps(peak))


@dataclass(frozen=True, slots=True)
class OneStep:
    """One step of 16 samples with the weights in `weights`."""

    model: ModelSpec
    data_dir: str
    rate: float


def moved(asked: OneStep, channel: Connection) -> None:
    """Tells the share of the weights that the step moves, of those that are not zero; and the share
    that the plan's warning says can move in bfloat16: those below 512 times the rate."""
    import torch
    from safetensors.torch import load_file

    from benchmarks.trials import run
    from trainer.worker import run_trial

    with tempfile.TemporaryDirectory() as folder:
        spec = bare_trial(
            *(asked.model, asked.data_dir, Path(folder) / "trial", 1, 16),
            learning_rate=asked.rate,
            save_model=True,
        )
        run(run_trial, spec)
        after = load_file(Path(spec.trial_dir) / "model" / "model.safetensors")
    before = load_file(Path(asked.model.base) / "model.safetensors")
    total = num_moved = below = 0
    for name, new in after.items():
        # Compared as they are held; what is saved may be of another type.
        old = before[name].to(getattr(torch, asked.model.weights)).to(new.dtype)
        total += int((old != 0).sum())
        num_moved += int(((new != old) & (old != 0)).sum())
        below += int(((old.float().abs() < 512 * asked.rate) & (old != 0)).sum())
    channel.send(Prepared({"moved": num_moved / total, "foretold": below / total}))
