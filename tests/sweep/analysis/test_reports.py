"""What the reports of this room have in common: every field of them says what it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

import pytest

from sweep.analysis.evidence.report import EvidenceReport
from sweep.analysis.recorded.export import ExportReport
from sweep.analysis.replay.report import ReplayReport
from sweep.analysis.tune.report import TuneReport
from sweep.documents import field_docs


def parts(kind: Any, seen: set[type]) -> Iterator[type]:
    """The dataclasses that a type is made of, itself included."""
    if isinstance(kind, type) and is_dataclass(kind) and kind not in seen:
        seen.add(kind)
        yield kind
        for hint in get_type_hints(kind).values():
            yield from parts(hint, seen)
    for argument in get_args(kind):
        yield from parts(argument, seen)


@pytest.mark.parametrize("report", [EvidenceReport, ReplayReport, TuneReport, ExportReport])
def test_every_field_of_a_report_is_explained(report: type) -> None:
    blank = {
        f"{kind.__name__}.{name}"
        for kind in parts(report, set())
        for name, doc in field_docs(kind).items()
        if not doc
    }
    assert blank == set()
