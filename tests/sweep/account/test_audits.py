"""What pruning may have missed, as stated and as audits found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from scipy.stats import binomtest  # pyright: ignore[reportMissingTypeStubs]

from predictor.types import Settings, Verdict
from sweep.account.audits import AuditReport, audit_report, expected_misses
from sweep.account.compute import usage_by_trial
from sweep.account.constraints import Goal
from sweep.storage.ledger import Decision, TrialRow
from tests.support.sweep_ledgers import PLANNED, completed, cost, decision, forecast, trial

GOAL = Goal("choice_accuracy")


def audit(number: int, **changes: object) -> list[Decision]:
    values = {"probability": 0.05, "evidence": forecast(), **changes}
    return [decision(number, "audit", "rank", **values)]


def audited(rows: Sequence[TrialRow], taken: Mapping[int, Sequence[Decision]]) -> AuditReport:
    return audit_report(rows, {}, taken, GOAL)


@pytest.mark.parametrize(
    ("objective", "is_miss"),
    # the incumbent of that moment had 0.71; 0.05 x 0.16 more is asked for
    [(0.74, True), (0.7181, True), (0.7179, False), (0.71, False), (0.2, False)],
)
def test_a_miss_beats_the_incumbent_of_its_moment_by_min_gain_x_spread(
    objective: float, is_miss: bool
) -> None:
    rows = [completed(0, objective), completed(1, 0.95)]  # the later best does not matter
    found = audited(rows, {0: audit(0)})
    assert (found.told, found.misses, found.rate) == (1, is_miss, is_miss)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (trial(0, "running"), 0),
        (trial(0, "failed"), 0),
        (trial(0, "pruned"), 1),  # by a guard, later on
        (completed(0, float("nan")), 1),
    ],
)
def test_a_trial_that_ended_without_an_objective_is_no_miss(row: TrialRow, told: int) -> None:
    found = audited([row], {0: audit(0)})
    assert (found.told, found.misses) == (told, 0)


def test_an_audit_without_an_incumbent_on_record_tells_nothing() -> None:
    found = audited([completed(0, 0.9)], {0: audit(0, evidence={"rule": "median"})})
    assert (found.told, found.rate, found.low, found.high) == (0, None, 0.0, 1.0)


def test_a_trial_is_one_audit_that_of_what_would_have_pruned_it_first() -> None:
    diverged = decision(0, "audit", "guard", evidence=forecast(best=0.1))
    found = audited([completed(0, 0.74)], {0: [*audit(0), diverged]})
    assert (found.told, found.misses) == (1, 1)


def test_a_guards_audit_is_a_miss_by_the_same_rule() -> None:
    guards = [replace(audit(0)[0], verdict=Verdict("audit", "guard", "", evidence=forecast()))]
    for objective, is_miss in ((0.74, True), (0.7179, False)):
        found = audited([completed(0, objective)], {0: guards})
        assert (found.told, found.misses) == (1, is_miss)


def test_the_interval_is_clopper_and_pearsons() -> None:
    rows = [completed(number, 0.9 if number < 2 else 0.5) for number in range(9)]
    found = audited(rows, {number: audit(number) for number in range(9)})
    interval = binomtest(2, 9).proportion_ci()
    assert (found.misses, found.told) == (2, 9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_audits_are_weighted_where_their_share_changed_within_the_study() -> None:
    rows = [completed(0, 0.9), completed(1, 0.5)]
    rare = replace(audit(0)[0], settings=Settings(audit=0.1))
    often = replace(audit(1)[0], settings=Settings(audit=0.5))
    found = audited(rows, {0: [rare], 1: [often]})
    assert found.rate == pytest.approx(10 / 12)


def test_expected_misses_add_up_over_prunes_by_rank_that_were_not_audited() -> None:
    taken = [
        decision(0, "prune", "rank", probability=0.03),
        decision(1, "audit", "rank", probability=0.05),
        decision(2, "continue", "rank", probability=0.5),
        decision(3, "prune", "guard"),
        decision(4, "prune", "rank", probability=0.01),
        decision(5, "prune", "rank"),  # by the first version, which stated nothing
    ]
    rows = [trial(one.trial, "pruned") for one in taken]
    found = expected_misses(rows, {one.trial: [one] for one in taken}, most=0.3)
    assert (found.sum, found.num, found.most) == (pytest.approx(0.04), 3, 0.3)


def test_what_an_audit_cost_is_what_the_trial_used_after_its_step() -> None:
    usage = usage_by_trial([cost(0, 8e12), cost(0, 1e12, "early_eval")])
    found = audit_report([completed(0, 0.5)], usage, {0: audit(0)}, GOAL)  # at step 4 of 16
    assert (found.num, found.finished) == (1, 1)
    assert found.beyond_flops == pytest.approx(8e12 - PLANNED * 4 / 16)


def test_an_audited_trial_that_still_runs_is_not_yet_finished() -> None:
    found = audit_report(
        [trial(0, "running")], usage_by_trial([cost(0, 8e12)]), {0: audit(0)}, GOAL
    )
    assert (found.num, found.finished, found.beyond_flops) == (1, 0, 0)


def test_a_continued_trial_is_no_audit() -> None:
    asked = {0: [decision(0, "continue", "rank")]}
    assert audited([trial(0, "completed")], asked).num == 0
