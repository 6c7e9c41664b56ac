"""What several modules of these tests look at, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from predictor.replay.policies import WindowSetting
from predictor.tuning.design import Candidate
from predictor.types import Settings
from sweep.analysis.replay.report import ReplayReport
from sweep.config.load import load_study
from sweep.storage.paths import StudyPaths
from sweep.storage.study_source import source_line
from tests.support.exports import fill
from tests.support.replay_reports import replayed
from tests.support.sweep_ledgers import written
from tests.support.tune_reports import offer, study_file


@pytest.fixture(scope="session")
def alone() -> ReplayReport:
    """Of our policy against training everything."""
    return replayed()


@pytest.fixture(scope="session")
def against_all() -> ReplayReport:
    """Of our policy against every baseline."""
    return replayed(against="all", points=5)


@pytest.fixture
def few_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """One setting to choose from, and one process to replay in."""
    settings = Settings(mode="stream", risk=0.2, startup=2)
    offer(monkeypatch, lambda base: Candidate(settings, WindowSetting(0.03, 2)))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The folder of a study that was run from tmp_path/mine.yaml."""
    folder = tmp_path / "demo"
    with written(folder):
        pass
    line = source_line(load_study(study_file(tmp_path)))
    StudyPaths(folder).study_file.write_text(line + "name: demo\n")
    return folder


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """The folder of a study `demo` with a trial of every kind."""
    with written(tmp_path / "demo") as ledger:
        fill(ledger)
    return tmp_path / "demo"
