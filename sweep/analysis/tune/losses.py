"""The runs that settings lose: what each was, and why it was stopped."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.tuning.report import Loss
from sweep import formats as f
from sweep.analysis.tune.report import TuneReport
from sweep.report.console import Console, plain, print_table, print_wrapped

MOST_LOSSES = 12  # lines of each setting

_LEGEND = (
    "P and P0: means over the replays that lost the run; the reason is that of the first of these, "
    "and names its own."
)


def print_losses(console: Console, report: TuneReport) -> None:
    """Print the runs that each setting loses, the most often lost first."""
    parts = {"present": report.present_losses}
    if report.recommended != report.present:
        parts["recommended"] = report.recommended_losses
    for name, losses in parts.items():
        console.print()
        if not losses:
            console.print(plain(f"The {name} setting loses no best run in any replay."))
            continue
        console.print(plain(f"Runs that the {name} setting loses, better than any that it keeps"))
        _print_lost_runs(console, losses[:MOST_LOSSES])
        print_wrapped(console, [_LEGEND, *_as_minimized(report)], "dim")
        if len(losses) > MOST_LOSSES:
            console.print(plain(f"and {len(losses) - MOST_LOSSES} more: --json has them", "dim"))


def _print_lost_runs(console: Console, losses: Sequence[Loss]) -> None:
    """Below the numbers of each run what it was and why it was stopped."""
    rows = [
        [
            loss.run,
            f.number(loss.objective, 4),
            f.number(loss.best_kept, 4),
            f"{loss.regret:.2f}",
            f"{loss.num_replays} of {loss.of_replays}",
            f.chance(loss.probability),
            f.chance(loss.before),
        ]
        for loss in losses
    ]
    titles = ["run", "objective", "best\nkept", "regret", "replays", "P", "P0"]
    below = [
        [", ".join(filter(None, (loss.study, f.parameters(loss.config)))), loss.reason]
        for loss in losses
    ]
    print_table(console, titles, rows, below=below)


def _as_minimized(report: TuneReport) -> list[str]:
    """A sentence for each objective of which more is better: what is shown in its place."""
    sentences: list[str] = []
    for name, direction in report.metrics:
        if direction == "maximize":
            is_share = name.endswith("accuracy")
            how = "as an error rate, half a question up" if is_share else "as minimized"
            sentences.append(f"objective, best kept: {name} {how}, so that lower is better.")
    return sentences
