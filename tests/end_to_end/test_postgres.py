"""Studies in PostgreSQL, and a server that goes away under them; skipped where none is there."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import urlopen

import pytest
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from sqlalchemy import event

from sweep.dashboard.private import ReadOnlyStudy
from sweep.dashboard.serve import served
from sweep.driver.retry import retry_trials
from sweep.report.study_report import study_report
from sweep.report.study_types import StudyReport
from sweep.storage.engine import make_engine
from sweep.storage.find import open_study
from sweep.storage.migrate import VERSION, refuse_unreadable, upgrade, version_of
from tests.support.drivers import start_driver
from tests.support.home import Home
from tests.support.postgres import Server, running_server
from tests.support.tracker_files import tracked
from trainer.contract.spec import UserError

pytest.importorskip("psycopg")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def one_server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def server(one_server: Server) -> Server:
    """With an empty database."""
    execute(one_server.url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return one_server


@pytest.fixture
def url(server: Server) -> str:
    return server.url


def execute(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def report(url: str, name: str = "fake") -> StudyReport:
    ledger, paths = open_study(f"{url}#{name}")
    try:
        return study_report(ledger, paths)
    finally:
        ledger.engine.dispose()


def states(url: str, name: str = "fake") -> list[str]:
    return [trial.state for trial in report(url, name).trials]


def test_several_studies_share_a_database(home: Home, url: str) -> None:
    storage = f"run.storage={url}"
    assert home.run(storage) == 0
    home.out = home.out.with_name("other")
    assert home.run(storage, "name=other", "run.trials=2") == 0
    assert len(states(url)) == 8
    assert len(states(url, "other")) == 2
    assert not (home.out / "study.db").exists()


def test_a_dashboard_and_a_tracker_read_a_server_and_write_nothing_there(
    home: Home, url: str
) -> None:
    asked = (f"run.storage={url}", "run.trials=1", "run.report_to=[tensorboard]")
    assert home.run(*asked) == 0
    assert set(tracked("tensorboard", home.out)) == {"trial-0000", "study"}
    with served(f"{url}#fake", 0) as address, urlopen(address.replace("dashboard", "api")) as page:
        shown = json.load(page)
    assert shown["trials"][0]["note"]["body"].startswith("**completed**")
    storage = ReadOnlyStudy(url, "fake", lambda _: {})
    with pytest.raises(StorageInternalError) as refused:
        storage.set_study_user_attr(storage.study_id, "x", 1)
    assert "read-only transaction" in str(refused.value.__cause__)
    storage.engine.dispose()


def test_a_killed_driver_gives_its_lock_back_and_loses_nothing(home: Home, url: str) -> None:
    storage = f"run.storage={url}"
    assert home.run(storage, "run.trials=1") == 0
    driver = start_driver(home, storage, step_s=0.1)
    assert driver.stdout is not None
    while "trial 1:" not in driver.stdout.readline():
        pass
    with pytest.raises(UserError, match=f"process {driver.pid} on"):
        home.run(storage)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    assert home.run(storage) == 0
    assert set(states(url)) <= {"completed", "pruned"}
    assert len(states(url)) == 8


def test_a_failed_trial_comes_back(home: Home, url: str) -> None:
    once = (f"run.storage={url}", "run.trials=2", "run.retries=0", "pruning.enabled=false")
    home.script({1: "always raise"})
    assert home.run(*once) == 4
    home.script({})
    assert "To be tried again in study 'fake': 1." in retry_trials(f"{url}#fake", [])
    assert home.run(*once) == 0
    assert states(url) == ["completed", "completed"]


@pytest.mark.parametrize("found", [1, 2])
def test_a_study_of_a_version_before_goes_on(home: Home, url: str, found: int) -> None:
    one_by_one = (f"run.storage={url}", "run.workers=1", "pruning.enabled=false")
    assert home.run(*one_by_one, "run.trials=2") == 0
    before = report(url).trials
    execute(url, "DROP TABLE sweep_version")
    execute(url, "ALTER TABLE sweep_trials DROP COLUMN looks")
    if found == 1:
        execute(url, "ALTER TABLE sweep_observations DROP COLUMN phase")
    assert home.run(*one_by_one, "run.trials=3") == 0
    assert f"the storage's tables, of version {found}, are brought up to date" in home.lines
    assert report(url).trials[:2] == before
    assert states(url) == ["completed"] * 3
    engine = make_engine(url)
    assert version_of(engine) == VERSION
    engine.dispose()


@pytest.mark.parametrize("first_step", ["ALTER TABLE", "\nCREATE TABLE"])
def test_two_drivers_bring_tables_up_to_date_at_once(home: Home, url: str, first_step: str) -> None:
    assert home.run(f"run.storage={url}", "run.trials=1") == 0
    execute(url, "DROP TABLE sweep_version")
    execute(url, "ALTER TABLE sweep_trials DROP COLUMN looks")
    if first_step == "ALTER TABLE":
        execute(url, "ALTER TABLE sweep_observations DROP COLUMN phase")
    together = threading.Barrier(2, timeout=60)
    waited: set[int] = set()

    def wait(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith(first_step) and threading.get_ident() not in waited:
            waited.add(threading.get_ident())
            together.wait()

    engines = [make_engine(url), make_engine(url)]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", wait)
    with ThreadPoolExecutor(2) as drivers:
        found = list(drivers.map(upgrade, engines))
    assert len(waited) == 2
    assert found == [1 if first_step == "ALTER TABLE" else 2] * 2
    assert [version_of(engine) for engine in engines] == [VERSION] * 2
    for engine in engines:
        refuse_unreadable(engine)
        engine.dispose()


def outcomes(url: str) -> list[tuple[str, object]]:
    return [(trial.state, trial.error) for trial in report(url).trials]


def test_a_server_that_is_started_again_is_waited_for(
    home: Home, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    def restart() -> None:
        server.stop()
        time.sleep(2)
        server.start()

    def on_line(line: str) -> None:
        if line.startswith("trial 1: completed"):
            threading.Thread(target=restart).start()

    home.on_line = on_line
    settings = ("run.workers=1", "run.trials=5", "pruning.enabled=false", "budget.samples=800")
    assert home.run(f"run.storage={server.url}", *settings) == 0
    assert any("the storage cannot be reached" in line for line in home.lines)
    assert any("going on after" in line for line in home.lines)
    assert outcomes(server.url) == [("completed", None)] * 5
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_lock_that_is_lost_with_its_connection_is_taken_again(
    home: Home, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.driver.premises.LOCK_EVERY_S", 0.0)

    def end_the_lock() -> None:
        execute(url, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")

    def on_line(line: str) -> None:
        if line.startswith("trial 0: completed"):
            end_the_lock()

    home.on_line = on_line
    settings = ("run.workers=1", "run.trials=3", "pruning.enabled=false", "budget.samples=800")
    assert home.run(f"run.storage={url}", *settings) == 0
    assert any("going on after" in line for line in home.lines)
    assert outcomes(url) == [("completed", None)] * 3
