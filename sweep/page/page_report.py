"""All that the page shows, read from the study's storage alone, also while a driver writes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from predictor.gap.plan import end_intervals
from sweep.account.audits import decisions_by_trial
from sweep.account.scouting import scouted
from sweep.account.terms import Terms
from sweep.documents import Json
from sweep.page.curves import curves_of
from sweep.page.page_types import Band, Decisions, PageReport
from sweep.page.what_if import what_if
from sweep.report.data_text import DATA_FACTS, data_lines
from sweep.report.parked import gap_prior, guarded
from sweep.report.parts import decision_report
from sweep.report.study_report import study_report
from sweep.report.study_types import StudyReport
from sweep.storage.ledger import Ledger, TrialRow
from sweep.storage.migrate import refuse_unreadable
from sweep.storage.paths import StudyPaths

_SHOWN = ("device", "num_devices", "device_gib", "memory_gib", "cores")


def page_report(ledger: Ledger, paths: StudyPaths) -> PageReport:
    """The whole study with decisions and curves.

    UserError where an earlier version made its tables, which lack what curves need.
    """
    refuse_unreadable(ledger.engine)
    report = study_report(ledger, paths)
    study = ledger.read_study()
    assert study is not None, ledger.study
    trials, decisions = ledger.read_trials(), ledger.read_decisions()
    by_trial = decisions_by_trial(decisions)
    return PageReport(
        study=report,
        decisions={number: [*map(decision_report, own)] for number, own in by_trial.items()},
        curves=curves_of(ledger.stream_observations(), len(trials)),
        bands=_bands(report, trials, by_trial, study.facts),
        what_if=what_if(decisions),
        data=tuple(data_lines(study.facts)) if study.facts.keys() >= {*DATA_FACTS} else (),
        environment=_environment(study.facts, study.predictor),
        command=_command(paths, report.study),
    )


def _bands(
    report: StudyReport, trials: list[TrialRow], decisions: Decisions, facts: Mapping[str, Any]
) -> dict[int, Band]:
    """Differences from the leader's end, as the gap model expects them, made ends: where higher is
    better with the other sign."""
    seen = scouted(trials, Terms.of(report.resolved, facts).goal, guarded(decisions))
    told = end_intervals(seen.trials, seen.shares, gap_prior(facts)) if seen.shares else None
    best = None if told is None else report.trial(told[0]).objective
    if told is None or best is None:
        return {}
    sign = -1 if report.direction == "maximize" else 1
    found: dict[int, Band] = {}
    for number, gaps in told[1].items():
        low, end, high = (best + sign * gap for gap in gaps)
        found[number] = Band(min(low, high), end, max(low, high))
    return found


def _environment(facts: Mapping[str, Any], predictor: str) -> dict[str, str]:
    """What the study was prepared on, and with; of an earlier version less is known."""
    machine: Mapping[str, Json] = facts.get("machine", {})
    versions: Mapping[str, Json] = facts.get("versions", {})
    sources: Mapping[str, Any] = facts.get("sources") or {}
    found = {"predictor": predictor}
    found |= {f"machine: {key}": _short(machine[key]) for key in _SHOWN if machine.get(key)}
    found |= {key: _short(value) for key, value in versions.items()}
    for name, source in sources.items():
        found[f"data: {name}"] = f"{source.get('path')} (sha256 {str(source.get('sha256'))[:12]})"
    model: Mapping[str, Any] = facts.get("model", {})
    if "digest" in model:
        revision = f", revision {model['revision']}" if model.get("revision") else ""
        found["base model"] = f"{facts.get('base')} (digest {model['digest'][:12]}{revision})"
    return found


def _short(value: Json) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _command(paths: StudyPaths, name: str) -> str:
    again = Path("runs") / f"{paths.out.name or name}-again"
    return shlex.join(["sweep", "run", str(paths.study_file), "--out", str(again)])
