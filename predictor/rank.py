"""The first rule: prune the worse half of the cohort by its ranks at the window.

Start order of the feasibility study: 2 x rank(early evaluation) + rank(log gradient norm).
Known weakness: it hard-codes that a lower early evaluation and a lower gradient norm are better.
The first nearly always holds; the second is the finding of Pareja et al. (arXiv 2412.13337), and
its sign flips between workloads. The sign will be learned from the study's own finished runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from predictor.types import CohortTrial, Verdict, WindowSignals

Norm = Literal["grad_norm_noise_free", "grad_norm"]
NORM_WORDS = {
    "grad_norm_noise_free": "noise-free gradient norm",
    "grad_norm": "raw gradient norm",
}


def rank_rule(trial: CohortTrial, others: Sequence[CohortTrial], startup: int) -> Verdict:
    """prune | continue for a trial at its window, against `others` (without it, in any order).

    The cohort is the trial and those with a window at the same number of samples that closed in
    the same phase: what was trained on other data is not compared. Nothing is pruned until
    `startup` others of the cohort have been trained to the end. A trial is pruned if its score is
    strictly above the median of the cohort's scores, so identical trials all go on.
    """
    own = trial.window
    if own is None:
        return _not_judged("no window was measured, nothing to judge by")
    alike = [(t, t.window) for t in others if t.window and t.window.samples == own.samples]
    peers = [(t, window) for t, window in alike if window.phase == own.phase]
    num_elsewhere = len(alike) - len(peers)
    num_complete = sum(t.objective is not None for t, _ in peers)
    if num_complete < startup:
        return _not_judged(
            f"waiting for complete runs: {num_complete} of the {startup} needed before any is "
            f"pruned by rank{_apart(own, num_elsewhere)}"
        )
    comparison = compare(own, [window for _, window in peers], startup)
    return Verdict(
        action="prune" if comparison.score > comparison.median_score else "continue",
        kind="rank",
        reason=_reason(comparison, startup) + _apart(own, num_elsewhere),
        evidence={
            "rule": "rank",
            "samples": own.samples,
            "phase": own.phase,
            "in_other_phases": num_elsewhere,
            "complete": num_complete,
            "startup": startup,
            **_evidence(comparison),
        },
    )


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of a trial and where it stands among those compared (average ranks, 1 is best)."""

    value: float
    rank: float
    place: str  # "7th", or "joint 7th" among equals


@dataclass(frozen=True, slots=True)
class Comparison:
    """A trial against its cohort, on one norm. Lower scores are better."""

    num_trials: int  # compared, this one included
    norm_name: Norm
    norm: Signal
    early_eval: Signal | None  # None: left out, as it is missing in some trial
    num_without_early_eval: int
    score: float
    median_score: float
    place: str  # of the score


def compare(own: WindowSignals, peers: Sequence[WindowSignals], startup: int) -> Comparison:
    """Ranks and score of `own` among itself and `peers`.

    One norm for all: the noise-free one if this trial and at least `startup` others (and at least
    one) have it, and then only those are compared; else the raw one over all. The two are never
    mixed. A trial without an early evaluation among those compared: the norm alone decides.
    Known weakness: the noise-free norm goes missing where noise dominates, not at random.
    """
    norm_name = choose_norm(own, peers, startup)
    windows = [own, *(w for w in peers if getattr(w, norm_name) is not None)]  # own is at 0
    norms = np.array([getattr(w, norm_name) for w in windows], dtype=np.float64)  # (num_trials,)
    scores = norm_ranks = ranks(norms)  # rank(log norm) is rank(norm)
    early = [w.early_eval for w in windows if w.early_eval is not None]
    early_eval = None
    if len(early) == len(windows):
        early_evals = np.array(early, dtype=np.float64)
        early_ranks = ranks(early_evals)
        scores = 2 * early_ranks + norm_ranks
        early_eval = Signal(early[0], float(early_ranks[0]), place_of_first(early_evals))
    return Comparison(
        num_trials=len(windows),
        norm_name=norm_name,
        norm=Signal(float(norms[0]), float(norm_ranks[0]), place_of_first(norms)),
        early_eval=early_eval,
        num_without_early_eval=len(windows) - len(early),
        score=float(scores[0]),
        median_score=float(np.median(scores)),
        place=place_of_first(scores),
    )


def choose_norm(own: WindowSignals, peers: Sequence[WindowSignals], startup: int) -> Norm:
    """The norm on which `own` can be compared with enough others: see `compare`."""
    num_peers = sum(w.grad_norm_noise_free is not None for w in peers)
    enough = own.grad_norm_noise_free is not None and num_peers >= max(1, startup)
    return "grad_norm_noise_free" if enough else "grad_norm"


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ascending ranks from 1, equal values share their mean rank; non-finite ones are equal, last.

    As scipy.stats.rankdata(method="average") on finite values. Shapes: (n,) -> (n,).
    """
    finite_or_last = np.where(np.isfinite(values), values, np.inf)
    ordered = np.sort(finite_or_last)
    num_below = np.searchsorted(ordered, finite_or_last, side="left")
    num_up_to = np.searchsorted(ordered, finite_or_last, side="right")
    return (num_below + num_up_to + 1) / 2


def place_of_first(values: NDArray[np.float64]) -> str:
    """The first value's place for people: "7th", or "joint 7th" if another value is equal to it."""
    all_ranks = ranks(values)
    num_below = int(np.sum(all_ranks < all_ranks[0]))
    is_joint = int(np.sum(all_ranks == all_ranks[0])) > 1
    return f"joint {ordinal(num_below + 1)}" if is_joint else ordinal(num_below + 1)


def ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _not_judged(reason: str) -> Verdict:
    return Verdict(action="continue", kind="none", reason=reason)


def _apart(own: WindowSignals, num_elsewhere: int) -> str:
    """Whom a window was not compared with, as it closed on other data."""
    if num_elsewhere == 0:
        return ""
    trials = "1 trial" if num_elsewhere == 1 else f"{num_elsewhere} trials"
    here = f"phase {own.phase}" if own.phase else "all data together"
    return f"; not compared with {trials} of another phase, as this window closed in {here}"


def _reason(comparison: Comparison, startup: int) -> str:
    c = comparison
    norm = f"{NORM_WORDS[c.norm_name]} {_number(c.norm.value)} ({c.norm.place})"
    if c.early_eval is None:
        missing = f"{c.num_without_early_eval} of {c.num_trials} have no early evaluation"
        signals = f"{norm} alone, as {missing}"
    else:
        # a loss: of an accuracy it is the error rate
        early = f"early evaluation as a loss {_number(c.early_eval.value)} ({c.early_eval.place})"
        signals = f"{early}, {norm}"
    if c.score > c.median_score:
        runs = "1 run is" if startup == 1 else f"{startup} runs are"
        outcome = f"the worse half is pruned once {runs} complete"
    else:
        outcome = "not in the worse half"
    return f"{c.place} of {c.num_trials} at the window: {signals}; {outcome}"


def _evidence(comparison: Comparison) -> dict[str, Any]:
    early = comparison.early_eval
    return {
        "cohort_size": comparison.num_trials,
        "norm": comparison.norm_name,
        "norm_value": _finite_or_none(comparison.norm.value),
        "norm_rank": comparison.norm.rank,
        "early_eval_value": None if early is None else _finite_or_none(early.value),
        "early_eval_rank": None if early is None else early.rank,
        "score": comparison.score,
        "median_score": comparison.median_score,
    }


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "not finite"


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
