"""A tracker is brought in line with the ledger: every point once, whatever a trial goes through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from sweep.storage.ledger import Ledger
from sweep.storage.paths import StudyPaths
from sweep.storage.rows import StudyRow
from sweep.storage.states import State
from sweep.trackers.mirror import Mirror
from sweep.trackers.runs import End, Point, Run
from tests.support.sweep_ledgers import (
    completed,
    decision,
    document,
    fill,
    observation,
    trial,
    written,
)


class Fake:
    """A tracker that keeps what it is told, or one that writes a run anew when it is opened."""

    where = "here"

    def __init__(self, *, keeps: bool = True) -> None:
        self.keeps = keeps
        self.points: dict[str, list[Point]] = {}
        self.ends: dict[str, End] = {}
        self.open_now: set[str] = set()
        self.opened: list[str] = []
        self.refuses = ""

    def open(self, run: Run) -> int:
        if run.name == self.refuses:
            raise ConnectionError("no such host")
        assert run.name not in self.open_now
        self.open_now.add(run.name)
        self.opened.append(run.name)
        if not self.keeps:
            self.points.pop(run.name, None)
        points = self.points.setdefault(run.name, [])
        return points[-1].step if points else 0

    def log(self, run: Run, points: Sequence[Point]) -> None:
        assert run.name in self.open_now
        self.points[run.name] += points

    def close(self, run: Run, step: int, end: End) -> None:
        self.open_now.remove(run.name)
        self.ends[run.name] = end

    def steps(self, name: str) -> list[int]:
        return [point.step for point in self.points.get(name, [])]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with written(tmp_path / "demo") as ledger:
        yield ledger


@pytest.fixture(params=[True, False], ids=["keeps", "rewrites"])
def fake(request: pytest.FixtureRequest) -> Fake:
    return Fake(keeps=request.param)


@pytest.fixture
def mirror(ledger: Ledger, fake: Fake, tmp_path: Path) -> Mirror:
    return new_mirror(ledger, fake, tmp_path)


def new_mirror(ledger: Ledger, fake: Fake, folder: Path) -> Mirror:
    """As of a driver that goes on."""
    return Mirror(ledger, StudyPaths(folder / "demo"), fake, folder / "fake.json")


def train(ledger: Ledger, steps: Sequence[int], number: int = 0) -> None:
    for step in steps:
        ledger.add_observation(number, observation(step, 16))
    ledger.flush()


def test_a_running_trial_is_told_but_for_its_last_step(
    ledger: Ledger, mirror: Mirror, fake: Fake
) -> None:
    ledger.save_trial(trial(0, "running", window=None))
    train(ledger, range(1, 4))
    mirror.sync()
    assert fake.steps("trial-0000") == [1, 2]
    train(ledger, range(4, 6))
    mirror.sync()
    assert fake.steps("trial-0000") == [1, 2, 3, 4]
    assert not fake.ends


def test_a_look_is_told_with_its_step(ledger: Ledger, mirror: Mirror, fake: Fake) -> None:
    ledger.save_trial(trial(0, "running", window=None))
    train(ledger, range(1, 5))
    mirror.sync()  # the window is at step 4, and is not yet decided on
    ledger.save_trial(trial(0, "running"))
    mirror.sync()
    train(ledger, range(5, 7))
    mirror.sync()
    found = {point.step: point.values for point in fake.points["trial-0000"]}
    assert list(found) == [1, 2, 3, 4, 5]
    assert found[4]["early/objective"] == 0.35
    assert found[4]["train/loss"] == 2.25
    assert not [step for step in (1, 2, 3, 5) if "early/objective" in found[step]]


def test_steps_that_are_done_again_are_told_once(
    ledger: Ledger, mirror: Mirror, fake: Fake
) -> None:
    ledger.save_trial(trial(0, "running"))
    train(ledger, range(1, 9))
    mirror.sync()
    ledger.forget_observations_after(0, 4)  # the attempt was lost; a checkpoint was at step 4
    train(ledger, range(5, 7))
    mirror.sync()
    train(ledger, range(7, 17))
    ledger.save_trial(completed(0, 0.7, attempts=2))
    mirror.sync()
    assert fake.steps("trial-0000") == list(range(1, 17))
    assert fake.ends["trial-0000"].state is State.COMPLETED


def test_a_parked_trial_is_closed_and_goes_on_in_its_run(
    ledger: Ledger, mirror: Mirror, fake: Fake
) -> None:
    train(ledger, range(1, 5))
    parked = trial(0, "parked")
    parked.window = {**(parked.window or {}), "share": 0.25}
    ledger.save_trial(parked, decision=decision(0, "park", "rank"))
    mirror.sync()
    assert fake.steps("trial-0000") == [1, 2, 3, 4]
    assert fake.ends["trial-0000"].state is State.PARKED and not fake.open_now
    mirror.sync()
    train(ledger, range(5, 17))
    ledger.save_trial(completed(0, 0.7), decision=decision(0, "continue", "rank", moment="look 1"))
    mirror.sync()
    assert fake.steps("trial-0000") == list(range(1, 17))
    assert fake.opened == ["trial-0000", "trial-0000"]


def test_what_was_closed_is_left_alone_when_the_study_goes_on(
    ledger: Ledger, mirror: Mirror, fake: Fake, tmp_path: Path
) -> None:
    fill(ledger)
    mirror.sync(is_last=True)
    assert not fake.open_now
    told = list(fake.opened)
    new_mirror(ledger, fake, tmp_path).sync(is_last=True)
    assert fake.opened == told
    ledger.save_trial(completed(7, 0.6))
    new_mirror(ledger, fake, tmp_path).sync(is_last=True)
    assert fake.opened == [*told, "trial-0007", "study"]


def test_a_tracker_that_was_killed_is_told_what_it_lacks(
    ledger: Ledger, mirror: Mirror, fake: Fake, tmp_path: Path
) -> None:
    ledger.save_trial(trial(0, "running"))
    train(ledger, range(1, 9))
    mirror.sync()
    fake.open_now.clear()
    train(ledger, range(9, 11))
    new_mirror(ledger, fake, tmp_path).sync()
    assert fake.steps("trial-0000") == list(range(1, 10))


def test_a_session_that_ends_holds_nothing_back(ledger: Ledger, mirror: Mirror, fake: Fake) -> None:
    ledger.save_trial(trial(0, "running"))
    train(ledger, range(1, 9))
    mirror.sync()
    ledger.save_trial(trial(0, "waiting"))  # the driver was told to end
    mirror.sync(is_last=True)
    assert fake.steps("trial-0000") == list(range(1, 9))
    assert fake.ends["trial-0000"].state is State.WAITING
    assert fake.ends["study"].texts["state"] == "unfinished"


def test_a_trial_that_has_not_begun_is_no_run(ledger: Ledger, mirror: Mirror, fake: Fake) -> None:
    ledger.save_trial(trial(0, "waiting", window=None, attempts=0))
    mirror.sync(is_last=True)
    assert fake.opened == ["study"]


def test_a_trial_that_cannot_be_tracked_keeps_no_other_from_it(
    ledger: Ledger, mirror: Mirror, fake: Fake, tmp_path: Path
) -> None:
    fill(ledger)
    fake.refuses = "trial-0001"
    with pytest.raises(ConnectionError):
        mirror.sync(is_last=True)
    assert {"trial-0000", "trial-0002", "trial-0005"} <= set(fake.ends)
    assert "study" not in fake.ends
    fake.refuses = ""
    new_mirror(ledger, fake, tmp_path).sync(is_last=True)
    assert {"trial-0001", "study"} <= set(fake.ends)


def test_no_secret_reaches_a_tracker(tmp_path: Path) -> None:
    fake = Fake()
    told = document()
    told["data"] = {"train": "https://user:hunter22@host/train.jsonl"}
    told["run"]["storage"] = "postgresql://me:hunter22@host/db"
    with written(tmp_path / "demo") as ledger:
        ledger.create(StudyRow("demo-2", told, {}, "learned-2"))
        ledger = Ledger(ledger.engine, "demo-2")
        reason = "the server at postgresql://me:hunter22@host/db has gone"
        ledger.save_trial(trial(0, "pruned"), decision=decision(0, "prune", "guard", reason=reason))
        runs: list[Run] = []
        fake.open = lambda run: (runs.append(run), Fake.open(fake, run))[1]
        new_mirror(ledger, fake, tmp_path).sync(is_last=True)
    said = repr([runs, fake.points, fake.ends])
    assert "hunter22" not in said
    assert "has gone" in said and "train.jsonl" in said
