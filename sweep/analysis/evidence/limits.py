"""Sentences: what the numbers of evidence leave out, what replicates can and cannot tell."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.evidence.evidence import StudyEvidence
from sweep.analysis.evidence.sentences import NOUNS
from sweep.formats import capital, counted

WHY_MISSING = {
    "grad_norm_noise_free": "it is missing where noise drowns it, so not at random",
}
MOST_NAMES = 4  # of runs


def limits(evidence: StudyEvidence) -> list[str]:
    """What the numbers are not over, and what replicates can and cannot tell."""
    kept, said = evidence.kept, list[str]()
    if kept.pruned_by_rank:
        num, ahead = len(kept.pruned_by_rank), kept.num_pruned_ahead
        chosen = (
            ""
            if ahead is None
            else (
                f" ({ahead} of the {num} had an early evaluation better than the median of these)"
            )
        )
        said.append(
            f"{num} of {kept.num_runs} runs were pruned by rank or given up and have no score: "
            f"correlations are over the {kept.num_finished} that ended, which were chosen by these "
            f"very signals{chosen}: a narrower range, in which they are mostly weaker."
        )
    for signal in evidence.signals:
        num = kept.num_finished - signal.num_missing
        if signal.name in (evidence.norm, "loss", "early_eval") and 0 < num < kept.num_finished:
            of_all = counted(kept.num_finished, "run")
            why = WHY_MISSING.get(signal.name, "the others are not in its correlation")
            said.append(f"{capital(NOUNS[signal.name])}: only {num} of {of_all} have it; {why}.")
    if kept.num_weighted:
        said.append(
            f"{counted(kept.num_weighted, 'run')} taken to the end by an audit, weighted by one "
            "over the audit's probability: they stand for the pruned ones too."
        )
    for names, what in (
        (kept.pruned_by_guard, "ended by a guard, without a score"),
        (kept.not_finite, "trained to the end with a score that is not finite"),
        (kept.unfinished, "failed or not trained to the end"),
        (kept.without_window, "finished without a window"),
        (kept.other_phase, "finished, but with a window that closed on other data"),
    ):
        if names:
            said.append(f"Left out: {counted(len(names), 'run')} {what}: {_listed(names)}.")
    num_replicates = kept.num_finished - kept.num_configs
    if num_replicates:
        text = (
            f"{kept.num_finished} finished runs are of {kept.num_configs} configurations: "
            "intervals resample configurations, as replicates are no new evidence."
        )
        if any(signal.controls == "label" for signal in evidence.signals):
            text += (
                " With so few, what holds given the configuration is said of seeds of the same one,"
                " never of another configuration."
            )
        said.append(text)
    return said


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
