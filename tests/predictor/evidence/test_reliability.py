"""Stated risks against what happened."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from predictor.evidence.reliability import (
    Audit,
    Moment,
    audit_miss_rate,
    judged_moments,
    reliability,
)
from predictor.stats import clopper_pearson
from predictor.types import Settings
from tests.support.evidence_studies import grid, run_of, study_of


class TestReliability:
    def test_puts_each_moment_in_the_bin_of_what_was_stated(self) -> None:
        stated = (0.0, 0.009, 0.01, 0.05, 0.05, 0.3, 1.0)
        moments = [Moment(str(i), p, 0.2, False, 0.1) for i, p in enumerate(stated)]
        assert [(b.low, b.high, b.num) for b in reliability(moments)] == [
            (0.0, 0.01, 2),
            (0.01, 0.03, 1),
            (0.03, 0.1, 2),
            (0.2, 0.4, 1),
            (0.4, 1.0, 1),
        ]

    def test_gives_the_share_of_misses_with_clopper_and_pearsons_interval(self) -> None:
        moments = [Moment(str(i), 0.04 + 0.01 * (i % 2), 0.2, i < 3, 0.3) for i in range(20)]
        (one,) = reliability(moments)
        expected = stats.binomtest(3, 20).proportion_ci()
        assert (one.num_misses, one.share) == (3, pytest.approx(0.15))
        assert (one.share_low, one.share_high) == pytest.approx((expected.low, expected.high))
        assert one.mean_stated == pytest.approx(0.045)
        assert one.random_share == pytest.approx(0.3) and one.mean_before == pytest.approx(0.2)

    def test_a_run_judged_again_and_again_is_no_new_evidence(self) -> None:
        once = [Moment(str(i), 0.05, 0.2, i < 3, 0.3) for i in range(20)]
        (one,), (often,) = reliability(once), reliability(once * 5)
        assert (often.num, often.num_runs) == (100, 20)
        assert (often.share_low, often.share_high) == pytest.approx((one.share_low, one.share_high))

    def test_weights_act_on_the_share_and_widen_the_interval(self) -> None:
        moments = [
            Moment(str(i), 0.05, 0.2, i < 2, 0.3, weight=5.0 if i == 0 else 1.0) for i in range(20)
        ]
        (one,) = reliability(moments)
        assert one.share == pytest.approx(6 / 24)
        low, high = clopper_pearson(0.25 * 24**2 / 44, 24**2 / 44)
        assert (one.share_low, one.share_high) == pytest.approx((low, high))

    @pytest.mark.parametrize(("hits", "num"), [(0, 5), (5, 5), (2, 9), (0, 1), (40, 400)])
    def test_clopper_pearson_is_scipys(self, hits: int, num: int) -> None:
        expected = stats.binomtest(hits, num).proportion_ci()
        assert clopper_pearson(hits, num) == pytest.approx((expected.low, expected.high))


class TestAudits:
    def test_the_miss_rate_is_over_finished_audits(self) -> None:
        audits = [Audit(0.1, 0.04, miss) for miss in (True, False, False, False, None)]
        found = audit_miss_rate(audits)
        expected = stats.binomtest(1, 4).proportion_ci()
        assert (found.num_audits, found.num_finished, found.num_misses) == (5, 4, 1)
        assert found.rate == pytest.approx(0.25)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
        assert found.mean_stated == pytest.approx(0.04)

    def test_an_audit_stands_for_one_over_its_probability(self) -> None:
        audits = [Audit(0.1, 0.04, True), Audit(0.5, 0.04, False), Audit(0.5, 0.04, False)]
        assert audit_miss_rate(audits).rate == pytest.approx(10 / 14)

    @pytest.mark.parametrize("share", [0.0, -0.1, 1.5, math.nan])
    def test_one_that_could_not_take_place_is_refused(self, share: float) -> None:
        with pytest.raises(ValueError, match=f"probability of an audit is {share}"):
            Audit(share, 0.04, True)

    def test_without_a_finished_audit_nothing_is_known(self) -> None:
        found = audit_miss_rate([Audit(0.1, None, None)])
        assert (found.rate, found.low, found.high) == (None, 0.0, 1.0)


class TestMoments:
    def test_every_run_is_judged_once_enough_are_finished(self) -> None:
        rng = np.random.default_rng(0)
        y = rng.normal(size=9)
        study = study_of(y, configs=grid(9), early_eval=y)
        moments = judged_moments(study, Settings(startup=3), orders=4)
        assert len(moments) == 4 * (9 - 3)
        assert all(0 <= m.stated <= 1 and m.run.startswith("demo: ") for m in moments)

    @pytest.mark.parametrize("min_gain", [0.05, 0.0])
    def test_a_miss_beats_the_incumbent_of_that_moment_by_the_least_gain_and_not_by_a_tie(
        self, min_gain: float
    ) -> None:
        y = np.array([1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
        study = study_of(y, configs=grid(9))
        order = np.random.default_rng(20).permutation(9)  # the first 1.0 comes fourth
        settings = Settings(startup=3, seed=20, min_gain=min_gain)
        moments = judged_moments(study, settings, orders=1)
        expected: list[tuple[bool, float]] = []
        for place in range(3, 9):
            before, left = y[order[:place]], y[order[place:]]
            best = before.min()
            misses = (left < best) & (left <= best - min_gain * (np.median(before) - best))
            expected.append((bool(misses[0]), float(np.mean(misses))))
        assert [(m.is_miss, pytest.approx(m.random_miss)) for m in moments] == expected
        assert [m.is_miss for m in moments].count(True) == 1

    def test_a_run_that_is_not_finite_at_its_end_does_not_count_towards_startup(self) -> None:
        study = study_of([1.0, 2.0, 3.0, 4.0, math.inf, math.inf], configs=grid(6))
        broken = [replace(run, state="pruned", pruned_by="guard") for run in study.runs[4:]]
        study = replace(study, runs=(*study.runs[:4], *broken))
        moments = judged_moments(study, Settings(startup=4), orders=50)
        assert {m.run for m in moments} == {"demo: 4", "demo: 5"}

    def test_a_run_that_a_guard_ended_misses_nothing_and_one_without_an_end_is_not_judged(
        self,
    ) -> None:
        study = study_of(np.arange(5.0), configs=grid(5))
        guarded = run_of("guarded", None, {}, (9, 9, 9, None), state="pruned", pruned_by="guard")
        pruned = run_of("pruned", None, {}, (9, 9, 9, None), state="pruned", pruned_by="rank")
        study = type(study)(study.name, study.workload, (*study.runs, guarded, pruned), True, 10.0)
        moments = judged_moments(study, Settings(startup=3), orders=20)
        judged = {m.run: m.is_miss for m in moments}
        assert judged["demo: guarded"] is False and "demo: pruned" not in judged

    @pytest.mark.slow
    @pytest.mark.parametrize("noise", [0.3, 1.0])
    def test_no_more_is_missed_than_is_stated_where_the_model_is_true(self, noise: float) -> None:
        """In every bin below 0.2, and of the prunes. Above it more comes true than is stated: of a
        young study P is held near P0 (DOUBT)."""
        rng = np.random.default_rng(1)
        moments: list[Moment] = []
        for i in range(150):
            early = rng.normal(size=12)
            y = early + noise * rng.normal(size=12)
            study = study_of(y, configs=grid(12), early_eval=early, name=f"study {i}")
            moments += judged_moments(study, Settings(prior_strength=0.0), orders=1)
        bins = reliability(moments)
        low = [b for b in bins if b.high <= 0.2]
        assert sum(b.num for b in low) > 1000
        for one in low:
            assert one.share_low <= one.mean_stated, one
        prunes = [moment for moment in moments if moment.would_prune]
        assert len(prunes) > 100
        for one in reliability(prunes):
            assert one.share_low <= one.mean_stated, one
            assert one.share < one.random_share, one
        high = next(b for b in bins if b.low == 0.2)
        assert high.share > high.mean_stated
