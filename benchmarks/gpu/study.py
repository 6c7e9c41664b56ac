"""A study that scouts, from start to end, with SIGTERM in its middle; and its best model in the
hands of whoever has transformers alone."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sweep
from benchmarks.gpu.setting import Row, Setting, Skipped
from sweep.storage.paths import StudyPaths

NUM_TRIALS = 12
STUDY = """
name: gpu-check
model: {{base: {model}, dtype: {dtype}, weights: float32}}
data: {{train: {train}, eval: {eval}, max_length: {max_length}}}
budget: {{samples: {samples}}}
search:
  recipes: []
  space:
    learning_rate: {{low: 1.0e-5, high: 1.0e-3, log: true}}
    batch_size: {{choices: [8, 16]}}
pruning: {{min_steps: 4, audit: 0}}
run: {{trials: {trials}, workers: 1}}
"""
SAMPLES = 512
PARKED = re.compile(r"trial (\d+): parked at step")
STOPPED = re.compile(r"trial (\d+): stopped at step (\d+), to be continued")
INTO_A_TRIAL_S = 1.5


def scouting_study(setting: Setting, limit_s: float) -> Sequence[Row]:
    deadline_s = time.monotonic() + limit_s
    study, out = write_study(setting), setting.folder / "study"
    log = study.with_suffix(".log")
    began = time.monotonic()
    with driver(study, out, log) as run:
        has_half = until_half_way(run, log, deadline_s)
        told = time.monotonic()
        run.send_signal(signal.SIGTERM)
        code = run.wait(max(1.0, deadline_s - told))
    before_s, to_exit_s = told - began, time.monotonic() - told
    there, so_far = stopped(log.read_text(), out), sweep.load(str(out)).report().state
    began = time.monotonic()
    with driver(study, out, log) as run:
        again = run.wait(max(1.0, deadline_s - began))
    after_s = time.monotonic() - began
    report = sweep.load(str(out)).report()
    best = report.best.objective if report.best else None
    base = report.base.objective
    assert best is not None and base is not None, log.read_text()[-500:]
    states = [trial.state.value for trial in report.trials]
    counts = ", ".join(f"{states.count(one)} {one}" for one in dict.fromkeys(states))
    used = report.compute.used_flops / report.compute.planned_flops
    is_whole = again == 0 and report.state == "done" and len(states) == NUM_TRIALS
    return [
        Row(
            "SIGTERM in its middle",
            f"exit code {code} after {to_exit_s:.1f} s; {there.found}",
            has_half and code == 143 and so_far != "done" and there.ok,
        ),
        Row(
            f"scouting study, {NUM_TRIALS} trials of {SAMPLES} samples",
            f"{before_s + to_exit_s:.1f} s, and {after_s:.1f} s by the same command; {counts}; "
            f"compute {used:.0%} of the plan",
            is_whole and not any(trial.failures for trial in report.trials),
        ),
        steps_lost(out),
        Row(
            "eval_loss, best / base",
            f"{best:.4f} / {base:.4f}",
            best < base,
        ),
    ]


def stopped(said: str, out: Path) -> Row:
    """What became of the trial that SIGTERM met: its checkpoint is complete, at the last step that
    is on record."""
    found = STOPPED.search(said)
    if found is None:
        return Row("", "no trial was in its training")
    number, step = map(int, found.groups())
    last = max(steps_on_record(out).get(number, {0}))
    folder = StudyPaths(out).trial_checkpoints(number) / f"checkpoint-{step}"
    is_whole = step == 0 or (folder / "complete.json").is_file()
    return Row("", f"trial {number} at step {step}, {last - step} lost", is_whole and last == step)


def steps_lost(out: Path) -> Row:
    """Of all trials: those that are missing among the steps on record."""
    steps = steps_on_record(out).values()
    done = sum(max(of_one) for of_one in steps)
    lost = done - sum(map(len, steps))
    return Row("steps lost in all", f"{lost} of {done}", lost == 0)


def steps_on_record(out: Path) -> dict[int, set[int]]:
    """Which steps of each trial the study's storage has."""
    found: dict[int, set[int]] = defaultdict(set)
    seen = sweep.load(str(out)).observations
    for trial, step in zip(seen["trial"], seen["step"], strict=True):
        found[int(trial)].add(int(step))
    return found


def best_used(setting: Setting, limit_s: float) -> Sequence[Row]:
    """The objective on record, and the loss that a process finds which knows transformers alone."""
    out = setting.folder / "study"
    best = sweep.load(str(out)).best if (out / "study.db").is_file() else None
    if best is None or best.model_dir is None:
        raise Skipped("the study has left no model")
    command = [
        *(sys.executable, "-m", "benchmarks.use_best", best.model_dir, str(out / "data" / "eval")),
        *([str(setting.eval)] if setting.is_chat else []),
        *("--dtype", setting.model.dtype, "--questions", "4", "--new-tokens", "250"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit_s)
    used = json.loads(done.stdout.splitlines()[-1])
    differs = abs(used["loss"] - best.objective) / best.objective
    replies = f"; {used['ended']} of {len(used['replies'])} replies end" if used["replies"] else ""
    found = f"loss {used['loss']:.5f}, on record {best.objective:.5f}{replies}"
    ends = used["ended"] > 0 or not used["replies"]
    return [Row("best model in a fresh process", found, differs < 2e-3 and ends)]


def write_study(setting: Setting) -> Path:
    path = setting.folder / "gpu-check.yaml"
    path.write_text(
        STUDY.format(
            model=setting.model.base,
            dtype=setting.model.dtype,
            train=setting.train,
            eval=setting.eval,
            max_length=setting.facts["max_length"],
            samples=SAMPLES,
            trials=NUM_TRIALS,
        )
    )
    return path


@contextmanager
def driver(study: Path, out: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`sweep run`, which is gone afterwards."""
    command = [sys.executable, "-m", "sweep.cli", "run", str(study), "--out", str(out)]
    with log.open("w") as said:
        run = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        yield run
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"the study took too long:\n{log.read_text()[-500:]}") from None
    finally:
        run.kill()  # its trials end with it
        run.wait()


def until_half_way(run: subprocess.Popen[bytes], log: Path, deadline_s: float) -> bool:
    """Wait until half of the trials are parked and one more is some way into its training. False
    where the study ends before."""
    while run.poll() is None:
        said = log.read_text()
        parked = list(PARKED.finditer(said))
        if len(parked) >= NUM_TRIALS // 2 and "trial " in said[parked[-1].end() :]:
            time.sleep(INTO_A_TRIAL_S)
            return run.poll() is None
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"the study took too long:\n{said[-500:]}")
        time.sleep(0.1)
    return False
