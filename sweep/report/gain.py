"""By how much the best is better than the base model, with an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweep.account.constraints import Z95
from sweep.report.study_types import StudyReport


@dataclass(frozen=True, slots=True)
class Gain:
    """The best's objective less the base model's, as measured: where lower is better, it is below 0
    where the best is better."""

    value: float
    """the difference; of a confirmed best that of the mean of its new seeds"""
    low: float | None
    """lower end of the 95 % interval, over rows or questions, of the run whose weights count; null
    where no standard error is known"""
    high: float | None
    """upper end"""
    paired: bool
    """whether the interval is paired over the same rows or questions; else it is of two samples,
    which is too wide where both answer the same questions"""

    @property
    def is_within_noise(self) -> bool:
        """Whether an interval is known and has 0 inside, so that either may be the better one."""
        return self.low is not None and self.high is not None and self.low <= 0 <= self.high


def gain(report: StudyReport) -> Gain | None:
    """The gain of the best; None without a best, and where the base model was not measured."""
    best, base = report.best, report.base.objective
    if best is None or base is None:
        return None
    value = best.mean - base
    own = report.trial(best.number).measurements.get(report.metric)
    before = report.base.measurements.get(report.metric)
    if own is None or before is None:
        return Gain(value, None, None, paired=False)
    if own.over_base is not None and own.over_base_stderr is not None:
        change, error, paired = own.over_base, own.over_base_stderr, True
    elif own.value is None or before.value is None or own.stderr is None or before.stderr is None:
        return Gain(value, None, None, paired=False)
    else:
        change, error = own.value - before.value, math.hypot(own.stderr, before.stderr)
        paired = False
    return Gain(value, change - Z95 * error, change + Z95 * error, paired)
