"""Which pruning settings are the present ones: those that a search is compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.recorded.runs import RecordedStudy
from predictor.replay.policies import WindowSetting
from predictor.tuning.design import Candidate, window_as_recorded
from predictor.types import Settings
from sweep.analysis.recorded.sources import names_study
from sweep.config.changes import stored_mode
from sweep.config.edit import SECTION
from sweep.config.load import load_study
from sweep.config.pruning import Pruning
from sweep.storage.find import open_study
from sweep.storage.readable import readable


@dataclass(frozen=True, slots=True)
class Present:
    """The setting that a search is compared with, and where it comes from."""

    candidate: Candidate  # without a window of its own where all were recorded with the present one
    recorded: WindowSetting  # what the candidate's window stands for
    recorded_differ: tuple[str, ...]  # window, min_steps: what is not the same in all sources
    origin: str  # in words
    has_history: bool  # a study learns from past ones (pruning.history), which no replay does


def present_setting(
    sources: Sequence[str], studies: Sequence[RecordedStudy], file: Path | None
) -> Present:
    """The pruning section of `file`, else the studies' own where all `sources` are studies and have
    the same one, else the defaults. The window is as recorded, where that is the same."""
    sections = [_section(source) for source in sources if names_study(source)]
    is_own = len(sections) == len(sources) and all(one == sections[0] for one in sections)
    own = load_study(file).study.pruning if file else sections[0] if is_own else None
    settings, window = Settings(), window_as_recorded(studies)
    if own is not None:
        settings, window = own.settings(), _window(own)
    known = _window(sections[0]) if is_own else (None if file else window)
    replayed = WindowSetting() if _is_recorded(studies, window, known) else window
    return Present(
        candidate=Candidate(settings, replayed),
        recorded=window,
        recorded_differ=() if own is not None else _recorded_differ(studies),
        origin=_origin(len(sources), sections, is_own) if file is None else f"as in {file.name}",
        has_history=any(one.history for one in ([own] if own is not None else sections)),
    )


def _section(source: str) -> Pruning:
    ledger, _ = open_study(source)
    try:
        row = ledger.read_study()
    finally:
        ledger.engine.dispose()
    assert row is not None, source
    section: Mapping[str, Any] = row.document.get(SECTION, {})
    known = {key: value for key, value in section.items() if key in Pruning.model_fields}
    known["mode"] = stored_mode(row.document)
    with readable(source):
        return Pruning.model_validate(known)


def _window(pruning: Pruning) -> WindowSetting:
    return WindowSetting(pruning.window, pruning.min_steps)


def _is_recorded(
    studies: Sequence[RecordedStudy], window: WindowSetting, known: WindowSetting | None
) -> bool:
    """Whether all were recorded with this window. `known`: that they were; None: told by where it
    closes, as far as their batches tell."""
    closes = [(study.recorded_window, window.close(study)) for study in studies]
    return all(
        recorded is not None and (window == known or math.isclose(recorded, close, rel_tol=0.05))
        for recorded, close in closes
    )


def _recorded_differ(studies: Sequence[RecordedStudy]) -> tuple[str, ...]:
    windows = [window_as_recorded([study]) for study in studies]
    values = {"window": {w.share for w in windows}, "min_steps": {w.min_steps for w in windows}}
    return tuple(key for key, own in values.items() if len(own) > 1)


def _origin(num_sources: int, sections: Sequence[Pruning], is_own: bool) -> str:
    if is_own:
        return "the study's own" if num_sources == 1 else "the studies' own"
    return "the defaults, as the sources differ in theirs" if sections else "the defaults"
