"""What is nobody's failure: errors as the libraries really raise them, and their causes."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import StorageInternalError
from safetensors import SafetensorError
from sqlalchemy import exc

from trainer.contract.hub import find_model
from trainer.contract.outside import (
    Cause,
    OutsideError,
    cause_of,
    described,
    free_bytes,
    is_there,
    trouble_in,
)
from trainer.contract.spec import ModelSpec, UserError
from trainer.data.rows import read_source
from trainer.data.template import read_template
from trainer.model.load import check_model


class PostgresError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("what the server said")
        self.sqlstate = sqlstate


def no_answer() -> Exception:
    """As psycopg raises it where no server listens."""
    kind = type("OperationalError", (Exception,), {"__module__": "psycopg"})
    return kind("connection failed: connection to server at 127.0.0.1 failed: Connection refused")


def through_optuna(error: Exception) -> Exception:
    """As Optuna wraps what its database raises."""
    wrapped = StorageInternalError("An exception is raised during the commit.")
    middle = exc.OperationalError("INSERT", {}, error)
    wrapped.__cause__, middle.__cause__ = middle, error
    return wrapped


def os_error(name: str, path: str | None = None) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number), path)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (os_error("ENOSPC"), Cause.DISK_FULL),
        (os_error("EDQUOT"), Cause.DISK_FULL),
        (os_error("EFBIG"), Cause.DISK_FULL),
        (
            RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 640 vs 598"),
            Cause.DISK_FULL,
        ),
        (RuntimeError("PytorchStreamWriter failed writing file data/3"), Cause.DISK_FULL),
        (
            SafetensorError(
                "Error while serializing: I/O error: No space left on device (os error 28)"
            ),
            Cause.DISK_FULL,
        ),
        (SafetensorError("Error while serializing: I/O error: (os error 122)"), Cause.DISK_FULL),
        (SafetensorError("I/O error: Read-only file system (os error 30)"), Cause.NOT_WRITABLE),
        (OSError("1048576 requested and 262112 written"), Cause.DISK_FULL),  # numpy
        (OSError("Not enough disk space. Needed: 2.00 GiB (download: 1.00 GiB"), Cause.DISK_FULL),
        (sqlite3.OperationalError("database or disk is full"), Cause.DISK_FULL),
        (through_optuna(sqlite3.OperationalError("database is locked")), Cause.STORAGE_LOCKED),
        (sqlite3.OperationalError("database table is locked"), Cause.STORAGE_LOCKED),
        (sqlite3.OperationalError("unable to open database file"), Cause.STORAGE_GONE),
        (sqlite3.OperationalError("attempt to write a readonly database"), Cause.STORAGE_GONE),
        (sqlite3.OperationalError("disk I/O error"), Cause.STORAGE_GONE),
        (through_optuna(PostgresError("53100")), Cause.DISK_FULL),
        (PostgresError("57P01"), Cause.STORAGE_GONE),  # shut down by an administrator
        (PostgresError("57P03"), Cause.STORAGE_GONE),  # still starting
        (PostgresError("08006"), Cause.STORAGE_GONE),
        (PostgresError("53300"), Cause.STORAGE_GONE),  # too many connections
        (PostgresError("25006"), Cause.STORAGE_GONE),  # read-only
        (PostgresError("55P03"), Cause.STORAGE_LOCKED),
        (PostgresError("40P01"), Cause.STORAGE_LOCKED),
        (through_optuna(no_answer()), Cause.STORAGE_GONE),
        (os_error("EROFS"), Cause.NOT_WRITABLE),
        (os_error("EIO"), Cause.NOT_WRITABLE),
        (os_error("ESTALE"), Cause.FOLDER_GONE),
        (os_error("ENOTCONN", "/fuse/x"), Cause.FOLDER_GONE),
        (os_error("EMFILE"), Cause.MACHINE_LIMIT),
        (Exception("No space left on device (os error 28)"), Cause.DISK_FULL),  # tokenizers
        (OSError("[Errno 28] No space left on device: 'x'"), Cause.DISK_FULL),
        (
            RuntimeError("unable to write to file </t>: No space left on device (28)"),
            Cause.DISK_FULL,
        ),
        (OutsideError(Cause.STORAGE_LOCKED, "for ten minutes"), Cause.STORAGE_LOCKED),
    ],
)
def test_an_outside_cause_is_known_by_its_error(error: Exception, cause: Cause) -> None:
    assert cause_of(error) is cause
    outer = RuntimeError("something could not be saved")
    outer.__cause__ = error
    assert cause_of(outer) is cause


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        KeyError("database"),
        UserError("data.train: no such file"),
        UserError("a sentence that quotes: disk I/O error, database is locked"),
        os_error("ENOENT", "/no/such/file"),
        os_error("EACCES", "/etc/shadow"),
        sqlite3.OperationalError("no such table: sweep_trials"),
        sqlite3.DatabaseError("database disk image is malformed"),
        PostgresError("23505"),  # a key twice
        PostgresError("28P01"),  # a wrong password
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("a template says: database is locked"),
        Exception("row 3 is 'the disk is full', row 4 'No space left on device', which is odd"),
        KeyError("(os error 28)"),
        RuntimeError("it quotes: unexpected pos 640 vs 598"),
        exc.OperationalError(
            "INSERT", {"x": "disk I/O error"}, sqlite3.OperationalError("no such column: x")
        ),
        os_error("ENOTCONN"),  # of a socket, as the next one
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    ],
)
def test_other_errors_have_none(error: Exception, tmp_path: Path) -> None:
    assert cause_of(error) is None
    assert cause_of(error, tmp_path) is None


def test_one_number_of_fork_and_sockets_counts_where_a_process_was_to_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start() -> int:
        return os.fork()

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        with pytest.raises(BlockingIOError) as raised:
            ours.recv(1)
        assert raised.value.errno == errno.EAGAIN and cause_of(raised.value) is None
        monkeypatch.setattr("os.fork", partial(ours.recv, 1))  # raises the same, without a frame
        with pytest.raises(BlockingIOError) as raised:
            start()
        assert cause_of(raised.value) is Cause.MACHINE_LIMIT


def test_an_error_raised_from_none_says_all_there_is_to_say() -> None:
    with pytest.raises(UserError) as refusal:
        try:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        except BlockingIOError:
            raise UserError("another driver runs this study") from None
    assert cause_of(refusal.value) is None


def test_once_a_folder_is_gone_every_error_comes_from_that(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for error in (UserError("gone holds no prepared data"), FileNotFoundError(2, "", str(gone))):
        assert cause_of(error, tmp_path) is None
        assert cause_of(error, tmp_path, gone) is Cause.FOLDER_GONE


def test_what_is_forbidden_counts_below_the_folders_alone(tmp_path: Path) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "x"))
    assert cause_of(error, tmp_path) is Cause.NOT_WRITABLE
    assert cause_of(error) is None


def test_a_write_that_fails_where_it_cannot_fit_met_a_full_disk(tmp_path: Path) -> None:
    error = RuntimeError("words that nobody knows")
    assert cause_of(error, tmp_path, needs_bytes=1) is None
    assert cause_of(error, tmp_path, needs_bytes=2 * free_bytes(tmp_path)) is Cause.DISK_FULL


def test_sqlite_has_one_word_for_a_full_disk_and_a_lost_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    assert cause_of(error, tmp_path) is Cause.STORAGE_GONE
    monkeypatch.setattr("trainer.contract.outside.free_bytes", lambda _: 0)
    assert cause_of(error, tmp_path) is Cause.DISK_FULL


def test_what_keeps_a_folder_from_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trouble_in(tmp_path) is None
    assert trouble_in(tmp_path / "gone") is Cause.FOLDER_GONE
    assert trouble_in(tmp_path, 2 * free_bytes(tmp_path)) is Cause.DISK_FULL
    assert list(tmp_path.iterdir()) == []

    def full(*_: Any, **__: Any) -> Any:
        raise os_error("EDQUOT")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    assert trouble_in(tmp_path) is Cause.DISK_FULL


def test_a_full_disk_is_described_with_what_is_needed_and_free(tmp_path: Path) -> None:
    text = described(Cause.DISK_FULL, tmp_path, 540_000_000)
    assert text.startswith("no room on the disk (540 MB needed, ")
    assert f" free in {tmp_path})" in text
    assert not is_there(tmp_path / "gone")
    assert str(tmp_path / "gone") in described(Cause.FOLDER_GONE, tmp_path / "gone")


def wrapped(error: Exception) -> Exception:
    """As libraries raise what they met: in words of their own."""
    own = RuntimeError("something went wrong")
    own.__cause__ = error
    return own


READS = {
    "a model of the Hub": "huggingface_hub.snapshot_download",
    "data of the Hub": "huggingface_hub.HfApi.dataset_info",
    "a data file": "trainer.data.rows.read_jsonl",
    "a template": "pathlib.Path.read_text",
    "a model's config": "trainer.model.load._read_json",
    "a model": "trainer.model.load.AutoConfig.from_pretrained",
    "a shard": "safetensors.safe_open",
}


@pytest.mark.parametrize("what", READS)
@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (os_error("ENOSPC"), Cause.DISK_FULL),
        (os_error("EIO"), Cause.NOT_WRITABLE),
        (os_error("EMFILE"), Cause.MACHINE_LIMIT),
        (OSError("unknown"), None),
    ],
)
def test_what_cannot_be_read_from_outside_is_no_mistake_of_the_user(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tiny_model: Path,
    what: str,
    error: OSError,
    cause: Cause | None,
) -> None:
    is_library = what in ("a model of the Hub", "data of the Hub", "a model", "a shard")
    raised = wrapped(error) if is_library else error

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise raised

    rows = tmp_path / "own.jsonl"
    rows.write_text("{}")
    monkeypatch.setattr(READS[what], fail)
    with pytest.raises(Exception) as caught:
        match what:
            case "a model of the Hub":
                find_model(ModelSpec("someone/model"))
            case "data of the Hub":
                read_source("someone/rows", "train", tmp_path)
            case "a data file":
                read_source(str(rows), "train", tmp_path)
            case "a template":
                read_template(str(rows))
            case _:
                check_model(ModelSpec(str(tiny_model)))
    assert cause_of(caught.value) is cause
    assert isinstance(caught.value, UserError) == (cause is None)
