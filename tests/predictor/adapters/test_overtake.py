"""One trial at its window against those before it, by the gap model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from predictor.adapters.overtake import gap_rule, judge_by_gaps
from predictor.gap.bent import unbent
from predictor.types import CohortTrial, Settings, WindowSignals

SETTINGS = Settings(mode="stream", audit=0.0)


def trial(number: int, early: float, objective: float | None = None, **window) -> CohortTrial:
    """The higher the early evaluation, the worse."""
    seen = WindowSignals(64, 2.0 + early, 1.0 + early, None, early)
    return CohortTrial(number, {"rate": early}, replace(seen, **window), objective)


FINISHED = [trial(i, 0.1 * i, 0.1 * i) for i in range(4)]
BEHIND, AHEAD = trial(9, 3.0), trial(9, -0.5)


def test_who_is_far_behind_the_best_is_pruned_and_told_by_how_much() -> None:
    verdict = gap_rule(BEHIND, FINISHED, SETTINGS, 0.1)
    assert (verdict.action, verdict.kind) == ("prune", "rank")
    assert verdict.probability is not None and verdict.probability < 0.1
    assert verdict.reason.startswith("P(overtakes trial 0) = 0.0")
    assert "spreads behind it expected, after 10% of the budget (early evaluation" in verdict.reason
    assert verdict.evidence["leader"] == 0


def test_who_is_ahead_of_the_best_goes_on() -> None:
    verdict = gap_rule(AHEAD, FINISHED, SETTINGS, 0.1)
    assert verdict.action == "continue"
    assert verdict.probability is not None and verdict.probability > 0.5


@pytest.mark.parametrize(
    ("asked", "others", "changes", "says"),
    [
        (replace(BEHIND, window=None), FINISHED, {}, "no window was measured"),
        (BEHIND, FINISHED[:2], {}, "waiting for finished trials: 2 of the 3"),
        (BEHIND, FINISHED, {"startup": 5}, "waiting for finished trials: 4 of the 5"),
        (trial(9, 3.0, samples=32), FINISHED, {}, "waiting for finished trials: 0 of the 3"),
        (trial(9, 3.0, phase=1), FINISHED, {}, "waiting for finished trials: 0 of the 3"),
        (
            BEHIND,
            FINISHED,
            {"max_expected_misses": 0.0},
            "; goes on: more than a quarter of the 0 ",
        ),
        (BEHIND, FINISHED, {"enabled": False}, "pruning is off"),
    ],
)
def test_nothing_is_pruned_without_grounds(
    asked: CohortTrial, others: list[CohortTrial], changes: dict, says: str
) -> None:
    verdict = judge_by_gaps(asked, others, replace(SETTINGS, **changes), 0.1)
    assert verdict.action == "continue"
    assert says in verdict.reason


def test_a_window_may_be_the_whole_training() -> None:
    assert gap_rule(AHEAD, FINISHED, SETTINGS, 1.0).action == "continue"
    assert gap_rule(BEHIND, FINISHED, SETTINGS, 1.0).action == "prune"


def test_the_gap_is_told_in_spreads() -> None:
    verdict = gap_rule(BEHIND, FINISHED, SETTINGS, 0.1)
    assert f"{unbent(verdict.evidence['behind']):.1f} spreads behind it expected" in verdict.reason
    assert verdict.evidence["behind"] > 1.5


def test_an_audited_prune_goes_on() -> None:
    verdict = judge_by_gaps(BEHIND, [*FINISHED, BEHIND], replace(SETTINGS, audit=1.0), 0.1)
    assert verdict.action == "audit"
    assert verdict.reason.startswith("would have been pruned: P(overtakes trial 0)")


def test_the_order_of_the_others_does_not_matter() -> None:
    one = gap_rule(BEHIND, FINISHED, SETTINGS, 0.1)
    assert gap_rule(BEHIND, FINISHED[::-1], SETTINGS, 0.1) == one
