"""The tables of a search for settings: the settings, what they measured, and the frontier."""

from __future__ import annotations

from predictor.tuning.report import Interval
from sweep import formats as f
from sweep.analysis.tune.names import UNMET, changed_keys, named_lines, setting
from sweep.analysis.tune.report import FrontierLine, TuneReport
from sweep.report.console import Console, print_table, print_wrapped


def print_settings(console: Console, report: TuneReport) -> None:
    """Print present and recommended, key by key."""
    present, recommended = report.present, report.recommended
    keys = [key for key in present if key != "enabled" or present[key] != recommended[key]]
    rows = [
        [
            key,
            setting(report, present, key),
            setting(report, recommended, key) if recommended != present else "the same",
        ]
        for key in keys
    ]
    print_table(console, ["pruning", f"present\n({report.origin})", "recommended"], rows)


def print_measured(console: Console, report: TuneReport) -> None:
    """What the settings did, a row each."""
    named = {"present": report.present_measured}
    if report.is_better:
        named["held out"] = report.recommended_held_out
        named["in-sample"] = report.recommended_in_sample
    rows = [
        [
            name,
            *_interval(one.compute),
            *_interval(one.regret),
            f"{one.lost_best:.0%}",
            f"{one.misses:.2f}",
            f"{one.stated_misses:.2f}",
        ]
        for name, one in named.items()
    ]
    titles = ["setting", "compute", "95 %", "regret", "95 %", "lost\nbest", "misses", "stated"]
    print_table(console, titles, rows)


def print_frontier(console: Console, report: TuneReport) -> None:
    """Print compute saved against the stated risk, a row for each limit of regret."""
    lines = named_lines(report)
    rows = [
        [
            label,
            f"{line.candidate['risk']:g}",
            f"{1 - line.in_sample.compute.mean:.3f}",
            f"{line.in_sample.regret.mean:.3f}",
            f"{1 - line.held_out.compute.mean:.3f}",
            *_interval(line.held_out.regret),
            f"{line.held_out.misses:.2f}",
            f"{line.held_out.stated_misses:.2f}",
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
        changed = changed_keys(report, line.candidate) or "the present setting"
        print_wrapped(console, [f"{label}: {changed}; {_optimism(line)}"])
    if any(label.endswith(UNMET) for label, _ in lines):
        text = f"{UNMET} No setting has so little regret in-sample: the one with the least."
        print_wrapped(console, [text])


def _optimism(line: FrontierLine) -> str:
    inside, held = line.in_sample, line.held_out
    saved = held.compute.mean - inside.compute.mean
    regret = inside.regret.mean - held.regret.mean
    return f"optimism {saved:+.3f} saved, {regret:+.3f} regret"


def _interval(found: Interval) -> list[str]:
    has_ends = found.low is not None and found.high is not None
    ends = f"{found.low:.3f} to {found.high:.3f}" if has_ends else f.MISSING
    return [f"{found.mean:.3f}", ends]
