"""A comparison on the terminal."""

from __future__ import annotations

import re

from sweep import formats as f
from sweep.analysis.compare.report import ComparedStudy, CompareReport, SignalTransfer
from sweep.analysis.evidence.sentences import NOUNS
from sweep.report.console import (
    Console,
    heading,
    make_console,
    print_columns,
    print_lines,
    print_rows,
)
from sweep.report.text_table import Column

_DIGEST = re.compile("[0-9a-f]{32,}")


def print_compared(report: CompareReport, console: Console | None = None) -> None:
    """Print the answer, a row a study, in what they differ, and the signals."""
    console = console or make_console()
    print_lines([report.answer], console)
    heading(console, "Best of each")
    columns = [Column("study", False), Column("metric", False)]
    columns += map(Column, ("base", "best", "gain", "95 %\ninterval", "trials", "used", "saved"))
    place = [one.label for one in report.studies].index(report.ahead) if report.ahead else None
    rows = [_row(one) for one in report.studies]
    print_columns(console, columns, rows, highlight=place)
    print_rows(console, [(one.label, _configuration(one)) for one in report.studies])
    if report.differences:
        heading(console, "In what the questions differ")
        labels = [one.label for one in report.studies]
        print_columns(
            console,
            [Column("", False), *(Column(label, False, True) for label in labels)],
            [
                [one.key, *(_value(one.values[label]) for label in labels)]
                for one in report.differences
            ],
        )
    heading(console, "Early signals: rank correlation with the end, as maximized")
    titles = [Column("", False), Column("", False), *map(Column, ("rho", "95 %", "runs"))]
    print_columns(console, titles, [row for one in report.signals for row in _signal_rows(one)])
    console.print()
    print_lines([one.verdict for one in report.signals], console)


def _value(value: object) -> str:
    """As in a study file; of a digest its beginning."""
    if value is None:
        return f.MISSING
    shown = f.exact(value)
    return shown[:12] if _DIGEST.fullmatch(shown) else shown


def _row(one: ComparedStudy) -> list[str]:
    gain = one.gain
    interval = f.MISSING
    if gain is not None and gain.low is not None:
        interval = f"{f.signed(gain.low)} to {f.signed(gain.high)}"
        interval += "" if gain.paired else ", not paired"
    return [
        one.label,
        one.metric,
        f.fixed(one.base, 4),
        f.fixed(one.best and one.best.mean, 4),
        f.signed(gain and gain.value),
        interval,
        f"{one.num_completed} of {one.num_trials}",
        f.flops(one.used_flops),
        f.MISSING if one.saved_share is None else f"{one.saved_share:.0%}",
    ]


def _configuration(one: ComparedStudy) -> str:
    if one.best is None:
        return f"{one.base_model}: no best yet"
    return f"{one.base_model}, trial {one.best.original}: {f.parameters(one.best.params)}"


def _signal_rows(signal: SignalTransfer) -> list[list[str]]:
    rows = [
        [label, f.signed(one.rho, 2), _interval(one.low, one.high), str(one.num_runs)]
        for label, one in signal.studies.items()
        if one is not None
    ]
    if signal.pooled is not None:
        interval = _interval(signal.pooled_low, signal.pooled_high)
        rows.append(["pooled", f.signed(signal.pooled, 2), interval, ""])
    return [[NOUNS[signal.signal] if i == 0 else "", *row] for i, row in enumerate(rows)]


def _interval(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f.MISSING
    return f"{f.signed(low, 2)} to {f.signed(high, 2)}"
