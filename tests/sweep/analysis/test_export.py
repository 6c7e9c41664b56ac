"""A study, its export and the export read back are the same recorded study."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from predictor.recorded.files import read_frames, write_frames
from predictor.recorded.runs import RecordedStudy
from predictor.signals import window_signals
from predictor.types import Observation
from sweep.account.objective import minimized
from sweep.analysis.export import export_studies
from sweep.analysis.sources import read_sources
from sweep.cli import main
from sweep.storage.engine import make_engine
from sweep.storage.find import open_study
from sweep.storage.ledger import Ledger, StudyRow, TrialRow
from sweep.storage.paths import StudyPaths
from tests.support.recorded_frames import assert_equal, frames, run_row
from tests.support.sweep_ledgers import (
    base_facts,
    completed,
    decision,
    document,
    forecast,
    going_on,
    observation,
    trial,
    written,
)
from trainer.contract.spec import UserError

BATCH = 16
NUM_STEPS = 16
WINDOW = 100  # samples: the seventh step closes it
NUM_EARLY = 64


def steps(number: int, num_steps: int = NUM_STEPS, **changes: Any) -> list[Observation]:
    return [
        observation(
            step,
            BATCH,
            grad_sq_noise_free=4.0 + 0.1 * math.cos(step + number),
            grad_sq_noise=0.5,
            **changes,
        )
        for step in range(1, num_steps + 1)
    ]


def record(
    ledger: Ledger, row: TrialRow, seen: Sequence[Observation], early: float | None = 0.4
) -> None:
    """A trial with the window that its steps make, if they reach it."""
    row.params = {**row.params, "batch_size": BATCH}
    row.window = None
    if seen and seen[-1].samples_seen >= WINDOW:
        num = None if early is None else NUM_EARLY
        row.window = {**asdict(window_signals(seen, WINDOW, early)), "early_eval_num": num}
    for one in seen:
        ledger.add_observation(row.number, one)
    ledger.save_trial(row)


def fill(ledger: Ledger) -> None:
    """A trial of every kind: completed, with and without early evaluation and through two phases,
    pruned by rank, by a guard in and before the window, failed, running and waiting."""
    record(ledger, completed(0, 0.55), steps(0))
    record(ledger, completed(1, 0.71), steps(1), early=None)
    phased = [*steps(2, 5, phase=1), *steps(2, phase=2)[5:]]
    record(ledger, completed(2, 0.6), phased, early=0.1)
    record(ledger, trial(3, "pruned"), steps(3, 7))
    ledger.save_trial(
        ledger.read_trials()[-1], decision=decision(3, "prune", "rank", probability=0.03)
    )
    blown = [*steps(4, 2), observation(3, BATCH, loss=math.nan, grad_norm=math.inf)]
    record(ledger, trial(4, "pruned"), blown)
    stopped = decision(4, "prune", "guard", moment="not finite", step=3)
    ledger.save_trial(ledger.read_trials()[-1], decision=stopped)
    record(ledger, trial(5, "failed"), steps(5, 9))
    record(ledger, trial(6, "running"), steps(6, 3))
    record(ledger, trial(7, "waiting"), [])


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    with written(tmp_path / "demo") as ledger:
        fill(ledger)
    return tmp_path / "demo"


def exported(tmp_path: Path, *studies: Path) -> Any:
    """(runs, steps) as data frames."""
    assert export_studies([str(study) for study in studies], tmp_path / "to" / "x") == 0
    return read_frames(tmp_path / "to" / "x")


def another(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> Path:
    """A study of the same name with one completed trial, its document and facts changed."""
    resolved, facts = document(), base_facts()
    change(resolved, facts)
    folder.mkdir()
    engine = make_engine(StudyPaths(folder).default_storage)
    ledger = Ledger(engine, "demo")
    ledger.create(StudyRow("demo", resolved, facts, "rank-1"))
    record(ledger, completed(0, 0.5), steps(0))
    engine.dispose()
    return folder


def trials_of(folder: Path) -> dict[int, TrialRow]:
    ledger, _ = open_study(str(folder))
    found = ledger.read_trials()
    ledger.engine.dispose()
    return {trial.number: trial for trial in found}


def one_of(study: RecordedStudy, number: int) -> Any:
    return next(run for run in study.runs if run.name.endswith(f"/{number}"))


# --- the round trip


def test_a_study_and_its_export_are_equal(demo: Path, tmp_path: Path) -> None:
    exported(tmp_path, demo)
    (before,) = read_sources([str(demo)])
    (after,) = read_sources([str(tmp_path / "to" / "x")])
    assert_equal(before, after)
    assert (before.name, before.in_samples, before.recorded_window) == ("demo", True, WINDOW)
    assert (before.metric, before.direction) == ("choice_accuracy", "maximize")


def test_every_window_signal_is_the_ledgers(demo: Path, tmp_path: Path) -> None:
    runs, _ = exported(tmp_path, demo)
    (study,) = read_sources([str(tmp_path / "to" / "x")])
    found = [trial.window for trial in study.trials(WINDOW)]
    stored = [trials_of(demo)[number].window for number in range(6)]
    for one, other in zip(found, stored, strict=True):
        if other is None:
            assert one is None
            continue
        early, num = other.pop("early_eval"), other.pop("early_eval_num")
        turned_early = None if early is None else minimized("choice_accuracy", early, num)
        assert one is not None
        assert asdict(one) == {**other, "early_eval": turned_early}
    assert [one is None for one in found] == [False, False, False, False, True, False]
    assert found[0] is not None
    assert runs["grad_norm_noise_free"][0] == found[0].grad_norm_noise_free


# --- what is written


def test_every_settled_trial_has_its_end(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, _ = exported(tmp_path, demo)
    ends = runs[["state", "pruned_by", "final_eval_loss"]].astype(object)
    rows = ends.where(ends.notna(), None).values.tolist()
    error = [pytest.approx(1 - value + 1 / 800) for value in (0.55, 0.71, 0.6)]
    assert rows == [
        ["completed", None, error[0]],
        ["completed", None, error[1]],
        ["completed", None, error[2]],
        ["pruned", "rank", None],
        ["pruned", "guard", None],
        ["failed", None, None],
    ]
    assert runs["objective"][:3].tolist() == [0.55, 0.71, 0.6]
    said = capsys.readouterr().out
    assert "6 runs of 1 study in 1 group" in said
    assert "3 completed, 1 pruned by rank, 1 pruned by guard, 1 failed" in said
    assert "2 trials not yet settled are left out." in said


def test_evaluations_stand_where_they_were_made(demo: Path, tmp_path: Path) -> None:
    runs, rows = exported(tmp_path, demo)
    evaluations = rows[rows["eval_loss"].notna() & (rows["run"] == 0)]
    assert evaluations["step"].tolist() == [7, NUM_STEPS]
    assert evaluations["samples"].tolist() == [7 * BATCH, NUM_STEPS * BATCH]
    final = runs["final_eval_loss"][0]
    assert evaluations["eval_loss"].tolist() == [1 - 0.4 + 1 / (2 * NUM_EARLY), final]
    assert evaluations["loss"].isna().all()


def test_a_guards_trial_keeps_the_steps_that_show_why(demo: Path) -> None:
    (study,) = read_sources([str(demo)])
    run = one_of(study, 4)
    assert math.isnan(run.curve.loss[-1])
    assert math.isinf(run.curve.grad_norm[-1])
    assert run.stopped_at == 3 * BATCH


def test_an_evaluation_that_is_not_finite_is_no_step(tmp_path: Path) -> None:
    with written(tmp_path / "demo") as ledger:
        record(ledger, completed(0, math.nan), steps(0), early=math.nan)
    (study,) = read_sources([str(tmp_path / "demo")])
    assert study.knows_batches
    assert len(study.runs[0].curve.position) == NUM_STEPS


def test_the_phases_of_the_data_are_kept(demo: Path) -> None:
    (study,) = read_sources([str(demo)])
    assert one_of(study, 2).curve.phase.tolist() == [1] * 5 + [2] * 11
    assert set(one_of(study, 0).curve.phase) == {0}


def test_steps_behind_a_gap_are_left_out(tmp_path: Path) -> None:
    with written(tmp_path / "demo") as ledger:
        seen = steps(0)
        record(ledger, completed(0, 0.5), [*seen[:4], *seen[8:]])
    (study,) = read_sources([str(tmp_path / "demo")])
    assert study.in_samples
    assert study.runs[0].curve.position[-1] == 4 * BATCH
    assert study.runs[0].evals[-1].tolist() == [NUM_STEPS * BATCH, study.runs[0].objective]


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


@pytest.mark.parametrize("action", ["continue", "audit"])
def test_a_pruned_trial_without_a_prune_on_record_can_be_read_back(
    tmp_path: Path, action: str
) -> None:
    with written(tmp_path / "demo") as ledger:
        record(ledger, trial(0, "pruned"), steps(0, 7))
        kept = decision(0, action, "none" if action == "continue" else "rank")
        ledger.save_trial(ledger.read_trials()[0], decision=kept)
    runs, _ = exported(tmp_path, tmp_path / "demo")
    assert runs["pruned_by"].isna().all()
    (study,) = read_sources([str(tmp_path / "to" / "x")])
    assert (study.runs[0].state, study.runs[0].pruned_by) == ("pruned", None)


def test_what_audits_found_is_kept(tmp_path: Path) -> None:
    said = {
        0: decision(0, "audit", "rank", probability=0.04, evidence=forecast()),  # of best 0.71
        1: decision(1, "audit", "guard", evidence={"best": 0.1, "spread": 0.2}),
        2: decision(2, "audit", "guard", evidence={"rule": "divergence"}),  # no incumbent
        3: decision(3, "continue", "rank", probability=0.5, evidence=forecast()),
    }
    with written(tmp_path / "demo") as ledger:
        for number, kept in said.items():
            record(ledger, completed(number, 0.8), steps(number))
            ledger.save_trial(ledger.read_trials()[-1], decision=kept)
    runs, _ = exported(tmp_path, tmp_path / "demo")
    columns = runs[["audit", "audit_kind", "audit_p", "audit_miss"]].astype(object)
    assert columns.where(columns.notna(), None).values.tolist() == [
        [0.1, "rank", 0.04, 1.0],
        [0.1, "guard", None, 0.0],
        [0.1, "guard", None, None],
        [None, None, None, None],
    ]
    (study,) = read_sources([str(tmp_path / "to" / "x")])
    assert [run.audit_miss for run in study.runs] == [True, False, None, None]


def test_repeats_of_the_best_are_exported_as_such_and_read_as_no_runs(tmp_path: Path) -> None:
    with written(tmp_path / "demo") as ledger:
        for number in (0, 1, 10_001, 20_001):
            record(ledger, completed(number, 0.8), steps(number))
    runs, _ = exported(tmp_path, tmp_path / "demo")
    confirms = runs["confirms"].astype(object)
    assert confirms.where(confirms.notna(), None).tolist() == [None, None, "demo/1", "demo/1"]
    for source in (tmp_path / "demo", tmp_path / "to" / "x"):
        (study,) = read_sources([str(source)])
        assert [run.name for run in study.runs] == ["demo/0", "demo/1"]
        assert study.num_repeats == 2


# --- several studies


def test_studies_of_one_name_are_one_group(demo: Path, tmp_path: Path) -> None:
    def seed_and_pruning(resolved: dict[str, Any], _: dict[str, Any]) -> None:
        resolved["run"] = {"trials": 4, "seed": 1}
        resolved["pruning"] = {"enabled": False}

    runs, _ = exported(tmp_path, demo, another(tmp_path / "again", seed_and_pruning))
    assert set(runs["group"]) == {"demo"}
    assert runs["study"].tolist() == ["0"] * 6 + ["1"]
    assert runs["run"].is_unique
    assert (runs["name"][0], runs["name"][6]) == ("demo/0", "again/0")


def test_folders_of_one_name_are_told_apart(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    runs, _ = exported(tmp_path, demo, another(tmp_path / "b" / "demo", lambda d, f: None))
    assert runs["name"][6] == "demo#2/0"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d, f: d["model"].update(base="x"), 'model.base is "org/tiny-base" in one and "x"'),
        (lambda d, f: d["objective"].update(metric="eval_loss"), "objective.metric is"),
        (lambda d, f: d.update(budget={"samples": 9}), 'budget is null in one and {"samples": 9}'),
        (lambda d, f: d.update(pruning={"early_eval": 8}), "pruning.early_eval is"),
        (lambda d, f: f["sources"]["train"].update(sha256="c"), "content of its data .train. is"),
    ],
)
def test_studies_of_one_name_that_ask_different_questions_are_refused(
    tmp_path: Path, change: Any, match: str
) -> None:
    def same(resolved: dict[str, Any], facts: dict[str, Any]) -> None:
        resolved["objective"]["metric"] = "choice_accuracy"
        facts["sources"] = {"train": {"path": "a", "sha256": "b"}}

    def other(resolved: dict[str, Any], facts: dict[str, Any]) -> None:
        same(resolved, facts)
        facts["base_measurements"] = None
        change(resolved, facts)

    studies = [another(tmp_path / "one", same), another(tmp_path / "two", other)]
    with pytest.raises(UserError, match=match):
        exported(tmp_path, *studies)


def test_studies_with_different_windows_are_refused(tmp_path: Path) -> None:
    one = another(tmp_path / "one", lambda d, f: None)
    two = another(tmp_path / "two", lambda d, f: None)
    (row,) = trials_of(two).values()
    engine = make_engine(StudyPaths(two).default_storage)
    Ledger(engine, "demo").save_trial(replace(row, window={**(row.window or {}), "samples": 50}))
    engine.dispose()
    with pytest.raises(UserError, match="early window, in samples, is 100 in one and 50 in two"):
        exported(tmp_path, one, two)


def test_a_study_named_twice_is_refused(demo: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="are the same study"):
        exported(tmp_path, demo, demo)


def test_a_study_without_settled_trials_is_refused(tmp_path: Path) -> None:
    with written(tmp_path / "demo") as ledger:
        ledger.save_trial(trial(0, "running", window=None))
    with pytest.raises(UserError, match=r"no trial of .*demo is completed, pruned or failed yet"):
        exported(tmp_path, tmp_path / "demo")


def test_tables_of_an_earlier_version_are_refused(demo: Path, tmp_path: Path) -> None:
    engine = make_engine(StudyPaths(demo).default_storage)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE sweep_observations DROP COLUMN phase")
        connection.exec_driver_sql("DROP TABLE sweep_version")
    engine.dispose()
    with pytest.raises(UserError, match=r"/demo: the storage was made by an earlier version"):
        exported(tmp_path, demo)


def test_the_place_may_be_named_as_the_file(demo: Path, tmp_path: Path) -> None:
    export_studies([str(demo)], tmp_path / "x_runs.parquet")
    assert (tmp_path / "x_steps.parquet").is_file()


def test_in_a_folder_the_files_are_named_after_the_study(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    export_studies([str(demo)], tmp_path / "to")
    names = sorted(path.name for path in (tmp_path / "to").iterdir())
    assert names == ["demo_runs.parquet", "demo_steps.parquet"]


def test_what_ends_in_a_slash_is_a_folder_that_is_made(demo: Path, tmp_path: Path) -> None:
    export_studies([str(demo)], f"{tmp_path / 'new'}/")
    assert (tmp_path / "new" / "demo_runs.parquet").is_file()


def test_studies_of_two_names_need_a_name_beside_the_folder(demo: Path, tmp_path: Path) -> None:
    with written(tmp_path / "new", name="new") as ledger:
        record(ledger, completed(0, 0.5), steps(0))
    (tmp_path / "to").mkdir()
    with pytest.raises(UserError, match=r"is a folder, and there are 2 groups \(demo, new\)"):
        export_studies([str(demo), str(tmp_path / "new")], tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []


def test_a_study_with_its_export_beside_it_is_exported_again(demo: Path) -> None:
    for _ in range(2):
        assert export_studies([str(demo)], demo.with_name("demo_runs.parquet")) == 0


def test_a_place_that_cannot_be_written_is_refused(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        export_studies([str(demo)], tmp_path / "file" / "x")


# --- recorded sets


def recorded(prefix: Path, *rows: dict[str, Any], **columns: Any) -> Path:
    """A set from elsewhere, with few columns; `columns` are further ones of its steps."""
    runs, steps = frames(*rows)
    prefix.parent.mkdir(exist_ok=True)
    write_frames(prefix, runs, steps.assign(**columns))
    return prefix


def read(prefix: Path) -> Any:
    """(runs, steps) as data frames, which have no types."""
    return read_frames(prefix)


def demo_of(folder: Path, created_s: float) -> Path:
    """A study `demo` of one completed trial, as made at that time."""
    with written(folder) as ledger:
        record(ledger, completed(0, 0.5), steps(0))
        with ledger.engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE sweep_studies SET created_s = {created_s}")
    return folder


@pytest.mark.parametrize("name", ["to/x", "to/x_runs.parquet", "to"])
def test_an_export_exported_again_is_the_same(name: str, demo: Path, tmp_path: Path) -> None:
    before = exported(tmp_path, demo)
    export_studies([str(tmp_path / name)], tmp_path / "again")
    for one, other in zip(before, read_frames(tmp_path / "again"), strict=True):
        assert one.equals(other)


def test_sets_and_studies_become_one_set_with_the_groups_of_each(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(tmp_path, demo)
    with written(tmp_path / "new", name="new") as ledger:
        for number in (0, 10_000):
            record(ledger, completed(number, 0.5), steps(number))
    capsys.readouterr()
    sources = [str(tmp_path / "to" / "x"), str(tmp_path / "new")]
    export_studies(sources, tmp_path / "all")
    said = capsys.readouterr().out
    assert "8 runs of 1 study and 1 recorded set in 2 groups (5 completed, 1 pruned by rank" in said
    merged = {study.name: study for study in read_sources([str(tmp_path / "all")])}
    for study in read_sources(sources):
        assert_equal(study, merged.pop(study.name))
    assert merged == {}


def test_exports_of_studies_of_one_name_are_one_group(tmp_path: Path) -> None:
    for folder, created_s in (("one", 1.0), ("two", 2.0)):
        (tmp_path / folder).mkdir()
        study = demo_of(tmp_path / folder / "demo", created_s)
        with going_on(study) as ledger:
            record(ledger, completed(10_000, 0.6), steps(1))
        export_studies([str(study)], tmp_path / "sets" / folder)
    export_studies([str(tmp_path / "sets")], tmp_path / "all")
    runs, rows = read(tmp_path / "all")
    assert runs["name"].tolist() == ["demo/0", "demo/10000", "demo#2/0", "demo#2/10000"]
    confirms = runs["confirms"].astype(object)
    assert confirms.where(confirms.notna(), None).tolist() == [None, "demo/0", None, "demo#2/0"]
    assert set(rows["run"]) == set(runs["run"]) == {0, 1, 2, 3}
    (study,) = read_sources([str(tmp_path / "all")])
    assert (len(study.runs), study.num_repeats, study.created_s) == (2, 2, (1.0, 2.0))


def test_sets_from_elsewhere_keep_their_columns_and_names(tmp_path: Path) -> None:
    one = recorded(
        tmp_path / "one", run_row(7, group=1, study=3, lucky=True, note="a"), phase=2, speed=1.5
    )
    two = recorded(tmp_path / "two", run_row(7, group="g", name="seven", lucky=0.5, state="failed"))
    export_studies([str(one), str(two)], tmp_path / "all")
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
        export_studies([str(one), str(two)], tmp_path / "all")
    assert not list(tmp_path.glob("all*"))


def test_a_study_and_its_own_export_are_not_merged(demo: Path, tmp_path: Path) -> None:
    exported(tmp_path, demo)
    with pytest.raises(UserError, match=r"^group 'demo' of .*demo and that of .*x hold the same"):
        export_studies([str(demo), str(tmp_path / "to")], tmp_path / "all")


def test_what_one_file_cannot_hold_is_refused_in_a_sentence(tmp_path: Path) -> None:
    one = recorded(tmp_path / "one", run_row(0, note="a"))
    two = recorded(tmp_path / "two", run_row(0, group="h", note=1.0))
    three = recorded(tmp_path / "three", run_row(0, group="i", horizon_samples=160), samples=8)
    with pytest.raises(UserError, match="'note' is numbers in one of the sets and texts in"):
        export_studies([str(one), str(two)], tmp_path / "all")
    with pytest.raises(UserError, match=r"three counts samples and .*one only steps, so"):
        export_studies([str(one), str(three)], tmp_path / "all")


def test_a_set_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "x_runs.parquet").write_bytes(b"no")
    with pytest.raises(UserError, match=r"^recorded set .*x: .*cannot be read as Parquet"):
        export_studies([str(tmp_path / "x")], tmp_path / "all")
    with pytest.raises(UserError, match="is neither a study nor a recorded set"):
        export_studies([str(tmp_path / "y")], tmp_path / "all")


def test_json_says_what_was_written(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = recorded(tmp_path / "h", run_row(0, group="h", horizon_samples=160), samples=8)
    to = tmp_path / "all"
    assert main(["export", str(demo), str(elsewhere), "--to", str(to), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["files"] == {"runs": f"{to}_runs.parquet", "steps": f"{to}_steps.parquet"}
    assert (found["studies"], found["sets"], found["runs"], found["unsettled"]) == (1, 1, 7, 2)
    assert found["steps"] == len(read_frames(to)[1])
    ends = {"completed": 3, "pruned by rank": 1, "pruned by guard": 1, "failed": 1}
    assert found["groups"] == [
        {"group": "demo", "runs": 6, "ends": ends},
        {"group": "h", "runs": 1, "ends": {"completed": 1}},
    ]
