"""The study's one storage: from its URL to an engine, and what it holds."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event, exc

from sweep import tables as t
from trainer.spec import UserError


def make_engine(url: str, *, read_only: bool = False) -> sa.Engine:
    """An engine for a storage URL, with WAL for SQLite. UserError where the URL is no good."""
    try:
        parsed = _parsed(url)
        if parsed.get_backend_name() != "sqlite":
            return sa.create_engine(parsed)
        if read_only:
            uri = f"file:{quote(str(Path(parsed.database or '').absolute()))}?mode=ro"
            return sa.create_engine(
                "sqlite://",
                creator=lambda: sqlite3.connect(uri, uri=True, timeout=30),
                poolclass=sa.pool.NullPool,
            )
        engine = sa.create_engine(parsed, connect_args={"timeout": 30})
    except (exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise _bad_url(url, str(error)) from None

    @event.listens_for(engine, "connect")
    def use_wal(connection: Any, _: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


def sqlite_file(url: str) -> Path | None:
    """The file behind a SQLite URL; None for other databases. UserError for no URL at all."""
    parsed = _parsed(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise _bad_url(url, str(error)) from None
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise _bad_url(url, "it names no file")
        if parsed.query:
            raise _bad_url(url, "a path with a ? in it, or options")
    return parsed


def _bad_url(url: str, why: str) -> UserError:
    return UserError(
        f"storage {url!r} cannot be used: {why}; right is sqlite:////full/path.db or "
        "postgresql+psycopg://user@host/database (pip install 'sft-sweep[postgres]')"
    )


def refuse_older(engine: sa.Engine) -> None:
    """UserError where an earlier version made the tables: they lack what this one writes."""
    found = sa.inspect(engine)
    for table in t.metadata.sorted_tables:
        if not found.has_table(table.name):
            continue
        there = {column["name"] for column in found.get_columns(table.name)}
        lacking = [column.name for column in table.columns if column.name not in there]
        if lacking:
            raise UserError(
                f"the storage was made by an earlier version of sweep (its {table.name} has no "
                f"{', '.join(lacking)}): go on with that version, or start anew with another --out "
                "or --storage"
            )


def study_names(engine: sa.Engine) -> list[str]:
    """The sweep studies that a storage holds."""
    if not sa.inspect(engine).has_table(t.studies.name):
        return []
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(t.studies.c.study).order_by(t.studies.c.study)))
