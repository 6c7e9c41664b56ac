"""Where a study's compute went and what pruning may have missed, in short rows and sentences."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from sweep import formats as f
from sweep.account.audits import AuditReport
from sweep.account.outcome import Standing
from sweep.formats import duration, per_look
from sweep.report.study_types import StudyReport
from sweep.report.trial_types import TrialSummary
from sweep.storage.states import PARKED, State


def compute_rows(report: StudyReport) -> list[tuple[str, str, str]]:
    """Rows of (what, how much, share of the plan and remarks); the savings add up to planned -
    used."""
    c, audits = report.compute, report.audits
    planned = c.planned_flops
    whole = _whole_study(report)
    size, unit = f.flop_unit(max(planned, c.used_flops, *(flops for _, flops, _ in whole)))

    def row(what: str, count: float, remark: str = "") -> tuple[str, str, str]:
        return what, f"{f.number(count / size)} {unit}", remark

    def of_plan(count: float) -> str:
        return f.share(count, planned)

    time = ("time", duration(c.seconds), "of training and evaluating, all trials together")
    if not any(trial.state in (State.COMPLETED, State.PRUNED) for trial in report.trials):
        spent = c.used_flops + c.unsettled_flops
        return [
            *itertools.starmap(row, whole),
            row("used", spent, "no trial to compare it with yet"),
            time,
        ]
    saved = planned - c.used_flops
    parts = (
        ("early evaluations", c.overhead.early_evals),
        ("done twice or off the plan", c.overhead.beyond_plan),
        ("failed trials", c.overhead.failed),
    )
    shown = [f"{name} {f.number(count / size)}" for name, count in parts if count]
    rows = [
        *itertools.starmap(row, whole),
        row("planned", planned, "settled trials trained to their end, and the base model"),
        row("used", c.used_flops, f"{of_plan(c.used_flops)} of the plan"),
        *itertools.starmap(row, _looks(report)),
        row("saved", saved, f"{of_plan(saved)}, net of audits and overhead"),
        row("  by guards", c.saved_by_guards, of_plan(c.saved_by_guards)),
        row("  by rank", c.saved_by_rank, of_plan(c.saved_by_rank)),
        row("  by stopping", c.saved_by_stopping, _not_started(report, of_plan)),
        row("  overhead", -c.overhead_flops, ", ".join(shown)),
    ]
    if audits.num:
        rows.append(row("audits", audits.beyond_flops, _audits(audits, of_plan)))
    if c.unsettled_flops:
        rows.append(row("not settled", c.unsettled_flops, "trials not ended; not counted above"))
    return [*rows, time]


def saved_lines(report: StudyReport) -> list[str]:
    """What was saved, in a sentence; none before a trial is completed or pruned."""
    c = report.compute
    if not any(trial.state in (State.COMPLETED, State.PRUNED) for trial in report.trials):
        return []
    saved, (size, unit) = c.planned_flops - c.used_flops, f.flop_unit(c.planned_flops)
    share = f.share(saved, c.planned_flops)
    plan = f"{f.number(c.planned_flops / size)} {unit}"
    of = f"saved {share} of {plan}, net of audits and overhead"
    if saved < 0:
        of = f"nothing saved: {f.share(-saved, c.planned_flops)} more than the planned {plan}"
    return [f"{of}; used {f.number(c.used_flops / size)} {unit} in {duration(c.seconds)}"]


def _whole_study(report: StudyReport) -> list[tuple[str, float, str]]:
    """While the study is not finished, what it takes if none is pruned: what, FLOPs and remark.

    Trials to come are planned at the mean of those begun; empty before one has.
    """
    if report.state is not Standing.UNFINISHED or not report.trials or report.total is None:
        return []
    mean = math.fsum(trial.planned_flops for trial in report.trials) / len(report.trials)
    replicates = min(report.confirm.top, report.total) * report.confirm.seeds
    to_come = max(0, report.total + replicates - len(report.trials))
    told = f.counted(report.total, "trial")
    if replicates:
        told += f" and {f.counted(replicates, 'replicate')}"
    flops = report.compute.base_flops + mean * (len(report.trials) + to_come)
    remark = f"{told} trained to their end, and the base model"
    if to_come:
        remark += f"; {to_come:,} not begun, taken at the mean of the others"
    return [("whole study", flops, remark)]


def _looks(report: StudyReport) -> list[tuple[str, float, str]]:
    """What early evaluations took, of all compute used by then; empty without any."""
    early = math.fsum(trial.compute.early_eval_flops for trial in report.trials)
    if not early:
        return []
    told = f"{f.share(early, report.compute.used_flops + report.compute.unsettled_flops)} of it"
    if report.early_eval is not None:
        told += f", {per_look(report.early_eval, report.early_questions)} at a look"
    return [("  at looks", early, told)]


def _not_started(report: StudyReport, of_plan: Callable[[float], str]) -> str:
    num = report.stopping.num_not_started
    text = of_plan(report.compute.saved_by_stopping)
    return f"{text}, {f.counted(num, 'trial')} not started" if num else text


def _audits(audits: AuditReport, of_plan: Callable[[float], str]) -> str:
    return (
        f"{of_plan(audits.beyond_flops)} more would have been saved without them; "
        f"{f.counted(audits.num, 'trial')} audited, {audits.finished} finished"
    )


def risk_lines(report: StudyReport) -> list[str]:
    """What pruning may have missed: as stated, on what that rests, and as audits found."""
    stated, given_up = report.expected_misses, _given_up(report)
    lines = [report.prior.text] if report.prior else []
    lines += [_what_was_given_up(given_up, stated.most)] if given_up else []
    if stated.num > len(given_up):
        most = "" if stated.most is None else f" of at most {stated.most:g}"
        lines.append(
            f"expected misses: {f.chance(stated.sum)}{most}, the sum of P over "
            f"{f.counted(stated.num, 'prune')} by rank"
        )
    if report.audits.num:
        lines.append(f"audits: {_miss_rate(report.audits)}")
    if report.stopping.unlikely is not None:
        lines.append(report.stopping.unlikely.text)
    return lines


def _given_up(report: StudyReport) -> list[TrialSummary]:
    """The parked trials that were not worth going on with."""
    pruned = report.in_state(State.PRUNED)
    return [trial for trial in pruned if trial.verdict and trial.verdict.moment == PARKED]


def _what_was_given_up(trials: Sequence[TrialSummary], most: float | None) -> str:
    """In a sentence, with the risk as stated: no more than the sum of all P, if these are right."""
    verdicts = [(trial.verdict, trial.num_steps) for trial in trials if trial.verdict]
    total = math.fsum(verdict.probability or 0.0 for verdict, _ in verdicts)
    shares = sorted(verdict.step / max(num_steps, 1) for verdict, num_steps in verdicts)
    ends = dict.fromkeys((f"{shares[0]:.0%}", f"{shares[-1]:.0%}"))
    risk = "one or more of them would have ended better by min_gain with probability at most"
    if total >= 1:
        risk = "of them so many are expected to have ended better by min_gain:"
    limit = "" if most is None else f" (limit {most:g})"
    return (
        f"gave up {f.counted(len(trials), 'trial')} after {' to '.join(ends)} of the training: "
        f"{risk} {f.chance(total)}, the sum of the P stated{limit}"
    )


def _miss_rate(audits: AuditReport) -> str:
    """A share is told with its interval and count: a few audits bound a miss rate only loosely."""
    told, untold = audits.told, audits.num - audits.told
    if audits.rate is None:
        return f"none of {f.counted(untold, 'audited prune')} tells a miss rate yet"
    line = (
        f"{audits.misses} of {f.counted(told, 'audited prune')} would have won: "
        f"{_percent(audits.rate)} %, 95 % {_percent(audits.low)} to {_percent(audits.high)} %"
    )
    if audits.mean_stated is not None:
        line += f"; stated was {f.chance(audits.mean_stated)} on average"
    return line + (f"; {untold} more not at the end, or without an incumbent" if untold else "")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"
