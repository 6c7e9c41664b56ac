"""`sweep evidence`: what the early dynamics were worth, and what the audits found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from predictor.evidence.answer import answer, overall
from predictor.evidence.evidence import (
    SIGNALS,
    WINDOW,
    StudyEvidence,
    num_fits,
    study_evidence,
)
from predictor.evidence.pooling import Pooled, adjusted, pool, pooled_statement
from predictor.evidence.reliability import (
    Audit,
    Moment,
    audit_miss_rate,
    judged_moments,
    reliability,
)
from predictor.evidence.verdicts import limits, statements
from predictor.recorded.runs import RecordedStudy
from predictor.types import Settings
from sweep.analysis.evidence_text import print_evidence
from sweep.analysis.sample import sample, sample_part
from sweep.analysis.sources import read_sources
from sweep.report.console import progress_bar
from trainer.contract.streams import finite, print_json

LEAST_JUDGED = 8  # finished runs of a study whose prunes are judged
ORDERS = 3  # that they are shuffled in


def show_evidence(texts: Sequence[str], max_runs: int, as_json: bool) -> int:
    """Print the evidence of every group in the sources, of `max_runs` runs each at most; UserError
    where one cannot be read."""
    studies, samples = sample(whole := read_sources(texts), max_runs)
    document = evidence_document(studies)
    document["samples"] = sample_part(samples)
    if samples:
        document["audits"] = finite(_audits(whole))
    for one in samples:
        study = next(study for study in document["studies"] if study["name"] == one.group)
        study["limits"].insert(0, one.text)
        study["audits"] = finite(_audits([s for s in whole if s.name == one.group]))
    if as_json:
        print_json(document)
    else:
        print_evidence(document)
    return 0


def evidence_document(studies: Sequence[RecordedStudy]) -> dict[str, Any]:
    """JSON values; what is not finite is None. Scores are objectives turned so that higher is
    better, early evaluations too; densities are in nats a run, windows in samples or steps."""
    found, moments = _all_evidence(studies)
    pooled = _pooled(found) if len(found) > 1 else []
    answers = [answer(study) for study in found]
    alone = [one for one, given in pooled if not given]
    document = {
        "answer": overall(found, alone) if len(found) > 1 else answers[0],
        "score": "the objective, turned so that higher is better",
        "studies": [
            {
                **asdict(study),
                "num_repeats": one.num_repeats,
                "answer": said,
                "verdict": [asdict(statement) for statement in statements(study)],
                "limits": limits(study),
                "audits": _audits([one]),
            }
            for one, study, said in zip(studies, found, answers, strict=True)
        ],
        "pooled": [
            {
                **asdict(one),
                "given_config": given,
                "verdict": pooled_statement(one, _known(found, one.name) if given else ""),
            }
            for one, given in pooled
        ],
        "reliability": _reliability(moments),
        "audits": _audits(studies),
    }
    return cast(dict[str, Any], finite(document))


def _all_evidence(
    studies: Sequence[RecordedStudy],
) -> tuple[list[StudyEvidence], list[Moment]]:
    """And what the default settings say of every run at its window, where enough are finished.

    With a progress bar on standard error where it takes long enough to wait for.
    """
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


def _reliability(moments: Sequence[Moment]) -> dict[str, Any] | None:
    """Prunes by their stated probability, the audits left aside; None where nothing was judged."""
    if not moments:
        return None
    prunes = [moment for moment in moments if moment.would_prune]
    return {
        "risk": Settings().risk,
        "min_gain": Settings().min_gain,
        "orders": ORDERS,
        "num_judged": len(moments),
        "num_prunes": len(prunes),
        "bins": [asdict(one) for one in reliability(prunes)],
    }


def _known(found: Sequence[StudyEvidence], name: str) -> str:
    controls = {
        signal.controls for study in found for signal in study.signals if signal.name == name
    } - {"none"}
    same = "among seeds of the same configuration"
    return same if controls == {"label"} else "once the configuration is known"


def _audits(studies: Sequence[RecordedStudy]) -> dict[str, Any] | None:
    """Miss rates by what was to prune; None where no study says what its audits were of."""
    audits: dict[str, list[Audit]] = {"rank": [], "guard": []}
    for run in (run for study in studies for run in study.runs):
        if run.audit is not None and run.audit_kind is not None:
            audits[run.audit_kind].append(Audit(run.audit, run.audit_p, run.audit_miss))
    return {kind: asdict(audit_miss_rate(own)) for kind, own in audits.items() if own} or None
