"""`sweep export --format`: CSV with what Parquet has, and plain studies of Optuna's."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pandas as pd
import pytest

from predictor.recorded.files import read_frames
from sweep.analysis.recorded.export import export
from sweep.cli import main
from sweep.storage import tables as t
from tests.support.optuna_studies import SPACE, with_optuna
from tests.support.sweep_ledgers import completed, going_on, trial, written
from trainer.contract.spec import UserError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_optuna(tmp_path_factory.mktemp("model") / "demo")


@pytest.fixture
def study(model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(model, tmp_path / "demo")


@contextmanager
def opened(file: Path, name: str = "demo") -> Iterator[optuna.Study]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    try:
        yield optuna.load_study(study_name=name, storage=storage)
    finally:
        storage.remove_session()
        storage.engine.dispose()


# --- csv


def test_csv_has_the_rows_and_columns_of_parquet(demo: Path, tmp_path: Path) -> None:
    export(demo, to=tmp_path / "x")
    report = export(demo, to=tmp_path / "x", format="csv")
    assert report.files.runs == str(tmp_path / "x_runs.csv")
    assert report.files.steps == str(tmp_path / "x_steps.csv")
    for name, parquet in zip(("runs", "steps"), read_frames(tmp_path / "x"), strict=True):
        csv = pd.read_csv(tmp_path / f"x_{name}.csv")
        assert list(csv) == list(parquet)
        assert len(csv) == len(parquet) > 0
        for column in parquet:
            theirs: Any = parquet[column]
            ours: Any = csv[column].astype(theirs.dtype)
            pd.testing.assert_series_equal(ours, theirs, check_exact=True)


def test_a_csv_file_may_be_named_itself_and_takes_the_place_of_an_older_one(
    demo: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        export(demo, to=tmp_path / "x_runs.csv", format="csv")
    assert sorted(p.name for p in tmp_path.glob("x*")) == ["x_runs.csv", "x_steps.csv"]


# --- optuna


def test_a_study_is_a_plain_study_of_optunas(study: Path, tmp_path: Path) -> None:
    before = hashlib.sha256((study / "study.db").read_bytes()).hexdigest()
    report = export(study, to=tmp_path / "x", format="optuna")
    assert report.files.optuna == str(tmp_path / "x.db") and report.files.runs is None
    assert (report.runs, report.unsettled, report.steps) == (6, 2, 4)
    assert hashlib.sha256((study / "study.db").read_bytes()).hexdigest() == before
    with opened(tmp_path / "x.db") as plain:
        trials = plain.trials
        assert [t.state.name for t in trials] == ["COMPLETE"] * 3 + ["PRUNED"] * 2 + ["FAIL"]
        assert [t.value for t in trials] == [0.55, 0.71, 0.74, 0.35, None, None]
        assert all(t.distributions == SPACE for t in trials)
        assert trials[3].params == {"learning_rate": 8e-5, "batch_size": 64}
        assert trials[1].intermediate_values == {256: 0.35}
        assert plain.best_trial.number == 2 and plain.direction.name == "MAXIMIZE"
        assert plain.user_attrs["metric"] == "choice_accuracy"
        assert plain.user_attrs["base_objective"] == 0.3
        assert plain.user_attrs["study_file"]["model"]["base"] == "org/tiny-base"


def test_what_sweep_knows_are_user_attributes(study: Path, tmp_path: Path) -> None:
    export(study, to=tmp_path / "x", format="optuna")
    with opened(tmp_path / "x.db") as plain:
        attributes = [t.user_attrs for t in plain.trials]
    pruned = attributes[3]
    assert pruned["P"] == 0.03
    assert (pruned["decision"], pruned["decided_by"]) == ("prune", "rank")
    assert pruned["decided_at"] == "window" and pruned["reason"].startswith("rank 7 of 8")
    assert pruned["fixed"] == {"schedule": "constant"}
    assert pruned["early_loss"] == pytest.approx(2.2)
    assert attributes[2]["audited"] and attributes[2]["final_choice_accuracy"] == 0.74
    assert attributes[0]["recipe"] == "lab"
    assert attributes[5]["error"].startswith("out of memory: ")


def test_every_attribute_is_documented(study: Path, tmp_path: Path) -> None:
    export(study, to=tmp_path / "x", format="optuna")
    page = (Path(__file__).parents[4] / "docs" / "export.md").read_text()
    with opened(tmp_path / "x.db") as plain:
        told = {name for t in plain.trials for name in t.user_attrs} | set(plain.user_attrs)
    told.remove("final_choice_accuracy")
    assert not [name for name in told if f"`{name}`" not in page]


def test_a_replicate_is_a_further_trial_of_its_original(study: Path, tmp_path: Path) -> None:
    with going_on(study) as ledger:
        again = completed(2, 0.7)
        again.number = 10_002  # trial 2 with the first further seed
        ledger.save_trial(again)
    export(study, to=tmp_path / "x", format="optuna")
    with opened(tmp_path / "x.db") as plain:
        last = plain.trials[-1]
        assert last.user_attrs["replicate_of"] == 2
        assert last.params == plain.trials[2].params and last.value == 0.7


def test_optuna_goes_on_with_it(study: Path, tmp_path: Path) -> None:
    export(study, to=tmp_path / "x", format="optuna")
    with opened(tmp_path / "x.db") as plain:
        asked = plain.ask(SPACE)
        plain.tell(asked, 0.9)
        assert plain.best_trial.number == 6


def test_the_dashboard_opens_it(study: Path, tmp_path: Path) -> None:
    export(study, to=tmp_path / "x", format="optuna")
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'x.db'}")
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    heard: list[str] = []

    def start(status: str, *_: object) -> None:
        heard.append(status)

    app: Any = optuna_dashboard.wsgi(storage)
    environ |= {"PATH_INFO": "/api/studies/1"}
    found = json.loads(b"".join(app(environ, start)))
    assert heard == ["200 OK"] and len(found["trials"]) == 6
    storage.remove_session()
    storage.engine.dispose()


def test_several_studies_are_in_one_file_by_their_names(study: Path, tmp_path: Path) -> None:
    other = with_optuna(tmp_path / "other", "other")
    report = export(study, other, to=tmp_path / "both.db", format="optuna")
    assert [group.group for group in report.groups] == ["demo", "other"]
    with opened(tmp_path / "both.db", "other") as plain:
        assert len(plain.trials) == 6


def test_an_older_file_is_replaced(study: Path, tmp_path: Path) -> None:
    for _ in range(2):
        export(study, to=tmp_path / "x", format="optuna")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "x.db"]
    with opened(tmp_path / "x.db") as plain:
        assert len(plain.trials) == 6


def test_two_studies_of_one_name_are_refused(study: Path, tmp_path: Path) -> None:
    again = shutil.copytree(study, tmp_path / "again")
    with going_on(again) as ledger, ledger.engine.begin() as connection:
        connection.execute(t.studies.update().values(created_s=1.0))  # it is another one
    with pytest.raises(UserError, match=r"two studies are called 'demo'.*a file each"):
        export(study, again, to=tmp_path / "x", format="optuna")


def test_a_recorded_set_is_no_study_of_optunas(study: Path, tmp_path: Path) -> None:
    export(study, to=tmp_path / "x")
    with pytest.raises(UserError, match=r"format: optuna takes studies alone: .*x does not hold"):
        export(tmp_path / "x", to=tmp_path / "y", format="optuna")


def test_a_study_without_a_settled_trial_is_refused(tmp_path: Path) -> None:
    with written(tmp_path / "new") as ledger:
        ledger.save_trial(trial(0, "running"))
    optuna.create_study(study_name="demo", storage=f"sqlite:///{tmp_path / 'new' / 'study.db'}")
    with pytest.raises(UserError, match=r"no trial of .* is completed, pruned or failed yet"):
        export(tmp_path / "new", to=tmp_path / "x", format="optuna")
    assert not (tmp_path / "x.db").exists()


def test_the_command_says_what_it_wrote(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = str(tmp_path / "x")
    assert main(["export", str(study), "--to", to, "--format", "optuna"]) == 0
    said, errors = capsys.readouterr()
    assert said == (
        f"{to}.db has 6 trials of 1 study (3 completed, 1 pruned by rank, 1 pruned by guard, 1 "
        "failed) with 4 intermediate values. To look at it: optuna-dashboard "
        f"sqlite:///{to}.db 2 trials not yet settled are left out.\n"
    )
    assert not errors
    assert main(["export", str(study), "--to", to, "--format", "xls"]) == 2
