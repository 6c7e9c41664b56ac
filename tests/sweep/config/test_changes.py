from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweep.config.changes import differences
from sweep.config.load import load_study

CHANGES = [
    ("run.trials=3", "allowed", "run.trials: was 16, is 3"),
    ("run.workers=2", "allowed", "run.workers: was auto, is 2"),
    ("run.retries=0", "allowed", "run.retries: was 1, is 0"),
    ("run.max_hours=2", "allowed", "run.max_hours: was null, is 2.0"),
    ("run.keep=all", "allowed", "run.keep: was best, is all"),
    ("run.silence_minutes=1", "allowed", "run.silence_minutes: was 30.0, is 1.0"),
    ("run.wait_minutes=0", "allowed", "run.wait_minutes: was 10.0, is 0.0"),
    ("run.storage=sqlite:///x.db", "allowed", "run.storage: was auto, is sqlite:///x.db"),
    ("run.checkpoints=3", "allowed", "run.checkpoints: was 2, is 3"),
    ("data.system=Be brief.", "refused", "data.system: was null, is Be brief."),
    ("data.loss_on=assistant", "refused", "data.loss_on: was completion, is assistant"),
    ("model.liger=true", "refused", "model.liger: was false, is true"),
    ("pruning.audit=0.5", "allowed", "pruning.audit: was 0.1, is 0.5"),
    ("run.seed=1", "refused", "run.seed: was 0, is 1"),
    ("name=other", "refused", "name: was try, is other"),
    ("model.tuning=lora", "refused", "model.tuning: was full, is lora"),
    ("data.max_length=9", "refused", "data.max_length: was 1024, is 9"),
    ("budget.samples=5000", "refused", "budget.samples: was 4096, is 5000"),
    ("budget={epochs: 1}", "refused", "budget: was {samples: 4096}, is {epochs: 1.0}"),
    ("objective.also=[eval_loss]", "refused", "objective.also: was [], is [eval_loss]"),
    ("search.sampler=qmc", "refused", "search.sampler: was tpe, is qmc"),
    ("run.report_to=[wandb]", "allowed", "run.report_to: was [], is [wandb]"),
    ("search.recipes=[]", "refused", "search.recipes: was [lab, tulu], is []"),
    (
        "search.space.learning_rate.high=0.03",
        "refused",
        "search.space.learning_rate.high: was 0.001, is 0.03",
    ),
    (
        "search.space.batch_size={low: 16, high: 128}",
        "refused",
        "search.space.batch_size: was {choices: [16, 64, 128]}, "
        "is {low: 16, high: 128, log: false}",
    ),
    (
        "search.space.clip={choices: [1, 2]}",
        "refused",
        "search.space.clip: was 1.0, is {choices: [1.0, 2.0]}",
    ),
]


@pytest.mark.parametrize(("change", "side", "sentence"), CHANGES)
def test_differences(file: Path, change: str, side: str, sentence: str) -> None:
    stored = json.loads(json.dumps(load_study(file).study.to_document()))
    refused, allowed = differences(stored, load_study(file, [change]).study.to_document())
    assert (refused, allowed) == (([sentence], []) if side == "refused" else ([], [sentence]))
    assert differences(stored, load_study(file).study.to_document()) == ([], [])


def test_a_key_that_only_one_version_has() -> None:
    stored: dict[str, Any] = {"run": {"trials": 3}, "pruning": {"risk": 0.1, "audit": 0.1}}
    new: dict[str, Any] = {"run": {"trials": 3, "keep": "best"}, "pruning": {"audit": 0.1}}
    assert differences(stored, new) == (
        [],
        ["run.keep: was not given, is best", "pruning.risk: was 0.1, is not given"],
    )


def test_a_key_that_a_study_was_made_without_had_its_default(file: Path) -> None:
    """So that a study goes on under a version that knows more."""
    stored = json.loads(json.dumps(load_study(file).study.to_document()))
    del stored["objective"]["shape"]
    assert differences(stored, load_study(file).study.to_document()) == ([], [])
    other = load_study(file, ["objective.shape=chat"]).study.to_document()
    assert differences(stored, other) == (["objective.shape: was auto, is chat"], [])


def test_the_resolved_study_is_a_study_file(file: Path) -> None:
    copy = file.with_name("copy.yaml")
    copy.write_text(yaml.safe_dump(load_study(file).study.to_document()))
    assert load_study(copy).study == load_study(file).study


def test_a_study_may_go_on_with_other_processes(file: Path) -> None:
    stored = load_study(file).study.to_document()
    more = ["run.processes_per_trial=2", "model.parallel=ddp"]
    refused, allowed = differences(stored, load_study(file, more).study.to_document())
    assert refused == []
    assert allowed == [
        "model.parallel: was none, is ddp",
        "run.processes_per_trial: was 1, is 2",
    ]
    sharded = ["run.processes_per_trial=2", "model.parallel=fsdp"]  # its checkpoints are its own
    refused, _ = differences(stored, load_study(file, sharded).study.to_document())
    assert refused == ["model.parallel: was none, is fsdp"]
