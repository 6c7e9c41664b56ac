"""The table of steps, filled run by run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

from predictor.recorded.columns import OTHER, STEPS, types
from predictor.types import Observation
from sweep.analysis.recorded.evaluations import Evaluation
from sweep.analysis.recorded.run_row import Row

STEPS_A_FRAME = 100_000
# columns, and what an observation calls them
PLACE = {
    "step": "step",
    "samples": "samples_seen",
    "tokens": "loss_tokens_seen",
    "input_tokens": "input_tokens_seen",
    "phase": "phase",
}
MEASURED = ("loss", "grad_norm", "lr", "grad_sq_noise_free", "grad_sq_noise", "seconds")
OBSERVED = {**PLACE, **{name: name for name in MEASURED}}


class StepTable:
    """Training steps and evaluations as columns, put into frames before they grow large."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in STEPS}
        self.frames: list[Any] = []

    def add(
        self, run: Row, seen: Sequence[Observation], evaluated: Iterable[Evaluation] = ()
    ) -> None:
        """A run's training steps, then its evaluations: at its looks and at its end."""
        self._add_training(run, seen)
        end = {"step": run["horizon_step"], "samples": run["horizon_samples"], "fraction": 1.0}
        for one in evaluated:
            if one.samples is None and seen:
                self._add_evaluation(run, seen[-1], one, **end)
            elif one.samples is not None:
                closing = next((at for at in seen if at.samples_seen >= one.samples), None)
                if closing is not None:
                    self._add_evaluation(run, closing, one)
        if len(self.columns["run"]) >= STEPS_A_FRAME:
            self._close_frame()

    def frame(self) -> pd.DataFrame:
        """All that was added."""
        self._close_frame()
        return pd.concat(self.frames, ignore_index=True)

    def _add_training(self, run: Row, seen: Sequence[Observation]) -> None:
        columns, horizon = self.columns, run["horizon_step"]
        columns["run"] += [run["run"]] * len(seen)
        columns["fraction"] += [one.step / horizon for one in seen]
        for name in columns.keys() - OBSERVED.keys() - {"run", "fraction"}:
            columns[name] += [None] * len(seen)
        for name, own in OBSERVED.items():
            columns[name] += map(attrgetter(own), seen)

    def _add_evaluation(self, run: Row, at: Observation, one: Evaluation, **changes: float) -> None:
        place = {name: getattr(at, own) for name, own in PLACE.items()}
        row = {"run": run["run"], "fraction": at.step / run["horizon_step"], **place, **changes}
        row |= {"eval_loss": one.value, "eval_stderr": one.stderr}
        row |= {OTHER + name: value for name, value in one.others.items()}
        for name in sorted(row.keys() - self.columns.keys()):  # a metric that not every set has
            self.columns[name] = [None] * len(self.columns["run"])
        for name, column in self.columns.items():
            column.append(row.get(name))

    def _close_frame(self) -> None:
        known = types(STEPS)
        series = {
            name: pd.Series(values, dtype=known.get(name, "float64"))  # pyright: ignore[reportCallIssue, reportArgumentType]
            for name, values in self.columns.items()
        }
        self.frames.append(pd.DataFrame(series))
        self.columns = {name: [] for name in STEPS}
