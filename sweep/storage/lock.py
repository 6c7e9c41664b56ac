"""One driver per storage: the second is refused with a sentence that names the first."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from sweep.storage.engine import server_engine, sqlite_file
from trainer.contract.outside import Cause, OutsideError
from trainer.contract.spec import UserError

Check = Callable[[], None]


@contextmanager
def only_driver(url: str, study: str) -> Generator[Check]:
    """The study is held for this process while the context lasts. UserError where another driver
    holds it.

    Yields a check that raises where the lock is lost, with its file or its connection.
    """
    file = sqlite_file(url)
    with _file_lock(file, study) if file is not None else _server_lock(url, study) as check:
        yield check


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _name() -> str:
    """Of our connection, as PostgreSQL keeps it: at most 63 bytes."""
    return f"sweep, {_me()}"[:63]


def _refusal(study: str, holder: str) -> UserError:
    return UserError(
        f"study {study!r} is already being run by {holder}: wait for it, or stop it there with "
        "Ctrl-C"
    )


@contextmanager
def _file_lock(database: Path, study: str) -> Generator[Check]:
    """A lock that goes away with the process that holds it, however that ends."""
    path = database.with_name(database.name + ".lock")
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _refusal(study, file.read(200).strip() or "another process") from None
        file.truncate(0)
        file.write(_me())
        file.flush()

        def check() -> None:
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                raise OutsideError(Cause.STORAGE_GONE, f"the study's lock {path} is gone")

        yield check


@contextmanager
def _server_lock(url: str, study: str) -> Generator[Check]:
    """A PostgreSQL advisory lock: it lives as long as the session does."""
    key = int.from_bytes(hashlib.sha256(study.encode()).digest()[:4]) & 0x7FFFFFFF
    engine = server_engine(url, application_name=_name())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
            holder = connection.scalar(
                sa.text(
                    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                    "WHERE l.locktype = 'advisory' AND l.objid = :key AND l.granted"
                ),
                {"key": key},
            )
            if holder == _name():  # a connection that broke, which the server has not seen
                raise OutsideError(
                    Cause.STORAGE_LOCKED, f"the server still holds {study!r} for a lost connection"
                )
            raise _refusal(study, holder or "another process")
        ping = sa.text("SELECT 1")
        try:
            yield lambda: connection.execute(ping).close()
        except BaseException:
            connection.invalidate()  # it may be broken, which closing it would complain of
            raise
