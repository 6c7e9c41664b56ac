"""What may go wrong around a driver: kills, full disks, a second driver, another study."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from sweep.storage.lock import only_driver
from tests.support.drivers import assert_whole, finish, start_driver, until_trials_run
from tests.support.home import Home
from trainer.contract.spec import UserError


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["stream", "scout"])
def test_a_driver_killed_again_and_again_loses_nothing(home: Home, mode: str) -> None:
    """benchmarks/kill_matrix does it more often."""
    chance = random.Random(0)
    for _ in range(6):
        driver = start_driver(home, f"pruning.mode={mode}")
        family: list[psutil.Process] = []
        deadline = time.monotonic() + chance.uniform(0.5, 5.0)
        while time.monotonic() < deadline and driver.poll() is None:
            time.sleep(0.05)
            family = psutil.Process(driver.pid).children(recursive=True)
        driver.kill()
        driver.communicate()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive
    finish(home, f"pruning.mode={mode}")
    assert_whole(home)


@pytest.mark.slow
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(home: Home) -> None:
    driver = start_driver(home, "pruning.enabled=false", step_s=0.05)
    until_trials_run(home)
    driver.send_signal(signal.SIGINT)
    said, _ = driver.communicate(timeout=240)
    assert driver.returncode == 130
    assert "The same command goes on from here" in " ".join(said.split())
    assert "waiting" in home.states()
    steps_before = {t["number"]: t["attempts"] for t in home.document()["trials"]}
    finish(home, "pruning.enabled=false")
    assert_whole(home)
    resumed = [t for t in home.document()["trials"] if t["attempts"] == 2]
    assert {t["number"] for t in resumed} <= set(steps_before)
    for trial in resumed:  # its checkpoint was taken up: no step was paid for twice
        assert trial["compute"]["input_tokens"] == 320 * 10 + 500 + 1000


@pytest.mark.slow
def test_ctrl_c_twice_stops_now(home: Home) -> None:
    home.script({0: "silent"})
    driver = start_driver(home)
    until_trials_run(home)
    driver.send_signal(signal.SIGINT)
    time.sleep(1.0)
    driver.send_signal(signal.SIGINT)
    driver.communicate(timeout=20)
    assert driver.returncode == 130
    finish(home)
    assert_whole(home)


@pytest.mark.slow
def test_a_second_driver_is_refused_by_the_name_of_the_first(home: Home) -> None:
    driver = start_driver(home, step_s=0.1)
    until_trials_run(home)
    with pytest.raises(UserError, match=rf"already being run by process {driver.pid} on"):
        home.run()
    driver.kill()
    driver.communicate()


def test_a_lock_goes_with_its_holder(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    for _ in range(2):
        with only_driver(url, "a"):
            pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("search.space.learning_rate.high=0.3", "search.space.learning_rate.high"),
        ("run.seed=5", "run.seed"),
        ("budget.samples=640", "budget.samples"),
        ("model.base=./runs", "model.base"),
    ],
)
def test_a_changed_study_is_refused_with_the_difference(
    home: Home, override: str, says: str
) -> None:
    home.run("run.trials=1")
    before = home.document()
    with pytest.raises(UserError, match="made with other settings") as refusal:
        home.run("run.trials=1", override)
    assert says in str(refusal.value)
    assert home.document() == before


@pytest.mark.slow
def test_a_changed_file_of_data_is_refused_by_its_key(home: Home) -> None:
    home.run("run.trials=1")
    (home.folder / "eval.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"data.eval: .*eval.jsonl no longer holds what"):
        home.run()


@pytest.mark.slow
def test_changed_phases_are_refused(home: Home) -> None:
    (home.folder / "more.jsonl").touch()
    phases = "data={phases: [./train.jsonl, ./more.jsonl], eval: ./eval.jsonl}"
    home.run("run.trials=1", phases)
    with pytest.raises(UserError, match=r"data.phases: was \[.*\], is \[./train.jsonl\]"):
        home.run("data={phases: [./train.jsonl], eval: ./eval.jsonl}")
    (home.folder / "more.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"data.phases\[1\]: .*more.jsonl no longer holds what"):
        home.run(phases)


@pytest.mark.slow
def test_a_storage_that_holds_another_study_is_refused(home: Home) -> None:
    home.run("run.trials=1")
    with pytest.raises(UserError, match="holds another study, 'fake'"):
        home.run("name=other")


@pytest.mark.slow
def test_a_study_stored_elsewhere_says_where(home: Home) -> None:
    url = f"sqlite:///{home.folder / 'team.db'}"
    home.run("run.trials=1", f"run.storage={url}")
    with pytest.raises(UserError, match=rf"stored in {url}: give the same --storage"):
        home.run("run.trials=1")
    assert home.run("run.trials=2", f"run.storage={url}") == 0


@pytest.mark.slow
def test_an_optuna_study_of_somebody_else_is_left_alone(home: Home) -> None:
    import optuna

    url = f"sqlite:///{home.folder / 'theirs.db'}"
    optuna.create_study(study_name="fake", storage=url)
    with pytest.raises(UserError, match="that sweep did not make"):
        home.run(f"run.storage={url}")
    assert not home.out.exists()


def test_an_output_that_cannot_be_written_is_refused(home: Home) -> None:
    home.out = home.file / "below" / "a" / "file"
    with pytest.raises(UserError, match="choose another --out"):
        home.run()


def test_an_output_that_holds_other_things_is_refused(home: Home) -> None:
    home.out.mkdir()
    (home.out / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="something other than this study"):
        home.run()
    assert [path.name for path in home.out.iterdir()] == ["thesis.txt"]


@pytest.fixture
def page_limit() -> Iterator[Any]:
    """A function that limits every SQLite file opened from then on to so many pages; 0: none."""
    limit = [0]

    @event.listens_for(sa.Engine, "connect")
    def set_limit(connection: Any, _: Any) -> None:
        if limit[0]:
            connection.execute(f"PRAGMA max_page_count={limit[0]}")

    yield lambda pages: limit.__setitem__(0, pages)
    event.remove(sa.Engine, "connect", set_limit)


@pytest.mark.slow
@pytest.mark.parametrize("spare_pages", [1, 5, 20])
def test_a_database_that_is_full_stops_the_study_and_loses_nothing(
    home: Home, page_limit: Any, spare_pages: int, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = "budget.samples=3200"
    home.run("run.trials=1", budget)
    database = home.out / "study.db"
    with sqlite3.connect(database) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.close()
    page_limit(pages + spare_pages)
    assert home.run(budget, "run.wait_minutes=0") == 75
    assert "The disk is full" in capsys.readouterr().out
    page_limit(0)
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert home.run(budget) == 0
    assert_whole(home)


@pytest.mark.slow
def test_a_full_file_system_stops_the_study_and_loses_nothing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(home.out.parent)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a file system")
    try:
        filler = home.out.parent / "filler"
        home.run("run.trials=1")
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * 4096):
                pass
        assert home.run("run.wait_minutes=0") == 75  # not even room to read
        assert "The disk is full" in capsys.readouterr().out
        with filler.open("r+b") as file:  # room to start, but not to finish
            file.truncate(filler.stat().st_size - (160 << 10))
        assert home.run("run.wait_minutes=0") == 75
        assert "The disk is full" in capsys.readouterr().out
        filler.unlink()
        assert home.run() == 0
        assert_whole(home)
    finally:
        subprocess.run(["umount", "-l", str(home.out.parent)], check=True)
