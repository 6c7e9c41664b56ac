"""Recorded studies: their early window, and their runs put together as a sweep nearer to life."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from predictor.recorded.runs import RecordedRun, RecordedStudy, regrouped
from predictor.replay.policies import baselines, ours
from predictor.replay.replay import replay
from predictor.types import Settings
from tests.support.evidence_studies import run_of, study_of


def long_run(name: str, config: dict[str, Any], ends: list[float], **changes: Any) -> RecordedRun:
    """Logged and evaluated at every hundredth position; the last evaluation is the objective."""
    run = run_of(name, ends[-1], config, (1.0, 1.0, 1.0, None))
    position = 100.0 * np.arange(1, len(ends) + 1)
    curve = run.curve._replace(
        **{field: np.ones(len(ends)) for field in run.curve._fields}
    )._replace(position=position, phase=np.zeros(len(ends), dtype=np.int64))
    evals = np.column_stack([position, ends])
    values = {"curve": curve, "evals": evals, "horizon": position[-1], "cost": 2 * position[-1]}
    return replace(run, **(values | changes))


def ended_by_guard(run: RecordedRun, num_steps: int) -> RecordedRun:
    curve = run.curve._make([column[:num_steps] for column in run.curve])
    early = replace(run, curve=curve, evals=run.evals[:num_steps], objective=None)
    return replace(early, state="pruned", pruned_by="guard")


ADAM = RecordedStudy(
    "lm/adam",
    "lm",
    tuple(
        replace(long_run(f"{rate} {seed}", {"rate": rate}, [4.0, 3.0 + rate]), seed=seed)
        for rate in (0.1, 0.2)
        for seed in "abc"
    ),
    in_samples=True,
    recorded_window=20.0,
    metric="perplexity",
    direction="maximize",
)
LION = replace(
    ADAM,
    name="lm/lion",
    runs=(long_run("long", {"rate": 0.1}, [5.0, 4.0, 2.0, 1.0]),),
)


def pooled(*members: RecordedStudy) -> RecordedStudy:
    (study,) = regrouped(members, 1)
    return study


class TestRegrouped:
    def test_a_workload_with_one_group_gives_nothing(self) -> None:
        assert regrouped([ADAM, replace(LION, workload="other")], 5) == []

    def test_holds_one_seed_of_each_configuration_of_each_group(self) -> None:
        drawn = regrouped([ADAM, LION], 20)
        assert [study.name for study in drawn] == [f"lm draw {i}" for i in range(20)]
        for study in drawn:
            rates = [(run.config["recipe"], run.config["rate"]) for run in study.runs]
            assert rates == [("adam", 0.1), ("adam", 0.2), ("lion", 0.1)]
        seeds = {run.seed for study in drawn for run in study.runs if "lm/adam" in run.name}
        assert seeds == {"a", "b", "c"}

    def test_is_cut_at_the_smallest_horizon(self) -> None:
        long = pooled(ADAM, LION).runs[-1]
        assert long.name == "lm/lion: long" and long.horizon == 200
        assert long.objective == 4.0  # the last evaluation by then
        assert long.evals.tolist() == [[100, 5], [200, 4]]

    def test_a_run_costs_what_it_cost_up_to_there(self) -> None:
        assert [run.cost for run in pooled(ADAM, LION).runs] == [400, 400, 400]

    def test_what_its_positions_and_objectives_are_is_kept(self) -> None:
        study = pooled(ADAM, LION)
        assert (study.workload, study.in_samples, study.recorded_window) == ("lm", True, 20.0)
        assert (study.metric, study.direction) == ("perplexity", "maximize")

    def test_windows_that_differ_are_of_no_use(self) -> None:
        assert pooled(ADAM, replace(LION, recorded_window=40.0)).recorded_window is None

    @pytest.mark.parametrize(
        "other", [{"in_samples": False}, {"metric": "accuracy"}, {"direction": "minimize"}]
    )
    def test_groups_that_measure_something_else_are_not_put_together(
        self, other: dict[str, Any]
    ) -> None:
        assert regrouped([ADAM, replace(LION, **other)], 1) == []

    @pytest.mark.parametrize("num_steps", [1, 2])
    def test_a_run_that_a_guard_ended_by_then_has_no_end(self, num_steps: int) -> None:
        broken = ended_by_guard(LION.runs[0], num_steps)
        found = pooled(ADAM, replace(LION, runs=(broken,))).runs[-1]
        assert (found.objective, found.pruned_by) == (None, "guard")
        assert not found.is_finished and found.stopped_at == 100.0 * num_steps

    def test_one_that_a_guard_ended_later_is_finished(self) -> None:
        broken = ended_by_guard(LION.runs[0], 3)
        found = pooled(ADAM, replace(LION, runs=(broken,))).runs[-1]
        assert (found.objective, found.state, found.stopped_at) == (4.0, "completed", None)

    def test_one_without_an_evaluation_by_then_has_no_known_end(self) -> None:
        (run,) = LION.runs
        late = replace(run, evals=run.evals[2:])
        assert pooled(ADAM, replace(LION, runs=(late,))).runs[-1].objective is None

    def test_one_of_that_horizon_keeps_its_end(self) -> None:
        runs = tuple(replace(run, evals=run.evals[:1]) for run in ADAM.runs)
        objectives = [run.objective for run in pooled(replace(ADAM, runs=runs), LION).runs]
        assert objectives[:2] == [3.1, 3.2]


class TestWindow:
    def test_is_a_share_of_the_smallest_horizon(self) -> None:
        assert LION.window_at(0.1) == 100.0  # a first step, which is longer than the share
        assert replace(LION, in_samples=False).window_at(0.1) == 40.0

    def test_in_samples_is_at_least_some_steps_of_the_largest_batch(self) -> None:
        study = study_of([1.0, 2.0])  # steps of 4 samples
        assert study.window_at(0.1, min_steps=8) == 32.0
        assert study.window_at(0.5, min_steps=8) == 50.0

    def test_of_runs_without_a_step_is_the_share_and_closes_for_none(self) -> None:
        study = study_of([1.0, 2.0, 3.0, 4.0])
        runs = [ended_by_guard(run, 0) for run in study.runs]
        known = [replace(run, evals=run.evals, objective=1.0, state="completed") for run in runs]
        bare = replace(study, runs=tuple(known), recorded_window=None)
        assert bare.window_at(0.1, min_steps=8) == 10.0
        assert all(trial.window is None for trial in bare.trials(10.0))
        for policy in (ours(Settings()), *baselines()):
            assert replay(bare, policy, seed=0).kept
