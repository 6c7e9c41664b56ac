"""A measurement row by row, or question by question: its mean, its error, a pair's difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from predictor.stats import mean_stderr
from trainer.contract.measurement import Measurement, Scores


@dataclass(frozen=True, slots=True)
class Rows:
    """What a measurement is the weighted mean of."""

    scores: np.ndarray  # (num,) float
    weights: np.ndarray  # (num,) float, above 0

    @staticmethod
    def alike(scores: np.ndarray) -> Rows:
        """Rows that weigh the same."""
        return Rows(scores, np.ones(len(scores)))

    @property
    def mean(self) -> float:
        """The weighted mean; not finite where a score is not."""
        return float((self.scores * self.weights).sum() / self.weights.sum())

    @property
    def stderr(self) -> float | None:
        """The standard error of the mean, as `predictor.stats.mean_stderr`."""
        return mean_stderr(self.scores, self.weights)

    def at(self, kept: np.ndarray | None) -> Rows:
        """Those at the indices `kept` (num_kept,); None: all."""
        return self if kept is None else Rows(self.scores[kept], self.weights[kept])

    def packed(self) -> Scores:
        """The rows as the contract has them."""
        weights = self.weights
        are_alike = bool((weights == weights[:1]).all())
        return Scores(_bytes(self.scores), b"" if are_alike else _bytes(weights))

    @staticmethod
    def unpacked(packed: Scores) -> Rows:
        """The inverse of `packed`, but for the float32 in between."""
        scores = _array(packed.scores)
        return Rows(scores, _array(packed.weights) if packed.weights else np.ones(len(scores)))


def by_group(rows: Rows, groups: Sequence[str]) -> dict[str, Rows]:
    """The rows of each group that has a name, by it; `groups`: one per row, or none."""
    names = np.array(groups)
    found = sorted({name for name in groups if name})
    return {name: rows.at(np.flatnonzero(names == name)) for name in found}


def over_base(found: Measurement, rows: Rows, base: Rows) -> Measurement:
    """The measurement with its difference to the base model's, whose rows are the same ones in the
    same order; the trial's weights count."""
    with np.errstate(invalid="ignore", over="ignore"):
        pairs = Rows(rows.scores - base.scores, rows.weights)
        return replace(found, over_base=pairs.mean, over_base_stderr=pairs.stderr)


def _bytes(values: np.ndarray) -> bytes:
    return values.astype("<f4").tobytes()


def _array(packed: bytes) -> np.ndarray:
    return np.frombuffer(packed, "<f4").astype(float)
