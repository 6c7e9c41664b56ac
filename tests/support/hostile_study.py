"""A study in which every text of a stranger's is an attack."""

from __future__ import annotations

from sweep.storage.ledger import Ledger
from tests.support.sweep_ledgers import completed, decision

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror=hacked>\x1b[31m\u202e"
SHOWN = HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")


def hostile(ledger: Ledger) -> None:
    """Two trials: names of parameters, a recipe, a reason and a note are hostile."""
    row = completed(0, 0.5, recipe=HOSTILE)
    row.params = {**row.params, f"name {HOSTILE}": HOSTILE}
    ledger.save_trial(row, decision=decision(0, "continue", "rank", reason=HOSTILE))
    ledger.save_trial(completed(1, 0.6))
    ledger.note(HOSTILE)
