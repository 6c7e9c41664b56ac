"""A PostgreSQL server that goes away under a study. Starts servers of its own, where it can."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sweep.report.study_report import study_report
from sweep.storage.find import open_study
from tests.support.home import Home

pytest.importorskip("psycopg")


class Server:
    def __init__(self, folder: Path, user: str | None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.data, self.user = folder / "data", user
        self._run("initdb", "-A", "trust", "-U", "sweep", "-N", "-D", str(self.data))
        self.start()
        self.url = f"postgresql+psycopg://sweep@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -k {self.data} -F"
        log = str(self.data / "log")
        self._run("pg_ctl", "start", "-w", "-D", str(self.data), "-o", options, "-l", log)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.data))

    def _run(self, *command: str) -> None:
        subprocess.run(
            command, user=self.user, check=True, stdout=subprocess.DEVNULL, cwd=self.data.parent
        )


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("no PostgreSQL server is installed")
    folder, user = Path(f"/tmp/sweep-postgres-{os.getpid()}"), None
    folder.mkdir()
    if os.geteuid() == 0:  # which the server refuses to run as
        user = "nobody"
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    server = Server(folder, user)
    yield server
    server.stop()
    shutil.rmtree(folder)


def states(server: Server) -> list[tuple[str, object]]:
    ledger, paths = open_study(f"{server.url}#fake")
    report = study_report(ledger, paths)
    ledger.engine.dispose()
    return [(trial.state, trial.error) for trial in report.trials]


@pytest.mark.slow
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
    assert states(server) == [("completed", None)] * 5
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.slow
def test_a_lock_that_is_lost_with_its_connection_is_taken_again(
    home: Home, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.driver.premises.LOCK_EVERY_S", 0.0)

    def end_the_lock() -> None:
        engine = sa.create_engine(server.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                )
            )
        engine.dispose()

    def on_line(line: str) -> None:
        if line.startswith("trial 0: completed"):
            end_the_lock()

    home.on_line = on_line
    settings = ("run.workers=1", "run.trials=3", "pruning.enabled=false", "budget.samples=800")
    assert home.run(f"run.storage={server.url}", *settings) == 0
    assert any("going on after" in line for line in home.lines)
    assert states(server) == [("completed", None)] * 3
