"""`sweep evidence`: what the early dynamics were worth, and what the audits found."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from predictor.answer import answer, overall
from predictor.evidence import SIGNALS, StudyEvidence, num_fits, study_evidence
from predictor.pooling import Pooled, adjusted, pool, pooled_statement
from predictor.recorded import RecordedStudy
from predictor.reliability import Audit, audit_miss_rate
from predictor.verdicts import limits, statements
from sweep.document import finite
from sweep.evidence_text import print_evidence
from sweep.sources import read_sources


def show_evidence(texts: Sequence[str], as_json: bool) -> int:
    """Print the evidence of every group in the sources; UserError where one cannot be read."""
    studies = read_sources(texts)
    document = evidence_document(studies)
    if as_json:
        sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
    else:
        print_evidence(document)
    return 0


def evidence_document(studies: Sequence[RecordedStudy]) -> dict[str, Any]:
    """JSON values; what is not finite is None. Scores are objectives turned so that higher is
    better, early evaluations too; densities are in nats a run, windows in samples or steps."""
    found = _all_evidence(studies)
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
        "audits": _audits(studies),
    }
    return cast(dict[str, Any], finite(document))


def _all_evidence(studies: Sequence[RecordedStudy]) -> list[StudyEvidence]:
    """With a progress bar on standard error where it takes long enough to wait for."""
    total = sum(num_fits(study) for study in studies)
    found: list[StudyEvidence] = []
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("leaving runs out", total=total)
        for study in studies:
            found.append(study_evidence(study, on_fit=lambda: bar.advance(task)))
    return found


def _pooled(found: Sequence[StudyEvidence]) -> list[tuple[Pooled, bool]]:
    """Each signal alone, then given the configuration, where studies enough have it."""
    pairs = [(name, given) for name in SIGNALS for given in (False, True)]
    each = [(pool(found, name, given), given) for name, given in pairs]
    there = [(one, given) for one, given in each if one is not None]
    corrected = adjusted([one for one, _ in there])
    return [(one, given) for one, (_, given) in zip(corrected, there, strict=True)]


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
