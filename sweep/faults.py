"""Telling a full disk from everything else that a write can raise."""

from __future__ import annotations

import errno

FULL = (errno.ENOSPC, errno.EDQUOT)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, says that no room is left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if "disk is full" in str(error) or "No space left on device" in str(error):
            return True  # SQLite's and PostgreSQL's words
        error = error.__cause__ or error.__context__
    return False
