"""The evidence on a terminal: the verdict first, then its numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from predictor.verdicts import NOUNS
from sweep.display import make_console, plain
from sweep.text_table import Column, table_lines

MOST_IN_FULL = 4  # studies; of more only the verdicts, and what is pooled

Part = Mapping[str, Any]


def print_evidence(document: Part, console: Console | None = None) -> None:
    """`document` as evidence_document gives it."""
    console = console or make_console()
    studies: Sequence[Part] = document["studies"]
    console.print(plain(_CONVENTION, "dim"))
    in_full = len(studies) <= MOST_IN_FULL
    for study in studies:
        console.print()
        console.print(plain(_headline(study), "bold"))
        _print_bullets(console, (one["text"] for one in study["verdict"]))
        if in_full:
            _print_signals(console, study)
            if study["new_sets"]:
                _print_sets(
                    console, "new configuration, from", study["new_sets"], study["new_gains"]
                )
            if study["sets"]:
                title = "another seed of it, from" if study["new_sets"] else "left-out run, from"
                _print_sets(console, title, study["sets"], study["gains"])
                console.print(plain(_NATS, "dim"))
        if study["limits"]:
            console.print()
        _print_bullets(console, study["limits"], "dim")
        if study["audits"] and len(studies) > 1:
            _print_audits(console, study["audits"])
    if document["pooled"]:
        console.print()
        console.print(plain(f"Over {len(studies)} studies", "bold"))
        _print_bullets(console, (part["verdict"] for part in document["pooled"]))
        _print_pooled(console, document["pooled"])
    if not in_full:
        text = f"The numbers of each of more than {MOST_IN_FULL} studies: --json, or name fewer."
        console.print(plain(text, "dim"))
    console.print()
    _print_audits(console, document["audits"])


_CONVENTION = (
    "Spearman's rho of a signal with the score (the objective turned so that higher is better, the "
    "early evaluation alike), over finished runs. The paper's direction: negative for the gradient "
    "norm, positive for the training loss."
)


_NATS = "nats: log density of what was left out; gain: over the configuration alone"


def _headline(study: Part) -> str:
    kept, unit = study["kept"], "samples" if study["in_samples"] else "steps"
    return (
        f"{study['name']}: {kept['num_finished']} of {kept['num_runs']} runs, "
        f"window of {study['close']:.0f} {unit}"
    )


def _print_bullets(console: Console, texts: Iterable[str], style: str = "") -> None:
    for text in texts:
        for line in textwrap.wrap(text, console.width, initial_indent="- ", subsequent_indent="  "):
            console.print(plain(line, style))


def _print_table(console: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, the others to the right."""
    columns = [Column(title, right=place > 0) for place, title in enumerate(titles)]
    console.print()
    for row, line in table_lines(columns, rows, console.width):
        console.print(plain(line, "dim" if row is None else ""), soft_wrap=True)


def _print_signals(console: Console, study: Part) -> None:
    rows: list[list[str]] = []
    for signal in study["signals"]:
        alone, given = signal["alone"], signal["given_config"]
        cells = ["-"] * 6
        if alone is not None:
            p_value = "-" if alone["p_value"] is None else f"{alone['p_value']:.2g}"
            cells[:4] = [str(alone["num_runs"]), *_rho(alone), p_value]
        if given is not None:
            cells[4:] = _rho(given)
        rows.append([NOUNS[signal["name"]], *cells])
    titles = ["signal", "runs", "rho", "95 %", "p", "given the\nconfiguration", "95 %"]
    _print_table(console, titles, rows)
    for kind in dict.fromkeys(signal["controls"] for signal in study["signals"]):
        if kind in _CONTROLS:
            console.print(plain(f"given: what {_CONTROLS[kind]} leaves of the ranks", "dim"))


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
        rows.append([one["name"], density, *cells[:2], rank, *cells[2:]])
    beyond = gains.get(("+ early evaluation", "all"))
    if beyond is not None:
        cells = _gain(beyond)
        rows.append(["all over + early evaluation", "", *cells[:2], "", *cells[2:]])
    titles = [title, "nats", "gain", "95 %", "rank corr.", "gain", "95 %"]
    _print_table(console, titles, rows)


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
            NOUNS[part["name"]],
            "configuration" if part["given_config"] else "nothing",
            *_rho(part),
            f"{part['tau']:.2f}",
            f"{part['num_positive']} of {part['num_studies']}",
        ]
        for part in parts
    ]
    titles = ["signal", "given", "rho", "95 %", "sd between\nstudies (z)", "positive in"]
    _print_table(console, titles, rows)


def _print_audits(console: Console, audits: Part | None) -> None:
    if audits is None:
        console.print(plain("No audits are recorded here, so there is no miss rate to state."))
        return
    for kind, rate in audits.items():
        console.print(plain(_audits_sentence(kind, rate)))


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


def _rho(found: Part) -> list[str]:
    return [_signed(found["rho"]), _interval(found["low"], found["high"])]


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:+.2f} to {high:+.2f}"
