"""A folder for the sockets of multiprocessing, whatever TMPDIR is."""

from __future__ import annotations

import contextlib
import multiprocessing.util
import os
import tempfile
from pathlib import Path

from trainer.contract.spec import UserError

# sun_path takes 108 bytes on Linux and 104 on a Mac, with a NUL; /pymp-xxxxxxxx/listener-xxxxxxxx
# is 32 of them.
LONGEST_FOLDER = 70
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")


def use_short_socket_folder() -> None:
    """Let multiprocessing make its sockets where their paths are short enough, in this process and
    in those it starts. Batch systems give temporary folders that are too long.

    Call it before the first process is started. UserError where no folder can be written to.
    """
    try:
        given = tempfile.gettempdir()
    except FileNotFoundError as error:  # none of those that Python tries can be written to
        raise UserError(
            f"no temporary folder can be written to ({error.strerror}): set TMPDIR to one that can"
        ) from None
    if len(os.fsencode(given)) <= LONGEST_FOLDER:
        return
    before = tempfile.tempdir
    try:
        tempfile.tempdir = _short_folder()
        multiprocessing.util.get_temp_dir()  # makes it, and keeps it for all that follows
    finally:
        tempfile.tempdir = before


def _short_folder() -> str:
    folders = [*_SHORT, os.environ.get("XDG_RUNTIME_DIR", ""), str(Path.cwd())]
    for folder in folders:
        if folder and len(os.fsencode(folder)) <= LONGEST_FOLDER:
            with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=folder):
                return folder
    raise UserError(
        f"TMPDIR: {tempfile.gettempdir()} is too long for sockets, and none of "
        f"{', '.join(_SHORT)} can be written to: set TMPDIR to a folder with a path of at most "
        f"{LONGEST_FOLDER} bytes"
    )
