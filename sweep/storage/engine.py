"""The study's one storage: from its URL to an engine, and what it holds."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event, exc

from sweep.storage import tables as t
from sweep.storage.readable import bounded, check_tables, in_words
from trainer.contract.outside import Cause, cause_of, is_there
from trainer.contract.safe_text import (
    HIDDEN,
    clipped,
    is_secret_key,
    keep_secret,
    url_without_secrets,
)
from trainer.contract.spec import UserError

CONNECT_S = 10  # for how long a server that does not answer is waited for


def make_engine(url: str, *, read_only: bool = False, busy_s: float = 30.0) -> sa.Engine:
    """An engine for a storage URL, with WAL for SQLite, which waits `busy_s` for a lock. UserError
    where the URL is no good."""
    parsed = _parsed(url)
    try:
        if parsed.get_backend_name() != "sqlite":
            return sa.create_engine(parsed, connect_args={"connect_timeout": CONNECT_S})
        if read_only:
            uri = f"file:{quote(str(Path(parsed.database or '').absolute()))}?mode=ro"
            return sa.create_engine(
                "sqlite://",
                creator=lambda: bounded(sqlite3.connect(uri, uri=True, timeout=30)),
                poolclass=sa.pool.NullPool,
            )
        engine = sa.create_engine(parsed, connect_args={"timeout": busy_s})
    except (exc.SQLAlchemyError, ModuleNotFoundError, TypeError, ValueError) as error:
        raise _bad_url(url, in_words(error)) from None

    @event.listens_for(engine, "connect")
    def use_wal(connection: Any, _: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


def server_engine(url: str, **connect_args: Any) -> sa.Engine:
    """An engine that opens a connection for each use. UserError where the URL is no good."""
    try:
        connect_args = {"connect_timeout": CONNECT_S} | connect_args
        return sa.create_engine(_parsed(url), poolclass=sa.pool.NullPool, connect_args=connect_args)
    except (exc.SQLAlchemyError, ModuleNotFoundError, TypeError, ValueError) as error:
        raise _bad_url(url, in_words(error)) from None


def check_server(url: str) -> None:
    """Raise UserError where the URL is no good, or is a server's that does not let us in. Asked
    once, before anything is prepared: what becomes of the server later is not the user's
    mistake."""
    if sqlite_file(url) is None:
        try:
            server_engine(url).connect().close()
        except exc.SQLAlchemyError as error:
            shown = clipped(url_without_secrets(url))
            raise UserError(
                f"storage {shown!r} cannot be reached: {in_words(error)}. A password is taken from "
                "PGPASSWORD or ~/.pgpass where the URL has none"
            ) from None


def sqlite_file(url: str) -> Path | None:
    """The file behind a SQLite URL; None for other databases. UserError for no URL at all."""
    parsed = _parsed(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def connectable(url: str) -> str:
    """The URL as libraries take it: *** in place of a password, as earlier versions stored it,
    is none, and the server's own ways (PGPASSWORD, .pgpass) are left to give one."""
    return _parsed(url).render_as_string(hide_password=False)


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except ValueError:
        raise _bad_url(url, "its port is not a number") from None
    except exc.ArgumentError:
        raise _bad_url(url, "it is not a database URL") from None
    if parsed.get_backend_name() == "sqlite":
        if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
            raise _bad_url(url, f"{parsed.drivername} is not a supported driver")
        if parsed.database in (None, "", ":memory:"):
            raise _bad_url(url, "it names no file")
        if parsed.query:
            raise _bad_url(url, "a path with a ? in it, or options")
        return parsed
    if "@" in (parsed.host or ""):
        raise _bad_url(url, "in a user or a password @ is written %40")
    return _with_known_secrets(parsed)


def _with_known_secrets(parsed: sa.URL) -> sa.URL:
    """Without those that were hidden; the others are hidden from now on in whatever is said."""
    query = {
        key: value
        for key, value in parsed.query.items()
        if not (is_secret_key(key) and value == HIDDEN)
    }
    for key, value in query.items():
        if is_secret_key(key) and isinstance(value, str):
            keep_secret(value)
    password = None if parsed.password == HIDDEN else parsed.password
    if password not in (parsed.username, parsed.host, parsed.database):
        keep_secret(password)
    return sa.URL.create(
        parsed.drivername,
        parsed.username,
        password,
        parsed.host,
        parsed.port,
        parsed.database,
        query,
    )


def _bad_url(url: str, why: str) -> UserError:
    return UserError(
        f"storage {clipped(url_without_secrets(url))!r} cannot be used: {why}; right is "
        "sqlite:////full/path.db or postgresql+psycopg://user@host/database "
        "(pip install 'sft-sweep[postgres]')"
    )


def is_outside(error: exc.DBAPIError, database: Path | None) -> bool:
    """Whether a cause outside keeps a storage that is there from being used; `database`: its file,
    None on a server."""
    folders = [database.parent] if database is not None and is_there(database.parent) else []
    return cause_of(error, *folders) not in (None, Cause.STORAGE_GONE)  # or the URL is wrong


def study_names(engine: sa.Engine) -> list[str]:
    """The sweep studies that a storage holds."""
    check_tables(engine)
    if not sa.inspect(engine).has_table(t.studies.name):
        return []
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(t.studies.c.study).order_by(t.studies.c.study)))
