"""Optuna's pruners in a replay are Optuna's pruners in `study.optimize`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import optuna
import pytest

from predictor.recorded.runs import RecordedRun, RecordedStudy
from predictor.replay.policies import WindowSetting
from predictor.replay.replay import replay
from predictor.types import LOOKS
from sweep.analysis.replay.optuna_policies import (
    OptunaPolicy,
    at_looks,
    create_study,
    optuna_policies,
    report_and_ask,
    reports,
)
from tests.support.evidence_studies import run_of
from tests.support.tuning_studies import tells_at_once

POINTS = 10
HORIZON = 100.0


def curved_study(seed: int, num_runs: int = 30) -> RecordedStudy:
    """Noisy curves that cross, logged at every other position and evaluated at every fifteenth,
    which is less often than there are points; some are not finite."""
    rng = np.random.default_rng(seed)
    runs: list[RecordedRun] = []
    position = np.arange(2.0, HORIZON + 1, 2)
    for i in range(num_runs):
        end, rate = 1 + rng.random(), 5 + 30 * rng.random()
        loss = end + np.exp(-position / rate) + 0.1 * rng.normal(size=len(position))
        if i % 10 == 9:
            loss[25:] = math.nan
        at = np.arange(15.0, HORIZON, 15)
        evals = np.column_stack([at, np.interp(at, position, loss) + 0.05 * rng.normal(size=6)])
        run = run_of(str(i), float(end), {"x": i}, (1.0, 1.0, 1.0, None))
        curve = run.curve._replace(position=position, loss=loss)
        runs.append(replace(run, curve=curve, evals=evals))
    return RecordedStudy(f"curved {seed}", "test", tuple(runs))


@pytest.mark.parametrize("policy", optuna_policies(POINTS), ids=lambda policy: policy.name)
def test_prunes_what_study_optimize_prunes_and_where(policy: OptunaPolicy) -> None:
    num_pruned = 0
    for seed in range(2):
        study = curved_study(seed)
        found = replay(study, policy, seed=seed)
        by_optuna = optimized(study, policy, seed)
        assert {p.run: round(p.share * POINTS) for p in found.prunes} == by_optuna
        num_pruned += len(by_optuna)
    assert num_pruned > 0


def optimized(study: RecordedStudy, policy: OptunaPolicy, seed: int) -> dict[str, int]:
    """The pruned runs and the points where they were, of a script as Optuna's pages show it: it
    trains, and when it has evaluated, or logged, it reports and asks."""
    order = np.random.default_rng(seed).permutation(len(study.runs))
    stopped: dict[str, int] = {}

    def objective(trial: optuna.Trial) -> float:
        run = study.runs[int(order[trial.number])]
        for step in range(1, POINTS):
            new = measured_in(run, policy.signal, HORIZON * (step - 1) / POINTS)
            if new is not None and report_and_ask(trial, step, new):
                stopped[run.name] = step
                raise optuna.TrialPruned
        assert run.objective is not None
        return run.objective

    told = create_study(policy.make(POINTS), f"{study.name} {seed}")
    told.optimize(objective, n_trials=len(order), n_jobs=1)
    states = [trial.state for trial in told.trials]
    assert states.count(optuna.trial.TrialState.PRUNED) == len(stopped)
    return stopped


def measured_in(run: RecordedRun, signal: str, start: float) -> float | None:
    """In the tenth of the training behind `start`: the evaluation, or the mean of the losses."""
    rows = run.evals if signal == "eval" else np.column_stack(run.curve[:2])
    new = [value for at, value in rows.tolist() if start < at <= start + HORIZON / POINTS]
    assert signal == "train" or len(new) <= 1
    return float(np.mean(new)) if new else None


class TestReports:
    RUN = replace(
        run_of("a", 1.0, {}, (1.0, 1.0, 1.0, None)),
        evals=np.array([[30.0, 5.0], [70.0, 4.0], [100.0, 3.0]]),
    )

    def test_an_evaluation_is_reported_once_at_the_point_where_it_has_come(self) -> None:
        expected = [None, None, 5.0, None, None, None, 4.0, None, None, 3.0]
        assert reports(self.RUN, "eval", POINTS) == expected

    def test_of_several_between_two_points_the_last_is_reported(self) -> None:
        assert reports(self.RUN, "eval", 2) == [5.0, 3.0]
        assert reports(self.RUN, "eval", 1) == [3.0]

    def test_training_losses_are_means_since_the_point_before(self) -> None:
        curve = self.RUN.curve._replace(
            position=np.array([15.0, 22.0, 28.0, 40.0]), loss=np.array([8.0, 6.0, 4.0, 3.0])
        )
        found = reports(replace(self.RUN, curve=curve), "train", POINTS)
        assert found == [None, 8.0, 5.0, 3.0, None, None, None, None, None, None]


def test_a_run_that_a_guard_ended_ends_there_and_is_told_as_pruned() -> None:
    study = curved_study(0, num_runs=6)
    broken = replace(study.runs[0], objective=None, state="pruned", pruned_by="guard")
    curve = broken.curve
    broken = replace(
        broken, curve=curve._replace(position=curve.position[:20], loss=curve.loss[:20])
    )
    study = replace(study, runs=(broken, *study.runs[1:]))
    median = optuna_policies(POINTS)[0]
    found = replay(study, median, seed=0)
    assert broken.name not in {*found.kept, *(p.run for p in found.prunes)}
    assert found.compute == pytest.approx((5 + 0.4) / 6)


def test_at_the_looks_a_pruner_is_told_their_evaluations() -> None:
    told = tells_at_once("a", 16)
    policies = at_looks(WindowSetting(0.1, 1), LOOKS)
    assert {policy.name for policy in policies} >= {"MedianPruner (looks)"}
    for policy in policies:
        found = replay(told, policy, seed=0)
        assert {prune.share for prune in found.prunes} <= set(LOOKS)
        assert found.prunes and found.regret == 0
