"""Windows and verdicts as JSON in a trial's user attributes, and the trial read back from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from predictor.judge import GAP_VERSION
from predictor.types import CohortTrial, Settings, Verdict, WindowSignals

WINDOW = "early_dynamics:window"
VERDICT = "early_dynamics:verdict"
GUARD = "early_dynamics:guard"
SHARE = "early_dynamics:share"  # of the training, where the window ends


def window_json(window: WindowSignals) -> dict[str, Any]:
    """The window as JSON values, numbers that are not finite as words, which every storage keeps:
    "nan", "inf". A trainer's log has the objective alone of what was evaluated."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(window).items()
        if name not in ("early_others", "early_eval_stderr")
    }


def window_from(stored: Mapping[str, Any]) -> WindowSignals:
    """The inverse of `window_json`."""
    values: dict[str, Any] = {
        name: float(value) if isinstance(value, str) else value for name, value in stored.items()
    }
    return WindowSignals(**values)


def verdict_json(verdict: Verdict, settings: Settings) -> dict[str, Any]:
    """The verdict as JSON values, with the settings and the version of the predictor that made
    it."""
    return {**asdict(verdict), "predictor": GAP_VERSION, "settings": settings.to_json()}


def cohort_trial(
    number: int, config: Mapping[str, Any], attributes: Mapping[str, Any], objective: float | None
) -> CohortTrial:
    """The trial as the predictor sees it. `objective` is minimized, lower being better, and None of
    a trial that is not complete."""
    verdict = attributes.get(VERDICT, {})
    return CohortTrial(
        number,
        config,
        window_from(attributes[WINDOW]) if WINDOW in attributes else None,
        objective,
        expected_miss=verdict["probability"] if verdict.get("action") == "prune" else 0.0,
    )
