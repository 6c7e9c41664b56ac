"""Whose checkpoint is dropped where parked trials may take no more disk (run.parked_gb)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sweep.driver.parked_checkpoints import ParkedCheckpoints, limit_bytes, to_drop
from sweep.storage.paths import StudyPaths
from tests.support.studies import make_study

SIZES = {0: 10, 1: 10, 2: 10, 3: 10}


@pytest.mark.parametrize(
    ("limit", "dropped"),
    [(40, []), (39, [1]), (20, [1, 3]), (5, [1, 3, 0, 2]), (0, [1, 3, 0, 2])],
)
def test_the_least_promising_lose_theirs_until_the_others_fit(
    limit: float, dropped: list[int]
) -> None:
    assert to_drop(SIZES, (2, 0, 3, 1), limit) == dropped


def test_who_is_compared_with_nobody_promises_least() -> None:
    assert to_drop(SIZES, (2, 0), 20) == [3, 1]


def test_the_limit_is_what_the_study_says_else_half_of_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    out = tmp_path / "not" / "there yet"
    assert limit_bytes(make_study(), out) == 500
    assert limit_bytes(make_study(), tmp_path, taken_bytes=200) == 600  # as before they were there
    assert limit_bytes(make_study(run={"parked_gb": 2.5}), out) == 2.5e9
    assert limit_bytes(make_study(run={"parked_gb": 0}), out) == 0


def test_what_is_dropped_is_gone_and_counted_no_more(tmp_path: Path) -> None:
    parked = ParkedCheckpoints(StudyPaths(tmp_path), bytes_each=7)
    assert parked.expected_bytes() == 7
    for number in (1, 2, 3):
        folder = parked.paths.trial_checkpoints(number) / "checkpoint-3"
        folder.mkdir(parents=True)
        (folder / "weights").write_text("x" * number)
    for number in (0, 1, 2, 3):
        parked.add(number)
    assert (parked.sizes, parked.total_bytes) == ({1: 1, 2: 2, 3: 3}, 6)
    assert parked.expected_bytes() == 3
    parked.drop([1, 3])
    parked.remove(2)  # it runs again
    assert parked.total_bytes == 0
    assert [one.name for one in tmp_path.rglob("weights")] == ["weights"]
