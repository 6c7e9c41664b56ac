"""A comparison of policies on a terminal: what it comes to first, then its table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from predictor.bootstrap import FEWEST_UNITS
from sweep import formats as f
from sweep.display import make_console, plain
from sweep.text_table import Column, table_lines, table_width

OURS = "sft-sweep"

FEW_RUNS, FEW_GROUPS = 8, 5  # fewer are too few

Part = Mapping[str, Any]

_COLUMNS = ("compute", "95 %", "regret", "95 %", "p90", "lost\nbest", "config\nregret", "wall")
_LEGEND = (
    "compute: share of training everything to its end. regret: the best run kept less the best of "
    "all, as a share of median - best; p90 over replays. lost best: replays with a regret above "
    "0.05. config regret: by seed means of configurations. wall: in full runs."
)
_NAMES = {
    "sft-sweep, audit 0": "audit 0: no pruned run goes on to its end as a check.",
    "random 75 %": "random 75 %: that share of the runs, drawn at random, to their end.",
    "model M": "model M: a plain regression on all early signals and the configuration.",
}


def print_replay(document: Part, console: Console | None = None) -> None:
    """`document` as show_replay makes it."""
    console = console or make_console()
    policies: Sequence[Part] = document["policies"]
    console.print(plain(_headline(document), "bold"))
    _print_table(console, document)
    console.print()
    _print_wrapped(console, [*document["verdict"], *document["cautions"]])
    console.print()
    legend = [_LEGEND, _floor(document), *_names(policies)]
    _print_wrapped(console, [*legend, *_intervals(document), *_limits(document)], "dim")
    if len(policies) == 3:
        _print_wrapped(console, ["With --against all: every rival, Optuna's pruners too."], "dim")


def verdict(document: Part) -> list[str]:
    """What our policy cost and saved: against keep all, and against the best rival that loses no
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
    rivals = [row for name, row in rows.items() if not name.startswith(OURS)]
    if len(rivals) > 1:
        as_good = [row for row in rivals if row["regret_mean"] <= own["regret_mean"]]
        best = min(as_good, key=lambda row: row["compute"])
        gain = gains[best["name"]]
        sentences.append(
            f"Of the rivals that lost no more, {best['name']} was the cheapest: "
            f"{best['compute']:.1%} at a regret of {best['regret_mean']:.3f}. {_difference(gain)} "
            f"That is by {_orders(document)}; with more it may be another rival."
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
    if 1 < len(groups) < FEW_GROUPS:
        found.append(f"Caution: {len(groups)} groups say little of how another study would do.")
    if len(groups) == 1:
        found.append("Caution: one group says nothing of how another study would do.")
    return found


def _share_within(row: Part) -> str:
    low, high = row["compute_low"], row["compute_high"]
    return "" if low is None else f" (95 % {100 * low:.1f} to {100 * high:.1f})"


def _regret_within(row: Part) -> str:
    low, high = row["regret_low"], row["regret_high"]
    return "" if low is None else f" (95 % {low:.3f} to {high:.3f})"


def _difference(gain: Part) -> str:
    size, low, high = gain["compute"], gain["compute_low"], gain["compute_high"]
    if size == 0:
        return f"{OURS} trained as much."
    word = "less" if size > 0 else "more"
    sentence = f"{OURS} trained {100 * abs(size):.1f} points {word}"
    if low is None or high is None:
        return sentence + "."
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


def _print_table(console: Console, document: Part) -> None:
    policies: Sequence[Part] = document["policies"]
    best_first = sorted(policies[2:], key=lambda row: (row["regret_mean"], row["compute"]))
    ordered = [*policies[:2], *best_first]
    rows = [_cells(row) for row in ordered]
    columns = [Column("policy", right=False), *(Column(title) for title in _COLUMNS)]
    if table_width(columns, rows) + 40 <= console.width:
        columns.append(Column("settings", right=False, wraps=True))
        rows = [[*cells, _settings(row)] for cells, row in zip(rows, ordered, strict=True)]
    elif table_width(columns, rows) > console.width:
        kept = [i for i, column in enumerate(columns) if column.title != "95 %"]
        columns, rows = [columns[i] for i in kept], [[row[i] for i in kept] for row in rows]
    console.print()
    for index, line in table_lines(columns, rows, console.width):
        style = "dim" if index is None else "bold" if index == 0 else ""
        console.print(plain(line, style), soft_wrap=True)


def _cells(row: Part) -> list[str]:
    return [
        row["name"],
        f"{row['compute']:.3f}",
        _interval(row["compute_low"], row["compute_high"]),
        f"{row['regret_mean']:.3f}",
        _interval(row["regret_low"], row["regret_high"]),
        f"{row['regret_p90']:.3f}",
        f"{row['lost_best']:.0%}",
        f.fixed(row["config_regret"]),
        f"{row['wall']:.1f}",
    ]


def _interval(low: float | None, high: float | None) -> str:
    return f.MISSING if low is None or high is None else f"{low:.3f} to {high:.3f}"


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
    if document["policies"][0]["compute_low"] is None:
        return []
    is_few = len(document["groups"]) < FEWEST_UNITS
    unit = "the orders of so few groups" if is_few else "groups"
    return [f"95 %: by resampling {unit}, the same ones for all policies."]


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
            f"others of their {document['points']} points the rivals on the evaluation loss heard "
            "nothing; a script that evaluates at each would have told them more."
        )
    if document["groups_without_end"]:
        names = ", ".join(document["groups_without_end"])
        found.append(f"Not replayed, as no run was trained to its end: {names}.")
    return found


def _print_wrapped(console: Console, texts: Iterable[str], style: str = "") -> None:
    for text in texts:
        for line in textwrap.wrap(text, console.width):
            console.print(plain(line, style))
