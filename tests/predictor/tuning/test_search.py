"""Searches in studies whose right answer is known, and what their reports may rest on."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from scipy import stats

from predictor.recorded.runs import RecordedStudy
from predictor.replay.comparison import replay_all
from predictor.replay.policies import OneLook, WindowSetting
from predictor.replay.replay import Replay, replay
from predictor.tuning.design import RECORDED, Candidate, design
from predictor.tuning.replays import Outcome, Replays
from predictor.tuning.report import Report
from predictor.tuning.search import Tuning, too_few, tune
from predictor.tuning.steps import LIMITS, REGRET_LIMIT, NothingToHoldOut, Search, make_folds
from predictor.types import Settings
from tests.support.tuning_studies import noise, study, tells_at_once


def stream(**settings: Any) -> Settings:
    """Of the mode that judges each run alone: cheap to replay."""
    return Settings(mode="stream", **settings)


PRESENT = Candidate(stream(), RECORDED)
pytestmark = pytest.mark.slow

NAMES = ("a", "b", "c", "d", "e")


CHOICES = (
    replace(PRESENT, window=WindowSetting(0.03, 8)),
    replace(PRESENT, window=WindowSetting(0.2, 8)),
    Candidate(stream(risk=0.3, startup=2), WindowSetting(0.03, 8)),
)


def tuned(
    studies: list[RecordedStudy],
    present: Candidate = PRESENT,
    choices: tuple[Candidate, ...] = CHOICES,
    **options: Any,
) -> Tuning:
    """With a handful of settings to choose from."""

    def few(base: Candidate, *args: object) -> list[Candidate]:
        return list(dict.fromkeys((base, *choices)))

    with patch("predictor.tuning.search.design", few):
        return tune(studies, present, num_orders=2, **options)


def named(one: RecordedStudy, prefix: str) -> RecordedStudy:
    return replace(one, runs=tuple(replace(run, name=prefix + run.name) for run in one.runs))


@pytest.fixture(scope="module")
def clear() -> Tuning:
    return tuned([tells_at_once(name, 12) for name in NAMES])


class TestWhatIsRecommended:
    def test_where_an_early_look_tells_all_a_shorter_window(self, clear: Tuning) -> None:
        assert clear.is_better
        share = clear.recommended.window.share
        assert share is not None and share < 0.1
        assert clear.compute_gained.high is not None and clear.compute_gained.high < 0
        assert clear.recommended_held_out.regret.mean <= REGRET_LIMIT

    def test_where_it_misleads_at_first_a_later_window(self) -> None:
        present = replace(PRESENT, window=WindowSetting(0.03, 8))
        studies = [study(name, 0.15) for name in NAMES]
        found = tuned(studies, present, CHOICES[:2])
        assert found.is_better
        assert found.recommended.window.share == 0.2

    def test_scouting_where_early_evaluations_tell_all(self) -> None:
        found = tuned(
            [tells_at_once(name, 12) for name in NAMES],
            choices=(replace(PRESENT, settings=Settings()),),
        )
        assert found.is_better
        assert found.recommended.keys["mode"] == "scout"
        assert found.recommended.keys["looks"] == Settings().looks

    def test_nothing_where_nothing_can_be_told(self) -> None:
        found = tuned([noise(name, 12) for name in NAMES])
        assert not found.is_better
        assert found.recommended == PRESENT
        assert found.recommended_held_out == found.present_measured

    def test_pruning_where_it_was_off(self) -> None:
        present = replace(PRESENT, settings=stream(enabled=False))
        choices = (replace(present, settings=stream()),)
        found = tuned([tells_at_once(name, 12) for name in NAMES], present, choices)
        assert found.present_measured.compute.mean == 1
        assert found.is_better and found.recommended.settings.enabled

    def test_no_setting_that_states_more_than_the_risk_asked_for(self) -> None:
        found = tuned([tells_at_once("a", 12)], choices=(), risk=0.05)
        assert found.present.settings.risk == 0.1
        assert found.base.settings.risk == found.recommended.settings.risk == 0.05

    def test_less_compute_where_more_regret_is_allowed(self, clear: Tuning) -> None:
        spent = [line.in_sample.compute.mean for line in clear.frontier]
        assert spent == sorted(spent, reverse=True)
        assert [line.limit for line in clear.frontier] == list(LIMITS)


class TestWhichLineIsRecommended:
    """Of each of the rash settings it shows only on one study that its regret is not allowed, which
    the choice without that study cannot know."""

    RASH = tuple(replace(PRESENT, settings=stream(risk=0.2 + i / 100)) for i in range(5))
    CAREFUL = replace(PRESENT, settings=stream(risk=0.15))

    def tuned(self, choices: tuple[Candidate, ...]) -> Tuning:
        place = {name: i for i, name in enumerate(NAMES)}

        def made(study: RecordedStudy, policy: OneLook, *, seed: int, **options: Any) -> Replay:
            i = place[study.name]
            compute, regret = 0.9, 0.0
            if policy == self.CAREFUL.policy:
                compute, regret = 0.7 + i / 100, 0.004
            if policy in [one.policy for one in self.RASH]:
                compute, regret = 0.5 + i / 100, 0.049 if policy == self.RASH[i].policy else 0.012
            shares = compute, regret, 0.0, None, 1.0
            return Replay(study.name, policy.name, seed, *shares, (), (), states_risk=True)

        with patch("predictor.tuning.replays.replay", made):
            return tuned([noise(name, 8) for name in NAMES], PRESENT, choices)

    def test_a_stricter_one_where_the_regret_of_the_allowed_is_too_high(self) -> None:
        found = self.tuned((*self.RASH, self.CAREFUL))
        allowed = found.frontier[LIMITS.index(REGRET_LIMIT)]
        assert allowed.in_sample.regret.mean < REGRET_LIMIT < allowed.held_out.regret.mean
        assert found.is_better and found.recommended == self.CAREFUL
        assert found.judged == (REGRET_LIMIT, 0.01) and found.gained_at == 0.01
        assert found.gained_level == 1 - 0.05 / 2
        assert found.compute_gained.mean == pytest.approx(-0.18)

    def test_the_allowed_one_where_all_are_alike(self) -> None:
        found = self.tuned((self.CAREFUL,))
        assert found.is_better and found.recommended == self.CAREFUL
        assert found.judged == (REGRET_LIMIT,) and found.gained_level == 0.95

    def test_none_where_every_regret_is_too_high(self) -> None:
        found = self.tuned(self.RASH)
        assert not found.is_better and found.recommended == PRESENT
        assert found.gained_at == REGRET_LIMIT and found.compute_gained.mean < -0.3

    def test_none_is_judged_where_there_is_but_the_present(self) -> None:
        found = self.tuned(())
        assert found.judged == () and not found.is_better


class TestIntervals:
    def test_are_over_workloads_of_three_groups_or_more(self) -> None:
        three = tuned([noise(name, 8) for name in NAMES[:3]])
        assert (three.intervals_over, three.num_resampled) == ("workloads", 3)
        two = tuned([noise(name, 8) for name in NAMES[:2]])
        assert (two.intervals_over, two.num_resampled) == ("orders", 4)
        assert two.compute_gained.high is not None

    def test_are_over_seeds_of_the_one_study_that_came_apart(self) -> None:
        one = noise("a", 24)
        runs = tuple(replace(run, seed=str(i % 3)) for i, run in enumerate(one.runs))
        found = tuned([replace(one, runs=runs)])
        assert (found.num_groups, found.num_folds, found.folds_over) == (1, 3, "seeds")
        assert (found.intervals_over, found.num_resampled) == ("seeds", 3)

    def test_groups_of_one_workload_are_one_unit(self) -> None:
        """They share the setting that was chosen without them."""
        studies = [replace(noise(f"{w}{i}", 8), workload=w) for w in "xyz" for i in range(4)]
        with Replays(studies) as replays:
            search = Search(make_folds(studies, 1), replays, PRESENT)
            search.run([(PRESENT, unit) for unit in search.units])
            report = Report(search, 0)
            outcomes = report.same(PRESENT)
            found = report.measure(outcomes).compute
        own = np.array([one.compute for one in outcomes]).reshape(3, 4).mean(axis=1)
        low, high = stats.t.interval(0.95, 2, own.mean(), stats.sem(own))
        assert (found.low, found.high) == pytest.approx((low, min(1, high)), rel=0.05)

    def test_two_workloads_of_many_groups_have_none_and_nothing_is_better(self) -> None:
        found = tuned([tells_at_once(f"{w}{i}", 8, w) for w in "xy" for i in range(2)])
        assert found.num_resampled == 2 and found.compute_gained.mean < -0.01
        assert found.compute_gained.high is None and not found.is_better

    def test_end_where_regret_and_compute_do(self) -> None:
        studies = [noise(name, 8) for name in NAMES[:3]]
        with Replays(studies) as replays:
            report = Report(Search(make_folds(studies, 1), replays, PRESENT), 0)
        made = [(0.1, 0.0), (0.9, 0.0), (1.0, 0.3)]
        outcomes = [Outcome(compute, regret, 0, 0, 0.0, ()) for compute, regret in made]
        found = report.measure(outcomes)
        assert (found.compute.low, found.compute.high) == (0, 1)
        assert found.regret.low == 0
        gained = report.difference(outcomes, outcomes[::-1], "regret", 0.95)
        assert gained.low is not None and gained.low < 0

    def test_there_is_none_where_all_are_equal(self) -> None:
        off = replace(PRESENT, settings=stream(enabled=False))
        found = tuned([noise(name, 8) for name in NAMES], off, ())
        assert found.num_resampled == 5
        for one in (found.present_measured.regret, found.present_measured.compute):
            assert (one.low, one.high) == (None, None)

    def test_a_group_is_one_unit_however_many_its_orders(self) -> None:
        studies = [noise(name, 8) for name in NAMES[:3]]
        with Replays(studies) as replays:
            search = Search(make_folds(studies, 4), replays, PRESENT)
            search.run([(PRESENT, unit) for unit in search.units])
            report = Report(search, 0)
            outcomes = report.same(PRESENT)
            found = report.measure(outcomes).compute
        own = np.array([one.compute for one in outcomes]).reshape(3, 4).mean(axis=1)
        expected = stats.t.interval(0.95, 2, own.mean(), stats.sem(own))
        assert found.mean == pytest.approx(own.mean())
        assert (found.low, found.high) == pytest.approx(expected, rel=0.05)

    def test_of_two_orders_there_are_none_and_nothing_is_better(self) -> None:
        found = tuned([tells_at_once("a", 12)])
        assert found.compute_gained.mean < -0.01
        assert (found.compute_gained.low, found.compute_gained.high) == (None, None)
        assert not found.is_better and found.recommended == PRESENT


class TestWhatIsLost:
    def test_the_run_and_what_was_stated_of_it(self) -> None:
        rash = stream(risk=0.3, min_gain=0.2, audit=0.0, startup=2, max_expected_misses=9.0)
        present = Candidate(rash, WindowSetting(0.03, 8))
        found = tuned([noise(name) for name in NAMES], present, ())
        assert found.present_losses
        for loss in found.present_losses:
            assert loss.objective < loss.best_kept
            assert loss.regret > 0.05
            assert 1 <= loss.num_replays <= loss.of_replays == 2
            assert loss.probability is not None and loss.probability < 0.3
            assert loss.before is not None and loss.probability < loss.before

    def test_the_reason_names_the_run_that_it_could_not_beat(self) -> None:
        rash = stream(risk=0.3, min_gain=0.2, audit=0.0, startup=2, max_expected_misses=9.0)
        studies = [named(noise(name), f"{name}/") for name in NAMES]
        found = tuned(studies, Candidate(rash, WindowSetting(0.03, 8)), ())
        for loss in found.present_losses:
            assert loss.reason is not None
            assert re.match(rf"P\(beats run {loss.study}/\d+\) = 0\.\d+ < risk 0\.30", loss.reason)
            assert f"beats run {loss.run})" not in loss.reason
            assert "early evaluation" in loss.reason

    def test_the_configuration_as_far_as_it_differs(self) -> None:
        rash = stream(risk=0.3, min_gain=0.2, audit=0.0, startup=2, max_expected_misses=9.0)
        one = noise("a")
        runs = tuple(replace(run, config={**run.config, "epochs": 3}) for run in one.runs)
        found = tuned([replace(one, runs=runs)], Candidate(rash, WindowSetting(0.03, 8)), ())
        assert found.present_losses
        for loss in found.present_losses:
            own = next(run.config for run in runs if run.name == loss.run)
            assert loss.config == {"learning_rate": own["learning_rate"]}

    def test_nothing_where_nothing_is_pruned(self) -> None:
        off = replace(PRESENT, settings=stream(enabled=False))
        found = tuned([noise(name, 8) for name in NAMES[:2]], off, ())
        assert found.present_losses == ()
        assert found.present_measured.lost_best == 0


class TestFolds:
    def test_a_workload_is_held_out_as_a_whole(self) -> None:
        studies = [tells_at_once("a", workload="x"), tells_at_once("b", workload="x"), noise("c")]
        folds = make_folds(studies, 2)
        assert folds.over == "workloads"
        assert folds.held_out == (frozenset(folds.units[:4]), frozenset(folds.units[4:]))
        assert [unit.study for unit in folds.units] == [0, 0, 1, 1, 2, 2]

    def test_studies_where_there_is_one_workload(self) -> None:
        studies = [tells_at_once(name, workload="x") for name in "ab"]
        folds = make_folds(studies, 1)
        assert folds.over == "studies"
        assert folds.held_out == tuple(frozenset({unit}) for unit in folds.units)

    def test_seeds_of_one_study_that_has_enough_of_each(self) -> None:
        one = noise("a")
        runs = tuple(replace(run, seed=str(i % 2)) for i, run in enumerate(one.runs))
        folds = make_folds([replace(one, runs=runs)], 1)
        assert folds.over == "seeds"
        assert [len(part.runs) for part in folds.studies] == [8, 8]

    def test_orders_of_one_study_of_one_seed(self) -> None:
        folds = make_folds([noise("a")], 3)
        assert folds.over == "orders"
        assert folds.held_out == tuple(frozenset({unit}) for unit in folds.units)
        with pytest.raises(NothingToHoldOut, match="2 orders or more"):
            make_folds([noise("a")], 1)

    def test_the_orders_are_those_of_a_replay(self) -> None:
        studies = [noise("a", 8), noise("b", 8)]
        found = tuned(studies, choices=(), seed=3)
        shown = replay_all(studies, [PRESENT.policy], num_orders=2, seed=3, num_processes=1)
        assert found.present_measured.compute.mean == pytest.approx(
            np.mean([one.compute for one in shown])
        )

    @pytest.mark.parametrize("at_once", [0, 1_000_000], ids=["screened", "in full"])
    def test_what_a_study_does_changes_nothing_of_what_is_chosen_without_it(
        self, at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("predictor.tuning.steps.MOST_AT_ONCE", at_once)
        others = [tells_at_once(name, 8) for name in "ab"]

        def chosen_without(last: RecordedStudy) -> list[Candidate]:
            studies = [*others, last]
            candidates = [PRESENT, *CHOICES]
            with Replays(studies) as replays:
                search = Search(make_folds(studies, 2), replays, PRESENT)
                chosen = search.choose(candidates)
                held = Report(search, 0).held_out([own[0] for own in chosen[1:]])
                assert held[-1] == replays.of(chosen[3][0], search.units[-1])
            return chosen[3]

        assert chosen_without(noise("c", 8)) == chosen_without(tells_at_once("d", 8))


class TestTheDesign:
    def test_starts_with_the_present_and_repeats_nothing(self) -> None:
        found = design(PRESENT, [noise("a")], None, 0)
        assert found[0] == PRESENT
        assert len(set(found)) == len(found) > 20

    def test_keeps_to_the_risk(self) -> None:
        found = design(PRESENT, [noise("a")], 0.01, 0)[1:]
        assert {one.settings.risk for one in found if one.settings.risk != 0.1} == {0.01}

    def test_searches_min_steps_only_in_samples(self) -> None:
        in_steps = noise("a")
        in_samples = replace(in_steps, in_samples=True)  # a first step of 2, a horizon of 100

        def steps(one: RecordedStudy) -> set[int | None]:
            return {candidate.window.min_steps for candidate in design(PRESENT, [one], None, 0)}

        assert steps(in_steps) == {8}
        tried = {number for number in steps(in_samples) if number is not None}
        assert len(tried) > 3
        assert max(tried) * 2.0 <= 0.25 * 100

    def test_tries_both_modes_and_in_each_what_acts_there(self) -> None:
        found = design(PRESENT, [noise("a")], None, 0)
        scout = [one.settings for one in found if one.settings.scouts]
        others = [one.settings for one in found if not one.settings.scouts]
        assert min(len(scout), len(others)) > 5
        assert {(one.startup, one.prior_strength) for one in scout} == {(3, 1.0)}
        assert len({one.looks for one in scout}) > 2
        assert {one.looks for one in others} == {Settings().looks}
        assert len({one.risk for one in scout}) > 3

    def test_what_is_fixed_keeps_its_value(self) -> None:
        base = replace(PRESENT, settings=stream(prior_strength=1.5))

        def strengths(*fixed: str) -> set[float]:
            found = design(base, [noise("a")], None, 0, fixed=fixed)
            return {one.settings.prior_strength for one in found}

        assert len(strengths()) > 3
        assert strengths("prior_strength") == {1.5}

    def test_a_recorded_window_is_kept_or_moved_as_a_whole(self) -> None:
        recorded = replace(PRESENT, window=WindowSetting())
        windows = [
            one.window for one in design(recorded, [noise("a")], None, 0, WindowSetting(0.2, 4))
        ]
        assert WindowSetting() in windows
        assert {w.min_steps for w in windows if w.share is not None} == {4}
        assert all((w.share is None) == (w.min_steps is None) for w in windows)


def test_any_number_of_processes_finds_the_same() -> None:
    studies = [tells_at_once("a", 8), noise("b", 8)]
    told: list[int] = []
    one = tuned(studies, on_start=told.append)
    assert sum(told) == one.num_replays
    assert tuned(studies, num_processes=2) == one


def test_nothing_is_replayed_twice() -> None:
    made: list[tuple[str, str, int]] = []

    def noted(study: RecordedStudy, policy: OneLook, *, seed: int, **options: Any) -> Replay:
        made.append((study.name, str(policy), seed))
        return replay(study, policy, seed=seed, **options)

    with (
        patch("predictor.tuning.replays.replay", noted),
        patch("predictor.tuning.steps.MOST_AT_ONCE", 0),
        patch("predictor.tuning.steps.SCREENED", ((1, 2),)),
    ):
        found = tuned([tells_at_once(name, 8) for name in "ab"], risk=0.05)
    assert len(set(made)) == len(made) == found.num_replays


def test_screening_replays_less_and_keeps_the_present() -> None:
    studies = [tells_at_once(name, 8) for name in "abc"]
    many = tuple(replace(PRESENT, settings=stream(risk=i / 100)) for i in range(1, 10))
    with (
        patch("predictor.tuning.steps.MOST_AT_ONCE", 0),
        patch("predictor.tuning.steps.SCREENED", ((1, 1),)),
    ):
        found = tuned(studies, choices=many)
    assert found.num_replays < found.num_candidates * 3 * 2
    assert math.isfinite(found.present_measured.compute.mean)


def test_too_few_runs_are_said_to_be_too_few() -> None:
    studies = [tells_at_once(name, 3) for name in "ab"]
    sentence = "too few runs to tune on: 6 runs were trained to the end, and it takes 8 or more"
    assert too_few(studies) == sentence
    with pytest.raises(ValueError, match="too few runs"):
        tuned(studies)
    assert too_few([*studies, tells_at_once("c", 2)]) is None
