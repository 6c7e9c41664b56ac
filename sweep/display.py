"""What a study looks like on a terminal or in a pipe."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Any, Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from sweep import formats as f
from sweep import recipe_table, summary, trial_summary
from sweep.failures import failure_lines
from sweep.formats import duration
from sweep.paths import StudyPaths
from sweep.printing import make_console, plain, print_lines
from sweep.progress import RunningTrial, Status, counts
from sweep.text_table import Column, table_lines, table_width
from trainer.safe_text import safe

_REFRESH_S = 0.25
_BEST = Style(bold=True, color="green")
_REASON = 50  # columns that a reason needs beside its trial's numbers
_SIGNALS = (
    ("loss", "early loss", f.fixed),
    ("grad_norm", "grad norm", f.number),
    ("grad_norm_noise_free", "noise- free", f.number),
    ("early_eval", "early eval", f.fixed),
)


# --- a study


def print_study(
    document: Mapping[str, Any], paths: StudyPaths, console: Console | None = None
) -> None:
    """`document` as `study_document` gives it."""
    console = console or make_console()
    names = f.varying(document)
    console.print(plain(summary.headline(document), "bold"))
    print_lines(failure_lines(document), console)
    console.print(plain(summary.standing(document)))
    if same := summary.fixed_parameters(document):
        console.print(plain(f"the same in all trials: {same}", "dim"))
    print_lines((f"note: {note}" for note in document["notes"]), console)

    completed, pruned = (
        [trial for trial in f.in_order(document, state) if trial["confirms"] is None]
        for state in ("completed", "pruned")
    )
    _heading(console, "Completed, best first")
    _print_trials(document, completed, names, console)
    if audited := [trial for trial in completed if f.is_audited(trial)]:
        console.print(plain("* audited: to be pruned, but taken to the end to check the predictor"))
        _print_reasons(console, audited)
    if pruned:
        _heading(console, "Pruned")
        _print_trials(document, pruned, names, console, with_reasons=True)

    failed = f.in_order(document, "failed")
    if failed := failed + [t for t in document["trials"] if t["failures"] and t not in failed]:
        _heading(console, "Failures")
        print_lines((summary.failure(trial, names) for trial in failed), console)
    going = f.in_order(document, "running") + f.in_order(document, "waiting")
    if going:
        _heading(console, "Running and waiting")
        print_lines((_going(trial, names) for trial in going), console)
    if confirmed := summary.confirm_lines(document):
        _heading(console, "Trained again with other seeds")
        print_lines(confirmed, console)
    _heading(console, "Best")
    print_lines(summary.best_lines(document), console)
    _heading(console, "Compute")
    _print_rows(console, summary.compute_rows(document))
    if risk := summary.risk_lines(document):
        _heading(console, "Risk")
        print_lines(risk, console)
    what = "all of it is" if document["best"] else "logs and records are"
    console.print(plain(f"\n{what} in {paths.out}", "dim"))


def _heading(console: Console, text: str) -> None:
    console.print(plain(f"\n{text}", "bold"))


def _print_trials(
    document: Mapping[str, Any],
    trials: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    console: Console,
    *,
    with_reasons: bool = False,
) -> None:
    """A line per trial below the base model's, in one unit of compute for all.

    Reasons stand beside the numbers where there is room, else below them; parameters have columns
    of their own where they fit, else one for all.
    """
    base = document["base"]
    best = f.best_original(document)
    size, unit = f.flop_unit(max(one["compute"]["flops"] for one in (base, *trials)))
    has_chance = any(one["forecast"] for one in document["trials"])
    signals = [*(title for _, title, _ in _SIGNALS), *["P"] * has_chance]
    head = ["trial", *names, *signals, document["metric"], unit, "time"]
    # a title on as many lines as it has words: the numbers set the width
    columns = [Column("\n".join(re.split("[ _]", title))) for title in head]
    rows = [["base", *[""] * (len(names) + len(signals)), *_end(base, size)]]
    rows += [_trial_row(trial, names, size, has_chance) for trial in trials]
    room = console.width - table_width(columns, rows)
    together = room < 0 and len(names) > 1
    beside = with_reasons and room >= _REASON
    if together:
        columns = [columns[0], *columns[1 + len(names) :], Column("configuration", False, True)]
        settings = ["", *(f.parameters(trial["params"], names) for trial in trials)]
        rows = [
            [row[0], *row[1 + len(names) :], setting]
            for row, setting in zip(rows, settings, strict=True)
        ]
    if beside:
        columns += [Column("by", False), Column("because", False, True)]
        reasons = [["", ""], *(_reason(trial) for trial in trials)]
        rows = [[*row, *reason] for row, reason in zip(rows, reasons, strict=True)]
    shown = next((at for at, one in enumerate(trials, 1) if one["number"] == best), None)
    _print_table(console, columns, rows, highlight=shown)
    if with_reasons and trials and not beside:
        _print_reasons(console, trials)


def _print_table(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    highlight: int | None = None,
) -> None:
    clean = [[_measured(cell) for cell in row] for row in rows]
    lines = table_lines(columns, clean, console.width)
    console.print(
        _Lines([(index is not None and index == highlight, line) for index, line in lines]),
        soft_wrap=True,
    )


def _measured(cell: str) -> str:
    """As it will be shown. In a short one only the console hides what is secret: it has no lines to
    come apart into, and a table of ten thousand rows is mostly of these."""
    return cell if len(cell) < 32 and cell.isascii() and cell.isprintable() else safe(cell)


class _Lines:
    """Lines as they are. Rich's own texts take ten times as long."""

    def __init__(self, lines: Sequence[tuple[bool, str]]) -> None:
        self.lines = lines or [(False, "")]  # is highlighted, line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for is_highlighted, group in groupby(self.lines, key=itemgetter(0)):
            yield Segment("\n".join(line for _, line in group), _BEST if is_highlighted else None)
            yield Segment("\n")


def _trial_row(
    trial: Mapping[str, Any], names: Sequence[str], size: float, has_chance: bool
) -> list[str]:
    window: Mapping[str, Any] = trial["window"] or {}
    forecast: Mapping[str, Any] = trial["forecast"] or {}
    return [
        f"{trial['number']}" + ("*" if f.is_audited(trial) else ""),
        *(f.parameter(trial["params"].get(name)) for name in names),
        *(show(window.get(key)) for key, _, show in _SIGNALS),
        *[f.chance(forecast.get("probability"))] * has_chance,
        *_end(trial, size),
    ]


def _end(one: Mapping[str, Any], size: float) -> list[str]:
    """The columns that trials share with the base model."""
    compute = one["compute"]
    flops = f.number(compute["flops"] / size)
    return [f.fixed(one["objective"], 4), flops, _time(compute["seconds"])]


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else duration(seconds)


def _print_reasons(console: Console, trials: Iterable[Mapping[str, Any]]) -> None:
    columns = [Column(""), Column("", False), Column("", False, True)]
    _print_table(console, columns, [[str(trial["number"]), *_reason(trial)] for trial in trials])


def _reason(trial: Mapping[str, Any]) -> list[str]:
    verdict = trial["verdict"] or {"kind": f.MISSING, "reason": "reason not recorded"}
    return [verdict["kind"], verdict["reason"]]


def _print_rows(console: Console, rows: Sequence[Sequence[str]]) -> None:
    """What and its value; or what, how much and remarks."""
    amount = [Column("")] if rows and len(rows[0]) == 3 else []
    _print_table(console, [Column("", False), *amount, Column("", False, True)], rows)


def _going(trial: Mapping[str, Any], names: list[str]) -> str:
    verdict = trial["verdict"]
    said = f"; {verdict['action']}: {verdict['reason']}" if verdict else ""
    return f"{summary.settings(trial, names)}: {trial['state']}{said}"


# --- one trial


def print_trial(document: Mapping[str, Any], console: Console | None = None) -> None:
    """`document` as `trial_document` gives it."""
    console = console or make_console()
    console.print(plain(trial_summary.trial_headline(document), "bold"))
    _print_rows(console, trial_summary.trial_rows(document))
    console.print()
    for line in trial_summary.trial_curves(document, min(console.width, 120)):
        console.print(plain(line))
    _heading(console, "Decisions")
    for decision in document["decisions"]:
        print_lines(trial_summary.decision_lines(decision), console)
    _heading(console, "Compute, by attempt")
    _print_rows(console, trial_summary.cost_rows(document["costs"]))
    if error := document["error"]:
        _heading(console, "Last failure")
        print_lines([f"{error['kind']}: {error['message']}"], console)
        if error.get("traceback"):
            console.print(plain(error["traceback"], "dim"))
    console.print(plain(f"\nlog: {document['log'] or 'none'}", "dim"))


# --- recipes


def print_recipes(document: Mapping[str, Any], console: Console | None = None) -> None:
    """`document` as `recipes_document` gives it."""
    console = console or make_console()
    recipes: list[dict[str, Any]] = document["recipes"]
    key, names = Column("", False), [Column(one["name"]) for one in recipes]
    console.print(plain("Recipes", "bold"))
    print_lines([document["about"]], console)
    columns = [key, *names, Column("source", False, True)]
    _print_table(console, columns, recipe_table.source_rows(recipes))
    if document["study"] is None:
        return
    _heading(console, f"What {document['study']} would make of them")
    columns = [key, *names, Column("in the\nstudy", False), Column("because", False, True)]
    _print_table(console, columns, recipe_table.taken_rows(recipes))
    print_lines(recipe_table.outcome_lines(recipes), console)


# --- a study that runs


class LiveView:
    """A `sweep.progress.View` for terminals; drawn anew a few times a second, whatever happens."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or make_console()
        self._status: Status | None = None
        self._shown_s = -math.inf
        self._live = Live(self, console=self._console, refresh_per_second=1 / _REFRESH_S)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        self._console.print(plain(line))

    def is_due(self) -> bool:
        return time.monotonic() - self._shown_s >= _REFRESH_S

    def show(self, status: Status) -> None:
        self._status, self._shown_s = status, time.monotonic()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._status is not None:
            yield _status(self._status, options.max_width)


def _status(status: Status, width: int) -> Group:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for trial in status.running:
        table.add_row(*_running(trial, max(8, width // 6)))
    lines = [plain(counts(status))]
    if status.best:
        lines.append(plain(f"best so far: {status.best}", "green"))
    return Group(plain(status.study, "bold"), table, *lines)


def _running(trial: RunningTrial, bar_width: int) -> list[Text | ProgressBar]:
    said = [] if trial.loss is None else [f"loss {f.fixed(trial.loss)}"]
    said += [] if trial.grad_norm is None else [f"norm {f.number(trial.grad_norm)}"]
    said.append(trial.doing if trial.doing != "training" else trial.verdict)
    return [
        plain(summary.short_settings(trial.number, trial.params)),
        ProgressBar(total=max(trial.num_steps, 1), completed=trial.step, width=bar_width),
        plain(f"{trial.step}/{trial.num_steps}"),
        plain(", ".join(filter(None, said))),
    ]
