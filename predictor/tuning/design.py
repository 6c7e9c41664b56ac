"""The settings that a search tries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from predictor.recorded.runs import RecordedStudy
from predictor.replay.policies import WindowSetting
from predictor.replay.product import product
from predictor.replay.replay import Policy
from predictor.types import LOOKS, Settings

MAX_WINDOW = 0.25  # of the smallest horizon: what a study may have
RECORDED = WindowSetting(0.1, 8)  # what a recorded window stands for, where nothing else is known
KEPT = 1 / 3  # of the design: how often a key keeps its present value
LOG_SIZE = 5  # log2 of the number of points


class _Range(NamedTuple):
    low: float
    high: float
    scale: Literal["log", "linear", "whole"] = "log"

    def at(self, u: float) -> float:
        """A whole number, or two digits, as a person would write it. `u` in [0, 1)."""
        if self.scale == "whole":
            return int(self.low + (self.high + 1 - self.low) * u)
        if self.scale == "log":
            return _two_digits(self.low * (self.high / self.low) ** u)
        return _two_digits(self.low + (self.high - self.low) * u)


# An audit costs compute and earns nothing in a replay; it is what tells later that the stated
# risks hold. So the search may not do away with it.
_RANGES = {
    "window": _Range(0.025, MAX_WINDOW),
    "startup": _Range(2, 6, "whole"),
    "risk": _Range(0.02, 0.3),
    "min_gain": _Range(0.01, 0.2),
    "audit": _Range(0.05, 0.2),
    "prior_strength": _Range(0.0, 2.0, "linear"),
}
_CHOICES: dict[str, tuple[Any, ...]] = {
    "mode": ("scout", "stream"),
    "looks": (LOOKS, (0.05, *LOOKS), (0.2, 0.5), (0.3,), (0.1,)),  # at the window alone: the last
}
# What acts in one mode alone keeps its value in the other, where it makes no other setting.
_OF_MODE = {"scout": ("looks",), "stream": ("startup", "prior_strength")}
_SEARCHED = tuple(name for name in _RANGES if name != "window")  # of the predictor's settings
_MIN_STEPS = _Range(2, 16, "whole")
KEYS = (*_RANGES, "min_steps", *_CHOICES)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A setting that can be replayed."""

    settings: Settings
    window: WindowSetting  # share and min_steps are both given or both not

    @property
    def keys(self) -> dict[str, Any]:
        """The values by the study file's keys. A window of None is the recorded one, or 0.1."""
        keys: dict[str, Any] = {"window": self.window.share, "min_steps": self.window.min_steps}
        names = (*_SEARCHED, *_CHOICES, "enabled")
        return keys | {name: getattr(self.settings, name) for name in names}

    @property
    def policy(self) -> Policy:
        """Our policy under this setting, to be replayed."""
        return product(self.settings, self.window)


def window_as_recorded(studies: Sequence[RecordedStudy]) -> WindowSetting:
    """The window whose share and steps of the largest batch come nearest to the recorded ones;
    RECORDED where none is recorded."""
    known = [(s, s.recorded_window) for s in studies if s.recorded_window is not None]
    if not known:
        return RECORDED
    share = min(window / min(run.horizon for run in study.runs) for study, window in known)
    steps = [window // max(1.0, _largest_batch(s)) for s, window in known if s.knows_batches]
    min_steps = max(1, int(min(steps))) if steps else RECORDED.min_steps
    return WindowSetting(min(MAX_WINDOW, _two_digits(share)), min_steps)


def allowed(present: Candidate, risk: float | None) -> Candidate:
    """The present setting, its risk lowered to `risk` where that is less."""
    if risk is None or present.settings.risk <= risk:
        return present
    return replace(present, settings=replace(present.settings, risk=risk))


def design(
    base: Candidate,
    studies: Sequence[RecordedStudy],
    risk: float | None,
    seed: int,
    recorded: WindowSetting = RECORDED,
    fixed: Collection[str] = (),
) -> list[Candidate]:
    """`base` first, then a scrambled Sobol sequence around it, its pruning on, without repeats.

    Each key keeps its value in a third of the points: effects are few, and a setting that changes
    little is easier to believe. What acts in one mode alone is moved in that alone. `risk`: the
    highest that may be stated. `min_steps` is searched where positions are samples, and only as far
    as its window may reach. `recorded`: both given; the other key where only one of a recorded
    window is moved. `fixed`: of KEYS what is not searched.
    """
    from scipy.stats import qmc  # pyright: ignore[reportMissingTypeStubs]

    points = qmc.Sobol(len(KEYS), rng=seed).random_base2(LOG_SIZE)  # (num_points, num_keys)
    ranges = dict(_RANGES)
    if risk is not None:
        high = min(risk, ranges["risk"].high)
        ranges["risk"] = _Range(min(ranges["risk"].low, high), high)
    most_steps = _most_steps(studies)
    on = replace(base, settings=replace(base.settings, enabled=True))
    rows = [dict(zip(KEYS, row, strict=True)) for row in points]
    rows = [{key: u for key, u in row.items() if key not in fixed} for row in rows]
    found = [_at(on, row, ranges, most_steps, recorded) for row in rows]
    return list(dict.fromkeys((base, on, *found)))


def _at(
    base: Candidate,
    point: dict[str, Any],
    ranges: dict[str, _Range],
    most_steps: int | None,
    recorded: WindowSetting,
) -> Candidate:
    moved = {name: (u - KEPT) / (1 - KEPT) for name, u in point.items() if u >= KEPT}
    changed: dict[str, Any] = {
        name: ranges[name].at(moved[name]) for name in _SEARCHED if name in moved
    }
    changed |= {
        name: values[int(len(values) * moved[name])]
        for name, values in _CHOICES.items()
        if name in moved
    }
    settings = replace(base.settings, **_acting(changed, base.settings.mode))
    share, min_steps = base.window.share, base.window.min_steps
    if "window" in moved:
        share = ranges["window"].at(moved["window"])
    if "min_steps" in moved and most_steps is not None:
        steps = _MIN_STEPS._replace(high=min(_MIN_STEPS.high, most_steps))
        min_steps = int(steps.at(moved["min_steps"]))
    if (share, min_steps) == (base.window.share, base.window.min_steps):
        return replace(base, settings=settings)
    share = recorded.share if share is None else share
    min_steps = recorded.min_steps if min_steps is None else min_steps
    return Candidate(settings, WindowSetting(share, min_steps))


def _acting(changed: dict[str, Any], mode: str) -> dict[str, Any]:
    """Without the keys that act in the other mode alone."""
    other = "stream" if changed.get("mode", mode) == "scout" else "scout"
    return {name: value for name, value in changed.items() if name not in _OF_MODE[other]}


def _most_steps(studies: Sequence[RecordedStudy]) -> int | None:
    """Of the largest batch, that a window may take in every study; None where none is in samples,
    or there is nothing to choose."""
    most = [
        int(MAX_WINDOW * min(run.horizon for run in study.runs) / batch)
        for study in studies
        if study.knows_batches and (batch := _largest_batch(study)) > 0
    ]
    return min(most) if most and min(most) > _MIN_STEPS.low else None


def _largest_batch(study: RecordedStudy) -> float:
    """In samples: where the first step of a run ended."""
    return max((float(r.curve.position[0]) for r in study.runs if len(r.curve.position)), default=0)


def _two_digits(value: float) -> float:
    return float(np.format_float_positional(value, precision=2, fractional=False))
