from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sweep.config.changes import differences
from sweep.config.load import as_begun, load_study
from sweep.config.study import Study
from trainer.contract.spec import UserError


def problems(file: Path, *overrides: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_study(file, overrides)
    return str(caught.value).splitlines()


def test_defaults_and_origins(file: Path) -> None:
    loaded = load_study(file, ["run.trials=8", "search.space.learning_rate={low: 1e-5, high: 1}"])
    study = loaded.study
    assert (study.run.trials, study.run.workers, study.pruning.window) == (8, "auto", 0.1)
    assert study.metrics == ("eval_loss",)
    assert loaded.folder == file.parent and loaded.source == str(file)
    origins = loaded.origins
    assert origins["run.trials"] == "--set"
    assert origins["search.space.learning_rate.low"] == "--set"
    assert origins["search.space.learning_rate.log"] == "default"
    assert origins["search.space.batch_size.choices"] == "file"
    assert origins["budget.samples"] == "file" and origins["pruning.audit"] == "default"


def test_a_study_goes_on_in_the_mode_it_was_begun_in_unless_another_is_named(file: Path) -> None:
    stream = load_study(file, ["pruning.mode=stream"]).study.to_document()
    scout = load_study(file).study.to_document()
    older = {**scout, "pruning": {"risk": 0.1}}  # of a version without modes

    def begun(stored: Mapping[str, Any], *overrides: str) -> tuple[str, str]:
        found = as_begun(load_study(file, overrides), stored)
        refused, allowed = differences(stored, found.study.to_document())
        assert not refused and [one.split(":")[0] for one in allowed] == changed
        return found.study.pruning.settings().mode, found.origins["pruning.mode"]

    changed: list[str] = []
    assert begun(stream) == begun(older) == ("stream", "as begun")
    assert begun(scout) == ("scout", "default")
    assert begun(stream, "pruning.mode=stream") == ("stream", "--set")
    night = ("run.trials=auto", "run.max_hours=8")
    with pytest.raises(UserError, match=r"auto counts scouts.*begun with pruning\.mode stream"):
        as_begun(load_study(file, night), older)
    changed = ["pruning.mode"]
    assert begun(stream, "pruning.mode=scout") == begun(older, "pruning.mode=scout")
    assert begun(scout, "pruning.mode=stream") == ("stream", "--set")


def test_numbers_as_people_write_them(file: Path) -> None:
    rate = load_study(
        file, ["search.space.learning_rate.low=2e-5"]
    ).study.search.space.learning_rate
    assert getattr(rate, "low", None) == 2e-5
    assert (
        load_study(file, ["budget.samples=1e5"]).study.budget
        == load_study(file, ["budget.samples=100000"]).study.budget
    )


def test_a_document_is_json_and_comes_back(file: Path) -> None:
    study = load_study(
        file, ["run.storage=postgresql+psycopg://me:secret@host/db", "run.max_hours=1.5"]
    ).study
    document = json.loads(json.dumps(study.to_document()))
    assert "secret" not in str(document) and document["run"]["storage"].endswith("me@host/db")
    assert document["pruning"]["risk"] == 0.1
    again = Study.model_validate(document)
    assert again.search == study.search and again.pruning == study.pruning
    assert again.to_document() == document


RANGE_RATE = "search.space.learning_rate"
BAD: list[tuple[list[str], str, list[str]]] = [
    # overrides, the path that the sentence starts with, words in it
    (["modle.base=x"], "modle", ["unknown key", "did you mean model"]),
    (["run.trails=3"], "run.trails", ["unknown key", "did you mean trials"]),
    (["foo.bar=3"], "foo", ["unknown key", "allowed: name, model, data"]),
    (["trials=3"], "trials", ["unknown key", "did you mean run.trials"]),
    (["trial=3"], "trial", ["did you mean run.trials"]),
    (["search.space.rank=3"], "search.space.rank", ["did you mean model.lora.rank or lora_rank"]),
    (["model.lora.rnak=3"], "model.lora.rnak", ["did you mean rank"]),
    ([f"{RANGE_RATE}.hihg=3"], f"{RANGE_RATE}.hihg", ["did you mean high", "low, high, log"]),
    (["name=null"], "name", ["is null", "must be text"]),
    (["name=a b"], "name", ["is a b", "letters, digits"]),
    (["name=.."], "name", ["not of dots alone"]),
    (["model=3"], "model", ["is 3", "must be a mapping of keys"]),
    (["model={}"], "model.base", ["missing", "a local folder or a Hub id"]),
    (["model.tuning=qlora"], "model.tuning", ["is qlora", "allowed: full, lora"]),
    (["model.base=./nowhere"], "model.base", ["no such file or folder", "nowhere"]),
    (["model.micro_batch=0"], "model.micro_batch", ["is 0", "auto or a whole number"]),
    (["model.lora.targets=[]"], "model.lora.targets", ["all-linear or a list"]),
    (["model.attention=fast"], "model.attention", ["is fast", "allowed: auto, sdpa, eager"]),
    (["model.padding_free=1"], "model.padding_free", ["is 1", "auto, true or false"]),
    (["model.parallel=deepspeed"], "model.parallel", ["allowed: none, ddp, fsdp"]),
    (["model.parallel=ddp"], "model.parallel", ["ddp needs run.processes_per_trial of 2 or more"]),
    (["run.processes_per_trial=2"], "run.processes_per_trial", ["model.parallel ddp or fsdp"]),
    (
        ["run.processes_per_trial=3", "model.parallel=ddp"],
        "search.space.batch_size",
        [
            "each of the 3 processes",
            "16 (the nearest that would do is 15)",
            "64 (",
            "is 63)",
            "129)",
        ],
    ),
    (
        [
            "run.processes_per_trial=4",
            "model.parallel=fsdp",
            "search.space.batch_size={low: 2, high: 128}",
        ],
        "search.space.batch_size",
        ["does not go for 2 (the nearest that would do is 4)"],
    ),
    (["run.checkpoints=1"], "run.checkpoints", ["is 1", "at least 2"]),
    (["data.train=null"], "data", ["exactly one of train", "phases"]),
    (["data.phases=[train.jsonl]"], "data", ["exactly one of train", "phases"]),
    (
        ["data.train=null", "data.phases=[train.jsonl, nowhere.jsonl]"],
        "data.phases[1]",
        ["no such file or folder", "nowhere.jsonl"],
    ),
    (["data.template=nowhere.jinja"], "data.template", ["no such file", "nowhere.jinja"]),
    (["search.space.strategy=phased"], "search.space.strategy", ["phased needs data.phases"]),
    (
        ["search.space.strategy={choices: [stacked, phased]}"],
        "search.space.strategy",
        ["phased needs data.phases"],
    ),
    (["search.space.strategy=mixed"], "search.space.strategy", ["allowed: stacked, phased"]),
    (["data.replay=0.1"], "data.replay", ["only with data.phases", "strategy phased"]),
    (["data.reset_optimizer=true"], "data.reset_optimizer", ["strategy phased"]),
    (
        ["data.train=null", "data.phases=[train.jsonl]", "data.replay=0.1"],
        "data.replay",
        ["strategy phased"],
    ),
    (
        [
            "data.train=null",
            "data.phases=[train.jsonl]",
            "search.space.strategy=phased",
            "data.replay=1",
        ],
        "data.replay",
        ["is 1", "less than 1"],
    ),
    (["data.train=nowhere.jsonl"], "data.train", ["no such file or folder", "nowhere.jsonl"]),
    (["data.eval=some/where/else"], "data.eval", ["no such file or folder"]),
    (["data.eval=null"], "data.eval", ["missing", "eval_loss is measured on it"]),
    (["data.format=odd"], "data.format", ["is odd", "allowed: auto, choices, messages"]),
    (["data.template=Q A"], "data.template", ["{prompt}"]),
    (["data.max_length=0"], "data.max_length", ["is 0", "must be at least 1"]),
    (["budget=null"], "budget", ["missing", "{samples: N} or {epochs: N}"]),
    (["budget.epochs=1"], "budget", ["exactly one of"]),
    (["budget.samples=2.5"], "budget.samples", ["is 2.5", "must be a whole number"]),
    (["budget={epochs: 0}"], "budget.epochs", ["must be greater than 0"]),
    (["search.space.epochs=2"], "budget", ["must be absent", "search.space.epochs"]),
    (
        ["search.sampler=cma"],
        "search.sampler",
        ["is cma", "allowed: tpe, cmaes, random, grid, qmc"],
    ),
    (["search.sampler=grid"], RANGE_RATE, ["a range has no grid", "choices"]),
    (["search.recipes=[lib]"], "search.recipes[0]", ["is lib", "allowed: lab, tulu"]),
    (["run.report_to=[comet]"], "run.report_to[0]", ["is comet", "allowed: tensorboard, trackio"]),
    (["search.space=null"], "search.space", ["must be a mapping"]),
    (
        ["search.space={learning_rate: 1e-4, batch_size: 16}"],
        "search.space",
        ["nothing to search", "{low, high}"],
    ),
    (["search.space={batch_size: 8}"], RANGE_RATE, ["missing", "learning rate"]),
    ([f"{RANGE_RATE}=fast"], RANGE_RATE, ["is fast", "must be a number"]),
    ([f"{RANGE_RATE}=0"], RANGE_RATE, ["is 0", "must be greater than 0"]),
    ([f"{RANGE_RATE}=.inf"], RANGE_RATE, ["must be finite"]),
    ([f"{RANGE_RATE}.low=1"], RANGE_RATE, ["low (1) must be below high (0.001)"]),
    ([f"{RANGE_RATE}={{low: 1e-5}}"], f"{RANGE_RATE}.high", ["missing", "largest value"]),
    (
        ["search.space.warmup_ratio={low: 0, high: 0.1, log: true}"],
        "search.space.warmup_ratio",
        ["log needs low above 0"],
    ),
    (["search.space.warmup_ratio=1"], "search.space.warmup_ratio", ["is 1", "less than 1"]),
    (["search.space.beta2=1.0"], "search.space.beta2", ["less than 1"]),
    (
        ["search.space.batch_size={choices: []}"],
        "search.space.batch_size.choices",
        ["is empty"],
    ),
    (
        ["search.space.batch_size={choices: [8, 8.0]}"],
        "search.space.batch_size",
        ["lists 8 twice"],
    ),
    (
        ["search.space.batch_size={choices: [8, x]}"],
        "search.space.batch_size.choices[1]",
        ["is x", "whole number"],
    ),
    (
        ["search.space.batch_size={low: 17, high: 31}"],
        "search.space.batch_size",
        ["powers of two", "17 to 31"],
    ),
    (
        ["search.space.schedule={low: 1, high: 2}"],
        "search.space.schedule",
        ["takes no range", "choices"],
    ),
    (["search.space.schedule=wsd"], "search.space.schedule", ["allowed: constant, linear, cosine"]),
    (["search.space.lora_rank=8"], "search.space.lora_rank", ["only with model.tuning lora"]),
    (["objective.metric=accuracy"], "objective.metric", ["allowed: eval_loss, choice_accuracy"]),
    (["objective.data=choices.jsonl"], "objective.data", ["read by choice_accuracy and"]),
    (
        ["objective.metric=choice_accuracy", "data.eval=null"],
        "objective.data",
        ["missing", "choice_accuracy is measured on it"],
    ),
    (["pruning.window=0.5"], "pruning.window", ["is 0.5", "must be at most 0.25"]),
    (["pruning.enabled=1"], "pruning.enabled", ["is 1", "true or false"]),
    (["pruning.risk=0"], "pruning.risk", ["greater than 0"]),
    (["pruning.risk=1"], "pruning.risk", ["less than 1"]),
    (["pruning.min_gain=-0.1"], "pruning.min_gain", ["at least 0"]),
    (["pruning.max_expected_misses=.inf"], "pruning.max_expected_misses", ["finite"]),
    (["pruning.prior_strength=-1"], "pruning.prior_strength", ["at least 0"]),
    (["pruning.audit=-0.1"], "pruning.audit", ["at least 0"]),
    (
        ["budget.samples=2048"],
        "pruning.min_steps",
        ["1024 samples", "25 %", "budget.samples of at least 4096 or"],
    ),
    (["run.workers=many"], "run.workers", ["is many", "auto or a whole number"]),
    (["run.trials=0"], "run.trials", ["auto or a whole number from 1"]),
    (["run.trials=true"], "run.trials", ["is true", "whole number"]),
    (["run.max_hours=0"], "run.max_hours", ["greater than 0"]),
    (["run.silence_minutes=0.9"], "run.silence_minutes", ["is 0.9", "must be at least 1"]),
    (["run.storage=study.db"], "run.storage", ["auto or a database URL"]),
    (["run.keep=some"], "run.keep", ["allowed: best, all, none"]),
    (["objective.metric=[eval_loss, choice_accuracy]"], "objective.metric", ["objective.constr"]),
    (["objective.metric=my.module:score", "data.eval=null"], "objective.data", ["of your own"]),
    (["objective.tasks=/tmp"], "objective.tasks", ["lm_eval:TASK"]),
    (["objective.fewshot={mmlu: 5}"], "objective.fewshot", ["lm_eval:TASK"]),
    (["objective.final=[mt_bench]"], "objective.judge", ["base_url"]),
    (["objective.final=[eval_loss]"], "objective.final[0]", ["measured anyway"]),
    (
        ["objective.final=[choice_accuracy]", "objective.data=choices.jsonl", "run.keep=none"],
        "run.keep",
        ["best will do"],
    ),
    (
        ["objective.constraints=[" + ", ".join(2 * ["{metric: eval_loss, at_most: 3}"]) + "]"],
        "objective.constraints[1].metric",
        ["constrained above already"],
    ),
    (
        ["pruning.history=[old]", "pruning.prior_strength=0", "pruning.mode=stream"],
        "pruning.history",
        ["tells nothing with pruning.prior_strength 0"],
    ),
    (
        ["run.confirm.top=5", "run.trials=3"],
        "run.confirm.top",
        ["5 trials cannot be confirmed where run.trials is 3"],
    ),
    (["run.trials=10001"], "run.trials", ["from 1 to 10,000"]),
    (["run.trials=auto", "pruning.mode=scout"], "run.trials", ["auto needs run.max_hours"]),
    (
        ["run.trials=auto", "run.max_hours=8", "pruning.mode=stream"],
        "run.trials",
        ["goes only with pruning.mode scout"],
    ),
    # --set itself
    (["run.trials"], "--set run.trials", ["key.path=value"]),
    (["run..trials=3"], "--set run..trials=3", ["key.path=value"]),
    (["run.trials=[1"], "--set run.trials=[1", ["not valid YAML"]),
]


@pytest.mark.parametrize(("overrides", "path", "words"), BAD, ids=[" ".join(b[0]) for b in BAD])
def test_bad_values_are_one_sentence(
    file: Path, overrides: list[str], path: str, words: list[str]
) -> None:
    (line,) = problems(file, *overrides)
    assert line.startswith(f"{path}: ") or line.startswith(f"{path}, line 1: "), line
    for word in words:
        assert word in line, line


def test_a_sampler_without_its_package_says_how_to_get_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(UserError, match=r"search.sampler: .*pip install 'sft-sweep\[cmaes\]'"):
        load_study(str(file), ["search.sampler=cmaes"])


def test_all_problems_are_told_at_once(file: Path) -> None:
    lines = problems(
        file,
        "run.trails=3",
        "model.tuning=none",
        "data.train=nowhere.jsonl",
        "objective.metric=choice_accuracy",
        "objective.data=choices.jsonl",
        "search.space.schedule=odd",
        "pruning.risk=2",
        "budget=null",
    )
    paths = [line.split(": ")[0] for line in lines]
    assert sorted(paths) == [
        "budget",
        "data.train",
        "model.tuning",
        "pruning.risk",
        "run.trails",
        "search.space.schedule",
    ]


BAD_FILES = [
    ("name: [", ["line 1", "not valid YAML"]),
    ("name: a\nname: b\n", ["line 2", "'name' is given twice"]),
    ("a: 1\n b: 2\n", ["line 2", "not valid YAML"]),
    ("name: !!python/name:os.system x\n", ["line 1", "not valid YAML"]),
    ("when: 2024-13-45\n", ["when: unknown key"]),
    ("", ["mapping of keys"]),
    ("- a\n- b\n", ["mapping of keys"]),
    ("a: &a {b: *a}\n", ["line 1", "stands inside of what it names"]),
    ("1: 2\n", ["1"]),
]


@pytest.mark.parametrize(("text", "words"), BAD_FILES)
def test_bad_files(file: Path, text: str, words: list[str]) -> None:
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        load_study(file)
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_no_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00name")
    assert "UTF-8" in problems(file)[0]


PHASES = ("data.train=null", "data.phases=[train.jsonl, choices.jsonl]")


def test_phases_stand_in_place_of_one_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = load_study(file, PHASES).study
    assert study.train_sources == {
        "data.phases[0]": "train.jsonl",
        "data.phases[1]": "choices.jsonl",
    }
    assert load_study(file).study.train_sources == {"data.train": "train.jsonl"}
    refused, _ = differences(load_study(file).study.to_document(), study.to_document())
    assert [sentence.split(":")[0] for sentence in refused] == ["data.train", "data.phases"]
    here = file.parent / "here"
    here.mkdir()
    (here / "train.jsonl").touch()
    monkeypatch.chdir(here)  # what is typed starts at the working directory where it is there
    typed = load_study(file, PHASES).study.data.phases
    assert typed == (str(here / "train.jsonl"), "choices.jsonl")


def test_what_phased_trials_do_at_a_border_is_a_setting(file: Path) -> None:
    strategy = "search.space.strategy={choices: [stacked, phased]}"
    study = load_study(
        file, [*PHASES, strategy, "data.replay=0.1", "data.reset_optimizer=true"]
    ).study
    assert (study.data.replay, study.data.reset_optimizer) == (0.1, True)
