"""The evidence on a terminal: the verdict first, then its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from predictor.evidence.verdicts import NOUNS
from sweep.report.console import Console, make_console, plain, print_table, print_wrapped

MOST_IN_FULL = 4  # studies; of more only the verdicts, and what is pooled

Part = Mapping[str, Any]


def print_evidence(document: Part, console: Console | None = None) -> None:
    """`document` as evidence_document gives it. The answer over all studies comes first."""
    console = console or make_console()
    studies: Sequence[Part] = document["studies"]
    if len(studies) > 1:
        console.print(plain(f"Over {len(studies)} studies", "bold"))
        print_wrapped(console, [document["answer"]])
        print_wrapped(console, [_LEGEND], "dim")
        if document["pooled"]:
            _print_pooled(console, document["pooled"])
        if len(studies) > MOST_IN_FULL:
            text = (
                f"The numbers of each of more than {MOST_IN_FULL} studies: --json, or name fewer."
            )
            print_wrapped(console, [text], "dim")
    for study in studies:
        if len(studies) > 1:
            console.print()
        _print_study(console, study, len(studies))
    if document["reliability"] is not None:
        _print_reliability(console, document["reliability"])
    console.print()
    _print_audits(console, document["audits"])


_LEGEND = (
    "The paper (Pareja et al., arXiv 2412.13337) finds that a lower early gradient norm and a "
    "higher early training loss go with a better score: rho below 0, and above 0. rho: Spearman's "
    "correlation with the score, the objective turned so that higher is better, the early "
    "evaluation alike."
)
_NATS = (
    "nats: log density of what was left out; rank corr.: of prediction and score; gain: over the "
    "configuration alone. Intervals of nats and rank corr. themselves, and of more pairs: --json"
)
_SD = "sd of z: of the studies' own correlations beyond chance, on Fisher's scale"


def _print_study(console: Console, study: Part, num_studies: int) -> None:
    print_wrapped(console, [_headline(study)], "bold")
    print_wrapped(console, [study["answer"]])
    if study["kept"]["num_finished"]:
        if num_studies == 1:
            print_wrapped(console, [_LEGEND], "dim")
        # that of the sets is the answer's, and its numbers are in their tables
        _print_bullets(console, (s["text"] for s in study["verdict"] if s["about"] != "sets"))
        if num_studies <= MOST_IN_FULL:
            _print_tables(console, study)
    if study["limits"]:
        console.print()
    _print_bullets(console, study["limits"], "dim")
    if study["audits"] and num_studies > 1:
        _print_audits(console, study["audits"])


def _print_tables(console: Console, study: Part) -> None:
    _print_signals(console, study)
    if len(study["new_sets"]) > 1:
        _print_sets(console, "new configuration,\nfrom", study["new_sets"], study["new_gains"])
    if len(study["sets"]) > 1:
        title = "another seed of it,\nfrom" if study["new_sets"] else "left-out run,\nfrom"
        _print_sets(console, title, study["sets"], study["gains"])
        print_wrapped(console, [_NATS], "dim")


def _headline(study: Part) -> str:
    kept, unit = study["kept"], "samples" if study["in_samples"] else "steps"
    num = study["num_repeats"]
    repeats = f"; {num} repeat{'' if num == 1 else 's'} of the best left out" if num else ""
    return (
        f"{study['name']}: {kept['num_finished']} of {kept['num_runs']} runs, "
        f"window of {study['close']:.0f} {unit}{repeats}"
    )


def _print_bullets(console: Console, texts: Iterable[str], style: str = "") -> None:
    print_wrapped(console, texts, style, bullet="- ")


def _print_signals(console: Console, study: Part) -> None:
    rows: list[list[str]] = []
    for signal in study["signals"]:
        alone, given = signal["alone"], signal["given_config"]
        cells = ["-"] * 5
        if alone is not None:
            cells[:3] = [str(alone["num_runs"]), *_rho(alone)]
        if given is not None:
            cells[3:] = _rho(given)
        rows.append([_noun(signal), *cells])
    titles = ["early signal", "runs", "rho", "95 %", "rho,\ngiven", "95 %"]
    print_table(console, titles, rows)
    _print_controls(console, study["signals"])


def _print_controls(console: Console, signals: Sequence[Part]) -> None:
    """A line for each kind, with the signals of each where there are several."""
    given = [signal for signal in signals if signal["given_config"] is not None]
    kinds = list(dict.fromkeys(signal["controls"] for signal in given))
    for kind in kinds:
        names = ", ".join(_noun(signal) for signal in given if signal["controls"] == kind)
        of = f" ({names})" if len(kinds) > 1 else ""
        text = f"given the configuration{of}: what {_CONTROLS[kind]} leaves of the ranks"
        print_wrapped(console, [text], "dim")


_CONTROLS = {
    "quadratic": "a fit on the configuration, its squares and products",
    "linear": "a straight fit on the configuration",
    "label": "the mean of each configuration (too few for a fit: this is said of seeds)",
}


def _print_sets(console: Console, title: str, sets: Sequence[Part], found: Sequence[Part]) -> None:
    gains = {(gain["base"], gain["name"]): gain for gain in found}
    rows: list[list[str]] = []
    for one in sets:
        cells = _gain(gains.get(("configuration", one["name"])))
        density, rank = f"{one['log_density']:.2f}", _signed(one["rank_correlation"])
        rows.append([one["name"], density, *cells[:2], rank, cells[3]])
    beyond = gains.get(("+ early evaluation", "all"))
    if beyond is not None:
        cells = _gain(beyond)
        rows.append(["all over early eval.", "", *cells[:2], "", cells[3]])
    titles = [title, "nats", "gain", "95 %", "rank\ncorr.", "its gain\n95 %"]
    print_table(console, titles, rows)


def _gain(gain: Part | None) -> list[str]:
    if gain is None:
        return [""] * 4
    return [
        _signed(gain["log_density"]),
        _interval(gain["log_density_low"], gain["log_density_high"]),
        _signed(gain["rank_correlation"]),
        _interval(gain["rank_correlation_low"], gain["rank_correlation_high"]),
    ]


def _print_pooled(console: Console, parts: Sequence[Part]) -> None:
    rows = [
        [
            _noun(part),
            "config." if part["given_config"] else "-",
            *_rho(part),
            f"{part['tau']:.2f}",
            f"{part['num_positive']} of {part['num_studies']}",
        ]
        for part in parts
    ]
    titles = ["early signal", "given", "rho", "95 %", "sd\nof z", "positive\nin"]
    print_table(console, titles, rows)
    print_wrapped(console, [_SD], "dim")


def _print_reliability(console: Console, found: Part) -> None:
    rows = [
        [
            f"{one['low']:.2f} to {one['high']:.2f}",
            str(one["num"]),
            str(one["num_runs"]),
            f"{one['mean_stated']:.3f}",
            f"{one['share']:.3f}",
            f"{one['share_low']:.3f} to {one['share_high']:.3f}",
            f"{one['random_share']:.3f}",
        ]
        for one in found["bins"]
    ]
    if rows:
        titles = ["P of a prune", "prunes", "runs", "mean P", "missed", "95 %", "at\nrandom"]
        print_table(console, titles, rows)
    else:
        console.print()
    text = (
        f"{found['num_prunes']} prunes at {found['num_judged']} windows: what the default settings "
        f"(risk {found['risk']:g}, without audits and max_expected_misses) would have pruned in "
        f"{found['orders']} shuffled orders, all before it trained to their end. P: of a miss, as "
        f"stated; missed: ended better than the best of that moment by {found['min_gain']:g} x "
        "(median - best); at random: of random prunes at the same moments. Intervals count runs, "
        "not prunes."
    )
    print_wrapped(console, [text], "dim")


def _print_audits(console: Console, audits: Part | None) -> None:
    if audits is None:
        print_wrapped(
            console,
            ["No audit is on record here with what it found, so there is no miss rate to state."],
        )
        return
    for kind, rate in audits.items():
        print_wrapped(console, [_audits_sentence(kind, rate)])


def _audits_sentence(kind: str, rate: Part) -> str:
    """As in: 1 of 8 finished audits of rank decisions was a miss: 0.12, 95 % 0.00 to 0.53; the
    mean stated probability was 0.04."""
    of = "rank decisions" if kind == "rank" else "guards"
    if rate["rate"] is None:
        return f"None of {rate['num_audits']} audits of {of} is at its end: no miss rate yet."
    was = "was a miss" if rate["num_misses"] == 1 else "were misses"
    sentence = (
        f"{rate['num_misses']} of {rate['num_finished']} finished audits of {of} {was}: miss rate "
        f"{rate['rate']:.2f}, 95 % {rate['low']:.2f} to {rate['high']:.2f}"
    )
    if rate["mean_stated"] is not None:
        sentence += f"; the mean stated probability was {rate['mean_stated']:.3f}"
    return sentence + "."


def _noun(one: Part) -> str:
    return NOUNS[one["name"]].removeprefix("early ")


def _rho(found: Part) -> list[str]:
    return [_signed(found["rho"]), _interval(found["low"], found["high"])]


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:+.2f} to {high:+.2f}"
