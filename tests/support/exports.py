"""Studies of every kind of trial, and recorded sets, to be exported."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from predictor.recorded.files import read_frames, write_frames
from predictor.signals import window_signals
from predictor.types import Observation
from sweep.analysis.recorded.export import export
from sweep.storage.engine import make_engine
from sweep.storage.ledger import Ledger, StudyRow, TrialRow
from sweep.storage.paths import StudyPaths
from tests.support.recorded_frames import frames
from tests.support.sweep_ledgers import (
    base_facts,
    completed,
    decision,
    document,
    observation,
    trial,
    written,
)

BATCH = 16
NUM_STEPS = 16
WINDOW = 100  # samples: the seventh step closes it
NUM_EARLY = 64


def steps(number: int, num_steps: int = NUM_STEPS, **changes: Any) -> list[Observation]:
    return [
        observation(
            step,
            BATCH,
            grad_sq_noise_free=4.0 + 0.1 * math.cos(step + number),
            grad_sq_noise=0.5,
            **changes,
        )
        for step in range(1, num_steps + 1)
    ]


def record(
    ledger: Ledger, row: TrialRow, seen: Sequence[Observation], early: float | None = 0.4
) -> None:
    """A trial with the window that its steps make, if they reach it."""
    row.params = {**row.params, "batch_size": BATCH}
    row.window = None
    if seen and seen[-1].samples_seen >= WINDOW:
        num = None if early is None else NUM_EARLY
        row.window = {**asdict(window_signals(seen, WINDOW, early)), "early_eval_num": num}
    for one in seen:
        ledger.add_observation(row.number, one)
    ledger.save_trial(row)


def fill(ledger: Ledger) -> None:
    """A trial of every kind: completed, with and without early evaluation and through two phases,
    pruned by rank, by a guard in and before the window, failed, running and waiting."""
    record(ledger, completed(0, 0.55), steps(0))
    record(ledger, completed(1, 0.71), steps(1), early=None)
    phased = [*steps(2, 5, phase=1), *steps(2, phase=2)[5:]]
    record(ledger, completed(2, 0.6), phased, early=0.1)
    record(ledger, trial(3, "pruned"), steps(3, 7))
    ledger.save_trial(
        ledger.read_trials()[-1], decision=decision(3, "prune", "rank", probability=0.03)
    )
    blown = [*steps(4, 2), observation(3, BATCH, loss=math.nan, grad_norm=math.inf)]
    record(ledger, trial(4, "pruned"), blown)
    stopped = decision(4, "prune", "guard", moment="not finite", step=3)
    ledger.save_trial(ledger.read_trials()[-1], decision=stopped)
    record(ledger, trial(5, "failed"), steps(5, 9))
    record(ledger, trial(6, "running"), steps(6, 3))
    record(ledger, trial(7, "waiting"), [])


def exported(tmp_path: Path, *studies: Path) -> Any:
    """(runs, steps) as data frames."""
    export(*studies, to=tmp_path / "to" / "x")
    return read_frames(tmp_path / "to" / "x")


def another(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> Path:
    """A study of the same name with one completed trial, its document and facts changed."""
    resolved, facts = document(), base_facts()
    change(resolved, facts)
    folder.mkdir()
    engine = make_engine(StudyPaths(folder).default_storage)
    ledger = Ledger(engine, "demo")
    ledger.create(StudyRow("demo", resolved, facts, "rank-1"))
    record(ledger, completed(0, 0.5), steps(0))
    engine.dispose()
    return folder


def recorded(prefix: Path, *rows: dict[str, Any], **columns: Any) -> Path:
    """A set from elsewhere, with few columns; `columns` are further ones of its steps."""
    runs, steps = frames(*rows)
    prefix.parent.mkdir(exist_ok=True)
    write_frames(prefix, runs, steps.assign(**columns))
    return prefix


def demo_of(folder: Path, created_s: float) -> Path:
    """A study `demo` of one completed trial, as made at that time."""
    with written(folder) as ledger:
        record(ledger, completed(0, 0.5), steps(0))
        with ledger.engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE sweep_studies SET created_s = {created_s}")
    return folder
