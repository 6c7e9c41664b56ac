"""Studies as tables of runs and steps, and read back as the same recorded study."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from predictor.recorded.runs import RecordedStudy
from sweep.account.objective import minimized, signals_of
from sweep.analysis.recorded.sources import read_sources
from sweep.driver.look import look_at
from sweep.storage.engine import make_engine
from sweep.storage.find import open_study
from sweep.storage.ledger import Ledger, TrialRow
from sweep.storage.paths import StudyPaths
from tests.support.exports import (
    BATCH,
    NUM_EARLY,
    NUM_STEPS,
    WINDOW,
    another,
    exported,
    record,
    steps,
)
from tests.support.recorded_frames import assert_equal
from tests.support.sweep_ledgers import completed, decision, forecast, trial, written
from trainer.contract.measurement import Measurement
from trainer.contract.spec import UserError


def trials_of(folder: Path) -> dict[int, TrialRow]:
    ledger, _ = open_study(str(folder))
    found = ledger.read_trials()
    ledger.engine.dispose()
    return {trial.number: trial for trial in found}


def one_of(study: RecordedStudy, number: int) -> Any:
    return next(run for run in study.runs if run.name.endswith(f"/{number}"))


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


def test_every_look_is_there_with_all_that_was_measured(tmp_path: Path) -> None:
    row, seen = completed(0, 0.55), steps(0)
    choices = Measurement(0.4, 64, 9, 0.1, stderr=0.06, margin=-0.3, margin_stderr=0.1)
    early = {"choice_accuracy": choices, "eval_loss": Measurement(2.5, 900, 9, 0.1)}
    wrecked = {**early, "choice_accuracy": replace(choices, value=0.1, margin=math.nan)}
    with written(tmp_path / "demo") as ledger:
        record(ledger, row, seen)
        row.window = look_at(seen, WINDOW, early, "choice_accuracy")
        row.looks = [look_at(seen, 160, wrecked, "choice_accuracy")]
        row.measurements = {name: asdict(one) for name, one in early.items()}
        ledger.save_trial(row)
    exported(tmp_path, tmp_path / "demo")
    (study,) = read_sources([str(tmp_path / "to" / "x")])
    assert [list(one) for one in study.runs[0].evals] == [
        [112, 0.6 + 1 / 128],
        [160, 0.9 + 1 / 128],
        [256, minimized("choice_accuracy", 0.55, 64)],
    ]
    (first,), (second,) = study.trials(WINDOW), study.trials(160)
    assert first.window == signals_of(row.window, "choice_accuracy")
    assert second.window is not None
    assert second.window.early_others == {"eval_loss": 2.5, "choice_margin": math.inf}
    assert study.runs[0].others["choice_margin"][-1] == 0.3


def test_the_base_model_is_beside_the_runs(tmp_path: Path) -> None:
    base = {"choice_accuracy": asdict(Measurement(0.25, 64, 9, 0.1))}
    with written(tmp_path / "demo", base_measurements=base) as ledger:
        record(ledger, completed(0, 0.55), steps(0))
    runs, _ = exported(tmp_path, tmp_path / "demo")
    assert list(runs["base_objective"]) == [0.25]


def test_every_settled_trial_has_its_end(demo: Path, tmp_path: Path) -> None:
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
        assert study.num_replicates == 2


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


@pytest.mark.slow
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
