"""The rank rule: who is compared with whom, on what, and what it says."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from predictor.rank import ordinal, place_of_first, rank_rule, ranks
from predictor.types import CohortTrial, WindowSignals

STARTUP = 3


def trial(
    number: int,
    early_eval: float | None,
    norm: float,
    noise_free: float | None = None,
    *,
    samples: int = 100,
    objective: float | None = 1.0,
    phase: int = 0,
) -> CohortTrial:
    window = WindowSignals(samples, 2.0, norm, noise_free, early_eval, phase)
    return CohortTrial(number=number, config={}, window=window, objective=objective)


def good_to_bad(num: int = 6) -> list[CohortTrial]:
    """Trials 1 to num, each worse than the one before in both signals; trial i has 0.i and i."""
    return [trial(i, i / 10, float(i)) for i in range(1, num + 1)]


@pytest.mark.parametrize(
    ("early_eval", "norm", "action"),
    [
        (0.05, 0.5, "continue"),  # best of 7
        (0.35, 3.5, "continue"),  # 4th of 7: the median itself
        (0.45, 4.5, "prune"),  # 5th of 7
        (0.65, 6.5, "prune"),
        (0.05, 9.0, "continue"),  # the evaluation counts twice
        (0.65, 0.5, "prune"),
        (math.nan, 0.5, "prune"),  # what is not finite ranks last
        (0.35, math.inf, "prune"),
    ],
)
def test_the_worse_half_is_pruned(early_eval, norm, action):
    verdict = rank_rule(trial(0, early_eval, norm), good_to_bad(), STARTUP)
    assert (verdict.action, verdict.kind) == (action, "rank")


def test_the_reason_can_be_checked():
    assert rank_rule(trial(0, 0.412, 5.5), good_to_bad(), STARTUP).reason == (
        "5th of 7 at the window: early evaluation as a loss 0.412 (5th), "
        "raw gradient norm 5.5 (6th); "
        "the worse half is pruned once 3 runs are complete"
    )
    assert rank_rule(trial(0, 0.1, 0.5), good_to_bad(), STARTUP).reason == (
        "1st of 7 at the window: early evaluation as a loss 0.1 (joint 1st), "
        "raw gradient norm 0.5 (1st); "
        "not in the worse half"
    )


def test_the_evidence_holds_the_numbers_behind_the_reason():
    verdict = rank_rule(trial(0, 0.412, math.inf), good_to_bad(), STARTUP)
    assert verdict.evidence == {
        "rule": "rank",
        "samples": 100,
        "phase": 0,
        "in_other_phases": 0,
        "complete": 6,
        "startup": 3,
        "cohort_size": 7,
        "norm": "grad_norm",
        "norm_value": None,  # JSON has no infinity; the reason says "not finite"
        "norm_rank": 7.0,
        "early_eval_value": 0.412,
        "early_eval_rank": 5.0,
        "score": 17.0,
        "median_score": 12.0,
    }
    assert "raw gradient norm not finite (7th)" in verdict.reason
    json.dumps(verdict.evidence, allow_nan=False)


@pytest.mark.parametrize(("num_complete", "kind"), [(0, "none"), (2, "none"), (3, "rank")])
def test_nothing_is_pruned_until_enough_runs_are_complete(num_complete, kind):
    others = [trial(i, 0.1, 1.0, objective=1.0 if i <= num_complete else None) for i in range(1, 7)]
    verdict = rank_rule(trial(0, 0.9, 9.0), others, STARTUP)
    assert verdict.kind == kind
    assert verdict.action == ("prune" if kind == "rank" else "continue")
    if kind == "none":
        assert verdict.reason == (
            f"waiting for complete runs: {num_complete} of the 3 needed before any is pruned "
            "by rank"
        )


def test_its_own_objective_does_not_count_as_a_complete_run():
    others = [trial(1, 0.1, 1.0), trial(2, 0.2, 2.0)]
    assert rank_rule(trial(0, 0.9, 9.0, objective=1.0), others, STARTUP).kind == "none"


@pytest.mark.parametrize("startup", [0, 1, 3])
def test_one_trial_alone_goes_on(startup):
    assert rank_rule(trial(0, 0.9, 9.0, 9.0), [], startup).action == "continue"


@pytest.mark.parametrize("noise_free", [None, 1.0])
def test_identical_trials_all_go_on(noise_free):
    others = [trial(i, 0.5, 2.0, noise_free) for i in range(1, 9)]
    verdict = rank_rule(trial(0, 0.5, 2.0, noise_free), others, STARTUP)
    assert (verdict.action, verdict.kind) == ("continue", "rank")
    assert verdict.reason.startswith("joint 1st of 9 at the window")


def test_equally_broken_trials_all_go_on():
    others = [trial(i, math.nan, math.inf) for i in range(1, 9)]
    assert rank_rule(trial(0, math.inf, math.nan), others, STARTUP).action == "continue"


def test_only_trials_with_a_window_at_the_same_samples_are_compared():
    elsewhere = [trial(10 + i, 0.0, 0.0, samples=200) for i in range(20)]
    unseen = [CohortTrial(number=50, config={}, objective=0.1)]
    here = rank_rule(trial(0, 0.35, 3.5), good_to_bad(), STARTUP)
    assert rank_rule(trial(0, 0.35, 3.5), good_to_bad() + elsewhere + unseen, STARTUP) == here
    assert rank_rule(trial(0, 0.9, 9.0), elsewhere + unseen, STARTUP).kind == "none"


@pytest.mark.parametrize(
    ("phase", "elsewhere", "where"),
    [(0, 1, "all data together"), (1, 0, "phase 1"), (1, 2, "phase 1")],
)
def test_only_windows_that_closed_in_the_same_phase_are_compared(phase, elsewhere, where):
    others = [trial(10 + i, 0.0, 0.0, phase=elsewhere) for i in range(20)]
    alike = [trial(i, i / 10, float(i), phase=phase) for i in range(1, 7)]
    own = trial(0, 0.35, 3.5, phase=phase)
    alone, among = rank_rule(own, alike, STARTUP), rank_rule(own, alike + others, STARTUP)
    assert among.action == alone.action == "continue"
    assert among.evidence == {**alone.evidence, "in_other_phases": 20}
    said = f"; not compared with 20 trials of another phase, as this window closed in {where}"
    assert among.reason == alone.reason + said
    waits = rank_rule(own, others[:1], STARTUP)
    assert waits.kind == "none"
    assert "0 of the 3 needed" in waits.reason and "not compared with 1 trial of" in waits.reason


def test_a_trial_without_a_window_goes_on():
    verdict = rank_rule(CohortTrial(number=0, config={}), good_to_bad(), STARTUP)
    assert (verdict.action, verdict.kind) == ("continue", "none")
    assert verdict.reason == "no window was measured, nothing to judge by"


@pytest.mark.parametrize("own", [None, 0.35])
def test_a_missing_early_evaluation_leaves_the_norm_alone(own):
    others = [*good_to_bad(5), trial(6, None, 6.0)]
    verdict = rank_rule(trial(0, own, 4.5), others, STARTUP)
    num_missing = 1 if own is not None else 2
    assert verdict.action == "prune"
    assert verdict.reason == (
        f"5th of 7 at the window: raw gradient norm 4.5 (5th) alone, as {num_missing} of 7 have no "
        "early evaluation; the worse half is pruned once 3 runs are complete"
    )
    assert verdict.evidence["early_eval_rank"] is None
    assert (verdict.evidence["score"], verdict.evidence["median_score"]) == (5.0, 4.0)


@pytest.mark.parametrize(
    ("own", "num_others", "norm", "cohort_size"),
    [
        (1.0, 6, "grad_norm_noise_free", 7),
        (1.0, 3, "grad_norm_noise_free", 4),  # those without it are not compared
        (1.0, 2, "grad_norm", 7),  # too few have it
        (None, 6, "grad_norm", 7),  # this one has not
        (math.nan, 6, "grad_norm_noise_free", 7),  # measured and not finite is not missing
    ],
)
def test_a_cohort_is_compared_on_one_norm(own, num_others, norm, cohort_size):
    others = [trial(i, 0.5, 2.0, 2.0 if i <= num_others else None) for i in range(1, 7)]
    verdict = rank_rule(trial(0, 0.5, 2.0, own), others, STARTUP)
    assert verdict.evidence["norm"] == norm
    assert verdict.evidence["cohort_size"] == cohort_size


def test_raw_norms_play_no_part_where_the_noise_free_ones_are_compared():
    def verdict(raw):
        others = [trial(i, 0.5, raw * i, float(i)) for i in range(1, 7)]
        return rank_rule(trial(0, 0.5, raw**2, 4.5), others, STARTUP)

    assert verdict(0.1) == verdict(7.0)
    assert "noise-free gradient norm 4.5 (5th)" in verdict(7.0).reason


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0, 1.0, 2.0], [3, 1, 2]),
        ([1.0, 1.0, 0.0], [2.5, 2.5, 1]),
        ([1.0, math.nan, math.inf, -math.inf], [1, 3, 3, 3]),
        ([5.0], [1]),
        ([], []),
    ],
)
def test_ranks_are_shared_by_equals_and_last_where_not_finite(values, expected):
    assert ranks(np.array(values)).tolist() == expected


FEW_VALUES = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, math.nan, math.inf])


@settings(deadline=None)
@given(st.lists(FEW_VALUES | st.floats(-1e6, 1e6), max_size=30))
def test_ranks_equal_scipys_and_their_sum_is_fixed(values):
    filled = [v if math.isfinite(v) else math.inf for v in values]
    assert ranks(np.array(values)).tolist() == rankdata(filled).tolist()
    assert ranks(np.array(values)).sum() == len(values) * (len(values) + 1) / 2


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000).map(float), min_size=1, max_size=30))
def test_ranking_norms_is_ranking_their_logarithms(norms):
    positive = np.array(norms) + 0.001
    assert ranks(positive).tolist() == ranks(np.log(positive)).tolist()


@settings(deadline=None)
@given(st.lists(st.tuples(FEW_VALUES, FEW_VALUES), min_size=4, max_size=12))
def test_exactly_those_past_the_middle_place_are_pruned(signals):
    others = [trial(i, e, n) for i, (e, n) in enumerate(signals) if i > 0]
    verdict = rank_rule(trial(0, *signals[0]), others, STARTUP)
    twice_rank = 2 * rankdata([_or_inf(e) for e, _ in signals])
    scores = twice_rank + rankdata([_or_inf(n) for _, n in signals])
    place = 1 + sum(scores < scores[0])
    assert (verdict.action == "prune") == (place > (len(signals) + 1) / 2)
    assert f"{ordinal(place)} of {len(signals)} at the window" in verdict.reason


@settings(deadline=None)
@given(st.lists(st.tuples(FEW_VALUES, FEW_VALUES), min_size=4, max_size=12))
def test_never_more_than_half_would_be_pruned(signals):
    cohort = [trial(i, e, n) for i, (e, n) in enumerate(signals)]
    pruned = [
        t for t in cohort if rank_rule(t, [o for o in cohort if o is not t], 1).action == "prune"
    ]
    assert len(pruned) <= len(cohort) / 2


def _or_inf(value):
    return value if math.isfinite(value) else math.inf


@pytest.mark.parametrize(
    ("values", "place"),
    [([1.0, 2.0], "1st"), ([2.0, 1.0, 1.0], "3rd"), ([1.0, 1.0, 0.0], "joint 2nd")],
)
def test_places_are_named_as_people_do(values, place):
    assert place_of_first(np.array(values)) == place


@pytest.mark.parametrize(
    "said", ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "100th", "111th"]
)
def test_ordinals(said):
    assert ordinal(int(said[:-2])) == said
