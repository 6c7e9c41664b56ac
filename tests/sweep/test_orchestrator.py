"""A study driven from end to end, with trials that need no torch (see tests/support/fakes.py)."""

from __future__ import annotations

import json
import re

import optuna
import pytest

from sweep.config.load import load_study
from sweep.config.study import Run
from sweep.report.view import PlainView
from sweep.run_study import drive
from sweep.storage.find import open_study
from sweep.storage.paths import StudyPaths
from tests.support.fakes import final_loss
from tests.support.home import Home
from trainer.contract.spec import TrialSpec


def test_every_trial_is_settled_and_the_best_is_kept(home: Home) -> None:
    assert home.run() == 0
    document = home.document()
    assert set(home.states()) == {"completed", "pruned"}
    assert len(document["trials"]) == 8
    best = document["best"]
    assert best["objective"] == min(t["objective"] for t in document["trials"] if t["objective"])
    assert (home.out / "best" / "model.safetensors").read_text() == str(best["number"])
    assert "model_dir" in best
    assert not list(home.out.glob("trials/*/model"))


@pytest.mark.slow
def test_a_pruned_trial_stops_at_its_window_and_says_why(home: Home) -> None:
    home.run()
    pruned = [t for t in home.document()["trials"] if t["state"] == "pruned"]
    assert pruned
    for trial in pruned:
        assert trial["verdict"]["kind"] == "rank"
        assert re.match(r"P\(beats trial \d+\) = .* < risk 0.10", trial["verdict"]["reason"])
        assert trial["forecast"]["probability"] < 0.1 <= trial["forecast"]["before"]
        assert trial["window"]["samples"] == 32
        assert trial["compute"]["input_tokens"] < 320 * 10
        assert trial["objective"] is None
        observed = home_observations(home, trial["number"])
        assert observed == 32 / trial["params"]["batch_size"]


@pytest.mark.slow
def test_the_prunes_of_a_study_spend_its_expected_misses(home: Home) -> None:
    home.run("run.trials=12", "run.workers=1", "pruning.max_expected_misses=0.3")
    spent = 0.0
    for decision in open_study(str(home.out))[0].read_decisions():
        if decision.verdict.kind == "rank":
            assert decision.verdict.evidence["expected_misses_before"] == pytest.approx(spent)
            assert decision.settings.max_expected_misses == 0.3
        if decision.verdict.action == "prune":
            spent += decision.verdict.probability or 0.0
    found = home.document()["expected_misses"]
    assert 0 < found["sum"] < found["most"] == 0.3
    assert found["sum"] == pytest.approx(spent)


@pytest.mark.slow
def test_misses_count_also_where_windows_were_looked_at_in_another_way(home: Home) -> None:
    home.run("run.trials=8", "run.workers=1")
    spent = home.document()["expected_misses"]["sum"]
    home.run("run.trials=16", "run.workers=1", "pruning.window=0.2")
    decisions = open_study(str(home.out))[0].read_decisions()
    later = [d for d in decisions if d.trial >= 8 and d.verdict.kind == "rank"]
    assert later
    assert later[0].verdict.evidence["expected_misses_before"] == pytest.approx(spent)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("pruning.risk=0.2", "pruning.risk: was 0.1, is 0.2"),
        ("pruning.prior_strength=0", "pruning.prior_strength: was 1.0, is 0.0"),
    ],
)
def test_a_study_that_goes_on_under_other_settings_says_so(
    home: Home, override: str, said: str
) -> None:
    home.run("run.trials=1")
    home.run("run.trials=1", override)
    assert any(said in line for line in home.lines)
    assert any(said in note for note in home.document()["notes"])


def home_observations(home: Home, number: int) -> int:
    ledger, _ = open_study(str(home.out))
    return len(ledger.read_observations(number))


@pytest.mark.slow
def test_optuna_sees_states_and_evaluations_of_the_objective_alone(home: Home) -> None:
    home.run()
    ours = home.document()["trials"]
    for trial, theirs in zip(ours, home.optuna_trials(), strict=True):
        early = trial["window"]["early_eval"]
        assert theirs.intermediate_values == {32: early}
        if trial["state"] == "completed":
            assert theirs.state == optuna.trial.TrialState.COMPLETE
            assert theirs.value == pytest.approx(final_loss(trial["params"]["learning_rate"]))
        else:
            assert theirs.state == optuna.trial.TrialState.PRUNED
            assert theirs.value == early


@pytest.mark.slow
def test_nothing_is_pruned_when_pruning_is_off(home: Home) -> None:
    assert home.run("pruning.enabled=false") == 0
    assert home.states() == ["completed"] * 8


@pytest.mark.slow
def test_audited_trials_go_on_to_the_end(home: Home) -> None:
    assert home.run("pruning.audit=1.0") == 0
    assert home.states() == ["completed"] * 8
    audited = [t for t in home.document()["trials"] if t["verdict"]["audited"]]
    assert audited
    assert all("would have been pruned" in t["verdict"]["reason"] for t in audited)


@pytest.mark.slow
def test_the_same_command_goes_on_with_more_trials(home: Home) -> None:
    home.run("run.trials=3")
    first = home.document()["trials"]
    assert home.run("run.trials=5") == 0
    document = home.document()
    assert document["trials"][:3] == first
    assert len(document["trials"]) == 5
    assert any("run.trials: was 3, is 5" in line for line in home.lines)


@pytest.mark.slow
def test_a_finished_study_run_again_changes_nothing(home: Home) -> None:
    home.run()
    before = home.document()
    assert home.run() == 0
    assert home.document() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ("kill", "killed"),
        ("oom", "out of memory"),
        ("raise", "error"),
        ("exit", "lost"),
    ],
)
def test_a_trial_that_fails_is_tried_again(home: Home, trouble: str, kind: str) -> None:
    home.script({0: trouble, 1: f"always {trouble}"})
    assert home.run("run.trials=4", "pruning.enabled=false") == 4
    trials = home.document()["trials"]
    assert [t["state"] for t in trials] == ["completed", "failed", "completed", "completed"]
    assert [t["attempts"] for t in trials] == [2, 2, 1, 1]
    assert trials[1]["error"]["kind"] == kind
    assert home.optuna_trials()[1].state == optuna.trial.TrialState.FAIL


@pytest.mark.slow
def test_a_trial_that_says_nothing_is_ended(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "silence_s", 1.2)
    home.script({0: "always silent"})
    overrides = ("run.retries=0", "run.trials=2")
    assert home.run(*overrides) == 4
    trial = home.document()["trials"][0]
    assert trial["state"] == "failed"
    assert trial["error"]["kind"] == "silent"
    assert "run.silence_minutes" in trial["error"]["message"]


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["nan", "diverge"])
def test_guards_end_a_trial_that_cannot_recover(home: Home, trouble: str) -> None:
    home.script({0: f"always {trouble}"})
    # long enough for a verdict that the trial does not wait for
    assert home.run("run.trials=2", "budget.samples=3200", "pruning.min_steps=32") == 0
    trial = home.document()["trials"][0]
    assert trial["state"] == "pruned"
    assert trial["verdict"]["kind"] == "guard"
    assert trial["attempts"] == 1


@pytest.mark.slow
def test_an_audit_stays_on_record_whatever_comes_later(home: Home) -> None:
    home.script({0: "always diverge then nan"})
    home.run("run.trials=1", "budget.samples=640", "pruning.audit=1.0", "pruning.min_steps=4")
    trial = home.document()["trials"][0]
    assert trial["state"] == "pruned"
    assert trial["verdict"]["audited"]
    ledger, _ = open_study(str(home.out))
    decisions = {decision.moment: decision.verdict.action for decision in ledger.read_decisions()}
    assert decisions == {"divergence": "audit", "window": "continue", "not finite": "prune"}


@pytest.mark.slow
def test_an_end_that_is_not_finite_is_no_result(home: Home) -> None:
    home.script({0: "always nan at the end"})
    home.run("run.trials=2")
    assert home.states()[0] == "pruned"
    assert home.document()["trials"][0]["objective"] is None


@pytest.mark.slow
def test_every_trial_leaves_the_spec_it_was_started_with(home: Home) -> None:
    home.run("run.trials=2", "run.checkpoints=3")
    for trial in home.document()["trials"]:
        file = home.out / "trials" / f"{trial['number']:04d}" / "spec.json"
        spec = TrialSpec.from_json(json.loads(file.read_text()))
        assert spec.number == trial["number"]
        assert spec.learning_rate == trial["params"]["learning_rate"]
        assert (spec.trial_dir, spec.checkpoints_kept) == (str(file.parent), 3)


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["", "always nan at the end", "always kill"])
def test_of_a_settled_trial_only_its_log_and_its_spec_stay(home: Home, trouble: str) -> None:
    home.script({0: trouble})
    home.run("run.trials=2", "run.workers=1")
    assert not [path for path in (home.out / "trials").glob("*/*/")]
    left = {path.name for path in (home.out / "trials" / "0000").iterdir()}
    assert left - {"tried"} == {"log.txt", "spec.json"}


@pytest.mark.slow
def test_a_window_looked_at_in_another_way_is_not_compared(home: Home) -> None:
    home.run("run.trials=4", "pruning.enabled=false")
    home.run("run.trials=6", "pruning.window=0.2")
    late = home.document()["trials"][4:]
    assert all("no finished trial yet" in t["verdict"]["reason"] for t in late[:1])
    assert any("whose window was looked at alike" in line for line in home.lines)


@pytest.mark.slow
def test_a_full_disk_in_a_trial_stops_the_study_and_loses_nothing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.script({2: "disk full"})
    overrides = ("run.workers=1", "pruning.enabled=false", "run.wait_minutes=0")
    assert home.run(*overrides) == 75
    assert "make room and run the same command again" in " ".join(capsys.readouterr().out.split())
    assert home.run("run.workers=1", "pruning.enabled=false") == 0
    assert home.states() == ["completed"] * 8
    assert all(t["error"] is None for t in home.document()["trials"])


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "qmc"])
def test_every_sampler_runs(home: Home, sampler: str) -> None:
    space = "search.space.learning_rate={choices: [1e-4, 1e-3, 1e-2]}"
    assert home.run(f"search.sampler={sampler}", space, "run.trials=7") == 0
    tried = [tuple(t["params"].values()) for t in home.document()["trials"]]
    assert len(tried) == len(set(tried)) == 6  # all there are


@pytest.mark.slow
def test_what_was_dropped_and_moved_is_said(home: Home) -> None:
    home.run("search.recipes=[lab]", "run.trials=1")
    said = "\n".join(home.lines)
    assert "dropped: 3 of 1,003 rows, first train.jsonl, line 7" in said
    assert "recipe lab: batch_size 3840 is" in said


@pytest.mark.slow
def test_recipes_come_first(home: Home) -> None:
    assert home.run("search.recipes=[lab, tulu]", "run.trials=3") == 0
    recipes = [t["recipe"] for t in home.document()["trials"]]
    assert recipes[2] is None
    assert recipes[0] is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keep", "models"), [("best", {"best"}), ("all", {"best", "trials"}), ("none", set())]
)
def test_only_the_models_asked_for_stay(home: Home, keep: str, models: set[str]) -> None:
    home.run(f"run.keep={keep}", "run.trials=3", "pruning.enabled=false")
    left = {path.relative_to(home.out).parts[0] for path in home.out.rglob("model.safetensors")}
    assert left == models


@pytest.mark.slow
def test_time_runs_out(home: Home) -> None:
    assert home.run("run.max_hours=1e-9") == 75
    assert home.document()["state"] == "unfinished"
    assert home.run() == 0
    assert len(home.states()) == 8


@pytest.mark.slow
def test_a_status_is_made_only_where_it_is_shown(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.orchestrator.study_status", lambda *_, **__: 1 / 0)
    assert drive(load_study(str(home.file)), StudyPaths(home.out), home.executor, PlainView()) == 0


@pytest.mark.slow
def test_phased_trials_are_compared_among_themselves(home: Home) -> None:
    phases = "data={phases: [./train.jsonl, ./eval.jsonl], eval: ./eval.jsonl, replay: 0.1}"
    strategy = "search.space.strategy={choices: [stacked, phased]}"
    assert home.run(phases, strategy, "run.trials=14", "run.workers=1") == 0
    trials = home.document()["trials"]
    of_phase = {"stacked": 0, "phased": 1}
    assert all(t["window"]["phase"] == of_phase[t["params"]["strategy"]] for t in trials)
    ledger, _ = open_study(str(home.out))
    ranked = [d for d in ledger.read_decisions() if d.verdict.kind == "rank"]
    assert {d.verdict.evidence["phase"] for d in ranked} == {0, 1}
    assert all(d.verdict.evidence["num_seen"] < d.trial + 1 for d in ranked[-2:])
    assert "of another phase" in ranked[-1].verdict.reason
    completed = next(t for t in trials if t["params"]["strategy"] == "phased" and t["objective"])
    seen = ledger.read_observations(completed["number"])
    assert [o.phase for o in seen] == [1] * (len(seen) // 2) + [2] * (len(seen) // 2)


@pytest.mark.slow
def test_the_status_counts_what_is_settled(home: Home) -> None:
    home.run()
    last = home.statuses[-1]
    assert last.total == 8
    assert last.completed + last.pruned + last.failed <= 8
    assert last.best.startswith("trial ")
