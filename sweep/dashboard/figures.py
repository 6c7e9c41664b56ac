"""The figures of a study's page in the dashboard, as plotly's JSON: no plotly is needed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweep.page.page_types import Curve, PageReport, Values
from sweep.report import study_text
from sweep.report.trial_types import TrialSummary
from sweep.storage.states import State
from trainer.contract.safe_text import clipped, safe

MOST_CURVES = 60
_COLOURS = {
    State.COMPLETED: "#1b7837",
    State.PRUNED: "#b2182b",
    State.PARKED: "#e08214",
    State.RUNNING: "#2166ac",
    State.WAITING: "#7fa8d1",
    State.FAILED: "#777777",
}
_BEST = "#111111"
_ORDER = (
    State.COMPLETED,
    State.RUNNING,
    State.PARKED,
    State.PRUNED,
    State.WAITING,
    State.FAILED,
)


def figures(page: PageReport) -> dict[str, dict[str, Any]]:
    """The figures by name: what was measured so far, loss and gradient norm, over samples; of the
    trials that tell most, MOST_CURVES."""
    report = page.study
    ranked = [trial for state in _ORDER for trial in report.in_state(state)]
    shown = [trial for trial in ranked if not trial.is_replicate][:MOST_CURVES]
    number = len(report.originals)
    of = "" if len(shown) == number else f", {len(shown)} of {number} trials"
    metric = safe(clipped(report.metric))
    return {
        "1_measured": _figure(f"{metric} at looks and ends{of}", metric, _measured(page, shown)),
        "2_loss": _figure(f"training loss{of}", "nats per token", _curves(page, shown, _loss)),
        "3_gradient_norm": _figure(
            f"gradient norm before clipping{of}",
            "norm",
            _curves(page, shown, _grad_norm),
            log=True,
        ),
    }


def _measured(page: PageReport, shown: Sequence[TrialSummary]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for trial in shown:
        looks = [*([] if trial.window is None else [trial.window]), *trial.looks]
        points = [(one.samples, one.early_eval) for one in looks if one.early_eval is not None]
        if trial.objective is not None:
            batch_size = trial.params.get("batch_size")
            assert isinstance(batch_size, int)
            points.append((trial.num_steps * batch_size, trial.objective))
        if points:
            line = _line(page, trial, [x for x, _ in points], [y for _, y in points])
            found.append({**line, "mode": "lines+markers"})
    return found


def _curves(
    page: PageReport, shown: Sequence[TrialSummary], of: Callable[[Curve], Values]
) -> list[dict[str, Any]]:
    curves: Mapping[int, Curve] = page.curves.trials
    return [
        _line(page, trial, page.curves.samples, of(curves[trial.number]))
        for trial in shown
        if trial.number in curves
    ]


def _loss(curve: Curve) -> Values:
    return curve.loss


def _grad_norm(curve: Curve) -> Values:
    return curve.grad_norm


def _line(
    page: PageReport, trial: TrialSummary, x: Sequence[float], y: Sequence[float | None]
) -> dict[str, Any]:
    best = page.study.best
    is_best = best is not None and best.original == trial.number
    colour = _BEST if is_best else _COLOURS[trial.state]
    dash = "dot" if trial.state is State.PARKED else "solid"
    points = [(at, value) for at, value in zip(x, y, strict=True) if value is not None]
    said = study_text.settings(trial, study_text.varying(page.study))
    why = "" if trial.verdict is None else f": {trial.verdict.reason}"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{trial.number} {trial.state}",
        "x": [at for at, _ in points],
        "y": [value for _, value in points],
        "line": {"color": colour, "width": 3 if is_best else 1.2, "dash": dash},
        "hovertemplate": f"%{{x}} samples: %{{y:.4g}}<br>{_hover(said)}"
        f"<br>{_hover(f'{trial.state}{why}')}<extra></extra>",
    }


def _hover(text: str) -> str:
    """As plotly shows it: it reads some HTML, and %{...}."""
    lines = _wrapped(safe(clipped(text)), 90)
    return "<br>".join(
        line.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {") for line in lines
    )


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{word}"
    return lines


def _figure(
    title: str, y: str, lines: list[dict[str, Any]], *, log: bool = False
) -> dict[str, Any]:
    axis = {"title": {"text": y.replace("<", "&lt;")}, "type": "log" if log else "linear"}
    layout = {
        "title": {"text": title.replace("<", "&lt;")},
        "xaxis": {"title": {"text": "samples"}},
        "yaxis": axis,
        "hovermode": "closest",
    }
    return {"data": lines, "layout": layout}
