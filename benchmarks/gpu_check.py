"""A study of a real chat model, interrupted half way: `python -m benchmarks.gpu_check MODEL
TRAIN.jsonl EVAL.jsonl [--out FOLDER] [--samples 1024] [--eval-rows 256] [--dtype bfloat16]`.

MODEL is a local folder, rows have `question` and `answer` (GSM8K). Eight fixed trials go through
`sweep run`; SIGTERM comes in the middle of the fifth, and the same command goes on. Then the best
model is used by plain transformers in a fresh process, and one step is taken at several learning
rates with weights in bfloat16 and in float32: what share of them moves, and what share the plan's
warning says would (those smaller than 512 times the rate). The last line is the summary as JSON;
the exit code is 1 where one of its `checks` is false.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainer.contract.spec import ModelSpec, TrialSpec

LEARNING_RATES = (1e-5, 1e-4, 3e-4, 1e-3)
BATCH_SIZES = (16, 32)
STEP_RATES = (1e-6, 1e-5, 1e-4, 1e-3)
STUDY = """
name: gpu-check
model: {{base: {model}, dtype: {dtype}, weights: float32}}
data: {{train: {train}, eval: {eval}, max_length: 512}}
budget: {{samples: {samples}}}
search:
  sampler: grid
  recipes: []
  space:
    learning_rate: {{choices: [{rates}]}}
    batch_size: {{choices: [{batches}]}}
pruning: {{enabled: false}}
run: {{trials: {trials}, workers: 1}}
"""
NUM_TRIALS = len(LEARNING_RATES) * len(BATCH_SIZES)
STOPPED = re.compile(r"trial (\d+): stopped at step (\d+), to be continued")


def write_study(given: argparse.Namespace, folder: Path) -> Path:
    """The study file, and its rows as chats beside it."""
    for name, source in (("train", given.train), ("eval", given.eval)):
        lines = source.read_text().splitlines()[: given.eval_rows if name == "eval" else None]
        (folder / f"{name}.jsonl").write_text("\n".join(map(as_chat, lines)))
    text = STUDY.format(
        model=given.model.resolve(),
        dtype=given.dtype,
        train=folder / "train.jsonl",
        eval=folder / "eval.jsonl",
        samples=given.samples,
        rates=", ".join(f"{rate:.0e}" for rate in LEARNING_RATES),
        batches=", ".join(map(str, BATCH_SIZES)),
        trials=NUM_TRIALS,
    )
    path = folder / "gpu-check.yaml"
    path.write_text(text)
    return path


def as_chat(line: str) -> str:
    row = json.loads(line)
    turns = [("user", row["question"]), ("assistant", row["answer"])]
    return json.dumps({"messages": [{"role": who, "content": text} for who, text in turns]})


def sweep(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sweep.cli", *map(str, arguments)]


def inspect(out: Path, *more: object) -> dict[str, Any] | None:
    """None before the study is there."""
    told = subprocess.run(
        sweep("inspect", out, "--json", *more), capture_output=True, text=True, check=False
    )
    return json.loads(told.stdout) if told.returncode == 0 else None


def interrupt(study: Path, out: Path) -> dict[str, Any]:
    """Start the study, end it by SIGTERM within its middle trial."""
    log = study.with_suffix(".log")
    with log.open("w") as said:
        driver = subprocess.Popen(sweep("run", study, "--out", out), stdout=said, stderr=said)
        began = time.monotonic()
        while not is_half_way(out):
            if driver.poll() is not None:
                sys.exit(f"it ended before it was told to:\n{log.read_text()}")
            time.sleep(0.2)
        told = time.monotonic()
        driver.send_signal(signal.SIGTERM)
        code = driver.wait()
        ended = time.monotonic()
    found = STOPPED.search(log.read_text())
    if found is None:
        sys.exit(f"no trial was stopped:\n{log.read_text()}")
    number, step = map(int, found.groups())
    folder = out / "trials" / f"{number:04d}" / "checkpoints" / f"checkpoint-{step}"
    trial = inspect(out, "--trial", number) or {}
    return {
        "seconds_before": told - began,
        "exit_code": code,
        "sigterm_to_exit_s": ended - told,
        "trial": number,
        "step": step,
        "is_checkpointed": (folder / "complete.json").is_file(),
        "lost_steps": max(seen["step"] for seen in trial["observations"]) - step,
    }


def is_half_way(out: Path) -> bool:
    """Whether a trial of the second half has taken a quarter of its steps."""
    document = inspect(out) if (out / "study.db").is_file() else None
    for trial in (document or {}).get("trials", []):
        if trial["state"] == "running" and trial["number"] >= NUM_TRIALS // 2:
            own = inspect(out, "--trial", trial["number"])
            return own is not None and len(own["observations"]) >= trial["num_steps"] // 4
    return False


def speed(out: Path, number: int) -> dict[str, Any]:
    """Of one trial: seconds in all, and input tokens per second of its steps."""
    trial = inspect(out, "--trial", number)
    assert trial is not None
    steps = trial["observations"]
    settled = steps[len(steps) // 2 :]  # the first steps find out what fits, and are taken apart
    tokens = settled[-1]["input_tokens_seen"] - steps[len(steps) // 2 - 1]["input_tokens_seen"]
    return {
        **{key: trial["params"][key] for key in ("learning_rate", "batch_size")},
        "objective": trial["objective"],
        "seconds": trial["compute"]["seconds"],
        "tokens_per_s": tokens / sum(seen["seconds"] for seen in settled),
        "steps": [seen["step"] for seen in steps] == list(range(1, trial["num_steps"] + 1)),
    }


def moved(model: Path, data_dir: Path, weights: Any, rate: float, dtype: Any) -> dict[str, float]:
    """Share of the weights that one step of 16 samples moves, of those that are not zero; for
    bfloat16 also the share that the plan's warning says can move."""
    import torch
    from safetensors.torch import load_file

    from benchmarks.trials import run
    from trainer.worker import run_trial

    with tempfile.TemporaryDirectory() as folder:
        spec = TrialSpec(
            number=0,
            seed=0,
            model=ModelSpec(str(model), dtype=dtype, weights=weights),
            data_dir=str(data_dir),
            trial_dir=str(Path(folder) / "trial"),
            batch_size=16,
            budget_samples=16,
            window_samples=0,
            metrics=(),
            early_eval=0,
            learning_rate=rate,
            checkpoint_every_s=1e9,
        )
        run(run_trial, spec)
        after = load_file(Path(spec.trial_dir) / "model" / "model.safetensors")
    before = load_file(model / "model.safetensors")
    total = num_moved = below = 0
    for name, new in after.items():
        old = before[name].to(getattr(torch, weights))
        total += int((old != 0).sum())
        num_moved += int(((new != old) & (old != 0)).sum())
        below += int(((old.float().abs() < 512 * rate) & (old != 0)).sum())
    foretold = {"foretold": below / total} if weights == "bfloat16" else {}
    return {"moved": num_moved / total, **foretold}


@contextmanager
def peak_memory() -> Iterator[dict[str, float]]:
    """`gb` becomes the most that nvidia-smi has shown; nothing where there is none."""
    peak: dict[str, float] = {}
    over = threading.Event()
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]

    def watch() -> None:
        while not over.wait(0.5):
            shown = subprocess.run(query, capture_output=True, text=True, check=False).stdout
            used = [float(line) for line in shown.split() if line.isdigit()]
            peak["gb"] = max([peak.get("gb", 0.0), *(mib / 953.674 for mib in used)])

    watching = threading.Thread(target=watch, daemon=True)
    if shutil.which(query[0]):
        watching.start()
    try:
        yield peak
    finally:
        over.set()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("train", type=Path)
    parser.add_argument("eval", type=Path)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--eval-rows", type=int, default=256)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--new-tokens", type=int, default=400)
    given = parser.parse_args()
    folder = given.out or Path(tempfile.mkdtemp(prefix="gpu-check-"))
    folder.mkdir(parents=True, exist_ok=True)
    study, out = write_study(given, folder), folder / "study"
    with peak_memory() as peak:
        interrupted = interrupt(study, out)
        print(json.dumps(interrupted), flush=True)
        began = time.monotonic()
        code = subprocess.run(sweep("run", study, "--out", out), check=False).returncode
        continued_s = time.monotonic() - began
    document = inspect(out)
    assert document is not None
    (folder / "inspect.json").write_text(json.dumps(document, indent=1))
    trials = [speed(out, trial["number"]) for trial in document["trials"]]
    print(json.dumps(trials), flush=True)
    best = document["best"]
    command = [
        *(sys.executable, "-m", "benchmarks.use_best", best["model_dir"], out / "data" / "eval"),
        *(folder / "eval.jsonl", "--dtype", given.dtype, "--new-tokens", str(given.new_tokens)),
    ]
    used = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
    differs = abs(used["loss"] - best["objective"]) / best["objective"]
    rounding = {
        weights: {
            f"{rate:g}": moved(given.model, out / "data", weights, rate, given.dtype)
            for rate in STEP_RATES
        }
        for weights in ("bfloat16", "float32")
    }
    checks = {
        "SIGTERM: exit code 143": interrupted["exit_code"] == 143,
        "a complete checkpoint within the grace": interrupted["is_checkpointed"],
        "no step lost": interrupted["lost_steps"] == 0 and all(t["steps"] for t in trials),
        "continued to its end": code == 0 and document["state"] == "done",
        "every trial tried once, none failed": not any(t["failures"] for t in document["trials"]),
        "the best is better than its base": best["objective"] < document["base"]["objective"],
        "the objective is the recorded one": differs < 2e-3,
        "replies end by themselves": used["ended"] > 0,
    }
    summary = {
        "checks": checks,
        "interrupted": interrupted,
        "continued_s": continued_s,
        "trials": trials,
        "base": document["base"]["objective"],
        "best": {**used, "recorded": best["objective"], "relative_difference": differs},
        "share_of_weights_a_step_moves": rounding,
        "peak_memory_gb": peak.get("gb"),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1))
    print(json.dumps(summary))
    sys.exit(0 if all(checks.values()) else 1)


if __name__ == "__main__":
    main()
