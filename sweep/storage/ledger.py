"""The study's record: every observation, decision and cost, in the study's one storage.

Only the driver writes. Everything is queued and goes out in order, in one transaction: at once, but
for observations and running costs, which wait for the next write of anything else or for `flush`.
So whenever the driver is killed, what stands in the storage is consistent; and what could not be
written stays in the queue, which the next ledger of the study can take over.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from predictor.types import Observation, Settings, Verdict
from sweep.storage import tables as t
from sweep.storage.migrate import create_tables
from sweep.storage.patience import Patience
from sweep.storage.rows import Cost, Decision, StudyRow, TrialRow, observation_of, packed, unpacked
from sweep.storage.unwritten import Unwritten, Write
from trainer.contract.measurement import Scores

ROWS_AT_ONCE = 10_000  # that are read from the storage
BASE = -1  # the trial number that the base model's costs are recorded under


class Ledger:
    """One study's rows in a storage."""

    def __init__(
        self,
        engine: sa.Engine,
        study: str,
        patience: Patience | None = None,
        unwritten: Unwritten | None = None,
    ) -> None:
        self.engine = engine
        self.study = study
        self.is_held = False  # nothing is written: the storage is not to be had
        self.unwritten = Unwritten() if unwritten is None else unwritten
        self._patience = patience or Patience()
        self._last_at_s: float | None = None

    def create(self, row: StudyRow) -> None:
        """Make the tables where they are not there yet, and the study in them."""
        create_tables(self.engine)
        values = {name: getattr(row, name) for name in StudyRow.__dataclass_fields__}
        values["study"] = values.pop("name")
        self._write(lambda connection: connection.execute(t.studies.insert().values(values)))

    def continue_as(self, document: Mapping[str, Any], predictor: str, changes: list[str]) -> None:
        """The study goes on under a changed document; each change is noted."""
        here = t.studies.c.study == self.study
        change = t.studies.update().where(here)
        change = change.values(document=dict(document), predictor=predictor)
        notes = [self._note(text) for text in changes]
        self._write(lambda connection: connection.execute(change), *notes)

    def keep_facts(self, facts: Mapping[str, Any]) -> None:
        """Put `facts` in place of the stored ones."""
        here = t.studies.c.study == self.study
        change = t.studies.update().where(here).values(facts=dict(facts))
        self._write(lambda connection: connection.execute(change))

    def keep_fact(self, name: str, value: Any) -> None:
        """Put one value in place of a stored fact, or beside the others."""
        here = t.studies.c.study == self.study

        def write(connection: sa.Connection) -> None:
            known = connection.execute(sa.select(t.studies.c.facts).where(here)).scalar_one()
            facts = {**known, name: value}
            connection.execute(t.studies.update().where(here).values(facts=facts))

        self._write(write)

    def note(self, text: str) -> None:
        """A sentence is on record, for `sweep inspect` to show."""
        self._write(self._note(text))

    def save_trial(self, row: TrialRow, *, decision: Decision | None = None) -> None:
        """The trial is on record as it stands, with the decision that brought it there, if one
        did."""
        values = {name: getattr(row, name) for name in TrialRow.__dataclass_fields__}
        here = (t.trials.c.study == self.study) & (t.trials.c.number == row.number)

        def write(connection: sa.Connection) -> None:
            connection.execute(t.trials.delete().where(here))
            connection.execute(t.trials.insert().values(study=self.study, **values))

        self._write(write, *([] if decision is None else [self._decision(decision)]))

    def forget_observations_after(self, trial: int, step: int) -> None:
        """A resumed trial does these steps again. What they cost stays on record."""
        o = t.observations.c
        here = (o.study == self.study) & (o.trial == trial) & (o.step > step)
        self._write(lambda connection: connection.execute(t.observations.delete().where(here)))

    def add_observation(self, trial: int, seen: Observation) -> None:
        """The observation is queued until the next write."""
        values = {name: getattr(seen, name) for name in Observation.__dataclass_fields__}
        self.unwritten.observations.append({"study": self.study, "trial": trial, **values})

    def record(self, cost: Cost) -> None:
        """The cost is queued; it replaces an earlier one of the same trial, attempt and kind."""
        row = {name: getattr(cost, name) for name in Cost.__dataclass_fields__}
        self.unwritten.costs[(cost.trial, cost.attempt, cost.what)] = {"study": self.study, **row}

    def save_scores(self, trial: int, scores: Mapping[str, Scores]) -> None:
        """The scores of final measurements, by metric, are queued, in place of earlier ones."""
        rows = [
            {"study": self.study, "trial": trial, "metric": metric, **packed(own)}
            for metric, own in scores.items()
        ]

        def write(connection: sa.Connection) -> None:
            here = (t.scores.c.study == self.study) & (t.scores.c.trial == trial)
            connection.execute(t.scores.delete().where(here & t.scores.c.metric.in_(scores)))
            if rows:
                connection.execute(t.scores.insert(), rows)

        self.unwritten.add(write)

    def flush(self) -> None:
        """Write what waits. Where that fails it goes on waiting."""
        if self.unwritten and not self.is_held:
            self._patience(self._write_all)
            self.unwritten.clear()  # only after the commit: a failed write loses nothing

    @contextmanager
    def at_once(self) -> Generator[None]:
        """What is written inside goes out at its end, in one transaction."""
        was_held, self.is_held = self.is_held, True
        try:
            yield
        finally:
            self.is_held = was_held
        self.flush()

    def _write(self, *writes: Write) -> None:
        self.unwritten.add(*writes)
        self.flush()

    def _write_all(self) -> None:
        with self.engine.begin() as connection:
            self.unwritten.write(connection)

    def _note(self, text: str) -> Write:
        values = {"study": self.study, "at_s": time.time(), "text": text}
        return lambda connection: connection.execute(t.notes.insert().values(values))

    def _decision(self, decision: Decision) -> Write:
        d, verdict = t.decisions.c, decision.verdict
        here = (d.study == self.study) & (d.trial == decision.trial) & (d.moment == decision.moment)
        settings = decision.settings
        values = {
            "study": self.study,
            "trial": decision.trial,
            "moment": decision.moment,
            "step": decision.step,
            "at_s": self._next_at_s(),
            "action": verdict.action,
            "kind": verdict.kind,
            "probability": verdict.probability,
            "reason": verdict.reason,
            "evidence": dict(verdict.evidence),
            "predictor": decision.predictor,
            "settings": settings.to_json(),
        }

        def write(connection: sa.Connection) -> None:
            connection.execute(t.decisions.delete().where(here))
            connection.execute(t.decisions.insert().values(values))

        return write

    def _next_at_s(self) -> float:
        """The time, but later than that of every decision before: their order is read from it, and
        clocks jump."""
        if self._last_at_s is None and not self.is_held:
            d = t.decisions.c
            rows = self._rows(sa.select(sa.func.max(d.at_s)).where(d.study == self.study))
            self._last_at_s = rows[0][0] or 0.0
        self._last_at_s = max(time.time(), (self._last_at_s or 0.0) + 1e-6)
        return self._last_at_s

    def read_study(self) -> StudyRow | None:
        """The study; None where the storage does not hold it, or is not a sweep's storage at
        all."""
        if not self._patience(lambda: sa.inspect(self.engine).has_table(t.studies.name)):
            return None
        for row in self._rows(t.studies.select().where(t.studies.c.study == self.study)):
            return StudyRow(row.study, row.document, row.facts, row.predictor, row.created_s)
        return None

    def read_trials(self) -> list[TrialRow]:
        """The trials by number."""
        has_looks = self._patience(lambda: t.looks_are_there(self.engine))
        columns = [
            t.trials.c[name] if has_looks or name != t.trials.c.looks.name else sa.null()
            for name in TrialRow.__dataclass_fields__
        ]
        here = t.trials.c.study == self.study
        query = sa.select(*columns).where(here).order_by(t.trials.c.number)
        return [TrialRow(*row) for row in self._rows(query)]

    def read_states(self) -> dict[int, str]:
        """The state of each trial, by number, without all else that is known of it."""
        c = t.trials.c
        query = sa.select(c.number, c.state).where(c.study == self.study).order_by(c.number)
        return dict(tuple(row) for row in self._rows(query))

    def read_observations(self, trial: int, after: int = 0) -> list[Observation]:
        """A trial's observations after a step, in the order of their steps."""
        o = t.observations.c
        query = self._observations_query().where((o.trial == trial) & (o.step > after))
        return [observation_of(row) for _, *row in self._rows(query)]

    def stream_observations(self) -> Generator[tuple[int, list[Observation]]]:
        """Observations of each trial that has any, by number; a few thousand steps in memory."""
        with self.engine.connect() as connection:
            query = self._observations_query().execution_options(yield_per=ROWS_AT_ONCE)
            for trial, rows in groupby(connection.execute(query), key=itemgetter(0)):
                yield trial, [observation_of(row) for _, *row in rows]

    def _observations_query(self) -> sa.Select[Any]:
        """Columns: the trial, then an Observation's fields."""
        o = t.observations.c
        columns = (o[name] for name in Observation.__dataclass_fields__)
        return sa.select(o.trial, *columns).where(o.study == self.study).order_by(o.trial, o.step)

    def read_decisions(self) -> list[Decision]:
        """The decisions in the order they were taken."""
        d = t.decisions.c
        verdict = d.action, d.kind, d.reason, d.probability, d.evidence
        query = (
            sa.select(d.trial, d.moment, d.step, d.predictor, d.settings, *verdict)
            .where(d.study == self.study)
            .order_by(d.at_s)
        )
        return [
            Decision(
                trial, moment, step, Verdict(*verdict), predictor, Settings.from_json(settings)
            )
            for trial, moment, step, predictor, settings, *verdict in self._rows(query)
        ]

    def read_verdicts(self) -> dict[int, dict[str, Verdict]]:
        """The verdicts by trial and moment, in the order they were taken, without their evidence:
        it is by far the most of them, and a driver that goes on acts on what was decided alone."""
        d = t.decisions.c
        query = (
            sa.select(d.trial, d.moment, d.action, d.kind, d.reason, d.probability)
            .where(d.study == self.study)
            .order_by(d.at_s)
        )
        found: dict[int, dict[str, Verdict]] = {}
        for trial, moment, *verdict in self._rows(query):
            found.setdefault(trial, {})[moment] = Verdict(*verdict)
        return found

    def read_costs(self) -> list[Cost]:
        """The costs of all trials and of the base model, in no order."""
        columns = (t.costs.c[name] for name in Cost.__dataclass_fields__)
        query = sa.select(*columns).where(t.costs.c.study == self.study)
        return [Cost(*row) for row in self._rows(query)]

    def read_scores(self, metric: str, trials: Collection[int] | None = None) -> dict[int, Scores]:
        """The scores of a metric by trial, of these `trials` or all, the base model's under BASE;
        {} where an earlier version made the storage."""
        if not self._patience(lambda: sa.inspect(self.engine).has_table(t.scores.name)):
            return {}
        s = t.scores.c
        query = sa.select(s.trial, s.scores, s.weights).where(s.study == self.study)
        if trials is not None:
            query = query.where(s.trial.in_(trials))
        found = self._rows(query.where(s.metric == metric).order_by(s.trial))
        return {trial: unpacked(*row) for trial, *row in found}

    def _rows(self, query: Any) -> Sequence[Any]:
        def read() -> Sequence[Any]:
            with self.engine.connect() as connection:
                return connection.execute(query).all()

        return self._patience(read)

    def read_notes(self) -> list[str]:
        """The notes in the order they were made."""
        n = t.notes.c
        query = sa.select(n.text).where(n.study == self.study).order_by(n.id)
        return [text for (text,) in self._rows(query)]
