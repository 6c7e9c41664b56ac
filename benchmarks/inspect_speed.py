"""How long inspecting, judging, and Optuna's ask and tell take in a study of 1,000 trials.

    python benchmarks/inspect_speed.py [--trials 1000] [--observations 200] [--repeats 7]

The study is random, in a temporary folder. Inspection is timed as a process of its own, imports
included; judging and Optuna in this process, after a first call each that is not counted.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from predictor.judge import judge
from predictor.types import CohortTrial, Observation, Settings, Verdict, WindowSignals
from sweep.storage.engine import make_engine
from sweep.storage.ledger import BASE, Cost, Decision, Ledger, StudyRow, TrialRow
from sweep.storage.paths import StudyPaths
from trainer.contract.measurement import Measurement

DISTRIBUTIONS = {
    "learning_rate": FloatDistribution(1e-6, 1e-3, log=True),
    "batch_size": CategoricalDistribution([16, 64, 128]),
}
DOCUMENT = {
    "name": "bench",
    "model": {"base": "none", "tuning": "full"},
    "objective": {"metric": "eval_loss"},
    "search": {"space": {"learning_rate": {"low": 1e-6, "high": 1e-3, "log": True}}},
    "run": {"trials": 1000, "seed": 0},
}


def random_trial(number: int, rng: random.Random) -> TrialRow:
    batch_size = rng.choice([16, 64, 128])
    params = {
        "learning_rate": math.exp(rng.uniform(math.log(1e-6), math.log(1e-3))),
        "batch_size": batch_size,
        "schedule": "constant",
    }
    is_pruned = rng.random() < 0.5
    objective = None if is_pruned else rng.uniform(1.0, 2.0)
    return TrialRow(
        number,
        "pruned" if is_pruned else "completed",
        params,
        num_steps=200,
        planned_flops=1e15,
        attempts=1,
        window={
            "samples": 20 * batch_size,
            "loss": rng.uniform(1.5, 2.5),
            "grad_norm": rng.lognormvariate(0, 1),
            "grad_norm_noise_free": rng.lognormvariate(-1, 1),
            "early_eval": rng.uniform(1.0, 2.0),
            "early_eval_num": 64,
        },
        objective=objective,
    )


def write_study(paths: StudyPaths, num_trials: int, num_observations: int) -> list[TrialRow]:
    rng = random.Random(0)
    engine = make_engine(paths.default_storage)
    ledger = Ledger(engine, "bench")
    base = {"eval_loss": asdict(Measurement(2.0, 400, 10_000, 1.0))}
    ledger.create(StudyRow("bench", DOCUMENT, {"base_measurements": base}, "bench"))
    ledger.record(Cost(BASE, 0, "eval", 10_000, 1.0, 1e12))
    rows = [random_trial(number, rng) for number in range(num_trials)]
    for row in rows:
        steps = num_observations if row.state == "completed" else num_observations // 10
        for step in range(1, num_observations + 1):
            seen = step * row.params["batch_size"]
            loss, norm = rng.uniform(1.0, 3.0), rng.lognormvariate(0, 1)
            at = Observation(step, seen, seen * 100, seen * 40, loss, norm, 1e-5, 0.1)
            ledger.add_observation(row.number, at)
        for what, share in (("train", steps / num_observations), ("early_eval", 0.01)):
            ledger.record(Cost(row.number, 1, what, 1_000_000, 60.0, share * row.planned_flops))
        action = "prune" if row.state == "pruned" else "continue"
        verdict = Verdict(action, "rank", "early evaluation 0.8 sd above the cohort " * 3)
        ledger.save_trial(
            row, decision=Decision(row.number, "window", 20, verdict, "bench", Settings())
        )
    engine.dispose()
    return rows


def median_ms(call: Callable[[], object], repeats: int) -> float:
    call()
    seconds: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)


def time_inspect(folder: Path, repeats: int, *options: str) -> float:
    command = [sys.executable, "-m", "sweep.cli", "inspect", str(folder), *options]

    def call() -> None:
        done = subprocess.run(command, check=True, capture_output=True)
        if "--json" in options:
            json.loads(done.stdout)

    return median_ms(call, repeats)


def time_judge(rows: list[TrialRow], repeats: int) -> float:
    cohort: list[CohortTrial] = []
    for row in rows:
        assert row.window is not None
        signals = {name: value for name, value in row.window.items() if name != "early_eval_num"}
        window = WindowSignals(**signals)
        cohort.append(CohortTrial(row.number, row.params, window, row.objective))
    return median_ms(lambda: judge(cohort[-1], cohort[:-1], Settings()), repeats)


def time_optuna(paths: StudyPaths, rows: list[TrialRow], repeats: int) -> float:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="bench",
        storage=paths.default_storage,
        sampler=optuna.samplers.TPESampler(seed=0),
    )
    for row in rows:
        study.add_trial(
            create_trial(
                params={name: row.params[name] for name in DISTRIBUTIONS},
                distributions=DISTRIBUTIONS,
                value=row.objective,
                state=TrialState.COMPLETE if row.state == "completed" else TrialState.PRUNED,
            )
        )

    def ask_and_tell() -> None:
        study.tell(study.ask(DISTRIBUTIONS), 1.5)

    return median_ms(ask_and_tell, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--observations", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = StudyPaths(Path(folder))
        rows = write_study(paths, given.trials, given.observations)
        size_mib = paths.database.stat().st_size / 2**20
        print(f"{given.trials} trials x {given.observations} observations, {size_mib:.0f} MiB")
        print(f"(medians of {given.repeats}, milliseconds)")
        judged = time_judge(rows, 10 * given.repeats)
        print(f"judge alone             {judged:8.2f}")
        for what, options in (
            ("--json", ["--json"]),
            ("text", []),
            ("one trial", ["--trial", "0"]),
        ):
            took = time_inspect(paths.out, given.repeats, *options)
            print(f"inspect, {what:<14} {took:8.0f}")
        print(f"Optuna, ask and tell    {time_optuna(paths, rows, given.repeats):8.1f}")


if __name__ == "__main__":
    main()
