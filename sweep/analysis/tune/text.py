"""What the search found, on a terminal: the verdict first, then what it rests on."""

from __future__ import annotations

from sweep.analysis.tune.losses import print_losses
from sweep.analysis.tune.report import TuneReport, Written
from sweep.analysis.tune.tables import print_frontier, print_measured, print_settings
from sweep.analysis.tune.verdict import has_intervals
from sweep.config.errors import show
from sweep.formats import counted
from sweep.report.console import Console, make_console, plain, print_wrapped

_LEGEND = (
    "compute: share of training everything to its end, audits counted; a point is 1 % of that. "
    "regret: the best run kept less the best of all, as a share of median - best. lost best: "
    "replays with a regret above 0.05. misses: pruned runs a replay that would have beaten the "
    "best of that moment, and how many were stated (of the frontier: held out). risk: what the "
    "setting may state of a run that it prunes. optimism: in-sample less held-out."
)


def print_tuning(report: TuneReport, console: Console | None = None) -> None:
    """Print the report, on standard output if no `console` is given."""
    console = console or make_console()
    console.print(plain(_headline(report), "bold"))
    print_wrapped(console, report.verdict)
    print_settings(console, report)
    print_measured(console, report)
    print_frontier(console, report)
    print_losses(console, report)
    console.print()
    print_wrapped(console, [_LEGEND, _held_out(report), *report.limits], "dim")


def print_changes(written: Written, is_better: bool, console: Console | None = None) -> None:
    """Print what was put into the study file, or why nothing was."""
    console = console or make_console()
    console.print()
    if not written.changes:
        why = "it has these settings" if is_better else "the present settings stay"
        console.print(plain(f"{written.file} was left as it is: {why}"))
        return
    console.print(plain(f"{written.file}:"))
    for change in written.changes:
        was = show(change.was) + (" (default)" if change.is_new else "")
        console.print(plain(f"  {change.key}: {was} -> {show(change.now)}"))


def _headline(report: TuneReport) -> str:
    groups, runs = counted(report.num_groups, "group"), counted(report.num_runs, "run")
    if report.folds_over == "seeds":
        groups += f" of {report.num_folds} seeds"
    orders = counted(report.num_orders, "order")
    settings = counted(report.num_candidates, "setting")
    replays = counted(report.num_replays, "replay")
    return f"{groups}, {runs}, {orders}: {settings} in {replays}"


def _held_out(report: TuneReport) -> str:
    over, resampled = report.folds_over, str(report.intervals_over)
    if resampled == "orders":
        resampled = f"orders of the {'seeds' if over == 'seeds' else 'groups'}"
    units = f"{report.num_resampled} {resampled}"
    intervals = (
        f"bootstrap over {units}, none where all of them are equal"
        if has_intervals(report)
        else f"none of so few ({units})"
    )
    return (
        f"Held out: {report.num_folds} folds over {over}; each is measured under the setting "
        f"chosen without it. Intervals: {intervals}. The settings that are named, and the runs "
        "that the recommended one loses, come from everything."
    )
