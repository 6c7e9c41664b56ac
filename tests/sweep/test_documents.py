"""Reports as JSON: what their fields become, and that each says what it means."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field, is_dataclass

import pytest

from sweep.account import audits, compute, outlook, replicates
from sweep.documents import INLINE, field_docs, to_json
from sweep.report import recipes_text, study_types, trial_types

REPORTS = [
    kind
    for module in (study_types, trial_types, audits, compute, recipes_text)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if is_dataclass(kind) and kind.__module__ == module.__name__
] + [outlook.Unlikely, outlook.StoppingReport, replicates.Configuration, replicates.ConfirmReport]


@dataclass(frozen=True)
class Inner:
    name: str
    error: str
    """a short one"""


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(metadata=INLINE)
    error: tuple[float, ...]  # a long one


def test_a_reports_fields_are_the_keys_of_its_document() -> None:
    assert to_json(Inner("a", "b")) == {"name": "a", "error": "b"}


def test_an_inlined_report_stands_beside_the_others_and_later_keys_win() -> None:
    assert to_json(Outer(Inner("a", "short"), (1.5,))) == {"name": "a", "error": [1.5]}


def test_what_is_not_finite_becomes_null() -> None:
    assert to_json(Outer(Inner("a", ""), (math.nan, math.inf, 0.0)))["error"] == [None, None, 0.0]


def test_a_field_is_explained_below_or_behind_it() -> None:
    assert field_docs(Inner) == {"name": "", "error": "a short one"}
    assert field_docs(Outer)["error"] == "a long one"


@pytest.mark.parametrize("kind", REPORTS, ids=lambda kind: kind.__name__)
def test_every_field_of_a_report_says_what_it_means(kind: type) -> None:
    assert [name for name, doc in field_docs(kind).items() if not doc] == []
