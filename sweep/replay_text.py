"""A comparison of policies on a terminal: what it comes to first, then its table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from sweep import formats as f
from sweep.display import make_console, plain
from sweep.text_table import Column, table_lines, table_width

OURS = "sft-sweep"

Part = Mapping[str, Any]

_COLUMNS = ("compute", "95 %", "regret", "95 %", "p90", "lost\nbest", "config\nregret", "wall")
_LEGEND = (
    "compute: share of training everything to its end. regret: the best run kept less the best of "
    "all, as a share of median - best; p90 over replays. lost best: replays with a regret above "
    "0.05. config regret: by seed means of configurations. wall: in full runs."
)


def print_replay(document: Part, console: Console | None = None) -> None:
    """`document` as show_replay makes it."""
    console = console or make_console()
    policies: Sequence[Part] = document["policies"]
    console.print(plain(_headline(document), "bold"))
    _print_table(console, document)
    console.print(
        plain(f"floor: {document['floor']:.3f} of the compute, by one look after the startup")
    )
    console.print()
    _print_wrapped(console, document["verdict"])
    console.print()
    _print_wrapped(console, [_LEGEND, _intervals(document), *_limits(document)], "dim")
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
        f"{OURS} trained {own['compute']:.1%} of everything, and saved the rest. It lost "
        f"{own['regret_mean']:.3f} of the distance from the best to the median run on average, and "
        f"the best run in {own['lost_best']:.0%} of {own['replays']} {replays}."
    ]
    rivals = [row for name, row in rows.items() if not name.startswith(OURS)]
    if len(rivals) > 1:
        as_good = [row for row in rivals if row["regret_mean"] <= own["regret_mean"]]
        best = min(as_good, key=lambda row: row["compute"])
        gain = gains[best["name"]]
        sentences.append(
            f"Of the rivals that lost no more, {best['name']} was the cheapest: "
            f"{best['compute']:.1%} at a regret of {best['regret_mean']:.3f}. {_difference(gain)}"
        )
    return sentences


def _difference(gain: Part) -> str:
    size, low, high = gain["compute"], gain["compute_low"], gain["compute_high"]
    if size == 0:
        return f"{OURS} trained as much."
    word = "less" if size > 0 else "more"
    ends = (low, high) if size > 0 else (-high, -low)
    sentence = (
        f"{OURS} trained {100 * abs(size):.1f} points {word} (95 % {100 * ends[0]:.1f} to "
        f"{100 * ends[1]:.1f})"
    )
    return sentence + ("." if low > 0 or high < 0 else ", which chance alone could give.")


def _headline(document: Part) -> str:
    groups = document["groups"]
    names = groups[0]["group"] if len(groups) == 1 else f"{len(groups)} groups"
    num_runs = sum(group["runs"] for group in groups)
    orders = "1 order" if document["orders"] == 1 else f"{document['orders']} orders"
    workers = "1 worker" if document["workers"] == 1 else f"{document['workers']} workers"
    return f"{names}: {num_runs} runs, replayed in {orders} on {workers}"


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


def _intervals(document: Part) -> str:
    unit = "orders of this one group" if len(document["groups"]) == 1 else "groups"
    return f"95 %: by resampling {unit}, the same ones for all policies."


def _limits(document: Part) -> list[str]:
    found: list[str] = []
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
            f"others of their {document['points']} points the rivals on the evaluation loss saw "
            "the last value again; a script that evaluates at each would have had a new one."
        )
    if document["groups_without_end"]:
        names = ", ".join(document["groups_without_end"])
        found.append(f"Not replayed, as no run was trained to its end: {names}.")
    return found


def _print_wrapped(console: Console, texts: Iterable[str], style: str = "") -> None:
    for text in texts:
        for line in textwrap.wrap(text, console.width):
            console.print(plain(line, style))
