"""Studies for the tests of the report page: hostile texts, and a constraint."""

from __future__ import annotations

from sweep.storage.ledger import Ledger
from tests.support.sweep_ledgers import completed, decision, document, measurement

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror=hacked>\x1b[31m\u202e"
SHOWN = HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")


def hostile(ledger: Ledger) -> None:
    """Two trials: names of parameters, a recipe, a reason and a note are hostile."""
    row = completed(0, 0.5, recipe=HOSTILE)
    row.params = {**row.params, f"name {HOSTILE}": HOSTILE}
    ledger.save_trial(row, decision=decision(0, "continue", "rank", reason=HOSTILE))
    ledger.save_trial(completed(1, 0.6))
    ledger.note(HOSTILE)


def held_to_a_floor(ledger: Ledger) -> None:
    """Two trials, of which the better breaks the constraint."""
    mmlu, floor = "lm_eval:mmlu", {"metric": "lm_eval:mmlu", "at_least": "base - 0.01"}
    objective = {"metric": "choice_accuracy", "constraints": [floor]}
    ledger.continue_as({**document(), "objective": objective}, "gap-1", [])
    for number, over in enumerate((0.01, -0.05)):
        row = completed(number, 0.5 + 0.1 * number)
        told = {**measurement(0.4 + over), "over_base": over, "over_base_stderr": 0.004}
        row.measurements = {**(row.measurements or {}), mmlu: told}
        ledger.save_trial(row)
