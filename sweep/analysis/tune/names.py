"""How settings and lines of the frontier are named."""

from __future__ import annotations

from typing import NamedTuple

from sweep.analysis.tune.report import FrontierLine, Setting, Settings, TuneReport
from sweep.config.errors import show

UNMET = "*"  # after a limit
_AS_RECORDED = " (as recorded)"


class NamedLine(NamedTuple):
    """A line of the frontier and what it is called."""

    label: str  # the limit, with UNMET where no setting meets it
    line: FrontierLine


def named_lines(report: TuneReport) -> list[NamedLine]:
    """The lines of the frontier; of those that are equal one, under the tightest limit it meets."""
    found: list[NamedLine] = []
    for line in report.frontier:
        is_met = line.in_sample.regret.mean <= line.limit
        label = f"{line.limit:g}{'' if is_met else UNMET}"
        if not found or not _is_same(found[-1].line, line):
            found.append(NamedLine(label, line))
        elif found[-1].label.endswith(UNMET):
            found[-1] = NamedLine(label, line)
    return found


def label_at(report: TuneReport, limit: float) -> str:
    """What the line of that limit is called."""
    at = next(line for line in report.frontier if line.limit == limit)
    return next(one.label for one in named_lines(report) if _is_same(one.line, at))


def changed_keys(report: TuneReport, settings: Settings) -> str:
    """The keys in which the settings differ from the base: `risk 0.1 to 0.2, startup 3 to 2`. Empty
    where none does."""
    base = report.base
    return ", ".join(
        f"{key} {setting(report, base, key).removesuffix(_AS_RECORDED)} to {show(settings[key])}"
        for key in settings
        if settings[key] not in (base[key], _known(report, base, key))
    )


def setting(report: TuneReport, settings: Settings, key: str) -> str:
    """The value, and of a recorded window that it is one: `0.12 (as recorded)`."""
    if settings[key] is not None:
        return show(settings[key])
    known = _known(report, settings, key)
    return _AS_RECORDED.strip(" ()") if known is None else show(known) + _AS_RECORDED


def _known(report: TuneReport, settings: Settings, key: str) -> Setting:
    """The value, also of a recorded window; None where the sources differ in theirs."""
    if settings[key] is not None:
        return settings[key]
    recorded = report.recorded_window
    stands_for = {"window": recorded.share, "min_steps": recorded.min_steps}
    return None if key in report.recorded_differ else stands_for[key]


def _is_same(line: FrontierLine, other: FrontierLine) -> bool:
    return (line.candidate, line.held_out) == (other.candidate, other.held_out)
