"""What a search for settings comes to, in sentences, and what to bear in mind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from predictor.recorded.runs import RecordedStudy
from predictor.stats import FEWEST_UNITS
from predictor.tuning.report import Interval
from predictor.tuning.search import Tuning
from sweep.analysis.tune.names import changed_keys, label_at
from sweep.analysis.tune.present_setting import Present
from sweep.analysis.tune.report import TuneReport


def verdict(report: TuneReport) -> list[str]:
    """What to do, and what it is worth where it was not fitted."""
    sentences: list[str] = []
    if report.base != report.present:
        sentences.append(
            f"The present setting states a risk of {report.present['risk']:g}, more than asked "
            f"for; it is compared as it would be at {report.base['risk']:g}."
        )
    level = _level(report)
    compute, regret = report.compute_gained, report.regret_gained
    against = f"{_compute_against(compute, level)}, at {_regret_against(regret, level)}"
    if report.is_better:
        held = report.recommended_held_out
        return [
            *sentences,
            f"Recommended: {changed_keys(report, report.recommended)}.",
            f"On runs that it was not chosen on such a setting trained {held.compute.mean:.1%} of "
            f"everything at a mean regret of {held.regret.mean:.3f}: it {against}.",
            _judged(report),
        ]
    kept = "keep it" if report.base == report.present else "keep the rest of it"
    why = "No setting is better than the present one beyond its interval"
    if not has_intervals(report):
        why = _too_few(report)
    sentences.append(f"{why}: {kept}.")
    if report.judged:
        label = label_at(report, report.gained_at)
        sentences += [
            f"What is cheapest at a regret of at most {label} {against}, on runs that it was not "
            "chosen on.",
            _judged(report),
        ]
    return sentences


def limits(found: Tuning, studies: Sequence[RecordedStudy], present: Present) -> list[str]:
    """What to bear in mind."""
    sentences: list[str] = []
    ranked = sum(run.pruned_by == "rank" for study in studies for run in study.runs)
    if ranked:
        runs = "1 run that was" if ranked == 1 else f"{ranked} runs that were"
        sentences.append(
            f"{runs} pruned by rank could not be replayed: their ends are not known, and what is "
            "left is the better half of the story."
        )
    if any(study.recorded_window is not None and _has_one_look(study) for study in studies):
        sentences.append(
            "The early evaluation is on record only where the recorded window closed: a shorter "
            "window was replayed without it, a longer one with one that is older than it would be."
        )
    metrics = sorted({f"{study.metric} ({study.direction})" for study in studies})
    if len(metrics) > 1:
        sentences.append(
            f"The objectives differ ({', '.join(metrics)}): each regret is a share of its own "
            "group's median - best, and they are averaged whatever such a share is worth."
        )
    if found.folds_over == "seeds":
        sentences.append(
            "Each seed was replayed by itself. `sweep replay` has the seeds together, and so other "
            "numbers for the present setting."
        )
    if found.folds_over in ("seeds", "orders"):
        sentences.append(
            f"Held out were {found.folds_over} of one study: of other studies it tells nothing."
        )
    most = present.candidate.settings.max_expected_misses
    sentences.append(
        "An audit costs compute and gains nothing in a replay, so the search stays at 0.05 or "
        "more: without audits nobody would learn whether the stated risks hold. "
        f"max_expected_misses was {most:g} throughout."
    )
    if present.has_history:
        sentences.append(
            "Replays know no pruning.history: they had the shipped prior alone (mode stream: the "
            "paper's in its place), and prior_strength stays as it is."
        )
    return sentences


def has_intervals(report: TuneReport) -> bool:
    """Whether there is enough to resample."""
    return report.num_resampled >= FEWEST_UNITS


def _has_one_look(study: RecordedStudy) -> bool:
    return all(len(run.evals) <= 2 for run in study.runs)  # the early one and the last


def _too_few(report: TuneReport) -> str:
    num, over = report.num_resampled, report.intervals_over
    if over == "orders":
        return "So few orders of so few groups tell of no setting that it is better (see orders)"
    return f"{num} {over} tell of no setting that it is better, which takes {FEWEST_UNITS}"


def _judged(report: TuneReport) -> str:
    """Which lines of the frontier could be recommended, and what their number does to the level."""
    labels = [label_at(report, limit) for limit in report.judged]
    if len(labels) == 1:
        return (
            f"Judged was the line of the frontier at {labels[0]}, the only one up to "
            f"{report.regret_limit:g} that is not the present setting."
        )
    listed = ", ".join(labels[:-1]) + f" and {labels[-1]}"
    first = "none is better"
    if report.is_better:
        first = f"the first that is better is that at {label_at(report, report.gained_at)}"
    return (
        f"Judged were the lines of the frontier at {listed}, in this order, and {first}: "
        f"{len(labels)} chances to be wrong, so each interval of a difference is at "
        f"{_level(report)}."
    )


def _level(report: TuneReport) -> str:
    return f"{100 * report.gained_level:.3g} %"


def _compute_against(compute: Interval, level: str) -> str:
    within = _within(compute, level, lambda share: f"{100 * share:.1f}")
    points, how = f"{100 * abs(compute.mean):.1f} points", "more of the compute than"
    if compute.mean > 0:
        return f"spent {points} {how} the present setting{within}"
    return f"saved {points} of the compute against the present setting{within}"


def _regret_against(regret: Interval, level: str) -> str:
    mean, within = regret.mean, _within(regret, level, lambda value: f"{value:.3f}")
    if abs(mean) < 0.0005:
        return f"the same regret{within}"
    return f"{abs(mean):.3f} {'more' if mean > 0 else 'less'} regret{within}"


def _within(found: Interval, level: str, shown: Callable[[float], str]) -> str:
    """Of a difference that is named by its size, so that of less the ends are turned."""
    if found.low is None or found.high is None:
        return ""
    ends = (-found.high, -found.low) if found.mean <= 0 else (found.low, found.high)
    first, last = (shown(end) for end in ends)
    return f" ({level} {_without_sign_of_0(first)} to {_without_sign_of_0(last)})"


def _without_sign_of_0(shown: str) -> str:
    return shown if shown.strip("-0.") else shown.removeprefix("-")
