"""What a tracker is given of a study: runs, their points and their ends; and what a tracker is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sweep.storage.states import State

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Run:
    """A trial, or the study as a whole, as a run of a tracker."""

    key: str
    """the same whenever the study goes on, and no other study's: letters, digits and . _ -"""
    name: str
    """for people, as trial-0003"""
    group: str
    """the study"""
    is_trial: bool
    config: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at an optimizer step. NaN and infinity are allowed."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class End:
    """How a run stands when it is closed. It may be opened again and closed with another."""

    state: State
    values: Mapping[str, float] = field(default_factory=dict[str, float])
    """final values"""
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    """the verdict in words"""
    tags: Sequence[str] = ()
    """the verdict in words to filter by"""


class Tracker(Protocol):
    """A tracker, through its own library. Whatever its methods raise is said and tried again."""

    where: str
    """where people find what was tracked"""

    def open(self, run: Run) -> int:
        """The last step that the tracker has of the run, which is open now; 0: none, and points
        that it had are gone."""
        ...

    def log(self, run: Run, points: Sequence[Point]) -> None:
        """Points of an open run, in the order of their steps, each step once."""
        ...

    def close(self, run: Run, step: int, end: End) -> None:
        """The run's end is kept, its values at its last step, and all of the run is where it
        outlives this process."""
        ...
