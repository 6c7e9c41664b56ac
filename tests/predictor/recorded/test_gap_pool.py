"""Recorded runs at their looks."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.recorded.gap_pool import looks_of
from predictor.recorded.runs import Curve, RecordedRun, RecordedStudy


def study(evaluated_at: float, is_in_samples: bool) -> RecordedStudy:
    """One run of ten steps of 10 samples, evaluated once before its end."""
    position = np.arange(10.0, 101.0, 10.0)
    ones = np.ones(10)
    curve = Curve(position, ones, ones, ones, np.full(10, np.nan), np.zeros(10, dtype=np.int64))
    evals = np.array([[evaluated_at, 2.0], [100.0, 1.0]])
    run = RecordedRun("a", {}, "0", 100.0, curve, evals, 1.0)
    return RecordedStudy("s", "w", (run,), in_samples=is_in_samples)


@pytest.mark.parametrize(
    ("evaluated_at", "is_in_samples", "is_shown"),
    [
        (50.0, True, True),
        (60.0, True, True),  # with the step that closes the look, at 60
        (70.0, True, False),  # after it
        (30.0, True, False),  # long before: an earlier look's
        (60.0, False, False),  # steps of unknown batches end where they stand
    ],
)
def test_an_evaluation_belongs_to_the_look_that_its_step_closes(
    evaluated_at: float, is_in_samples: bool, is_shown: bool
) -> None:
    [(_, [window])] = looks_of(study(evaluated_at, is_in_samples), [55.0])
    assert window is not None
    assert window.early_eval == (2.0 if is_shown else None)
