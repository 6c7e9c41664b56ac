"""Several studies, policies and orders at once, and what is said of their means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from predictor.recorded.runs import RecordedStudy
from predictor.replay.comparison import (
    Row,
    group_values,
    order_seeds,
    replay_all,
    summarised,
)
from predictor.replay.policies import Fewer, WindowSetting, baselines, ours
from predictor.replay.replay import Replay, replay
from predictor.types import Settings
from tests.support.evidence_studies import grid, study_of


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

    @pytest.mark.slow
    def test_gives_the_same_whatever_the_number_of_processes(self) -> None:
        policies = [ours(Settings()), *baselines(WindowSetting())]
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

    def test_two_groups_have_intervals_over_their_orders_in_clusters_too(self) -> None:
        own = {"a": "a", "b": "b"}
        assert summarised(self.REPLAYS, clusters=own) == summarised(self.REPLAYS)

    def test_redraws_of_one_workload_tell_what_one_of_them_tells(self) -> None:
        """Five workloads and four redraws of each, which are the same: as wide as five groups."""
        five = [replace(one, study=name) for name in "abcde" for one in moved(self.REPLAYS, name)]
        redraws = [replace(one, study=f"{one.study}{draw}") for draw in range(4) for one in five]
        clusters = {one.study: one.study[0] for one in redraws}
        clustered, alone = summarised(redraws, clusters=clusters)[2], summarised(redraws)[2]
        assert width(clustered) == pytest.approx(width(summarised(five)[2]), rel=0.01)
        assert width(alone) < 0.6 * width(clustered)

    def test_redraws_of_two_workloads_have_no_interval(self) -> None:
        names = ("a 1", "a 2", "b 1", "b 2")
        redraws = [replace(one, study=name) for name in names for one in self.REPLAYS]
        rows = summarised(redraws, clusters={name: name[0] for name in names})
        assert all(row.compute_interval is row.regret_interval is None for row in rows)


def moved(replays: list[Replay], name: str) -> list[Replay]:
    """The first study's, their compute shifted by the name."""
    more = 0.01 * "abcde".index(name)
    return [replace(one, compute=one.compute + more) for one in replays if one.study == "a"]


def width(row: Row) -> float:
    assert row.compute_interval is not None
    return row.compute_interval[1] - row.compute_interval[0]
