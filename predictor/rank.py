"""The rule at the window: prune what is unlikely to beat the incumbent, and say how unlikely."""

from __future__ import annotations

import math
from collections.abc import Sequence

from predictor.features import NOISE_FREE
from predictor.model import OURS, Forecast, forecast
from predictor.prior import Prior, paper_prior
from predictor.regression import Family
from predictor.types import CohortTrial, Settings, Verdict, WindowSignals

SHARE_OF_P0 = 0.5  # P by the signals may be at most this share of P0
SHARE_OF_REST = 0.25  # P may be at most this share of the expected misses that are still free


def rank_rule(
    trial: CohortTrial,
    others: Sequence[CohortTrial],
    settings: Settings,
    prior: Prior | None = None,
    family: Family = OURS,
) -> Verdict:
    """The verdict, prune or continue, on a trial at its window, against `others` (without it, in
    any order).

    The cohort is the trial and those with a window at the same number of samples that closed in
    the same phase: what was trained on other data is not compared. Nothing is pruned until
    `startup` others of the cohort have been trained to the end. Pruned is a trial with
    P < risk, and P at most a quarter of what the study's earlier unaudited prunes have left of
    `max_expected_misses`, and whose signals and configuration by themselves at least halve P0. P is
    the probability that it beats the best finished trial by min_gain x (median - best), and P0 the
    same before it is looked at: with many finished trials any newcomer is unlikely to be the best,
    and that alone is no prediction. The quarter spends the misses where they are cheap, and never
    all of them.
    `prior`: the paper's where None. `family`: the models, fewer of them for a control.
    """
    own = trial.window
    if own is None:
        return _not_judged("no window was measured, nothing to judge by")
    samples, phase = own.samples, own.phase
    alike = [t for t in others if t.window is not None and t.window.samples == samples]
    cohort = [t for t in alike if t.window is not None and t.window.phase == phase]
    num_elsewhere = len(alike) - len(cohort)
    apart = _apart(own, num_elsewhere)
    num_finished = sum(t.is_finished for t in cohort)
    if num_finished == 0:
        return _not_judged(
            f"no finished trial yet: there is only a prior, which prunes none{apart}"
        )
    if num_finished < settings.startup:
        return _not_judged(
            f"waiting for finished trials: {num_finished} of the {settings.startup} needed before "
            f"any is pruned by rank{apart}"
        )
    found = forecast(
        trial,
        cohort,
        min_gain=settings.min_gain,
        startup=settings.startup,
        prior=paper_prior(settings.prior_strength) if prior is None else prior,
        family=family,
    )
    if found is None:
        tie = "1 trial is" if num_finished == 1 else f"{num_finished} trials are"
        return _not_judged(f"ties: {tie} finished, the median no worse than the best{apart}")
    spent = math.fsum(t.expected_miss for t in others)
    hindrance = _hindrance(found, spent, settings)
    return Verdict(
        action="continue" if hindrance else "prune",
        kind="rank",
        reason=_reason(found, hindrance, settings) + apart,
        probability=found.probability,
        evidence={
            "rule": "rank",
            "samples": own.samples,
            "phase": own.phase,
            "in_other_phases": num_elsewhere,
            "expected_misses_before": spent,
            **found.to_json(),
        },
    )


def halves(found: Forecast) -> bool:
    """Whether signals and configuration by themselves at least halve the chance."""
    return found.p_signals <= SHARE_OF_P0 * found.p0


def _hindrance(found: Forecast, spent: float, settings: Settings) -> str:
    """Why the trial goes on; empty: nothing speaks against a prune."""
    p = found.probability
    if not p < settings.risk:  # also where it is NaN
        return "not below the risk"
    if not halves(found):
        return "what it showed does not halve the chance that it had before"
    free = settings.max_expected_misses - spent
    if p > SHARE_OF_REST * free:
        return (
            f"more than a quarter of the {_digits(max(0.0, free))} that earlier prunes left of "
            f"max_expected_misses {settings.max_expected_misses:g}"
        )
    return ""


def _reason(found: Forecast, hindrance: str, settings: Settings) -> str:
    """As in: P(beats trial 4) = 0.03 < risk 0.10 (0.21 before looking at it): early evaluation
    0.8 sd worse, noise-free gradient norm 1.9 sd above the cohort; what speaks most against it is
    its configuration."""
    p = found.probability
    sign = "<" if p < settings.risk else ">="
    shown, risk = _digits(p), f"{settings.risk:.2f}"
    stated = (
        f"P(beats trial {found.incumbent}) = {f'{p:.3f}' if shown == risk else shown} {sign} "
        f"risk {risk} "
        f"({_digits(found.p0)} before looking at it)"
    )
    words = {
        "early_eval": "early evaluation",
        "loss": "training loss",
        "grad_norm": f"{'noise-free' if found.norm == NOISE_FREE else 'raw'} gradient norm",
    }
    places = [f"{words[name]} {_place(name, value)}" for name, value in found.signals.items()]
    against = max(found.effects, key=found.effects.__getitem__)
    blamed = (
        f"; what speaks most against it is its {words.get(against, against)}"
        if not hindrance and found.effects[against] > 0
        else ""
    )
    goes_on = f"; goes on: {hindrance}" if hindrance and p < settings.risk else ""
    last = (
        "; further trials are unlikely to help: one not yet looked at beats it with P below the "
        "risk"
        if found.p0 < settings.risk
        else ""
    )
    return f"{stated}: {', '.join(places)} the cohort{blamed}{goes_on}{last}"


def _place(name: str, sd: float) -> str:
    """An early evaluation is said by its worth: minimized, an accuracy above would be below."""
    words = ("better", "worse") if name == "early_eval" else ("below", "above")
    return f"{abs(sd):.1f} sd {words[sd >= 0]}"


def _digits(probability: float) -> str:
    """Two decimals, or one digit that counts: 0.21, 0.03, 0.004, 2e-07."""
    return f"{probability:.2f}" if probability >= 0.01 or probability == 0 else f"{probability:.0g}"


def _not_judged(reason: str) -> Verdict:
    return Verdict(action="continue", kind="none", reason=reason)


def _apart(own: WindowSignals, num_elsewhere: int) -> str:
    """Whom a window was not compared with, as it closed on other data."""
    if num_elsewhere == 0:
        return ""
    trials = "1 trial" if num_elsewhere == 1 else f"{num_elsewhere} trials"
    here = f"phase {own.phase}" if own.phase else "all data together"
    return f"; not compared with {trials} of another phase, as this window closed in {here}"
