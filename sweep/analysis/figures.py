"""Regret against compute: every policy a point with its name and its intervals."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.contract.files import written_whole
from trainer.contract.spec import UserError

Part = Mapping[str, Any]

OURS = "sft-sweep"
OWN, BASELINE, FLOOR = "#c1272d", "#33608c", "#888888"
FORMATS = (".svg", ".png", ".pdf")
SIZE = (11.0, 7.0)  # inches
LINEAR_BELOW = 0.01  # of the regret's axis: 0 is a regret too
BELOW_0 = -0.003  # where that axis begins: names stand below points at 0
TICKS = (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


def check_figure(path: Path) -> None:
    """UserError where `draw_replay` could not write into `path`: said before the replay."""
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


def draw_replay(document: Part, path: Path) -> None:
    """Into `path`, in the format of its ending; `document` as show_replay makes it. UserError
    where the file cannot be written."""
    _save(make_figure(document), path)


def make_figure(document: Part) -> Any:
    """A matplotlib figure. The regret's axis is a straight line up to LINEAR_BELOW, logarithmic
    above."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    policies: Sequence[Part] = document["policies"]
    figure: Any = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    _draw_axes(axes, policies)
    axes.set_title(_title(document), loc="left", fontsize=11)
    axes.axvline(document["floor"], color=FLOOR, linewidth=1, linestyle="--")
    _draw_frontier(axes, policies)
    for row in policies:
        _draw_point(axes, row)
    _label(figure, axes, policies, document["floor"])
    return figure


def _draw_axes(axes: Any, policies: Sequence[Part]) -> None:
    tops = [row["regret_high"] or row["regret_mean"] for row in policies]
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


def frontier(policies: Sequence[Part]) -> list[tuple[float, float]]:
    """(compute, regret) of the policies that none beats in one and equals in the other, cheapest
    first."""
    points = sorted((row["compute"], row["regret_mean"]) for row in policies)
    found: list[tuple[float, float]] = []
    for compute, regret in points:
        if not found or regret < found[-1][1]:
            found.append((compute, regret))
    return found


def _draw_frontier(axes: Any, policies: Sequence[Part]) -> None:
    """A staircase: between two policies there is none to be had."""
    compute, regret = zip(*frontier(policies), strict=True)
    axes.step(compute, regret, where="post", color=FLOOR, linewidth=1.2, alpha=0.6, zorder=1)


def _draw_point(axes: Any, row: Part) -> None:
    is_own = row["name"].startswith(OURS)
    x, y = row["compute"], row["regret_mean"]
    color = OWN if is_own else BASELINE
    axes.errorbar(
        x,
        y,
        xerr=_arms(x, row["compute_low"], row["compute_high"]),
        yerr=_arms(y, row["regret_low"], row["regret_high"]),
        fmt="none",
        ecolor=color,
        elinewidth=1,
        alpha=0.6 if is_own else 0.25,
        zorder=2,
    )
    axes.plot(x, y, "o", color=color, markersize=7 if is_own else 4.5, zorder=4 if is_own else 3)


def _arms(middle: float, low: float | None, high: float | None) -> list[list[float]] | None:
    if low is None or high is None:
        return None
    return [[max(0.0, middle - low)], [max(0.0, high - middle)]]


def _label(figure: Any, axes: Any, policies: Sequence[Part], floor: float) -> None:
    """Each name beside its point, at the nearest place where it covers no other name or point.

    Ours are placed first. Where all places are taken, the least covered one has it. A name that is
    far from its point is tied to it by a thin line.
    """
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    text = axes.annotate(
        "floor", (floor, 1.0), xycoords=("data", "axes fraction"), xytext=(4, -10),
        textcoords="offset points", fontsize=8, color=FLOOR,
    )  # fmt: skip
    points = [axes.transData.transform((r["compute"], r["regret_mean"])) for r in policies]
    taken = [text.get_window_extent(renderer), *(_box(x, y) for x, y in points)]
    for row in sorted(policies, key=lambda row: not row["name"].startswith(OURS)):
        label = _named(axes, row)
        middle = axes.transData.transform(label.xy)
        size = label.get_window_extent(renderer)
        places = [(place, _placed(middle, size, place, figure.dpi / 72)) for place in _PLACES]
        inside = [found for found in places if _contains(axes.bbox, found[1])]
        free = (found for found in inside if _covered(found[1], taken) == 0)
        best, box = next(free, None) or min(places, key=lambda found: _covered(found[1], taken))
        label.set_position(best[:2])
        label.set_horizontalalignment(best[2])
        label.arrow_patch.set_visible(math.hypot(*best[:2]) > NEAR)
        taken.append(box.padded(5))


def _named(axes: Any, row: Part) -> Any:
    is_own = row["name"].startswith(OURS)
    return axes.annotate(
        row["name"],
        (row["compute"], row["regret_mean"]),
        textcoords="offset points",
        xytext=(0, 0),
        fontsize=9 if is_own else 7.5,
        color=OWN if is_own else "#222222",
        weight="bold" if is_own else "normal",
        verticalalignment="center",
        zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
        arrowprops={"arrowstyle": "-", "color": FLOOR, "linewidth": 0.6, "shrinkB": 2},
    )


# (x, y, horizontal alignment) in points from the point, nearest first
_PLACES = sorted(
    (
        (side * right, up, "left" if side > 0 else "right")
        for right in (6.0, 18.0, 34.0, 54.0)
        for up in (way * far for far in range(7, 200, 6) for way in (1, -1))
        for side in (1, -1)
    ),
    key=lambda place: (math.hypot(place[0], place[1]), -place[0], -place[1]),
)
NEAR = 15.0  # points: so far a name shows by itself whose it is


def _placed(point: Any, size: Any, place: tuple[float, int, str], scale: float) -> Any:
    """The box of a name of that size; `point` and `size` in dots, `scale` dots to a point."""
    from matplotlib.transforms import Bbox

    right, up, side = place
    x, y = point[0] + right * scale, point[1] + up * scale
    left = x if side == "left" else x - size.width
    return Bbox.from_bounds(left, y - size.height / 2, size.width, size.height)


def _box(x: float, y: float) -> Any:
    from matplotlib.transforms import Bbox

    return Bbox.from_extents(x - 5, y - 5, x + 5, y + 5)


def _contains(outer: Any, box: Any) -> bool:
    inside = outer.x0 + 3 <= box.x0 and outer.y0 + 3 <= box.y0
    return inside and box.x1 <= outer.x1 and box.y1 <= outer.y1


def _covered(box: Any, taken: Sequence[Any]) -> float:
    """The area that a box shares with those that are taken, in square dots."""
    total = 0.0
    for other in taken:
        width = min(box.x1, other.x1) - max(box.x0, other.x0)
        height = min(box.y1, other.y1) - max(box.y0, other.y0)
        total += max(0.0, width) * max(0.0, height)
    return total


def _title(document: Part) -> str:
    groups = document["groups"]
    names = groups[0]["group"] if len(groups) == 1 else f"{len(groups)} groups"
    num_runs = sum(group["runs"] for group in groups)
    orders = "1 order" if document["orders"] == 1 else f"{document['orders']} orders"
    has_bars = document["policies"][0]["compute_low"] is not None
    bars = " (bars: 95 %)" if has_bars else ""
    return (
        f"{names}, {num_runs} runs, {orders}: lower and further left is better{bars}; "
        "none is better in both than those on the grey line"
    )


def _save(figure: Any, path: Path) -> None:
    from matplotlib import style

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as beside, style.context({"svg.fonttype": "none"}):  # stays text
            figure.savefig(beside, dpi=150)
    except OSError as error:
        raise UserError(f"--figure: cannot write {path}: {error.strerror}") from None
