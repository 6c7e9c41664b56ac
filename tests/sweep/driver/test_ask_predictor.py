"""Who is judged anew, and who hears what was decided before."""

from __future__ import annotations

from typing import Any

import pytest

from predictor.types import Verdict
from sweep.driver.ask_predictor import known_verdict, moment
from sweep.driver.trial import State, Trial
from sweep.storage.ledger import TrialRow
from trainer.contract.spec import VerdictWanted

GO_ON = Verdict("continue", "rank", "a test", 0.4)
AUDIT = Verdict("audit", "guard", "a test")
PRUNE = Verdict("prune", "guard", "a test")


@pytest.mark.parametrize(
    ("verdicts", "why", "known"),
    [
        ({}, "window", None),
        ({"window": GO_ON}, "window", GO_ON),  # one look, also after a restart
        ({"divergence": PRUNE}, "window", PRUNE),  # on its way while the window closed
        ({"divergence": AUDIT}, "window", None),
        ({"divergence": AUDIT, "window": GO_ON}, "window", GO_ON),
        ({}, "not finite", None),
        ({"window": GO_ON}, "not finite", None),  # whatever was decided, this ends it
        ({"divergence": AUDIT}, "not finite", None),
    ],
)
def test_a_verdict_stands(verdicts: dict[str, Verdict], why: Any, known: Verdict | None) -> None:
    spec: Any = None
    row = TrialRow(3, State.RUNNING.value, {}, 10, 1.0)
    trial = Trial(row, spec, verdicts=verdicts)
    assert known_verdict(trial, VerdictWanted(4, why)) is known


def test_an_audited_trial_is_not_parked_again_where_it_was() -> None:
    """It asks there again where its checkpoint is gone."""
    spec: Any = None
    park = Verdict("park", "rank", "a test", 0.04)
    trial = Trial(TrialRow(3, State.RUNNING.value, {}, 10, 1.0), spec, verdicts={"window": park})
    assert known_verdict(trial, VerdictWanted(4, "window")) is park
    trial.verdicts["parked"] = AUDIT
    known = known_verdict(trial, VerdictWanted(4, "window"))
    assert known is not None and known.action == "continue"


def test_each_look_has_a_verdict_of_its_own() -> None:
    spec: Any = None
    verdicts = {"window": GO_ON, "look 2": AUDIT}
    trial = Trial(TrialRow(3, State.RUNNING.value, {}, 10, 1.0), spec, verdicts=verdicts)
    looks = [VerdictWanted(4 * (look + 1), "window", look=look) for look in range(3)]
    assert [known_verdict(trial, wanted) for wanted in looks] == [GO_ON, None, AUDIT]
    assert [moment(wanted) for wanted in looks] == ["window", "look 1", "look 2"]
