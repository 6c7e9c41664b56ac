"""The table of policies, with as many of its columns as fit the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from sweep import formats as f
from sweep.analysis.replay.report import PolicyResult
from sweep.analysis.replay.verdict import Interval, compute_interval, regret_interval
from sweep.report.console import Console, plain
from sweep.report.text_table import Column, table_lines, table_width

INTERVALS = ("compute 95 %", "regret 95 %")
# left out in this order where the terminal is narrow; compute and regret never are
_LEAST_NEEDED = ("wall", "config regret", "p90", "lost best", *INTERVALS)
_ROOM_FOR_SETTINGS = 40  # columns of the terminal


def best_first(policies: Sequence[PolicyResult]) -> list[PolicyResult]:
    """The policies in the order of a table: ours, and ours without audits; then the others, of the
    least regret first."""
    others = sorted(policies[2:], key=lambda policy: (policy.regret_mean, policy.compute))
    return [*policies[:2], *others]


def print_policies(console: Console, policies: Sequence[PolicyResult]) -> list[str]:
    """Print the table, best first; the names of the columns that fitted."""
    ordered = best_first(policies)
    names, columns, rows = _fitted(ordered, console.width)
    if table_width(columns, rows) + _ROOM_FOR_SETTINGS <= console.width:
        columns.append(Column("settings", right=False, wraps=True))
        rows = [[*cells, _settings(one)] for cells, one in zip(rows, ordered, strict=True)]
    console.print()
    for index, line in table_lines(columns, rows, console.width):
        style = "dim" if index is None else "bold" if index == 0 else ""
        console.print(plain(line, style), soft_wrap=True)
    return names


def columns_with_values(policies: Sequence[PolicyResult]) -> list[str]:
    """The names of the columns in which some policy has a value."""
    cells = [_cells(policy) for policy in policies]
    return [name for name in cells[0] if any(one[name] != f.MISSING for one in cells)]


def _fitted(
    policies: Sequence[PolicyResult], width: int
) -> tuple[list[str], list[Column], list[list[str]]]:
    """Intervals are written shorter before any column is left out."""
    known = columns_with_values(policies)
    names, (columns, rows) = known, _table(policies, known)
    for left_out in range(len(_LEAST_NEEDED) + 1):
        if table_width(columns, rows) <= width:
            break
        names = [name for name in known if name not in _LEAST_NEEDED[:left_out]]
        columns, rows = _table(policies, names, short=True)
    return names, columns, rows


def _table(
    policies: Sequence[PolicyResult], names: Sequence[str], *, short: bool = False
) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("policy", right=False), *(Column(_title(name, short)) for name in names)]
    cells = [_cells(policy, short) for policy in policies]
    rows = [
        [policy.name, *(own[name] for name in names)]
        for policy, own in zip(policies, cells, strict=True)
    ]
    return columns, rows


def _title(name: str, short: bool) -> str:
    if name in INTERVALS:
        return "95 %\nlow high" if short else "95 %"
    return name.replace(" ", "\n")


def _cells(policy: PolicyResult, short: bool = False) -> dict[str, str]:
    """By column."""
    return {
        "compute": f"{policy.compute:.3f}",
        "compute 95 %": _interval(compute_interval(policy), short),
        "regret": f"{policy.regret_mean:.3f}",
        "regret 95 %": _interval(regret_interval(policy), short),
        "p90": f"{policy.regret_p90:.3f}",
        "lost best": f"{policy.lost_best:.0%}",
        "config regret": f.fixed(policy.config_regret),
        "wall": f"{policy.wall:.1f}",
    }


def _interval(ends: Interval | None, short: bool) -> str:
    """`0.583 to 0.781`, or `.583 .781`."""
    if ends is None:
        return f.MISSING
    low, high = (f"{end:.3f}" for end in ends)
    return f"{_bare(low)} {_bare(high)}" if short else f"{low} to {high}"


def _bare(number: str) -> str:
    return number.replace("0.", ".", 1) if number.startswith(("0.", "-0.")) else number


def _settings(policy: PolicyResult) -> str:
    return ", ".join(f"{name} {value}" for name, value in policy.settings.items())
