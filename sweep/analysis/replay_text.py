"""A comparison of policies on a terminal: what it comes to first, then its table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from predictor.stats import FEWEST_UNITS
from sweep import formats as f
from sweep.report.console import Console, make_console, plain, print_wrapped
from sweep.report.text_table import Column, table_lines, table_width

OURS = "sft-sweep"

FEW_RUNS, FEW_GROUPS = 8, 5  # fewer are too few
ROUNDING = 1e-9  # of regrets: what differs by less is equal

Part = Mapping[str, Any]

_LEGEND = {  # by column
    "compute": "compute: share of training everything to its end.",
    "regret": "regret: the best run kept less the best of all, as a share of median - best.",
    "p90": "p90: of the regret, over replays.",
    "lost best": "lost best: replays with a regret above 0.05.",
    "config regret": "config regret: by seed means of configurations.",
    "wall": "wall: in full runs.",
}
_INTERVALS = ("compute 95 %", "regret 95 %")
_LEAST_NEEDED = ("wall", "config regret", "p90", "lost best", *_INTERVALS)  # left out in this order
_NAMES = {
    "sft-sweep, audit 0": "audit 0: no pruned run goes on to its end as a check.",
    "random 75 %": "random 75 %: that share of the runs, drawn at random, to their end.",
}


def print_replay(document: Part, console: Console | None = None) -> None:
    """`document` as show_replay makes it."""
    console = console or make_console()
    policies: Sequence[Part] = document["policies"]
    console.print(plain(_headline(document), "bold"))
    columns = _print_table(console, document)
    console.print()
    print_wrapped(console, [*document["verdict"], *document["cautions"]])
    console.print()
    meaning = " ".join(text for name, text in _LEGEND.items() if name in columns)
    legend = [meaning, *_narrow(columns, policies), _floor(document), *_names(policies)]
    legend += _intervals(document) if {*_INTERVALS} & {*columns} else []
    print_wrapped(console, [*legend, *_limits(document)], "dim")
    if len(policies) == 3:
        print_wrapped(console, ["With --against all: every baseline, Optuna's pruners too."], "dim")


def verdict(document: Part) -> list[str]:
    """What our policy cost and saved: against keep all, and against the best baseline that loses no
    more."""
    rows = {row["name"]: row for row in document["policies"]}
    gains = {gain["over"]: gain for gain in document["gains"]}
    own = rows[OURS]
    replays = "replay" if own["replays"] == 1 else "replays"
    sentences = [
        f"{OURS} trained {own['compute']:.1%} of everything{_share_within(own)}, and saved "
        f"the rest. It lost {own['regret_mean']:.3f} of the distance from the best to the median "
        f"run on average{_regret_within(own)}, and the best run in {own['lost_best']:.0%} of "
        f"{own['replays']} {replays}."
    ]
    baselines = [row for name, row in rows.items() if not name.startswith(OURS)]
    if len(baselines) > 1:
        as_good = [row for row in baselines if row["regret_mean"] <= own["regret_mean"] + ROUNDING]
        best = min(as_good, key=lambda row: row["compute"])
        gain = gains[best["name"]]
        sentences.append(
            f"Of the baselines that lost no more, {best['name']} was the cheapest: "
            f"{best['compute']:.1%} at a regret of {best['regret_mean']:.3f}. {_difference(gain)} "
            f"That is by {_orders(document)}; with more it may be another baseline."
        )
    return sentences


def cautions(document: Part) -> list[str]:
    """Why the numbers may mean little: few runs to replay, or few groups to resample."""
    groups: Sequence[Part] = document["groups"]
    few = [group for group in groups if group["finished"] < FEW_RUNS]
    found: list[str] = []
    if few:
        counts = ", ".join(f"{group['group']} has {group['finished']}" for group in few)
        found.append(
            f"Caution: with fewer than {FEW_RUNS} finished runs ({counts}) a replay tells next to "
            "nothing about pruning."
        )
    blind = [group["group"] for group in groups if not group["windows"]]
    if blind:
        found.append(
            f"Caution: no run of {', '.join(blind)} has steps up to its early window, so none "
            "could be judged, and all were trained to their end."
        )
    if 1 < len(groups) < FEW_GROUPS:
        found.append(f"Caution: {len(groups)} groups say little of how another study would do.")
    if len(groups) == 1:
        found.append("Caution: one group says nothing of how another study would do.")
    return found


def _share_within(row: Part) -> str:
    ends = _ends(row, "compute")
    return "" if ends is None else f" (95 % {100 * ends[0]:.1f} to {100 * ends[1]:.1f})"


def _regret_within(row: Part) -> str:
    ends = _ends(row, "regret")
    return "" if ends is None else f" (95 % {ends[0]:.3f} to {ends[1]:.3f})"


def _ends(row: Part, name: str) -> tuple[float, float] | None:
    """Of the interval. None where there is none, or where all that was resampled is equal: then it
    has no width, and says nothing of another order or study."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return None if low is None or math.isclose(low, high, abs_tol=1e-9) else (low, high)


def _difference(gain: Part) -> str:
    size, found = gain["compute"], _ends(gain, "compute")
    if size == 0:
        return f"{OURS} trained as much."
    word = "less" if size > 0 else "more"
    sentence = f"{OURS} trained {100 * abs(size):.1f} points {word}"
    if found is None:
        return sentence + "."
    low, high = found
    ends = (low, high) if size > 0 else (-high, -low)
    sentence += f" (95 % {100 * ends[0]:.1f} to {100 * ends[1]:.1f})"
    return sentence + ("." if low > 0 or high < 0 else ", which chance alone could give.")


def _headline(document: Part) -> str:
    groups = document["groups"]
    names = groups[0]["group"] if len(groups) == 1 else f"{len(groups)} groups"
    num_runs = sum(group["runs"] for group in groups)
    workers = "1 worker" if document["workers"] == 1 else f"{document['workers']} workers"
    return f"{names}: {num_runs} runs, replayed in {_orders(document)} on {workers}"


def _orders(document: Part) -> str:
    return "1 order" if document["orders"] == 1 else f"{document['orders']} orders"


def _print_table(console: Console, document: Part) -> list[str]:
    """With the columns that fit; their names."""
    policies: Sequence[Part] = document["policies"]
    best_first = sorted(policies[2:], key=lambda row: (row["regret_mean"], row["compute"]))
    ordered = [*policies[:2], *best_first]
    names, columns, rows = _fitted(ordered, console.width)
    if table_width(columns, rows) + 40 <= console.width:
        columns.append(Column("settings", right=False, wraps=True))
        rows = [[*cells, _settings(row)] for cells, row in zip(rows, ordered, strict=True)]
    console.print()
    for index, line in table_lines(columns, rows, console.width):
        style = "dim" if index is None else "bold" if index == 0 else ""
        console.print(plain(line, style), soft_wrap=True)
    return names


def _fitted(
    policies: Sequence[Part], width: int
) -> tuple[list[str], list[Column], list[list[str]]]:
    """Intervals are written shorter before any column is left out."""
    names = _known(policies)
    columns, rows = _table(policies, names)
    for left_out in range(len(_LEAST_NEEDED) + 1):
        if table_width(columns, rows) <= width:
            break
        names = [name for name in _known(policies) if name not in _LEAST_NEEDED[:left_out]]
        columns, rows = _table(policies, names, short=True)
    return names, columns, rows


def _known(policies: Sequence[Part]) -> list[str]:
    """The columns in which some policy has a value."""
    cells = [_cells(row) for row in policies]
    return [name for name in cells[0] if any(one[name] != f.MISSING for one in cells)]


def _table(
    policies: Sequence[Part], names: Sequence[str], *, short: bool = False
) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("policy", right=False), *(Column(_title(name, short)) for name in names)]
    cells = [_cells(row, short) for row in policies]
    rows = [
        [row["name"], *(own[name] for name in names)]
        for row, own in zip(policies, cells, strict=True)
    ]
    return columns, rows


def _title(name: str, short: bool) -> str:
    if name in _INTERVALS:
        return "95 %\nlow high" if short else "95 %"
    return name.replace(" ", "\n")


def _cells(row: Part, short: bool = False) -> dict[str, str]:
    """By column."""
    return {
        "compute": f"{row['compute']:.3f}",
        "compute 95 %": _interval(row, "compute", short),
        "regret": f"{row['regret_mean']:.3f}",
        "regret 95 %": _interval(row, "regret", short),
        "p90": f"{row['regret_p90']:.3f}",
        "lost best": f"{row['lost_best']:.0%}",
        "config regret": f.fixed(row["config_regret"]),
        "wall": f"{row['wall']:.1f}",
    }


def _interval(row: Part, name: str, short: bool) -> str:
    """`0.583 to 0.781`, or `.583 .781`."""
    ends = _ends(row, name)
    if ends is None:
        return f.MISSING
    low, high = (f"{end:.3f}" for end in ends)
    return f"{_bare(low)} {_bare(high)}" if short else f"{low} to {high}"


def _bare(number: str) -> str:
    return number.replace("0.", ".", 1) if number.startswith(("0.", "-0.")) else number


def _narrow(columns: Sequence[str], policies: Sequence[Part]) -> list[str]:
    left_out = [name for name in _known(policies) if name not in columns]
    return [f"Not shown at this width: {', '.join(left_out)}."] if left_out else []


def _settings(row: Part) -> str:
    return ", ".join(f"{name} {value}" for name, value in row["settings"].items())


def _floor(document: Part) -> str:
    return (
        f"floor: {document['floor']:.3f} of the compute, with {document['settings']['startup']} "
        "runs trained to their end plus one look at each of the others. It is the floor of one "
        "look: a policy that starts fewer runs can be below it."
    )


def _names(policies: Sequence[Part]) -> list[str]:
    names = {row["name"] for row in policies}
    return [line for name, line in _NAMES.items() if name in names]


def _intervals(document: Part) -> list[str]:
    policies: Sequence[Part] = document["policies"]
    is_few = len(document["groups"]) < FEWEST_UNITS
    unit = "the orders of so few groups" if is_few else "groups"
    text = f"95 %: by resampling {unit}, the same ones for all policies"
    has_equals = any(_ends(row, name) is None for row in policies for name in ("compute", "regret"))
    return [f"{text}; - where all of them are equal." if has_equals else f"{text}."]


def _limits(document: Part) -> list[str]:
    found = [
        "Every replay starts without past studies: pruning.history is not used. Evaluations cost "
        "nothing here."
    ]
    left_out = sum(group["left_out"] for group in document["groups"])
    if left_out:
        runs = "1 run is" if left_out == 1 else f"{left_out} runs are"
        found.append(
            f"{runs} left out, failed or pruned by rank when recorded: how they would have ended "
            "is not known. What a pruner left over flatters every policy."
        )
    guarded = sum(group["guarded"] for group in document["groups"])
    if guarded:
        runs = "1 run was" if guarded == 1 else f"{guarded} runs were"
        found.append(f"{runs} ended by a guard, and so under every policy.")
    num_evals = min(group["evaluations"] for group in document["groups"])
    if document["points"] and num_evals < document["points"]:
        found.append(
            f"A run was evaluated {num_evals:.0f} times when recorded (where least often). At the "
            f"others of their {document['points']} points the baselines on the evaluation loss "
            "heard nothing; a script that evaluates at each would have told them more."
        )
    if document["groups_without_end"]:
        names = ", ".join(document["groups_without_end"])
        found.append(f"Not replayed, as no run was trained to its end: {names}.")
    return found
