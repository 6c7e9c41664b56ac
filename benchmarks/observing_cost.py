"""What observing costs a whole trial: `python benchmarks/observing_cost.py MODEL ROWS.jsonl`.

Interleaved pairs of trials with the same samples and weights: one observed as in a study (its
window split into four micro-batches or more, hooks on every parameter), one with no window at
all. The early evaluation is not part of it; it is booked as compute of its own. Prints the ratio of
the summed step times, pair by pair, its median and a bootstrap interval; also that of CPU time,
which other processes on the machine disturb less.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from predictor.types import Verdict
from trainer.spec import (
    DataSpec,
    Failed,
    Finished,
    ModelSpec,
    Prepared,
    PrepareSpec,
    Stepped,
    TrialSpec,
    VerdictWanted,
)
from trainer.worker import run_prepare, run_trial

NUM_PAIRS, NUM_SAMPLES, BATCH_SIZE, WINDOW_SHARE = 4, 80, 8, 0.1


def serve(channel: Connection, step_seconds: list[float]) -> None:
    """The driver's end: lets every trial go on."""
    while True:
        match channel.recv():
            case Stepped(observation):
                step_seconds.append(observation.seconds)
            case VerdictWanted():
                channel.send(Verdict("continue", "none", "benchmark"))
            case Finished() | Prepared():
                return
            case Failed() as failed:
                raise SystemExit(f"{failed.message}\n{failed.traceback}")
            case _:
                pass


def run(entry: object, spec: object) -> tuple[float, float]:
    """Wall seconds of the steps, CPU seconds of the whole."""
    ours, theirs = Pipe()
    seconds: list[float] = []
    driver = threading.Thread(target=serve, args=(ours, seconds), daemon=True)
    driver.start()
    began = time.process_time()
    entry(spec, theirs)  # type: ignore[operator]
    driver.join()
    return sum(seconds), time.process_time() - began


def interval(ratios: list[float]) -> str:
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(10_000))
    low, high = medians[250], medians[9749]
    return f"median {statistics.median(ratios):.4f}, 95 % {low:.4f} to {high:.4f}"


def main(base: str, rows: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = ModelSpec(base, dtype="float32")
        some = Path(folder) / "rows.jsonl"
        some.write_text("\n".join(Path(rows).read_text().splitlines()[:128]) + "\n")
        data_dir = Path(folder) / "data"
        data_dir.mkdir()
        data = DataSpec(str(some), eval=str(some), max_length=96)
        run(run_prepare, PrepareSpec(model, data, str(data_dir), ("eval_loss",), False))
        (data_dir / "eval").rename(data_dir / "whole")
        observed = TrialSpec(
            number=0,
            seed=0,
            model=model,
            data_dir=str(data_dir),
            trial_dir=str(Path(folder) / "trial"),
            batch_size=BATCH_SIZE,
            budget_samples=NUM_SAMPLES,
            window_samples=int(WINDOW_SHARE * NUM_SAMPLES),
            metrics=(),
            early_eval=0,
            learning_rate=1e-5,
            save_model=False,
            checkpoint_every_s=1e9,
        )
        plain = replace(observed, window_samples=0)
        run(run_trial, plain)  # warm up
        wall, cpu = [], []
        for pair in range(NUM_PAIRS):
            order = (observed, plain) if pair % 2 else (plain, observed)
            took = {spec.window_samples: run(run_trial, spec) for spec in order}
            (with_wall, with_cpu), (wall_s, cpu_s) = took[observed.window_samples], took[0]
            wall.append(with_wall / wall_s)
            cpu.append(with_cpu / cpu_s)
            print(f"pair {pair}: {with_wall:.1f} s / {wall_s:.1f} s = {wall[-1]:.4f}", flush=True)
    print("wall time of the steps, observed / not:", interval(wall))
    print("CPU time of the process, observed / not:", interval(cpu))
    print(json.dumps({"wall": wall, "cpu": cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:])
