"""A failed write loses nothing: it is written later, once, in its order, by whoever goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from predictor.types import Observation, Settings, Verdict
from sweep.storage.engine import make_engine
from sweep.storage.ledger import Cost, Decision, Ledger
from sweep.storage.paths import StudyPaths
from tests.support.sweep_ledgers import trial, written

Work = Callable[[Ledger], None]


class Gone(RuntimeError):
    """A storage that cannot be reached."""


def seen(step: int, loss: float = 1.0) -> Observation:
    return Observation(step, 8 * step, 80 * step, 40 * step, loss, 0.5, 1e-3, 0.1)


def observe(step: int, loss: float = 1.0) -> Work:
    return lambda ledger: ledger.add_observation(0, seen(step, loss))


def decide(ledger: Ledger) -> None:
    verdict = Verdict("prune", "rank", "a test", 0.05)
    decision = Decision(0, "window", 2, verdict, "learned-2", Settings())
    ledger.save_trial(trial(0, "running"), decision=decision)


LIFE: list[Work] = [
    lambda ledger: ledger.save_trial(trial(0, "running", window=None)),
    observe(1),
    observe(2, math.nan),
    lambda ledger: ledger.record(Cost(0, 1, "train", 160, 0.2, 1e9)),
    lambda ledger: ledger.flush(),
    decide,
    observe(3),
    lambda ledger: ledger.forget_observations_after(0, 2),  # a resumed trial does it again
    observe(3, 0.9),
    lambda ledger: ledger.record(Cost(0, 1, "train", 240, 0.3, 2e9)),
    lambda ledger: ledger.note("said once"),
    lambda ledger: ledger.save_trial(trial(0, "pruned")),
]


def lived(ledger: Ledger, works: list[Work]) -> None:
    for work in works:
        work(ledger)
    ledger.flush()


def stored(ledger: Ledger) -> list[Any]:
    """All that a ledger holds; text, as NaN equals no NaN."""
    found = [
        ledger.read_trials(),
        ledger.read_observations(0),
        [(one.trial, one.moment, one.verdict) for one in ledger.read_decisions()],
        ledger.read_costs(),
        ledger.read_notes(),
    ]
    return [repr(part) for part in found]


@pytest.fixture
def undisturbed(tmp_path: Path) -> list[Any]:
    with written(tmp_path / "undisturbed") as ledger:
        lived(ledger, LIFE)
        return stored(ledger)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    with written(tmp_path / "demo"):
        pass
    found = make_engine(StudyPaths(tmp_path / "demo").default_storage)
    yield found
    found.dispose()


def fail_commits(engine: sa.Engine, failing: set[int], *, arrives: bool) -> None:
    """The commits of these numbers, from 1, raise; `arrives`: though the storage has made them."""
    num = 0

    def commit(connection: sa.Connection) -> None:
        nonlocal num
        num += 1
        if num in failing:
            if arrives:
                connection.connection.driver_connection.commit()  # type: ignore[union-attr]
            raise Gone

    event.listen(engine, "commit", commit)


def test_states_alone_are_those_of_the_trials(tmp_path: Path) -> None:
    with written(tmp_path / "demo") as ledger:
        lived(ledger, LIFE)
        states = {row.number: row.state for row in ledger.read_trials()}
        assert states and ledger.read_states() == states


@pytest.mark.parametrize("arrives", [False, True])
@pytest.mark.parametrize("failing", [{1}, {2}, {3}, {4}, {5}, {6}, {2, 3, 4}, {1, 3, 5}])
def test_a_write_that_failed_is_written_with_the_next(
    engine: sa.Engine, undisturbed: list[Any], failing: set[int], arrives: bool
) -> None:
    ledger = Ledger(engine, "demo")
    fail_commits(engine, failing, arrives=arrives)
    num_failed = 0
    for work in [*LIFE, lambda ledger: ledger.flush(), lambda ledger: ledger.flush()]:
        try:
            work(ledger)
        except Gone:
            num_failed += 1
            assert ledger.unwritten
    assert num_failed == len(failing)
    ledger.flush()
    assert not ledger.unwritten
    if arrives:  # of a note nobody knows whether it has arrived: it may be there twice
        assert [*stored(ledger)[:4]] == undisturbed[:4]
    else:
        assert stored(ledger) == undisturbed


@pytest.mark.parametrize("at", range(len(LIFE)))
def test_the_next_session_writes_what_the_one_before_could_not(
    engine: sa.Engine, undisturbed: list[Any], at: int
) -> None:
    first = Ledger(engine, "demo")
    for work in LIFE[:at]:
        work(first)
    first.is_held = True
    for work in LIFE[at:]:
        work(first)
    second = Ledger(engine, "demo", unwritten=first.unwritten)
    second.flush()
    assert stored(second) == undisturbed
    assert not first.unwritten
