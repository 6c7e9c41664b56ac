"""What a running study shows: a status now and then, and lines that stay."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TextIO

from sweep.formats import duration


@dataclass(frozen=True, slots=True)
class RunningTrial:
    """A trial that runs, as a progress display shows it."""

    number: int
    params: Mapping[str, object]  # the searched ones
    doing: str  # "loading the model", "training", "evaluating", "waiting for the verdict", ...
    step: int
    num_steps: int
    loss: float | None  # nats per token, the last step's
    grad_norm: float | None
    verdict: str  # "" before the window closed; then "continue", "audit"
    goal: str = ""  # of a study that scouts: "scouting", "to 30%", "to its end"
    probability: float | None = None  # P that it was sent on with


@dataclass(frozen=True, slots=True)
class ParkedTrial:
    """A trial that waits at a look, as a progress display shows it."""

    number: int
    params: Mapping[str, object]  # the searched ones
    share: float | None  # of the smallest budget, where it was looked at last
    early_eval: float | None  # of the objective, there
    probability: float | None  # P when it was decided on last


@dataclass(frozen=True, slots=True)
class Status:
    """How far a study is, as a progress display shows it."""

    study: str
    running: Sequence[RunningTrial]
    completed: int  # audited ones included
    pruned: int
    audited: int
    failed: int
    total: int  # run.trials
    saved_share: float | None  # of the settled trials' planned compute; None before there is one
    elapsed_s: float
    left_s: float | None  # an estimate
    best: str  # "trial 3: choice_accuracy 0.712, base 0.568", or ""
    doing: Sequence[str] = ()  # of a study that scouts: "scouting 9 of 16", "advancing trial 4 ..."
    parked: int = 0
    waiting: Sequence[ParkedTrial] = ()  # those that are parked, the most promising first
    used_share: float | None = (
        None  # of the full grid: every trial to its end; of a study that scouts
    )
    nearest: str = ""  # while no completed trial holds every constraint: the one nearest to it
    floor_share: float | None = None  # of the same: all to their first look, and one to its end


class View(Protocol):
    """Where a study's progress goes. `is_due` is cheap, and false where a status, which is not,
    would be dropped."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def say(self, line: str) -> None:
        """A line for the user, which stays."""
        ...

    def is_due(self) -> bool:
        """Whether a status would be shown."""
        ...

    def show(self, status: Status) -> None:
        """The status in place of the one before."""
        ...


class PlainView:
    """A `View` for logs and pipes: lines that stay, and a short status at most every `every_s`
    seconds."""

    def __init__(self, stream: TextIO | None = None, every_s: float = 60.0) -> None:
        self.stream = stream or sys.stdout
        self.every_s = every_s
        self._shown_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def say(self, line: str) -> None:
        """The line is written; it is dropped where the reader has gone."""
        with contextlib.suppress(BrokenPipeError):  # the reader has gone; the study has not
            self.stream.write(line + "\n")
            self.stream.flush()

    def is_due(self) -> bool:
        """Whether `every_s` seconds have passed since the last status."""
        return time.monotonic() - self._shown_s >= self.every_s

    def show(self, status: Status) -> None:
        """A line for each running trial, and those of the study."""
        self._shown_s = time.monotonic()
        for trial in status.running:
            loss = "" if trial.loss is None else f", loss {trial.loss:.3f}"
            self.say(
                f"trial {trial.number}: {trial.doing}, step {trial.step}/{trial.num_steps}{loss}"
            )
        for line in status_lines(status):
            self.say(line)


def status_lines(status: Status) -> list[str]:
    """What is done and the study's numbers, in lines: in one where it does not scout, else each
    within 80 columns."""
    return [*status.doing, *number_lines(status)]


def number_lines(status: Status) -> list[str]:
    """How many trials are where, the compute and the time."""
    parts = [
        f"{status.completed} completed",
        *([f"{status.parked} parked"] if status.parked else []),
        f"{status.pruned} pruned",
        f"{status.audited} audited",
        f"{status.failed} failed",
        f"of {status.total} trials",
    ]
    counts, time = ", ".join(parts[:-1]) + f" {parts[-1]}", _time(status)
    if status.used_share is not None and status.floor_share is not None:
        compute = f"compute {status.used_share:.0%} of the full grid"
        return [counts, f"{compute}, floor {status.floor_share:.0%}; {time}"]
    saved = ""
    if status.saved_share is not None and status.saved_share > 0:  # early evaluations cost first
        saved = f"; {status.saved_share:.0%} of the compute saved"
    return [f"{counts}{saved}; {time}"]


def _time(status: Status) -> str:
    so_far = f"{duration(status.elapsed_s)} so far"
    return so_far if status.left_s is None else f"{so_far}, {duration(status.left_s)} left"
