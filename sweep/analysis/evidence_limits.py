"""What the numbers of evidence are not over, and what repeats can and cannot tell, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.evidence.evidence import StudyEvidence
from sweep.analysis.evidence_sentences import NOUNS, capital, runs

WHY_MISSING = {
    "grad_norm_noise_free": "it is missing where noise drowns it, so not at random",
}
MOST_NAMES = 4  # of runs


def limits(evidence: StudyEvidence) -> list[str]:
    """What the numbers are not over, and what repeats can and cannot tell."""
    kept, said = evidence.kept, list[str]()
    if kept.pruned_by_rank:
        num = len(kept.pruned_by_rank)
        said.append(
            f"{num} of {kept.num_runs} runs were pruned by rank and have no score: correlations "
            "are over what was kept, a narrower range, in which they are mostly weaker."
        )
    for signal in evidence.signals:
        num = kept.num_finished - signal.num_missing
        if signal.name in (evidence.norm, "loss", "early_eval") and 0 < num < kept.num_finished:
            said.append(
                f"{capital(NOUNS[signal.name])}: only {num} of {runs(kept.num_finished)} have "
                f"it; {WHY_MISSING.get(signal.name, 'the others are not in its correlation')}."
            )
    if kept.num_weighted:
        said.append(
            f"{runs(kept.num_weighted)} taken to the end by an audit, weighted by one over the "
            "audit's probability: they stand for the pruned ones too."
        )
    for names, what in (
        (kept.pruned_by_guard, "ended by a guard, without a score"),
        (kept.not_finite, "trained to the end with a score that is not finite"),
        (kept.unfinished, "failed or not trained to the end"),
        (kept.without_window, "finished without a window"),
        (kept.other_phase, "finished, but with a window that closed on other data"),
    ):
        if names:
            said.append(f"Left out: {runs(len(names))} {what}: {_listed(names)}.")
    repeats = kept.num_finished - kept.num_configs
    if repeats:
        text = (
            f"{kept.num_finished} finished runs are of {kept.num_configs} configurations: "
            "intervals resample configurations, as repeats are no new evidence."
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
