"""Smooth fits of recorded studies, to try what searches make of configurations nobody trained.

Of every number that a scouting study sees of a run, at each look and at the end, a Gaussian process
over the configuration; what the fits leave of a recorded run (left out of them, and scaled to the
fitted noise) is drawn whole, one run's for one trial, so looks and end err together as they did.
Known weakness: from 17 runs in five dimensions the ends are told well, the early numbers less.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from predictor.features import config_columns
from predictor.recorded.gap_pool import looks_of
from predictor.recorded.runs import RecordedStudy
from predictor.types import WindowSignals

Floats = NDArray[np.float64]
Config = Mapping[str, Any]

LATE = 36  # samples by which evaluations, taken between steps, came after a look at most


@dataclass(frozen=True)
class Seen:
    """A trial trained to its end."""

    looks: tuple[WindowSignals, ...]
    end: float  # minimized, with its noise
    expected: float  # without


class Surface:
    """A study's fitted looks and ends, logarithms of them, at the shares of the budget `shares`."""

    def __init__(self, study: RecordedStudy, shares: Sequence[float]) -> None:
        horizon = min(run.horizon for run in study.runs)
        first = study.recorded_window or shares[0] * horizon
        later = [share for share in shares if share * horizon > 1.25 * first]
        closes = [first, *(share * horizon + LATE for share in later)]
        rows = [
            (trial, [window for window in windows if window is not None])
            for trial, windows in looks_of(study, closes)
            if trial.is_finished
        ]
        rows = [(trial, own) for trial, own in rows if len(own) == len(closes)]
        has_evals = all(w.early_eval is not None for _, own in rows for w in own)
        assert has_evals, f"{study.name}: no early evaluations at each of {closes}"
        self.name = study.name
        self.shares = [first / horizon, *later]
        self._configs = [trial.config for trial, _ in rows]
        table = np.log([[trial.objective, *_numbers(own)] for trial, own in rows])
        self._mean, self._sd = table.mean(axis=0), table.std(axis=0)
        x, z = self._features(self._configs), (table - self._mean) / self._sd
        fits = [_fit(x, column) for column in z.T]
        self._fits = [fit for fit, _ in fits]
        self._left = np.array([left for _, left in fits]).T  # (num_runs, num_numbers)

    def expected(self, configs: Sequence[Config]) -> Floats:
        """The ends without noise, minimized. Shape (num_configs,)."""
        x = self._features(configs)
        return np.exp(self._fits[0].predict(x) * self._sd[0] + self._mean[0])

    def train(self, config: Config, rng: np.random.Generator) -> Seen:
        """What a trial of this configuration shows."""
        x = self._features([config])
        smooth = np.array([fit.predict(x)[0] for fit in self._fits])
        noise = self._left[rng.integers(len(self._left))]
        numbers = np.exp((smooth + noise) * self._sd + self._mean).tolist()
        looks = tuple(
            WindowSignals(round(1000 * share), loss, norm, None, early)
            for share, early, loss, norm in zip(
                self.shares, numbers[1::3], numbers[2::3], numbers[3::3], strict=True
            )
        )
        return Seen(looks, numbers[0], math.exp(smooth[0] * self._sd[0] + self._mean[0]))

    def _features(self, configs: Sequence[Config]) -> Floats:
        """As the predictor has them, standardised over the recorded runs; what was never varied
        stays as it was."""
        known = config_columns(self._configs)
        whole = [{**self._configs[0], **config} for config in configs]
        x = config_columns([*self._configs, *whole])[len(self._configs) :]
        used = known.std(axis=0) > 0
        return (x[:, used] - known[:, used].mean(axis=0)) / known[:, used].std(axis=0)


def _numbers(looks: Sequence[WindowSignals]) -> list[float]:
    return [number for w in looks for number in (w.early_eval, w.loss, w.grad_norm)]  # type: ignore[misc]


def _fit(x: Floats, z: Floats) -> tuple[GaussianProcessRegressor, Floats]:
    """The fit, and what each run, left out, differs from it (Rasmussen and Williams, 5.12), scaled
    to the standard deviation of the fitted noise."""
    lengths: Any = np.ones(x.shape[1])
    kernel = ConstantKernel(1.0, (0.3, 10.0)) * RBF(lengths, (0.5, 30.0))
    kernel += WhiteKernel(0.05, (0.02, 0.7))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a bound is reached: so be it
        fit = GaussianProcessRegressor(kernel, n_restarts_optimizer=2, random_state=0).fit(x, z)
    fitted: Any = fit.kernel_
    inverse = np.linalg.inv(fitted(x))
    left = (inverse @ z) / np.diag(inverse)
    left -= left.mean()
    return fit, left / left.std() * math.sqrt(fitted.k2.noise_level)
