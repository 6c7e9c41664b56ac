"""`import sweep`: a study from Python."""

from __future__ import annotations

import errno
import inspect
import io
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import pytest

import sweep
from sweep.cli import main
from sweep.driver.plan import study_plan
from sweep.report.html import study_html
from sweep.report.view import PlainView
from sweep.storage.find import Location
from sweep.storage.paths import StudyPaths
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


@pytest.mark.slow
def test_a_study_file_is_run_and_read(here: Home) -> None:
    study = sweep.run("fake.yaml", trials=4, pruning__enabled=False)
    assert repr(study) == f"<sweep.Study 'fake' in '{here.out}'>"
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


@pytest.mark.slow
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
        (
            "fake.yaml",
            {"trial": 6},
            r"^trial: unknown key; did you mean trials\? allowed: trials, w",
        ),
        ("fake.yaml", {"wrokers": 2}, r"did you mean workers\?"),
        ("fake.yaml", {"output": "x"}, r"did you mean out\?"),
        ("fake.yaml", {"serach": {}}, r"did you mean search\?"),
        (
            "fake.yaml",
            {"min_gains": 0},
            r"^min_gains: unknown key; did you mean pruning__min_gain\?$",
        ),
        ("fake.yaml", {"risk": 0.2}, "did you mean pruning__risk or"),
        (
            "fake.yaml",
            {"zzz": 0},
            "^zzz: unknown key; allowed: trials, workers, storage, out, name, ",
        ),
        ("fake.yaml", {"trial": 6, "worker": 1}, r"did you mean trials(.|\n)*\nworker: .* workers"),
        ({}, {}, "a study is a mapping of keys"),
        ({"name": object()}, {}, "a study is texts, numbers, lists and dictionaries"),
        ("fake.yaml", {"data__train": object()}, "a study is texts, numbers, lists"),
        ("fake.yaml", {"trials": 10**30}, "the study, line 1: .* is malformed or out of range"),
        (3, {}, "a study is named by its file .*; 3 is none of these"),
    ],
)
def test_mistakes_are_said_in_a_sentence(
    here: Home, asked: Any, named: dict[str, Any], said: str
) -> None:
    with pytest.raises(sweep.UserError, match=said):
        sweep.run(asked, **named)
    assert not here.out.exists()


@pytest.mark.slow
def test_the_plan_of_a_begun_study_says_how_far_it_is(
    here: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str | None] = []

    def plan(*given: Any) -> str:
        found.append(inspect.signature(study_plan).bind(*given).arguments["begun"])
        return "plan"

    monkeypatch.setattr("sweep.driver.plan.study_plan", plan)
    monkeypatch.setattr("sweep.report.plan_text.plan_lines", lambda _: [])
    for trials in (2, 3):
        main(["run", "fake.yaml", "--trials", str(trials), "--dry-run"])
        sweep.run("fake.yaml", trials=2, pruning__enabled=False)
    assert found[0] is None and str(found[1]).startswith("2 of 2 trials settled: 2 completed")


@pytest.mark.slow
@pytest.mark.parametrize("named", ["fake", "runs/fake"])
def test_a_run_in_place_of_a_study_is_told_with_how_to_go_on(here: Home, named: str) -> None:
    here.file.rename("mine.yaml")
    sweep.run("mine.yaml", trials=1)
    with pytest.raises(sweep.UserError) as refused:
        sweep.run(named)
    assert str(refused.value) == (
        f"{named}: no study file but a run, study 'fake' in runs/fake; go on with it by "
        f"`sweep run {here.folder / 'mine.yaml'}` and --set as before, or look at it by "
        f"`sweep inspect {named}`"
    )


@pytest.mark.slow
def test_where_the_study_file_of_a_run_is_gone_the_copy_is_named_that_stands(here: Home) -> None:
    def is_said(command: str) -> None:
        with pytest.raises(sweep.UserError, match=f"by `sweep run {command}` and --set"):
            sweep.run("fake")

    sweep.run("fake.yaml", trials=1)
    here.file.unlink()
    is_said("STUDY.yaml")  # ./base and ./train.jsonl do not lie beside the copy
    for name in ("base", "train.jsonl", "eval.jsonl"):
        (here.out / name).symlink_to(here.folder / name)
    is_said("runs/fake/study.yaml")
    assert len(sweep.run("runs/fake/study.yaml", trials=2).trials) == 2


@pytest.mark.slow
def test_an_override_may_be_a_path(here: Home) -> None:
    Path("train.jsonl").rename("other.jsonl")
    study = sweep.run("fake.yaml", trials=1, data__train=Path("other.jsonl"))
    resolved: Mapping[str, Any] = study.report().resolved
    assert resolved["data"]["train"] == str(here.folder / "other.jsonl")


@pytest.mark.slow
def test_a_study_is_the_one_that_was_run_wherever_one_looks_from(
    here: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one of that name is below ./runs, and where its storage is elsewhere."""
    once: dict[str, Any] = {"trials": 1, "pruning__enabled": False}
    other = sweep.run("fake.yaml", out="runs/mine", **once)
    mine = sweep.run("fake.yaml", out="mine", trials=2, pruning__enabled=False)
    stored = sweep.run("fake.yaml", out="kept", storage="sqlite:///here.db", **once)
    loaded = sweep.load("mine"), sweep.load("sqlite:///here.db#fake")
    monkeypatch.chdir("/")
    assert [len(study.trials) for study in (other, mine, stored)] == [1, 2, 1]
    for study, folder in ((other, here.out.with_name("mine")), (mine, here.folder / "mine")):
        assert study.best is not None and study.best.model_dir == str(folder / "best")
    assert stored.best is not None
    assert stored.best.model_dir == str(here.folder / "kept" / "best")
    assert f"stored in 'sqlite:///{here.folder}/here.db'" in repr(stored)
    assert [len(study.trials) for study in loaded] == [1, 1]


def test_a_password_is_not_shown(here: Home) -> None:
    at = Location("postgresql+psycopg://me:secret@h/d", "fake", StudyPaths(here.out))
    shown = repr(sweep.Study(at)), repr(at)
    assert "stored in 'postgresql+psycopg://me@h/d'" in shown[0]
    assert "secret" not in "".join(shown)


def test_what_is_not_there_cannot_be_loaded(here: Home) -> None:
    with pytest.raises(sweep.UserError, match="no study 'other'"):
        sweep.load("other")


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_study_that_another_process_runs_can_be_read(here: Home) -> None:
    driver = start_driver(here, step_s=0.05)
    try:
        until_trials_run(here)
        assert not sweep.load(here.out).observations.empty
    finally:
        driver.kill()
        driver.communicate()


@pytest.mark.slow
def test_in_a_notebook_it_is_the_first_screen_and_pictures(here: Home) -> None:
    study = sweep.run("fake.yaml", trials=2)
    shown = study._repr_html_()
    assert "<h3>Which " in shown
    assert study_html(study.report()) in shown
    assert study.plot_progress().axes[0].get_ylabel() == study.report().metric
    assert study.plot_configurations().axes[0].get_xlabel() in study.report().trials[0].params
    assert len(study.plot_curves().axes[0].lines) == 2
    card = (here.out / "best" / "README.md").read_text()
    assert "](study.png)" in card
    assert (here.out / "best" / "study.png").read_bytes().startswith(b"\x89PNG")


def test_names_of_strangers_are_escaped(tmp_path: Path) -> None:
    with written(tmp_path, "a<script>b"):
        pass
    shown = sweep.load(tmp_path).report()._repr_html_()
    assert "<script>" not in shown and "a&lt;script&gt;b" in shown


@pytest.mark.parametrize("function", [sweep.evidence, sweep.replay, sweep.tune])
def test_functions_of_recorded_runs_want_one(function: Callable[..., object]) -> None:
    with pytest.raises(sweep.UserError, match=r"^name at least one study, export or recorded set$"):
        function()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_runs": 2}, "max_runs: is 2; must be at least 20"),
        ({"orders": 0}, "orders: is 0; must be at least 1"),
        ({"against": "everything"}, "against: is 'everything'; must be none or all"),
        ({"settings": {"risk": 1.5}}, "settings risk: is 1.5; must be less than 1"),
        ({"settings": {"risky": 1}}, "settings risky: no setting of a replay"),
    ],
)
def test_options_are_named_as_python_has_them(options: dict[str, Any], said: str) -> None:
    with pytest.raises(sweep.UserError, match=f"^{said}"):
        sweep.replay(ROOT / "studies" / "recorded" / "quickstart", **options)


@pytest.mark.parametrize("command", ["evidence", "replay", "tune"])
def test_commands_name_them_as_they_are_typed(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = str(ROOT / "studies" / "recorded" / "quickstart")
    assert main([command, recorded, "--max-runs", "2"]) == 2
    assert capsys.readouterr().err == "sweep: --max-runs: is 2; must be at least 20\n"
    assert main([command]) == 2
    assert "name at least one study" in capsys.readouterr().err


def test_a_study_that_cannot_be_prepared_is_an_error_of_its_own(
    here: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise sweep.PreparationFailed("the model cannot be loaded")

    monkeypatch.setattr("sweep.driver.make_study.prepare", fail)
    with pytest.raises(sweep.PreparationFailed):
        sweep.run("fake.yaml")


def test_there_is_no_study_where_a_cause_outside_ends_its_preparation(
    here: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sweep.driver.make_study.prepare", fail)
    with pytest.raises(sweep.UserError, match=r"no study '.*/runs/fake'"):
        sweep.run("fake.yaml", run__wait_minutes=0)
    assert "No space left on device" in capsys.readouterr().out


@pytest.mark.slow
def test_importing_is_cheap_and_names_are_there() -> None:
    code = (
        "import sys, sweep; assert not {'pandas', 'torch', 'numpy', 'pydantic'} & set(sys.modules);"
        "[getattr(sweep, name) for name in sweep.__all__]; assert 'torch' not in sys.modules;"
        "assert set(sweep.__all__) <= set(dir(sweep))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError):
        getattr(sweep, "nothing")  # noqa: B009


@pytest.mark.parametrize("name", ["UserError", "PreparationFailed", "JudgeGone", "MeasuringFailed"])
def test_errors_have_their_public_names_in_tracebacks_and_pickles(name: str) -> None:
    error = getattr(sweep, name)("so it is")
    assert traceback.format_exception_only(error) == [f"sweep.{name}: so it is\n"]
    stored = pickle.dumps(error)
    code = f"import pickle; raise pickle.loads({stored!r})"
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert elsewhere.stderr.endswith(f"sweep.{name}: so it is\n")


def test_an_error_pickled_where_sweep_was_not_imported_is_the_same() -> None:
    code = (
        "import pickle, sys; from trainer.contract.spec import UserError as error;"
        "sys.stdout.buffer.write(pickle.dumps(error('so it is')));"
        "assert 'sweep' not in sys.modules"
    )
    stored = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert type(pickle.loads(stored)) is sweep.UserError


@pytest.mark.parametrize("asked", ["nowhere.yaml", Path("no/where.yaml")])
def test_a_study_that_is_not_there_is_a_user_error(asked: str | Path) -> None:
    with pytest.raises(sweep.UserError) as refused:
        sweep.run(asked)
    assert type(refused.value) is sweep.UserError


def test_a_study_without_trials_has_empty_tables(tmp_path: Path) -> None:
    with written(tmp_path):
        pass
    study = sweep.load(tmp_path)
    assert study.trials.empty and study.observations.empty and study.best is None
    assert study.trials[["learning_rate", "batch_size", "state", "p", "objective"]].empty
    assert list(study.observations.columns)[:2] == ["trial", "step"]
