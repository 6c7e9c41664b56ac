"""Recorded groups put together as one sweep nearer to life."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from predictor.recorded.runs import RecordedStudy
from studies.experiments.regrouped import regrouped
from tests.support.long_runs import ADAM, LION, ended_by_guard


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
