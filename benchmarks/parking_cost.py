"""What parking costs: `python -m benchmarks.parking_cost MODEL [ROWS.jsonl] [--lora]
[--rounds 3] [--batch 8] [--samples 2048] [--max-length 96] [--no-study]`.

A trial of a few steps is parked at its first look and gone on with, as the driver does it: seconds
to write the checkpoint, and from the start of its process to its next step; each the median over
the rounds. They stand against what a whole trial of `--samples` trains for, which is not run but
reckoned from its steps. Then the disk: a study of 16 trials of the quickstart's base is run, and
its parked checkpoints are added up while it runs; for MODEL the plan's formula stands beside what
16 of the measured checkpoint take. ROWS are the quickstart's where none are given.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.jobs import Jobs
from benchmarks.specs import bare_trial
from sweep.driver.memory import checkpoint_gb
from sweep.storage.paths import StudyPaths, checkpoint_bytes
from trainer.contract.spec import (
    Alive,
    Checkpointed,
    ModelSpec,
    Started,
    Stopped,
    TrialSpec,
)

QUICKSTART = Path(__file__).parents[1] / "studies" / "quickstart"
STEPS, WINDOW_STEPS = 4, 2
NUM_TRIALS = 16
STUDY = (
    "objective={metric: eval_loss}",
    "budget.samples=512",
    "search.space.batch_size={choices: [8, 16]}",
    f"run.trials={NUM_TRIALS}",
    "pruning.audit=0",
)


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of one trial that was parked and gone on with."""

    step: float  # median of its steps
    write: float  # from the verdict to the checkpoint on disk
    end: float  # from there until its process is gone
    process: float  # from the order to start it again until it runs
    load: float  # the model, the tokenizer, the trainer
    restore: float  # optimizer, random state and weights; up to the next step, without it
    bytes: int  # of the checkpoint

    @property
    def again(self) -> float:
        """From the order to go on to its next step."""
        return self.process + self.load + self.restore


def one_round(jobs: Jobs, spec: TrialSpec) -> Round:
    (parked,) = jobs.run([spec], answer="park")
    size = checkpoint_bytes(Path(spec.trial_dir) / "checkpoints")
    assert size is not None
    (again,) = jobs.run([spec])
    shutil.rmtree(spec.trial_dir)
    written, started = parked.first(Checkpointed), again.first(Started)
    runs, (next_step_s, next_step) = again.first(Alive), again.steps[0]
    assert next_step.step == WINDOW_STEPS + 1, "it has not gone on from its checkpoint"
    return Round(
        step=statistics.median(seen.seconds for _, seen in parked.steps + again.steps),
        write=written - parked.replied_s,
        end=parked.first(Stopped) - written,
        process=runs,
        load=started - runs,
        restore=next_step_s - started - next_step.seconds,
        bytes=size,
    )


def print_costs(rounds: list[Round], batch: int, samples: int) -> None:
    def median(name: str) -> float:
        return statistics.median(getattr(one, name) for one in rounds)

    trial_s = median("step") * samples / batch
    cost_s = median("write") + median("end") + median("again")
    megabytes = median("bytes") / 1e6
    print("| | s |\n| --- | ---: |")
    for name, seconds in (
        (f"write the checkpoint, {megabytes:,.1f} MB", median("write")),
        ("end the process", median("end")),
        ("start a process", median("process")),
        ("load model and trainer", median("load")),
        ("restore the checkpoint", median("restore")),
        ("parked once and gone on with", cost_s),
        (f"train {samples:,} samples, {median('step'):.3g} s a step of {batch}", trial_s),
        ("the first tenth of that once more, without a checkpoint", trial_s / 10),
    ):
        print(f"| {name} | {seconds:.2f} |")
    print(f"\nParking once costs {cost_s / trial_s:.1%} of a trial's training.")


def most_parked(folder: Path) -> tuple[int, int, int]:
    """The quickstart's base scouts. The most that parked checkpoints took at once, in bytes and in
    number, and the largest one."""
    paths = StudyPaths(folder / "study")
    command = [sys.executable, "-m", "sweep.cli", "run", "quickstart", "--out", str(paths.out)]
    run = subprocess.Popen([*command, "--set", *STUDY], stdout=subprocess.DEVNULL)
    peak, number, largest = 0, 0, 0
    while run.poll() is None:
        time.sleep(0.1)
        # One that is marked complete; of a trial that runs on from there as well.
        sizes = [
            checkpoint_bytes(marked.parents[1]) or 0
            for marked in paths.trials.glob("*/checkpoints/*/complete.json")
        ]
        if sum(sizes) > peak:
            peak, number, largest = sum(sizes), len(sizes), max(sizes)
    if run.returncode:
        raise SystemExit(f"the study ended with exit code {run.returncode}")
    return peak, number, largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path, nargs="?", default=QUICKSTART / "train.jsonl")
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--max-length", type=int, default=96)
    parser.add_argument("--no-study", action="store_true")
    given = parser.parse_args()
    tuning = "lora" if given.lora else "full"
    model = ModelSpec(str(given.model.resolve()), tuning, dtype="float32")
    print(f"{given.model}, {tuning}; load {os.getloadavg()[0]:.1f} at the start\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="parking-cost-") as name:
        folder = Path(name)
        jobs = Jobs(folder)
        data_dir, facts = jobs.prepare(model, given.rows, given.max_length)
        spec = bare_trial(
            *(model, data_dir, folder / "trial", STEPS, given.batch),
            window_samples=WINDOW_STEPS * given.batch,
        )
        rounds = [one_round(jobs, spec) for _ in range(given.rounds + 1)][1:]  # the first imports
        jobs.close()
        print_costs(rounds, given.batch, given.samples)
        num_adapter = facts["num_adapter"] + facts["num_saved"]
        each_gb = checkpoint_gb(facts["num_params"], tuning, "float32", num_adapter)
        print(
            f"{NUM_TRIALS} parked: {NUM_TRIALS * rounds[0].bytes / 1e9:.2f} GB by what one takes, "
            f"{NUM_TRIALS * each_gb:.2f} GB by the plan's formula"
        )
        if not given.no_study:
            peak, number, largest = most_parked(folder)
            base = json.loads((folder / "study" / "data" / "prepared.json").read_text())
            planned_gb = NUM_TRIALS * checkpoint_gb(base["num_params"], "full", "float32", 0)
            print(
                f"quickstart, {NUM_TRIALS} trials run: at most {peak / 1e9:.3f} GB in {number} "
                f"checkpoints of up to {largest / 1e6:.1f} MB; the plan's formula "
                f"{planned_gb:.3f} GB"
            )


if __name__ == "__main__":
    main()
