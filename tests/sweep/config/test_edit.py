"""Other pruning settings in a study file: every other character stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.config.edit import Change, with_pruning, write_pruning
from sweep.config.load import load_study
from tests.support.tune_reports import PRUNING, STUDY, study_file
from trainer.contract.spec import UserError

BLOCK = """\
pruning:
    # how early
    window: 0.1
    risk:   0.10    # was 0.2
    startup: 3

    # the rest as it comes"""
BETTER = {"window": 0.05, "risk": 0.2, "audit": 0.05}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            PRUNING,
            "pruning: {mode: stream, window: 0.05, risk: 0.2, startup: 3, audit: 0.05}"
            "  # to be tuned",
        ),
        (
            BLOCK,
            BLOCK.replace("window: 0.1", "window: 0.05")
            .replace("risk:   0.10", "risk:   0.2")
            .replace("startup: 3\n", "startup: 3\n    audit: 0.05\n"),
        ),
        ("pruning: {}", "pruning: {window: 0.05, risk: 0.2, audit: 0.05}"),
        (
            "pruning: {window: 0.1, # early\n          startup: 2}",
            "pruning: {window: 0.05, # early\n          startup: 2, risk: 0.2, audit: 0.05}",
        ),
    ],
    ids=["flow", "block", "empty", "two lines"],
)
def test_nothing_changes_but_the_values(tmp_path: Path, before: str, after: str) -> None:
    file = study_file(tmp_path, before)
    write_pruning(file, BETTER)
    assert file.read_text() == STUDY.format(pruning=after)
    pruning = load_study(file).study.pruning
    settings = pruning.settings()
    assert (pruning.window, settings.risk, settings.audit) == (0.05, 0.2, 0.05)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_mode_and_its_looks_are_written_as_they_are_read(tmp_path: Path) -> None:
    file = study_file(tmp_path)
    changes = write_pruning(file, {"mode": "scout", "looks": (0.2, 0.5)})
    assert [(one.key, one.now) for one in changes] == [
        ("pruning.mode", "scout"),
        ("pruning.looks", (0.2, 0.5)),
    ]
    assert "{mode: scout, " in file.read_text() and "looks: [0.2, 0.5]}" in file.read_text()
    settings = load_study(file).study.pruning.settings()
    assert (settings.scouts, settings.looks) == (True, (0.2, 0.5))
    assert write_pruning(file, {"mode": "scout", "looks": (0.2, 0.5)}) == []


def test_a_section_that_is_not_there_comes_last(tmp_path: Path) -> None:
    file = study_file(tmp_path, "")
    before = file.read_text()
    write_pruning(file, {"risk": 0.2})
    assert file.read_text() == before + "pruning: {risk: 0.2}\n"


def test_line_ends_are_kept() -> None:
    text = "name: x\r\npruning:\r\n  risk: 0.1\r\n"
    assert with_pruning(text, {"risk": "0.2", "audit": "0.05"}) == (
        "name: x\r\npruning:\r\n  risk: 0.2\r\n  audit: 0.05\r\n"
    )


def test_what_changed_is_told_and_what_did_not_is_left(tmp_path: Path) -> None:
    file = study_file(tmp_path)
    assert write_pruning(file, {"risk": 0.2, "audit": 0.05, "startup": 3}) == [
        Change("pruning.risk", 0.1, 0.2, is_new=False),
        Change("pruning.audit", 0.1, 0.05, is_new=True),
    ]
    assert write_pruning(file, {"risk": 0.2}) == []


@pytest.mark.parametrize(
    ("pruning", "values", "sentence"),
    [
        ("other: &o 0.1\npruning: {risk: 0.1}", {"risk": 0.2}, "other: unknown key"),
        ("pruning: {min_steps: 8}", {"min_steps": 100}, "left as it is.*pruning"),
        (
            "pruning: {risk: &r 0.1, audit: *r}",
            {"risk": 0.2},
            "not valid YAML|cannot be changed alone",
        ),
    ],
)
def test_what_would_be_no_study_is_not_written(
    tmp_path: Path, pruning: str, values: dict[str, Any], sentence: str
) -> None:
    file = study_file(tmp_path, pruning)
    before = file.read_text()
    with pytest.raises(UserError, match=sentence):
        write_pruning(file, values)
    assert file.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
