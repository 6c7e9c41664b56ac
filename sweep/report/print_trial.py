"""What one trial looks like on a terminal or in a pipe."""

from __future__ import annotations

from sweep.report import trial_text
from sweep.report.console import Console, heading, make_console, plain, print_lines, print_rows
from sweep.report.trial_types import TrialReport

_WIDEST_CURVE = 120  # columns


def print_trial(report: TrialReport, console: Console | None = None) -> None:
    """Print the whole report, section by section."""
    console = console or make_console()
    console.print(plain(trial_text.trial_headline(report), "bold"))
    print_rows(console, trial_text.trial_rows(report))
    console.print()
    for line in trial_text.trial_curves(report, min(console.width, _WIDEST_CURVE)):
        console.print(plain(line))
    heading(console, "Decisions")
    for decision in report.decisions:
        print_lines(trial_text.decision_lines(decision), console)
    heading(console, "Compute, by attempt")
    print_rows(console, trial_text.cost_rows(report.costs))
    if report.error is not None:
        heading(console, "Last failure")
        print_lines([f"{report.error.kind}: {report.error.message}"], console)
        if report.error.traceback:
            console.print(plain(report.error.traceback, "dim"))
    console.print(plain(f"\nlog: {report.log or 'none'}", "dim"))
