"""What a study's document holds, and how a study is found."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from sweep.cli import main
from sweep.documents import to_json
from sweep.driver.look import look_at
from sweep.report.study_report import study_report, trial_report
from sweep.report.study_text import best_lines
from sweep.report.trial_text import trial_rows
from sweep.report.trial_types import Failure
from sweep.storage.find import open_study
from sweep.storage.ledger import Ledger, StudyRow
from sweep.storage.paths import StudyPaths
from tests import ROOT
from tests.support.sweep_ledgers import (
    GUARD_REASON,
    PLANNED,
    RANK_REASON,
    completed,
    decision,
    document,
    fill,
    measurement,
    observation,
    trial,
    written,
)
from trainer.contract.measurement import Measurement
from trainer.contract.spec import UserError


@pytest.fixture
def full(tmp_path: Path) -> Iterator[tuple[Ledger, StudyPaths]]:
    """A study with a trial in every state, read by another than who wrote it."""
    with written(tmp_path / "runs" / "demo") as ledger:
        fill(ledger)
    reader, paths = open_study(str(tmp_path / "runs" / "demo"))
    yield reader, paths
    reader.engine.dispose()


def test_the_document_has_the_promised_keys(full: tuple[Ledger, StudyPaths]) -> None:
    found = to_json(study_report(*full))
    assert found["study"] == "demo"
    assert found["base"]["objective"] == 0.30
    assert [one["number"] for one in found["trials"]] == list(range(8))
    for one in found["trials"]:
        assert {"params", "objective", "attempts", "error"} <= one.keys()
        assert {"input_tokens", "seconds", "flops"} <= one["compute"].keys()
    signals = {"samples", "phase", "loss", "grad_norm", "grad_norm_noise_free", "early_eval"}
    signals |= {"early_eval_stderr", "early_others"}
    assert found["trials"][3]["window"].keys() == signals
    verdict = {"action", "kind", "probability", "reason", "audited"}
    assert verdict <= found["trials"][3]["verdict"].keys()
    assert found["best"] == {
        "number": 2,
        "params": found["trials"][2]["params"],
        "objective": 0.74,
        "mean": 0.74,
        "sd": None,
        "num_seeds": 1,
        "confirms": None,
        "model_dir": None,
    }
    assert found["trials"][3]["forecast"] == {
        "probability": 0.03,
        "before": 0.21,
        "incumbent": 1,
        "best": pytest.approx(0.29125),
        "spread": 0.16,
    }
    assert found["trials"][0]["forecast"] is None
    assert found["expected_misses"] == {"sum": 0.03, "num": 1, "most": 0.3}
    audits = {"num", "finished", "beyond_flops", "told", "misses", "rate", "low", "high"}
    assert audits <= found["audits"].keys()
    compute = {"used_flops", "planned_flops", "saved_share"}
    saved = {"saved_by_guards", "saved_by_rank", "saved_by_stopping"}
    assert compute | saved <= found["compute"].keys()


@pytest.mark.parametrize(
    ("number", "state", "action", "kind", "audited"),
    [
        (0, "completed", "continue", "none", False),
        (1, "completed", "continue", "rank", False),
        (2, "completed", "audit", "rank", True),
        (3, "pruned", "prune", "rank", False),
        (4, "pruned", "prune", "guard", False),
    ],
)
def test_a_trial_shows_its_state_and_the_verdict_on_it(
    full: tuple[Ledger, StudyPaths], number: int, state: str, action: str, kind: str, audited: bool
) -> None:
    one = study_report(*full).trials[number]
    verdict = one.verdict
    assert verdict is not None
    assert (one.state, verdict.action, verdict.kind) == (state, action, kind)
    assert verdict.audited is audited


def test_what_a_trial_does_not_have_is_null(full: tuple[Ledger, StudyPaths]) -> None:
    trials = study_report(*full).trials
    stated = [one.verdict and one.verdict.probability for one in trials]
    assert stated == [None, None, 0.08, 0.03, None, None, None, None]
    assert trials[0].error is None
    for number in (5, 6, 7):
        assert trials[number].verdict is None
        assert trials[number].window is None
        assert trials[number].objective is None


def test_failures_are_told_with_their_cause_also_of_a_trial_that_went_well_at_last(
    full: tuple[Ledger, StudyPaths],
) -> None:
    trials = study_report(*full).trials
    said = "it was [red]said[/red] by the machine"
    assert (trials[5].state, trials[5].error) == ("failed", Failure("out of memory", said))
    assert (trials[1].state, trials[1].error) == ("completed", Failure("killed", said))
    assert trials[1].attempts == 2


def test_compute_is_told_apart_by_cause(full: tuple[Ledger, StudyPaths]) -> None:
    compute = study_report(*full).compute
    early, base = 0.1e12, 1e12
    assert compute.planned_flops == 5 * PLANNED + base  # not the failed, nor those under way
    assert compute.saved_by_guards == pytest.approx(PLANNED - 1e12)
    assert compute.saved_by_rank == pytest.approx(PLANNED - 2.5e12 - early)
    assert compute.saved_by_stopping == 0
    lost, failed = 4e12, 3e12
    assert compute.overhead_flops == pytest.approx(3 * early + lost + failed)
    assert compute.unsettled_flops == 5.5e12


def test_an_audit_is_told_with_its_cost_and_what_it_turned_up(
    full: tuple[Ledger, StudyPaths],
) -> None:
    audits = study_report(*full).audits
    assert (audits.num, audits.finished, audits.misses) == (1, 1, 1)
    assert audits.beyond_flops == pytest.approx(PLANNED * 12 / 16)


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        window = {"samples": 64, "loss": math.nan, "grad_norm": math.inf, "early_eval": None}
        ledger.save_trial(
            trial(0, "pruned", window=window),
            decision=decision(0, "prune", "guard", probability=math.nan),
        )
        ledger.save_trial(completed(1, math.nan))
        found = to_json(study_report(ledger, StudyPaths(tmp_path)))
    assert found["trials"][0]["window"]["loss"] is None
    assert found["trials"][0]["window"]["grad_norm"] is None
    assert found["trials"][0]["verdict"]["probability"] is None
    assert found["trials"][1]["objective"] is None
    assert found["best"] is None


def test_a_study_without_trials_is_a_document_too(tmp_path: Path) -> None:
    with written(tmp_path, base_measurements=None) as ledger:
        found = study_report(ledger, StudyPaths(tmp_path))
    assert found.trials == ()
    assert found.best is None
    assert found.base.objective is None
    assert found.compute.saved_share is None


def test_the_best_is_the_lowest_where_lower_is_better(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        lower = {**document(), "objective": {"metric": "eval_loss"}}
        ledger.continue_as(lower, "rank-1", ["trials: 8 -> 16"])
        for number, loss in enumerate((1.3, 1.1, 1.2)):
            measured = {"eval_loss": measurement(loss)}
            ledger.save_trial(trial(number, "completed", objective=loss, measurements=measured))
        found = study_report(ledger, StudyPaths(tmp_path))
    assert found.best is not None and found.best.number == 1
    assert found.notes == ("trials: 8 -> 16",)


def best_of(folder: Path, repeats: dict[int, float | None], seeds: int = 0) -> list[str]:
    """What is said of the best of two trials, 1, which may have been trained again."""
    with written(folder) as ledger:
        confirm = {"top": 1 if seeds else 0, "seeds": seeds or 2}
        run = {**document()["run"], "confirm": confirm}
        ledger.continue_as({**document(), "run": run}, "rank-1", [])
        for number, value in {0: 0.5, 1: 0.7, **repeats}.items():
            row = trial(number, "failed") if value is None else completed(number, value)
            ledger.save_trial(row)
        return best_lines(study_report(ledger, StudyPaths(folder)))


@pytest.mark.parametrize(
    ("repeats", "seeds", "value", "why"),
    [
        (
            {},
            0,
            "0.7000",
            "one seed, picked as the best, whose scatter is not known: see run.confirm",
        ),
        ({10_001: 0.6}, 2, "0.7000", "whose scatter is not known: replicates to come"),
        ({10_001: None}, 1, "0.7000", "whose scatter is not known: no replicate ended"),
        ({10_001: 0.6}, 1, "0.6000 (1 new seed)", "one new seed, whose scatter is not known"),
        ({10_001: 0.6, 20_001: 0.62}, 2, "0.6100 ± 0.0141 (mean ± sd of 2 new seeds)", None),
    ],
)
def test_a_best_without_a_scatter_of_its_seeds_says_why(
    tmp_path: Path, repeats: dict[int, float | None], seeds: int, value: str, why: str | None
) -> None:
    lines = best_of(tmp_path, repeats, seeds)
    assert lines[0].startswith(f"trial 1: choice_accuracy {value}, better than the base model's")
    found = [line for line in lines if "scatter" in line]
    assert len(found) == (why is not None)
    assert all(why in line and len(line) <= 80 for line in found if why)


@pytest.mark.parametrize(("stderr", "how"), [(0.01, "better than"), (0.2, "within noise of")])
def test_a_gain_within_noise_is_called_so_without_scores_by_row(
    tmp_path: Path, stderr: float, how: str
) -> None:
    with written(tmp_path) as ledger:
        row = completed(0, 0.5)
        assert row.measurements is not None
        row.measurements["choice_accuracy"] |= {"over_base": 0.2, "over_base_stderr": stderr}
        ledger.save_trial(row)
        lines = best_lines(study_report(ledger, StudyPaths(tmp_path)))
    assert f"{how} the base model's 0.3000 (+0.2000, +66.7%)" in lines[0]


def test_the_best_model_is_named_where_it_is_kept(tmp_path: Path) -> None:
    paths = StudyPaths(tmp_path)
    with written(tmp_path) as ledger:
        ledger.save_trial(completed(0, 0.5))

        def model_dir() -> str | None:
            best = study_report(ledger, paths).best
            assert best is not None
            return best.model_dir

        assert model_dir() is None
        paths.best.mkdir()
        (paths.best / "sweep.json").write_text('{"trial": 7}')  # another's, not yet replaced
        assert model_dir() is None
        (paths.best / "sweep.json").write_text('{"trial": 0}')
        assert model_dir() == str(paths.best)


def test_a_trial_pruned_after_its_audit_shows_what_pruned_it(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        ledger.save_trial(trial(0, "running"), decision=decision(0, "audit", "rank"))
        guard = decision(0, "prune", "guard", reason=GUARD_REASON, moment="training", step=9)
        ledger.save_trial(trial(0, "pruned"), decision=guard)
        found = study_report(ledger, StudyPaths(tmp_path))
    verdict = found.trials[0].verdict
    assert verdict is not None
    assert (verdict.kind, verdict.action, verdict.audited) == ("guard", "prune", True)
    assert found.audits.finished == 1
    assert found.compute.saved_by_rank == 0


def test_the_document_of_one_trial_has_everything(full: tuple[Ledger, StudyPaths]) -> None:
    ledger, paths = full
    paths.trial(1).mkdir(parents=True)
    paths.trial_log(1).write_text("said")
    one = to_json(trial_report(ledger, paths, 1))
    assert [seen["step"] for seen in one["observations"]] == list(range(1, 17))
    assert one["decisions"][0]["evidence"] == {"sd": 1.9}
    assert {(c["attempt"], c["what"]) for c in one["costs"]} >= {(1, "train"), (2, "train")}
    assert one["error"]["traceback"] == "at line 1"
    assert one["log"] == str(paths.trial_log(1))
    blown = to_json(trial_report(ledger, paths, 4))
    assert [seen["loss"] for seen in blown["observations"]] == [2.0, None, None]
    assert blown["log"] is None


def test_a_trial_that_is_not_there_is_refused(full: tuple[Ledger, StudyPaths]) -> None:
    with pytest.raises(UserError, match=r"no trial 8; its trials are 0 to 7"):
        trial_report(*full, 8)


# --- finding a study


def test_a_study_is_found_by_name_folder_and_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with written(Path("runs/demo")):
        pass
    url = f"sqlite:///{tmp_path}/runs/demo/study.db"
    for where in ("demo", "runs/demo", str(tmp_path / "runs/demo"), url, f"{url}#demo"):
        ledger, paths = open_study(where)
        assert ledger.study == "demo"
        assert paths.out.resolve() == tmp_path / "runs/demo"
        ledger.engine.dispose()


def test_a_study_in_a_remote_storage_is_found_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    team = tmp_path / "team"
    with written(team), written(tmp_path / "other", name="other"):
        pass
    url = StudyPaths(team).default_storage
    out = tmp_path / "runs" / "demo"
    out.mkdir(parents=True)
    StudyPaths(out).study_file.write_text(f"name: demo\nrun: {{storage: '{url}'}}\n")
    ledger, paths = open_study("demo")
    assert (ledger.study, paths.out) == ("demo", Path("runs/demo"))
    ledger.engine.dispose()


def test_a_server_that_a_strangers_folder_names_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def ask(url: str, **_: object) -> None:
        asked.append(url)
        raise UserError("asked")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sweep.storage.find.make_engine", ask)
    url = "postgresql+psycopg://me:hunter2@elsewhere.example:5432/db"
    for folder in (Path("stranger"), Path("runs/own")):
        folder.mkdir(parents=True)
        StudyPaths(folder).study_file.write_text(f"name: demo\nrun: {{storage: '{url}'}}\n")
    stranger = str(tmp_path / "stranger")
    for command in (
        ["inspect", "stranger"],
        ["inspect", "runs/../stranger"],
        ["inspect", stranger, "--trial", "0"],
        ["evidence", stranger],
        ["replay", stranger],
        ["tune", stranger],
        ["retry", stranger],
        ["export", stranger, "--to", "x"],
    ):
        assert main(command) == 2, command
        said = capsys.readouterr().err
        assert "elsewhere.example:5432" in said and "URL#NAME" in said, (command, said)
        assert "hunter2" not in said
    assert asked == []
    for named in ("own", f"{url}#demo"):
        with pytest.raises(UserError, match="asked"):
            open_study(named)
    assert asked == [url, url]


def test_what_is_not_there_is_refused_with_what_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"looked for runs/nope/study.db and nope/study.db.*no st"):
        open_study("nope")
    with written(Path("runs/demo")):
        pass
    with pytest.raises(UserError, match=r"under ./runs there is demo$"):
        open_study("nope")


def test_a_trial_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        for number in (0, 1):
            ledger.save_trial(completed(number, 0.5))
        with pytest.raises(UserError, match=r"no trial 7; its trials are 0 to 1$"):
            trial_report(ledger, StudyPaths(tmp_path), 7)
        for number in (20_000, 10_000):
            ledger.save_trial(completed(number, 0.5))
        with pytest.raises(UserError, match=r"trials are 0 to 1; replicates: 10000, 20000$"):
            trial_report(ledger, StudyPaths(tmp_path), 7)


def test_the_phases_of_steps_and_windows_are_kept(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        row = completed(0, 0.5)
        assert row.window is not None
        row.window["phase"] = 2
        ledger.save_trial(row)
        for step, phase in ((1, 1), (2, 1), (3, 2)):
            ledger.add_observation(0, observation(step, phase=phase))
        ledger.flush()
        one = trial_report(ledger, StudyPaths(tmp_path), 0)
    assert [seen.phase for seen in one.observations] == [1, 1, 2]
    assert one.trial.window is not None and one.trial.window.phase == 2
    assert any("in phase 2" in value for _, value in trial_rows(one))


def test_a_trial_in_tables_of_an_earlier_version_is_refused_and_the_study_still_shown(
    tmp_path: Path,
) -> None:
    with written(tmp_path) as ledger:
        fill(ledger)
        with ledger.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE sweep_observations DROP COLUMN phase")
            connection.exec_driver_sql("DROP TABLE sweep_version")
        with pytest.raises(UserError, match=r"earlier version.*`sweep run` .*up to date"):
            trial_report(ledger, StudyPaths(tmp_path), 1)
        assert len(study_report(ledger, StudyPaths(tmp_path)).trials) == 8


def test_a_storage_of_several_studies_needs_a_name(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        Ledger(ledger.engine, "second").create(StudyRow("second", document(), {}, "rank-1"))
    url = StudyPaths(tmp_path).default_storage
    with pytest.raises(UserError, match=r"holds demo, second; add #NAME"):
        open_study(url)
    with pytest.raises(UserError, match=r"holds demo, second"):
        open_study(f"{url}#third")
    ledger, _ = open_study(f"{url}#second")
    assert ledger.study == "second"
    ledger.engine.dispose()


@pytest.mark.parametrize("where", ["sqlite:////nowhere/x.db", "nosuchdb://host/db", "sqlite:////#"])
def test_a_storage_that_cannot_be_opened_is_refused(where: str) -> None:
    with pytest.raises(UserError):
        open_study(where)


def test_a_file_that_is_no_storage_is_refused(tmp_path: Path) -> None:
    StudyPaths(tmp_path).database.write_text("not a database, whatever it is called " * 40)
    with pytest.raises(UserError, match="cannot be read: file is not a database"):
        open_study(str(tmp_path))
    StudyPaths(tmp_path).database.write_bytes(b"")
    with pytest.raises(UserError, match="its storage holds none"):
        open_study(str(tmp_path))


def test_a_study_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        ledger.save_trial(trial(0, "running"))
        reader, paths = open_study(str(tmp_path))
        assert study_report(reader, paths).trials[0].state == "running"
        with ledger.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE sweep_trials SET state = 'pruned'")
            assert study_report(reader, paths).trials[0].state == "running"
        assert study_report(reader, paths).trials[0].state == "pruned"
        reader.engine.dispose()


def test_a_study_whose_driver_was_killed_can_be_read(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from tests.support.sweep_ledgers import *\n"
        "with written(Path(sys.argv[1])) as ledger: fill(ledger); os._exit(9)"
    )
    root = ROOT
    command = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(command, check=False, cwd=root).returncode == 9
    assert (tmp_path / "study.db-wal").stat().st_size > 0
    ledger, paths = open_study(str(tmp_path))
    verdict = study_report(ledger, paths).trials[3].verdict
    assert verdict is not None and verdict.reason == RANK_REASON
    ledger.engine.dispose()


def test_reading_a_study_imports_nothing_heavy() -> None:
    script = "import sys, sweep.report.study_report; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "optuna", "pydantic", "numpy", "pandas", "rich"} & set(found)


def test_what_a_look_and_the_end_measured_is_told_with_its_error(tmp_path: Path) -> None:
    choices = Measurement(0.75, 64, 9, 0.1, stderr=0.05, margin=0.4, margin_stderr=0.125)
    broken = replace(choices, margin=math.nan)
    seen = [observation(step, 16) for step in range(1, 9)]
    row = completed(0, 0.75)
    row.window = look_at(seen, 64, {"choice_accuracy": choices}, "choice_accuracy")
    row.looks = [look_at(seen, 128, {"choice_accuracy": broken}, "choice_accuracy")]
    row.measurements = {"choice_accuracy": asdict(choices)}
    with written(tmp_path / "demo") as ledger:
        ledger.save_trial(row)
        report = trial_report(ledger, StudyPaths(tmp_path / "demo"), 0)
    told = dict(trial_rows(report))
    measured = "0.7500 ± 0.0500 over 64 (base model: 0.3000), margin 0.4000 ± 0.1250"
    assert told["measured: choice_accuracy"] == measured
    assert told["window"].endswith("early eval 0.7500 ± 0.0500, early choice_margin 0.4000")
    assert report.trial.looks[0].early_others == {"choice_margin": None}
