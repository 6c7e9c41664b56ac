"""Scouting driven from end to end: all trials are parked at their first look, then the most
promising go on, look by look, and the others are given up (trials: tests/support/threads.py)."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from predictor.judge import GAP_VERSION, PREDICTOR_VERSION
from sweep.analysis.recorded.tables import study_tables
from sweep.driver.scouting import decide_parked
from sweep.orchestrator import Driver
from sweep.report.view import status_lines
from sweep.storage.find import open_study
from sweep.storage.ledger import Decision, TrialRow
from tests.support.home import Home
from tests.support.snapshots import snapshots
from tests.support.threads import ThreadedTrials
from trainer.contract.spec import TrialSpec, UserError

pytestmark = pytest.mark.slow

SCOUT = ("pruning.mode=scout", "run.workers=1", "run.trials=5")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("FAKE_STEP_S", "0")
    return Home(tmp_path, ThreadedTrials())


def decisions(home: Home) -> list[Decision]:
    ledger, _ = open_study(str(home.out))
    found = ledger.read_decisions()
    ledger.engine.dispose()
    return found


def rows(home: Home) -> list[TrialRow]:
    ledger, _ = open_study(str(home.out))
    found = ledger.read_trials()
    ledger.engine.dispose()
    return found


def said(home: Home, what: str) -> list[int]:
    """The trials of which something was said, in order."""
    found = (re.match(rf"trial (\d+): {what}", line) for line in home.lines)
    return [int(match[1]) for match in found if match]


def test_all_are_scouted_before_any_goes_on(home: Home) -> None:
    assert home.run(*SCOUT) == 0
    first = next(i for i, line in enumerate(home.lines) if "continue at step" in line)
    scouts = [line for line in home.lines[:first] if "waits until all" in line]
    assert len(scouts) == 4  # the last is asked about when no other is to come
    assert set(home.states()) == {"completed", "pruned"}


def test_it_is_what_a_study_does_that_names_no_mode(home: Home) -> None:
    home.file.write_text(home.file.read_text().replace("mode: stream, ", ""))
    home.run("run.trials=3", "run.workers=1")
    document = home.document()
    assert document["predictor"] == GAP_VERSION
    assert {d.predictor for d in decisions(home)} == {GAP_VERSION}
    parked = said(home, "parked at step")
    assert {0, 1} <= set(parked)
    assert home.run("run.trials=4", "run.workers=1", "pruning.mode=stream") == 0
    assert (home.document()["predictor"], home.states()[3]) == (PREDICTOR_VERSION, "completed")
    assert home.run("run.trials=5", "run.workers=1") == 0  # as it was last
    assert "goes on with pruning.mode stream, as it was begun: its file names none" in home.lines
    assert said(home, "parked at step") == parked


@pytest.mark.parametrize("trials", [1, 2])
@pytest.mark.parametrize("early_eval", [0, 64])
def test_of_few_trials_one_is_trained_to_its_end(home: Home, trials: int, early_eval: int) -> None:
    assert home.run(*SCOUT, f"run.trials={trials}", f"pruning.early_eval={early_eval}") == 0
    assert set(home.states()) <= {"completed", "pruned"}
    assert home.document()["best"] is not None


def test_a_grid_of_fewer_points_than_trials_is_scouted_whole(home: Home) -> None:
    grid = ("search.sampler=grid", "search.space.learning_rate={choices: [1e-4, 1e-3, 1e-2]}")
    assert home.run(*SCOUT, *grid, "search.space.batch_size=8", "run.trials=9") == 0
    assert len(said(home, "parked at step")) >= 3 == len(home.states())
    assert set(home.states()) <= {"completed", "pruned"}


def test_a_trial_is_looked_at_where_the_study_says(home: Home) -> None:
    home.run(*SCOUT, "pruning.looks=[0.1, 0.3]")
    for trial in home.document()["trials"]:
        spec = json.loads((home.out / f"trials/{trial['number']:04d}/spec.json").read_text())
        assert TrialSpec.from_json(spec).looks == (96,)
    finished = next(row for row in rows(home) if row.state == "completed")
    assert finished.window is not None and finished.looks is not None
    places = [(look["samples"], look["share"]) for look in (finished.window, *finished.looks)]
    assert places == [(32, 0.1), (96, 0.3)]
    assert finished.looks[0]["early_eval"] < finished.window["early_eval"]


def test_with_pruning_off_looks_are_only_recorded(home: Home) -> None:
    home.run(*SCOUT, "run.trials=2", "pruning.enabled=false", "run.confirm={top: 1, seeds: 1}")
    assert len(rows(home)) == 3  # of a replicate as well
    for row in rows(home):
        assert row.state == "completed" and row.attempts == 1
        assert [look["share"] for look in row.looks or ()] == [0.2, 0.3, 0.5]
    assert {d.verdict.action for d in decisions(home)} == {"continue"}


def test_the_favourite_stays_on_its_worker(home: Home) -> None:
    home.run(*SCOUT, "run.trials=6")
    best = home.document()["best"]["number"]
    assert rows(home)[best].attempts == 2  # as a scout, and from there to its end
    own = [d.verdict.action for d in decisions(home) if d.trial == best]
    assert own == ["continue"] * 4


def test_who_is_given_up_is_told_by_how_much_and_at_which_risk(home: Home) -> None:
    home.run(*SCOUT, "run.trials=8")
    document = home.document()
    given_up = {d.trial: d for d in decisions(home) if d.moment == "parked"}
    assert given_up.keys() == {t["number"] for t in document["trials"] if t["state"] == "pruned"}
    for decision in given_up.values():
        verdict, evidence = decision.verdict, decision.verdict.evidence
        assert (verdict.action, verdict.kind) == ("prune", "rank")
        assert verdict.probability is not None and verdict.probability < 0.1
        assert re.fullmatch(
            rf"\d\.\d early spreads behind trial {evidence['leader']} expected, after \d0% of the "
            r"budget \(.*early evaluation -?\d\.\d.* of it\): "
            rf"P\(overtakes trial {evidence['leader']}\) = 0\.\d+",
            verdict.reason,
        )
        assert evidence["best"] == document["trials"][evidence["leader"]]["objective"]
        assert decision.settings.scouts
    total = sum(d.verdict.probability or 0.0 for d in given_up.values())
    assert document["expected_misses"]["sum"] == pytest.approx(total)
    last = next(iter(given_up.values())).verdict.evidence
    assert last["expected_misses"] == pytest.approx(total)


def test_optuna_hears_every_look_and_that_a_given_up_trial_was_pruned(home: Home) -> None:
    home.run(*SCOUT, "run.trials=8")
    for row, theirs in zip(rows(home), home.optuna_trials(), strict=True):
        looks = [row.window, *(row.looks or ())]
        evals = {look["samples"]: look["early_eval"] for look in looks if look}
        assert theirs.intermediate_values == evals
        assert theirs.state.name == {"completed": "COMPLETE", "pruned": "PRUNED"}[row.state]


def test_an_evaluation_at_each_look_is_paid_for(home: Home) -> None:
    home.run(*SCOUT)
    best = home.document()["best"]["number"]
    ledger, _ = open_study(str(home.out))
    early = [c for c in ledger.read_costs() if (c.trial, c.what) == (best, "early_eval")]
    assert sum(cost.input_tokens for cost in early) == 4 * 500


def test_audited_trials_go_on_to_their_end_and_the_plan_is_asked_again(home: Home) -> None:
    home.run(*SCOUT, "run.trials=8", "pruning.audit=0.5")
    own = decisions(home)
    audited = {d.trial for d in own if d.verdict.action == "audit"}
    assert audited
    trials = home.document()["trials"]
    assert all(trials[n]["state"] == "completed" for n in audited)
    assert all("would have been given up" in d.verdict.reason for d in own if d.trial in audited
               and d.moment == "parked")  # fmt: skip
    found = home.document()["audits"]
    assert found["num"] == found["told"] == len(audited)
    last = max(home.lines.index(line) for line in home.lines if "completed, eval_loss" in line)
    assert all(home.lines.index(line) > last for line in home.lines if ": given up" in line)


def test_replicates_come_when_nothing_is_parked(home: Home) -> None:
    home.run(*SCOUT, "run.confirm={top: 2, seeds: 1}")
    again = min(i for i, line in enumerate(home.lines) if "again, seed" in line)
    assert not [line for line in home.lines[again:] if "given up" in line or "parked" in line]
    replicates = [row for row in rows(home) if row.number >= 10_000]
    assert [row.state for row in replicates] == ["completed"] * len(replicates)
    assert [row.looks for row in replicates] == [None] * len(replicates)


def test_a_guard_ends_a_trial_that_is_then_no_part_of_the_plan(home: Home) -> None:
    home.script({0: "always nan", 1: "always oom at once"})
    home.run(*SCOUT)
    found = [d for d in decisions(home) if d.trial == 0]
    assert [(d.moment, d.verdict.kind) for d in found] == [("not finite", "guard")]
    assert home.states()[0] == "pruned"


def test_more_trials_are_scouted_and_compared_with_all_before(home: Home) -> None:
    home.run(*SCOUT)
    before = home.document()["trials"]
    assert home.run(*SCOUT, "run.trials=8") == 0
    after = home.document()["trials"]
    assert after[:5] == before
    assert {trial["state"] for trial in after[5:]} <= {"completed", "pruned"}


def test_workers_share_the_parked_trials_and_none_idles(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEP_S", "0.002")
    running = list[list[int]]()
    ask = Driver._ask_and_launch  # pyright: ignore[reportPrivateUsage]

    def watched(driver: Driver) -> bool:
        goes_on = ask(driver)
        numbers = [trial.number for trial in driver.study.roster.running]
        running.append(numbers)
        if len(numbers) < 3:  # a worker is free: no parked trial is worth going on
            assert not [one for *_, one in decide_parked(driver.study) if one.action == "continue"]
        return goes_on

    monkeypatch.setattr(Driver, "_ask_and_launch", watched)
    assert home.run(*SCOUT, "run.workers=3", "run.trials=8", "pruning.risk=0.01") == 0
    assert all(len(set(numbers)) == len(numbers) <= 3 for numbers in running)
    assert max(map(len, running)) == 3
    starts = Counter(said(home, "learning_rate"))
    assert all(starts[row.number] == row.attempts for row in rows(home))


def test_without_its_checkpoint_a_trial_begins_anew_and_hears_what_was_decided(
    home: Home,
) -> None:
    def lose(line: str) -> None:
        if "parked at step" in line:
            lost.update(path for path in home.out.glob("trials/*/checkpoints"))
        for folder in [one for one in lost if one.exists() and "goes on at" in line]:
            shutil.rmtree(folder)

    lost: set[Path] = set()
    home.run(*SCOUT)
    undisturbed = what_was_decided(home)
    used = home.document()["compute"]["used_flops"]
    shutil.rmtree(home.out)
    home.on_line = lose
    home.run(*SCOUT)
    assert lost
    assert what_was_decided(home) == undisturbed
    assert home.document()["compute"]["used_flops"] > used  # windows trained again


@pytest.mark.parametrize("num_kept", [0, 1])
def test_with_little_room_or_none_the_same_is_decided(
    home: Home, monkeypatch: pytest.MonkeyPatch, num_kept: int
) -> None:
    """Room for so many; of one that runs its checkpoint is there, too."""
    few, kept = (*SCOUT, "run.trials=4"), list[int]()
    home.on_line = lambda _: kept.append(len(list(home.out.glob("trials/*/checkpoints/step"))))
    home.run(*few)
    undisturbed = what_was_decided(home)
    assert max(kept) > 2
    shutil.rmtree(home.out)
    kept.clear()
    monkeypatch.setattr("sweep.driver.parking.checkpoint_gb", lambda *_: 3e-9)  # a fake's
    home.run(*few, f"run.parked_gb={3e-9 * num_kept}")
    assert what_was_decided(home) == undisturbed
    assert 0 < max(kept) <= 2 if num_kept else not any(kept)
    ledger, _ = open_study(str(home.out))
    early = {
        (cost.trial, cost.attempt): cost.input_tokens
        for cost in ledger.read_costs()
        if cost.what == "early_eval"
    }
    (revived,) = {trial for trial, attempt in early if attempt == 2}
    assert early[revived, 1] == 500
    assert early[revived, 2] == (1500 if num_kept else 2000)  # its window is paid for once more


def test_a_study_that_goes_on_without_scouting_takes_its_parked_trials_to_their_end(
    home: Home,
) -> None:
    stop_when(home, "parked at step", times=3)
    assert home.run(*SCOUT) == 130
    assert home.states().count("parked") >= 2
    assert home.document()["state"] == "unfinished"
    home.on_line = lambda _: None
    assert home.run("run.workers=1", "run.trials=3") == 0
    assert home.states() == ["completed"] * 3
    assert not [line for line in home.lines if "checkpoint is dropped" in line]


def test_what_is_parked_is_shown_with_the_look_it_reached_and_its_chance(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_when(home, "completed, eval_loss", times=1)
    home.run(*SCOUT, "run.trials=6")
    report = home.report()
    assert (report.state, home.states().count("parked")) == ("unfinished", len(report.parked))
    best = report.best
    assert best is not None
    for one in report.parked:
        looks = [report.trial(one.number).window, *report.trial(one.number).looks]
        assert (one.samples, one.early_eval) == (looks[-1].samples, looks[-1].early_eval)  # pyright: ignore[reportOptionalMemberAccess]
        assert one.share == pytest.approx(one.samples / 320)
        assert one.leader == best.number and one.probability is not None
        assert one.checkpoint_bytes
    chances = [one.probability or 0.0 for one in report.parked]
    assert chances == sorted(chances, reverse=True)
    said = capsys.readouterr().out
    assert "Parked, the most promising first" in said
    assert f"P: that it overtakes trial {best.number}" in " ".join(said.split())
    assert f"{len(report.parked)} parked" in " ".join(said.split())
    assert "why they wait, as of when they were parked: " in " ".join(said.split())
    used = report.compute
    assert used.unsettled_flops > 0  # in neither used nor planned
    tables = study_tables([str(home.out)])
    assert tables.num_unsettled == len(report.trials) - len(tables.runs) >= len(report.parked)


def test_the_status_says_how_many_are_scouted_and_who_goes_on(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.run(*SCOUT, "run.trials=6")
    told = list(dict.fromkeys(line for status in home.statuses for line in status.doing))
    assert told[0] == "scouting 0 of 6"
    best = home.document()["best"]["number"]
    assert f"advancing trial {best} to its end" in told
    chances = [line for line in told if "P(overtakes" in line]
    assert chances and all(
        re.fullmatch(r"advancing trial \d to (\d0%|its end): P\(overtakes trial \d\) = 0.\d+", line)
        for line in chances
    )
    assert max(len(line) for status in home.statuses for line in status_lines(status)) <= 80
    shares = [status.used_share for status in home.statuses if status.used_share is not None]
    assert shares == sorted(shares) and 0 < shares[-1] < 1
    last = home.statuses[-1]
    assert last.floor_share == pytest.approx(
        0.25, abs=0.01
    )  # all to a tenth, one of six to its end
    assert last.left_s is not None
    assert "gave up" in " ".join(capsys.readouterr().out.split())
    assert {status.parked for status in home.statuses} >= set(range(5))


def test_how_many_samples_a_look_measures_stays_when_it_is_left_to_the_study(home: Home) -> None:
    stop_when(home, "parked at step", times=2)
    home.run(*SCOUT, "pruning.early_eval=20")
    home.on_line = lambda _: None
    assert home.run(*SCOUT, "pruning.early_eval=auto") == 0
    specs = [json.loads(file.read_text()) for file in home.out.glob("trials/*/spec.json")]
    assert {spec["early_eval"] for spec in specs} == {20}
    assert home.report().early_eval == 20
    assert not [line for line in home.lines if "looked at alike" in line]


def test_where_trials_are_looked_at_cannot_change_while_some_are_parked(home: Home) -> None:
    stop_when(home, "parked at step", times=2)
    home.run(*SCOUT)
    home.on_line = lambda _: None
    with pytest.raises(UserError, match=r"pruning.looks: was .*; trial.* parked as"):
        home.run(*SCOUT, "pruning.looks=[0.1, 0.4]")
    assert home.run(*SCOUT) == 0


def stop_when(home: Home, what: str, times: int) -> None:
    """The study is told to end, as by Ctrl-C, when that has been said so often."""
    heard = list[str]()

    def on_line(line: str) -> None:
        heard.extend([line] if what in line else [])
        if len(heard) == times and what in line:
            os.kill(os.getpid(), signal.SIGINT)

    home.on_line = on_line


def what_was_decided(home: Home) -> list[Any]:
    ended = [(row.number, row.state, row.objective, row.window, row.looks) for row in rows(home)]
    own = sorted(decisions(home), key=lambda d: (d.trial, d.moment))
    return [*ended, *((d.trial, d.moment, d.step, d.verdict) for d in own)]


def test_the_sampler_is_shown_where_scouts_are_expected_to_end_also_after_a_restart(
    home: Home,
) -> None:
    """What Optuna is told stays true."""
    ways = (*SCOUT, "search.sampler=tpe", "run.trials=8")
    assert home.run(*ways) == 0
    undisturbed = what_was_decided(home)
    first = {row.number: row.params for row in rows(home)}
    for row, told in zip(rows(home), home.optuna_trials(), strict=True):
        last = [look["early_eval"] for look in (row.window, *(row.looks or ())) if look][-1]
        assert told.value == (last if row.state == "pruned" else row.objective)
    shutil.rmtree(home.out)
    stop_when(home, "waits until all", 7)
    assert home.run(*ways) != 0
    home.on_line = lambda _: None
    assert home.run(*ways) == 0
    assert what_was_decided(home) == undisturbed
    assert {row.number: row.params for row in rows(home)} == first


@pytest.mark.parametrize(("kept", "every"), [("auto", 1), ("0", 5)], ids=["kept", "none kept"])
def test_a_driver_killed_anywhere_decides_the_same(home: Home, kept: str, every: int) -> None:
    """Also where no checkpoint of a parked trial is."""
    few = ("run.trials=3", "pruning.looks=[0.5]", "pruning.audit=0.3", "pruning.risk=0.2")
    study = (*SCOUT, *few, f"run.parked_gb={kept}")
    with snapshots(home.out, home.folder / "killed") as killed:
        home.run(*study)
    undisturbed = what_was_decided(home)
    assert {d.verdict.action for d in decisions(home)} == {"continue", "park", "prune", "audit"}
    assert len(killed) > 30
    for folder in killed[::every]:
        shutil.rmtree(home.out)
        folder.rename(home.out)
        assert home.run(*study) == 0
        assert what_was_decided(home) == undisturbed, folder.name
