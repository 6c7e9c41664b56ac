"""Where the compute went: the savings and the overhead add up, whatever happened."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.account.compute import compute_report, decisive, usage_by_trial
from sweep.storage.ledger import BASE, Cost, Decision, TrialRow
from tests.support.sweep_ledgers import cost, decision, trial

flops = st.integers(0, 10**21).map(float)
attempts = st.lists(st.tuples(flops, flops, flops), max_size=3)  # train, early_eval, eval
states = st.sampled_from(["waiting", "running", "completed", "pruned", "failed"])
kinds = st.sampled_from(["guard", "rank"])


@pytest.mark.slow
@given(
    base=flops,
    num_stopped=st.integers(0, 9),
    trials=st.lists(st.tuples(states, kinds, flops, attempts), max_size=12),
)
def test_planned_minus_used_is_the_savings_less_the_overhead(
    base: float,
    num_stopped: int,
    trials: list[tuple[str, Any, float, list[tuple[float, float, float]]]],
) -> None:
    rows: list[TrialRow] = []
    costs = [Cost(BASE, 0, "eval", 0, 0.0, base)]
    decided: dict[int, Decision] = {}
    for number, (state, kind, planned, spent) in enumerate(trials):
        rows.append(trial(number, state, planned_flops=planned))
        if state == "pruned":
            decided[number] = decision(number, "prune", kind)
        for attempt, parts in enumerate(spent):
            for what, one in zip(("train", "early_eval", "eval"), parts, strict=True):
                costs.append(Cost(number, attempt, what, 0, 0.0, one))
    found = compute_report(rows, usage_by_trial(costs), decided, num_stopped)
    saved = found.saved_by_guards + found.saved_by_rank + found.saved_by_stopping
    difference = found.planned_flops - found.used_flops
    scale = max(1.0, found.planned_flops, found.used_flops)
    assert difference == pytest.approx(saved - found.overhead_flops, rel=0, abs=1e-12 * scale)
    assert sum(astuple(found.overhead)) == found.overhead_flops
    everything = found.used_flops + found.unsettled_flops
    assert everything == pytest.approx(sum(one.flops for one in costs))


def test_a_crash_is_no_saving() -> None:
    usage = usage_by_trial([cost(0, 10e12), cost(1, 1e12)])
    found = compute_report([trial(0, "completed"), trial(1, "failed")], usage, {})
    assert found.planned_flops == 10e12
    assert found.saved_share == pytest.approx(-0.1)
    assert found.overhead.failed == 1e12


def test_early_evaluations_and_lost_attempts_of_a_pruned_trial_lessen_its_saving() -> None:
    costs = [cost(0, 2e12), cost(0, 1e12, attempt=2), cost(0, 0.5e12, "early_eval", attempt=2)]
    pruned = {0: decision(0, "prune", "rank")}
    found = compute_report([trial(0, "pruned")], usage_by_trial(costs), pruned)
    assert found.saved_by_rank == 10e12 - 3.5e12
    assert found.overhead_flops == 0


def decisions(*verdicts: str) -> list[Decision]:
    """Each `moment action`."""
    split = [verdict.split() for verdict in verdicts]
    return [decision(0, action, "rank", moment=moment) for moment, action in split]


@pytest.mark.parametrize(
    ("state", "taken", "shown"),
    [
        ("completed", decisions(), None),
        ("completed", decisions("window continue"), "window"),
        ("completed", decisions("window continue", "training audit"), "training"),
        ("completed", decisions("window audit", "training audit"), "window"),
        ("completed", decisions("window continue", "end continue"), "window"),
        ("pruned", decisions("window continue", "training prune"), "training"),
        ("pruned", decisions("window audit", "end prune"), "end"),
        ("running", decisions("training continue"), "training"),
    ],
)
def test_the_decision_shown_is_the_one_that_decided(
    state: str, taken: list[Decision], shown: str | None
) -> None:
    found = decisive(trial(0, state), taken)
    assert (found.moment if found else None) == shown
