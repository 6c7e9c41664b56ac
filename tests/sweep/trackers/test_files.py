"""Each tracker's files, read back with its own reader: whole, complete, and nothing twice."""

from __future__ import annotations

import fcntl
import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from sweep.report.view import PlainView
from sweep.storage.find import Location, open_study
from sweep.storage.paths import StudyPaths
from sweep.storage.tables import studies
from sweep.trackers.host import Trackers
from tests.support.drivers import finish, start_driver, until_trials_run
from tests.support.home import Home
from tests.support.sweep_ledgers import completed, decision, fill, going_on, observation, written
from tests.support.tracker_files import READERS, Tracked, tracked

pytestmark = pytest.mark.slow


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study with trials in every state, and trackers that stay in its folder."""
    for name in ("WANDB_DIR", "WANDB_PROJECT", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with written(tmp_path / "demo") as ledger:
        fill(ledger)
        for step in range(1, 5):
            ledger.add_observation(6, observation(step, 16))
    return tmp_path / "demo"


def mirror(name: str, out: Path) -> list[str]:
    """What a session of the study says, in which nothing happens."""
    said: list[str] = []

    class View(PlainView):
        def say(self, line: str) -> None:
            said.append(line)

    with Trackers([name], View()) as trackers:
        trackers.start(Location(StudyPaths(out).default_storage, "demo", StudyPaths(out)))
    return said


@pytest.mark.parametrize("name", READERS)
def test_a_tracker_has_what_the_study_has_and_nothing_twice(name: str, out: Path) -> None:
    said = [line for line in mirror(name, out) if not line.startswith("waiting for")]
    assert len(said) == 1 and said[0].startswith(f"{name}: "), said
    _has_all_of_the_study(name, tracked(name, out))
    with going_on(out) as ledger:  # trial 6 was cut off at step 4 and goes on from step 2
        ledger.forget_observations_after(6, 2)
        for step in range(3, 17):
            ledger.add_observation(6, observation(step, 16))
        go_on = decision(6, "continue", "rank")
        ledger.save_trial(completed(6, 0.8, attempts=2), decision=go_on)
    mirror(name, out)
    runs = tracked(name, out)
    assert len(runs) == 9
    assert runs["trial-0006"].steps == list(range(1, 17))
    assert runs["trial-0006"].texts["state"] == "completed"
    assert runs["trial-0001"].steps == list(range(1, 17))
    assert runs["study"].values["best/objective"] == pytest.approx(0.8)


def test_a_study_leaves_the_runs_of_another_with_its_name_alone(out: Path, tmp_path: Path) -> None:
    mirror("trackio", out)  # whose folder both have in common
    other = shutil.copytree(out, tmp_path / "other", ignore=shutil.ignore_patterns("trackers"))
    with going_on(other) as ledger, ledger.engine.begin() as connection:
        connection.execute(studies.update().values(created_s=1.0))
    for _ in range(2):
        mirror("trackio", other)
        shutil.rmtree(other / "trackers")
    runs = tracked("trackio", out)
    assert len(runs) == 2 * 9
    assert runs["trial-0001"].steps == runs["trial-0001 of another study"].steps
    assert len(runs["trial-0001"].steps) == 16


def test_a_driver_that_is_killed_leaves_whole_files_and_goes_on_in_them(home: Home) -> None:
    asked = "run.report_to=[tensorboard]"
    driver = start_driver(home, asked, step_s=0.1)
    until_trials_run(home, steps=20)
    driver.kill()
    driver.wait()
    assert driver.stdout is not None
    driver.stdout.close()
    with (home.out / "trackers" / ".tensorboard.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # its process has ended
    cut = tracked("tensorboard", home.out)
    assert sum(len(run.steps) for run in cut.values()) >= 20
    assert cut["study"].texts["state"] == "unfinished"

    finish(home, asked)
    runs = tracked("tensorboard", home.out)
    ledger, _ = open_study(str(home.out))
    for number, seen in ledger.stream_observations():
        assert runs[f"trial-{number:04d}"].steps == [one.step for one in seen], number
    ledger.engine.dispose()
    assert len(runs) == 9 and runs["study"].values["trials/settled"] == 8


def _has_all_of_the_study(name: str, runs: Mapping[str, Tracked]) -> None:
    assert set(runs) == {*(f"trial-{n:04d}" for n in range(8)), "study"}

    best = runs["trial-0001"]
    assert best.steps == list(range(1, 17))
    assert best.losses == pytest.approx([2 + 1 / step for step in range(1, 17)])
    assert best.values["objective"] == pytest.approx(0.71)
    assert best.values["final/choice_accuracy"] == pytest.approx(0.71)
    assert best.values["early/grad_norm"] == pytest.approx(4.0)
    assert best.texts["state"] == "completed"
    assert float(best.config["learning_rate"]) == pytest.approx(2e-5)
    assert int(best.config["batch_size"]) == 64
    pruned = runs["trial-0003"]
    assert pruned.texts["tags"] == "pruned, by rank"
    assert pruned.texts["reason"].startswith("rank 7 of 8 at the window")
    assert pruned.values["P"] == pytest.approx(0.03)
    assert runs["trial-0002"].texts["tags"] == "completed, audited"
    assert runs["trial-0005"].texts["error"].startswith("out of memory: ")
    blown = runs["trial-0004"]
    assert blown.steps == [1, 2, 3] and not math.isfinite(float(blown.losses[1]))
    assert runs["trial-0006"].steps == [1, 2, 3, 4]  # its driver has gone: nothing is held back

    study = runs["study"]
    assert study.values["best/objective"] == pytest.approx(0.74)
    assert study.values["base/objective"] == pytest.approx(0.30)
    assert study.values["trials/pruned"] == 2
    assert study.config["model.base"] == "org/tiny-base"
    if name != "tensorboard":  # whose runs are in a folder of the study's
        assert {run.group for run in runs.values()} == {"demo"}
    if name == "mlflow":
        status = [runs[f"trial-{n:04d}"].status for n in (1, 3, 5, 6)]
        assert status == ["FINISHED", "KILLED", "FAILED", "RUNNING"]
    if name == "wandb":
        assert runs["trial-0005"].status == "1" and best.status == "0"
