"""Regret against compute: every policy a numbered point with its intervals, named in a legend."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweep.analysis.replay.report import OURS, PolicyResult, ReplayReport
from sweep.analysis.replay.table import best_first
from sweep.analysis.replay.verdict import in_orders
from trainer.contract.files import written_whole
from trainer.contract.spec import UserError

OWN, BASELINE, FLOOR = "#c1272d", "#33608c", "#888888"
FORMATS = (".svg", ".png", ".pdf")
SIZE = (11.0, 7.0)  # inches
LINEAR_BELOW = 0.01  # of the regret's axis: 0 is a regret too
BELOW_0 = -0.003  # where that axis begins, so that points at 0 are whole
TICKS = (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


def check_figure(path: Path) -> None:
    """Raise UserError where `draw_replay` could not write into `path`: said before the replay."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"--figure: is {path}; its name must end in {', '.join(FORMATS)}")
    folder = next(one for one in path.parents if one.exists())  # those below it are made
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(f"--figure: cannot write {path}")
    try:
        import matplotlib.figure  # noqa: F401 # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise UserError(
            "--figure needs matplotlib, which is not installed: pip install 'sft-sweep[figures]'"
        ) from None


def draw_replay(report: ReplayReport, path: Path) -> None:
    """The figure is written into `path`, in the format of its ending. UserError where it cannot
    be."""
    _save(make_figure(report), path)


def make_figure(report: ReplayReport) -> Any:
    """A matplotlib figure. The regret's axis is a straight line up to LINEAR_BELOW, logarithmic
    above."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    _draw_axes(axes, report.policies)
    axes.set_title(_title(report), loc="left", fontsize=11)
    axes.axvline(report.floor, color=FLOOR, linewidth=1, linestyle="--", label="floor")
    _draw_frontier(axes, report.policies)
    for number, policy in enumerate(best_first(report.policies), start=1):
        _draw_point(axes, number, policy)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure


def _draw_axes(axes: Any, policies: Sequence[PolicyResult]) -> None:
    tops = [policy.regret_high or policy.regret_mean for policy in policies]
    top = max(*tops, LINEAR_BELOW) * 1.4
    axes.set_yscale("symlog", linthresh=LINEAR_BELOW, linscale=0.6)
    axes.set_xlim(0, 1.04)
    axes.set_ylim(BELOW_0, top)
    ticks = [tick for tick in TICKS if tick <= top]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("compute, as a share of training every run to its end")
    axes.set_ylabel("mean regret, as a share of median - best")
    axes.grid(True, color="#e8e8e8", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points (compute, regret) that none beats in one and equals in the other, cheapest
    first."""
    found: list[tuple[float, float]] = []
    for compute, regret in sorted(points):
        if not found or regret < found[-1][1]:
            found.append((compute, regret))
    return found


def _draw_frontier(axes: Any, policies: Sequence[PolicyResult]) -> None:
    """A staircase: between two policies there is none to be had."""
    points = [(policy.compute, policy.regret_mean) for policy in policies]
    compute, regret = zip(*frontier(points), strict=True)
    axes.step(compute, regret, where="post", color=FLOOR, linewidth=1.2, alpha=0.6, zorder=1)


def _draw_point(axes: Any, number: int, policy: PolicyResult) -> None:
    """The number itself is the marker, and stands before the name in the legend."""
    is_own = policy.name.startswith(OURS)
    x, y = policy.compute, policy.regret_mean
    color = OWN if is_own else BASELINE
    axes.errorbar(
        x,
        y,
        xerr=_arms(x, policy.compute_low, policy.compute_high),
        yerr=_arms(y, policy.regret_low, policy.regret_high),
        fmt="none",
        ecolor=color,
        elinewidth=1,
        alpha=0.6 if is_own else 0.25,
        zorder=2,
    )
    axes.plot(
        x,
        y,
        linestyle="none",
        marker=f"${number}$",
        markersize=7 if number < 10 else 11,  # two digits as high as one
        markeredgewidth=0.2,
        color=color,
        label=policy.name,
        clip_on=False,
        zorder=4 if is_own else 3,
    )


def _arms(middle: float, low: float | None, high: float | None) -> list[list[float]] | None:
    if low is None or high is None:
        return None
    return [[max(0.0, middle - low)], [max(0.0, high - middle)]]


def _title(report: ReplayReport) -> str:
    groups = report.groups
    names = groups[0].group if len(groups) == 1 else f"{len(groups)} groups"
    num_runs = sum(group.runs for group in groups)
    bars = " (bars: 95 %)" if report.policies[0].compute_low is not None else ""
    return (
        f"{names}, {num_runs} runs, {in_orders(report.orders)}{bars}\n"
        "lower and further left is better; none is better in both than those on the grey line"
    )


def _save(figure: Any, path: Path) -> None:
    from matplotlib import style

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as beside, style.context({"svg.fonttype": "none"}):  # stays text
            figure.savefig(beside, dpi=150)
    except OSError as error:
        raise UserError(f"--figure: cannot write {path}: {error.strerror}") from None
