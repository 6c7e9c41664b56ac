"""Several studies and recorded sets as one set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from predictor.recorded.files import read_frames
from sweep.analysis.recorded.export import export, export_sentence
from sweep.analysis.recorded.sources import read_sources
from tests.support.exports import demo_of, exported, record, recorded, steps
from tests.support.recorded_frames import assert_equal, run_row
from tests.support.sweep_ledgers import completed, going_on, written
from trainer.contract.spec import UserError


def read(prefix: Path) -> Any:
    """(runs, steps) as data frames, which have no types."""
    return read_frames(prefix)


@pytest.mark.slow
def test_sets_and_studies_become_one_set_with_the_groups_of_each(
    demo: Path, tmp_path: Path
) -> None:
    exported(tmp_path, demo)
    with written(tmp_path / "new", name="new") as ledger:
        for number in (0, 10_000):
            record(ledger, completed(number, 0.5), steps(number))
    sources = [str(tmp_path / "to" / "x"), str(tmp_path / "new")]
    said = export_sentence(export(*sources, to=tmp_path / "all"))
    assert "8 runs of 1 study and 1 recorded set in 2 groups (5 completed, 1 pruned by rank" in said
    merged = {study.name: study for study in read_sources([str(tmp_path / "all")])}
    for study in read_sources(sources):
        assert_equal(study, merged.pop(study.name))
    assert merged == {}


@pytest.mark.slow
def test_exports_of_studies_of_one_name_are_one_group(tmp_path: Path) -> None:
    for folder, created_s in (("one", 1.0), ("two", 2.0)):
        (tmp_path / folder).mkdir()
        study = demo_of(tmp_path / folder / "demo", created_s)
        with going_on(study) as ledger:
            record(ledger, completed(10_000, 0.6), steps(1))
        export(study, to=tmp_path / "sets" / folder)
    export(tmp_path / "sets", to=tmp_path / "all")
    runs, rows = read(tmp_path / "all")
    assert runs["name"].tolist() == ["demo/0", "demo/10000", "demo#2/0", "demo#2/10000"]
    confirms = runs["confirms"].astype(object)
    assert confirms.where(confirms.notna(), None).tolist() == [None, "demo/0", None, "demo#2/0"]
    assert set(rows["run"]) == set(runs["run"]) == {0, 1, 2, 3}
    (study,) = read_sources([str(tmp_path / "all")])
    assert (len(study.runs), study.num_replicates, study.created_s) == (2, 2, (1.0, 2.0))


def test_sets_from_elsewhere_keep_their_columns_and_names(tmp_path: Path) -> None:
    one = recorded(
        tmp_path / "one", run_row(7, group=1, study=3, lucky=True, note="a"), phase=2, speed=1.5
    )
    two = recorded(tmp_path / "two", run_row(7, group="g", name="seven", lucky=0.5, state="failed"))
    export(one, two, to=tmp_path / "all")
    runs, rows = read(tmp_path / "all")
    assert runs["run"].tolist() == [0, 1] and runs["group"].tolist() == ["1", "g"]
    assert runs["name"].tolist() == ["7", "seven"] and runs["study"].tolist() == ["3", "study_0"]
    assert runs["lucky"].tolist() == [1.0, 0.5] and runs["note"][0] == "a"
    assert rows.groupby("run")["phase"].unique().map(list).tolist() == [[2], [0]]
    assert rows["speed"].notna().sum() == len(rows) // 2
    first, second = read_sources([str(tmp_path / "all")])
    assert (first.runs[0].state, second.runs[0].state) == ("completed", "failed")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"workload": "other"}, "do not fit together: workload is 'w' and 'other'"),
        ({"metric": "accuracy"}, "metric is eval_loss and accuracy"),
        ({"direction": "maximize"}, "direction is minimize and maximize"),
        ({"horizon_step": 40}, "their runs end at 20 to 20 and at 40 to 40"),
        ({"window_samples": 9.0}, "the early window, in samples, is 8 and 9"),
        ({"name": "0"}, "hold the same runs; name one of these two"),
        ({"name": "0", "created_s": 1.0}, "hold the same runs"),
        ({"created_s": 2.0}, "hold the same runs"),
    ],
)
def test_groups_of_one_name_that_do_not_fit_are_refused(
    change: dict[str, Any], match: str, tmp_path: Path
) -> None:
    created = {"created_s": 2.0} if change.keys() == {"created_s"} else {}
    one = recorded(tmp_path / "one", run_row(0, window_samples=8.0, **created))
    row = {**run_row(1), "window_samples": 8.0, **change}
    two = recorded(tmp_path / "two", row)
    with pytest.raises(UserError, match=rf"^group 'g' of .*one and that of .*two .*{match}"):
        export(one, two, to=tmp_path / "all")
    assert not list(tmp_path.glob("all*"))


def test_a_study_and_its_own_export_are_not_merged(demo: Path, tmp_path: Path) -> None:
    exported(tmp_path, demo)
    with pytest.raises(UserError, match=r"^group 'demo' of .*demo and that of .*x hold the same"):
        export(demo, tmp_path / "to", to=tmp_path / "all")


def test_what_one_file_cannot_hold_is_refused_in_a_sentence(tmp_path: Path) -> None:
    one = recorded(tmp_path / "one", run_row(0, note="a"))
    two = recorded(tmp_path / "two", run_row(0, group="h", note=1.0))
    three = recorded(tmp_path / "three", run_row(0, group="i", horizon_samples=160), samples=8)
    with pytest.raises(UserError, match="'note' is numbers in one of the sets and texts in"):
        export(one, two, to=tmp_path / "all")
    with pytest.raises(UserError, match=r"three counts samples and .*one only steps, so"):
        export(one, three, to=tmp_path / "all")
