"""What a study looks like on a terminal or in a pipe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweep import formats as f
from sweep.formats import duration
from sweep.report import recipes_text, study_text, trial_text
from sweep.report.console import Console, heading, make_console, plain, print_columns, print_lines
from sweep.report.failures_text import failure_lines
from sweep.report.text_table import Column, table_width
from sweep.storage.paths import StudyPaths

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
    console.print(plain(study_text.headline(document), "bold"))
    print_lines(failure_lines(document), console)
    console.print(plain(study_text.standing(document)))
    if same := study_text.fixed_parameters(document):
        console.print(plain(f"the same in all trials: {same}", "dim"))
    print_lines((f"note: {note}" for note in document["notes"]), console)

    completed, pruned = (
        [trial for trial in f.in_order(document, state) if trial["confirms"] is None]
        for state in ("completed", "pruned")
    )
    heading(console, "Completed, best first")
    _print_trials(document, completed, names, console)
    if audited := [trial for trial in completed if f.is_audited(trial)]:
        console.print(plain("* audited: to be pruned, but taken to the end to check the predictor"))
        _print_reasons(console, audited)
    if pruned:
        heading(console, "Pruned")
        _print_trials(document, pruned, names, console, with_reasons=True)

    failed = f.in_order(document, "failed")
    if failed := failed + [t for t in document["trials"] if t["failures"] and t not in failed]:
        heading(console, "Failures")
        print_lines((study_text.failure(trial, names) for trial in failed), console)
    going = f.in_order(document, "running") + f.in_order(document, "waiting")
    if going:
        heading(console, "Running and waiting")
        print_lines((_going(trial, names) for trial in going), console)
    if confirmed := study_text.confirm_lines(document):
        heading(console, "Trained again with other seeds")
        print_lines(confirmed, console)
    heading(console, "Best")
    print_lines(study_text.best_lines(document), console)
    heading(console, "Compute")
    _print_rows(console, study_text.compute_rows(document))
    if risk := study_text.risk_lines(document):
        heading(console, "Risk")
        print_lines(risk, console)
    what = "all of it is" if document["best"] else "logs and records are"
    console.print(plain(f"\n{what} in {paths.out}", "dim"))


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
    print_columns(console, columns, rows, highlight=shown)
    if with_reasons and trials and not beside:
        _print_reasons(console, trials)


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
    print_columns(console, columns, [[str(trial["number"]), *_reason(trial)] for trial in trials])


def _reason(trial: Mapping[str, Any]) -> list[str]:
    verdict = trial["verdict"] or {"kind": f.MISSING, "reason": "reason not recorded"}
    return [verdict["kind"], verdict["reason"]]


def _print_rows(console: Console, rows: Sequence[Sequence[str]]) -> None:
    """What and its value; or what, how much and remarks."""
    amount = [Column("")] if rows and len(rows[0]) == 3 else []
    print_columns(console, [Column("", False), *amount, Column("", False, True)], rows)


def _going(trial: Mapping[str, Any], names: list[str]) -> str:
    verdict = trial["verdict"]
    said = f"; {verdict['action']}: {verdict['reason']}" if verdict else ""
    return f"{study_text.settings(trial, names)}: {trial['state']}{said}"


# --- one trial


def print_trial(document: Mapping[str, Any], console: Console | None = None) -> None:
    """`document` as `trial_document` gives it."""
    console = console or make_console()
    console.print(plain(trial_text.trial_headline(document), "bold"))
    _print_rows(console, trial_text.trial_rows(document))
    console.print()
    for line in trial_text.trial_curves(document, min(console.width, 120)):
        console.print(plain(line))
    heading(console, "Decisions")
    for decision in document["decisions"]:
        print_lines(trial_text.decision_lines(decision), console)
    heading(console, "Compute, by attempt")
    _print_rows(console, trial_text.cost_rows(document["costs"]))
    if error := document["error"]:
        heading(console, "Last failure")
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
    print_columns(console, columns, recipes_text.source_rows(recipes))
    if document["study"] is None:
        return
    heading(console, f"What {document['study']} would make of them")
    columns = [key, *names, Column("in the\nstudy", False), Column("because", False, True)]
    print_columns(console, columns, recipes_text.taken_rows(recipes))
    print_lines(recipes_text.outcome_lines(recipes), console)
