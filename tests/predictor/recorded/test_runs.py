"""Recorded studies: where their early window ends."""

from __future__ import annotations

from dataclasses import replace

from predictor.replay.policies import baselines, ours
from predictor.replay.replay import replay
from predictor.types import Settings
from tests.support.evidence_studies import study_of
from tests.support.long_runs import LION, ended_by_guard


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
