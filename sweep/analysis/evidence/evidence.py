"""`sweep evidence`: what the early dynamics were worth, and what the audits found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from predictor.evidence.evidence import SIGNALS, WINDOW, StudyEvidence, num_fits, study_evidence
from predictor.evidence.pooling import Pooled, adjusted, pool
from predictor.evidence.reliability import (
    Audit,
    Moment,
    audit_miss_rate,
    judged_moments,
    reliability,
)
from predictor.recorded.runs import RecordedStudy
from predictor.replay.sample import Sample
from predictor.types import Settings
from sweep.analysis.evidence.answer import answer, overall
from sweep.analysis.evidence.limits import limits
from sweep.analysis.evidence.report import (
    EvidenceReport,
    GroupEvidence,
    MissRates,
    PooledSignal,
    Reliability,
)
from sweep.analysis.evidence.sentences import pooled_statement, statements
from sweep.analysis.recorded.sample import sample
from sweep.analysis.recorded.sources import named, read_sources
from sweep.report.console import progress_bar

LEAST_JUDGED = 8  # finished runs of a group whose prunes are judged
ORDERS = 3  # that they are shuffled in


def evidence(*sources: str | Path, max_runs: int = 500) -> EvidenceReport:
    """What the early dynamics of the finished runs in `sources` were worth, group by group.

    `sources`: studies (a name below ./runs, a folder, URL#NAME), exports and recorded sets. Of a
    group with more than `max_runs` runs a sample of so many is looked at; audits are counted over
    all. Takes seconds to minutes, with a progress bar where standard error is a terminal.
    UserError where no source is named or one cannot be read, or `max_runs` is below 20.
    """
    whole = read_sources(named(sources))
    studies, samples = sample(whole, max_runs)
    return evidence_of(studies, samples, whole)


def evidence_of(
    studies: Sequence[RecordedStudy],
    samples: Sequence[Sample] = (),
    whole: Sequence[RecordedStudy] | None = None,
) -> EvidenceReport:
    """The report on `studies`. `whole`: the same with all their runs, where `samples` were drawn,
    for the audits."""
    found, moments = _all_evidence(studies)
    pooled = _pooled(found) if len(found) > 1 else []
    alone = [one for one, given in pooled if not given]
    audited = studies if whole is None else whole
    sampled = {one.group: one.text for one in samples}
    groups = tuple(
        _group(one, study, own, sampled.get(one.name))
        for one, study, own in zip(studies, found, audited, strict=True)
    )
    return EvidenceReport(
        answer=overall(found, alone) if len(found) > 1 else groups[0].answer,
        studies=groups,
        pooled=tuple(
            PooledSignal(
                **_values(one),
                given_config=given,
                verdict=pooled_statement(one, _known(found, one.name) if given else ""),
            )
            for one, given in pooled
        ),
        reliability=_reliability(moments),
        audits=_audits(audited),
        samples=tuple(samples),
    )


def _group(
    study: RecordedStudy, found: StudyEvidence, audited: RecordedStudy, sampled: str | None
) -> GroupEvidence:
    """`sampled`: the sentence on what was drawn of it, if anything was."""
    return GroupEvidence(
        **_values(found),
        num_repeats=study.num_replicates,
        answer=answer(found),
        verdict=tuple(statements(found)),
        limits=(*([] if sampled is None else [sampled]), *limits(found)),
        audits=_audits([audited]),
    )


def _values(one: StudyEvidence | Pooled) -> dict[str, Any]:
    """By the names of its fields, as they are, for a class that has more of them."""
    return {field.name: getattr(one, field.name) for field in fields(one)}


def _all_evidence(
    studies: Sequence[RecordedStudy],
) -> tuple[list[StudyEvidence], list[Moment]]:
    """And what the default settings say of every run at its window, where enough are finished."""
    judged = [s for s in studies if sum(run.is_finished for run in s.runs) >= LEAST_JUDGED]
    total = sum(num_fits(study) for study in studies)
    with progress_bar("leaving runs out", total) as bar:
        found = [study_evidence(study, on_fit=bar.advance) for study in studies]
    moments: list[Moment] = []
    with progress_bar("judging prunes", len(judged) * ORDERS) as bar:
        for study in judged:
            moments += judged_moments(
                study, Settings(), orders=ORDERS, window=WINDOW, on_order=bar.advance
            )
    return found, moments


def _pooled(found: Sequence[StudyEvidence]) -> list[tuple[Pooled, bool]]:
    """Each signal alone, then given the configuration, where studies enough have it."""
    pairs = [(name, given) for name in SIGNALS for given in (False, True)]
    each = [(pool(found, name, given), given) for name, given in pairs]
    there = [(one, given) for one, given in each if one is not None]
    corrected = adjusted([one for one, _ in there])
    return [(one, given) for one, (_, given) in zip(corrected, there, strict=True)]


def _reliability(moments: Sequence[Moment]) -> Reliability | None:
    """Prunes by their stated probability; None where nothing was judged."""
    if not moments:
        return None
    prunes = [moment for moment in moments if moment.would_prune]
    return Reliability(
        risk=Settings().risk,
        min_gain=Settings().min_gain,
        orders=ORDERS,
        num_judged=len(moments),
        num_prunes=len(prunes),
        bins=tuple(reliability(prunes)),
    )


def _known(found: Sequence[StudyEvidence], name: str) -> str:
    controls = {
        signal.controls for study in found for signal in study.signals if signal.name == name
    } - {"none"}
    same = "among seeds of the same configuration"
    return same if controls == {"label"} else "once the configuration is known"


def _audits(studies: Sequence[RecordedStudy]) -> MissRates | None:
    """Miss rates by what was to prune; None where no run says what its audit was of."""
    audits: dict[str, list[Audit]] = {"rank": [], "guard": []}
    for run in (run for study in studies for run in study.runs):
        if run.audit is not None and run.audit_kind is not None:
            audits[run.audit_kind].append(Audit(run.audit, run.audit_p, run.audit_miss))
    return {kind: audit_miss_rate(own) for kind, own in audits.items() if own} or None
