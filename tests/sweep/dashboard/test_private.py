"""What sweep takes for granted of optuna-dashboard's insides: it fails where these change."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import get_note_from_system_attrs
from optuna_dashboard._storage import get_studies

from sweep.dashboard.private import ReadOnlyStudy, figure, note
from sweep.storage.paths import StudyPaths

LONG = "a sentence; " * 500


def test_the_version_is_the_one_that_is_pinned() -> None:
    assert version("optuna-dashboard").startswith("0.21.")


@pytest.mark.parametrize("trial_id", [None, 7])
def test_a_note_is_read_back(trial_id: int | None) -> None:
    found = get_note_from_system_attrs({"other": 1, **note(LONG, trial_id)}, trial_id)
    assert found == {"version": 1, "body": LONG}


def test_a_figure_is_read_back() -> None:
    plotly = {"data": [{"x": list(range(2000)), "name": "a:b"}], "layout": {}}
    found = get_plotly_graph_objects({**figure("1_loss", plotly), **figure("2_norm", {})})
    assert json.loads(found["1_loss"]) == plotly
    assert sorted(found) == ["1_loss", "2_norm"]


def test_the_dashboard_asks_a_storage_for_one_study_with_the_overlay(study: Path) -> None:
    heard: list[dict[int, int]] = []
    url = StudyPaths(study).default_storage
    storage = ReadOnlyStudy(url, "demo", lambda ids: (heard.append(dict(ids)), note("hello"))[1])
    (found,) = get_studies(storage)
    assert found.study_name == "demo"
    assert get_note_from_system_attrs(found.system_attrs, None)["body"] == "hello"
    assert heard == [{number: number + 7 for number in range(6)}]  # another study's come first
    assert storage.study_id == 2
    storage.engine.dispose()


def test_the_storage_takes_no_write(study: Path) -> None:
    storage = ReadOnlyStudy(StudyPaths(study).default_storage, "demo", lambda _: {})
    with pytest.raises(StorageInternalError) as refused:
        storage.set_study_user_attr(storage.study_id, "x", 1)
    assert "readonly database" in str(refused.value.__cause__)
    storage.engine.dispose()
