"""The version of sweep's tables in a storage: older ones are brought up to date, newer refused.

1: before data came in phases. 2: as 3, without a number. 3: `sweep_version` has the number.
4: trials are looked at more than once. 5: scores question by question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa
from sqlalchemy import exc

from sweep.storage import tables as t
from sweep.storage.readable import check_tables
from trainer.contract.spec import UserError

VERSION = 5
READABLE = 2  # what came later is read as not there


def create_tables(engine: sa.Engine) -> None:
    """All tables are there; older ones of another study are brought up to date. Doing it again is
    harmless."""
    _take_steps(engine, refuse_newer(engine))
    t.metadata.create_all(engine)
    _write_number(engine)


def version_of(engine: sa.Engine) -> int | None:
    """The version of the storage's tables; None where it has none of sweep's. UserError where they
    are not sweep's."""
    check_tables(engine)
    found = sa.inspect(engine)
    if not found.has_table(t.studies.name):
        return None
    has_number = found.has_table(t.version.name)
    if has_number:
        with engine.connect() as connection:
            number = connection.scalar(sa.select(sa.func.max(t.version.c.version)))
        if number is not None and number >= VERSION:
            return number
    # Told by the columns: a driver may have been killed before it wrote the number.
    if not found.has_table(t.observations.name):
        return VERSION
    columns = {column["name"] for column in found.get_columns(t.observations.name)}
    if t.observations.c.phase.name not in columns:
        return 1
    if not t.looks_are_there(engine):
        return 3 if has_number else 2
    return VERSION if found.has_table(t.scores.name) else 4


def refuse_newer(engine: sa.Engine) -> int | None:
    """The version, as `version_of`. UserError where a later version of sweep made the tables."""
    found = version_of(engine)
    if found is not None and found > VERSION:
        raise UserError(
            f"the storage was made by a later version of sweep (its tables have version {found}, "
            f"this one knows {VERSION}): go on with that version"
        )
    return found


def refuse_unreadable(engine: sa.Engine) -> None:
    """Raise UserError where the tables are newer, or so old that they must be brought up to
    date."""
    found = refuse_newer(engine)
    if found is not None and found < READABLE:
        raise UserError(
            f"the storage was made by an earlier version of sweep (its tables have version "
            f"{found}): `sweep run` of the study brings them up to date, and goes on with it"
        )
    _refuse_damaged(engine, is_current=found == VERSION)


def upgrade(engine: sa.Engine) -> int | None:
    """The version that the tables had before they were brought up to this one; None where nothing
    was to be done. The caller holds the study's lock. Safe to be killed in, and to be called
    again."""
    found = refuse_newer(engine)
    if found is None:
        return None
    _take_steps(engine, found)
    _refuse_damaged(engine, is_current=True)
    _write_number(engine)
    return None if found == VERSION else found


def _take_steps(engine: sa.Engine, version: int | None) -> None:
    """From `version` to this one. A driver of another study in the storage may take them as well:
    of two, the server lets one."""
    while version is not None and version < VERSION:
        try:
            with engine.begin() as connection:
                _STEPS[version](connection)
        except exc.DBAPIError:
            now = version_of(engine)
            if now == version:
                raise
            version = now
        else:
            version += 1


def _add_phase(connection: sa.Connection) -> None:
    column = f'"{t.observations.c.phase.name}" INTEGER NOT NULL DEFAULT 0'  # all data together
    connection.execute(sa.text(f'ALTER TABLE "{t.observations.name}" ADD COLUMN {column}'))


def _add_version(connection: sa.Connection) -> None:
    t.version.create(connection, checkfirst=True)


def _add_looks(connection: sa.Connection) -> None:
    if t.looks_are_there(connection):
        return
    column = f'"{t.trials.c.looks.name}" TEXT'  # NULL: none but the window
    connection.execute(sa.text(f'ALTER TABLE "{t.trials.name}" ADD COLUMN {column}'))


def _add_scores(connection: sa.Connection) -> None:
    t.scores.create(connection, checkfirst=True)


def _write_number(engine: sa.Engine) -> None:
    try:
        with engine.begin() as connection:
            if connection.scalar(sa.select(sa.func.max(t.version.c.version))) != VERSION:
                connection.execute(t.version.delete())
                connection.execute(t.version.insert().values(version=VERSION))
    except exc.IntegrityError:  # the driver of another study in this storage was first
        pass


_STEPS: Mapping[int, Callable[[sa.Connection], None]] = {
    1: _add_phase,
    2: _add_version,
    3: _add_looks,
    4: _add_scores,
}


def _refuse_damaged(engine: sa.Engine, *, is_current: bool) -> None:
    found = sa.inspect(engine)
    for table in t.metadata.sorted_tables:
        if table is t.version or not found.has_table(table.name):
            continue
        there = {column["name"] for column in found.get_columns(table.name)}
        if not is_current:
            there.add(t.trials.c.looks.name)
        lacking = [column.name for column in table.columns if column.name not in there]
        if lacking:
            raise UserError(
                f"the storage is damaged, or was not made by sweep: its {table.name} has no "
                f"{', '.join(lacking)}"
            )
