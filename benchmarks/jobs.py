"""Jobs as the product runs them, in processes forked from one that has imported torch, heard with a
clock. What starts them imports no torch itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

from predictor.types import Observation, Verdict
from sweep.executors import Job, Slot
from sweep.executors.local import LocalExecutor
from trainer.contract.spec import (
    LAST,
    PREPARE_ENTRY,
    TRIAL_ENTRY,
    DataSpec,
    Event,
    Failed,
    ModelSpec,
    Prepared,
    PrepareSpec,
    Stepped,
    VerdictWanted,
)


class JobFailed(Exception):
    """A job came to no good end, or took longer than it may."""


@dataclass(slots=True)
class Heard:
    """The events of a job, each with the seconds since all of its call were started. `replied_s`:
    when its last question was answered."""

    events: list[tuple[float, Event]] = field(default_factory=list)
    replied_s: float = 0.0

    def first(self, kind: type) -> float:
        """When the first event of that kind came."""
        return next(at_s for at_s, event in self.events if isinstance(event, kind))

    @property
    def steps(self) -> list[tuple[float, Observation]]:
        """When each step was reported, and what it was."""
        return [(s, event.observation) for s, event in self.events if isinstance(event, Stepped)]

    @property
    def facts(self) -> Mapping[str, Any]:
        """What a job that ends with Prepared has found."""
        last = self.events[-1][1]
        assert isinstance(last, Prepared), last
        return last.facts


class Jobs:
    """Runs jobs, and keeps what they print below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._executor, self._keys = LocalExecutor(), count()

    def run(
        self,
        specs: Sequence[Any],
        entry: str = TRIAL_ENTRY,
        *,
        answer: Literal["continue", "park"] = "continue",
        limit_s: float = 3600.0,
    ) -> list[Heard]:
        """What each of them said, all at the same time. Questions are answered with `answer`.
        JobFailed where one fails, or they take longer than `limit_s` seconds."""
        began = time.perf_counter()
        heard = {next(self._keys): Heard() for _ in specs}
        for index, (key, spec) in enumerate(zip(heard, specs, strict=True)):
            log = self.folder / f"job-{key}.log"
            self._executor.start(Job(key, entry, spec, log), Slot(index))
        running = set(heard)
        because = Failed("killed", f"took longer than its limit of {limit_s:.0f} s")
        while running:
            for key, event in self._executor.wait(0.5):
                assert isinstance(key, int)
                at_s = time.perf_counter() - began
                heard[key].events.append((at_s, event))
                if isinstance(event, VerdictWanted):
                    heard[key].replied_s = at_s
                    self._executor.send(key, Verdict(answer, "none", "benchmark"))
                if isinstance(event, LAST):
                    running.discard(key)
                if isinstance(event, Failed):
                    self._kill(running, event)
            if time.perf_counter() - began > limit_s:
                self._kill(running, because)
        for one in heard.values():
            last = one.events[-1][1]
            if isinstance(last, Failed):
                raise JobFailed(last.message)
        return list(heard.values())

    def _kill(self, keys: set[int], because: Failed) -> None:
        for key in keys:
            self._executor.kill(key, because)

    def prepare(
        self, model: ModelSpec, train: Path, max_length: int, limit_s: float = 600.0
    ) -> tuple[Path, Mapping[str, Any]]:
        """The folder that trials take their rows from, folder/data, and the facts of it."""
        data_dir = self.folder / "data"
        data_dir.mkdir(parents=True)
        data = DataSpec(str(train), max_length=max_length)
        spec = PrepareSpec(model, data, str(data_dir), (), measure_base=False)
        (heard,) = self.run([spec], PREPARE_ENTRY, limit_s=limit_s)
        return data_dir, heard.facts

    def close(self) -> None:
        """Nothing of it runs any more."""
        self._executor.close()


def in_one_job(entry: Callable[..., Any]) -> str:
    """The name by which a job runs the function."""
    return f"{entry.__module__}:{entry.__qualname__}"
