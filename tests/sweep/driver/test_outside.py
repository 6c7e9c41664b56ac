"""A driver and the outside: locks, full disks, what is gone, clocks. No trial is to pay for it."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from sweep.storage.find import open_study
from sweep.storage.ledger import Ledger
from sweep.storage.patience import Patience
from tests.support.home import Home
from trainer.contract.outside import Cause, OutsideError

pytestmark = pytest.mark.slow

ONE_BY_ONE = ("run.workers=1", "run.trials=4", "pruning.enabled=false")
LOCKED = sqlite3.OperationalError("database is locked")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.storage.patience.PAUSE_S", 0.01)
    monkeypatch.setattr("sweep.storage.patience.SAY_AFTER_S", 0.1)
    monkeypatch.setattr("sweep.sessions.PAUSES_S", (0.05,))


@pytest.fixture
def undisturbed(home: Home) -> list[Any]:
    """The objectives of the study where nothing happens to it; then it is as if it had not been."""
    assert home.run(*ONE_BY_ONE) == 0
    found = objectives(home)
    shutil.rmtree(home.out)
    home.lines.clear()
    return found


def objectives(home: Home) -> list[Any]:
    return [trial["objective"] for trial in home.document()["trials"]]


def said(home: Home, capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join([*home.lines, *capsys.readouterr().out.split()])


def assert_undisturbed(home: Home, undisturbed: list[Any]) -> None:
    document = home.document()
    assert objectives(home) == undisturbed
    assert [trial["error"] for trial in document["trials"]] == [None] * len(undisturbed)
    assert [trial.state.name for trial in home.optuna_trials()] == ["COMPLETE"] * len(undisturbed)
    assert document["best"]["number"] == int((home.out / "best" / "model.safetensors").read_text())


def after_trial(number: int, do: Callable[[], Any], what: str = "completed") -> Any:
    """For Home.on_line: do something once, when a trial has completed, or begun."""
    done = list[int]()

    def on_line(line: str) -> None:
        if not done and line.startswith(f"trial {number}: {what}"):
            done.append(1)
            do()

    return on_line


def later(seconds: float, do: Callable[[], Any]) -> None:
    threading.Timer(seconds, do).start()


@contextmanager
def raising(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: Exception, calls: range
) -> Iterator[None]:
    """These calls of a method raise an error, the later half of them after they did their work."""
    real, count = getattr(owner, name), [0]

    def call(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        fails = count[0] in calls
        if fails and count[0] % 2:
            raise error
        result = real(*args, **kwargs)
        if fails:
            raise error
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, call)
        yield
    assert count[0] >= calls.start


def test_another_programs_lock_is_waited_for(home: Home, undisturbed: list[Any]) -> None:
    def lock() -> None:
        other = sqlite3.connect(home.out / "study.db", check_same_thread=False)
        other.execute("BEGIN EXCLUSIVE")
        later(3.0, lambda: (other.rollback(), other.close()))

    home.on_line = after_trial(1, lock, "learning_rate")
    assert home.run(*ONE_BY_ONE) == 0
    assert any("the storage is locked by another program: waiting since" in x for x in home.lines)
    assert any("the storage is free again after" in line for line in home.lines)
    assert_undisturbed(home, undisturbed)
    assert [trial["attempts"] for trial in home.document()["trials"]] == [1] * 4


def test_a_lock_that_lasts_ends_the_command_and_the_same_one_goes_on(
    home: Home, undisturbed: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    others = list[sqlite3.Connection]()

    def lock() -> None:
        others.append(sqlite3.connect(home.out / "study.db"))
        others[0].execute("BEGIN EXCLUSIVE")

    home.on_line = after_trial(1, lock, "learning_rate")
    assert home.run(*ONE_BY_ONE, "run.wait_minutes=0.005") == 75
    assert "The storage is locked by another program." in said(home, capsys)
    others[0].rollback()
    others[0].close()
    assert home.run(*ONE_BY_ONE) == 0
    assert_undisturbed(home, undisturbed)


def test_patience_ends_when_it_is_interrupted() -> None:
    calls = list[int]()

    def work() -> None:
        calls.append(1)
        raise LOCKED

    patience = Patience(3600, is_interrupted=lambda: len(calls) == 3)
    with pytest.raises(sqlite3.OperationalError):
        patience(work)
    assert len(calls) == 3


def test_what_is_no_lock_is_not_tried_again() -> None:
    calls = list[int]()

    def work() -> None:
        calls.append(1)
        raise sqlite3.OperationalError("no such table: x")

    with pytest.raises(sqlite3.OperationalError):
        Patience(3600)(work)
    assert len(calls) == 1


@pytest.mark.parametrize("method", ["ask", "tell", "report", "is_told"])
def test_no_call_of_optuna_is_lost_or_done_twice(
    home: Home, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    from sweep.driver.optuna_study import OptunaStudy

    with raising(monkeypatch, OptunaStudy, method, LOCKED, range(3, 7)):
        assert home.run(*ONE_BY_ONE) == 0
    assert_undisturbed(home, undisturbed)


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("database or disk is full"),
        exc.OperationalError("INSERT", {}, Exception("gone"), connection_invalidated=True),
        OSError(errno.EIO, os.strerror(errno.EIO)),
    ],
)
@pytest.mark.parametrize("first", [9, 14])
def test_a_failed_write_loses_nothing(
    home: Home,
    undisturbed: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    first: int,
) -> None:
    """Also where it had arrived, and only its answer was lost."""
    calls = range(first, first + 2)
    with raising(monkeypatch, Ledger, "_write_all", error, calls):
        assert home.run(*ONE_BY_ONE) == 0
    assert any("waiting for up to" in line for line in home.lines)
    assert any("going on after" in line for line in home.lines)
    assert_undisturbed(home, undisturbed)
    ledger, _ = open_study(str(home.out))
    for trial in home.document()["trials"]:
        steps = [seen.step for seen in ledger.read_observations(trial["number"])]
        assert steps == list(range(1, trial["num_steps"] + 1))
    assert ledger.read_notes() == []


def test_a_folder_that_is_gone_is_waited_for_and_not_made_anew(
    home: Home, undisturbed: list[Any]
) -> None:
    away = home.out.with_name("away")

    def move() -> None:
        home.out.rename(away)
        later(2.5, lambda: away.rename(home.out))

    home.on_line = after_trial(1, move)
    assert home.run(*ONE_BY_ONE) == 0
    assert any(f"the study's folder {home.out} is gone" in line for line in home.lines)
    assert_undisturbed(home, undisturbed)


@pytest.mark.parametrize("what", ["folder", "database"])
def test_what_was_deleted_stays_deleted(
    home: Home, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    def delete() -> None:
        if what == "folder":
            shutil.rmtree(home.out)
        else:
            (home.out / "study.db").unlink()

    home.on_line = after_trial(0, delete)
    assert home.run(*ONE_BY_ONE, "run.wait_minutes=0.02") == 75
    spoken = said(home, capsys)
    assert f"the study's {what} {home.out}" in spoken and "is gone" in spoken
    assert "all of it is in" not in spoken and "failed" not in spoken
    assert home.out.exists() == (what == "database")
    assert not (home.out / "study.db").exists()
    assert not list(home.out.parent.glob(".*"))


def test_a_full_disk_that_is_mended_is_gone_on_from(
    home: Home, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a trial that met it."""
    home.script({2: "disk full"})
    assert home.run(*ONE_BY_ONE) == 0
    assert any("No space left on device; waiting for up to" in line for line in home.lines)
    assert_undisturbed(home, undisturbed)


@pytest.mark.parametrize("trouble", ["raise", "kill", "exit"])
def test_a_trial_that_fails_while_the_disk_is_full_has_not_failed(
    home: Home, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Whatever it said."""
    home.script({1: trouble})
    causes = [Cause.DISK_FULL]
    monkeypatch.setattr(
        "sweep.driver.premises.trouble_in", lambda _: causes.pop() if causes else None
    )
    assert home.run(*ONE_BY_ONE) == 0
    assert not causes
    assert_undisturbed(home, undisturbed)


def test_a_full_disk_in_preparing_leaves_nothing_behind(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OutsideError(Cause.DISK_FULL, "OSError: [Errno 28] No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("sweep.driver.make_study.prepare", full)
        assert home.run(*ONE_BY_ONE) == 75
    spoken = said(home, capsys)
    assert "The disk is full" in spoken and "Make room and run the same command again." in spoken
    assert not home.out.exists() and not list(home.out.parent.glob(".*"))
    assert home.run(*ONE_BY_ONE) == 0


@pytest.mark.parametrize("jump_s", [-1e6, 1e6])
def test_a_clock_that_jumps_changes_no_order_and_no_decision(
    home: Home, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    real, calls = time.time, [0]

    def jumping() -> float:
        calls[0] += 1
        return real() + (jump_s if calls[0] % 3 == 0 else 0.0)

    monkeypatch.setattr("time.time", jumping)
    assert home.run("run.workers=1", "run.trials=6") == 0
    ledger, _ = open_study(str(home.out))
    with ledger.engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT trial, at_s FROM sweep_decisions ORDER BY rowid")
        ).all()
    assert [d.trial for d in ledger.read_decisions()] == [row.trial for row in rows]
    times = [row.at_s for row in rows]
    assert times == sorted(set(times)) and len(times) >= 6


def test_a_lock_file_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    from sweep.storage.lock import only_driver

    with only_driver(f"sqlite:///{tmp_path / 'study.db'}", "a") as check:
        check()
        (tmp_path / "study.db.lock").unlink()
        (tmp_path / "study.db.lock").touch()
        with pytest.raises(OutsideError, match=r"lock .* is gone"):
            check()
