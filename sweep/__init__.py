"""Sweep SFT configurations of a small language model, and stop early what will not win.

    import sweep

    study = sweep.run("quickstart", trials=6)
    study.trials
    study.best

Every name but UserError is imported when it is first asked for, so that `sweep --help` answers at
once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from trainer.contract.spec import UserError

if TYPE_CHECKING:
    from sweep.account.outcome import JudgeGone, MeasuringFailed, PreparationFailed
    from sweep.analysis.compare.compare import compare
    from sweep.analysis.evidence.evidence import evidence
    from sweep.analysis.replay.replay import replay
    from sweep.analysis.tune.tune import tune
    from sweep.api import Study, load, run

UserError.__module__ = __name__  # tracebacks and pickles name it as it is caught

__all__ = [
    "JudgeGone",
    "MeasuringFailed",
    "PreparationFailed",
    "Study",
    "UserError",
    "compare",
    "evidence",
    "load",
    "replay",
    "run",
    "tune",
]

_HOMES = {
    "JudgeGone": "sweep.account.outcome",
    "MeasuringFailed": "sweep.account.outcome",
    "PreparationFailed": "sweep.account.outcome",
    "Study": "sweep.api",
    "compare": "sweep.analysis.compare.compare",
    "evidence": "sweep.analysis.evidence.evidence",
    "load": "sweep.api",
    "replay": "sweep.analysis.replay.replay",
    "run": "sweep.api",
    "tune": "sweep.analysis.tune.tune",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
