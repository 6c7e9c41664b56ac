"""Telling a full disk from everything else that a write can raise."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


class PreparationFailed(RuntimeError):
    """The data or the model could not be prepared, by no mistake of the user's that can be told."""


def is_disk_full(error: BaseException | None, folder: Path) -> bool:
    """Whether an error, or one that it was raised from, says that no room is left in `folder`."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if "disk is full" in str(error) or "No space left on device" in str(error):
            return True  # SQLite's and PostgreSQL's words
        if "disk I/O error" in str(error) and not has_room(folder):
            return True  # SQLite's, where it cannot even make room to read
        error = error.__cause__ or error.__context__
    return False


def has_room(folder: Path) -> bool:
    """Whether a small file can be written: also a quota can be full."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"\0" * (64 << 10))
    except OSError as error:
        return error.errno not in FULL
    return True
