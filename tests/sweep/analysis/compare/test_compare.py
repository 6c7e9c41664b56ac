"""`sweep compare`: the best of each study, whether they ask the same, and what transferred."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from predictor.evidence.correlations import Correlation
from sweep.analysis.compare.compare import compare
from sweep.analysis.compare.report import Transfer
from sweep.analysis.compare.sentences import verdict
from sweep.analysis.compare.text import print_compared
from sweep.cli import main
from tests.support.sweep_ledgers import (
    completed,
    document,
    measurement,
    observation,
    written,
)
from trainer.contract.spec import UserError

NUM = 24  # trials of a study
SOURCES = {"train": {"path": "train.jsonl", "sha256": "ab12"}}


def study(folder: Path, shift: float = 0.0, slope: float = -1.0, metric: str | None = None) -> Path:
    """Its better trials have the lower (slope < 0) or higher loss in the window."""
    with written(folder, sources=SOURCES) as ledger:
        if metric is not None:
            changed = {**document(), "objective": {"metric": metric}}
            ledger.continue_as(changed, "gap-1", [])
        for number in range(NUM):
            end = 0.4 + 0.01 * number + shift
            row = completed(number, end)
            row.params["learning_rate"] = 1e-5 * (1 + (7 * number) % NUM)
            loss = 2.5 + slope * (0.01 * number + 0.03 * math.sin(5 * number))
            row.window = {**(row.window or {}), "samples": 64}
            for step in range(1, 5):
                seen = observation(step, row.params["batch_size"], loss=loss)
                ledger.add_observation(number, seen)
            if metric is not None:
                row.measurements = {metric: measurement(end)}
            ledger.save_trial(row)
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of one question; the second has the better end."""
    folder = tmp_path_factory.mktemp("pair")
    return study(folder / "first"), study(folder / "second", shift=0.1)


def test_studies_that_ask_the_same_are_ranked(pair: tuple[Path, Path]) -> None:
    report = compare(*pair)
    assert report.is_same_question
    assert report.ahead == "second"
    assert [one.best and round(one.best.mean, 4) for one in report.studies] == [0.63, 0.73]
    gains = [one.gain and round(one.gain.value, 4) for one in report.studies]
    assert gains == [0.33, 0.43]
    assert report.answer.startswith(
        "The studies ask the same. The best is of second: choice_accuracy 0.7300."
    )


def test_it_says_in_what_they_differ(pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = study(tmp_path / "other", metric="lm_eval:arc_easy")
    report = compare(pair[0], other)
    assert not report.is_same_question
    (one,) = report.differences
    assert one.key == "objective.metric"
    assert one.values == {"first": "choice_accuracy", "other": "lm_eval:arc_easy"}
    assert report.ahead is None  # their values do not compare
    assert "do not ask the same (objective.metric)" in report.answer


def test_constraints_decide_who_is_the_best_so_they_are_compared(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    floor = {"metric": "lm_eval:mmlu", "at_least": "base - 0.01", "at_most": None}
    with written(tmp_path / "bound", sources=SOURCES) as ledger:
        objective = {"metric": "choice_accuracy", "constraints": [floor]}
        ledger.continue_as({**document(), "objective": objective}, "gap-1", [])
    found = {one.key: one.values for one in compare(pair[0], tmp_path / "bound").differences}
    assert found["objective.constraints"] == {
        "first": "none",
        "bound": "lm_eval:mmlu at_least base - 0.01",
    }


@pytest.mark.parametrize(
    ("base", "content", "told"),
    [
        ("another/path", "a" * 32, []),
        ("org/base", "b" * 32, ["the content of its base model"]),
    ],
)
def test_a_base_model_is_what_it_holds_not_where_it_lies(
    tmp_path: Path,
    base: str,
    content: str,
    told: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, path, digest in (("here", "org/base", "a" * 32), ("there", base, content)):
        with written(tmp_path / name, sources=SOURCES, model={"digest": digest}) as ledger:
            own = document()
            ledger.continue_as({**own, "model": {**own["model"], "base": path}}, "gap-1", [])
    report = compare(tmp_path / "here", tmp_path / "there")
    assert [one.key for one in report.differences] == told
    print_compared(report)
    assert ("bbbbbbbbbbbb" in (said := capsys.readouterr().out)) == bool(told)
    assert "b" * 13 not in said


def test_a_signal_that_tells_the_same_in_all_transferred(pair: tuple[Path, Path]) -> None:
    loss = next(one for one in compare(*pair).signals if one.signal == "loss")
    assert loss.transfer == "same sign"
    assert all(one is not None and one.rho < -0.5 for one in loss.studies.values())
    assert loss.verdict.startswith(
        "Lower early training loss went with better ends in 2 of 2 studies: it transferred"
    )
    assert loss.pooled is None  # of two alone nothing is pooled


def test_one_that_tells_the_opposite_did_not(pair: tuple[Path, Path], tmp_path: Path) -> None:
    report = compare(*pair, study(tmp_path / "reversed", slope=1.0))
    loss = next(one for one in report.signals if one.signal == "loss")
    assert loss.transfer == "opposite signs"
    assert loss.pooled is not None
    assert "it did not transfer" in loss.verdict
    assert "pooled" in loss.verdict


def test_a_study_that_has_just_begun_says_nothing_yet(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    with written(tmp_path / "new"):
        pass
    report = compare(pair[0], tmp_path / "new")
    assert report.studies[1].best is None
    assert report.studies[1].gain is None
    assert all(one.studies["new"] is None for one in report.signals)
    assert {one.transfer for one in report.signals} <= {"one study alone", "unclear"}


def correlation(rho: float) -> Correlation:
    return Correlation(rho, rho - 0.1, rho + 0.1, 0.01, 20, 20)


@pytest.mark.parametrize(
    ("kind", "rhos", "told"),
    [
        ("same sign", [0.5, 0.6], "Higher early evaluation went with better ends in 2 of 2"),
        ("opposite signs", [0.5, -0.6], "told the opposite from study to study"),
        ("one study alone", [0.5, 0.05], "told of the end in s0 alone (rho s0 +0.50)"),
        ("unclear", [0.05, 0.02], "no study has an interval that excludes 0"),
    ],
)
def test_the_verdict_of_a_signal(kind: Transfer, rhos: Sequence[float], told: str) -> None:
    own = {f"s{i}": correlation(rho) for i, rho in enumerate(rhos)}
    assert told in verdict("early_eval", kind, own, None)


@pytest.mark.parametrize(
    ("num", "why"), [(1, "name two studies or more"), (2, "are the same study")]
)
def test_less_than_two_studies_are_refused(pair: tuple[Path, Path], num: int, why: str) -> None:
    with pytest.raises(UserError, match=why):
        compare(*[pair[0]] * num)


def test_the_command_prints_tables_or_json(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(one) for one in pair]
    assert main(["compare", *names]) == 0
    text = capsys.readouterr().out
    assert "Best of each" in text
    assert "early training loss" in text
    assert main(["compare", *names, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["ahead"] == "second"
    assert found["studies"][0]["gain"]["paired"] is False
