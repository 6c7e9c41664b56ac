"""Replays of two small recorded studies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from predictor.recorded.runs import RecordedStudy
from sweep.analysis.replay import replay as module
from sweep.analysis.replay.report import ReplayReport
from tests.support.evidence_studies import grid, run_of, study_of


def recorded_study(name: str, seed: int, num: int = 14) -> RecordedStudy:
    """Of `num` finished runs, one that a guard ended, and one of unknown end."""
    rng = np.random.default_rng(seed)
    early = 5 + rng.normal(size=num)
    runs = study_of(early + 0.2 * rng.normal(size=num), configs=grid(num), early_eval=early).runs
    window = (9.0, 9.0, 9.0, None)
    diverged = run_of("g", None, {"x": 1}, window, state="pruned", pruned_by="guard")
    unknown = run_of("p", None, {"x": 2}, window, state="pruned", pruned_by="rank")
    return RecordedStudy(name, f"work {name}", (*runs, diverged, unknown), True, 10.0)


STUDIES = (recorded_study("a", 0), recorded_study("b", 1))


def replayed(
    studies: Sequence[RecordedStudy] = STUDIES, orders: int = 2, **options: Any
) -> ReplayReport:
    """The report of `sweep.replay` on `studies`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "read_sources", lambda texts: list(studies))  # pyright: ignore
        return module.replay("x", orders=orders, **options)
