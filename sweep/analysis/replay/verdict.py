"""What a comparison of policies comes to, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sweep.analysis.replay.report import OURS, Group, Measures, PolicyGain, ReplayReport
from sweep.formats import counted

FEW_RUNS, FEW_GROUPS = 8, 5  # fewer are too few
ROUNDING = 1e-9  # of regrets and interval ends: what differs by less is equal

Interval = tuple[float, float]


def verdict(report: ReplayReport) -> list[str]:
    """What our policy cost and saved: against keep all, and against the cheapest baseline that
    loses no more."""
    policies = {policy.name: policy for policy in report.policies}
    own = policies[OURS]
    replays = "replay" if own.replays == 1 else "replays"
    sentences = [
        f"{OURS} trained {own.compute:.1%} of everything{_share_within(own)}, and saved the rest. "
        f"It lost {own.regret_mean:.3f} of the distance from the best to the median run on average"
        f"{_regret_within(own)}, and the best run in {own.lost_best:.0%} of {own.replays} "
        f"{replays}."
    ]
    baselines = [policy for name, policy in policies.items() if not name.startswith(OURS)]
    if len(baselines) > 1:
        as_good = [one for one in baselines if one.regret_mean <= own.regret_mean + ROUNDING]
        best = min(as_good, key=lambda policy: policy.compute)
        gain = next(gain for gain in report.gains if gain.over == best.name)
        sentences.append(
            f"Of the baselines that lost no more, {best.name} was the cheapest: "
            f"{best.compute:.1%} at a regret of {best.regret_mean:.3f}. {_difference(gain)} That "
            f"is by {in_orders(report.orders)}; with more it may be another baseline."
        )
    return sentences


def cautions(groups: Sequence[Group]) -> list[str]:
    """Why the numbers may mean little: few runs to replay, or few groups to resample."""
    few = [group for group in groups if group.finished < FEW_RUNS]
    found: list[str] = []
    if few:
        counts = ", ".join(f"{group.group} has {group.finished}" for group in few)
        found.append(
            f"Caution: with fewer than {FEW_RUNS} finished runs ({counts}) a replay tells next to "
            "nothing about pruning."
        )
    blind = [group.group for group in groups if not group.windows]
    if blind:
        found.append(
            f"Caution: no run of {', '.join(blind)} has steps up to its early window, so none "
            "could be judged, and all were trained to their end."
        )
    if 1 < len(groups) < FEW_GROUPS:
        found.append(f"Caution: {len(groups)} groups say little of how another study would do.")
    if len(groups) == 1:
        found.append("Caution: one group says nothing of how another study would do.")
    return found


def in_orders(number: int) -> str:
    """`1 order`, `20 orders`."""
    return counted(number, "order")


def compute_interval(found: Measures | PolicyGain) -> Interval | None:
    """The 95 % interval of the compute; None where there is none."""
    return _interval(found.compute_low, found.compute_high)


def regret_interval(found: Measures | PolicyGain) -> Interval | None:
    """The 95 % interval of the regret; None where there is none."""
    return _interval(found.regret_low, found.regret_high)


def _interval(low: float | None, high: float | None) -> Interval | None:
    """None where there is none, or where all that was resampled is equal: then it has no width, and
    says nothing of another order or study."""
    if low is None or high is None or math.isclose(low, high, abs_tol=ROUNDING):
        return None
    return low, high


def _share_within(policy: Measures) -> str:
    ends = compute_interval(policy)
    return "" if ends is None else f" (95 % {100 * ends[0]:.1f} to {100 * ends[1]:.1f})"


def _regret_within(policy: Measures) -> str:
    ends = regret_interval(policy)
    return "" if ends is None else f" (95 % {ends[0]:.3f} to {ends[1]:.3f})"


def _difference(gain: PolicyGain) -> str:
    size, found = gain.compute, compute_interval(gain)
    if size == 0:
        return f"{OURS} trained as much."
    word = "less" if size > 0 else "more"
    sentence = f"{OURS} trained {100 * abs(size):.1f} points {word}"
    if found is None:
        return sentence + "."
    low, high = found
    ends = (low, high) if size > 0 else (-high, -low)
    sentence += f" (95 % {100 * ends[0]:.1f} to {100 * ends[1]:.1f})"
    return sentence + ("." if low > 0 or high < 0 else ", which chance alone could give.")
