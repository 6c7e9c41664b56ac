"""At which looks the runs of a recorded study can be replayed: those where they were evaluated."""

from __future__ import annotations

from predictor.recorded.runs import RecordedStudy
from predictor.replay.policies import WindowSetting
from predictor.replay.scouting import APART
from predictor.replay.sessions import Rows, Same, rows_of


def closes_of(
    study: RecordedStudy, window: WindowSetting, looks: tuple[float, ...]
) -> tuple[float, ...]:
    """The positions of the looks, ascending: the window's, and of `looks`, shares of the smallest
    horizon, those well after it where half of the runs that came so far were evaluated.

    All of them where the window has no evaluation either.
    """
    first, horizon = window.close(study), min(run.horizon for run in study.runs)
    later = tuple(share * horizon for share in looks if share * horizon > APART * first)
    rows = rows_of(Same(study), (first, *later))
    if not _is_evaluated(rows, 0):
        return (first, *later)
    return (first, *(close for at, close in enumerate(later, 1) if _is_evaluated(rows, at)))


def _is_evaluated(rows: Rows, look: int) -> bool:
    seen = [windows[look] for _, windows in rows if windows[look] is not None]
    return 2 * sum(window is not None and window.early_eval is not None for window in seen) >= max(
        1, len(seen)
    )
