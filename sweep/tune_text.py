"""What the search found, on a terminal: the verdict first, then what it rests on."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from sweep import formats as f
from sweep.complaints import show
from sweep.display import make_console, plain
from sweep.text_table import Column, table_lines

MOST_LOSSES = 12  # lines of each setting

Part = Mapping[str, Any]

_LEGEND = (
    "compute: share of training everything to its end, audits counted. regret: the best run kept "
    "less the best of all, as a share of median - best. lost best: replays with a regret above "
    "0.05. misses: pruned runs a replay that would have beaten the best of that moment, and how "
    "many were stated (of the frontier: held out). risk: what the setting may state of a run that "
    "it prunes. optimism: in-sample less held-out."
)


def print_tuning(document: Part, console: Console | None = None) -> None:
    """`document` as tuning_document makes it."""
    console = console or make_console()
    console.print(plain(_headline(document), "bold"))
    _print_wrapped(console, document["verdict"])
    _print_settings(console, document)
    _print_measured(console, document)
    _print_frontier(console, document)
    print_losses(document, console)
    console.print()
    _print_wrapped(console, [_LEGEND, _held_out(document), *document["limits"]], "dim")


def print_changes(written: Part, is_better: bool, console: Console | None = None) -> None:
    console = console or make_console()
    console.print()
    if not written["changes"]:
        why = "it has these settings" if is_better else "the present settings stay"
        console.print(plain(f"{written['file']} was left as it is: {why}"))
        return
    console.print(plain(f"{written['file']}:"))
    for change in written["changes"]:
        was = show(change["was"]) + (" (default)" if change["is_new"] else "")
        console.print(plain(f"  {change['key']}: {was} -> {show(change['now'])}"))


def verdict(document: Part) -> list[str]:
    """What to do, and what it is worth where it was not fitted."""
    present, base = document["present"], document["base"]
    compute, regret = document["compute_gained"], document["regret_gained"]
    sentences: list[str] = []
    if base != present:
        sentences.append(
            f"The present setting states a risk of {present['risk']:g}, more than asked for; it is "
            f"compared as it would be at {base['risk']:g}."
        )
    against = (
        f"{_points(compute['mean'])} of the compute against the present setting"
        f"{_within(compute, _points)} at {_signed(regret['mean'])} of regret"
        f"{_within(regret, _signed)}"
    )
    if document["is_better"]:
        held = document["recommended_held_out"]
        sentences += [
            f"Recommended: {_changed(document, document['recommended'])}.",
            f"On runs that it was not chosen on such a setting trained "
            f"{held['compute']['mean']:.1%} of everything at a mean regret of "
            f"{held['regret']['mean']:.3f}: {against}.",
        ]
        return sentences
    kept = "keep it" if base == present else "keep the rest of it"
    why = "No setting is better than the present one beyond its interval"
    if not _has_intervals(document):
        why = "So few orders of so few groups tell of no setting that it is better (see --orders)"
    sentences.append(f"{why}: {kept}.")
    if _main_line(document)["candidate"] != base:
        sentences.append(
            f"What is cheapest at a regret of at most {document['regret_limit']:g} came to "
            f"{against}, on runs that it was not chosen on."
        )
    return sentences


def _main_line(document: Part) -> Part:
    return next(line for line in document["frontier"] if line["limit"] == document["regret_limit"])


def _headline(document: Part) -> str:
    groups, runs = _count(document["num_groups"], "group"), _count(document["num_runs"], "run")
    orders = _count(document["num_orders"], "order")
    settings = _count(document["num_candidates"], "setting")
    replays = _count(document["num_replays"], "replay")
    return f"{groups}, {runs}, {orders}: {settings} in {replays}"


def _held_out(document: Part) -> str:
    over, what = document["folds_over"], document["intervals_over"]
    units = "groups" if what == "groups" else "the orders of the groups"
    intervals = f"bootstrap over {units}" if _has_intervals(document) else "none of so few orders"
    return (
        f"Held out: {document['num_folds']} folds over {over}; each is measured under the setting "
        f"chosen without it. Intervals: {intervals}. The settings that are named, and "
        "the runs that the recommended one loses, come from everything."
    )


def _print_settings(console: Console, document: Part) -> None:
    present, recommended = document["present"], document["recommended"]
    keys = [k for k in present if k != "enabled" or present[k] != recommended[k]]

    def shown(settings: Part, key: str) -> str:
        as_recorded = " (as recorded)" if settings[key] is None else ""
        return show(_known(document, settings, key)) + as_recorded

    rows = [
        [
            key,
            shown(present, key),
            shown(recommended, key) if recommended != present else "the same",
        ]
        for key in keys
    ]
    columns = ["pruning", f"present\n({document['origin']})", "recommended"]
    _print_table(console, columns, rows)


def _print_measured(console: Console, document: Part) -> None:
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
    _print_table(console, titles, rows)


def _print_frontier(console: Console, document: Part) -> None:
    """Compute saved against the stated risk, a row for each limit of regret; equal settings of
    several limits in one, under the highest."""
    lines: Sequence[Part] = document["frontier"]
    last = [
        line
        for line, after in zip(lines, [*lines[1:], None], strict=True)
        if after is None
        or (line["candidate"], line["held_out"]) != (after["candidate"], after["held_out"])
    ]
    rows = [
        [
            f"{line['limit']:g}",
            f"{line['candidate']['risk']:g}",
            f"{1 - line['in_sample']['compute']['mean']:.3f}",
            f"{line['in_sample']['regret']['mean']:.3f}",
            f"{1 - line['held_out']['compute']['mean']:.3f}",
            *_interval(line["held_out"]["regret"]),
            f"{line['held_out']['misses']:.2f}",
            f"{line['held_out']['stated_misses']:.2f}",
        ]
        for line in last
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
    _print_table(console, titles, rows)
    for line in last:
        changed = _changed(document, line["candidate"]) or "the present setting"
        _print_wrapped(console, [f"{line['limit']:g}: {changed}; {_optimism(line)}"])


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
    _print_table(console, titles, rows, below=below)


def _changed(document: Part, settings: Part) -> str:
    """As in: risk 0.1 to 0.2, startup 3 to 2. Empty where nothing differs from the base."""
    base = document["base"]
    return ", ".join(
        f"{key} {show(_known(document, base, key))} to {show(settings[key])}"
        for key in settings
        if settings[key] not in (base[key], _known(document, base, key))
    )


def _known(document: Part, settings: Part, key: str) -> Any:
    """The value, also of a recorded window."""
    recorded = document["recorded_window"]
    stands_for = {"window": recorded["share"], "min_steps": recorded["min_steps"]}
    return stands_for[key] if settings[key] is None else settings[key]


def _print_table(
    console: Console,
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    below: Sequence[Sequence[str | None]] = (),
) -> None:
    """The first column to the left, the others to the right; `below`: texts under each row."""
    columns = [Column(title, right=place > 0) for place, title in enumerate(titles)]
    console.print()
    for row, line in table_lines(columns, rows, console.width):
        console.print(plain(line, "dim" if row is None else ""), soft_wrap=True)
        if row is not None and below:
            _print_wrapped(console, filter(None, below[row]), indent="  ")


def _print_wrapped(
    console: Console, texts: Iterable[str], style: str = "", indent: str = ""
) -> None:
    for text in texts:
        for line in textwrap.wrap(
            text,
            console.width,
            break_on_hyphens=False,
            initial_indent=indent,
            subsequent_indent=indent,
        ):
            console.print(plain(line, style))


def _interval(found: Part) -> list[str]:
    low, high = found["low"], found["high"]
    ends = f.MISSING if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return [f"{found['mean']:.3f}", ends]


def _within(found: Part, shown: Callable[[float], str]) -> str:
    low, high = found["low"], found["high"]
    return "" if low is None or high is None else f" (95 % {shown(low)} to {shown(high)})"


def _has_intervals(document: Part) -> bool:
    return document["compute_gained"]["low"] is not None


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _points(share: float) -> str:
    return f"{100 * share:+.1f} %"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
