"""A storage of any version before opens and goes on; one of a later version is refused."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event, exc

from sweep.storage.engine import make_engine, study_names
from sweep.storage.ledger import Ledger, StudyRow
from sweep.storage.migrate import VERSION, refuse_unreadable, upgrade, version_of
from sweep.storage.paths import StudyPaths
from tests.support.home import Home
from trainer.contract.spec import UserError

# Four trials of tests.support.home.STUDY, as the program wrote them before its tables had a number.
VERSION_2 = Path(__file__).with_name("study_of_version_2.sql")
WITHOUT_PHASE = "ALTER TABLE sweep_observations DROP COLUMN phase"
ONE_BY_ONE = ("run.workers=1", "pruning.enabled=false")


def change(out: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(StudyPaths(out).database)) as database, database:
        for statement in statements:
            database.execute(statement)


@pytest.fixture
def version_2(home: Home) -> Home:
    home.out.mkdir()
    with contextlib.closing(sqlite3.connect(StudyPaths(home.out).database)) as database:
        database.executescript(VERSION_2.read_text())
    return home


@pytest.fixture
def engine(version_2: Home) -> Iterator[sa.Engine]:
    found = make_engine(StudyPaths(version_2.out).default_storage)
    yield found
    found.dispose()


def settled(home: Home) -> list[tuple[Any, ...]]:
    kept = ("number", "state", "params", "objective", "window", "verdict", "compute", "error")
    return [tuple(trial[name] for name in kept) for trial in home.document()["trials"]]


@pytest.mark.slow
def test_a_study_of_the_version_before_is_shown_and_goes_on(version_2: Home) -> None:
    before = settled(version_2)
    assert [state for _, state, *_ in before] == ["completed"] * 4
    assert version_2.run(*ONE_BY_ONE, "run.trials=6") == 0
    assert settled(version_2)[:4] == before
    assert version_2.states() == ["completed"] * 6
    assert "the storage's tables, of version 2, are brought up to date" in version_2.lines
    version_2.lines.clear()
    assert version_2.run(*ONE_BY_ONE, "run.trials=6") == 0
    assert not [line for line in version_2.lines if "brought up to date" in line]


@pytest.mark.slow
def test_a_study_from_before_phases_goes_on(version_2: Home) -> None:
    change(version_2.out, WITHOUT_PHASE)
    assert version_2.run(*ONE_BY_ONE, "run.trials=5") == 0
    assert version_2.states() == ["completed"] * 5


VERSION_3 = (
    "CREATE TABLE sweep_version (version INTEGER PRIMARY KEY)",
    "INSERT INTO sweep_version VALUES (3)",
)


@pytest.mark.parametrize("found", [1, 2, 3])
def test_tables_are_brought_up_to_date_once(engine: sa.Engine, version_2: Home, found: int) -> None:
    if found == 1:
        change(version_2.out, WITHOUT_PHASE)
    if found == 3:
        change(version_2.out, *VERSION_3)
    assert version_of(engine) == found
    assert upgrade(engine) == found
    assert version_of(engine) == VERSION
    assert upgrade(engine) is None
    with engine.connect() as connection:
        phases = connection.scalars(sa.text("SELECT DISTINCT phase FROM sweep_observations"))
        assert phases.all() == [0]


def test_a_driver_killed_between_the_looks_and_the_number_loses_nothing(
    engine: sa.Engine, version_2: Home
) -> None:
    change(version_2.out, *VERSION_3, "ALTER TABLE sweep_trials ADD COLUMN looks TEXT")
    assert version_of(engine) == 4
    assert upgrade(engine) == 4
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version FROM sweep_version")) == VERSION


def test_what_an_earlier_version_wrote_is_read_as_it_is(engine: sa.Engine, version_2: Home) -> None:
    refuse_unreadable(engine)
    rows = Ledger(engine, "fake").read_trials()
    assert [(row.state, row.looks) for row in rows] == [("completed", None)] * 4
    assert version_of(engine) == 2


@pytest.mark.parametrize("found", [1, 2])
def test_another_study_in_an_older_storage_brings_it_up_to_date(
    engine: sa.Engine, version_2: Home, found: int
) -> None:
    if found == 1:
        change(version_2.out, WITHOUT_PHASE)
    Ledger(engine, "other").create(StudyRow("other", {}, {}, "learned-6"))
    assert study_names(engine) == ["fake", "other"]
    assert version_of(engine) == VERSION
    assert upgrade(engine) is None
    refuse_unreadable(engine)


@pytest.mark.parametrize("step", ["ALTER TABLE", "\nCREATE TABLE"])
def test_of_two_drivers_that_bring_tables_up_to_date_one_finds_it_done(
    engine: sa.Engine, version_2: Home, step: str
) -> None:
    change(version_2.out, WITHOUT_PHASE)
    taken: list[str] = []

    def take_it_first(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith(step) and not taken:
            taken.append(statement)
            change(version_2.out, statement)

    event.listen(engine, "before_cursor_execute", take_it_first)
    assert upgrade(engine) == 1
    assert len(taken) == 1
    assert version_of(engine) == VERSION


def test_a_step_that_fails_for_another_cause_is_told(engine: sa.Engine, version_2: Home) -> None:
    change(version_2.out, WITHOUT_PHASE)
    hasty = make_engine(StudyPaths(version_2.out).default_storage, busy_s=0.1)
    assert version_of(hasty) == 1  # connected
    with contextlib.closing(sqlite3.connect(StudyPaths(version_2.out).database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(exc.OperationalError, match="locked"):
            upgrade(hasty)
    hasty.dispose()
    assert version_of(engine) == 1


@pytest.mark.slow
def test_a_new_study_has_the_present_version(home: Home) -> None:
    assert home.run("run.trials=1") == 0
    engine = make_engine(StudyPaths(home.out).default_storage)
    assert version_of(engine) == VERSION
    engine.dispose()


def test_tables_of_a_later_version_are_refused_and_left_alone(version_2: Home) -> None:
    assert version_2.run(*ONE_BY_ONE, "run.trials=4") == 0
    change(version_2.out, "UPDATE sweep_version SET version = 99")
    before = StudyPaths(version_2.out).database.read_bytes()
    with pytest.raises(UserError, match=r"later version of sweep .* version 99, .* knows 5"):
        version_2.run(*ONE_BY_ONE)
    assert StudyPaths(version_2.out).database.read_bytes() == before


@pytest.mark.slow
def test_a_driver_killed_before_it_wrote_the_number_loses_nothing(version_2: Home) -> None:
    change(version_2.out, "CREATE TABLE sweep_version (version INTEGER PRIMARY KEY)")
    assert version_2.run(*ONE_BY_ONE, "run.trials=5") == 0
    assert version_2.states() == ["completed"] * 5


def test_tables_without_what_no_version_lacked_are_no_sweeps(
    engine: sa.Engine, version_2: Home
) -> None:
    change(version_2.out, "ALTER TABLE sweep_trials DROP COLUMN recipe")
    for look in (refuse_unreadable, upgrade):
        with pytest.raises(UserError, match=r"damaged, or .* its sweep_trials has no recipe"):
            look(engine)
