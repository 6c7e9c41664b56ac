"""A study of very many trials, written in bulk, and trials that answer a driver at once."""

from __future__ import annotations

import math
import random
import statistics
import sys
import time
from collections import deque
from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState

from predictor.types import Observation
from sweep.config.load import LoadedStudy, load_study
from sweep.driver import sampling
from sweep.executors import Job, Slot
from sweep.report.view import PlainView, Status
from sweep.storage import tables as t
from sweep.storage.engine import make_engine
from sweep.storage.paths import StudyPaths
from tests.support.home import Home
from trainer.contract.measurement import Measurement
from trainer.contract.spec import Event, Finished, Started, Stepped, Stopped, VerdictWanted

BATCH_SIZE = 8
SPACE = {
    "learning_rate": "{low: 1e-5, high: 1e-1, log: true}",
    "weight_decay": "{low: 0.0, high: 0.2}",
    "warmup_ratio": "{choices: [0.0, 0.03, 0.1]}",
    "schedule": "{choices: [constant, cosine]}",
    "batch_size": f"{{choices: [{BATCH_SIZE}]}}",
}


def make_study(home: Home, num: int, num_steps: int, settings: list[str]) -> None:
    """One trial by the real flow, which makes every table, then the others' rows."""
    home.run(*settings, "run.trials=1")
    loaded = load_study(str(home.file), settings)
    engine = make_engine(storage_of(home, settings))
    distributions = {
        name: distribution_to_json(one)
        for name, one in sampling.distributions(loaded.study).items()
    }
    rng = random.Random(0)
    with engine.begin() as connection:
        insert_own(connection, loaded, [draw(n, rng, num_steps) for n in range(1, num)], rng)
        insert_optuna(connection, rng, distributions, num)
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            connection.execute(sa.text("ANALYZE"))
    engine.dispose()


def storage_of(home: Home, settings: list[str]) -> str:
    given = [text.partition("=")[2] for text in settings if text.startswith("run.storage=")]
    return given[0] if given else StudyPaths(home.out).default_storage


def draw(number: int, rng: random.Random, num_steps: int) -> dict[str, Any]:
    """A line of sweep_trials."""
    rate = 10 ** rng.uniform(-5, -1)
    objective = 1 + abs(math.log10(rate) + 3) + rng.gauss(0, 0.2)
    is_pruned = rng.random() < 0.4
    measured = {"value": objective, "num": 500, "input_tokens": 1000, "seconds": 0.1, "groups": {}}
    window_steps = max(2, num_steps // 10)
    return {
        "study": "fake",
        "number": number,
        "state": "pruned" if is_pruned else "completed",
        "params": {
            "learning_rate": rate,
            "batch_size": BATCH_SIZE,
            "schedule": rng.choice(["constant", "cosine"]),
            "warmup_ratio": rng.choice([0.0, 0.03, 0.1]),
            "weight_decay": rng.uniform(0.0, 0.2),
            "beta1": 0.9,
            "beta2": 0.999,
            "clip": 1.0,
        },
        "recipe": None,
        "num_steps": num_steps,
        "attempts": 1,
        "failures": 0,
        "planned_flops": 1e12,
        "window": {
            "samples": window_steps * BATCH_SIZE,
            "loss": objective + rng.gauss(0.3, 0.1),
            "grad_norm": rng.lognormvariate(0, 1),
            "grad_norm_noise_free": rng.lognormvariate(-1, 1),
            "early_eval": objective + rng.gauss(0.1, 0.1),
            "phase": 0,
            "early_eval_num": 50,
        },
        "measurements": None if is_pruned else {"eval_loss": measured},
        "objective": None if is_pruned else objective,
        "error": None,
    }


def insert_own(
    connection: sa.Connection, loaded: LoadedStudy, rows: list[dict[str, Any]], rng: random.Random
) -> None:
    settings = {"enabled": True, "guards": True, "startup": 3, "audit": 0.1, "seed": 0}
    evidence = {"rule": "rank", "before": 0.01, "incumbent": 0, "best": 1.0, "spread": 1.0}
    observations: list[dict[str, Any]] = []
    decisions: list[dict[str, Any]] = []
    costs: list[dict[str, Any]] = []
    for row in rows:
        key = {"study": row["study"], "trial": row["number"]}
        share = 1.0 if row["objective"] is not None else 0.1
        action = "continue" if share == 1.0 else "prune"
        if share == 1.0 and rng.random() < 0.05:
            action = "audit"
        reason = "P(beats trial 0) = 0.03 < risk 0.10 (0.21 before looking at it)"
        at = {"moment": "window", "step": 5, "at_s": 1e9 + row["number"], "predictor": "learned-6"}
        verdict = {"action": action, "kind": "rank", "probability": 1e-6, "reason": reason}
        decisions.append({**key, **at, **verdict, "evidence": evidence, "settings": settings})
        for what, part in (("train", share), ("early_eval", 0.01), ("eval", 0.02 * (share == 1.0))):
            cost = {"input_tokens": 100_000, "seconds": 60.0, "flops": part * 1e12}
            costs.append({**key, "attempt": 1, "what": what, **cost})
        for step in range(1, max(2, round(share * row["num_steps"])) + 1):
            seen = {f.name: None for f in t.observations.columns}
            seen |= {**key, **vars_of(observation(step, row["window"]["loss"] + 2 / step))}
            observations.append(seen)
        if len(observations) > 100_000:
            connection.execute(t.observations.insert(), observations)
            observations = []
    connection.execute(t.trials.insert(), rows)
    connection.execute(t.decisions.insert(), decisions)
    connection.execute(t.costs.insert(), costs)
    if observations:
        connection.execute(t.observations.insert(), observations)


def insert_optuna(
    connection: sa.Connection, rng: random.Random, distributions: dict[str, str], num: int
) -> None:
    def table(model: Any) -> sa.Table:
        return model.__table__

    study_id = connection.scalar(sa.select(table(models.StudyModel).c.study_id))
    first = connection.scalar(sa.select(sa.func.max(table(models.TrialModel).c.trial_id))) or 0
    now, trials, params, values, early = datetime.now(), [], [], [], []
    own = connection.execute(t.trials.select().where(t.trials.c.number >= 1)).all()
    schedules, warmups = ["constant", "cosine"], [0.0, 0.03, 0.1]
    for row in sorted(own, key=lambda row: row.number):
        key = {"trial_id": first + row.number}
        state = TrialState.COMPLETE if row.state == "completed" else TrialState.PRUNED
        times = {"_datetime_start_utc": now, "_datetime_complete_utc": now}
        times = {"datetime_start": now, "datetime_complete": now}
        trials.append({**key, "number": row.number, "study_id": study_id, "state": state, **times})
        internal = {
            **row.params,
            "schedule": schedules.index(row.params["schedule"]),
            "warmup_ratio": warmups.index(row.params["warmup_ratio"]),
            "batch_size": 0,
        }
        for name, kind in distributions.items():
            drawn = {"param_name": name, "param_value": internal[name], "distribution_json": kind}
            params.append({**key, **drawn})
        samples, seen = row.window["samples"], row.window["early_eval"]
        value = row.objective if row.objective is not None else seen
        values.append({**key, "objective": 0, "value": value, "value_type": "FINITE"})
        early.append(
            {
                **key,
                "step": samples,
                "intermediate_value": seen,
                "intermediate_value_type": "FINITE",
            }
        )
    for model, rows in (
        (models.TrialModel, trials),
        (models.TrialParamModel, params),
        (models.TrialValueModel, values),
        (models.TrialIntermediateValueModel, early),
    ):
        connection.execute(table(model).insert(), rows)
    if connection.dialect.name == "postgresql":  # the serial numbers were given by hand
        last = first + num
        connection.execute(sa.text(f"SELECT setval('trials_trial_id_seq', {last})"))


def observation(step: int, loss: float) -> Observation:
    samples = step * BATCH_SIZE
    return Observation(step, samples, samples * 10, samples * 5, loss, 1.0 + 1 / step, 1e-3, 0.1)


def vars_of(seen: Observation) -> dict[str, Any]:
    return {name: getattr(seen, name) for name in Observation.__dataclass_fields__}


class Took(NamedTuple):
    wall_s: float
    cpu_s: float  # of this process; less than the wall where others work, or a server does

    @staticmethod
    def now() -> Took:
        return Took(time.perf_counter(), time.process_time())

    def since(self, start: Took) -> Took:
        return Took(self.wall_s - start.wall_s, self.cpu_s - start.cpu_s)


def median(of: Sequence[Took]) -> list[float]:
    """Milliseconds: of the wall and the CPU."""
    return [1000 * statistics.median(values) for values in zip(*of, strict=True)]


class AtOnce:
    """An executor whose trials answer at once, an event at a time, and that times the driver."""

    def __init__(self) -> None:
        self.events: deque[tuple[Hashable, Event | None]] = deque()
        self.finals: dict[Hashable, float] = {}
        self.spent: dict[str, list[Took]] = {}
        self.opened: Took | None = None
        self.last: tuple[str, Took] | None = None

    def start(self, job: Job, slot: Slot) -> None:
        if self.opened is None:
            self.opened = Took.now()
        spec = job.spec
        final = 1.0 + abs(math.log10(spec.learning_rate) + 3)
        self.finals[job.key] = final
        self.events.append((job.key, Started(0)))
        self.events += [
            (job.key, Stepped(observation(step, final + 2 / step)))
            for step in range(1, spec.window_steps + 1)
        ]
        early = {"eval_loss": Measurement(final + 0.1, 50, 500, 0.01)}
        self.events.append((job.key, VerdictWanted(spec.window_steps, "window", early)))

    def send(self, key: Hashable, reply: Any) -> None:
        self.events.append((key, None))  # a tick on which nothing came
        if reply.action == "prune":
            self.events.append((key, Stopped(5)))
        else:
            value = Measurement(self.finals[key], 500, 1000, 0.1)
            self.events.append((key, Finished({"eval_loss": value}, "")))

    def kill(self, key: Hashable, because: Any) -> None:
        raise AssertionError(because)

    def wait(self, timeout_s: float) -> list[tuple[Hashable, Event]]:
        if self.last is not None:
            name, since = self.last
            self.spent.setdefault(name, []).append(Took.now().since(since))
        key, event = self.events.popleft()
        self.last = (type(event).__name__, Took.now())
        return [] if event is None else [(key, event)]

    def close(self) -> None:
        pass


class EveryTick(PlainView):
    """Asks for a status only when no event came: the two are told apart."""

    def __init__(self, executor: AtOnce) -> None:
        super().__init__(stream=sys.stderr)
        self.executor = executor

    def is_due(self) -> bool:
        return self.executor.last is not None and self.executor.last[0] == "NoneType"

    def say(self, line: str) -> None:
        pass

    def show(self, status: Status) -> None:
        pass
