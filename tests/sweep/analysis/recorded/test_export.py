"""`sweep export`: the two files, where they are written, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from predictor.recorded.files import read_frames
from sweep.analysis.recorded.export import export, export_sentence
from sweep.cli import main
from tests.support.exports import exported, record, recorded, steps
from tests.support.recorded_frames import run_row
from tests.support.sweep_ledgers import completed, written
from trainer.contract.spec import UserError


def test_the_files_hold_plain_columns_and_no_wishes(demo: Path, tmp_path: Path) -> None:
    exported(tmp_path, demo)
    for name in ("x_runs.parquet", "x_steps.parquet"):
        schema = pq.read_schema(tmp_path / "to" / name)
        assert b"pandas" not in (schema.metadata or {})
        assert {str(column.type) for column in schema} <= {"int64", "double", "large_string"}


def test_an_export_takes_the_place_of_an_older_one(demo: Path, tmp_path: Path) -> None:
    first, _ = exported(tmp_path, demo)
    with written(tmp_path / "new", name="new") as ledger:
        record(ledger, completed(0, 0.5), steps(0))
    second, _ = exported(tmp_path, tmp_path / "new")
    assert (len(first), len(second)) == (6, 1)
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [
        "x_runs.parquet",
        "x_steps.parquet",
    ]


def test_the_place_may_be_named_as_the_file(demo: Path, tmp_path: Path) -> None:
    export(demo, to=tmp_path / "x_runs.parquet")
    assert (tmp_path / "x_steps.parquet").is_file()


def test_in_a_folder_the_files_are_named_after_the_study(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    export(demo, to=tmp_path / "to")
    names = sorted(path.name for path in (tmp_path / "to").iterdir())
    assert names == ["demo_runs.parquet", "demo_steps.parquet"]


def test_what_ends_in_a_slash_is_a_folder_that_is_made(demo: Path, tmp_path: Path) -> None:
    export(demo, to=f"{tmp_path / 'new'}/")
    assert (tmp_path / "new" / "demo_runs.parquet").is_file()


def test_studies_of_two_names_need_a_name_beside_the_folder(demo: Path, tmp_path: Path) -> None:
    with written(tmp_path / "new", name="new") as ledger:
        record(ledger, completed(0, 0.5), steps(0))
    (tmp_path / "to").mkdir()
    with pytest.raises(UserError, match=r"is a folder, and there are 2 groups \(demo, new\)"):
        export(demo, tmp_path / "new", to=tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []


def test_a_study_with_its_export_beside_it_is_exported_again(demo: Path) -> None:
    for _ in range(2):
        assert export(demo, to=demo.with_name("demo_runs.parquet")).runs == 6


def test_a_place_that_cannot_be_written_is_refused(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        export(demo, to=tmp_path / "file" / "x")


@pytest.mark.parametrize("name", ["to/x", "to/x_runs.parquet", "to"])
def test_an_export_exported_again_is_the_same(name: str, demo: Path, tmp_path: Path) -> None:
    before = exported(tmp_path, demo)
    export(tmp_path / name, to=tmp_path / "again")
    for one, other in zip(before, read_frames(tmp_path / "again"), strict=True):
        assert one.equals(other)


def test_a_set_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "x_runs.parquet").write_bytes(b"no")
    with pytest.raises(UserError, match=r"^recorded set .*x: .*cannot be read as Parquet"):
        export(tmp_path / "x", to=tmp_path / "all")
    with pytest.raises(UserError, match="is neither a study nor a recorded set"):
        export(tmp_path / "y", to=tmp_path / "all")


def test_says_in_words_what_was_written_and_left_out(demo: Path, tmp_path: Path) -> None:
    said = export_sentence(export(demo, to=tmp_path / "x"))
    assert "6 runs of 1 study in 1 group" in said
    assert "3 completed, 1 pruned by rank, 1 pruned by guard, 1 failed" in said
    assert "2 trials not yet settled are left out." in said


def test_json_says_what_was_written(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = recorded(tmp_path / "h", run_row(0, group="h", horizon_samples=160), samples=8)
    to = tmp_path / "all"
    assert main(["export", str(demo), str(elsewhere), "--to", str(to), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    files = {"runs": f"{to}_runs.parquet", "steps": f"{to}_steps.parquet", "optuna": None}
    assert found["files"] == files
    assert (found["studies"], found["sets"], found["runs"], found["unsettled"]) == (1, 1, 7, 2)
    assert found["steps"] == len(read_frames(to)[1])
    ends = {"completed": 3, "pruned by rank": 1, "pruned by guard": 1, "failed": 1}
    assert found["groups"] == [
        {"group": "demo", "runs": 6, "ends": ends},
        {"group": "h", "runs": 1, "ends": {"completed": 1}},
    ]
