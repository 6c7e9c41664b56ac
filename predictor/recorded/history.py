"""What past studies say of the signals, as the prior of a new one."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.features import NOISE_FREE, RAW, enough_noise_free, signal_column, standardise
from predictor.prior import Prior, pooled_prior
from predictor.recorded.runs import RecordedStudy
from predictor.target import scale_of
from predictor.types import CohortTrial, WindowSignals

Floats = NDArray[np.float64]

NAMES = ("early_eval", "loss", RAW, NOISE_FREE)
DIGITS = 6  # of what is stored, and of the digest: arithmetic differs a little between machines


@dataclass(frozen=True, slots=True)
class History:
    """A prior and what it was learned from."""

    prior: Prior
    num_trials: Mapping[str, int]  # finished and with a window, of each past study; 0: unusable
    metrics: Mapping[str, str]  # of each past study: what its objective was

    def to_json(self) -> dict[str, Any]:
        """The history as JSON values, as a study's facts keep it."""
        second = {" ".join(pair): _rounded(x) for pair, x in self.prior.second.items()}
        return {
            "strength": self.prior.strength,
            "trials": dict(self.num_trials),
            "cross": {name: _rounded(x) for name, x in self.prior.cross.items()},
            "second": second,
        }

    @property
    def digest(self) -> str:
        """A text of eight digits, equal for equal priors from equal numbers of trials."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def history_prior(
    studies: Sequence[RecordedStudy], window: float, min_steps: int, strength: float
) -> History:
    """Past studies' finished trials as a prior that weighs as much as `strength` trials.

    Signals are standardised over every trial of a study with a window, targets squashed and
    centred over its finished ones; then all studies' trials are pooled, each with the same weight,
    so that a large study counts for more. Windows that closed in different phases are different
    studies. The window is the one a study was recorded with, else `window` and `min_steps` as in a
    study file. A study with fewer than two finished trials, or whose finished trials tie, gives
    nothing.
    ValueError where none gives anything.
    """
    signals: list[Floats] = []
    targets: list[Floats] = []
    num_trials: dict[str, int] = {}
    for study in studies:
        num_trials[study.name] = 0
        close = study.recorded_window or study.window_at(window, min_steps)
        for seen in _by_phase(study.trials(close)):
            found = _standardised(seen)
            if found is not None:
                signals.append(found[0])
                targets.append(found[1])
                num_trials[study.name] += len(found[1])
    if not signals:
        raise ValueError(
            f"none of {', '.join(num_trials)} has two finished trials with an early window that "
            "ended differently, so nothing can be learned from them"
        )
    pooled = pooled_prior(strength, NAMES, np.concatenate(signals), np.concatenate(targets))
    return History(pooled, num_trials, {study.name: study.metric for study in studies})


def _by_phase(
    trials: Sequence[CohortTrial],
) -> Iterator[list[tuple[WindowSignals, float | None]]]:
    """Windows with the objectives, those that closed in one phase together."""
    phases: dict[int, list[tuple[WindowSignals, float | None]]] = {}
    for trial in trials:
        if trial.window is not None:
            own = trial.objective
            finished = own is not None and math.isfinite(own)
            same = phases.setdefault(trial.window.phase, [])
            same.append((trial.window, own if finished else None))
    yield from phases.values()


def _standardised(
    seen: Sequence[tuple[WindowSignals, float | None]],
) -> tuple[Floats, Floats] | None:
    """Signals (num_finished, 4) and targets (num_finished,) of the finished; None: of no use.

    A signal that was not measured is 0, and so tells nothing of itself; the noise-free norm is so
    in all where fewer than half of the finished have it, as in a study.
    """
    finished = [i for i, (_, objective) in enumerate(seen) if objective is not None]
    objectives = [y for _, y in seen if y is not None]
    scale = scale_of(objectives)
    if scale is None:
        return None
    windows = [window for window, _ in seen]
    num_free = sum(windows[i].grad_norm_noise_free is not None for i in finished)
    columns = [[getattr(w, name) for w in windows] for name in NAMES]
    table = standardise(np.array([signal_column(values) for values in columns]).T)
    if not enough_noise_free(num_free, len(finished)):
        table[:, NAMES.index(NOISE_FREE)] = 0.0
    targets = scale.squash(np.array(objectives))
    return table[finished], targets - targets.mean()


def _rounded(x: float) -> float:
    return float(f"{x:.{DIGITS}g}")
