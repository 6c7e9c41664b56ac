"""Optuna's tables of a study's storage, to be read: the database itself refuses a write."""

from __future__ import annotations

import sqlite3
from typing import Any
from urllib.parse import quote

from sqlalchemy import NullPool

from sweep.storage.engine import connectable, sqlite_file
from sweep.storage.readable import bounded


def read_only_arguments(url: str) -> dict[str, Any]:
    """What `optuna.storages.RDBStorage` takes to read the storage at a URL and never to write."""
    file = sqlite_file(url)
    options: dict[str, Any] = {"poolclass": NullPool}
    if file is None:
        url = connectable(url)
        options["connect_args"] = {"options": "-c default_transaction_read_only=on"}
    else:
        path, url = f"file:{quote(str(file.absolute()))}?mode=ro", "sqlite://"
        options["creator"] = lambda: bounded(sqlite3.connect(path, uri=True, timeout=30))
    return {"url": url, "engine_kwargs": options, "skip_table_creation": True}
