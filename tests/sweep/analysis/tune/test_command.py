"""`sweep tune` from the sources to the study file that it writes to."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from predictor.replay.policies import WindowSetting
from predictor.tuning.design import Candidate
from sweep.analysis.tune import tune as module
from sweep.config.load import load_study
from sweep.storage.paths import StudyPaths
from sweep.storage.study_source import source_line, source_of
from tests.support.tune_reports import CLEAR, STUDY, command, offer, study_file
from tests.support.tuning_studies import noise
from trainer.contract.spec import UserError


@pytest.mark.usefixtures("few_settings")
class TestTheCommand:
    @pytest.mark.slow
    def test_writes_into_the_file_that_the_study_was_run_from(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command([made], CLEAR, write=True) == 0
        pruning = load_study(tmp_path / "mine.yaml").study.pruning
        assert (pruning.window, pruning.min_steps) == (0.03, 2)
        assert pruning.settings().startup == 2
        said = " ".join(capsys.readouterr().out.split())
        assert "Recommended: window 0.1 to 0.03, min_steps 8 to 2, startup 3 to 2" in said
        assert "pruning.startup: 3 -> 2" in said
        assert "pruning.min_steps: 8 (default) -> 2" in said

    @pytest.mark.slow
    def test_leaves_the_file_where_nothing_is_better(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = (tmp_path / "mine.yaml").read_text()
        assert command([made], [noise(name, 10) for name in "abcde"], write=True) == 0
        assert (tmp_path / "mine.yaml").read_text() == before
        said = " ".join(capsys.readouterr().out.split())
        assert "No setting is better than the present one beyond its interval: keep it." in said
        assert "was left as it is" in said

    @pytest.mark.slow
    def test_prints_one_document(self, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert command([made], CLEAR, as_json=True) == 0

        def refuse(text: str) -> None:
            raise AssertionError(text)

        found = json.loads(capsys.readouterr().out, parse_constant=refuse)
        assert found["is_better"]
        assert found["changes"]["startup"] == [3, 2]
        assert found["written"] is None

    def test_few_runs_are_too_few(self, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert command([made], [noise("a", 3)]) == 0
        assert "Too few runs to tune on: 3 runs were trained" in capsys.readouterr().out
        assert command([made], [noise("a", 3)], as_json=True) == 0
        assert json.loads(capsys.readouterr().out)["recommended"] is None

    def test_a_file_that_is_left_is_said_to_be_left(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file, before = tmp_path / "mine.yaml", (tmp_path / "mine.yaml").read_text()
        assert command([made], [noise("a", 3)], write=True) == 0
        assert "mine.yaml was left as it is." in " ".join(capsys.readouterr().out.split())
        assert command([made], [noise("a", 3)], write=True, as_json=True) == 0
        written = json.loads(capsys.readouterr().out)["written"]
        assert written == {"file": str(file), "changes": [], "error": None}
        assert file.read_text() == before

    def test_says_on_leaving_that_nothing_was_written(
        self, made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def leave(*args: object, **options: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(module, "search", leave)
        with pytest.raises(KeyboardInterrupt):
            command([made], CLEAR, write=True)
        assert capsys.readouterr().err == "stopped; nothing was written\n"


@pytest.mark.usefixtures("few_settings")
class TestTheFileThatIsWrittenTo:
    @pytest.mark.slow
    def test_keeps_what_was_edited_since_the_run(
        self, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        edited = "pruning: {mode: stream, risk: 0.20, min_gain: 0.04, startup: 3}"
        file = study_file(tmp_path, edited)
        earlier = WindowSetting(0.03, 2)
        offer(monkeypatch, lambda base: Candidate(replace(base.settings, startup=2), earlier))
        command([made], CLEAR, write=True)
        now = edited.replace("startup: 3}", "startup: 2, window: 0.03, min_steps: 2}")
        assert file.read_text() == STUDY.format(pruning=now)

    @pytest.mark.slow
    def test_gets_the_settings_of_the_run_where_those_were_better(
        self, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = study_file(tmp_path, "pruning: {window: 0.25}")
        offer(monkeypatch, lambda base: replace(base, window=WindowSetting(0.1, 8)))
        command([made], CLEAR, write=True)
        assert file.read_text() == STUDY.format(pruning="pruning: {window: 0.1}")

    @pytest.mark.slow
    def test_that_cannot_be_written_is_told_after_the_report(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = study_file(tmp_path, "pruning: {mode: stream, window: &w 0.1, risk: *w}")
        with pytest.raises(UserError) as caught:
            command([made], CLEAR, write=True, as_json=True)
        found = json.loads(capsys.readouterr().out)
        assert found["is_better"]
        assert found["written"] == {"file": str(file), "changes": [], "error": str(caught.value)}


class TestWhereToWrite:
    def test_a_recorded_set_has_no_file(self, tmp_path: Path) -> None:
        for part in ("runs", "steps"):
            (tmp_path / f"x_{part}.parquet").touch()
        with pytest.raises(UserError, match="recorded set and has no study file"):
            command([tmp_path / "x"], write=True)

    def test_of_several_sources_no_file_is_meant(self, made: Path) -> None:
        with pytest.raises(UserError, match="say which study file with --to FILE"):
            command([made, made], write=True)

    def test_a_shipped_study_is_not_written_to(self) -> None:
        shipped = Path(load_study("quickstart").folder) / "quickstart.yaml"
        with pytest.raises(UserError, match=r"--to my-study\.yaml"):
            command(["x"], write=True, to=shipped)

    def test_the_file_may_have_become_another_studys(self, made: Path, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text(file.read_text().replace("name: demo", "name: other"))
        with pytest.raises(UserError, match="is the file of 'other' now, not of 'demo'"):
            command([made], write=True)

    def test_a_study_whose_folder_does_not_say(self, made: Path) -> None:
        StudyPaths(made).study_file.write_text("name: demo\n")
        with pytest.raises(UserError, match="does not say which file"):
            command([made], write=True)
        shutil.rmtree(made)
        assert source_of(StudyPaths(made)) is None

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"orders": 0}, "^orders: is 0; must be at least 1"),
            ({"to": Path("x.yaml")}, "takes --write as well"),
            ({"to": Path("x.yaml"), "write": True}, "x.yaml: there is no such file"),
        ],
    )
    def test_what_cannot_be_meant_is_refused_before_the_sources_are_read(
        self, options: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(UserError, match=sentence):
            command(["x"], **options)

    def test_the_source_of_a_shipped_study_is_its_file(self) -> None:
        assert source_line(load_study("quickstart")).endswith('/studies/quickstart.yaml"\n')
