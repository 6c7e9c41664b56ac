"""A study's pictures as matplotlib figures, for notebooks and beside the model's card: of the same
report as the page's. matplotlib is the extra `figures`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Literal

from sweep import formats as f
from sweep.page.page_types import Curves
from sweep.report import study_text
from sweep.report.study_types import StudyReport
from sweep.report.trial_types import TrialSummary
from sweep.storage.states import State
from trainer.contract.safe_text import clipped, safe
from trainer.contract.spec import UserError

WITHOUT = "the picture needs matplotlib, which is not installed: pip install 'sft-sweep[figures]'"
SIZE = (9.0, 5.0)  # inches
DPI = 110
INK, FAINT, ACCENT = "#59636e", "#a3abb5", "#0b62c4"
CURVES = {
    "loss": "training loss, nats per token",
    "grad_norm": "gradient norm, raw",
    "noise_free": "gradient norm, noise-free",
}
MOST_CURVES = 60
BROKEN = "breaks a constraint"

CurveName = Literal["loss", "grad_norm", "noise_free"]


def has_matplotlib() -> bool:
    """Whether figures can be drawn here."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def progress_figure(report: StudyReport) -> Any:
    """Each trial's objective so far, at its looks and its end, against its compute as planned; the
    best bold, stopped ones with a hollow end, those that break a constraint with a hollow square,
    parked ones dotted. A matplotlib Figure. UserError without matplotlib."""
    figure, axes = _made(report)
    size, unit = f.flop_unit(max((one.planned_flops for one in report.originals), default=0.0))
    alpha = max(0.12, min(0.8, 30 / max(len(report.originals), 1)))
    lines = [(trial, _points(trial)) for trial in report.originals]
    for trial, points in lines:
        if not points:
            continue
        xs, ys = [flops / size for flops, _ in points], [value for _, value in points]
        is_best = _is_best(report, trial)
        colour = ACCENT if is_best else INK if trial.state is State.COMPLETED else FAINT
        style = ":" if trial.state is State.PARKED else "-"
        own: dict[str, Any] = {"color": colour, "zorder": 5 if is_best else 2}
        axes.plot(xs, ys, style, lw=3 if is_best else 1.2, alpha=1 if is_best else alpha, **own)
        is_held = trial.is_feasible is not False
        filled = colour if trial.state is State.COMPLETED and is_held else "white"
        mark = "o" if is_held else "s"
        axes.plot(xs[-1:], ys[-1:], mark, ms=7 if is_best else 4.5, mfc=filled, mec=colour, **own)
    base = report.base.objective
    values = [value for _, points in lines for _, value in points]
    _focus(axes, report, values if base is None else [*values, base])
    low, high = axes.get_ylim()
    if base is not None and low <= base <= high:  # else it is far worse than any
        axes.axhline(base, color=INK, lw=1.2, ls=(0, (5, 4)), label="base model")
    if any(trial.is_feasible is False for trial in report.originals):
        axes.plot([], [], "s", ms=4.5, mfc="white", mec=INK, label=BROKEN)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=8)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"compute of the trial, {unit}")
    axes.set_ylabel(_text(report.metric), parse_math=False)
    axes.set_title(_text(_title(report)), loc="left", fontsize=10, parse_math=False)
    return figure


def configurations_figure(report: StudyReport, x: str | None = None, y: str | None = None) -> Any:
    """Two parameters against each other, filled and coloured by the objective where a trial has its
    end (a square where it breaks a constraint), hollow where not. `x`, `y`: names of parameters;
    the first two that vary if None. UserError for another name, and without matplotlib."""
    across, up = _chosen(report, x, 0), _chosen(report, y, 1)
    figure, axes = _made(report)
    ended = [trial for trial in report.originals if trial.objective is not None]
    others = [trial for trial in report.originals if trial.objective is None]
    places = _Places(report, across), _Places(report, up)

    def at(trials: Sequence[TrialSummary]) -> list[list[float]]:
        return [[place(trial.params.get(place.name)) for trial in trials] for place in places]

    axes.scatter(*at(others), s=45, facecolors="none", edgecolors=FAINT, label="not at its end")
    values = [one.objective for one in ended if one.objective is not None]
    colours: dict[str, Any] = {"cmap": "viridis", "zorder": 3}
    if values:
        colours |= {"vmin": min(values), "vmax": max(values)}
    broken = [one for one in ended if one.is_feasible is False]
    held = [one for one in ended if one.is_feasible is not False]
    marks = axes.scatter(*at(held), s=60, c=[one.objective for one in held], **colours)
    if broken:
        c = [one.objective for one in broken]
        axes.scatter(*at(broken), s=60, c=c, marker="s", label=BROKEN, **colours)
    if best := [trial for trial in ended if _is_best(report, trial)]:
        axes.scatter(*at(best), s=150, facecolors="none", edgecolors=ACCENT, lw=2, label="the best")
    if ended:
        figure.colorbar(marks).set_label(_text(report.metric), parse_math=False)
    for place, axis, is_across in ((places[0], axes.xaxis, True), (places[1], axes.yaxis, False)):
        place.label(axes, axis, is_across)
    axes.legend(frameon=False, fontsize=8)
    return figure


def curves_figure(report: StudyReport, curves: Curves, what: CurveName = "loss") -> Any:
    """`what` of each trial against samples, the best bold; of many trials the first MOST_CURVES by
    how they stand. UserError for another name, and without matplotlib."""
    if what not in CURVES:
        raise UserError(f"no curve {clipped(str(what))!r}: there are {', '.join(CURVES)}")
    figure, axes = _made(report)
    ranked = [trial for state in State for trial in report.in_state(state)]
    shown = [one for one in ranked if one.number in curves.trials and not one.is_replicate]
    shown = sorted(shown, key=lambda one: (not _is_best(report, one), one.objective is None))
    for trial in shown[:MOST_CURVES]:
        values = getattr(curves.trials[trial.number], what)
        pairs = zip(curves.samples, values, strict=False)
        points = [(at, value) for at, value in pairs if value is not None]
        if points:
            is_best = _is_best(report, trial)
            colour = ACCENT if is_best else INK if trial.objective is not None else FAINT
            own: dict[str, Any] = {"color": colour, "alpha": 0.8, "zorder": 5 if is_best else 2}
            axes.plot(*zip(*points, strict=True), lw=2.5 if is_best else 1, **own)
    if what != "loss" and axes.lines:
        axes.set_yscale("log")
    seen = sorted(value for line in axes.lines for value in line.get_ydata())
    if what == "loss" and seen:  # the first steps of some tower above all others
        low, most = seen[0], seen[int(0.98 * (len(seen) - 1))]
        room = 0.05 * (most - low) or 0.1
        axes.set_ylim(low - room, min(seen[-1], most + 0.5 * (most - low)) + room)
    axes.set_xlabel("samples")
    axes.set_ylabel(CURVES[what])
    return figure


def as_png(figure: Any) -> bytes:
    """The figure as a PNG."""
    into = io.BytesIO()
    figure.savefig(into, format="png", dpi=DPI)
    return into.getvalue()


def _made(report: StudyReport) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(WITHOUT) from None
    figure: Any = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.grid(True, color="#e8e8e8", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _points(trial: TrialSummary) -> list[tuple[float, float]]:
    """(FLOPs, value) at each look that measured the objective, and at the end."""
    batch = trial.params.get("batch_size")
    samples = trial.num_steps * (batch if isinstance(batch, int) else 1)
    looks = [one for one in (trial.window, *trial.looks) if one is not None]
    points = [
        (min(1.0, one.samples / max(samples, 1)) * trial.planned_flops, one.early_eval)
        for one in looks
        if one.early_eval is not None
    ]
    if trial.objective is not None:
        points.append((trial.planned_flops, trial.objective))
    return points


def _is_best(report: StudyReport, trial: TrialSummary) -> bool:
    return report.best is not None and report.best.original == trial.number


def _focus(axes: Any, report: StudyReport, ends: Sequence[float]) -> None:
    """Where ends are told apart: what is far worse than most is cut off."""
    if len(ends) < 4:
        return
    sign = -1.0 if report.direction == "maximize" else 1.0
    worse = sorted(sign * one for one in ends)
    best, median, late = worse[0], worse[len(worse) // 2], worse[int(0.9 * (len(worse) - 1))]
    worst = max(one for one in worse if one <= max(late, best + 3 * (median - best)))
    room = 0.08 * ((worst - best) or abs(best) or 1.0)
    axes.set_ylim(*sorted((sign * (best - room), sign * (worst + room))))


class _Places:
    """From a parameter's value to a place on an axis."""

    def __init__(self, report: StudyReport, name: str) -> None:
        self.name = name
        values = [trial.params.get(name) for trial in report.originals]
        numbers = [one for one in values if isinstance(one, int | float)]
        is_few = len({*map(f.parameter, values)}) <= 8 and all(isinstance(v, int) for v in values)
        self.is_number = len(numbers) == len(values) and not is_few
        ordered = (
            sorted(numbers) if len(numbers) == len(values) else sorted(values, key=f.parameter)
        )
        self._known = [*dict.fromkeys(map(f.parameter, ordered))]
        low = min(map(float, numbers), default=0.0)
        self.is_log = self.is_number and low > 0 and max(map(float, numbers)) / low >= 20

    def __call__(self, value: object) -> float:
        if self.is_number:
            assert isinstance(value, int | float)
            return float(value)
        return float(self._known.index(f.parameter(value)))

    def label(self, axes: Any, axis: Any, is_across: bool) -> None:
        (axes.set_xlabel if is_across else axes.set_ylabel)(_text(self.name), parse_math=False)
        if self.is_log:
            (axes.set_xscale if is_across else axes.set_yscale)("log")
        if not self.is_number:
            texts = [_text(one) for one in self._known]
            axis.set_ticks(range(len(texts)), texts, parse_math=False)


def _chosen(report: StudyReport, asked: str | None, place: int) -> str:
    known = dict.fromkeys(name for trial in report.trials for name in trial.params)
    if asked is None:
        vary = study_text.varying(report)
        usual = [*vary, *(name for name in known if name not in vary), ""]
        return usual[min(place, len(usual) - 1)]
    if asked in known:
        return asked
    there = ", ".join(known) or "none before a trial has begun"
    raise UserError(f"no trial has a parameter {clipped(asked)!r}: there are {there}")


def _title(report: StudyReport) -> str:
    return f"{report.study}: {f.counted(len(report.originals), 'trial')}"


def _text(text: str) -> str:
    return safe(clipped(text))
