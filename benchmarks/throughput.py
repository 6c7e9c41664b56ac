"""Tokens per second of our trial and of a plain TRL script: `python -m benchmarks.throughput MODEL
ROWS.jsonl [--rounds 5] [--steps 10] [--batch 8] [--max-length 192] [--dtype float32]`.

Both train the same samples in the same order with the same settings; the arms take turns, in an
order that changes from round to round. Two ratios, each with a bootstrap interval over rounds: the
whole of the training (from its start to the end of the last step, our window included), and the
steps outside our window. A third arm is ours with the samples concatenated without padding.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.trials import prepare_rows, run
from trainer.batches import Rows, Stacked
from trainer.model import best_device, load_model
from trainer.spec import Event, ModelSpec, Started, Stepped, TrialSpec
from trainer.worker import run_trial

MICRO_BATCH = 8


def run_ours(spec: TrialSpec) -> list[float]:
    """The time of the start of training and of the end of every step."""
    times: list[float] = []

    def hear(event: Event) -> None:
        if isinstance(event, Started | Stepped):
            times.append(time.perf_counter())

    run(run_trial, spec, hear)
    return times


def run_trl(spec: TrialSpec, rows: Rows) -> list[float]:
    """What a user writes who needs no sweep: SFTTrainer over tokenised rows."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from trainer.train import blank_tokenizer

    order = Stacked(len(rows), spec.batch_size, spec.seed)
    drawn = [rows[row] for step in range(spec.num_steps) for row in order.rows(step)]
    dataset = Dataset.from_list(
        [{"input_ids": ids.tolist(), "labels": labels.tolist()} for ids, labels in drawn]
    )
    device = best_device()
    micro_batch = min(MICRO_BATCH, spec.batch_size)
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=micro_batch,
            gradient_accumulation_steps=spec.batch_size // micro_batch,
            max_steps=spec.num_steps,
            learning_rate=spec.learning_rate,
            lr_scheduler_type="constant",
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
        trainer = SFTTrainer(
            load_model(spec.model, device),
            config,
            train_dataset=dataset,
            processing_class=blank_tokenizer(),
            callbacks=[Clock()],
        )
        from transformers import PrinterCallback

        trainer.remove_callback(PrinterCallback)
        times.append(time.perf_counter())
        trainer.train()
    return times


def interval(ratios: list[float]) -> str:
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(10_000))
    return f"{statistics.median(ratios):.3f} (95 % {medians[250]:.3f} to {medians[9749]:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--max-length", type=int, default=192)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--attention", default="auto")
    parser.add_argument("--without-concatenation", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = ModelSpec(given.model, dtype=given.dtype, attention=given.attention)
        data_dir = prepare_rows(model, given.rows, Path(folder), given.max_length)
        num_samples = given.steps * given.batch
        ours = TrialSpec(
            number=0,
            seed=0,
            model=model,
            data_dir=str(data_dir),
            trial_dir=str(Path(folder) / "trial"),
            batch_size=given.batch,
            budget_samples=num_samples,
            window_samples=max(given.batch, num_samples // 10),
            metrics=(),
            early_eval=0,
            learning_rate=1e-5,
            save_model=False,
            checkpoint_every_s=1e9,
            micro_batch=MICRO_BATCH,
        )
        rows = Rows(data_dir / "train")
        concatenated = replace(ours, model=replace(model, padding_free=True))
        arms = {
            "TRL": lambda: run_trl(ours, rows),
            "ours": lambda: run_ours(ours),
            "ours, no padding": lambda: run_ours(concatenated),
        }
        if given.without_concatenation:
            del arms["ours, no padding"]
        order = Stacked(len(rows), given.batch, 0)
        tokens = [sum(len(rows[r][0]) for r in order.rows(step)) for step in range(given.steps)]
        print(f"{sum(tokens)} tokens in {given.steps} steps of {given.batch}, on {best_device()}")
        whole: dict[str, list[float]] = {name: [] for name in arms}
        after: dict[str, list[float]] = {name: [] for name in arms}
        for number in range(given.rounds + 1):  # the first warms up
            names = list(arms) if number % 2 else list(arms)[::-1]
            for name in names:
                times = arms[name]()
                if number == 0:
                    continue
                whole[name].append(sum(tokens) / (times[-1] - times[0]))
                window = ours.window_steps
                after[name].append(sum(tokens[window:]) / (times[-1] - times[window]))
            if number:
                found = ", ".join(f"{name} {speeds[-1]:.1f}" for name, speeds in whole.items())
                print(f"round {number}: {found} tokens/s", flush=True)
    for name in list(arms)[1:]:
        for what, speeds in (("whole trial", whole), ("outside the window", after)):
            ratios = [a / b for a, b in zip(speeds[name], speeds["TRL"], strict=True)]
            print(f"{name} / TRL, {what}: {interval(ratios)}")
    print(json.dumps({"whole": whole, "outside the window": after}))


if __name__ == "__main__":
    main()
