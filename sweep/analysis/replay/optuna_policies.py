"""Optuna's own pruners as policies to replay: its objects, asked as any script would ask them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from predictor.recorded.runs import RecordedRun, RecordedStudy
from predictor.replay.looking import closes_of
from predictor.replay.policies import WindowSetting
from predictor.replay.replay import GO_ON, STOP, Answer, Session
from predictor.replay.sessions import Same, rows_of

optuna.logging.set_verbosity(optuna.logging.WARNING)

Signal = Literal["eval", "train"]


@dataclass(frozen=True, slots=True)
class OptunaPolicy:
    """A pruner that is told a loss at those of `num_points` points of a run where one is new.

    `make` gives a new pruner for that many points. Steps are the numbers of the points, from 1; at
    the last one the run is at its end and its objective is told.
    """

    label: str
    make: Callable[[int], BasePruner]
    signal: Signal
    num_points: int
    shown: Mapping[str, Any] = field(default_factory=dict[str, Any])  # the pruner's settings

    @property
    def name(self) -> str:
        """The pruner's name and what it is told: `MedianPruner (eval)`."""
        return f"{self.label} ({self.signal})"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The pruner's settings and the number of points, as JSON values."""
        return {**self.shown, "points": self.num_points}

    def begin(self, study: RecordedStudy, seed: int) -> Session:
        """A session with an Optuna study of its own, in memory."""
        told = create_study(self.make(self.num_points), f"{study.name} {seed}")
        return _Session(study, told, self.signal, self.num_points)


@dataclass(frozen=True, slots=True)
class AtLooks:
    """A pruner that is told the early evaluations of the looks of a study that scouts.

    Steps are percent of the smallest budget, so that the rungs of a pruner that halves are shares
    of it.
    """

    label: str
    make: Callable[[int], BasePruner]
    window: WindowSetting
    looks: tuple[float, ...]
    shown: Mapping[str, Any] = field(default_factory=dict[str, Any])  # the pruner's settings

    @property
    def name(self) -> str:
        """The pruner's name: `MedianPruner (looks)`."""
        return f"{self.label} (looks)"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The pruner's settings and the looks, as JSON values."""
        return {**self.shown, **self.window.to_json(), "looks": list(self.looks)}

    def begin(self, study: RecordedStudy, seed: int) -> Session:
        """A session with an Optuna study of its own, in memory."""
        told = create_study(self.make(100), f"{study.name} {seed}")
        return _LooksSession(study, told, closes_of(study, self.window, self.looks))


def at_looks(window: WindowSetting, looks: tuple[float, ...]) -> list[AtLooks]:
    """The pruners that may stop a run at so few points, with the evaluations of the looks."""
    kept = {"MedianPruner", "PercentilePruner", "SuccessiveHalving 2", "SuccessiveHalving 3"}
    return [
        AtLooks(label, make, window, looks, shown)
        for label, make, shown in _PRUNERS
        if label in kept
    ]


def optuna_policies(num_points: int) -> list[OptunaPolicy]:
    """Every pruner with evaluation losses and with training losses."""
    found: list[OptunaPolicy] = []
    for label, make, shown in _PRUNERS:
        for signal in ("eval", "train"):
            found.append(OptunaPolicy(label, make, signal, num_points, shown))
    return found


def create_study(pruner: BasePruner, name: str) -> optuna.Study:
    """An Optuna study in memory, lower being better. Hyperband's brackets depend on `name`."""
    return optuna.create_study(study_name=name, sampler=RandomSampler(seed=0), pruner=pruner)


def reports(run: RecordedRun, signal: Signal, num_points: int) -> list[float | None]:
    """What a script would report at each point: the last evaluation since the point before, or the
    mean training loss since then. None where there is none: nothing is reported twice.
    """
    points = run.horizon * np.arange(1, num_points + 1) / num_points
    positions = run.evals[:, 0] if signal == "eval" else run.curve.position
    nums = [int(num) for num in np.searchsorted(positions, points, side="right")]
    values: list[float | None] = []
    for first, num in pairwise([0, *nums]):
        if num == first:
            values.append(None)
        elif signal == "eval":
            values.append(float(run.evals[num - 1, 1]))
        else:
            values.append(float(run.curve.loss[first:num].mean()))
    return values


def _median(num_points: int) -> BasePruner:
    return MedianPruner(n_startup_trials=5, n_warmup_steps=_tenth(num_points))


def _percentile(num_points: int) -> BasePruner:
    return PercentilePruner(25.0, n_startup_trials=5, n_warmup_steps=_tenth(num_points))


def _halving_2(num_points: int) -> BasePruner:
    return SuccessiveHalvingPruner(min_resource=_tenth(num_points), reduction_factor=2)


def _halving_3(num_points: int) -> BasePruner:
    return SuccessiveHalvingPruner(min_resource=_tenth(num_points), reduction_factor=3)


def _hyperband_2(num_points: int) -> BasePruner:
    return HyperbandPruner(_tenth(num_points), num_points, reduction_factor=2)


def _hyperband_3(num_points: int) -> BasePruner:
    return HyperbandPruner(1, num_points, reduction_factor=3)


def _patient(num_points: int) -> BasePruner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PatientPruner(_median(num_points), patience=_tenth(num_points))


def _tenth(num_points: int) -> int:
    return max(1, num_points // 10)


_PRUNERS: tuple[tuple[str, Callable[[int], BasePruner], Mapping[str, Any]], ...] = (
    ("MedianPruner", _median, {"startup": 5, "warmup": "10 %"}),
    ("PercentilePruner", _percentile, {"percentile": 25, "startup": 5, "warmup": "10 %"}),
    ("SuccessiveHalving 2", _halving_2, {"eta": 2, "min_resource": "10 %"}),
    ("SuccessiveHalving 3", _halving_3, {"eta": 3, "min_resource": "10 %"}),
    ("HyperbandPruner 2", _hyperband_2, {"eta": 2, "min_resource": "10 %"}),
    ("HyperbandPruner 3", _hyperband_3, {"eta": 3, "min_resource": "1 point"}),
    (
        "PatientPruner",
        _patient,
        {
            "around": "MedianPruner",
            "startup": 5,
            "warmup": "10 %",
            "patience": "10 % of the points, in reports",
        },
    ),
)


class _Told:
    """An Optuna study that is told the ends of the runs."""

    def __init__(self, study: RecordedStudy, told: optuna.Study) -> None:
        self.runs, self.told = study.runs, told
        self.trials: dict[int, optuna.Trial] = {}

    def reported(self, run: int, step: int, value: float | None) -> Answer:
        """Whether the pruner stops the run; nothing is asked where there is no value."""
        if value is None or not report_and_ask(self.trials[run], step, value):
            return GO_ON
        self.told.tell(self.trials[run], state=TrialState.PRUNED)
        return STOP

    def end(self, run: int) -> None:
        recorded, trial = self.runs[run], self.trials[run]
        if recorded.is_finished:
            self.told.tell(trial, recorded.objective)
        else:
            self.told.tell(trial, state=TrialState.PRUNED)

    def wants_more(self) -> bool:
        return True

    def resume(self, waiting: Sequence[int]) -> int | None:
        return None

    def give_up(self, run: int) -> Answer:
        return STOP


class _Session(_Told):
    """Through ask, report, should_prune and tell."""

    def __init__(
        self, study: RecordedStudy, told: optuna.Study, signal: Signal, num_points: int
    ) -> None:
        super().__init__(study, told)
        self.signal: Signal = signal
        self.num_points = num_points
        self.reports: dict[int, list[float | None]] = {}

    def start(self, run: int) -> Sequence[float]:
        self.trials[run] = self.told.ask()
        self.reports[run] = reports(self.runs[run], self.signal, self.num_points)
        horizon = self.runs[run].horizon
        return [horizon * step / self.num_points for step in range(1, self.num_points)]

    def look(self, run: int, position: float) -> Answer:
        step = round(position / self.runs[run].horizon * self.num_points)
        return self.reported(run, step, self.reports[run][step - 1])


class _LooksSession(_Told):
    """The same at the looks."""

    def __init__(self, study: RecordedStudy, told: optuna.Study, closes: tuple[float, ...]) -> None:
        super().__init__(study, told)
        horizon = min(run.horizon for run in study.runs)
        self.steps = [max(1, round(100 * close / horizon)) for close in closes]
        self.rows = rows_of(Same(study), closes)
        own = [study.closing_positions(close) for close in closes]
        self.closes = list(zip(*own, strict=True))

    def start(self, run: int) -> Sequence[float]:
        self.trials[run] = self.told.ask()
        return self.closes[run]

    def look(self, run: int, position: float) -> Answer:
        look = self.closes[run].index(position)
        window = self.rows[run][1][look]
        value = None if window is None else window.early_eval
        return self.reported(run, self.steps[look], value)


def report_and_ask(trial: optuna.Trial, step: int, value: float) -> bool:
    """Whether the pruner stops the trial at this step."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy's, where all values are NaN
        trial.report(value, step)
        return trial.should_prune()
