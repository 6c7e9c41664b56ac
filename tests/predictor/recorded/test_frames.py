"""Recorded sets: what two tables say, what is refused, and that a strange file runs no code."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predictor.recorded.files import read_frames, runs_file, steps_file, write_frames
from predictor.recorded.frames import studies_from_frames
from predictor.recorded.runs import RecordedRun
from tests.support.recorded_frames import NAN, assert_equal, frames, run_row, step_rows


def only_run(runs: pd.DataFrame, steps: pd.DataFrame) -> RecordedRun:
    (study,) = studies_from_frames(runs, steps)
    (run,) = study.runs
    return run


# --- what the tables say


def test_each_group_is_a_study_of_its_runs() -> None:
    found = studies_from_frames(*frames(run_row(0), run_row(1, group="h"), run_row(2)))
    assert [(study.name, [run.name for run in study.runs]) for study in found] == [
        ("g", ["0", "2"]),
        ("h", ["1"]),
    ]
    assert found[0].workload == "w"
    assert (found[0].metric, found[0].direction) == ("eval_loss", "minimize")


def test_training_steps_and_evaluations_are_told_apart() -> None:
    run = only_run(*frames(run_row(0)))
    assert run.curve.position.tolist() == list(range(1, 21))
    assert run.curve.loss[:2].tolist() == [3.0, 1.5]
    assert run.evals.tolist() == [[10.0, 0.5], [20.0, 0.25]]
    assert (run.horizon, run.objective, run.state) == (20.0, 0.5, "completed")
    assert run.config == {"learning_rate": 1e-3}


def test_a_row_may_be_a_training_step_and_an_evaluation() -> None:
    row = {"run": 0, "step": 1, "loss": 2.0, "grad_norm": 1.0, "eval_loss": 4.0}
    run = only_run(*frames(run_row(0), steps=[row]))
    assert (run.curve.loss.tolist(), run.evals.tolist()) == ([2.0], [[1.0, 4.0]])


def test_a_step_whose_loss_is_not_finite_is_no_evaluation() -> None:
    steps = [
        {"run": 0, "step": 1, "loss": 2.0, "grad_norm": 1.0, "eval_loss": NAN},
        {"run": 0, "step": 2, "loss": NAN, "grad_norm": NAN, "eval_loss": NAN},
    ]
    run = only_run(*frames(run_row(0, final_eval_loss=NAN), steps=steps))
    np.testing.assert_array_equal(run.curve.loss, [2.0, NAN])
    assert (run.state, run.pruned_by, run.stopped_at) == ("pruned", "guard", 2.0)
    assert run.objective is None


def test_the_order_of_the_rows_of_steps_is_of_no_account() -> None:
    runs, steps = frames(run_row(0), run_row(1))
    shuffled = steps.sample(frac=1, random_state=0)
    assert_equal(*studies_from_frames(runs, steps), *studies_from_frames(runs, shuffled))


def test_seeds_of_one_configuration_are_repeats() -> None:
    same = json.dumps({"learning_rate": 1e-3})
    runs = [run_row(i, params=same, study=f"study_{i}") for i in range(2)]
    (study,) = studies_from_frames(*frames(*runs))
    assert study.runs[0].config == study.runs[1].config
    assert [run.seed for run in study.runs] == ["study_0", "study_1"]
    (study,) = studies_from_frames(*frames(*(row | {"seed": row["run"] + 7} for row in runs)))
    assert [run.seed for run in study.runs] == ["7", "8"]


def test_positions_are_samples_where_the_steps_have_them() -> None:
    runs, steps = frames(run_row(0, horizon_samples=160, window_samples=16, name="trial 0"))
    steps["samples"] = steps["step"] * 8
    steps["tokens"] = steps["step"] * 30
    (study,) = studies_from_frames(runs, steps)
    assert (study.in_samples, study.recorded_window) == (True, 16.0)
    (run,) = study.runs
    assert (run.name, run.horizon) == ("trial 0", 160.0)
    assert run.curve.position[:3].tolist() == [8.0, 16.0, 24.0]
    assert set(run.curve.tokens) == {30.0}
    assert run.evals[:, 0].tolist() == [80.0, 160.0]


def test_samples_of_a_log_with_gaps_do_not_promise_every_step() -> None:
    runs, steps = frames(run_row(0, horizon_samples=160))
    steps["samples"] = steps["step"] * 8
    (study,) = studies_from_frames(runs, steps[steps["step"] % 2 == 0])
    assert study.in_samples and study.has_gaps and not study.knows_batches
    assert study.runs[0].curve.position[0] == 16.0
    assert study.window_at(0.1, min_steps=4) == 16.0  # of 160; 4 steps of 16 are not claimed


@pytest.mark.parametrize("step", [0, 7, 20])
def test_a_row_that_says_nothing_is_no_gap(step: int) -> None:
    runs, steps = frames(run_row(0, horizon_samples=160))
    blank = {"run": 0, "step": step, "loss": NAN, "grad_norm": NAN, "eval_loss": NAN}
    more = pd.concat([steps, pd.DataFrame([blank])])
    one, other = (
        studies_from_frames(runs, table.assign(samples=table["step"] * 8))
        for table in (steps, more)
    )
    assert other[0].knows_batches
    assert_equal(*one, *other)


@pytest.mark.parametrize(
    ("changes", "costs"),
    [
        ({}, [1.0, 1.0]),
        ({"tokens": [4000, 1500]}, [4000.0, 3000.0]),
        ({"tokens": [4000, NAN]}, [4000.0, 4000.0]),
    ],
)
def test_the_cost_is_that_of_the_whole_run(changes: dict[str, Any], costs: list[float]) -> None:
    runs, _ = frames(run_row(0), run_row(1, final_eval_loss=NAN))
    steps = pd.DataFrame(step_rows(0) + step_rows(1, num_steps=10))
    (study,) = studies_from_frames(runs.assign(**changes), steps)
    assert [run.cost for run in study.runs] == costs


def test_a_run_without_steps_stays_if_it_tells_something() -> None:
    runs = [
        run_row(0, state="completed"),
        run_row(1, state="pruned", pruned_by="guard", final_eval_loss=NAN),
        run_row(2, state="failed", final_eval_loss=NAN),
        run_row(3, state="pruned", pruned_by="rank", final_eval_loss=NAN),
    ]
    (study,) = studies_from_frames(*frames(*runs, steps=[]))
    assert [run.name for run in study.runs] == ["0", "1"]
    assert study.runs[1].pruned_by == "guard"


def test_the_objective_counts_of_completed_runs_only() -> None:
    run = only_run(*frames(run_row(0, state="pruned", pruned_by="rank", final_eval_loss=0.5)))
    assert (run.objective, run.state, run.pruned_by) == (None, "pruned", "rank")


# --- what is refused


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"params": "[1]"}, r"params must be a JSON object, not '\[1\]'"),
        ({"params": "{"}, "params must be a JSON object"),
        ({"params": 3}, "params must be a JSON object, not 3"),
        ({"horizon_step": 0}, "horizon_step must be above 0"),
        ({"horizon_step": NAN}, "horizon_step is missing in a row"),
        ({"final_eval_loss": "low"}, "final_eval_loss must be numbers"),
        ({"state": "done"}, "state 'done' is none of completed, pruned, failed"),
        ({"direction": "up"}, "direction 'up' is none of minimize, maximize"),
        ({"group": None}, "group is missing in a row"),
        ({"audit": 0.0}, "audit must be above 0 and at most 1"),
        ({"audit_kind": "none"}, "audit_kind 'none' is none of guard, rank"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_right(change: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        studies_from_frames(*frames(run_row(0, **change)))


def test_a_missing_column_is_named() -> None:
    runs, steps = frames(run_row(0))
    with pytest.raises(ValueError, match=r"^runs has no column params, final_eval_loss$"):
        studies_from_frames(runs.drop(columns=["params", "final_eval_loss"]), steps)
    with pytest.raises(ValueError, match=r"^steps has no column loss$"):
        studies_from_frames(runs, steps.drop(columns="loss"))
    with pytest.raises(ValueError, match="has no column horizon_samples"):
        studies_from_frames(runs, steps.assign(samples=1))


def test_steps_without_a_position_are_refused() -> None:
    runs, steps = frames(run_row(0))
    with pytest.raises(ValueError, match="steps: step is missing in a row"):
        studies_from_frames(runs, steps.assign(step=NAN))
    with pytest.raises(ValueError, match="steps: a run's number is out of range"):
        studies_from_frames(runs, steps.assign(run=1e308))


def test_two_runs_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="group 'g' has two runs of the name 'a'"):
        studies_from_frames(*frames(run_row(0, name="a"), run_row(1, name="a")))
    with pytest.raises(ValueError, match="two rows have the same run"):
        studies_from_frames(*frames(run_row(0), run_row(0, group="h")))


def test_nothing_to_read_is_refused() -> None:
    with pytest.raises(ValueError, match="there is nothing to read"):
        studies_from_frames(*frames(run_row(0, final_eval_loss=NAN), steps=[]))


# --- files


def test_a_set_on_disk_reads_as_the_frames_do(tmp_path: Path) -> None:
    runs, steps = frames(run_row(0), run_row(1, final_eval_loss=NAN))
    write_frames(tmp_path / "x", runs, steps)
    again = studies_from_frames(*read_frames(tmp_path / "x"))
    assert_equal(*studies_from_frames(runs, steps), *again)


def test_a_failed_write_leaves_the_old_files(tmp_path: Path) -> None:
    prefix = tmp_path / "x"
    runs, steps = frames(run_row(0))
    write_frames(prefix, runs, steps)
    before = runs_file(prefix).read_bytes()
    with pytest.raises(pa.ArrowException):
        write_frames(prefix, runs.assign(workload="new"), steps.assign(loss=[object()] * 22))
    assert runs_file(prefix).read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_files_that_were_not_written_together_are_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for prefix in (one, other):
        write_frames(prefix, *frames(run_row(0)))
    steps_file(other).rename(steps_file(one))
    with pytest.raises(ValueError, match=r"one_runs\.parquet and .* were not written together"):
        read_frames(one)


def test_files_without_an_id_are_taken_as_a_set(tmp_path: Path) -> None:
    prefix = tmp_path / "x"
    runs, steps = frames(run_row(0))
    write_frames(prefix, runs, steps)
    steps.to_parquet(steps_file(prefix))  # as a notebook has it
    assert len(read_frames(prefix)[1]) == len(steps)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    prefix = tmp_path / "x"
    with pytest.raises(ValueError, match=r"there is no file .*x_runs\.parquet"):
        read_frames(prefix)
    write_frames(prefix, *frames(run_row(0)))
    steps_file(prefix).unlink()
    with pytest.raises(ValueError, match=r"there is no file .*x_steps\.parquet"):
        read_frames(prefix)
    steps_file(prefix).write_text("not Parquet at all")
    with pytest.raises(ValueError, match=r"x_steps\.parquet cannot be read as Parquet"):
        read_frames(prefix)


# --- a file from an untrusted place


class Stranger(pa.ExtensionType):
    """What a file may ask for: its own code, when it is read."""

    def __init__(self) -> None:
        super().__init__(pa.string(), "tests.stranger")

    def __arrow_ext_serialize__(self) -> bytes:
        return b"run me"

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: Any, serialized: bytes) -> Stranger:
        return cls()


@pytest.fixture
def strange(tmp_path: Path) -> Iterator[Path]:
    """A set whose column `study` is of an extension type that this process knows."""
    prefix = tmp_path / "x"
    write_frames(prefix, *frames(run_row(0)))
    table = pq.read_table(runs_file(prefix))
    column = pa.ExtensionArray.from_storage(
        Stranger(), table["study"].combine_chunks().cast("string")
    )
    pa.register_extension_type(Stranger())
    index = table.schema.get_field_index("study")
    pq.write_table(table.set_column(index, "study", column), runs_file(prefix))
    try:
        yield prefix
    finally:
        pa.unregister_extension_type("tests.stranger")


def test_an_extension_type_is_refused(strange: Path) -> None:
    with pytest.raises(ValueError, match=r"column 'study' is .*; only numbers, texts and truth"):
        read_frames(strange)


def test_an_extension_type_that_nobody_knows_is_refused(strange: Path) -> None:
    pa.unregister_extension_type("tests.stranger")
    try:
        with pytest.raises(
            ValueError, match=r"column 'study' is .*; only numbers, texts and truth"
        ):
            read_frames(strange)
    finally:
        pa.register_extension_type(Stranger())


@pytest.mark.parametrize(
    "values", [pa.array([b"\x80\x04pickled"]), pa.array([[1]]), pa.array([{"a": 1}])]
)
def test_columns_that_are_not_plain_are_refused(tmp_path: Path, values: Any) -> None:
    prefix = tmp_path / "x"
    write_frames(prefix, *frames(run_row(0)))
    table = pq.read_table(runs_file(prefix)).append_column("more", values)
    pq.write_table(table, runs_file(prefix))
    with pytest.raises(ValueError, match="column 'more' is "):
        read_frames(prefix)


def test_what_pandas_would_make_of_a_column_is_not_asked(tmp_path: Path) -> None:
    prefix = tmp_path / "x"
    write_frames(prefix, *frames(run_row(0)))
    plain = read_frames(prefix)[0]
    table = pq.read_table(runs_file(prefix))
    wish = {
        "index_columns": ["run"],
        "column_indexes": [],
        "columns": [
            {"name": "study", "pandas_type": "object", "numpy_type": "object", "metadata": None},
            {"name": "run", "pandas_type": "int64", "numpy_type": "no.such:Type", "metadata": None},
        ],
    }
    table = table.replace_schema_metadata({"pandas": json.dumps(wish)})
    pq.write_table(table, runs_file(prefix))
    found = read_frames(prefix)[0]
    pd.testing.assert_frame_equal(found, plain)
    assert math.isfinite(only_run(found, read_frames(prefix)[1]).horizon)
