"""What each policy does on studies made so that the right answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from predictor.audit import is_audited
from predictor.judge import judge
from predictor.recorded.runs import RecordedStudy
from predictor.replay.policies import (
    CONFIG_ONLY,
    EARLY_EVAL_ONLY,
    Control,
    Fewer,
    OneLook,
    PaperSign,
    TopByEarlyEval,
    WindowSetting,
    baselines,
    ours,
)
from predictor.replay.replay import replay
from predictor.types import CohortTrial, Settings
from tests.support.evidence_studies import WINDOW, grid, study_of

SETTINGS = Settings(audit=0.0)


def telling_study(num: int = 24, seed: int = 0) -> RecordedStudy:
    """The early evaluation tells the end almost surely; the configuration tells nothing."""
    rng = np.random.default_rng(seed)
    early = 2 + rng.normal(size=num)
    ends = early + 0.05 * rng.normal(size=num) + 5
    same = [{"learning_rate": 1e-5, "i": int(i)} for i in rng.permutation(num)]
    return study_of(ends, configs=same, early_eval=early + 5)


class TestOurs:
    def test_is_judge_itself_with_the_orders_seed(self) -> None:
        study, settings = telling_study(), Settings(audit=0.4)
        found = replay(study, ours(settings), seed=7)
        trials = study.trials(study.recorded_window or WINDOW)
        seen: dict[int, CohortTrial] = {}
        pruned: list[tuple[str, float | None]] = []
        for i in (int(i) for i in np.random.default_rng(7).permutation(len(trials))):
            own = replace(trials[i], objective=None)
            verdict = judge(own, list(seen.values()), replace(settings, seed=7))
            is_pruned = verdict.action == "prune"
            missed = verdict.probability or 0.0
            seen[i] = replace(own, expected_miss=missed) if is_pruned else trials[i]
            if is_pruned:
                pruned.append((study.runs[i].name, verdict.probability))
        assert pruned and [(p.run, p.probability) for p in found.prunes] == pruned

    def test_audited_prunes_go_on_to_the_end(self) -> None:
        study = telling_study()
        without = replay(study, ours(Settings(audit=0.0)), seed=0)
        every = replay(study, ours(Settings(audit=1.0)), seed=0)
        assert without.prunes and not every.prunes and every.compute == 1.0
        some = replay(study, ours(Settings(audit=0.5)), seed=0)
        assert not any(is_audited(0, int(p.run), 0.5) for p in some.prunes)

    @pytest.mark.slow
    def test_stated_misses_stay_within_what_the_study_may_spend(self) -> None:
        found = replay(telling_study(60), ours(Settings(audit=0, max_expected_misses=0.02)), seed=0)
        more = replay(telling_study(60), ours(Settings(audit=0, max_expected_misses=1.0)), seed=0)
        assert found.stated_misses is not None and found.stated_misses <= 0.02
        assert len(found.prunes) < len(more.prunes)

    def test_shows_the_settings_that_act(self) -> None:
        shown = ours(Settings(risk=0.2), WindowSetting(0.2, 4)).settings
        assert shown == {
            "mode": "stream",
            "window": 0.2,
            "min_steps": 4,
            "risk": 0.2,
            "startup": 3,
            "audit": 0.1,
            "min_gain": 0.05,
            "max_expected_misses": Settings().max_expected_misses,
            "prior_strength": 1.0,
        }


class TestWindow:
    def test_is_where_it_was_recorded_unless_told_otherwise(self) -> None:
        study = telling_study()
        assert WindowSetting().close(study) == WINDOW
        assert WindowSetting(share=0.3).close(study) == pytest.approx(32.0)  # 8 steps of 4
        assert WindowSetting(share=0.6).close(study) == pytest.approx(60.0)
        assert WindowSetting(min_steps=3).close(study) == pytest.approx(12.0)
        assert WindowSetting().close(replace(study, recorded_window=None)) == pytest.approx(32.0)

    def test_a_look_is_paid_up_to_the_step_that_closes_it(self) -> None:
        study = telling_study()  # steps end at 4, 8, 12
        found = replay(study, OneLook("all", PaperSign(startup=0), WindowSetting()), seed=0)
        assert {p.share for p in found.prunes} <= {0.12}


class TestBaselines:
    def test_keep_all_keeps_all_and_random_starts_a_share(self) -> None:
        study = telling_study()
        assert replay(study, Fewer(1.0), seed=0).compute == 1
        found = replay(study, Fewer(0.25), seed=0)
        assert len(found.kept) == 6 and found.compute == pytest.approx(0.25)
        assert found.kept != replay(study, Fewer(0.25), seed=1).kept

    def test_top_k_scouts_all_and_finishes_the_lowest_early_evaluations(self) -> None:
        study = study_of([9.0, 1.0, 3.0, 4.0], early_eval=[1.0, 5.0, 2.0, 3.0])
        found = replay(study, TopByEarlyEval(2), seed=0, num_workers=3)
        assert set(found.kept) == {"0", "2"}
        assert found.compute == pytest.approx((2 + 2 * 0.12) / 4)

    def test_early_eval_only_is_blind_to_all_else(self) -> None:
        rng = np.random.default_rng(0)
        early, ends = rng.normal(size=20) + 9, rng.normal(size=20) + 9
        study = study_of(ends, configs=grid(20), early_eval=early, loss=ends, grad_norm=ends)
        blind = OneLook("early", Control(EARLY_EVAL_ONLY, SETTINGS))
        plain = study_of(ends, configs=[{}] * 20, early_eval=early)
        assert outcome(study, blind) == outcome(plain, blind)

    def test_configuration_only_is_blind_to_the_signals(self) -> None:
        ends = np.linspace(5, 6, 20)[np.random.default_rng(0).permutation(20)]
        telling = study_of(ends, configs=grid(20), early_eval=ends, loss=ends, grad_norm=ends)
        blind = OneLook("configuration", Control(CONFIG_ONLY, SETTINGS))
        assert outcome(telling, blind) == outcome(study_of(ends, configs=grid(20)), blind)

    def test_the_papers_sign_keeps_low_norms_and_high_losses(self) -> None:
        good = np.arange(12) % 2 == 0
        study = study_of(
            np.arange(12.0), loss=np.where(good, 3.0, 2.0), grad_norm=np.where(good, 1.0, 2.0)
        )
        found = replay(study, OneLook("paper", PaperSign()), seed=0)
        assert found.prunes and all(int(p.run) % 2 == 1 for p in found.prunes)

    def test_every_policy_has_a_name_of_its_own_and_settings(self) -> None:
        policies = baselines()
        assert len({p.name for p in policies}) == len(policies)
        assert all(p.settings for p in policies)


def outcome(study: RecordedStudy, policy: OneLook) -> list[tuple[str, float | None]]:
    found = replay(study, policy, seed=0)
    return [(p.run, p.probability and round(p.probability, 9)) for p in found.prunes]
