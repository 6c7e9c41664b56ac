"""What expectations of a study that scouts rest on, in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from predictor.types import Action, Settings, Verdict
from sweep.report.prior import prior_report
from sweep.storage.ledger import Decision, StudyRow
from tests.support.sweep_ledgers import completed, trial

PRIOR = {"shipped": {"smollm2-gpu": 6, "quickstart": 2}, "history": {"old": 12, "few": 0}}
SCOUT = {"mode": "scout", "enabled": True}


def report_of(pruning: dict[str, Any], silent: float | None = None, **facts: Any):
    trials = [completed(0, 0.7), completed(10_000, 0.7), trial(1, "parked"), trial(2, "pruned")]
    row = StudyRow("demo", {"pruning": pruning}, facts, "gap-1")
    verdict = Verdict("prune", "rank", "behind", 0.1, {} if silent is None else {"silent": silent})
    given_up = Decision(2, "parked", 9, verdict, "gap-1", Settings())
    return prior_report(row, trials, {2: [given_up]}, "choice_accuracy")


def test_it_names_the_shipped_the_past_and_the_studys_own() -> None:
    found = report_of(SCOUT, prior=PRIOR)
    assert found is not None
    assert found.text == (
        "expectations rest on 8 past studies of SmolLM2-135M and the quickstart's base (shipped) "
        "and of old (12 trials); of this study's own finished trials on 1"
    )
    assert (found.shipped, found.history, found.finished) == (*PRIOR.values(), 1)


def test_it_says_where_no_early_number_seems_to_tell() -> None:
    little, much = (report_of(SCOUT, silent, prior=PRIOR) for silent in (0.05, 0.45))
    assert little is not None and much is not None
    assert (little.silent, much.silent) == (0.05, 0.45)
    assert "no early number" not in little.text
    assert much.text.endswith("that no early number tells how trials end is believed with 0.45")


def test_what_was_given_up_last_counts_not_what_was_audited_before() -> None:
    def decided(number: int, action: Action, silent: float) -> Decision:
        verdict = Verdict(action, "rank", "behind", 0.1, {"silent": silent})
        return Decision(number, "parked", 9, verdict, "gap-1", Settings())

    row = StudyRow("demo", {"pruning": SCOUT}, {"prior": PRIOR}, "gap-1")
    decisions = {2: [decided(2, "prune", 0.3)], 3: [decided(3, "audit", 0.1)]}
    found = prior_report(row, [], decisions, "choice_accuracy")
    assert found is not None and found.silent == 0.3
    found = prior_report(row, [], {3: decisions[3]}, "choice_accuracy")
    assert found is not None and found.silent == 0.1


@pytest.mark.parametrize(
    ("pruning", "facts"),
    [
        ({"mode": "stream", "enabled": True}, {"prior": PRIOR}),
        ({"enabled": True}, {"prior": PRIOR}),  # of an earlier version
        ({**SCOUT, "enabled": False}, {"prior": PRIOR}),
        (SCOUT, {}),
    ],
)
def test_a_study_that_does_not_scout_says_nothing(
    pruning: dict[str, Any], facts: dict[str, Any]
) -> None:
    assert report_of(pruning, **facts) is None
