"""What the search found, on a terminal: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Callable

from predictor.stats import FEWEST_UNITS
from sweep.analysis.tune_tables import (
    Part,
    changed_keys,
    counted,
    gained_line,
    has_intervals,
    line_at,
    print_frontier,
    print_losses,
    print_measured,
    print_settings,
)
from sweep.config.errors import show
from sweep.report.console import Console, make_console, plain, print_wrapped

_LEGEND = (
    "compute: share of training everything to its end, audits counted; a point is 1 % of that. "
    "regret: the best run kept less the best of all, as a share of median - best. lost best: "
    "replays with a regret above 0.05. misses: pruned runs a replay that would have beaten the "
    "best of that moment, and how many were stated (of the frontier: held out). risk: what the "
    "setting may state of a run that it prunes. optimism: in-sample less held-out."
)


def print_tuning(document: Part, console: Console | None = None) -> None:
    """`document` as tuning_document makes it."""
    console = console or make_console()
    console.print(plain(_headline(document), "bold"))
    print_wrapped(console, document["verdict"])
    print_settings(console, document)
    print_measured(console, document)
    print_frontier(console, document)
    print_losses(document, console)
    console.print()
    print_wrapped(console, [_LEGEND, _held_out(document), *document["limits"]], "dim")


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
    level = f"{100 * document['gained_level']:.3g} %"
    if base != present:
        sentences.append(
            f"The present setting states a risk of {present['risk']:g}, more than asked for; it is "
            f"compared as it would be at {base['risk']:g}."
        )
    against = f"{_compute_against(compute, level)}, at {_regret_against(regret, level)}"
    if document["is_better"]:
        held = document["recommended_held_out"]
        sentences += [
            f"Recommended: {changed_keys(document, document['recommended'])}.",
            f"On runs that it was not chosen on such a setting trained "
            f"{held['compute']['mean']:.1%} of everything at a mean regret of "
            f"{held['regret']['mean']:.3f}: it {against}.",
            _judged(document),
        ]
        return sentences
    kept = "keep it" if base == present else "keep the rest of it"
    why = "No setting is better than the present one beyond its interval"
    if not has_intervals(document):
        why = _too_few(document)
    sentences.append(f"{why}: {kept}.")
    if document["judged"]:
        sentences += [
            f"What is cheapest at a regret of at most {gained_line(document).label} {against}, on "
            "runs that it was not chosen on.",
            _judged(document),
        ]
    return sentences


def _too_few(document: Part) -> str:
    num, over = document["num_resampled"], document["intervals_over"]
    if over == "orders":
        return "So few orders of so few groups tell of no setting that it is better (see --orders)"
    return f"{num} {over} tell of no setting that it is better, which takes {FEWEST_UNITS}"


def _judged(document: Part) -> str:
    """Which lines of the frontier could be recommended, and what their number does to the level."""
    limits = document["judged"]
    labels = [line_at(document, limit).label for limit in limits]
    if len(labels) == 1:
        return (
            f"Judged was the line of the frontier at {labels[0]}, the only one up to "
            f"{document['regret_limit']:g} that is not the present setting."
        )
    listed = ", ".join(labels[:-1]) + f" and {labels[-1]}"
    first = "none is better"
    if document["is_better"]:
        first = f"the first that is better is that at {gained_line(document).label}"
    return (
        f"Judged were the lines of the frontier at {listed}, in this order, and {first}: "
        f"{len(labels)} chances to be wrong, so each interval of a difference is at "
        f"{100 * document['gained_level']:.3g} %."
    )


def _headline(document: Part) -> str:
    groups, runs = counted(document["num_groups"], "group"), counted(document["num_runs"], "run")
    if document["folds_over"] == "seeds":
        groups += f" of {document['num_folds']} seeds"
    orders = counted(document["num_orders"], "order")
    settings = counted(document["num_candidates"], "setting")
    replays = counted(document["num_replays"], "replay")
    return f"{groups}, {runs}, {orders}: {settings} in {replays}"


def _held_out(document: Part) -> str:
    over, resampled = document["folds_over"], document["intervals_over"]
    if resampled == "orders":
        resampled = f"orders of the {'seeds' if over == 'seeds' else 'groups'}"
    units = f"{document['num_resampled']} {resampled}"
    intervals = (
        f"bootstrap over {units}, none where all of them are equal"
        if has_intervals(document)
        else f"none of so few ({units})"
    )
    return (
        f"Held out: {document['num_folds']} folds over {over}; each is measured under the setting "
        f"chosen without it. Intervals: {intervals}. The settings that are named, and "
        "the runs that the recommended one loses, come from everything."
    )


def _compute_against(compute: Part, level: str) -> str:
    mean, within = compute["mean"], _within(compute, level, lambda share: f"{100 * share:.1f}")
    if mean > 0:
        return f"spent {100 * mean:.1f} points more of the compute than the present setting{within}"
    return f"saved {-100 * mean:.1f} points of the compute against the present setting{within}"


def _regret_against(regret: Part, level: str) -> str:
    mean, within = regret["mean"], _within(regret, level, lambda value: f"{value:.3f}")
    if abs(mean) < 0.0005:
        return f"the same regret{within}"
    return f"{abs(mean):.3f} {'more' if mean > 0 else 'less'} regret{within}"


def _within(found: Part, level: str, shown: Callable[[float], str]) -> str:
    """Of a difference that is named by its size, so that of less the ends are turned."""
    low, high = found["low"], found["high"]
    if low is None or high is None:
        return ""
    ends = (-high, -low) if found["mean"] <= 0 else (low, high)
    first, last = (shown(end) for end in ends)
    return f" ({level} {_without_sign_of_0(first)} to {_without_sign_of_0(last)})"


def _without_sign_of_0(shown: str) -> str:
    return shown if shown.strip("-0.") else shown.removeprefix("-")
