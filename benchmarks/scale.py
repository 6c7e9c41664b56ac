"""What a large study costs the driver and the commands: `python -m benchmarks.scale`.

    python -m benchmarks.scale [--trials 10000] [--observations 50] [--storage URL] [--limit 300]

A random study of settled trials (six in ten trained to their end) is written in bulk. Then the real
driver takes it up with trials that answer at once, and every command reads it, each in a process of
its own, imports included, ended after `--limit` seconds. `--storage`: an empty PostgreSQL database.
Milliseconds of the driver are of everything between one event of a trial and its readiness for the
next; the decision, the settling and the ask are told apart.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sweep.config.load import load_study
from sweep.driver import optuna_study
from sweep.run_study import drive
from sweep.storage.paths import StudyPaths
from tests.support.fake_driver import FakeTrials
from tests.support.home import Home
from tests.support.many_trials import (
    BATCH_SIZE,
    SPACE,
    AtOnce,
    EveryTick,
    Took,
    make_study,
    median,
)

DRIVEN = 30  # trials, by the real driver
COMMANDS = {
    "inspect": ["inspect", "STUDY"],
    "inspect --json": ["inspect", "STUDY", "--json"],
    "inspect --trial": ["inspect", "STUDY", "--trial", "7"],
    "export": ["export", "STUDY", "--to", "EXPORT"],
    "evidence": ["evidence", "STUDY", "--json"],
    "replay": ["replay", "STUDY", "--json"],
    "tune": ["tune", "STUDY", "--json"],
}


def time_driver(file: Path, out: Path, num: int, settings: list[str]) -> dict[str, list[float]]:
    """By what was done, of the wall and the CPU; milliseconds are medians over DRIVEN trials."""
    executor, asked = AtOnce(), list[Took]()
    inner = optuna_study.OptunaStudy.ask

    def timed(self: optuna_study.OptunaStudy, *args: Any, **named: Any) -> Any:
        start = Took.now()
        try:
            return inner(self, *args, **named)
        finally:
            asked.append(Took.now().since(start))

    optuna_study.OptunaStudy.ask = timed  # type: ignore[method-assign]
    loaded = load_study(str(file), [*settings, f"run.trials={num + DRIVEN}"])
    start = Took.now()
    with contextlib.redirect_stdout(io.StringIO()):
        drive(loaded, StudyPaths(out), executor, EveryTick(executor))
    end = Took.now()
    assert executor.opened is not None
    spent = executor.spent
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "opening, up to the first start, s": [*executor.opened.since(start)],
        "a step, ms": median(spent["Stepped"]),
        "a tick with the display, ms": median(spent["NoneType"]),
        "a decision, ms": median(spent["VerdictWanted"]),
        "settling, and the next begun, ms": median([*spent["Stopped"], *spent.get("Finished", [])]),
        "  of it ask, ms": median(asked[1:]),
        f"{DRIVEN} trials and the closing report, s": [*end.since(executor.opened)],
        "the driver's memory, MiB": [memory],
    }


# --- the commands


def time_command(words: list[str], limit_s: float) -> list[float] | None:
    """Seconds of the wall and the CPU; None: not done within the limit."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "sweep.cli", *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        sys.stderr.write(done.stderr.decode()[-2000:])
        return [math.nan, math.nan]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [time.perf_counter() - start, cpu_s]


def show(what: str, values: list[float] | None, otherwise: str = "") -> None:
    shown = [otherwise] if values is None else [f"{value:.2f}" for value in values]
    print(f"{what:<40}" + "".join(f"{text:>14}" for text in shown), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--observations", type=int, default=50)
    parser.add_argument("--storage")
    parser.add_argument("--limit", type=float, default=300)
    parser.add_argument("--drive", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*", default=[*COMMANDS])
    given = parser.parse_args()
    settings = [
        "search.sampler=tpe",
        "pruning.window=0.1",
        f"budget.samples={BATCH_SIZE * given.observations}",
        "run.workers=1",
        *(f"search.space.{name}={text}" for name, text in SPACE.items()),
        *([f"run.storage={given.storage}"] if given.storage else []),
    ]
    num = given.trials - DRIVEN  # a study has no more than 10,000
    if given.drive:
        print(json.dumps(time_driver(Path(given.drive[0]), Path(given.drive[1]), num, settings)))
        return
    with tempfile.TemporaryDirectory() as folder:
        executor = FakeTrials()
        home = Home(Path(folder), executor)
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            make_study(home, num, given.observations, settings)
        executor.close()
        print(f"{num} settled trials x {given.observations} steps, made in ", end="")
        print(f"{time.perf_counter() - start:.0f} s; wall, then CPU", flush=True)
        study = f"{given.storage}#fake" if given.storage else str(home.out)
        for what in given.only:
            places = {"STUDY": study, "EXPORT": f"{folder}/exported"}
            took = time_command([places.get(w, w) for w in COMMANDS[what]], given.limit)
            show(f"{what}, s", took, f"more than {given.limit:g}")
        words = [sys.executable, "-m", "benchmarks.scale", "--drive", str(home.file), str(home.out)]
        words += ["--trials", str(given.trials), "--observations", str(given.observations)]
        words += ["--storage", given.storage] if given.storage else []
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        for what, value in json.loads(done.stdout).items():
            show(what, value)


if __name__ == "__main__":
    main()
