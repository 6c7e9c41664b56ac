"""What is lost by signals: `python -m benchmarks.kill_matrix [--rounds 150] [--seed 0]`.

Each round starts a driver on a study of four fixed configurations, waits for a phase (preparing,
loading, first step, look, training, checkpoint, evaluation, saving, between trials), and sends a
signal (SIGINT, SIGTERM, SIGHUP, SIGKILL; some twice) to one process (the driver, the server, a
trial), to the driver's group or to all. The same command then goes on, into the next round. A study
that has come to its end is held to one that nobody disturbed: objectives equal to the last bit,
trials as asked, none failed. Processes left over count as orphans.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from trainer.contract.signals import end_with

BASE = Path(__file__).parents[1] / "studies" / "quickstart"
STUDY = f"""
name: matrix
model: {{base: {BASE}/base, dtype: float32, micro_batch: 16}}
data: {{train: {BASE}/train.jsonl, eval: {BASE}/eval.jsonl, max_length: 64}}
budget: {{samples: 256}}
search:
  sampler: grid
  recipes: []
  space: {{learning_rate: {{choices: [1.0e-4, 1.0e-3]}}, batch_size: {{choices: [8, 16]}}}}
objective: {{metric: choice_accuracy, also: []}}
pruning: {{enabled: false, window: 0.125, min_steps: 2, early_eval: 32}}
run: {{trials: 4, workers: 2, retries: 0, grace_s: 30}}
"""
PHASES = (
    *("preparing", "loading", "first step", "look", "training", "checkpoint", "evaluation"),
    *("saving", "between trials"),
)
WHERE, HOLD = "KILL_MATRIX_PHASES", "KILL_MATRIX_HOLD"  # environment: a file, a phase
HOLD_S = 1.0  # how long a process stays in the phase that is waited for
CHECKPOINT_EVERY_S = 1.0
PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Strike:
    phase: str
    signals: tuple[signal.Signals, ...]
    target: str  # driver | server | trial | group | all

    @property
    def is_fair(self) -> bool:
        """Whether nothing may count as a failure: a trial killed alone has failed."""
        return not (self.target == "trial" and signal.SIGKILL in self.signals)

    @property
    def ends_the_driver(self) -> bool:
        return self.target in ("driver", "group", "all")


def all_strikes() -> list[Strike]:
    ends = [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGHUP,), (signal.SIGKILL,)]
    twice = [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGHUP)]
    found = [
        Strike(phase, signals, target)
        for phase, signals, target in itertools.product(
            PHASES, [*ends, *twice], ("driver", "server", "trial", "group", "all")
        )
        if target in ("driver", "group", "all") or len(signals) == 1
    ]
    return [strike for strike in found if strike.is_fair]


# --- inside the processes of a study


def announce(phase: str) -> None:
    with Path(os.environ[WHERE]).open("a") as file:
        file.write(f"{phase}\n")
    if os.environ.get(HOLD) == phase:
        time.sleep(HOLD_S)


def before(owner: Any, name: str, phase: str) -> None:
    """Have `owner.name` announce that it begins."""
    original: Callable[..., Any] = getattr(owner, name)

    def announced(*args: Any, **kwargs: Any) -> Any:
        announce(phase)
        return original(*args, **kwargs)

    setattr(owner, name, announced)


def traced_prepare(spec: Any, channel: Any) -> None:
    from trainer.worker import run_prepare

    announce("preparing")
    run_prepare(spec, channel)


def traced_trial(spec: Any, channel: Any) -> None:
    import trainer.training.trial
    from trainer.worker import run_trial

    before(trainer.training.trial, "load_model", "loading")
    trial = trainer.training.trial.Trial
    before(trial, "_judge_look", "look")
    before(trial, "save_checkpoint", "checkpoint")
    before(trial, "measure_all", "evaluation")
    before(trial, "save_model", "saving")
    after_step, train = trial.after_step, trial.train

    def first_step(self: Any) -> None:
        announce("first step")
        train(self)

    def training(self: Any, observation: Any) -> None:
        if observation.step > 1:
            announce("training")
        after_step(self, observation)

    trial.train, trial.after_step = first_step, training
    run_trial(replace(spec, checkpoint_every_s=CHECKPOINT_EVERY_S), channel)


def run_driver(study: str, out: str) -> int:
    from sweep.config.load import load_study
    from sweep.driver.study_state import StudyState
    from sweep.executors import Job, Slot
    from sweep.executors.local import LocalExecutor
    from sweep.report.view import PlainView
    from sweep.run_study import drive
    from sweep.storage.paths import StudyPaths
    from trainer.contract.signals import Interrupted, Signals

    class Traced(LocalExecutor):
        def start(self, job: Job, slot: Slot) -> None:
            entry = "traced_prepare" if job.key == "prepare" else "traced_trial"
            super().start(replace(job, entry=f"benchmarks.kill_matrix:{entry}"), slot)

    before(StudyState, "record", "between trials")
    try:
        with Signals(), contextlib.closing(Traced()) as executor:
            return drive(load_study(study), StudyPaths(Path(out)), executor, PlainView())
    except Interrupted as interrupted:
        return interrupted.exit_code


# --- from outside


@dataclass(slots=True)
class Tally:
    rounds: Counter[tuple[str, ...]] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    orphans: int = 0
    attempts: int = 0
    trials: int = 0
    studies: int = 0


class Study:
    """A study file and the folder of one run of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.file, self.phases = folder / "matrix.yaml", folder / "phases"
        folder.mkdir()
        self.file.write_text(STUDY)

    def start(self, hold: str = "") -> subprocess.Popen[str]:
        self.phases.write_text("")
        module = [sys.executable, "-m", "benchmarks.kill_matrix"]
        return subprocess.Popen(
            [*module, "--drive", str(self.file), str(self.out)],
            env={**os.environ, WHERE: str(self.phases), HOLD: hold},
            stdout=(self.folder / "said.txt").open("a"),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def trials(self) -> list[dict[str, Any]]:
        from sweep.documents import to_json
        from sweep.report.study_report import study_report
        from sweep.storage.find import open_study

        ledger, paths = open_study(str(self.out))
        found = to_json(study_report(ledger, paths))["trials"]
        ledger.engine.dispose()
        return found

    def objectives(self) -> dict[tuple[Any, ...], float]:
        """By configuration."""
        return {
            (trial["params"]["learning_rate"], trial["params"]["batch_size"]): trial["objective"]
            for trial in self.trials()
        }


def waits_for(study: Study, driver: subprocess.Popen[str], phase: str) -> bool:
    """Until a process is in the phase; False where the driver ended before."""
    deadline = time.monotonic() + PATIENCE_S
    while driver.poll() is None:
        if phase in study.phases.read_text().splitlines():
            return True
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {phase} in {study.folder}")
        time.sleep(0.01)
    return False


def family(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        me = psutil.Process(driver.pid)
        return [me, *me.children(recursive=True)]
    return []


def chosen(strike: Strike, members: list[psutil.Process]) -> Iterator[psutil.Process]:
    for process in members:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            leads = os.getsid(process.pid) == process.pid
            is_driver = process.pid == members[0].pid
            is_server = process.ppid() == members[0].pid and "forkserver" in str(process.cmdline())
            kind = "driver" if is_driver else "server" if is_server else "trial" if leads else ""
            if strike.target in (kind, "all"):
                yield process


def strike_once(study: Study, strike: Strike, tally: Tally) -> tuple[bool, int]:
    """Whether it hit, and the driver's exit code."""
    driver = study.start(strike.phase)
    if not waits_for(study, driver, strike.phase):
        return False, driver.returncode
    members = family(driver)
    for number in strike.signals:
        if strike.target == "group":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(driver.pid, number)
        for process in chosen(strike, members) if strike.target != "group" else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        time.sleep(1.0)  # two within half a second are one request
    members = list({p.pid: p for p in [*members, *family(driver)]}.values())
    driver.wait(timeout=PATIENCE_S)
    _, alive = psutil.wait_procs(members, timeout=20)
    left = [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    tally.orphans += len(left)
    for process in left:
        process.kill()
    return True, driver.returncode


def check(strike: Strike, code: int, study: Study, tally: Tally) -> None:
    first = strike.signals[0]
    may_be = {0}  # what was asked of a server or a trial is nothing to the driver
    if strike.ends_the_driver:
        may_be = {-first} if first is signal.SIGKILL else {128 + first}
        if strike.phase in ("saving", "evaluation", "between trials"):
            may_be |= {0}  # the last trial was at its end
    if code not in may_be:
        tally.wrong.append(f"{strike}: exit code {code}")
    if not study.out.exists():
        if strike.phase != "preparing":
            tally.wrong.append(f"{strike}: no study is left")
        return
    for trial in study.trials():
        if trial["failures"] or trial["state"] == "failed":
            tally.wrong.append(f"{strike}: trial {trial['number']} {trial['error']}")


def finish(study: Study, expected: dict[tuple[Any, ...], float], tally: Tally) -> None:
    trials = study.trials()
    tally.studies += 1
    tally.trials += len(trials)
    tally.attempts += sum(trial["attempts"] for trial in trials)
    if study.objectives() != expected or len(trials) != len(expected):
        tally.wrong.append(f"{study.folder}: {study.objectives()} is not {expected}")
    left = [path.name for path in study.folder.glob(".out.new-*")]
    if left:
        tally.wrong.append(f"{study.folder}: {left} are left")


def run(rounds: int, seed: int, folder: Path) -> Tally:
    whole = Study(folder / "whole")
    began = time.monotonic()
    assert whole.start().wait(timeout=PATIENCE_S) == 0
    print(f"undisturbed: {time.monotonic() - began:.1f} s", flush=True)
    expected, tally = whole.objectives(), Tally()
    chance = random.Random(seed)
    todo = list(itertools.islice(_shuffled(chance), rounds))
    while todo:
        study, is_done = Study(folder / f"{tally.studies:03d}"), False
        while not is_done:
            place = _next_place(todo, is_new=not study.out.exists())
            if place is None:
                is_done = study.start().wait(timeout=PATIENCE_S) == 0
                continue
            strike = todo.pop(place)
            hit, code = strike_once(study, strike, tally)
            if hit:
                print(f"{len(todo):4d} left: {strike.phase}, {_named(strike)}: {code}", flush=True)
                tally.rounds[_named(strike), strike.target] += 1
                tally.phases[strike.phase] += 1
                check(strike, code, study, tally)
            else:
                todo.append(strike)
            is_done = code == 0
        finish(study, expected, tally)
    return tally


def _shuffled(chance: random.Random) -> Iterator[Strike]:
    while True:
        strikes = all_strikes()
        chance.shuffle(strikes)
        yield from strikes


def _next_place(todo: list[Strike], *, is_new: bool) -> int | None:
    """The next strike that can still hit; a study is prepared once."""
    for place, strike in enumerate(todo):
        if is_new or strike.phase != "preparing":
            return place
    return None


def _named(strike: Strike) -> str:
    return " + ".join(number.name for number in strike.signals)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drive", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        return end_with(run_driver(*given.drive))
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # drivers respect nohup, which this may run under
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        tally = run(given.rounds, given.seed, Path(folder))
    targets = ("driver", "server", "trial", "group", "all")
    print(f"| signal | {' | '.join(targets)} |\n|{' --- |' * (len(targets) + 1)}")
    for name in sorted({name for name, _ in tally.rounds}):
        counts = [tally.rounds[name, target] for target in targets]
        print(f"| {name} | {' | '.join(map(str, counts))} |")
    print(", ".join(f"{phase} {tally.phases[phase]}" for phase in PHASES))
    print(
        f"{sum(tally.rounds.values())} rounds, {tally.studies} studies, {tally.trials} trials in "
        f"{tally.attempts} attempts, {tally.orphans} orphans, {len(tally.wrong)} wrong, "
        f"{(time.monotonic() - began) / 60:.0f} min"
    )
    print("\n".join(tally.wrong))
    return 1 if tally.wrong or tally.orphans else 0


if __name__ == "__main__":
    sys.exit(main())
