"""Studies that hold a constraint, driven from end to end with fake trials: the better a learning
rate is, up to 1e-3, the more it forgets above 1e-4 (tests/support/fakes.py)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sweep.storage.find import open_study
from sweep.storage.ledger import BASE, Decision, TrialRow
from tests.support.fakes import BASE_SCORES, RETENTION
from tests.support.home import Home
from tests.support.snapshots import snapshots
from tests.support.threads import ThreadedTrials

pytestmark = pytest.mark.slow

RATES = "search.space.learning_rate={choices: [1e-3, 5e-4, 2e-4, 1e-4, 3e-5, 1e-5]}"
STUDY = (
    *("search.sampler=grid", "search.space.batch_size=8", RATES),
    *("run.workers=1", "run.trials=6", "pruning.early_eval=50"),
)
SCOUT = (*STUDY, "pruning.mode=scout")
HELD = f'objective.constraints=[{{metric: "{RETENTION}", at_least: base - 0.02}}]'
BY_NOBODY = f'objective.constraints=[{{metric: "{RETENTION}", at_least: base + 0.1}}]'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("FAKE_STEP_S", "0")
    return Home(tmp_path, ThreadedTrials())


def read(home: Home) -> tuple[list[TrialRow], list[Decision]]:
    ledger, _ = open_study(str(home.out))
    found = ledger.read_trials(), ledger.read_decisions()
    ledger.engine.dispose()
    return found


def test_a_study_has_the_base_models_scores_on_record_to_pair_with(home: Home) -> None:
    home.run("run.trials=1")
    ledger, _ = open_study(str(home.out))
    assert ledger.read_scores("eval_loss")[BASE] == BASE_SCORES
    ledger.engine.dispose()


@pytest.mark.parametrize("mode", ["scout", "stream"])
def test_the_best_is_the_best_that_forgets_no_more_than_is_allowed(home: Home, mode: str) -> None:
    assert home.run(*STUDY, HELD, f"pruning.mode={mode}", "pruning.enabled=false") == 0
    report = home.report()
    assert report.best is not None and report.best.params["learning_rate"] == 2e-4
    broken = [trial.params["learning_rate"] for trial in report.completed(feasible=False)]
    assert broken == [1e-3, 5e-4]
    model = (home.out / "best" / "model.safetensors").read_text()
    assert model == str(report.best.number)
    assert any("broken for certain" in line for line in home.lines)
    assert not any("e-03" in status.best for status in home.statuses)


def test_a_trial_that_will_forget_too_much_is_given_up_and_the_reason_is_the_constraint(
    home: Home,
) -> None:
    assert home.run(*SCOUT, HELD) == 0
    rows, decisions = read(home)
    report = home.report()
    assert report.best is not None and report.best.params["learning_rate"] == 2e-4
    (hopeless,) = [row for row in rows if row.params["learning_rate"] == 5e-4]
    assert hopeless.state == "pruned"  # better than the best by its loss
    (given_up,) = [d for d in decisions if d.trial == hopeless.number and d.moment == "parked"]
    assert given_up.verdict.reason.startswith("P = 0.")
    assert "P(feasible) = 0.0" in given_up.verdict.reason
    assert f"{RETENTION} is expected 0.0" in given_up.verdict.reason
    evidence = given_up.verdict.evidence
    assert evidence["feasible"] < 0.1 < evidence["overtakes"]
    assert evidence["slacks"][RETENTION] < 0


def test_without_a_feasible_trial_the_exit_code_says_so_and_the_nearest_is_kept(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home.run(*STUDY, BY_NOBODY, "pruning.enabled=false") == 5
    report = home.report()
    assert (report.state, report.best) == ("no feasible trial", None)
    assert report.nearest is not None
    rate = report.trial(report.nearest.number).params["learning_rate"]
    assert rate in (1e-4, 3e-5, 1e-5)  # these forget nothing
    assert report.nearest.model_dir is not None and not (home.out / "best").exists()
    said = " ".join(capsys.readouterr().out.split())
    assert f"the nearest is trial {report.nearest.number}" in said
    assert any(f"trial {report.nearest.number}" in status.nearest for status in home.statuses)
    assert not any(status.best for status in home.statuses)
    assert home.run(*STUDY, BY_NOBODY, "pruning.enabled=false") == 5


def test_scouting_gives_all_up_where_none_will_be_feasible(home: Home) -> None:
    assert home.run(*SCOUT, BY_NOBODY) == 5
    rows, decisions = read(home)
    assert "pruned" in {row.state for row in rows}
    given_up = [d.verdict for d in decisions if d.moment == "parked"]
    assert all("no finished trial holds every constraint" in one.reason for one in given_up)
    assert {one.evidence["leader"] for one in given_up} == {None}


def test_a_driver_killed_anywhere_decides_the_same(home: Home, tmp_path: Path) -> None:
    def decided() -> list[tuple[int, str, str, str]]:
        _, found = read(home)
        last = {(d.trial, d.moment): d for d in found}
        return sorted((n, m, d.verdict.action, d.verdict.reason) for (n, m), d in last.items())

    few = (*SCOUT, HELD, "run.trials=4")
    with snapshots(home.out, tmp_path / "killed") as states:
        assert home.run(*few) == 0
    undisturbed = decided()
    for state in states[:: max(1, len(states) // 12)]:
        shutil.rmtree(home.out)
        shutil.copytree(state, home.out)
        assert home.run(*few) == 0
        assert decided() == undisturbed


def test_a_study_without_constraints_is_what_it_was(home: Home) -> None:
    home.run(*SCOUT)
    _, decisions = read(home)
    report = home.report()
    assert report.best is not None and report.best.params["learning_rate"] == 1e-3
    assert not any("feasible" in d.verdict.reason for d in decisions)
    assert not any("feasible" in d.verdict.evidence for d in decisions)
    assert all(
        trial.system_attrs.keys() <= {"search_space", "grid_id"} for trial in home.optuna_trials()
    )
