"""What a study's report says, in sentences and short rows; print_study.py lays them out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from sweep import formats as f
from sweep.account.terms import Terms
from sweep.documents import Json
from sweep.report.constraints_text import difference_lines, nearest_lines
from sweep.report.gain import gain
from sweep.report.study_types import BestReport, StudyReport
from sweep.report.trial_types import Failure, Measured, TrialSummary
from sweep.storage.states import SETTLED, UNDER_WAY, State

_UNKNOWN = Failure("error", "cause not recorded")


def headline(report: StudyReport) -> str:
    """`NAME: METRIC, higher is better`."""
    direction = "higher" if report.direction == "maximize" else "lower"
    return f"{report.study}: {report.metric}, {direction} is better"


def varying(report: StudyReport) -> list[str]:
    """The parameters in which a study's trials differ; before it has two, those it searches."""
    trials = report.trials
    if len(trials) < 2:
        space = Terms.of(report.resolved).space
        return [name for name, entry in space.items() if isinstance(entry, Mapping)]
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    return [name for name in names if _differ([trial.params.get(name) for trial in trials])]


def _differ(values: Sequence[Json]) -> bool:
    kinds = {repr(value): value for value in values}  # of ten thousand trials mostly one
    first = json.dumps(values[0], sort_keys=True)
    return any(json.dumps(value, sort_keys=True) != first for value in kinds.values())


def standing(report: StudyReport) -> str:
    """How far the study is. Whether a driver is at work on it, the storage does not know."""
    states = [trial.state for trial in report.originals]
    audited = sum(trial.is_audited for trial in report.trials)
    settled = [
        f"{states.count(State.COMPLETED):,} completed",
        f"{states.count(State.PRUNED):,} pruned",
        f"{audited:,} audited",
        f"{states.count(State.FAILED):,} failed",
    ]
    num_settled = sum(state in SETTLED for state in states)
    total = report.total or len(states)
    line = f"{num_settled:,} of {f.counted(total, 'trial')} settled: {', '.join(settled)}"
    going = [f"{states.count(state)} {state}" for state in UNDER_WAY if state in states]
    if report.confirm.num_settled:
        confirm = report.confirm
        going.append(f"{confirm.num_settled} of {confirm.num_wanted} replicates settled")
    return "; ".join([line, *going])


def parked_lines(report: StudyReport) -> list[str]:
    """What the columns of the parked trials mean."""
    leader = next((one.leader for one in report.parked if one.leader is not None), None)
    why = _why_parked(report)
    kept = "kept: its checkpoint, without one it is trained again if it goes on"
    if leader is None:
        told = "no trial has ended to be compared with yet"
        if report.nearest is not None:
            told = "P: that it holds every constraint, which no completed trial does so far"
        return [f"reached: share of the smallest budget; {kept}; {told}", *why]
    return [
        f"reached: share of the smallest budget; P: that it overtakes trial {leader}"
        f"{_and_holds(report)}; behind: how far it is expected to end behind it, in early spreads "
        f"(median - best of the first looks); {kept}",
        *why,
    ]


def _and_holds(report: StudyReport) -> str:
    return " and holds every constraint" if report.constraints else ""


def _why_parked(report: StudyReport) -> list[str]:
    """Why each was parked, as said then, those of one reason together."""
    found: dict[str, list[str]] = {}
    for one in report.parked:
        verdict = report.trial(one.number).verdict
        if verdict is not None and verdict.action == "park":
            reason = re.sub(r"^trial \d+ ", "another ", verdict.reason.partition(";")[0])
            found.setdefault(reason, []).append(str(one.number))
    told = [f"{reason} ({', '.join(numbers)})" for reason, numbers in found.items()]
    return [f"why they wait, as of when they were parked: {'; '.join(told)}"] if told else []


def fixed_parameters(report: StudyReport) -> str:
    """The parameters that no trial differs in; they are no columns."""
    if not report.trials:
        return ""
    params, names = report.trials[0].params, varying(report)
    return f.parameters({name: value for name, value in params.items() if name not in names})


def settings(trial: TrialSummary, names: Sequence[str]) -> str:
    """`trial 3 (learning_rate 2e-05, batch_size 64)`."""
    inside = f.parameters(trial.params, names)
    return f"trial {trial.number}" + (f" ({inside})" if inside else "")


def short_settings(number: int, params: Mapping[str, object]) -> str:
    """`trial 3: 2e-05, 64`: for a line that is read many times."""
    values = ", ".join(f.parameter(value) for value in params.values())
    return f"trial {number}" + (f": {values}" if values else "")


def failure(trial: TrialSummary, names: Sequence[str]) -> str:
    """A failed trial in a line: its parameters, the last error and how many of its attempts
    failed."""
    error = trial.error or _UNKNOWN
    times = f"{trial.failures} of {f.counted(trial.attempts, 'attempt')} failed"
    outcome = "" if trial.state is State.FAILED else f"; now {trial.state}"
    message = error.message.strip() or "no message"
    return f"{settings(trial, names)}: {error.kind}: {message} ({times}{outcome})"


def best_lines(report: StudyReport) -> list[str]:
    """The best configuration's objective, its estimate over seeds and its weights, in lines."""
    best = report.best
    if best is None:
        return nearest_lines(report) or ["no trial is completed so far"]
    lines = [f"trial {best.original}: {report.metric} {best_value(best)}"]
    if improvement := _gain(report, best):
        lines[0] += f", {improvement}"
    lines.append(f.parameters(best.params))
    lines += difference_lines(report)
    if best.sd is None:
        lines.append(_without_scatter(report, best))
    groups = _groups(report.trial(best.number).measurements, report.metric)
    base = _groups(report.base.measurements, report.metric)
    if groups:
        lines.append("by group: " + ", ".join(_beside(name, groups, base) for name in groups))
    lines.append(f"model: {best.model_dir or _not_kept(report, best)}{_of_run(best)}")
    return lines


def best_value(best: BestReport) -> str:
    """The best's value: of a confirmed one the mean of its new seeds, else its one value."""
    return f.scattered(best.mean, best.sd, best.num_new_seeds)


def _gain(report: StudyReport, best: BestReport) -> str:
    """The best against the base model; empty where that was not measured."""
    base = report.base.objective
    if base is None:
        return ""
    change = best.mean - base
    relative = f", {change / abs(base):+.1%}" if base else ""
    how = "better than" if report.is_better(best.mean, base) else "no better than"
    against = [one for one in report.differences if one.other is None]
    found = gain(report)  # of a study whose base model's scores are not on record
    is_noise = any(one.is_within_noise for one in against)
    if not against and found is not None:
        is_noise = found.paired and found.is_within_noise
    if not best.num_new_seeds and is_noise:
        how = "within noise of"
    return f"{how} the base model's {f.fixed(base, 4)} ({change:+.4f}{relative})"


def _without_scatter(report: StudyReport, best: BestReport) -> str:
    """Why no scatter of seeds stands beside the best's value. On one line of 80 columns."""
    if best.num_new_seeds:
        return "one new seed, whose scatter is not known: see run.confirm.seeds"
    picked = "one seed, picked as the best, whose scatter is not known"
    if best.confirms is not None:
        return f"{picked}: no replicate ended"
    if report.confirm.num_wanted:
        return f"{picked}: replicates to come"
    return f"{picked}: see run.confirm"


def _not_kept(report: StudyReport, best: BestReport) -> str:
    if Terms.of(report.resolved).keep == "best" and best.confirms is not None:
        return "not kept: run.confirm was asked for when it had been removed"
    return "not kept"


def _of_run(best: BestReport) -> str:
    if best.confirms is None:
        return ""
    return f" (of its best run, trial {best.number}: {f.fixed(best.objective, 4)})"


def confirm_lines(report: StudyReport) -> list[str]:
    """The configurations that are trained again, each over its new seeds and with the difference
    from the first, as they rank by all seeds; none before there is a replicate."""
    confirm = report.confirm
    if not confirm.num_settled:
        return []
    lines: list[str] = []
    best = confirm.configurations[0]
    for one in confirm.configurations:
        line = f"trial {one.number}: "
        if one.values:
            line += f.scattered(one.mean, one.sd, len(one.values))
            if lines and best.values:
                line += f", {one.mean - best.mean:+.4f} from the first"
            if len(one.values) > 1:
                line += ": " + ", ".join(f.fixed(value, 4) for value in one.values)
            line += "; "
        line += f"picked at {f.fixed(one.first, 4)}"
        if not one.is_sound:
            line += "; a replicate of it was not finite"
        elif confirm.is_confirmed and not one.values:
            line += "; no replicate of it was completed, so it is not confirmed"
        lines.append(line)
    lines.append("ranked by the mean of all seeds, the one picked by too")
    if not confirm.is_confirmed:
        left = confirm.num_wanted - confirm.num_settled
        lines.append(f"not yet confirmed: {f.counted(left, 'replicate')} to come")
    return lines


def _groups(measurements: Mapping[str, Measured], metric: str) -> Mapping[str, float | None]:
    return measurements[metric].groups if metric in measurements else {}


def _beside(name: str, groups: Mapping[str, float | None], base: Mapping[str, float | None]) -> str:
    before = f" (base {f.fixed(base[name])})" if name in base else ""
    return f"{name} {f.fixed(groups[name])}{before}"
