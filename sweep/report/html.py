"""A study's report as HTML, for notebooks. Every text is escaped: names and reasons come from
strangers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from sweep import formats as f
from sweep.report import study_text
from sweep.report.compute_text import compute_rows
from sweep.report.study_types import StudyReport
from sweep.report.trial_types import TrialSummary
from sweep.storage.states import State
from trainer.contract.safe_text import safe

_SHOWN = (
    State.COMPLETED,
    State.PRUNED,
    State.PARKED,
    State.RUNNING,
    State.WAITING,
    State.FAILED,
)


def study_html(report: StudyReport) -> str:
    """The headline, a table of the trials (best first, then pruned ones, with the reason), the best
    and the compute."""
    names = study_text.varying(report)
    head = ["trial", "state", *names, "early loss", "grad norm", "early eval", "P", report.metric]
    trials = [trial for state in _SHOWN for trial in report.in_state(state)]
    rows = [_row(trial, names) for trial in trials]
    parts = [
        f"<b>{_text(study_text.headline(report))}</b>",
        _text(study_text.standing(report)),
        _table([*head, "because"], rows),
        *(_text(line) for line in study_text.best_lines(report)),
        _table([], compute_rows(report)),
    ]
    return "\n".join(f"<div>{part}</div>" for part in parts)


def _row(trial: TrialSummary, names: Sequence[str]) -> list[str]:
    window, forecast, verdict = trial.window, trial.forecast, trial.verdict
    return [
        str(trial.number),
        trial.state.value,
        *(f.parameter(trial.params.get(name)) for name in names),
        f.fixed(window and window.loss),
        f.number(window and window.grad_norm),
        f.fixed(window and window.early_eval),
        f.chance(forecast and forecast.probability),
        f.fixed(trial.objective, 4),
        verdict.reason if verdict is not None and trial.state is State.PRUNED else "",
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(f"<th>{_text(title)}</th>" for title in head)
    lines = ("".join(f"<td>{_text(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: str) -> str:
    return escape(safe(value))
