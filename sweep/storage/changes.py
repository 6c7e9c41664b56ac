"""Whether a study has changed since it was last read, without reading all of it again."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sweep.storage import tables as t
from sweep.storage.ledger import Ledger

Stamp = tuple[Any, ...]


def stamp(ledger: Ledger) -> Stamp:
    """What is equal as long as nothing that people are shown has changed, in a few milliseconds.

    Trials (their states, ends and looks), decisions, costs (which grow with each step that is
    written), notes, and the study itself. It raises what the storage raises.
    """
    trials, decisions, costs, notes = t.trials.c, t.decisions.c, t.costs.c, t.notes.c
    study = t.studies.c
    size, num, most, total = sa.func.length, sa.func.count, sa.func.max, sa.func.sum
    of_trial = (trials.number, trials.state, trials.attempts, trials.failures, trials.objective)
    sizes = (
        size(sa.type_coerce(column, sa.Text))
        for column in (trials.window, trials.measurements, trials.error)
    )
    queries = (
        sa.select(*of_trial, *sizes).where(trials.study == ledger.study).order_by(trials.number),
        sa.select(num(), most(decisions.at_s)).where(decisions.study == ledger.study),
        sa.select(num(), total(costs.input_tokens)).where(costs.study == ledger.study),
        sa.select(num(), most(notes.id)).where(notes.study == ledger.study),
        sa.select(study.created_s, study.predictor, sa.type_coerce(study.facts, sa.Text)).where(
            study.study == ledger.study
        ),
    )
    with ledger.engine.connect() as connection:
        found = [tuple(map(tuple, connection.execute(query).all())) for query in queries]
    return tuple(found)
