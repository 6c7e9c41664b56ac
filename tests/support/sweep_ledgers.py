"""Small studies, written by hand, for the tests of what reads a ledger."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from predictor.types import Observation, Settings, Verdict
from sweep.storage.engine import make_engine
from sweep.storage.ledger import BASE, Cost, Decision, Ledger, StudyRow, TrialRow
from sweep.storage.paths import StudyPaths

RANK_REASON = (
    "rank 7 of 8 at the window, below the median: gradient norm 1.9 sd above the cohort, early "
    "evaluation 0.8 sd above it [bold]not markup[/bold]"
)
GUARD_REASON = "the loss is not finite at step 3"
PLANNED = 10e12  # FLOPs of a trial trained to its end


@contextmanager
def written(folder: Path, name: str = "demo", **facts: Any) -> Iterator[Ledger]:
    """A study without trials in folder/study.db, held open for writing."""
    folder.mkdir(parents=True, exist_ok=True)
    with going_on(folder, name) as ledger:
        ledger.create(StudyRow(name, document(), {**base_facts(), **facts}, "learned-2"))
        yield ledger


@contextmanager
def going_on(folder: Path, name: str = "demo") -> Iterator[Ledger]:
    """That study, held open for writing again."""
    engine = make_engine(StudyPaths(folder).default_storage)
    ledger = Ledger(engine, name)
    try:
        yield ledger
    finally:
        ledger.flush()
        engine.dispose()


def document() -> dict[str, Any]:
    """A resolved study file, as far as it matters here."""
    return {
        "name": "demo",
        "model": {"base": "org/tiny-base", "tuning": "full"},
        "objective": {"metric": "choice_accuracy"},
        "search": {
            "space": {
                "learning_rate": {"low": 1e-6, "high": 1e-3, "log": True},
                "batch_size": {"choices": [16, 64]},
                "schedule": "constant",
            }
        },
        "pruning": {"max_expected_misses": 0.3},
        "run": {"trials": 8, "seed": 0},
    }


def base_facts() -> dict[str, Any]:
    return {"base_measurements": {"choice_accuracy": measurement(0.30)}}


def measurement(value: float) -> dict[str, Any]:
    groups = {"retention": value + 0.1, "acquisition": value - 0.1}
    return {"value": value, "num": 400, "input_tokens": 4000, "seconds": 2.0, "groups": groups}


def trial(number: int, state: str, **changes: Any) -> TrialRow:
    """A trial of 16 steps with its window closed at step 4, unless it is told otherwise."""
    batch_size = 64 if number % 2 else 16
    row = TrialRow(
        number,
        state,
        {
            "learning_rate": 1e-5 * 2 ** (number % 100),
            "batch_size": batch_size,
            "schedule": "constant",
        },
        num_steps=16,
        planned_flops=PLANNED,
        attempts=1,
        window={
            "samples": 4 * batch_size,
            "loss": 2.5 - 0.1 * number,
            "grad_norm": 3.0 + number,
            "grad_norm_noise_free": None if number % 2 else 1.5,
            "early_eval": 0.35,
            "early_eval_num": 64,
            "phase": 0,
        },
    )
    for name, value in changes.items():
        setattr(row, name, value)
    return row


def completed(number: int, objective: float, **changes: Any) -> TrialRow:
    measured = {"choice_accuracy": measurement(objective)}
    return trial(number, "completed", objective=objective, measurements=measured, **changes)


def decision(number: int, action: Any, kind: Any, **changes: Any) -> Decision:
    values: dict[str, Any] = {"moment": "window", "step": 4, "reason": RANK_REASON, **changes}
    return Decision(
        number,
        values["moment"],
        values["step"],
        Verdict(
            action,
            kind,
            values["reason"],
            values.get("probability"),
            values.get("evidence", {"sd": 1.9}),
        ),
        "learned-2",
        values.get("settings", Settings(mode="stream")),
    )


def forecast(**changes: Any) -> dict[str, Any]:
    """The evidence of a decision by rank: trial 1 with an accuracy of 0.71 is the best."""
    return {
        "rule": "rank",
        "samples": 64,
        "phase": 0,
        "in_other_phases": 0,
        "expected_misses_before": 0.02,
        "probability": 0.03,
        "by_signals": 0.01,
        "before": 0.21,
        "incumbent": 1,
        "best": 1 - 0.71 + 1 / 800,
        "spread": 0.16,
        "num_finished": 3,
        "num_seen": 5,
        "norm": "grad_norm",
        "signals": {"early_eval": 0.8, "loss": -0.3, "grad_norm": 1.9},
        "slopes": {"early_eval": 0.42, "loss": -0.02, "grad_norm": 0.31},
        "effects": {"early_eval": 0.34, "loss": 0.01, "grad_norm": 0.59, "configuration": -0.12},
        "config_weight": 0.62,
        **changes,
    }


def cost(number: int, flops: float, what: str = "train", attempt: int = 1) -> Cost:
    return Cost(number, attempt, what, round(flops / 1e7), flops / 1e12, flops)


def observation(step: int, batch_size: int = 64, phase: int = 0, **changes: float) -> Observation:
    values = {
        "loss": 2.0 + 1.0 / step,
        "grad_norm": 3.0 + math.sin(step),
        "lr": 2e-5 * min(1.0, step / 3),
        **changes,
    }
    return Observation(
        step=step,
        samples_seen=step * batch_size,
        input_tokens_seen=step * batch_size * 20,
        loss_tokens_seen=step * batch_size * 5,
        seconds=0.5,
        phase=phase,
        **values,
    )


def fill(ledger: Ledger) -> None:
    """A trial in every state: two completed, one audited, pruned by rank and by a guard, failed,
    running, waiting after an interruption."""
    ledger.record(cost(BASE, 1e12, "eval", attempt=0))
    go_on = decision(0, "continue", "none", reason="2 of 3 startup trials are complete")
    ledger.save_trial(completed(0, 0.55, recipe="lab"), decision=go_on)
    ledger.save_trial(
        completed(1, 0.71, attempts=2, failures=1, error=_error("killed")),
        decision=decision(1, "continue", "rank", reason="rank 1 of 4"),
    )
    ledger.save_trial(
        completed(2, 0.74),
        decision=decision(2, "audit", "rank", probability=0.08, evidence=forecast()),
    )
    by_rank = decision(3, "prune", "rank", probability=0.03, evidence=forecast())
    ledger.save_trial(trial(3, "pruned"), decision=by_rank)
    blown = trial(4, "pruned", window=None)
    ledger.save_trial(
        blown,
        decision=decision(4, "prune", "guard", reason=GUARD_REASON, moment="divergence", step=3),
    )
    failed = trial(5, "failed", attempts=2, failures=2, window=None, error=_error("out of memory"))
    ledger.save_trial(failed)
    ledger.save_trial(trial(6, "running", window=None))
    ledger.save_trial(trial(7, "waiting", window=None))
    for step in range(1, 17):
        ledger.add_observation(1, observation(step))
    for step, loss in ((1, 2.0), (2, math.nan), (3, math.inf)):
        ledger.add_observation(4, observation(step, 16, loss=loss, grad_norm=math.nan))
    for number in (0, 1, 2):
        ledger.record(cost(number, 9e12))
        ledger.record(cost(number, 1e12, "eval"))
        ledger.record(cost(number, 0.1e12, "early_eval"))
    ledger.record(cost(1, 4e12, attempt=2))
    ledger.record(cost(3, 2.5e12))
    ledger.record(cost(3, 0.1e12, "early_eval"))
    for number, flops in ((4, 1e12), (5, 3e12), (6, 5e12), (7, 0.5e12)):
        ledger.record(cost(number, flops))
    ledger.flush()


def _error(kind: str) -> dict[str, str]:
    return {
        "kind": kind,
        "message": "it was [red]said[/red] by the machine",
        "traceback": "at line 1",
    }
