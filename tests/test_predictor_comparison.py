"""Several studies, policies and orders at once, and what is said of their means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from predictor.bootstrap import bootstrap_interval
from predictor.comparison import (
    group_values,
    order_seeds,
    replay_all,
    summarised,
)
from predictor.policies import Fewer, Window, ours, rivals
from predictor.recorded import RecordedStudy
from predictor.replay import replay
from predictor.types import Settings
from tests.evidence_studies import grid, study_of


def demo(name: str, seed: int, num: int = 10) -> RecordedStudy:
    rng = np.random.default_rng(seed)
    early = rng.normal(size=num)
    ends = early + 0.3 * rng.normal(size=num)
    return study_of(ends, configs=grid(num), early_eval=early, name=name)


STUDIES = [demo("a", 0), demo("b", 1)]


class TestReplayAll:
    def test_nests_studies_orders_and_policies_and_pairs_the_orders(self) -> None:
        found = replay_all(STUDIES, [Fewer(1.0), Fewer(0.5)], num_orders=2)
        first, second = order_seeds(0, "a", 2)
        assert [(one.study, one.seed, one.policy) for one in found[:4]] == [
            ("a", first, "keep all"),
            ("a", first, "random 50 %"),
            ("a", second, "keep all"),
            ("a", second, "random 50 %"),
        ]
        assert found[1] == replay(STUDIES[0], Fewer(0.5), seed=first)
        assert not {first, second} & {*order_seeds(0, "b", 2), *order_seeds(1, "a", 2)}

    def test_gives_the_same_whatever_the_number_of_processes(self) -> None:
        policies = [ours(Settings()), *rivals(Window())]
        alone = replay_all(STUDIES, policies, num_orders=2, num_processes=1)
        assert replay_all(STUDIES, policies, num_orders=2, num_processes=2) == alone

    def test_says_when_an_order_of_a_study_is_done(self) -> None:
        ticks: list[int] = []
        replay_all(STUDIES, [Fewer(1.0)], num_orders=3, on_done=lambda: ticks.append(1))
        assert len(ticks) == 6


class TestSummary:
    REPLAYS = replay_all(STUDIES, [Fewer(1.0), Fewer(0.5), ours(Settings())], num_orders=4)

    def test_has_a_row_for_each_policy_with_means_over_groups(self) -> None:
        rows = summarised(self.REPLAYS)
        assert [row.policy for row in rows] == ["keep all", "random 50 %", "sft-sweep"]
        everything, half, own = rows
        assert (everything.compute, everything.regret_mean, everything.lost_best) == (1, 0, 0)
        assert everything.compute_interval == (1, 1) and everything.regret_interval == (0, 0)
        assert half.compute == pytest.approx(0.5) and half.stated_misses is None
        regrets = [one.regret for one in self.REPLAYS if one.policy == "sft-sweep"]
        assert own.regret_mean == pytest.approx(np.mean(regrets))
        assert own.regret_p90 == pytest.approx(np.quantile(regrets, 0.9))
        assert (own.groups, own.replays, own.config_regret) == (2, 8, None)

    def test_a_group_weighs_the_same_however_often_it_was_replayed(self) -> None:
        more = [one for one in self.REPLAYS if one.study == "b"] * 3 + self.REPLAYS
        assert summarised(more)[1].regret_mean == pytest.approx(
            summarised(self.REPLAYS)[1].regret_mean
        )

    def test_one_group_has_intervals_over_its_orders_and_one_replay_has_none(self) -> None:
        one_group = [one for one in self.REPLAYS if one.study == "a"]
        assert group_values(one_group, lambda one: one.regret).shape == (3, 4)
        low, high = summarised(one_group)[2].compute_interval or (0, 0)
        assert low < summarised(one_group)[2].compute < high
        assert summarised(one_group[:1])[0].compute_interval is None


class TestBootstrap:
    def test_is_near_the_normal_interval_of_many_groups(self) -> None:
        values = np.random.default_rng(0).normal(size=(1, 400))
        (low,), (high,) = intervals(values)
        half = 1.96 * values.std() / 20
        assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)

    def test_is_paired_over_rows(self) -> None:
        values = np.random.default_rng(0).normal(size=(1, 20))
        shifted = np.concatenate([values, values + 0.5])
        low, high = intervals(shifted)
        assert low[1] - low[0] == pytest.approx(0.5) and high[1] - high[0] == pytest.approx(0.5)

    def test_resamples_clusters_as_a_whole(self) -> None:
        values = np.array([[0.0] * 50 + [0.5] * 50 + [1.0] * 50])
        alone, together = (
            intervals(values, clusters) for clusters in (None, ["x"] * 50 + ["y"] * 50 + ["z"] * 50)
        )
        assert alone[0][0] > 0.4 and alone[1][0] < 0.6
        assert (together[0][0], together[1][0]) == (0, 1)

    def test_of_two_units_there_is_none(self) -> None:
        assert bootstrap_interval(np.array([[0.0, 1.0]])) is None
        assert bootstrap_interval(np.zeros((1, 6)), clusters=["x", "y"] * 3) is None

    def test_five_units_are_enough_to_keep_its_level(self) -> None:
        """Percentiles that are not expanded leave out the true mean in 17 % of such draws."""
        drawn = np.random.default_rng(0).normal(size=(400, 5))
        low, high = intervals(drawn)
        missed = sum(not a <= 0 <= b for a, b in zip(low, high, strict=True))
        assert missed < 0.09 * 400


def intervals(values: Any, clusters: list[str] | None = None) -> tuple[list[float], list[float]]:
    found = bootstrap_interval(values, clusters=clusters)
    assert found is not None
    return found
