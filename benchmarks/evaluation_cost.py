"""What asking a benchmark costs of a trial, in batches by length and in the harness's own.

    python -m benchmarks.evaluation_cost MODEL TASKS NAME TRAIN [--samples 2048] [--rounds 2]

TASKS: a folder of local tasks, NAME one of them; TRAIN: rows to train on. Taking turns, all
questions are asked in batches of as many tokens as fit, the longest first, and in the harness's of
16 requests; then a step of 8 samples is trained as often. Prints the seconds (the least of the
rounds), their ratio, and what share of a trial of so many samples one evaluation is. Import of the
harness: in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainer.contract.spec import BenchmarkSpec
from trainer.data.rows import read_source

BATCH, TRAINED = 16, 8
IMPORT = """
import time, trainer.preload, trainer.evaluation.evaluator
began, cpu = time.perf_counter(), time.process_time()
import trainer.evaluation.harness
print(f"{time.process_time() - cpu:.2f} s of CPU, {time.perf_counter() - began:.2f} s of wall")
"""


def least(rounds: int, *runs: Callable[[], object]) -> list[float]:
    """Seconds of each, taking turns."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for own, run in zip(seconds, runs, strict=True):
            began = time.perf_counter()
            run()
            own.append(time.perf_counter() - began)
    return [min(own) for own in seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("model", "tasks"):
        parser.add_argument(name, type=Path)
    parser.add_argument("name")
    parser.add_argument("train", type=Path)
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    told = subprocess.run(
        [sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True
    )
    print(f"import of the harness after what a trial has imported: {told.stdout.strip()}")

    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    from trainer.evaluation.harness import Benchmark

    model: Any = AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32)
    tokenizer: Any = AutoTokenizer.from_pretrained(given.model)
    with tempfile.TemporaryDirectory() as folder:
        spec = BenchmarkSpec(tasks=str(given.tasks))
        benchmark = Benchmark(f"lm_eval:{given.name}", Path(folder), tokenizer, spec)
        facts = benchmark.prepare(model.config)
        rows = read_source(str(given.train), "train", Path(folder) / "cache").rows[:TRAINED]
        texts = [" ".join(str(value) for value in row.values())[:1000] for row in rows]
        batch: Any = tokenizer(texts, return_tensors="pt", padding=True, truncation=True)

        def ours() -> None:
            benchmark.measure(model, torch.float32, lambda: None)

        def theirs() -> None:
            asked: Any = {"tasks": benchmark._asked(None), "groups": {}, "group_map": {}}
            harness: Any = HFLM
            lm = harness(pretrained=model, tokenizer=tokenizer, batch_size=BATCH)
            evaluate(lm, asked, bootstrap_iters=0)

        def step() -> None:
            model(**batch, labels=batch["input_ids"]).loss.backward()
            model.zero_grad()

        by_us, by_them, trained = least(given.rounds, ours, theirs, step)
    trial = trained / TRAINED * given.samples
    print(f"{facts['questions']} questions, {facts['input_tokens']:,} input tokens")
    print(f"asked: {by_us:.2f} s; in batches of {BATCH} requests {by_them:.2f} s")
    print(f"ratio: {by_us / by_them:.2f}")
    for name, seconds in (("before", by_them), ("after", by_us)):
        share = seconds / (seconds + trial)
        print(f"{name}: one evaluation is {share:.1%} of a trial of {given.samples:,} samples")


if __name__ == "__main__":
    main()
