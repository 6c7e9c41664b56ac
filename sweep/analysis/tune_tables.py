"""The tables of a search for settings: settings, what they measured, frontier and lost runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from predictor.stats import FEWEST_UNITS
from sweep import formats as f
from sweep.config.errors import show
from sweep.report.console import Console, plain, print_table, print_wrapped

MOST_LOSSES = 12  # lines of each setting
UNMET = "*"  # after a limit
_AS_RECORDED = " (as recorded)"

Part = Mapping[str, Any]


class _Line(NamedTuple):
    """A row of the frontier, as it is named."""

    label: str
    line: Part


_LOSSES_LEGEND = (
    "P and P0: means over the replays that lost the run; the reason is that of the first of these, "
    "and names its own."
)


def print_settings(console: Console, document: Part) -> None:
    present, recommended = document["present"], document["recommended"]
    keys = [k for k in present if k != "enabled" or present[k] != recommended[k]]

    rows = [
        [
            key,
            _shown(document, present, key),
            _shown(document, recommended, key) if recommended != present else "the same",
        ]
        for key in keys
    ]
    columns = ["pruning", f"present\n({document['origin']})", "recommended"]
    print_table(console, columns, rows)


def print_measured(console: Console, document: Part) -> None:
    named = {"present": document["present_measured"]}
    if document["is_better"]:
        named["held out"] = document["recommended_held_out"]
        named["in-sample"] = document["recommended_in_sample"]
    rows = [
        [
            name,
            *_interval(one["compute"]),
            *_interval(one["regret"]),
            f"{one['lost_best']:.0%}",
            f"{one['misses']:.2f}",
            f"{one['stated_misses']:.2f}",
        ]
        for name, one in named.items()
    ]
    titles = [
        "setting",
        "compute",
        "95 %",
        "regret",
        "95 %",
        "lost\nbest",
        "misses",
        "stated",
    ]
    print_table(console, titles, rows)


def print_frontier(console: Console, document: Part) -> None:
    """Compute saved against the stated risk, a row for each limit of regret."""
    lines = _lines(document)
    rows = [
        [
            label,
            f"{line['candidate']['risk']:g}",
            f"{1 - line['in_sample']['compute']['mean']:.3f}",
            f"{line['in_sample']['regret']['mean']:.3f}",
            f"{1 - line['held_out']['compute']['mean']:.3f}",
            *_interval(line["held_out"]["regret"]),
            f"{line['held_out']['misses']:.2f}",
            f"{line['held_out']['stated_misses']:.2f}",
        ]
        for label, line in lines
    ]
    titles = [
        "regret\nat most",
        "risk",
        "in-\nsample\nsaved",
        "\nregret",
        "held\nout\nsaved",
        "\nregret",
        "95 %",
        "misses",
        "stated",
    ]
    print_table(console, titles, rows)
    for label, line in lines:
        changed = changed_keys(document, line["candidate"]) or "the present setting"
        print_wrapped(console, [f"{label}: {changed}; {_optimism(line)}"])
    if any(label.endswith(UNMET) for label, _ in lines):
        print_wrapped(
            console, [f"{UNMET} No setting has so little regret in-sample: the one with the least."]
        )


def _lines(document: Part) -> list[_Line]:
    """Of lines that are equal one, under the tightest limit that it meets."""
    found: list[_Line] = []
    for line in document["frontier"]:
        is_met = line["in_sample"]["regret"]["mean"] <= line["limit"]
        label = f"{line['limit']:g}{'' if is_met else UNMET}"
        if not found or not _is_same(found[-1].line, line):
            found.append(_Line(label, line))
        elif found[-1].label.endswith(UNMET):
            found[-1] = _Line(label, line)
    return found


def line_at(document: Part, limit: float) -> _Line:
    at = next(line for line in document["frontier"] if line["limit"] == limit)
    return next(one for one in _lines(document) if _is_same(one.line, at))


def gained_line(document: Part) -> _Line:
    return line_at(document, document["gained_at"])


def _is_same(line: Part, other: Part) -> bool:
    return all(line[key] == other[key] for key in ("candidate", "held_out"))


def _optimism(line: Part) -> str:
    inside, held = line["in_sample"], line["held_out"]
    saved = held["compute"]["mean"] - inside["compute"]["mean"]
    regret = inside["regret"]["mean"] - held["regret"]["mean"]
    return f"optimism {_signed(saved)} saved, {_signed(regret)} regret"


def print_losses(document: Part, console: Console) -> None:
    """Of each setting the runs that it loses, the most often lost first."""
    parts = {"present": document["present_losses"]}
    if document["recommended"] != document["present"]:
        parts["recommended"] = document["recommended_losses"]
    for name, losses in parts.items():
        console.print()
        if not losses:
            console.print(plain(f"The {name} setting loses no best run in any replay."))
            continue
        console.print(plain(f"Runs that the {name} setting loses, better than any that it keeps"))
        _print_lost_runs(console, losses[:MOST_LOSSES])
        print_wrapped(console, [_LOSSES_LEGEND, *_turned(document)], "dim")
        if len(losses) > MOST_LOSSES:
            console.print(plain(f"and {len(losses) - MOST_LOSSES} more: --json has them", "dim"))


def _print_lost_runs(console: Console, losses: Sequence[Part]) -> None:
    """Below the numbers of each run what it was and why it was stopped."""
    rows = [
        [
            one["run"],
            f.number(one["objective"], 4),
            f.number(one["best_kept"], 4),
            f"{one['regret']:.2f}",
            f"{one['num_replays']} of {one['of_replays']}",
            f.chance(one["probability"]),
            f.chance(one["before"]),
        ]
        for one in losses
    ]
    titles = ["run", "objective", "best\nkept", "regret", "replays", "P", "P0"]
    below = [
        [", ".join(filter(None, (one["study"], f.parameters(one["config"])))), one["reason"]]
        for one in losses
    ]
    print_table(console, titles, rows, below=below)


def _turned(document: Part) -> list[str]:
    """What became of objectives of which more is better."""
    sentences: list[str] = []
    for name, direction in document["metrics"]:
        if direction == "maximize":
            how = " into an error rate, half a question up" if name.endswith("accuracy") else ""
            sentences.append(f"objective, best kept: {name} turned{how}, so that lower is better.")
    return sentences


def changed_keys(document: Part, settings: Part) -> str:
    """As in: risk 0.1 to 0.2, startup 3 to 2. Empty where nothing differs from the base."""
    base = document["base"]
    return ", ".join(
        f"{key} {_shown(document, base, key).removesuffix(_AS_RECORDED)} to {show(settings[key])}"
        for key in settings
        if settings[key] not in (base[key], _known(document, base, key))
    )


def _shown(document: Part, settings: Part, key: str) -> str:
    if settings[key] is not None:
        return show(settings[key])
    known = _known(document, settings, key)
    return _AS_RECORDED.strip(" ()") if known is None else show(known) + _AS_RECORDED


def _known(document: Part, settings: Part, key: str) -> Any:
    """The value, also of a recorded window; None where the sources differ in theirs."""
    recorded = document["recorded_window"]
    stands_for = {"window": recorded["share"], "min_steps": recorded["min_steps"]}
    if settings[key] is not None:
        return settings[key]
    return None if key in document["recorded_differ"] else stands_for[key]


def _interval(found: Part) -> list[str]:
    low, high = found["low"], found["high"]
    ends = f.MISSING if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return [f"{found['mean']:.3f}", ends]


def has_intervals(document: Part) -> bool:
    return document["num_resampled"] >= FEWEST_UNITS


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
