"""Studies with `run.trials: auto`: as many scouts as `run.max_hours` has room for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sweep.account.hours import Hours
from sweep.storage.find import open_study
from tests.support.home import Home
from tests.support.snapshots import snapshots
from tests.support.threads import ThreadedTrials

pytestmark = pytest.mark.slow

NIGHT = ("pruning.mode=scout", "run.workers=1", "run.trials=auto", "pruning.looks=[0.5]")


class Night(Home):
    """The time is that of what has been said: a scout takes a minute, so that a trial from its
    first look to its end is expected to take two."""

    completed_s = 120.0  # what it really takes

    def now(self) -> float:
        each_s = {"parked at step": 60.0, "completed, eval_loss": self.completed_s}
        return sum(s for line in self.lines for what, s in each_s.items() if what in line)

    def hours(self) -> Hours:
        ledger, _ = open_study(str(self.out))
        row = ledger.read_study()
        ledger.engine.dispose()
        assert row is not None
        return Hours.of(row.facts)

    def saying(self, what: str) -> list[str]:
        return [line for line in self.lines if what in line]

    def given(self) -> set[tuple[int, str, str]]:
        """What was decided and is final."""
        ledger, _ = open_study(str(self.out))
        found = [(d.trial, d.moment, d.verdict.action) for d in ledger.read_decisions()]
        ledger.engine.dispose()
        return {one for one in found if one[2] != "park"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    monkeypatch.setenv("FAKE_STEP_S", "0")
    home = Night(tmp_path, ThreadedTrials())
    monkeypatch.setattr("sweep.driver.max_hours.now", home.now)
    return home


def test_there_are_as_many_scouts_as_there_is_room_for(home: Night) -> None:
    assert home.run(*NIGHT, "run.max_hours=0.2") == 0
    report = home.report()
    assert report.total == len(report.trials) == 5  # (720 s - 397 s) / 60 s
    (room,) = home.saying("room for")
    assert room == "room for about 5 scouts in 0.2 h; 6 min 37 s are kept for finishing"
    assert home.lines.index(room) < home.lines.index(home.saying("trial 3: ")[0])
    (why,) = home.saying("no further scout")
    assert why.startswith("no further scout: 2 min 00 s are left, and to scout and finish one ")
    assert home.lines.index(why) < home.lines.index(home.saying("given up")[0])
    assert {room, why} <= set(report.notes)
    assert home.hours().used_s == pytest.approx(home.now())
    told = [line for status in home.statuses for line in status.doing]
    assert "scouting 0 of about 4" in told  # before it is known


def test_where_time_is_left_another_round_begins_before_anything_is_given_up(home: Night) -> None:
    home.completed_s = 10.0  # much faster than expected; and with this risk few go on
    assert home.run(*NIGHT, "pruning.risk=0.3", "run.max_hours=0.2") == 0
    (again,) = home.saying("nothing parked is worth it")
    assert again.endswith("room for 3 scouts more")
    first = home.lines.index(again)
    assert home.lines[first + 1].startswith("trial 5: ")
    assert not [line for line in home.lines[:first] if "given up" in line]
    assert home.report().total == len(home.states()) == 8
    assert home.saying("no further scout")


def test_no_further_scout_begins_where_it_is_unlikely_to_win(home: Night) -> None:
    home.completed_s = 10.0
    careful = ("pruning.max_expected_misses=0", "pruning.risk=0.2")  # so that all are finished
    assert home.run(*NIGHT, *careful, "run.max_hours=0.2") == 0
    (why,) = home.saying("no further scout")
    assert "Further trials are unlikely to help: one not yet looked at beats trial" in why
    below = home.saying("below the risk, but to give up all that wait would exceed max_expected_m")
    assert below and all("goes on at" in line or "continue at" in line for line in below)
    assert home.states() == ["completed"] * 5


def test_hours_that_are_over_leave_trials_parked_and_name_the_best(
    home: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    home.completed_s = 800.0
    assert home.run(*NIGHT, "run.max_hours=0.2") == 75
    states = home.states()
    assert states.count("parked") == 4 and states.count("completed") == 1
    best = states.index("completed")
    said = " ".join(capsys.readouterr().out.split())
    assert (
        f"Stopped: run.max_hours is over. 4 trials stay parked. The best so far is trial {best}. "
        "The same command with a larger run.max_hours goes on from here."
    ) in said
    used_s = home.hours().used_s
    assert home.run(*NIGHT, "run.max_hours=0.2") == 75  # none of its hours is left
    assert (home.states(), home.hours().used_s) == (states, used_s)
    home.completed_s = 10.0
    home.lines.clear()
    assert home.run(*NIGHT, "run.max_hours=0.4") == 0
    assert "parked" not in home.states()
    assert used_s < home.hours().used_s < 0.4 * 3600


def test_in_too_little_time_one_is_scouted_and_finished(home: Night) -> None:
    home.completed_s = 10.0
    assert home.run(*NIGHT, "run.max_hours=0.06") == 0  # 216 s
    assert home.states() == ["completed"]
    (room,) = home.saying("room for")
    assert room.startswith("room for about 1 scout in 0.06 h; ")


def test_a_study_with_a_number_of_trials_goes_on_with_hours(home: Night) -> None:
    home.run(*NIGHT, "run.trials=2")
    home.lines.clear()
    assert home.run(*NIGHT, "run.max_hours=0.15") == 0
    (room,) = home.saying("room for")
    assert room.startswith("room for about 6 scouts in 0.15 h; ")  # the two of before among them
    assert len(home.states()) == 6


def test_where_no_scout_was_parked_it_says_that_their_time_is_not_known(
    home: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.driver.max_hours.MaxHours.parked", lambda *_: None)
    assert home.run(*NIGHT, "run.max_hours=0.2") == 0
    (why,) = home.saying("no further scout")
    assert "so how long one takes is not known" in why


def test_a_grid_has_no_more_than_its_points(home: Night) -> None:
    grid = ("search.sampler=grid", "search.space.learning_rate={choices: [1e-4, 1e-3]}")
    assert home.run(*NIGHT, *grid, "run.max_hours=1") == 0
    assert len(home.states()) == 4
    assert "every configuration of the space has been tried" in home.saying("no further scout")[0]


def test_a_driver_killed_anywhere_keeps_to_what_it_had_decided(home: Night) -> None:
    night = (*NIGHT, "run.max_hours=0.15")
    with snapshots(home.out, home.folder / "killed") as killed:
        home.run(*night)
    for folder in killed[::6]:
        shutil.rmtree(home.out)
        folder.rename(home.out)
        hours, given = home.hours(), home.given()
        home.lines.clear()
        assert home.run(*night) == 0
        after = home.hours()
        assert after.used_s >= hours.used_s and after.ended
        assert not hours.ended or after.ended == hours.ended
        assert after.trials == len(home.states())
        assert given <= home.given(), folder.name
