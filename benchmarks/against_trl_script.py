"""`sweep run quickstart` against a sweep written by hand: `python -m benchmarks.against_trl_script
[--seeds 3] [--trials 14]`.

The other is benchmarks/plain_trl.py: Optuna's TPE with MedianPruner around TRL's SFTTrainer, one
trial after another on all cores. Ours optimizes eval_loss and is else as shipped: two workers, who
share the cores. Both take turns, and who begins changes with each seed. Wall time is that of the
whole process, imports included. Both best models are then measured alike, with transformers alone,
on the same held-out rows: nats per loss-bearing token.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Ran:
    """A study from its start to its end. `loss`: of its best model; `trials`: how they ended."""

    seconds: float
    model_dir: Path
    trials: str
    loss: float = 0.0


def timed(command: list[str], folder: Path) -> float:
    """Seconds of the process. SystemExit with what it printed where it fails."""
    cache = folder / "cache"  # what one study has tokenised is no gift to the next
    env = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_DATASETS_CACHE": cache}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, **{name: str(value) for name, value in env.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-5000:]}")
    return seconds


def run_ours(folder: Path, seed: int, trials: int) -> Ran:
    """Its data are below folder/study/data."""
    out = folder / "study"
    settings = ["objective={metric: eval_loss}", f"run.seed={seed}", f"run.trials={trials}"]
    command = ["sweep.cli", "run", "quickstart", "--out", str(out), "--set", *settings]
    seconds = timed(command, folder)
    told = subprocess.run(
        [sys.executable, "-m", "sweep.cli", "inspect", str(out), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    document: dict[str, Any] = json.loads(told.stdout)
    states = [trial["state"] for trial in document["trials"]]
    return Ran(seconds, Path(document["best"]["model_dir"]), counted(states))


def run_script(folder: Path, seed: int, trials: int) -> Ran:
    out = folder / "script"
    command = ["benchmarks.plain_trl", str(out), "--seed", str(seed), "--trials", str(trials)]
    seconds = timed(command, folder)
    import optuna

    study = optuna.load_study(study_name=None, storage=f"sqlite:///{out / 'optuna.db'}")
    states = ["completed" if t.state.name == "COMPLETE" else "pruned" for t in study.trials]
    return Ran(seconds, out / "best", counted(states))


def counted(states: list[str]) -> str:
    return ", ".join(f"{num} {state}" for state, num in sorted(Counter(states).items()))


def loss_of(model_dir: Path, rows: Path) -> float:
    """Nats per loss-bearing token of the prepared rows, in float32."""
    command = [sys.executable, "-m", "benchmarks.use_best", model_dir, rows, "--dtype", "float32"]
    said = subprocess.check_output(list(map(str, command)), text=True)
    return json.loads(said.splitlines()[-1])["loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=14)
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{given.trials} trials; {cores} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    print(
        "| seed | sweep | script | sweep / script | best: sweep | script | trials: sweep | script |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |")
    ratios: list[float] = []
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory(prefix="against-trl-") as name:
            folder = Path(name)
            sides = [run_ours, run_script]
            turns = sides if seed % 2 == 0 else sides[::-1]
            ran = {side: side(folder, seed, given.trials) for side in turns}
            ours, theirs = ran[run_ours], ran[run_script]
            rows = folder / "study" / "data" / "eval"
            losses = [loss_of(one.model_dir, rows) for one in (ours, theirs)]
        ratios.append(ours.seconds / theirs.seconds)
        print(
            f"| {seed} | {ours.seconds:.1f} s | {theirs.seconds:.1f} s | {ratios[-1]:.2f} "
            f"| {losses[0]:.4f} | {losses[1]:.4f} | {ours.trials} | {theirs.trials} |",
            flush=True,
        )
    print(f"\nsweep / script: {statistics.geometric_mean(ratios):.2f}, the geometric mean")


if __name__ == "__main__":
    main()
