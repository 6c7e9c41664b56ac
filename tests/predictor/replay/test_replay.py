"""Replays that can be checked by hand: compute, regret, workers, guards, and what may be known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from predictor.recorded.runs import Curve, RecordedRun, RecordedStudy
from predictor.replay.policies import Fewer, OneLook, baselines, ours
from predictor.replay.regret import Ends
from predictor.replay.replay import (
    GO_ON,
    STOP,
    WAIT,
    Answer,
    Policy,
    Prune,
    Replay,
    beats,
    floor,
    replay,
    replayable,
)
from predictor.types import CohortTrial, Settings
from sweep.analysis.replay.optuna_policies import optuna_policies
from tests.support.evidence_studies import grid, run_of, study_of


@dataclass
class Scripted:
    """Looks at position 20 and answers as told; writes down what it hears, in order."""

    answers: Mapping[int, Answer] = field(default_factory=dict[int, Answer])
    order_of_resumes: Sequence[int] = ()
    most_runs: int = 1000
    heard: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    name: str = "scripted"
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def begin(self, study: RecordedStudy, seed: int) -> Scripted:
        self.heard = []
        return self

    def start(self, run: int) -> Sequence[float]:
        self.heard.append(("start", run))
        return (20.0,)

    def look(self, run: int, position: float) -> Answer:
        assert position == 20
        self.heard.append(("look", run))
        return self.answers.get(run, GO_ON)

    def end(self, run: int) -> None:
        self.heard.append(("end", run))

    def wants_more(self) -> bool:
        return sum(what == "start" for what, _ in self.heard) < self.most_runs

    def resume(self, waiting: Sequence[int]) -> int | None:
        return next((run for run in self.order_of_resumes if run in waiting), None)

    def give_up(self, run: int) -> Answer:
        return STOP


FOUR = study_of([1.0, 2.0, 3.0, 4.0])  # best 1, median 2.5: a spread of 1.5
ORDER = [int(i) for i in np.random.default_rng(0).permutation(4)]


class TestCompute:
    def test_a_stopped_run_has_cost_the_share_it_was_trained(self) -> None:
        found = replay(FOUR, Scripted({0: STOP, 3: STOP}), seed=0)
        assert found.compute == pytest.approx((2 + 2 * 0.2) / 4)
        assert found.wall == pytest.approx(2.4)
        assert {p.run: p.share for p in found.prunes} == {"0": 0.2, "3": 0.2}
        assert sorted(found.kept) == ["1", "2"]

    def test_runs_cost_what_they_were_recorded_to_cost(self) -> None:
        runs = [replace(run, cost=cost) for run, cost in zip(FOUR.runs, (1, 1, 2, 6), strict=True)]
        found = replay(replace(FOUR, runs=tuple(runs)), Scripted({3: STOP}), seed=0)
        assert found.compute == pytest.approx((1 + 1 + 2 + 0.2 * 6) / 10)
        assert found.wall == pytest.approx(5.2 / 2.5)

    def test_a_worker_that_is_free_takes_the_next_run(self) -> None:
        first, second, third, last = ORDER
        policy = Scripted({first: STOP})
        found = replay(FOUR, policy, seed=0, num_workers=2)
        assert policy.heard == [
            ("start", first),
            ("start", second),
            ("look", first),
            ("start", third),
            ("look", second),
            ("look", third),
            ("end", second),
            ("start", last),
            ("end", third),
            ("look", last),
            ("end", last),
        ]
        assert found.wall == pytest.approx(2.0)

    def test_a_study_that_is_ended_starts_no_more_runs(self) -> None:
        found = replay(FOUR, Scripted(most_runs=2), seed=0)
        assert found.compute == pytest.approx(0.5)
        assert [int(name) for name in found.kept] == ORDER[:2] and not found.prunes

    def test_runs_that_wait_keep_no_worker_and_go_on_as_picked(self) -> None:
        policy = Scripted(dict.fromkeys(range(4), WAIT), order_of_resumes=(2, 1))
        found = replay(FOUR, policy, seed=0)
        assert found.kept == ("2", "1")
        assert found.compute == pytest.approx((2 + 2 * 0.2) / 4)
        assert {p.run for p in found.prunes} == {"0", "3"}

    def test_the_floor_is_startup_in_full_and_a_window_of_each_other(self) -> None:
        assert floor(20, 3, 0.1) == pytest.approx((3 + 1.7) / 20)
        assert floor(2, 3, 0.1) == 1.0


class TestGuards:
    GUARDED = run_of("g", None, {"x": 1}, (9, 9, 9, None), state="pruned", pruned_by="guard")

    def with_guarded(self, stopped_at: float) -> RecordedStudy:
        curve = self.GUARDED.curve._replace(position=np.array([2.0, 4.0, 6.0, stopped_at]))
        return replace(FOUR, runs=(*FOUR.runs, replace(self.GUARDED, curve=curve)))

    def test_a_run_that_a_guard_ended_ends_there_and_is_no_result(self) -> None:
        policy = Scripted()
        found = replay(self.with_guarded(50.0), policy, seed=0)
        assert ("look", 4) in policy.heard and ("end", 4) in policy.heard
        assert found.compute == pytest.approx(4.5 / 5)
        assert "g" not in found.kept and not found.prunes and found.regret == 0

    @pytest.mark.parametrize("stopped_at", [8.0, 20.0])
    def test_one_that_ends_by_the_window_is_never_judged(self, stopped_at: float) -> None:
        policy = Scripted()
        replay(self.with_guarded(stopped_at), policy, seed=0)
        assert ("look", 4) not in policy.heard and ("end", 4) in policy.heard

    def test_runs_without_a_known_end_are_left_out(self) -> None:
        lost = [
            run_of("p", None, {}, (9, 9, 9, None), state="pruned", pruned_by="rank"),
            run_of("f", None, {}, (9, 9, 9, None), state="failed"),
        ]
        study = replace(self.with_guarded(50.0), runs=(*self.with_guarded(50.0).runs, *lost))
        assert [run.name for run in replayable(study).runs] == ["0", "1", "2", "3", "g"]

    def test_a_study_without_a_finished_run_is_refused_by_name(self) -> None:
        with pytest.raises(ValueError, match="demo: none of its 1 runs was trained to its end"):
            replayable(replace(FOUR, runs=(self.GUARDED,)))


class TestRegret:
    def test_is_a_share_of_median_minus_best(self) -> None:
        found = replay(FOUR, Scripted({0: STOP}), seed=0)
        assert found.regret == pytest.approx(1 / 1.5) and found.lost_best
        assert not replay(FOUR, Scripted({1: STOP}), seed=0).lost_best

    def test_is_zero_where_everything_ties(self) -> None:
        assert replay(study_of([2.0, 2.0, 2.0]), Scripted({0: STOP}), seed=0).regret == 0

    def test_a_policy_that_keeps_nothing_has_the_worst(self) -> None:
        found = replay(FOUR, Scripted(dict.fromkeys(range(4), STOP)), seed=0)
        assert found.regret == pytest.approx(3 / 1.5)

    def test_of_the_configuration_counts_seed_means(self) -> None:
        # the best run, 1.0, is a lucky seed of a configuration worse on average
        configs = [{"x": 0}, {"x": 0}, {"x": 1}, {"x": 1}]
        study = study_of([1.0, 9.0, 2.0, 3.0], configs=configs)  # median 2.5, spread 1.5
        assert replay(study, Scripted(), seed=0).config_regret == pytest.approx((5 - 2.5) / 1.5)
        assert replay(study, Scripted({0: STOP}), seed=0).config_regret == 0
        assert replay(FOUR, Scripted(), seed=0).config_regret is None

    @pytest.mark.parametrize("num_kept", [1, 2, 3, 4])
    def test_random_regret_is_the_mean_over_all_choices(self, num_kept: int) -> None:
        objectives = [1.0, 1.5, 4.0, 7.0]
        choices = list(itertools.combinations(objectives, num_kept))
        expected = (np.mean([min(choice) for choice in choices]) - 1.0) / (2.75 - 1.0)
        ends = Ends.of(study_of(objectives))
        assert ends.random_regret(num_kept / 4) == pytest.approx(expected)

    def test_random_regret_is_a_line_between_whole_runs(self) -> None:
        ends = Ends.of(FOUR)
        two, three = ends.random_regret(0.5), ends.random_regret(0.75)
        assert ends.random_regret(0.6) == pytest.approx(two + 0.4 * (three - two))
        assert ends.random_regret(0.01) == ends.random_regret(0.25)


class TestMisses:
    @pytest.mark.parametrize(
        ("objective", "missed"), [(0.89, True), (0.91, False), (1.0, False), (None, False)]
    )
    def test_a_miss_beats_the_incumbent_by_the_least_gain(
        self, objective: float | None, missed: bool
    ) -> None:
        assert beats(objective, [1.0, 2.0, 4.0], min_gain=0.1) is missed  # best 1, spread 1

    def test_nothing_is_missed_before_there_is_an_incumbent_nor_by_a_tie(self) -> None:
        assert not beats(0.0, [], 0.1)
        assert not beats(1.0, [1.0, 1.0], 0.1) and beats(0.9, [1.0, 1.0], 0.1)

    def test_is_counted_against_the_finished_runs_of_that_moment(self) -> None:
        study = study_of([2.0, 1.0, 5.0, 6.0])
        late, early = ORDER[-1], ORDER[0]
        by_number = {early: 5.0, ORDER[1]: 6.0, ORDER[2]: 2.0, late: 1.0}
        study = study_of([by_number[i] for i in range(4)])
        found = replay(study, Scripted({i: Answer("stop", 0.1) for i in ORDER[1:]}), seed=0)
        assert [(p.run, p.is_miss) for p in found.prunes] == [
            (str(ORDER[1]), False),
            (str(ORDER[2]), True),
            (str(late), True),
        ]
        assert found.num_misses == 2 and found.stated_misses == pytest.approx(0.3)

    def test_a_policy_that_states_no_probability_has_no_stated_misses(self) -> None:
        assert replay(FOUR, Scripted({0: STOP}), seed=0).stated_misses is None
        assert replay(FOUR, Scripted(), seed=0).stated_misses is None

    def test_a_policy_that_states_some_and_prunes_nothing_has_none_stated_to_miss(self) -> None:
        policy = Scripted({0: Answer("go on", 0.4)})
        assert replay(FOUR, policy, seed=0).stated_misses == 0


class TestWhatIsKnown:
    def test_a_rule_sees_objectives_of_ended_runs_alone(self) -> None:
        @dataclass
        class Watching:
            seen: list[tuple[int, dict[int, float | None]]]

            def __call__(
                self, trial: CohortTrial, seen: Sequence[CohortTrial], seed: int
            ) -> Answer:
                assert trial.objective is None
                self.seen.append((trial.number, {t.number: t.objective for t in seen}))
                return GO_ON

        first, second, third, last = ORDER
        rule = Watching([])
        replay(FOUR, OneLook("watching", rule), seed=0, num_workers=2)
        ends = {i: FOUR.runs[i].objective for i in range(4)}
        assert rule.seen == [
            (first, {}),
            (second, {first: None}),
            (third, {first: ends[first], second: ends[second]}),
            (last, {first: ends[first], second: ends[second], third: None}),
        ]

    @pytest.mark.parametrize(
        "policy",
        [ours(Settings(audit=0.0, risk=0.2)), *baselines(), *optuna_policies(10)],
        ids=lambda policy: policy.name,
    )
    @pytest.mark.parametrize("num_workers", [1, 3])
    def test_no_decision_uses_what_a_run_did_behind_its_stop(
        self, policy: Policy, num_workers: int
    ) -> None:
        study = whole_curves(24)
        found = replay(study, policy, seed=1, num_workers=num_workers)
        stops = {prune.run: prune.share * 100 for prune in found.prunes}
        assert bool(stops) == (not isinstance(policy, Fewer))
        known = dict.fromkeys(found.kept, math.inf) | stops
        runs = tuple(forgotten(run, known.get(run.name, 0.0)) for run in study.runs)
        again = replay(replace(study, runs=runs), policy, seed=1, num_workers=num_workers)
        assert decided(again) == decided(found)
        assert (again.kept, again.compute) == (found.kept, found.compute)


def decided(found: Replay) -> list[Prune]:
    """The prunes without how they would have ended."""
    return [replace(prune, is_miss=False) for prune in found.prunes]


def whole_curves(num: int) -> RecordedStudy:
    """A loss at every position, evaluated at every fifth; curves keep their order, with noise: the
    lower the learning rate, the better."""
    rng = np.random.default_rng(3)
    place = np.arange(num) / num
    study = study_of(1 + place, configs=grid(num))
    position = np.arange(1.0, 101.0)
    runs: list[RecordedRun] = []
    for i, run in enumerate(study.runs):
        loss = 1 + place[i] + np.exp(-position / 20) + 0.1 * rng.normal(size=100)
        ones = np.ones(100)
        curve = Curve(position, loss, ones + place[i], ones, np.nan * ones, np.zeros(100, np.int64))
        evals = np.column_stack([position[4::5], loss[4::5]])
        runs.append(replace(run, curve=curve, evals=evals, objective=float(loss[-1])))
    return replace(study, runs=tuple(runs))


def forgotten(run: RecordedRun, stop: float) -> RecordedRun:
    """The run as it may as well have gone on: the best of all in everything behind `stop`."""
    if stop == math.inf:
        return run
    is_after = run.curve.position > stop
    loss, norm = (np.where(is_after, -99.0, values) for values in run.curve[1:3])
    value = np.where(run.evals[:, 0] > stop, -99.0, run.evals[:, 1])
    evals = np.column_stack([run.evals[:, 0], value])
    curve = run.curve._replace(loss=loss, grad_norm=norm)
    return replace(run, curve=curve, evals=evals, objective=-99.0)
