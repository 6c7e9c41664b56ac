"""What a study's storage has still to hear, in order. It outlives an unreachable storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from sweep.storage import tables as t

Write = Callable[[sa.Connection], object]
Row = dict[str, Any]


@dataclass(slots=True)
class Unwritten:
    """Writes, and rows of `sweep_observations` and `sweep_costs`, which come in great numbers."""

    writes: list[Write] = field(default_factory=list[Write])
    observations: list[Row] = field(default_factory=list[Row])  # later than all writes
    costs: dict[tuple[int, int, str], Row] = field(
        default_factory=dict[tuple[int, int, str], Row]
    )  # by trial, attempt, what: the last one counts

    def __bool__(self) -> bool:
        return bool(self.writes or self.observations or self.costs)

    def add(self, *writes: Write) -> None:
        """The writes are queued, after all that is there, observations too."""
        if self.observations:
            rows, self.observations = self.observations, list[Row]()
            self.writes.append(lambda connection: _insert_observations(connection, rows))
        self.writes.extend(writes)

    def clear(self) -> None:
        """Nothing waits: all of it has arrived."""
        self.writes.clear()
        self.observations.clear()
        self.costs.clear()

    def write(self, connection: sa.Connection) -> None:
        """All that waits is written. It stays here: only who commits knows that it has arrived."""
        for write in self.writes:
            write(connection)
        if self.observations:
            _insert_observations(connection, self.observations)
        for row in self.costs.values():
            _replace_cost(connection, row)


def _insert_observations(connection: sa.Connection, rows: list[Row]) -> None:
    """In place of what is there: of a commit that broke off nobody knows what it did."""
    o = t.observations.c
    first: dict[tuple[str, int], int] = {}
    for row in rows:
        key = row["study"], row["trial"]
        first[key] = min(row["step"], first.get(key, row["step"]))
    for (study, trial), step in first.items():
        here = (o.study == study) & (o.trial == trial) & (o.step >= step)
        connection.execute(t.observations.delete().where(here))
    connection.execute(t.observations.insert(), rows)


def _replace_cost(connection: sa.Connection, row: Row) -> None:
    here = [t.costs.c[name] == row[name] for name in ("study", "trial", "attempt", "what")]
    connection.execute(t.costs.delete().where(*here))
    connection.execute(t.costs.insert().values(row))
