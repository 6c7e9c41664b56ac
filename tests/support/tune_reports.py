"""Searches for settings on small recorded studies, and a study file to write to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from predictor.recorded.runs import RecordedStudy
from predictor.tuning.design import Candidate
from sweep.analysis.tune import tune as module
from sweep.analysis.tune.command import show_tuning
from sweep.analysis.tune.report import TuneReport
from tests.support.tuning_studies import tells_at_once

STUDY = """\
# Mine, and nobody's else
name: demo   # as in the talk
model: {{base: org/tiny-base,
        dtype: float32}}
data: {{train: org/rows, eval: org/others}}
budget: {{samples: 2048}}
search:
    sampler: random
    space:
        learning_rate: {{low: 1.0e-5, high: 3e-2, log: true}}
        batch_size: 16
{pruning}
run: {{trials: 14, seed: 0}}   # enough?
"""
PRUNING = "pruning: {mode: stream, window: 0.1, risk: 0.10, startup: 3}  # to be tuned"
RASH = (
    "pruning: {mode: stream, window: 0.03, risk: 0.3, min_gain: 0.2, audit: 0.0, startup: 2, "
    "max_expected_misses: 9.0}"
)
CLEAR = [tells_at_once(name, 10) for name in "abcde"]


def study_file(folder: Path, pruning: str = PRUNING) -> Path:
    file = folder / "mine.yaml"
    file.write_text(STUDY.format(pruning=pruning))
    return file


def offer(monkeypatch: pytest.MonkeyPatch, other: Callable[[Candidate], Candidate]) -> None:
    """The setting to choose from beside the present one; replayed in one process."""
    monkeypatch.setattr("predictor.tuning.search.design", lambda base, *args: [base, other(base)])
    monkeypatch.setattr(module, "num_cores", lambda: 1)


def tuned(
    sources: Sequence[Path | str], studies: Sequence[RecordedStudy], **options: Any
) -> TuneReport:
    """The report of `sweep.tune`, the sources holding `studies`."""
    named: dict[str, Any] = {"orders": 2, **options}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "read_sources", lambda texts: list(studies))
        return module.tune(*sources, **named)


def command(
    sources: Sequence[Path | str], studies: Sequence[RecordedStudy] = (), **options: Any
) -> int:
    """The exit code of `sweep tune`, the sources holding `studies`."""
    named: dict[str, Any] = {"risk": None, "write": False, "to": None, "as_json": False}
    named |= {"workers": 1, "orders": 2, "seed": 0, "max_runs": 200}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "read_sources", lambda texts: list(studies))
        return show_tuning([str(source) for source in sources], **(named | options))
