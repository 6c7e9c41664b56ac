"""`sweep compare`: the best of each study, whether they ask the same, and what transferred."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from predictor.evidence.correlations import Correlation
from predictor.evidence.evidence import SIGNALS, SignalEvidence, signal_evidence
from predictor.evidence.pooling import pool_correlations
from predictor.recorded.frames import studies_from_frames
from sweep.account.terms import at
from sweep.analysis.compare.report import (
    ComparedStudy,
    CompareReport,
    QuestionDifference,
    SignalTransfer,
    StudySignal,
    Transfer,
)
from sweep.analysis.compare.sentences import answer, verdict
from sweep.analysis.recorded.same_question import question
from sweep.analysis.recorded.settled import SettledStudy, settled_studies
from sweep.analysis.recorded.tables import tables_of
from sweep.report.gain import gain
from sweep.report.study_report import study_report
from sweep.storage.readable import readable
from sweep.storage.states import State
from trainer.contract.spec import UserError

BASE_CONTENT = "the content of its base model"


def compare(*studies: str | Path) -> CompareReport:
    """What the studies (a name below ./runs, a folder, URL#NAME) say together.

    UserError where fewer than two are named, one twice, or where one cannot be read.
    """
    texts = [str(one) for one in studies]
    if len(texts) < 2:
        raise UserError("name two studies or more, as sweep compare runs/a runs/b")
    with readable(", ".join(texts)), settled_studies(texts) as found:
        compared = tuple(map(_compared, found))
        differences = _differences(found)
        told = {one.label: _signals(one) for one in found}
    signals = tuple(_transfer(name, told) for name in SIGNALS)
    ahead = None if differences else _ahead(compared)
    return CompareReport(
        answer=answer(compared, differences, ahead, signals),
        is_same_question=not differences,
        differences=differences,
        ahead=ahead,
        studies=compared,
        signals=signals,
    )


def _compared(study: SettledStudy) -> ComparedStudy:
    report = study_report(study.ledger, study.paths)
    return ComparedStudy(
        label=study.label,
        study=report.study,
        base_model=str(at(report.resolved, "model").get("base")),
        metric=report.metric,
        direction=report.direction,
        base=report.base.objective,
        best=report.best,
        gain=gain(report),
        num_trials=len(report.originals),
        num_completed=sum(one.state is State.COMPLETED for one in report.originals),
        used_flops=report.compute.used_flops,
        planned_flops=report.compute.planned_flops,
        saved_share=report.compute.saved_share,
    )


def _differences(studies: Sequence[SettledStudy]) -> tuple[QuestionDifference, ...]:
    """By key, where any two differ; what only some of them say counts as a difference but for the
    early window, of which a study without one says nothing."""
    questions = {one.label: _asked(one) for one in studies}
    keys = sorted({key for own in questions.values() for key in own})
    found: list[QuestionDifference] = []
    bases = {own.get(BASE_CONTENT) for own in questions.values()}
    for key in keys:
        if key == "model.base" and len(bases) == 1 and None not in bases:
            continue  # the same model under another path
        values = {label: own.get(key) for label, own in questions.items()}
        known = [own[key] for own in questions.values() if key in own]
        said = known if "early window" in key else list(values.values())
        if len({json.dumps(value, sort_keys=True) for value in said}) > 1:
            found.append(QuestionDifference(key, values))
    return tuple(found)


def _asked(study: SettledStudy) -> dict[str, Any]:
    """The question, what else decides who is the best, and the contents behind names."""
    found: dict[str, Any] = dict(question(study))
    document, facts = study.row.document, study.row.facts
    objective = document["objective"]
    bounds = objective.get("constraints", [])
    found["objective.constraints"] = ", ".join(map(_bound, bounds)) or "none"
    contents = {BASE_CONTENT: facts.get("model", {}).get("digest")}
    for metric in (objective["metric"], *(one["metric"] for one in bounds)):
        asked = facts.get("benchmarks", {}).get(metric, {})
        contents[f"the questions of {metric}"] = asked.get("digest")
    return found | {key: digest for key, digest in contents.items() if digest}


def _bound(constraint: Mapping[str, Any]) -> str:
    """`lm_eval:mmlu at_least base - 0.01`."""
    keys = ("at_least", "at_most", *(["margin"] if constraint.get("margin") else []))
    said = [f"{key} {constraint[key]}" for key in keys if constraint.get(key) is not None]
    return " ".join([constraint["metric"], *said])


def _ahead(studies: Sequence[ComparedStudy]) -> str | None:
    ended = [(one.best.mean, one.label) for one in studies if one.best is not None]
    if not ended:
        return None
    return (max if studies[0].direction == "maximize" else min)(ended)[1]


def _signals(study: SettledStudy) -> Sequence[SignalEvidence]:
    """Of each signal; none where no trial is settled."""
    if not study.trials:
        return ()
    tables = tables_of([study])
    (recorded,) = studies_from_frames(tables.runs, tables.steps)
    return signal_evidence(replace(recorded, name=study.label))


def _transfer(name: str, told: Mapping[str, Sequence[SignalEvidence]]) -> SignalTransfer:
    own = {
        label: next((one.alone for one in signals if one.name == name), None)
        for label, signals in told.items()
    }
    there = [one for one in own.values() if one is not None]
    pooled = pool_correlations(name, there)
    kind = _kind(there)
    return SignalTransfer(
        signal=name,
        studies={label: None if one is None else _shown(one) for label, one in own.items()},
        transfer=kind,
        pooled=None if pooled is None else pooled.rho,
        pooled_low=None if pooled is None else pooled.low,
        pooled_high=None if pooled is None else pooled.high,
        verdict=verdict(name, kind, own, pooled),
    )


def _kind(found: Sequence[Correlation]) -> Transfer:
    signs = [one.rho > 0 for one in found if one.excludes_zero]
    if not signs:
        return "unclear"
    if len(signs) == 1:
        return "one study alone"
    return "same sign" if len(set(signs)) == 1 else "opposite signs"


def _shown(one: Correlation) -> StudySignal:
    low, high = (end if math.isfinite(end) else None for end in (one.low, one.high))
    return StudySignal(one.rho, low, high, one.num_runs)
