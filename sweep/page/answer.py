"""The page's first screen in words: the question, and the answer as four numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from sweep import formats as f
from sweep.account.terms import at
from sweep.report.gain import gain
from sweep.report.study_types import BestReport, StudyReport


@dataclass(frozen=True, slots=True)
class Tile:
    """A number of the first screen."""

    label: str
    value: str
    note: str
    """what it is of, and what is doubtful about it"""


def question(report: StudyReport, names: Sequence[str]) -> str:
    """`Which learning_rate and batch_size give org/base the best eval_loss (lower is better)?`"""
    what = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    base = _short(str(at(report.resolved, "model").get("base", "the base model")))
    better = "higher" if report.direction == "maximize" else "lower"
    held = "".join(f", with {one.text}" for one in report.constraints)
    give = "give" if len(names) > 1 else "gives"
    subject = f"Which {what} {give}" if what else "How good a"
    if not what:
        return f"{subject} {report.metric} does {base} reach ({better} is better){held}?"
    return f"{subject} {base} the best {report.metric} ({better} is better){held}?"


def _short(base: str) -> str:
    """Of a folder somewhere the last two names: the whole path stands under the environment."""
    return "/".join(PurePath(base).parts[-2:]) if PurePath(base).is_absolute() else base


def tiles(report: StudyReport) -> list[Tile]:
    """The best, its gain, what was saved, and the risk that was taken, as stated and as found."""
    return [_best(report), _gain(report), _saved(report), _risk(report)]


def _best(report: StudyReport) -> Tile:
    best = report.best
    if best is None:
        return Tile(f"best {report.metric}", f.MISSING, _why_no_best(report))
    return Tile(
        f"best {report.metric}",
        f.fixed(best.mean, 4),
        f"trial {best.original}; {_seeds(best)}",
    )


def _why_no_best(report: StudyReport) -> str:
    nearest = report.nearest
    if nearest is None:
        return "no trial is completed so far"
    end = f.fixed(nearest.objective, 4)
    return (
        f"no completed trial holds every constraint; the nearest is trial {nearest.number}, {end}"
    )


def _seeds(best: BestReport) -> str:
    if best.sd is not None:
        return f"mean of {best.num_new_seeds} new seeds, sd {f.fixed(best.sd, 4)}"
    return "one seed, picked as the best: too good on average"


def _gain(report: StudyReport) -> Tile:
    label, best, base = "over the base model", report.best, report.base.objective
    if best is None or base is None:
        return Tile(label, f.MISSING, "the base model was not measured" if best else "")
    how = "better" if report.is_better(best.mean, base) else "no better"
    note = f"{how} than its {f.fixed(base, 4)}"
    return Tile(label, f"{best.mean - base:+.4f}", note + _interval(report, best))


def _interval(report: StudyReport, best: BestReport) -> str:
    found = gain(report)
    if found is None or found.low is None or found.high is None:
        return "; no standard error is known"
    whose = f" of trial {best.number} alone" if best.num_new_seeds else ""
    how = "paired" if found.paired else "not paired"
    noise = ": within noise" if found.is_within_noise else ""
    return f"; 95 % {found.low:+.4f} to {found.high:+.4f}{whose}, {how}{noise}"


def _saved(report: StudyReport) -> Tile:
    c = report.compute
    if c.saved_share is None or c.used_flops == c.base_flops:
        return Tile("compute saved", f.MISSING, "no trial has ended yet")
    note = f"{f.flops(c.used_flops)} used of {f.flops(c.planned_flops)} planned, overhead paid for"
    return Tile("compute saved", f"{c.saved_share:.0%}", note)


def _risk(report: StudyReport) -> Tile:
    stated, audits = report.expected_misses, report.audits
    if not stated.num and not audits.num:
        return Tile("expected misses", f.MISSING, "nothing was given up by rank")
    limit = "" if stated.most is None else f" (limit {stated.most:g})"
    note = f"the risk as stated: the sum of P of {f.counted(stated.num, 'trial')} given up{limit}"
    if audits.rate is None:
        found = "; as found: no audit tells yet"
    else:
        found = (
            f"; as found: {audits.misses} of {f.counted(audits.told, 'audit')} wrong "
            f"(95 % {audits.low:.0%} to {audits.high:.0%})"
        )
    return Tile("expected misses", f.chance(stated.sum), note + found)
