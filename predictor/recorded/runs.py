"""Recorded sweeps in memory: what evidence, replay and tuning read, wherever it came from.

A position is the number of samples seen, or of steps where samples are not known; the curves, the
horizons and the window of one study are all in the same one. Objectives and evaluations are
as minimized: lower is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.signals import window_signals
from predictor.types import CohortTrial, Observation, WindowSignals

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """One row for each logged optimizer step, oldest first. Shapes (num_steps,)."""

    position: Floats  # after the step
    loss: Floats  # nats per loss-bearing token
    grad_norm: Floats  # raw, before clipping
    tokens: Floats  # loss-bearing, of the step; 1 where not known
    grad_sq_noise_free: Floats  # NaN where not measured
    phase: NDArray[np.int64]  # of the data; 0: all together


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One trained run: its configuration, steps, early window and end."""

    name: str  # unique in its study
    config: Mapping[str, Any]
    seed: str  # replicates of one configuration differ in it
    horizon: float  # the position at which the training ends
    curve: Curve
    evals: Floats  # (num_evals, 2): position, objective; the early evaluation and the last included
    objective: float | None  # at the horizon; None: not trained to its end, or not finite there
    state: str = "completed"  # completed | pruned | failed
    pruned_by: str | None = None  # guard | rank, of a pruned one
    audit: float | None = None  # of one that was to be pruned and went on: how likely that was
    audit_kind: str | None = None  # guard | rank: what was to prune it first
    audit_p: float | None = None  # P as it was stated; a guard states none
    audit_miss: bool | None = None  # None: not told, or not known
    cost: float = 1.0  # of the whole run, in one unit for all of the study: its tokens
    eval_stderrs: Floats | None = None  # (num_evals,), of the objectives; NaN: not known
    others: Mapping[str, Floats] = field(default_factory=dict[str, Floats])
    """(num_evals,) each: what else was measured there, minimized, by name; NaN: it was not"""

    @property
    def is_finished(self) -> bool:
        """Whether it was trained to its end, with a finite objective."""
        return self.objective is not None and math.isfinite(self.objective)

    def with_others(self, window: WindowSignals, row: int) -> WindowSignals:
        """The window with what else was measured at the evaluation `row`."""
        stderr = math.nan if self.eval_stderrs is None else float(self.eval_stderrs[row])
        others = {name: float(values[row]) for name, values in self.others.items()}
        return replace(
            window,
            early_eval_stderr=None if math.isnan(stderr) else stderr,
            early_others={name: value for name, value in others.items() if not math.isnan(value)},
        )

    @property
    def stopped_at(self) -> float | None:
        """The position where a guard ended it, under whichever policy; None where none did."""
        if self.pruned_by != "guard" or len(self.curve.position) == 0:
            return None
        return min(self.horizon, float(self.curve.position[-1]))


@dataclass(frozen=True, slots=True)
class RecordedStudy:
    """Runs that answer one question: one model, data, objective and budget."""

    name: str  # the group
    workload: str
    runs: tuple[RecordedRun, ...]
    in_samples: bool = False  # positions are samples seen, not steps
    recorded_window: float | None = None  # the position where its early evaluations were taken
    metric: str = "eval_loss"  # what the objective is of, by its own direction
    direction: str = "minimize"  # of the metric: minimize | maximize
    num_replicates: int = 0  # replicates of the best, with new seeds; they are left out
    created_s: tuple[float, ...] = ()  # when the studies were made that the runs are of
    has_gaps: bool = False  # steps are missing in the curves

    @property
    def knows_batches(self) -> bool:
        """Whether a step's position tells how many samples it took."""
        return self.in_samples and not self.has_gaps

    def window_at(self, window: float, min_steps: int = 1) -> float:
        """The position of an early window: that share of the smallest horizon and, where batches
        are known, at least `min_steps` of the largest, as a study has it."""
        close = window * min(run.horizon for run in self.runs)
        if not self.knows_batches:
            return close
        batch = max((run.curve.position[0] for run in self._seen()), default=0.0)
        return max(close, min_steps * float(batch))

    def closing_positions(self, close: float) -> list[float]:
        """The position, for each run, after the step that closes a window at `close`."""
        if not self.knows_batches:
            return [close] * len(self.runs)
        positions: list[float] = []
        for run in self.runs:
            after = int(np.searchsorted(run.curve.position, close))
            reaches = after < len(run.curve.position)
            positions.append(float(run.curve.position[after]) if reaches else run.horizon)
        return positions

    def trials(self, close: float) -> list[CohortTrial]:
        """Every run as the predictor sees it once finished, its window closed at `close`; numbered
        from 0. One that ended before has no window."""
        return [
            CohortTrial(number, run.config, self._window(run, close), run.objective)
            for number, run in enumerate(self.runs)
        ]

    def _seen(self) -> Iterator[RecordedRun]:
        return (run for run in self.runs if len(run.curve.position))

    def _window(self, run: RecordedRun, close: float) -> WindowSignals | None:
        """The signals of predictor.signals. `early_eval` is the last evaluation up to then.

        Of a log in steps or with gaps only what lies within the window is read.
        """
        position = run.curve.position
        side = "left" if self.knows_batches else "right"
        after = int(np.searchsorted(position, close, side=side))
        num_steps = after + 1 if self.knows_batches else max(1, after)
        if num_steps > len(position):
            return None
        last = float(position[num_steps - 1])
        num_evals = int(np.sum(run.evals[:, 0] <= max(close, last)))
        early = float(run.evals[num_evals - 1, 1]) if num_evals else None
        samples = min(math.ceil(close), int(last))
        signals = window_signals(_observations(run.curve, num_steps), samples, early)
        signals = replace(signals, samples=math.ceil(close))
        if not num_evals:
            return signals
        signals = run.with_others(signals, num_evals - 1)
        # A loss's standard error is of rows, which differ by far more than two trials on one row.
        is_share = self.direction == "maximize"
        return signals if is_share else replace(signals, early_eval_stderr=None)


def _observations(curve: Curve, num_steps: int) -> list[Observation]:
    tokens = np.cumsum(curve.tokens[:num_steps])
    measured = ~np.isnan(curve.grad_sq_noise_free)
    return [
        Observation(
            step=i + 1,
            samples_seen=int(curve.position[i]),
            input_tokens_seen=0,
            loss_tokens_seen=int(tokens[i]),
            loss=float(curve.loss[i]),
            grad_norm=float(curve.grad_norm[i]),
            lr=math.nan,
            seconds=math.nan,
            grad_sq_noise_free=float(curve.grad_sq_noise_free[i]) if measured[i] else None,
            phase=int(curve.phase[i]),
        )
        for i in range(num_steps)
    ]
