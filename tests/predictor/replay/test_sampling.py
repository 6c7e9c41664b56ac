"""A sample of a study's runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from predictor.recorded.runs import RecordedStudy
from predictor.replay.sample import sampled
from tests.support.evidence_studies import study_of


def study(num: int, num_configs: int) -> RecordedStudy:
    """Four in ten without an end: half of these by rank, half by a guard."""
    objectives = [None if i % 10 < 4 else float(i) for i in range(num)]
    configs = [{"learning_rate": 1e-5 * (i % num_configs + 1)} for i in range(num)]
    found = study_of(objectives, configs=configs)
    runs = [
        run
        if run.is_finished
        else replace(run, state="pruned", pruned_by="rank" if i % 2 else "guard")
        for i, run in enumerate(found.runs)
    ]
    return replace(found, runs=tuple(runs))


def test_a_study_that_is_small_enough_is_left_as_it_is() -> None:
    whole = study(40, 7)
    assert sampled([whole], 40, 0) == ([whole], [])


def test_a_sample_has_every_end_in_its_share_and_every_configuration_first() -> None:
    whole = study(400, 23)
    (found,), (said,) = sampled([whole], 50, 0)
    ends = Counter((run.state, run.pruned_by) for run in found.runs)
    assert ends == {("completed", None): 30, ("pruned", "rank"): 10, ("pruned", "guard"): 10}
    finished = {run.config["learning_rate"] for run in whole.runs if run.is_finished}
    assert {run.config["learning_rate"] for run in found.runs if run.is_finished} == finished
    assert (said.num_runs, said.of, said.seed) == (50, 400, 0)
    assert "a sample of 50 of its 400 runs (seed 0)" in said.text


def test_a_sample_keeps_the_order_and_is_the_same_for_the_same_seed() -> None:
    whole = study(400, 400)
    names = [[run.name for run in sampled([whole], 50, seed)[0][0].runs] for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]
    assert names[0] == sorted(names[0], key=int)


def test_an_end_that_is_rare_is_kept() -> None:
    whole = study(400, 400)
    runs = tuple(run if i else replace(run, state="failed", pruned_by=None)
                 for i, run in enumerate(whole.runs))  # fmt: skip
    (found,), _ = sampled([replace(whole, runs=runs)], 20, 0)
    assert len(found.runs) == 20
    assert any(run.state == "failed" for run in found.runs)
