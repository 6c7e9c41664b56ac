"""Where a study stands, from what is stored: finished or not, and what came of its trials."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.account.outcome import Outcome, Standing, standing_of
from sweep.account.outlook import num_planned
from sweep.account.replicates import is_replicate, wanted_numbers
from sweep.account.terms import Terms
from sweep.storage.ledger import TrialRow
from sweep.storage.states import SETTLED, State

EXHAUSTED = f"no trial is left: {Outcome.EXHAUSTED}"  # a note


def standing(
    rows: Sequence[TrialRow], terms: Terms, *, no_new: bool, is_finished: bool = False
) -> Standing:
    """Where a study stands, by all of its trials. `no_new`: no further one is to be started;
    `is_finished`: so much is known."""
    states = {row.number: row.state for row in rows}
    originals = [state for number, state in states.items() if not is_replicate(number)]
    num_settled = sum(state in SETTLED for state in originals)
    replicates = wanted_numbers(rows, terms.goal, terms.confirm)
    is_over = num_settled == len(originals) if no_new else False
    is_over |= num_settled >= num_planned(terms, len(originals))
    is_over &= all(states.get(number) in SETTLED for number in replicates)
    is_over &= State.PARKED not in originals
    completed = [row for row in rows if row.state == State.COMPLETED]
    has_best = not terms.goal.limits or any(map(terms.goal.is_feasible, completed))
    return standing_of(list(states.values()), is_finished=is_finished or is_over, has_best=has_best)
