"""What commands take: studies, exports, recorded sets, and several of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from predictor.recorded.files import runs_file, steps_file, write_frames
from sweep.analysis.recorded.sources import read_sources
from sweep.storage.paths import StudyPaths
from sweep.storage.study_source import source_of
from tests.support.recorded_frames import assert_equal, frames, run_row
from tests.support.sweep_ledgers import completed, document, observation, trial, written
from trainer.contract.spec import UserError


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def recorded(prefix: str, *groups: str) -> str:
    rows = [run_row(i, group=group) for i, group in enumerate(groups)]
    Path(prefix).parent.mkdir(exist_ok=True)
    write_frames(Path(prefix), *frames(*rows))
    return prefix


def study(folder: str, name: str = "demo", **changes: Any) -> str:
    with written(Path(folder), name=name) as ledger:
        ledger.save_trial(completed(0, 0.5, window=None, **changes))
        for step in range(1, 5):
            ledger.add_observation(0, observation(step, 16))
    return folder


def names(*texts: str) -> list[str]:
    return [found.name for found in read_sources(texts)]


@pytest.mark.parametrize("text", ["sets/x", "./sets/x", "sets/x_runs.parquet", "sets", "sets/"])
def test_a_recorded_set_is_found_by_prefix_file_and_folder(text: str) -> None:
    recorded("sets/x", "g", "h")
    assert names(text) == ["g", "h"]


def test_a_folder_stands_for_all_its_sets() -> None:
    recorded("sets/b", "second")
    recorded("sets/a", "first")
    assert names("sets") == ["first", "second"]


def test_a_study_is_found_as_inspect_finds_it() -> None:
    study("runs/demo")
    for text in ("demo", "runs/demo", "sqlite:///runs/demo/study.db#demo"):
        assert names(text) == ["demo"]


def test_a_study_whose_windows_never_closed_has_none() -> None:
    (found,) = read_sources([study("runs/demo")])
    assert found.recorded_window is None
    assert found.runs[0].horizon == 16 * 16


def test_studies_and_sets_are_read_together() -> None:
    found = read_sources([recorded("sets/x", "g"), study("runs/demo"), study("b", "other")])
    assert sorted(one.name for one in found) == ["demo", "g", "other"]
    (alone,) = read_sources(["demo"])
    assert_equal(alone, next(one for one in found if one.name == "demo"))


def test_a_study_with_an_export_in_its_folder_is_still_a_study() -> None:
    study("runs/demo")
    recorded("runs/demo/x", "g")
    assert names("runs/demo") == ["demo"]
    assert names("runs/demo/x") == ["g"]


@pytest.mark.parametrize("place", ["demo", "runs/demo"])
def test_a_study_and_a_set_of_one_name_are_told_apart_by_the_user(place: str) -> None:
    study("runs/demo")
    recorded(place, "g")
    with pytest.raises(
        UserError,
        match=rf"^'{place}' is both the study runs/demo/ and the recorded set "
        rf"{place}_runs\.parquet: name one of these two$",
    ):
        read_sources([place])
    assert names("runs/demo/") == ["demo"]
    assert names(f"{place}_runs.parquet") == ["g"]


def test_a_study_file_alone_does_not_hide_the_sets_beside_it() -> None:
    recorded("sets/x", "g")
    Path("sets/study.yaml").write_text("name: mine\n")
    assert names("sets") == ["g"]


def test_what_is_neither_is_refused_with_what_was_looked_for() -> None:
    with pytest.raises(
        UserError,
        match=r"'nope' is neither .*: looked for runs/nope/study\.db, nope/study\.db, "
        r"nope_runs\.parquet and nope/\*_runs\.parquet$",
    ):
        read_sources(["nope"])


def test_one_group_from_two_places_is_refused() -> None:
    recorded("sets/a", "g")
    recorded("sets/b", "h", "g")
    with pytest.raises(UserError, match=r"'g' is in sets/a and in sets/b; name one of them"):
        read_sources(["sets"])
    recorded("c/x", "demo")
    with pytest.raises(UserError, match=r"'demo' is in a study and in c/x"):
        read_sources([study("runs/demo"), "c/x"])


def test_a_set_that_cannot_be_read_is_named() -> None:
    steps_file(Path(recorded("sets/x", "g"))).unlink()
    with pytest.raises(UserError, match=r"recorded set sets/x: there is no file sets/x_steps"):
        read_sources(["sets/x"])
    with pytest.raises(UserError, match=r"there is no file sets/y_runs\.parquet"):
        read_sources([str(runs_file(Path("sets/y")))])


def test_a_study_whose_trials_all_failed_before_a_step_is_refused() -> None:
    with written(Path("runs/demo")) as ledger:
        ledger.save_trial(trial(0, "failed", window=None))
    with pytest.raises(UserError, match=r"^demo: there is nothing to read: no run has a step"):
        read_sources(["demo"])


@pytest.mark.parametrize("text", [".", "", "/", "..", "_runs.parquet"])
def test_what_has_no_name_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match=r"^[^\n]*(looked for|there is no file)[^\n]*$"):
        read_sources([text])


def test_the_working_directory_may_be_a_study_or_hold_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded("sets/x", "g")
    monkeypatch.chdir(tmp_path / "sets")
    assert names(".") == ["g"]
    study(".")
    assert names(".") == ["demo"]


@pytest.mark.parametrize("content", [b"run: {storage: [", b"\xff\xfe\x00", b"just a text"])
def test_a_study_file_that_is_cut_short_or_no_text_is_refused_in_a_sentence(content: bytes) -> None:
    Path("runs/demo").mkdir(parents=True)
    Path("runs/demo/study.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"^runs/demo/study\.yaml[,:][^\n]*$"):
        read_sources(["demo"])


@pytest.mark.parametrize("content", [b"# resolved from nonsense\n", b"# resolved from 3", b"\xff"])
def test_a_study_file_that_does_not_say_its_source_has_none(content: bytes) -> None:
    Path("study.yaml").write_bytes(content)
    assert source_of(StudyPaths(Path())) is None


@pytest.mark.parametrize("path", ["model.base", "objective.metric", "run.seed"])
def test_a_study_whose_storage_lacks_a_key_is_refused_with_the_key(path: str) -> None:
    resolved = document()
    section, key = path.split(".")
    del resolved[section][key]
    with written(Path("runs/demo")) as ledger:
        ledger.continue_as(resolved, "learned-2", [])
    with pytest.raises(UserError, match=rf"'demo' cannot be read: its storage does not say {path}"):
        read_sources(["demo"])


def test_a_study_without_settled_trials_is_refused() -> None:
    with written(Path("runs/demo")) as ledger:
        ledger.save_trial(trial(0, "running", window=None))
    with pytest.raises(UserError, match=r"no trial of demo is completed, pruned or failed yet"):
        read_sources(["demo"])
