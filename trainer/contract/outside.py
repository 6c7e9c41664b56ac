"""What is nobody's failure: the one place that says so.

A full disk, a locked database, a folder that is gone: it passes, or somebody fixes it, and then
the work goes on. Libraries raise it as errors of many kinds, some of which are words alone. An
error that is not known here counts as a fault of whoever raised it. Imports nothing heavy.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from enum import StrEnum
from pathlib import Path


class Cause(StrEnum):
    """What keeps a program from its work and is nobody's mistake here."""

    DISK_FULL = "disk full"
    FOLDER_GONE = "folder gone"  # the study's, its data's or its base model's
    NOT_WRITABLE = "not writable"  # a file system that has become read-only, or fails
    MACHINE_LIMIT = "machine limit"  # no further file or process
    STORAGE_LOCKED = "storage locked"  # by another program
    STORAGE_GONE = "storage gone"  # the server, the connection or the file


class OutsideError(OSError):
    """An outside cause that was found without an error, or waited out in vain."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


SMALL_BYTES = 64 << 10  # what must fit where nobody knows how much is to be written
_ERRNOS = {
    Cause.DISK_FULL: ("ENOSPC", "EDQUOT", "EFBIG"),
    Cause.FOLDER_GONE: ("ESTALE", "ENOTCONN"),  # NFS, FUSE
    Cause.NOT_WRITABLE: ("EIO", "EROFS", "ENODEV", "ENXIO", "EREMOTEIO", "EHOSTDOWN"),
    Cause.MACHINE_LIMIT: ("EMFILE", "ENFILE", "EAGAIN", "ENOLCK"),
}
_CAUSE_OF_ERRNO = {
    getattr(errno, name): cause
    for cause, names in _ERRNOS.items()
    for name in names
    if hasattr(errno, name)
}
# Words count in the errors of the library whose words they are: any other may quote them.
_SQLITE_WORDS = {
    "disk is full": Cause.DISK_FULL,  # "database or disk is full"
    "database is locked": Cause.STORAGE_LOCKED,
    "table is locked": Cause.STORAGE_LOCKED,
    "schema is locked": Cause.STORAGE_LOCKED,
    "locking protocol": Cause.STORAGE_LOCKED,
    "unable to open database file": Cause.STORAGE_GONE,
    "attempt to write a readonly database": Cause.STORAGE_GONE,  # also one that was moved away
    "disk I/O error": Cause.STORAGE_GONE,
}
# torch.save: its first message, and the one for what could not be written at the end
_TORCH_CUT_SHORT = re.compile(
    r"(?:\[enforce fail at [^\]]*\][ .]*)?(?:PytorchStreamWriter failed|unexpected pos \d)"
)
# How libraries that lose the number end or begin: Rust's (safetensors, tokenizers), str(OSError),
# and the words of the C library.
_WRITTEN_ERRNO = re.compile(r"\(os error (\d+)\)[\s\"').]*$|^\[Errno (\d+)\]")
_WRITTEN_FULL = re.compile(
    r"(?:No space left on device|Disk quota exceeded)[\s\"').]*(?:\(\d+\))?$"
)
_LOSE_THE_NUMBER = ("safetensors", "tokenizers", "torch", "pyarrow", "hf_xet")
_FORKS = {"_fork_exec", "fork", "fork_exec", "posix_spawn"}  # what names them started a process
_NO_NUMBER = re.compile(  # numpy, and datasets before it downloads
    r"^\d+ requested and \d+ written$|^Not enough disk space\. Needed: "
)
_SQLSTATES = {  # PostgreSQL's, by how they begin
    "53100": Cause.DISK_FULL,
    "53": Cause.STORAGE_GONE,  # too many connections, no memory
    "08": Cause.STORAGE_GONE,  # connection
    "57P0": Cause.STORAGE_GONE,  # shut down, crashed, starting
    "58": Cause.STORAGE_GONE,  # the server's own system
    "25006": Cause.STORAGE_GONE,  # read-only: a stand-by
    "55P03": Cause.STORAGE_LOCKED,
    "40001": Cause.STORAGE_LOCKED,  # serialisation
    "40P01": Cause.STORAGE_LOCKED,  # deadlock
}


def cause_of(error: BaseException, *folders: Path, needs_bytes: int = 0) -> Cause | None:
    """The outside cause of an error, or of one that it was raised from; None: there is none.

    `folders`: what the work lives in. Once one of them is gone every error comes from that.
    `needs_bytes`: what was still to be written into the first of them. Where so much is not free
    the disk is full, whatever the error says.
    """
    if not all(map(is_there, folders)):
        return Cause.FOLDER_GONE
    found = next((cause for each in _chain(error) if (cause := _cause_alone(each, folders))), None)
    if found is Cause.STORAGE_GONE and folders and trouble_in(folders[0]) is Cause.DISK_FULL:
        return Cause.DISK_FULL  # SQLite: it cannot even make room to read
    if found is None and needs_bytes and folders and free_bytes(folders[0]) < needs_bytes:
        return Cause.DISK_FULL
    return found


def _chain(error: BaseException | None) -> Generator[BaseException]:
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = error.__suppress_context__  # raised `from None`: it says all there is to say
        error = error.__cause__ or (None if hidden else error.__context__)


def _cause_alone(error: BaseException, folders: tuple[Path, ...]) -> Cause | None:
    if isinstance(error, OutsideError):
        return error.cause
    if isinstance(error, ValueError):
        return None  # a sentence for the user, which may quote anything
    if isinstance(error, OSError) and error.errno is not None:
        if error.errno in (errno.EACCES, errno.EPERM):
            return Cause.NOT_WRITABLE if _is_below(error.filename, folders) else None
        return None if _is_of_a_socket(error) else _CAUSE_OF_ERRNO.get(error.errno)
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return next((_SQLSTATES[s] for s in _SQLSTATES if state.startswith(s)), None)
    if getattr(error, "connection_invalidated", False) or _is_lost_connection(error):
        return Cause.STORAGE_GONE
    return _cause_in_words(error)


def _is_of_a_socket(error: OSError) -> bool:
    """Whether it is an error that sockets raise as well as file systems and fork, and raised so."""
    if error.errno == errno.ENOTCONN:
        return error.filename is None
    if error.errno != errno.EAGAIN:
        return False
    raised = error.__traceback__
    while raised is not None and raised.tb_next is not None:
        raised = raised.tb_next
    return raised is None or not _FORKS.intersection(raised.tb_frame.f_code.co_names)


def _cause_in_words(error: BaseException) -> Cause | None:
    kind, library = type(error), type(error).__module__.partition(".")[0]
    if library == "sqlalchemy":
        error = getattr(error, "orig", None) or error  # without the statement and its values
        library = type(error).__module__.partition(".")[0]
    text = str(error)
    if library == "sqlite3":
        return next((cause for word, cause in _SQLITE_WORDS.items() if word in text), None)
    if kind is RuntimeError and _TORCH_CUT_SHORT.match(text):
        return Cause.DISK_FULL
    if isinstance(error, OSError) and _NO_NUMBER.match(text):
        return Cause.DISK_FULL
    is_plain = kind in (Exception, RuntimeError) or isinstance(error, OSError)  # tokenizers, torch
    if not is_plain and library not in _LOSE_THE_NUMBER:
        return None
    if _WRITTEN_FULL.search(text):
        return Cause.DISK_FULL
    written = _WRITTEN_ERRNO.search(text)
    return _CAUSE_OF_ERRNO.get(int(written[1] or written[2])) if written else None


def _is_lost_connection(error: BaseException) -> bool:
    """psycopg gives no SQLSTATE where no server answered."""
    kind = type(error)
    is_psycopg = kind.__module__.partition(".")[0] == "psycopg"
    return is_psycopg and kind.__name__ in ("OperationalError", "InterfaceError")


def _is_below(name: object, folders: tuple[Path, ...]) -> bool:
    if not isinstance(name, str):
        return False
    return any(Path(name).is_relative_to(folder) for folder in folders)


def is_there(folder: Path) -> bool:
    """Whether a file or folder can be reached; true where that cannot be told."""
    try:
        folder.stat()
    except OSError as error:
        gone = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENOTCONN)
        return error.errno not in gone
    return True


def trouble_in(folder: Path, needs_bytes: int = SMALL_BYTES) -> Cause | None:
    """What keeps `needs_bytes` from being written into a folder; a small file is, and is deleted:
    a quota can be full where the disk is not."""
    try:
        if free_bytes(folder) < needs_bytes:
            return Cause.DISK_FULL
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * min(needs_bytes, SMALL_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return cause_of(error, folder)
    return None


def free_bytes(folder: Path) -> int:
    """Free bytes of the folder's file system."""
    return shutil.disk_usage(folder).free


def described(cause: Cause, folder: Path, needs_bytes: int = 0) -> str:
    """The cause in words; of a full disk how much is needed and how much is there."""
    match cause:
        case Cause.DISK_FULL if needs_bytes and is_there(folder):
            there = f"{_size(needs_bytes)} needed, {_size(free_bytes(folder))} free"
            return f"no room on the disk ({there} in {folder})"
        case Cause.DISK_FULL:
            return f"no room on the disk ({folder})"
        case Cause.FOLDER_GONE:
            return f"a folder that it works in is gone ({folder})"
        case Cause.NOT_WRITABLE:
            return f"the file system takes no writes ({folder})"
        case Cause.MACHINE_LIMIT:
            return "the machine gives no further files or processes"
        case Cause.STORAGE_LOCKED:
            return "the storage is locked by another program"
        case Cause.STORAGE_GONE:
            return "the storage cannot be reached"


def _size(num_bytes: int) -> str:
    """`3.2 MB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return f"{num_bytes / 1e3:.0f} kB"
