"""Whether a storage is what sweep writes, asked before it is read: it may be a stranger's."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import exc

from sweep.storage import tables as t
from trainer.contract.safe_text import clipped, url_without_secrets
from trainer.contract.spec import UserError

MOST_CELL_BYTES = 256 << 20  # of one text that SQLite hands out
_TYPES = (  # of SQLAlchemy's columns, what SQLite may hold there: it takes anything
    (sa.Integer, ("integer",)),
    (sa.Float, ("real", "integer")),
    (sa.String, ("text",)),
    (t.Json, ("text",)),
    (t.Words, ("text",)),
    (sa.LargeBinary, ("blob",)),
)
_LARGE = (t.observations.name, t.decisions.name, t.scores.name)  # not read through for a check


def bounded(connection: sqlite3.Connection) -> sqlite3.Connection:
    """The connection, fit to read what somebody else wrote: no function of a schema is trusted, no
    cell is huge."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_CELL_BYTES)
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def check_tables(engine: sa.Engine) -> None:
    """Raise UserError where something else stands under the name of one of our tables: a view can
    run for ever, and SQLite lets a column hold anything."""
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as connection:
        for table in t.metadata.sorted_tables:
            found = connection.execute(
                sa.text("SELECT type, sql FROM sqlite_master WHERE name = :name"),
                {"name": table.name},
            ).first()
            if found is None:
                continue
            kind, sql = found
            if kind != "table" or str(sql).upper().split()[:2] != ["CREATE", "TABLE"]:
                raise _odd(table.name, "is not a plain table")
            hidden = connection.execute(sa.text(f"PRAGMA table_xinfo('{table.name}')")).all()
            if any(column.hidden for column in hidden):
                raise _odd(table.name, "has columns that are computed")
            if table.name not in _LARGE:
                _check_cells(connection, table, {column.name for column in hidden})


def _check_cells(connection: sa.Connection, table: sa.Table, there: set[str]) -> None:
    wrong: list[str] = []
    for column in table.columns:
        kinds = next(kinds for kind, kinds in _TYPES if isinstance(column.type, kind))
        kinds += ("null",) * bool(column.nullable)
        listed = ", ".join(f"'{kind}'" for kind in kinds)
        if column.name in there:
            wrong.append(f'typeof("{column.name}") NOT IN ({listed})')
    if not wrong:
        return
    where = " OR ".join(wrong)
    if connection.execute(sa.text(f'SELECT 1 FROM "{table.name}" WHERE {where} LIMIT 1')).first():
        raise _odd(table.name, "has values of other types than sweep writes")


def _odd(table: str, what: str) -> UserError:
    return UserError(
        f"the storage is damaged, or was not made by sweep: its {table} {what}; name another, or "
        "take it from a backup"
    )


def check_study(name: str, document: Any, facts: Any) -> None:
    """Raise UserError where a stored study lacks what nothing can be said of it without."""
    lacking = [
        path
        for path in ("model.base", "objective.metric", "run.seed")
        if not isinstance(_at(document, path), str | int)
    ]
    if not isinstance(facts, Mapping):
        lacking.append("what was prepared")
    if lacking:
        raise UserError(
            f"the study {clipped(name)!r} cannot be read: its storage does not say "
            f"{', '.join(lacking)}"
        )


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None
    return value


@contextmanager
def readable(where: str) -> Generator[None]:
    """A context that turns what reading a storage raises inside into one sentence (UserError). For
    commands that read: a driver has to tell what is outside (trainer/contract/outside.py)."""
    shown = clipped(url_without_secrets(where))
    try:
        yield
    except UserError:
        raise
    except (exc.SQLAlchemyError, sqlite3.Error, ModuleNotFoundError) as error:
        raise UserError(f"the storage of {shown!r} cannot be read: {in_words(error)}") from None
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
            AssertionError, RecursionError) as error:  # fmt: skip
        raise UserError(
            f"the storage of {shown!r} does not hold what sweep writes there "
            f"({type(error).__name__}: {in_words(error)})"
        ) from None


def in_words(error: BaseException) -> str:
    """The first line of what a library says."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return clipped(lines[0])
