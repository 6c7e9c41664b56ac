"""A file that is written is the whole of it, or what was there before."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from trainer.contract import files
from trainer.contract.files import write_json, write_text, written_whole


def test_a_file_takes_the_place_of_the_one_before_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    write_text(path, "old\r\n")
    write_json(path, {"ä": [1, 2]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ä": [1, 2]}
    write_text(path, "neu: ü\r\n")
    assert path.read_bytes() == "neu: ü\r\n".encode()
    assert [one.name for one in tmp_path.iterdir()] == ["spec.json"]


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_where_it_breaks_off_the_file_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "spec.json"
    write_text(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path if call == "replace" else os, call, full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["spec.json"]


def test_where_the_writer_fails_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no figure"), written_whole(tmp_path / "a.svg") as beside:
        beside.write_text("half")
        assert beside.suffix == ".svg"
        raise ValueError("no figure")
    assert list(tmp_path.iterdir()) == []


def test_the_content_is_on_disk_before_its_name_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = files._sync, Path.replace

    def synced(path: Path) -> None:
        sync(path)
        done.append("folder" if path.is_dir() else "file")

    def replaced(self: Path, target: Path) -> Path:
        done.append("name")
        return replace(self, target)

    monkeypatch.setattr(files, "_sync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_text(tmp_path / "spec.json", "new")
    assert done == ["file", "name", "folder"]
