"""What a study looks like on a terminal or in a pipe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from predictor.gap.bent import unbent
from sweep import formats as f
from sweep.account.compute import Usage
from sweep.formats import duration
from sweep.report import constraints_text, study_text
from sweep.report.compute_text import compute_rows, risk_lines, saved_lines
from sweep.report.console import (
    Console,
    heading,
    make_console,
    plain,
    print_columns,
    print_lines,
    print_rows,
)
from sweep.report.failures_text import failure_lines
from sweep.report.final_text import final_metrics, final_rows
from sweep.report.study_types import StudyReport
from sweep.report.text_table import Column, table_width
from sweep.report.trial_types import TrialSummary
from sweep.storage.states import State

MOST_ROWS = 10  # of a table of trials, where not all are asked for
_REASON = 50  # columns that a reason needs beside its trial's numbers
_SIGNALS = ("early loss", "grad norm", "noise- free", "early eval")


def print_study(
    report: StudyReport, console: Console | None = None, *, every_trial: bool = False
) -> None:
    """Print the whole report: the best, what was saved and what is doubtful first, then the tables.

    Of many completed or pruned trials MOST_ROWS stand in a table, unless `every_trial` is wanted.
    """
    console = console or make_console()
    names = study_text.varying(report)
    most = len(report.trials) if every_trial else MOST_ROWS
    console.print(plain(study_text.headline(report), "bold"))
    print_lines(failure_lines(report), console)
    print_lines([study_text.standing(report)], console)
    print_lines((f"note: {note}" for note in report.notes), console)
    heading(console, "Best")
    print_lines(study_text.best_lines(report), console)
    if saved := [*saved_lines(report), *risk_lines(report)]:
        heading(console, "Saved, and at what risk")
        print_lines(saved, console)
    _print_ended(report, names, console, most)
    if report.parked:
        _print_parked(report, names, console)
    _print_others(report, names, console)
    if confirmed := study_text.confirm_lines(report):
        heading(console, "Trained again with other seeds")
        print_lines(confirmed, console)
    if metrics := final_metrics(report):
        heading(console, "Of the best few alone, ± standard error")
        columns = [Column(name) for name in ("trial", *metrics)]
        print_columns(console, columns, final_rows(report, metrics))
    if report.constraints:
        _print_constraints(report, console)
    heading(console, "Compute")
    print_rows(console, compute_rows(report))
    what = "all of it is" if report.best else "logs and records are"
    console.print(plain(f"\n{what} in {report.out}", "dim"))


def _print_ended(report: StudyReport, names: Sequence[str], console: Console, most: int) -> None:
    """`most`: trials of a table."""
    completed, pruned = (
        [trial for trial in report.in_state(state) if not trial.is_replicate]
        for state in (State.COMPLETED, State.PRUNED)
    )
    tables = {"Completed, best first": completed}
    if report.constraints:
        tables = {
            "Feasible, best first": report.completed(feasible=True),
            "Infeasible, best first: each breaks a constraint": report.completed(feasible=False),
        }
    for number, (title, trials) in enumerate(tables.items()):
        if trials or number == 0:
            heading(console, title)
            _print_trials(report, trials[:most], names, console)
            _say_more(trials, most, console)
    if same := study_text.fixed_parameters(report):
        console.print(plain(f"the same in all trials: {same}", "dim"))
    if audited := [trial for trial in completed if trial.is_audited]:
        console.print(plain("* audited: to be pruned, but taken to the end to check the predictor"))
        _print_reasons(console, audited[:most])
    if pruned:
        heading(console, "Pruned")
        _print_trials(report, pruned[:most], names, console, with_reasons=True)
        _say_more(pruned, most, console)


def _say_more(trials: Sequence[TrialSummary], most: int, console: Console) -> None:
    if len(trials) > most:
        console.print(plain(f"and {len(trials) - most:,} more: --trials all", "dim"))


def _print_constraints(report: StudyReport, console: Console) -> None:
    """A table of the trade-off for each."""
    heading(console, "Constraints")
    for one in report.constraints:
        print_lines([constraints_text.constraint_line(report, one)], console)
        columns = [*map(Column, constraints_text.HEAD), Column("", False, True)]
        print_columns(console, columns, constraints_text.trade_off_rows(report, one))
    print_lines([constraints_text.TRADE_OFF], console)


def _print_parked(report: StudyReport, names: Sequence[str], console: Console) -> None:
    """A line for each; parameters in one column."""
    titles = ("trial", "reached", "early\neval", "P", "behind", "kept")
    columns = [*map(Column, titles), Column("configuration", False, True)]
    rows = [
        [
            str(one.number),
            f.MISSING if one.share is None else f"{one.share:.0%}",
            f.fixed(one.early_eval),
            f.chance(one.probability),
            f.MISSING if one.behind is None else f"{unbent(one.behind):.1f}",
            "no" if one.checkpoint_bytes is None else f.gigabytes(one.checkpoint_bytes / 1e9),
            f.parameters(report.trial(one.number).params, names),
        ]
        for one in report.parked
    ]
    heading(console, "Parked, the most promising first")
    print_columns(console, columns, rows)
    print_lines(study_text.parked_lines(report), console)


def _print_others(report: StudyReport, names: Sequence[str], console: Console) -> None:
    """Failures, of trials that went well at last too, and what runs or waits."""
    others = [t for t in report.trials if t.failures and t.state is not State.FAILED]
    if failed := [*report.in_state(State.FAILED), *others]:
        heading(console, "Failures")
        print_lines((study_text.failure(trial, names) for trial in failed), console)
    if going := [*report.in_state(State.RUNNING), *report.in_state(State.WAITING)]:
        heading(console, "Running and waiting")
        print_lines((_going(trial, names) for trial in going), console)


def _print_trials(
    report: StudyReport,
    trials: Sequence[TrialSummary],
    names: Sequence[str],
    console: Console,
    *,
    with_reasons: bool = False,
) -> None:
    """A line per trial below the base model's, in one unit of compute for all.

    Reasons stand beside the numbers where there is room, else below them; parameters have columns
    of their own where they fit, else one for all.
    """
    base = report.base
    size, unit = f.flop_unit(max(one.compute.flops for one in (base, *trials)))
    has_chance = any(trial.forecast for trial in report.trials)
    signals = [*_SIGNALS, *["P"] * has_chance]
    head = ["trial", *names, *signals, report.metric, unit, "time"]
    # a title on as many lines as it has words: the numbers set the width
    columns = [Column("\n".join(re.split("[ _]|(?<=:)", title))) for title in head]
    blank = [""] * (len(names) + len(signals))
    rows = [["base", *blank, *_end(base.objective, base.compute, size)]]
    rows += [_trial_row(trial, names, size, has_chance) for trial in trials]
    room = console.width - table_width(columns, rows)
    together = room < 0 and len(names) > 1
    beside = with_reasons and room >= _REASON
    if together:
        columns = [columns[0], *columns[1 + len(names) :], Column("configuration", False, True)]
        settings = ["", *(f.parameters(trial.params, names) for trial in trials)]
        rows = [
            [row[0], *row[1 + len(names) :], setting]
            for row, setting in zip(rows, settings, strict=True)
        ]
    if beside:
        columns += [Column("by", False), Column("because", False, True)]
        reasons = [["", ""], *(_reason(trial) for trial in trials)]
        rows = [[*row, *reason] for row, reason in zip(rows, reasons, strict=True)]
    best = report.best and report.best.original
    shown = next((at for at, trial in enumerate(trials, 1) if trial.number == best), None)
    print_columns(console, columns, rows, highlight=shown)
    if with_reasons and trials and not beside:
        _print_reasons(console, trials)


def _trial_row(
    trial: TrialSummary, names: Sequence[str], size: float, has_chance: bool
) -> list[str]:
    window, forecast = trial.window, trial.forecast
    return [
        f"{trial.number}" + "*" * trial.is_audited,
        *(f.parameter(trial.params.get(name)) for name in names),
        f.fixed(window and window.loss),
        f.number(window and window.grad_norm),
        f.number(window and window.grad_norm_noise_free),
        f.fixed(window and window.early_eval),
        *[f.chance(forecast and forecast.probability)] * has_chance,
        *_end(trial.objective, trial.compute, size),
    ]


def _end(objective: float | None, compute: Usage, size: float) -> list[str]:
    """The columns that trials share with the base model; compute in units of `size` FLOPs."""
    return [f.fixed(objective, 4), f.number(compute.flops / size), _time(compute.seconds)]


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else duration(seconds)


def _print_reasons(console: Console, trials: Iterable[TrialSummary]) -> None:
    columns = [Column(""), Column("", False), Column("", False, True)]
    print_columns(console, columns, [[str(trial.number), *_reason(trial)] for trial in trials])


def _reason(trial: TrialSummary) -> list[str]:
    """What a trial was pruned by, and why."""
    if trial.verdict is None:
        return [f.MISSING, "reason not recorded"]
    return [trial.verdict.kind, trial.verdict.reason]


def _going(trial: TrialSummary, names: Sequence[str]) -> str:
    verdict = trial.verdict
    said = f"; {verdict.action}: {verdict.reason}" if verdict else ""
    return f"{study_text.settings(trial, names)}: {trial.state}{said}"
