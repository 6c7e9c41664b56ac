"""What an open study stands on: its folder, its database, its lock. All of it can go away while
programs that have files open notice nothing, and write on to where nobody will ever read it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sweep.storage.paths import StudyPaths
from trainer.contract.outside import Cause, OutsideError, is_there, trouble_in

LOCK_EVERY_S = 10.0  # a question to a database server


class Premises:
    """The folder, the database and the lock of an open study."""

    def __init__(
        self, paths: StudyPaths, database: Path | None, check_lock: Callable[[], None]
    ) -> None:
        """`database`: the file, None on a server."""
        self.paths, self.database = paths, database
        self._check_lock, self._lock_checked_s = check_lock, time.monotonic()
        self._inode = None if database is None else _inode(database)

    def check(self) -> None:
        """Raises OutsideError, or what the storage raises, where one of them is gone."""
        if not is_there(self.paths.out) or not is_there(self.paths.data / "prepared.json"):
            raise folder_is_gone(self.paths)
        if self.database is not None and _inode(self.database) != self._inode:
            raise database_is_gone(self.database)
        if time.monotonic() - self._lock_checked_s >= LOCK_EVERY_S:
            self._lock_checked_s = time.monotonic()
            self._check_lock()

    def trouble(self) -> Cause | None:
        """What is wrong at this moment, where that alone may explain that a trial has failed."""
        if self.database is not None and not is_there(self.database):
            return Cause.STORAGE_GONE
        return trouble_in(self.paths.out)


def folder_is_gone(paths: StudyPaths) -> OutsideError:
    """The error of a study whose folder is gone."""
    return OutsideError(Cause.FOLDER_GONE, f"the study's folder {paths.out} is gone")


def database_is_gone(database: Path) -> OutsideError:
    """The error of a study whose database file is gone."""
    return OutsideError(Cause.STORAGE_GONE, f"the study's database {database} is gone")


def _inode(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
