"""Optuna's pruners in a replay are Optuna's pruners in `study.optimize`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import optuna
import pytest

from predictor.recorded import RecordedRun, RecordedStudy
from predictor.replay import replay
from sweep.rivals import OptunaPolicy, create_study, optuna_policies, report_and_ask, reports
from tests.evidence_studies import run_of

POINTS = 10
HORIZON = 100.0


def curved_study(seed: int, num_runs: int = 30) -> RecordedStudy:
    """Noisy curves that cross, evaluated at every eighth position; some are not finite."""
    rng = np.random.default_rng(seed)
    runs: list[RecordedRun] = []
    position = np.arange(1.0, HORIZON + 1)
    for i in range(num_runs):
        end, rate = 1 + rng.random(), 5 + 30 * rng.random()
        loss = end + np.exp(-position / rate) + 0.1 * rng.normal(size=len(position))
        if i % 10 == 9:
            loss[50:] = math.nan
        evals = np.column_stack([position[7::8], loss[7::8] + 0.05 * rng.normal(size=12)])
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
    """The pruned runs and the points where they were, of a script as Optuna's pages show it."""
    order = np.random.default_rng(seed).permutation(len(study.runs))
    stopped: dict[str, int] = {}

    def objective(trial: optuna.Trial) -> float:
        run = study.runs[int(order[trial.number])]
        for step, value in enumerate(reports(run, policy.signal, POINTS)[:-1], start=1):
            if value is not None and report_and_ask(trial, step, value):
                stopped[run.name] = step
                raise optuna.TrialPruned
        assert run.objective is not None
        return run.objective

    told = create_study(policy.make(POINTS), f"{study.name} {seed}")
    told.optimize(objective, n_trials=len(order), n_jobs=1)
    states = [trial.state for trial in told.trials]
    assert states.count(optuna.trial.TrialState.PRUNED) == len(stopped)
    return stopped


class TestReports:
    RUN = replace(
        run_of("a", 1.0, {}, (1.0, 1.0, 1.0, None)),
        evals=np.array([[30.0, 5.0], [70.0, 4.0], [100.0, 3.0]]),
    )

    def test_an_evaluation_stands_until_the_next(self) -> None:
        expected = [None, None, 5.0, 5.0, 5.0, 5.0, 4.0, 4.0, 4.0, 3.0]
        assert reports(self.RUN, "eval", POINTS) == expected

    def test_training_losses_are_means_since_the_point_before(self) -> None:
        curve = self.RUN.curve._replace(
            position=np.array([15.0, 22.0, 28.0, 40.0]), loss=np.array([8.0, 6.0, 4.0, 3.0])
        )
        found = reports(replace(self.RUN, curve=curve), "train", POINTS)
        assert found == [None, 8.0, 5.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]


def test_a_run_that_a_guard_ended_ends_there_and_is_told_as_pruned() -> None:
    study = curved_study(0, num_runs=6)
    broken = replace(study.runs[0], objective=None, state="pruned", pruned_by="guard")
    curve = broken.curve
    broken = replace(
        broken, curve=curve._replace(position=curve.position[:40], loss=curve.loss[:40])
    )
    study = replace(study, runs=(broken, *study.runs[1:]))
    median = optuna_policies(POINTS)[0]
    found = replay(study, median, seed=0)
    assert broken.name not in {*found.kept, *(p.run for p in found.prunes)}
    assert found.compute == pytest.approx((5 + 0.4) / 6)
