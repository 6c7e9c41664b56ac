"""The evidence on a terminal: the verdict first, then its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from predictor.evidence.correlations import Correlation
from predictor.evidence.evidence import SignalEvidence
from predictor.evidence.nested import SetGain, SetWorth
from predictor.evidence.pooling import Pooled
from predictor.evidence.reliability import MissRate
from sweep.analysis.evidence.report import (
    EvidenceReport,
    GroupEvidence,
    MissRates,
    PooledSignal,
    Reliability,
)
from sweep.analysis.evidence.sentences import NOUNS
from sweep.formats import counted
from sweep.report.console import Console, make_console, plain, print_table, print_wrapped

MOST_IN_FULL = 4  # groups; of more only the verdicts, and what is pooled

_LEGEND = (
    "The paper (Pareja et al., arXiv 2412.13337) finds that a lower early gradient norm and a "
    "higher early training loss go with a better score: rho below 0, and above 0. rho: Spearman's "
    "correlation with the score, the objective as maximized (higher is better), the early "
    "evaluation alike."
)
_NATS = (
    "nats: log density of what was left out; rank corr.: of prediction and score; gain: over the "
    "configuration alone. Intervals of nats and rank corr. themselves, and of more pairs: --json"
)
_SD = "sd of z: of the studies' own correlations beyond chance, on Fisher's scale"
_CONTROLS = {
    "quadratic": "a fit on the configuration, its squares and products",
    "linear": "a straight fit on the configuration",
    "label": "the mean of each configuration (too few for a fit: this is said of seeds)",
}


def print_evidence(report: EvidenceReport, console: Console | None = None) -> None:
    """Print the report, on standard output if no `console` is given; of several groups what holds
    over all first."""
    console = console or make_console()
    studies = report.studies
    if len(studies) > 1:
        console.print(plain(f"Over {len(studies)} studies", "bold"))
        print_wrapped(console, [report.answer])
        print_wrapped(console, [_LEGEND], "dim")
        if report.pooled:
            _print_pooled(console, report.pooled)
        if len(studies) > MOST_IN_FULL:
            text = (
                f"The numbers of each of more than {MOST_IN_FULL} studies: --json, or name fewer."
            )
            print_wrapped(console, [text], "dim")
    for study in studies:
        if len(studies) > 1:
            console.print()
        _print_study(console, study, len(studies))
    if report.reliability is not None:
        _print_reliability(console, report.reliability)
    console.print()
    _print_audits(console, report.audits)


def _print_study(console: Console, study: GroupEvidence, num_studies: int) -> None:
    print_wrapped(console, [_headline(study)], "bold")
    print_wrapped(console, [study.answer])
    if study.kept.num_finished:
        if num_studies == 1:
            print_wrapped(console, [_LEGEND], "dim")
        # that of the sets is the answer's, and its numbers are in their tables
        _print_bullets(console, (one.text for one in study.verdict if one.about != "sets"))
        if num_studies <= MOST_IN_FULL:
            _print_tables(console, study)
    if study.limits:
        console.print()
    _print_bullets(console, study.limits, "dim")
    if study.audits and num_studies > 1:
        _print_audits(console, study.audits)


def _print_tables(console: Console, study: GroupEvidence) -> None:
    _print_signals(console, study.signals)
    if len(study.new_sets) > 1:
        _print_sets(console, "new configuration,\nfrom", study.new_sets, study.new_gains)
    if len(study.sets) > 1:
        title = "another seed of it,\nfrom" if study.new_sets else "left-out run,\nfrom"
        _print_sets(console, title, study.sets, study.gains)
        print_wrapped(console, [_NATS], "dim")


def _headline(study: GroupEvidence) -> str:
    kept, unit = study.kept, "samples" if study.in_samples else "steps"
    num = study.num_repeats
    left_out = f"; {counted(num, 'replicate')} of the best left out" if num else ""
    return (
        f"{study.name}: {kept.num_finished} of {kept.num_runs} runs, "
        f"window of {study.close:.0f} {unit}{left_out}"
    )


def _print_bullets(console: Console, texts: Iterable[str], style: str = "") -> None:
    print_wrapped(console, texts, style, bullet="- ")


def _print_signals(console: Console, signals: Sequence[SignalEvidence]) -> None:
    rows: list[list[str]] = []
    for signal in signals:
        cells = ["-"] * 5
        if signal.alone is not None:
            cells[:3] = [str(signal.alone.num_runs), *_rho(signal.alone)]
        if signal.given_config is not None:
            cells[3:] = _rho(signal.given_config)
        rows.append([_noun(signal.name), *cells])
    titles = ["early signal", "runs", "rho", "95 %", "rho,\ngiven", "95 %"]
    print_table(console, titles, rows)
    _print_controls(console, signals)


def _print_controls(console: Console, signals: Sequence[SignalEvidence]) -> None:
    """A line for each kind, with the signals of each where there are several."""
    given = [signal for signal in signals if signal.given_config is not None]
    kinds = list(dict.fromkeys(signal.controls for signal in given))
    for kind in kinds:
        names = ", ".join(_noun(signal.name) for signal in given if signal.controls == kind)
        of = f" ({names})" if len(kinds) > 1 else ""
        text = f"given the configuration{of}: what {_CONTROLS[kind]} leaves of the ranks"
        print_wrapped(console, [text], "dim")


def _print_sets(
    console: Console, title: str, sets: Sequence[SetWorth], found: Sequence[SetGain]
) -> None:
    gains = {(gain.base, gain.name): gain for gain in found}
    rows: list[list[str]] = []
    for one in sets:
        cells = _gain(gains.get(("configuration", one.name)))
        density, rank = f"{one.log_density:.2f}", _signed(one.rank_correlation)
        rows.append([one.name, density, *cells[:2], rank, cells[3]])
    beyond = gains.get(("+ early evaluation", "all"))
    if beyond is not None:
        cells = _gain(beyond)
        rows.append(["all over early eval.", "", *cells[:2], "", cells[3]])
    titles = [title, "nats", "gain", "95 %", "rank\ncorr.", "its gain\n95 %"]
    print_table(console, titles, rows)


def _gain(gain: SetGain | None) -> list[str]:
    if gain is None:
        return [""] * 4
    return [
        _signed(gain.log_density),
        _interval(gain.log_density_low, gain.log_density_high),
        _signed(gain.rank_correlation),
        _interval(gain.rank_correlation_low, gain.rank_correlation_high),
    ]


def _print_pooled(console: Console, pooled: Sequence[PooledSignal]) -> None:
    rows = [
        [
            _noun(one.name),
            "config." if one.given_config else "-",
            *_rho(one),
            f"{one.tau:.2f}",
            f"{one.num_positive} of {one.num_studies}",
        ]
        for one in pooled
    ]
    titles = ["early signal", "given", "rho", "95 %", "sd\nof z", "positive\nin"]
    print_table(console, titles, rows)
    print_wrapped(console, [_SD], "dim")


def _print_reliability(console: Console, found: Reliability) -> None:
    rows = [
        [
            f"{one.low:.2f} to {one.high:.2f}",
            str(one.num),
            str(one.num_runs),
            f"{one.mean_stated:.3f}",
            f"{one.share:.3f}",
            f"{one.share_low:.3f} to {one.share_high:.3f}",
            f"{one.random_share:.3f}",
        ]
        for one in found.bins
    ]
    if rows:
        titles = ["P of a prune", "prunes", "runs", "mean P", "missed", "95 %", "at\nrandom"]
        print_table(console, titles, rows)
    else:
        console.print()
    text = (
        f"{found.num_prunes} prunes at {found.num_judged} windows: what the default settings "
        f"(risk {found.risk:g}, without audits and max_expected_misses) would have pruned in "
        f"{found.orders} shuffled orders, each judged from the runs before it, trained to their "
        "end. P: of a miss, as stated; missed: ended better than the best of that moment by "
        f"{found.min_gain:g} x (median - best); at random: of random prunes at the same moments. "
        "Intervals count runs, not prunes."
    )
    print_wrapped(console, [text], "dim")


def _print_audits(console: Console, audits: MissRates | None) -> None:
    if audits is None:
        text = "No audit is on record here with what it found, so there is no miss rate to state."
        print_wrapped(console, [text])
        return
    print_wrapped(console, (_audits_sentence(kind, rate) for kind, rate in audits.items()))


def _audits_sentence(kind: str, found: MissRate) -> str:
    """As in: 1 of 8 finished audits of rank decisions was a miss: miss rate 0.12, 95 % 0.00 to
    0.53; the mean stated probability was 0.040."""
    of = "rank decisions" if kind == "rank" else "guards"
    if found.rate is None:
        return f"None of {found.num_audits} audits of {of} is at its end: no miss rate yet."
    was = "was a miss" if found.num_misses == 1 else "were misses"
    sentence = (
        f"{found.num_misses} of {found.num_finished} finished audits of {of} {was}: miss rate "
        f"{found.rate:.2f}, 95 % {found.low:.2f} to {found.high:.2f}"
    )
    if found.mean_stated is not None:
        sentence += f"; the mean stated probability was {found.mean_stated:.3f}"
    return sentence + "."


def _noun(signal: str) -> str:
    return NOUNS[signal].removeprefix("early ")


def _rho(found: Correlation | Pooled) -> list[str]:
    return [_signed(found.rho), _interval(found.low, found.high)]


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _interval(low: float | None, high: float | None) -> str:
    """A dash where there are too few configurations for one."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return "-"
    return f"{low:+.2f} to {high:+.2f}"
