"""What a large study costs: counted in statements and in trials gone through, never in seconds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from sweep.analysis.recorded.tables import study_tables
from sweep.config.load import load_study
from sweep.run_study import drive
from sweep.storage.paths import StudyPaths
from tests.support.fake_driver import FakeTrials
from tests.support.home import Home
from tests.support.many_trials import SPACE, AtOnce, EveryTick, make_study

SIZES = (40, 80)
SETTINGS = [
    "search.sampler=tpe",
    "budget.samples=80",
    "run.workers=1",
    *(f"search.space.{name}={text}" for name, text in SPACE.items()),
]


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """Every statement to any database meanwhile."""
    said: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(sa.Engine, "before_cursor_execute", hear)


class Counting(AtOnce):
    """The numbers of statements up to the first start, and after each kind of event."""

    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self.said, self.before, self.to_open = said, 0, 0
        self.counts: dict[str, list[int]] = {}

    def start(self, job: Any, slot: Any) -> None:
        self.to_open = self.to_open or len(self.said)
        super().start(job, slot)
        self.finals[job.key] = 99.0  # never the best, whose card is written

    def wait(self, timeout_s: float) -> Any:
        if self.last is not None:
            self.counts.setdefault(self.last[0], []).append(len(self.said) - self.before)
        found = super().wait(timeout_s)
        self.before = len(self.said)
        return found


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, fake_trials: FakeTrials) -> dict[int, Home]:
    found: dict[int, Home] = {}
    for num in SIZES:
        found[num] = Home(tmp_path_factory.mktemp(f"study-{num}"), fake_trials)
        make_study(found[num], num, 10, SETTINGS)
    return found


@pytest.mark.slow
def test_exporting_and_inspecting_take_as_many_statements_whatever_the_size(
    studies: dict[int, Home],
) -> None:
    numbers: list[list[int]] = []
    for num, home in studies.items():
        with counted() as said:
            assert len(study_tables([str(home.out)]).runs) == num
            exporting = len(said)
            assert len(home.document()["trials"]) == num
            numbers.append([exporting, len(said) - exporting])
    assert numbers[0] == numbers[1]


@pytest.mark.slow
def test_opening_deciding_and_settling_take_as_many_statements_whatever_the_size(
    studies: dict[int, Home],
) -> None:
    """The display takes none."""
    numbers: list[dict[str, Any]] = []
    for num, home in studies.items():
        with counted() as said:
            executor = Counting(said)
            changed = [f"run.trials={num + 2}", "pruning.enabled=false"]
            loaded = load_study(str(home.file), [*SETTINGS, *changed])
            drive(loaded, StudyPaths(home.out), executor, EveryTick(executor))
        numbers.append({"opening": executor.to_open, **executor.counts})
        assert executor.counts["NoneType"] == [0, 0]
    assert numbers[0] == numbers[1]
