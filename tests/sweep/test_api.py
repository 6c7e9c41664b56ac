"""`import sweep`: a study from Python."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pytest

import sweep
from sweep.report.html import study_html
from sweep.report.view import PlainView
from tests import ROOT
from tests.support.drivers import start_driver, until_trials_run
from tests.support.home import Home
from tests.support.sweep_ledgers import written


@pytest.fixture
def here(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Its study, run by name from its folder with fake trials."""
    monkeypatch.chdir(home.folder)
    monkeypatch.setattr("sweep.run_study.LocalExecutor", lambda: home.executor)
    return home


def test_a_study_file_is_run_and_read(here: Home) -> None:
    study = sweep.run("fake.yaml", trials=4, pruning__enabled=False)
    assert repr(study) == "sweep.load('runs/fake')"
    trials = study.trials
    assert list(trials.index) == [0, 1, 2, 3]
    assert set(trials["state"]) == {"completed"}
    assert {"learning_rate", "batch_size", "early_loss", "p", "reason"} <= set(trials.columns)
    report = study.report()
    assert study.best == report.best and report.best is not None
    assert min(trials["objective"]) == report.best.objective
    seen = study.observations
    assert list(seen.groupby("trial").size()) == [t.num_steps for t in report.trials]
    assert list(seen["step"])[:3] == [1, 2, 3]


def test_a_dictionary_is_a_study_whose_paths_start_at_the_working_directory(here: Home) -> None:
    asked: dict[str, Any] = {
        "name": "mine",
        "model": {"base": Path("base")},
        "data": {"train": "train.jsonl", "eval": "eval.jsonl"},
        "budget": {"samples": 320},
        "search": {"space": {"learning_rate": {"low": 1e-5, "high": 0.1}, "batch_size": 8}},
    }
    study = sweep.run(asked, out=here.out, trials=1)
    assert study.report().study == "mine" and len(study.trials) == 1
    assert not (here.out / "study.yaml").read_text().startswith("# resolved from")


@pytest.mark.parametrize(
    ("asked", "named", "said"),
    [
        ("nowhere.yaml", {}, "no such study file"),
        ("fake.yaml", {"pruning__risky": 1}, "pruning.risky"),
        ({}, {}, "a study is a mapping of keys"),
        ({"name": object()}, {}, "a study is texts, numbers, lists and dictionaries"),
    ],
)
def test_mistakes_are_said_in_a_sentence(
    here: Home, asked: Any, named: dict[str, Any], said: str
) -> None:
    with pytest.raises(sweep.UserError, match=said):
        sweep.run(asked, **named)
    assert not here.out.exists()


def test_what_is_not_there_cannot_be_loaded(here: Home) -> None:
    with pytest.raises(sweep.UserError, match="no study 'other'"):
        sweep.load("other")


def test_an_interruption_is_a_keyboard_interrupt_and_the_same_call_goes_on(here: Home) -> None:
    """Ctrl-C, or the stop button of a notebook."""
    code = (
        "import sweep, sys\n"
        "from tests.support.fake_driver import FakeTrials\n"
        "import sweep.run_study as run_study\n"
        "run_study.LocalExecutor = FakeTrials\n"
        "try:\n"
        "    sweep.run(sys.argv[1], out=sys.argv[2])\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', sweep.load(sys.argv[2]).report().state)\n"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code, str(here.file), str(here.out)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "FAKE_STEP_S": "0.05", "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    until_trials_run(here)
    driver.send_signal(signal.SIGINT)
    said, _ = driver.communicate(timeout=240)
    assert said.splitlines()[-1] == "interrupted unfinished"
    assert sweep.run("fake.yaml").report().state == "done"


TOLD = "\x1b[31m postgresql://u:secret@h/d \u4e2d \u2500 \xe9\n"


class Telling(PlainView):
    """Writes `TOLD`, as a library may do."""

    def __enter__(self) -> Self:
        sys.stdout.write(TOLD)
        return super().__enter__()


def test_what_is_printed_has_no_control_code_no_secret_and_fits_the_encoding(
    here: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="latin-1")
    monkeypatch.setattr("sweep.run_study.make_view", Telling)
    monkeypatch.setattr(sys, "stdout", stream)
    sweep.run("fake.yaml", trials=1)
    assert sys.stdout is stream and stream.errors == "strict"
    lines = written.getvalue().decode("latin-1").splitlines()
    assert "\\x1b[31m postgresql://u:***@h/d \\u4e2d - \xe9" in lines
    assert any("trial 0: completed" in line for line in lines)


class Cell:
    """What a notebook has in the place of a terminal: no file, and no buffer of bytes."""

    def __init__(self, *, is_terminal: bool) -> None:
        self.is_terminal, self.text = is_terminal, ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_stream_need_be_no_file(
    here: Home, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    cell = Cell(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stdout", cell)
    monkeypatch.setattr(sys, "stderr", cell)
    sweep.run("fake.yaml", trials=1)
    assert sys.stdout is cell and sys.stderr is cell
    assert "trial 0: completed" in cell.text


def test_a_study_that_another_process_runs_can_be_read(here: Home) -> None:
    driver = start_driver(here, step_s=0.05)
    try:
        until_trials_run(here)
        assert not sweep.load(here.out).observations.empty
    finally:
        driver.kill()
        driver.communicate()


def test_in_a_notebook_it_is_tables_without_anybodys_markup(here: Home) -> None:
    study = sweep.run("fake.yaml", trials=2)
    shown = study._repr_html_()
    assert shown == study_html(study.report())
    assert shown.count("<tr>") >= 3


def test_names_of_strangers_are_escaped(tmp_path: Path) -> None:
    with written(tmp_path, "a<script>b"):
        pass
    shown = sweep.load(tmp_path).report()._repr_html_()
    assert "<script>" not in shown and "a&lt;script&gt;b" in shown


def test_importing_is_cheap_and_names_are_there() -> None:
    code = (
        "import sys, sweep; assert not {'pandas', 'torch', 'numpy', 'pydantic'} & set(sys.modules);"
        "[getattr(sweep, name) for name in sweep.__all__]; assert 'torch' not in sys.modules;"
        "assert set(sweep.__all__) <= set(dir(sweep))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError):
        getattr(sweep, "nothing")  # noqa: B009


def test_a_study_without_trials_has_empty_tables(tmp_path: Path) -> None:
    with written(tmp_path):
        pass
    study = sweep.load(tmp_path)
    assert study.trials.empty and study.observations.empty and study.best is None
    assert isinstance(study.trials, pd.DataFrame)
