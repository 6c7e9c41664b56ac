"""A study in PostgreSQL. Needs a server: SWEEP_TEST_POSTGRES=postgresql+psycopg://USER@HOST/DB."""

from __future__ import annotations

import os
import signal

import pytest
import sqlalchemy as sa

from sweep.driver.retry import retry_trials
from sweep.report.study_report import study_report
from sweep.storage.find import open_study
from tests.support.drivers import start_driver
from tests.support.home import Home
from trainer.contract.spec import UserError

URL = os.environ.get("SWEEP_TEST_POSTGRES", "")
pytestmark = pytest.mark.skipif(not URL, reason="SWEEP_TEST_POSTGRES names no server")


@pytest.fixture(autouse=True)
def empty_database() -> None:
    engine = sa.create_engine(URL, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()


def states(name: str) -> list[str]:
    ledger, paths = open_study(f"{URL}#{name}")
    report = study_report(ledger, paths)
    ledger.engine.dispose()
    return [trial.state for trial in report.trials]


def test_several_studies_share_a_database(home: Home) -> None:
    storage = f"run.storage={URL}"
    assert home.run(storage) == 0
    home.out = home.out.with_name("other")
    assert home.run(storage, "name=other", "run.trials=2") == 0
    assert len(states("fake")) == 8
    assert len(states("other")) == 2
    assert not (home.out / "study.db").exists()


def test_a_killed_driver_gives_its_lock_back_and_loses_nothing(home: Home) -> None:
    storage = f"run.storage={URL}"
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
    assert set(states("fake")) <= {"completed", "pruned"}
    assert len(states("fake")) == 8


def test_a_failed_trial_comes_back(home: Home) -> None:
    once = (f"run.storage={URL}", "run.trials=2", "run.retries=0", "pruning.enabled=false")
    home.script({1: "always raise"})
    assert home.run(*once) == 4
    home.script({})
    assert "To be tried again in study 'fake': 1." in retry_trials(f"{URL}#fake", [])
    assert home.run(*once) == 0
    assert states("fake") == ["completed", "completed"]
