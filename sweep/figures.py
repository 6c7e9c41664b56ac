"""Regret against compute: every policy a point with its name and its intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.spec import UserError

Part = Mapping[str, Any]

OURS = "sft-sweep"
OWN, RIVAL, FLOOR = "#c1272d", "#33608c", "#888888"
SIZE = (11.0, 7.0)  # inches
LINEAR_BELOW = 0.01  # of the regret's axis: 0 is a regret too


def draw_replay(document: Part, path: Path) -> None:
    """Into `path`, in the format of its ending; `document` as show_replay makes it.

    The regret's axis is a straight line up to LINEAR_BELOW and logarithmic above. UserError where
    the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    policies: Sequence[Part] = document["policies"]
    figure: Any = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    axes.set_yscale("symlog", linthresh=LINEAR_BELOW, linscale=0.6)
    for row in policies:
        _draw_point(axes, row)
    axes.axvline(document["floor"], color=FLOOR, linewidth=1, linestyle="--")
    axes.set_xlim(0, 1.04)
    top = max(row["regret_high"] or row["regret_mean"] for row in policies)
    axes.set_ylim(-0.0015, max(top, LINEAR_BELOW) * 1.4)
    ticks = [t for t in (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5) if t <= top * 1.4]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("compute, as a share of training every run to its end")
    axes.set_ylabel("mean regret, as a share of median - best")
    axes.set_title(_title(document), loc="left", fontsize=11)
    axes.grid(True, color="#e8e8e8", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _label(figure, axes, policies, document["floor"])
    _save(figure, path)


def require_matplotlib() -> None:
    """UserError where it is missing."""
    try:
        import matplotlib.figure  # noqa: F401 # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise UserError(
            "--figure needs matplotlib, which is not installed: pip install 'sft-sweep[figures]'"
        ) from None


def _draw_point(axes: Any, row: Part) -> None:
    is_own = row["name"].startswith(OURS)
    x, y = row["compute"], row["regret_mean"]
    across = _arms(x, row["compute_low"], row["compute_high"])
    up = _arms(y, row["regret_low"], row["regret_high"])
    axes.errorbar(
        x,
        y,
        xerr=across,
        yerr=up,
        fmt="o",
        color=OWN if is_own else RIVAL,
        markersize=7 if is_own else 4.5,
        elinewidth=1,
        alpha=1.0 if is_own else 0.75,
        zorder=3 if is_own else 2,
    )


def _arms(middle: float, low: float | None, high: float | None) -> list[list[float]] | None:
    if low is None or high is None:
        return None
    return [[max(0.0, middle - low)], [max(0.0, high - middle)]]


def _label(figure: Any, axes: Any, policies: Sequence[Part], floor: float) -> None:
    """Each name beside its point, at the first of some places where it covers no other name.

    Ours are placed first. Where all places are taken, the least covered one has it.
    """
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    text = axes.annotate(
        "floor", (floor, 1.0), xycoords=("data", "axes fraction"), xytext=(4, -10),
        textcoords="offset points", fontsize=8, color=FLOOR,
    )  # fmt: skip
    taken = [text.get_window_extent(renderer)]
    points = [axes.transData.transform((r["compute"], r["regret_mean"])) for r in policies]
    taken += [_box(x, y) for x, y in points]
    for row in sorted(policies, key=lambda row: not row["name"].startswith(OURS)):
        is_own = row["name"].startswith(OURS)
        label = axes.annotate(
            row["name"],
            (row["compute"], row["regret_mean"]),
            textcoords="offset points",
            xytext=(0, 0),
            fontsize=9 if is_own else 7.5,
            color=OWN if is_own else "#222222",
            weight="bold" if is_own else "normal",
            zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
        )
        places = [(place, _placed(label, place, renderer)) for place in _PLACES]
        inside = [
            found for found in places if axes.bbox.x0 <= found[1].x0 and _fits(found[1], figure)
        ]
        best, box = min(inside or places, key=lambda found: _covered(found[1], taken))
        _placed(label, best, renderer)
        taken.append(box)


# (x, y, horizontal alignment) in points from the point, nearest first
_PLACES = tuple(
    (side * 5.0, up, "left" if side > 0 else "right")
    for up in (3, -10, 11, -18, 19, -26, 27, -34, 35)
    for side in (1, -1)
)


def _placed(label: Any, place: tuple[float, float, str], renderer: Any) -> Any:
    x, y, side = place
    label.set_position((x, y))
    label.set_horizontalalignment(side)
    return label.get_window_extent(renderer)


def _box(x: float, y: float) -> Any:
    from matplotlib.transforms import Bbox

    return Bbox.from_extents(x - 5, y - 5, x + 5, y + 5)


def _fits(box: Any, figure: Any) -> bool:
    return box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 - 20


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
    return f"{names}, {num_runs} runs, {orders}: lower and further left is better (bars: 95 %)"


def _save(figure: Any, path: Path) -> None:
    from matplotlib import style

    beside = path.with_name(f"{path.stem}.new{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with style.context({"svg.fonttype": "none"}):  # names stay text
            figure.savefig(beside, dpi=150)
        beside.replace(path)
    except OSError as error:
        raise UserError(f"--figure: cannot write {path}: {error.strerror}") from None
