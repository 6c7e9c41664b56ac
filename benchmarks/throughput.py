"""Tokens per second of our trial against another: `python -m benchmarks.throughput MODEL
ROWS.jsonl [--against trl] [--rounds 2] [--steps 10] [--batch 8] [--max-length 96]`.

The other is a plain TRL script (`trl`), our trial with no window (`unobserved`: what observing
costs), or our padded trial against one of concatenated samples (`padded`). Both train the same
samples in the same order with the same settings, and take turns after every step, so that whatever
else the machine does falls on both. Two ratios of tokens per second: over the whole trial (from the
call of train() to the end of the last step, our window of a tenth included), and over the steps
outside our window; each with a bootstrap interval over steps. In wall time, and in CPU time of this
process, which other processes on the machine disturb less. Evaluations, checkpoints and the saving
of the model are in neither. The script is plain but for one thing: on the CPU our import makes
TRL's head score labelled positions alone for it as well, which speeds it up.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.specs import MICRO_BATCH, bare_trial
from benchmarks.trials import prepare_rows
from predictor.types import Verdict
from trainer.contract.spec import Event, ModelSpec, Started, Stepped, TrialSpec, VerdictWanted
from trainer.data.batches import Rows, Stacked
from trainer.model.load import best_device, load_model
from trainer.training.link import Link

LOADING = threading.Lock()  # the library loads one model at a time


class Turns:
    """Two threads, one of which works at a time; each counts the seconds of its own turns."""

    def __init__(self) -> None:
        self._turn, self._changed = 0, threading.Condition()
        self._began = (0.0, 0.0)
        self._both_ready = threading.Barrier(2)  # making a trainer resets what another works with
        self.seconds: tuple[list[tuple[float, float]], ...] = ([], [])  # wall, CPU
        self.errors: list[BaseException] = []

    def begin(self, who: int) -> None:
        self._both_ready.wait()
        self._wait(who)

    def end_step(self, who: int) -> None:
        _synchronise()
        wall, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        self.seconds[who].append((wall, cpu))
        self.leave(who)
        self._wait(who)

    def leave(self, who: int) -> None:
        with self._changed:
            self._turn = 1 - who
            self._changed.notify_all()

    def fail(self, who: int, error: BaseException) -> None:
        """The other side waits for nobody any more."""
        self.errors.append(error)
        self._both_ready.abort()
        self.leave(who)

    def _wait(self, who: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._turn == who or bool(self.errors))
        self._began = (time.perf_counter(), time.process_time())


def _synchronise() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


class TurnLink(Link):
    """A driver that agrees to everything, and lets the other side work after every step."""

    def __init__(self, turns: Turns, who: int) -> None:
        self._turns, self._who = turns, who

    def send(self, event: Event) -> None:
        if isinstance(event, Started):
            self._turns.begin(self._who)
        elif isinstance(event, Stepped):
            self._turns.end_step(self._who)

    def alive(self, doing: str) -> None:
        pass

    def ask(self, wanted: VerdictWanted) -> Verdict:
        return Verdict("continue", "none", "benchmark")

    def order(self) -> None:
        return None

    def order_within(self, doing: str) -> None:
        return None


def train_ours(spec: TrialSpec, turns: Turns, who: int) -> None:
    from trainer.model.team import Team
    from trainer.training.trial import Trial

    with LOADING:
        trial = Trial(spec, TurnLink(turns, who), Team())
    trial.train()
    turns.leave(who)


def train_trl(spec: TrialSpec, rows: Rows, turns: Turns, who: int) -> None:
    """What a user writes who needs no sweep: SFTTrainer over tokenised rows."""
    from datasets import Dataset
    from transformers import AutoTokenizer, PrinterCallback, TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    order = Stacked(len(rows), spec.batch_size, spec.seed)
    drawn = [rows[row] for step in range(spec.num_steps) for row in order.rows(step)]
    dataset = Dataset.from_list(
        [{"input_ids": ids.tolist(), "labels": labels.tolist()} for ids, labels in drawn]
    )
    device = best_device()
    micro_batch = min(spec.micro_batch or spec.batch_size, spec.batch_size)

    class Turn(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            turns.end_step(who)

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=micro_batch,
            gradient_accumulation_steps=spec.batch_size // micro_batch,
            max_steps=spec.num_steps,
            learning_rate=spec.learning_rate,
            lr_scheduler_type="constant",
            optim="adamw_torch_fused" if device.type == "cuda" else "adamw_torch",
            adam_beta2=spec.beta2,
            max_grad_norm=spec.clip,
            bf16=spec.model.dtype == "bfloat16",
            gradient_checkpointing=False,
            use_cpu=device.type == "cpu",
            train_sampling_strategy="sequential",
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        with LOADING:
            trainer = SFTTrainer(
                load_model(spec.model, device),
                config,
                train_dataset=dataset,
                processing_class=AutoTokenizer.from_pretrained(Path(spec.data_dir) / "tokenizer"),
                callbacks=[Turn()],
            )
        trainer.remove_callback(PrinterCallback)
        turns.begin(who)
        trainer.train()
    turns.leave(who)


def ratio(theirs: np.ndarray, ours: np.ndarray, is_window: np.ndarray) -> str:
    """Of summed times, (num_steps,) each; the same steps are drawn for both, window and rest apart.

    The first turn of each round holds the library's own preparations."""
    rng = np.random.default_rng(0)
    groups = [np.flatnonzero(is_window), np.flatnonzero(~is_window)]
    draws = [
        np.concatenate([rng.choice(group, len(group)) for group in groups if len(group)])
        for _ in range(10_000)
    ]
    found = [theirs[draw].sum() / ours[draw].sum() for draw in draws]
    low, high = np.quantile(found, [0.025, 0.975])
    return f"{theirs.sum() / ours.sum():.3f} (95 % {low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--max-length", type=int, default=96)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--attention", default="auto")
    parser.add_argument("--against", choices=["trl", "unobserved", "padded"], default="trl")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = ModelSpec(given.model, dtype=given.dtype, attention=given.attention)
        data_dir = prepare_rows(model, given.rows, Path(folder), given.max_length)
        window = max(given.batch, given.steps * given.batch // 10)
        spec = bare_trial(
            *(model, data_dir, Path(folder) / "trial", given.steps, given.batch),
            window_samples=window,
            micro_batch=MICRO_BATCH,
        )
        rows = Rows(data_dir / "train")
        order = Stacked(len(rows), given.batch, 0)
        tokens = sum(len(rows[r][0]) for step in range(given.steps) for r in order.rows(step))
        print(f"{tokens} tokens in {given.steps} steps of {given.batch}, on {best_device()}")

        ours = spec
        if given.against == "padded":
            ours = replace(spec, model=replace(model, padding_free=True))
        others: dict[str, Callable[[Turns], None]] = {
            "trl": lambda turns: train_trl(spec, rows, turns, 0),
            "unobserved": lambda turns: train_ours(replace(spec, window_samples=0), turns, 0),
            "padded": lambda turns: train_ours(spec, turns, 0),
        }
        seconds = [
            together(others[given.against], lambda turns: train_ours(ours, turns, 1))
            for _ in range(given.rounds)
        ]
    both = np.concatenate(seconds, axis=1)  # (2, rounds * steps, 2)
    is_window = np.tile(np.arange(given.steps) < spec.window_steps, given.rounds)
    speeds = tokens * given.rounds / both[:, :, 0].sum(1)
    print(f"tokens/s over whole trials: theirs {speeds[0]:.1f}, ours {speeds[1]:.1f}")
    for index, clock in enumerate(("wall time", "CPU time")):
        theirs, mine = both[0, :, index], both[1, :, index]
        rest = ~is_window
        print(f"{clock}, ours / theirs, whole trials: {ratio(theirs, mine, is_window)}")
        outside = ratio(theirs[rest], mine[rest], is_window[rest])
        print(f"{clock}, ours / theirs, outside the window: {outside}")
    print(json.dumps({"theirs_s": both[0].round(3).tolist(), "ours_s": both[1].round(3).tolist()}))


def together(*sides: Callable[[Turns], None]) -> np.ndarray:
    """Seconds per step, wall and CPU, (2, num_steps, 2). Raises what a side fails with."""
    turns = Turns()

    def work(who: int, side: Callable[[Turns], None]) -> None:
        try:
            side(turns)
        except BaseException as error:
            turns.fail(who, error)

    threads = [threading.Thread(target=work, args=one, daemon=True) for one in enumerate(sides)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if turns.errors:
        raise turns.errors[0]
    return np.array(turns.seconds)


if __name__ == "__main__":
    main()
