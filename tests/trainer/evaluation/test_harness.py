"""Benchmarks through the evaluation harness: its own numbers, in parts, by any batches."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from trainer.contract.spec import BenchmarkSpec, UserError
from trainer.evaluation import batching
from trainer.evaluation.evaluator import Evaluator
from trainer.evaluation.harness import Benchmark
from trainer.evaluation.subset import early_part
from trainer.evaluation.tasks import find

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
METRIC = "lm_eval:words"


def rows_of_words(num: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "prompt": " ".join(rng.choices(WORDS, k=rng.randint(1, 8))) + "?",
            "choices": rng.sample(WORDS, rng.randint(2, 4)),
            "answer": rng.randint(0, 1),
            "group": rng.choice("abc"),
        }
        for _ in range(num)
    ]


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`words` as rows alone; `letters`, single-letter choices with examples before each; `both`, a
    group of the two by size, and `evenly` by mean."""
    folder = tmp_path_factory.mktemp("tasks")
    write_rows(folder / "words.jsonl", rows_of_words(30))
    write_rows(folder / "words.examples.jsonl", rows_of_words(9, seed=1))
    write_rows(folder / "letters_rows.jsonl", rows_of_words(17, seed=2))
    letters = {
        "task": "letters",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "letters_rows.jsonl")}},
        "output_type": "multiple_choice",
        "test_split": "test",
        "fewshot_split": "test",
        "num_fewshot": 1,
        "doc_to_text": "{{prompt}}\n{% for c in choices %}{{'ABCD'[loop.index0]}}. {{c}}\n"
        "{% endfor %}Answer:",
        "doc_to_choice": "{{['A', 'B', 'C', 'D'][:choices | length]}}",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    for name, by_size in (("both", True), ("evenly", False)):
        group = {
            "group": name,
            "task": ["words", "letters"],
            "aggregate_metric_list": [{"metric": "acc", "weight_by_size": by_size}],
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(group))
    (folder / "letters.yaml").write_text(yaml.safe_dump(letters))
    return folder


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> tuple[Any, Any]:
    """A model and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.pad_token = tokenizer.eos_token
    return AutoModelForCausalLM.from_pretrained(tiny_model).eval(), tokenizer


@pytest.fixture
def prepare(tmp_path: Path, tasks: Path, base: tuple[Any, Any]) -> Any:
    """Prepares metrics: the facts, and an evaluator as a trial has one."""

    def run(*metrics: str, **spec: Any) -> tuple[dict[str, Any], Evaluator]:
        model, tokenizer = base
        asked = BenchmarkSpec(**{"tasks": str(tasks), **spec})
        given = tmp_path, torch.float32, tokenizer, asked
        facts = Evaluator(*given).prepare(metrics, model.config)
        return facts, Evaluator(*given)

    return run


def by_the_harness(
    tmp_path: Path, tasks: Path, base: tuple[Any, Any], name: str, **options: Any
) -> Mapping[str, Any]:
    """What the harness's own entry point says of the same questions, read as JSON."""
    import lm_eval
    from lm_eval.models import huggingface
    from lm_eval.tasks import TaskManager

    from trainer.evaluation.local_tasks import TASK
    from trainer.evaluation.tasks import quiet

    files = {
        split: str(tasks / f"words{part}.jsonl")
        for split, part in (("test", ""), ("examples", ".examples"))
    }
    words = TASK | {
        "task": "words",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files},
        "fewshot_split": "examples",
    }
    folder = tmp_path / "harness"
    folder.mkdir()
    (folder / "words.yaml").write_text(yaml.safe_dump(words))
    model, tokenizer = base
    simple_evaluate: Any = lm_eval.simple_evaluate
    as_theirs: Any = huggingface.HFLM
    with quiet():
        found = simple_evaluate(
            as_theirs(pretrained=model, tokenizer=tokenizer, batch_size=4),
            tasks=[name],
            task_manager=TaskManager(include_path=[tasks, folder], include_defaults=False),
            random_seed=None,
            numpy_random_seed=None,
            torch_random_seed=None,
            **options,
        )
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "score", "shots"),
    [
        ("words", "acc_norm", 0),
        ("words", "acc", 3),
        ("letters", "acc", None),
        ("both", "acc", None),
        ("evenly", "acc", 2),
    ],
)
def test_a_benchmark_is_what_the_harness_says_to_the_last_digit(
    prepare: Any,
    tmp_path: Path,
    tasks: Path,
    base: tuple[Any, Any],
    name: str,
    score: str,
    shots: int | None,
) -> None:
    fewshot = {} if shots is None else {name: shots}
    metric = f"lm_eval:{name}:{score}"
    facts, evaluator = prepare(metric, fewshot=fewshot)
    found, rows = evaluator.measure(metric, base[0], lambda: None)
    theirs = by_the_harness(tmp_path, tasks, base, name, num_fewshot=shots)
    assert found.value == theirs["results"][name][f"{score},none"]
    assert rows.mean == pytest.approx(found.value, rel=1e-12)
    assert found.num == facts[metric]["questions"] == len(rows.scores)
    assert found.input_tokens == facts[metric]["input_tokens"]
    for task, samples in theirs["samples"].items():
        if name != task:
            assert found.groups[task] == theirs["results"][task][f"{score},none"]
        assert facts[metric]["fewshot"][task] == theirs["n-shot"][task], samples
    hers = [sample[score] for samples in theirs["samples"].values() for sample in samples]
    assert rows.scores.tolist() == hers


def test_the_margin_is_in_the_scale_of_the_score(prepare: Any, base: tuple[Any, Any]) -> None:
    model, tokenizer = base
    _, evaluator = prepare("lm_eval:words", "lm_eval:words:acc")
    rows = rows_of_words(30)

    def margin(row: dict[str, Any], per_character: bool) -> float:
        scores = []
        for choice in row["choices"]:
            context = tokenizer(f"Question: {row['prompt']}\nAnswer:").input_ids
            ids = context + tokenizer(f" {choice}").input_ids
            with torch.no_grad():
                table = model(torch.tensor([ids])).logits[0].log_softmax(-1)
            total = sum(float(table[i - 1, ids[i]]) for i in range(len(context), len(ids)))
            scores.append(total / len(choice) if per_character else total)
        return scores.pop(row["answer"]) - max(scores)

    for metric, per_character in (("lm_eval:words", True), ("lm_eval:words:acc", False)):
        found, _ = evaluator.measure(metric, model, lambda: None)
        expected = [margin(row, per_character) for row in rows]
        assert found.margin == pytest.approx(np.mean(expected), rel=1e-4)
        assert found.margin_stderr == pytest.approx(np.std(expected, ddof=1) / 30**0.5, rel=1e-4)


@pytest.mark.parametrize("metric", ["lm_eval:words", "lm_eval:both"])
def test_a_look_asks_the_same_questions_in_the_same_words(
    prepare: Any, base: tuple[Any, Any], metric: str
) -> None:
    _, evaluator = prepare(metric, fewshot={"words": 2})
    _, rows = evaluator.measure(metric, base[0], lambda: None)
    early, part = evaluator.measure(metric, base[0], lambda: None, num_units=12)
    _, again = evaluator.measure(metric, base[0], lambda: None, num_units=12)
    kept = early_part(evaluator._benchmarks[metric]._strata, 12)
    assert early.num == 12
    assert part.scores.tolist() == again.scores.tolist() == rows.scores[kept].tolist()


def test_a_look_asks_of_each_group_its_share() -> None:
    strata = ["a"] * 50 + ["b"] * 30 + ["c"] * 20
    kept = early_part(strata, 10)
    assert [strata[place] for place in kept] == ["a"] * 5 + ["b"] * 3 + ["c"] * 2
    assert kept.tolist() == early_part(strata, 10).tolist() == sorted(set(kept))
    assert len(early_part(strata, 7)) == 7
    assert early_part(strata, 1000).tolist() == list(range(100))


def test_groups_are_those_of_the_rows(prepare: Any, base: tuple[Any, Any]) -> None:
    facts, evaluator = prepare(METRIC)
    found, rows = evaluator.measure(METRIC, base[0], lambda: None)
    of = np.array([row["group"] for row in rows_of_words(30)])
    assert facts[METRIC]["groups"] == {name: int((of == name).sum()) for name in "abc"}
    for name in "abc":
        own = rows.scores[of == name]
        assert found.groups[name] == pytest.approx(own.mean())
        assert found.group_stderrs[name] == pytest.approx(own.std(ddof=1) / len(own) ** 0.5)


@pytest.mark.parametrize("max_tokens", [1, 200, 100_000])
def test_the_batches_do_not_matter(
    prepare: Any, base: tuple[Any, Any], max_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, evaluator = prepare("lm_eval:both")
    expected, rows = evaluator.measure("lm_eval:both", base[0], lambda: None)
    monkeypatch.setitem(batching.BATCH_TOKENS, "cpu", max_tokens)
    found, again = evaluator.measure("lm_eval:both", base[0], lambda: None)
    assert found.margin == pytest.approx(expected.margin, rel=1e-4)
    assert again.scores.tolist() == rows.scores.tolist()


def test_choices_of_one_token_share_a_forward(prepare: Any, base: tuple[Any, Any]) -> None:
    facts, _ = prepare("lm_eval:letters")
    tokenizer = base[1]
    rows = rows_of_words(17, seed=2)
    # the tiny model's tokens are bytes: " A" is two, and a forward reads all but the last
    assert facts["lm_eval:letters"]["questions"] == len(rows)
    from trainer.evaluation.harness_model import HarnessModel, forwards_of

    asker = HarnessModel(None, tokenizer, 256)
    pairs = [("Say:", f" {letter}") for letter in "ABCD"]
    assert [len(group) for group in forwards_of(asker.encoded(pairs))] == [4]
    assert asker.count_tokens(asker.encoded(pairs)) == len("Say: ")


def test_nothing_random_is_drawn_and_the_model_is_left_as_it_was(
    prepare: Any, base: tuple[Any, Any]
) -> None:
    model = base[0].train()
    before = random.getstate(), str(np.random.get_state()), torch.get_rng_state()
    _, evaluator = prepare(METRIC, fewshot={"words": 2})
    evaluator.measure(METRIC, model, lambda: None)
    assert model.training
    assert random.getstate() == before[0]
    assert str(np.random.get_state()) == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    model.eval()


def test_a_model_of_numbers_that_are_none_has_no_score(prepare: Any, tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    broken = AutoModelForCausalLM.from_pretrained(tiny_model)
    broken.lm_head.weight.data.fill_(float("nan"))
    _, evaluator = prepare(METRIC)
    found, rows = evaluator.measure(METRIC, broken, lambda: None)
    assert np.isnan([found.value, found.margin, found.stderr, *found.groups.values()]).all()
    assert np.isnan(rows.scores).all()


def test_trials_read_what_was_prepared_and_nothing_else(
    prepare: Any, base: tuple[Any, Any], tasks: Path, tmp_path: Path
) -> None:
    """The rows are the study's own once they are prepared; a task file that changes is noticed."""
    import shutil

    own = tmp_path / "own"
    shutil.copytree(tasks, own)
    _, evaluator = prepare(METRIC, "lm_eval:letters", tasks=str(own))
    write_rows(own / "words.jsonl", rows_of_words(5))
    (own / "letters_rows.jsonl").unlink()
    found, _ = evaluator.measure(METRIC, base[0], lambda: None)
    assert found.num == 30
    file = own / "letters.yaml"
    file.write_text(file.read_text().replace("Answer:", "Solution:"))
    with pytest.raises(UserError, match="no longer those that the study was made with"):
        evaluator.measure("lm_eval:letters", base[0], lambda: None)


def test_what_is_kept_may_move(prepare: Any, base: tuple[Any, Any], tmp_path: Path) -> None:
    prepare(METRIC)
    (tmp_path / "benchmarks").rename(tmp_path / "elsewhere")
    there = tmp_path / "study"
    there.mkdir()
    (tmp_path / "elsewhere").rename(there / "benchmarks")
    benchmark = Benchmark(METRIC, there, base[1], BenchmarkSpec())
    found, _, _ = benchmark.measure(base[0], torch.float32, lambda: None)
    assert found.num == 30


def test_prompts_that_do_not_fit_are_counted(prepare: Any, base: tuple[Any, Any]) -> None:
    facts, _ = prepare(METRIC, fewshot={"words": 5})  # a token a byte, and a window of 256
    assert facts[METRIC]["window"] == 256
    assert 0 < facts[METRIC]["truncated"] <= 4 * 30
    assert prepare(METRIC)[0][METRIC]["truncated"] == 0


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("lm_eval:words:f1", "it has acc, acc_norm"),
        ("lm_eval:both:acc_norm", "it has acc"),
    ],
)
def test_a_score_that_a_task_has_not_is_refused(prepare: Any, metric: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        prepare(metric)


def test_a_wrong_row_is_named(prepare: Any, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    write_rows(own / "mine.jsonl", [*rows_of_words(2), {"prompt": "?", "choices": ["a"]}])
    with pytest.raises(UserError, match=r"mine\.jsonl, line 3: choices"):
        prepare("lm_eval:mine", tasks=str(own))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


def write_task(folder: Path, **changes: Any) -> str:
    """A task file of the name `mine`, on the rows of the Hub's data set someone/something."""
    task = {
        "task": "mine",
        "dataset_path": "someone/something",
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "{{prompt}}",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / "mine.yaml").write_text(yaml.safe_dump(task | changes))
    return "lm_eval:mine"


class GatedRepoError(Exception):
    """As the Hub's client calls it."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionError("nobody there"), "cannot be read .*sweep tasks"),
        (GatedRepoError("403"), "is gated: accept its terms"),
    ],
)
def test_the_hub_is_asked_once_and_its_trouble_is_a_sentence(
    prepare: Any, own: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    import huggingface_hub

    asked = []

    def info(self: Any, name: str, **_: Any) -> None:
        asked.append(name)
        raise error

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    metric = write_task(own)
    two = {"group": "two", "task": ["mine", "again"], "aggregate_metric_list": [{"metric": "acc"}]}
    (own / "two.yaml").write_text(yaml.safe_dump(two))
    again = (own / "mine.yaml").read_text().replace("task: mine", "task: again")
    (own / "again.yaml").write_text(again)
    with pytest.raises(UserError, match=said):
        prepare(metric, "lm_eval:two", tasks=str(own))
    assert asked == ["someone/something"] * 2  # once for each metric


def test_offline_only_what_is_there_is_read(
    prepare: Any, own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="someone/something cannot be read"):
        prepare(write_task(own), tasks=str(own))


def test_a_folder_here_is_not_taken_for_the_hubs_data_set(
    prepare: Any, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own)
    (own / "someone/something").mkdir(parents=True)
    with pytest.raises(UserError, match="would be taken in place of the Hub's data set"):
        prepare(write_task(own), tasks=str(own))


def test_code_that_a_model_writes_is_run_only_where_that_is_allowed(
    prepare: Any, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    with pytest.raises(UserError, match="set HF_ALLOW_CODE_EVAL=1"):
        prepare(write_task(own, unsafe_code=True), tasks=str(own))


def test_a_chat_needs_a_template(prepare: Any) -> None:
    with pytest.raises(UserError, match=r"objective\.shape: chat .* has none"):
        prepare(METRIC, chat=True)


def test_a_task_file_that_cannot_be_loaded_is_a_sentence(prepare: Any, own: Path) -> None:
    metric = write_task(own, output_type="nonsense")
    with pytest.raises(UserError, match="lm_eval:mine: its tasks cannot be loaded"):
        prepare(metric, tasks=str(own))


def test_answers_longer_than_the_window_are_refused(prepare: Any, own: Path, tasks: Path) -> None:
    metric = write_task(
        own,
        dataset_path="json",
        dataset_kwargs={"data_files": {"test": str(tasks / "words.jsonl")}},
        output_type="generate_until",
        doc_to_choice=None,
        generation_kwargs={"until": ["\n"], "max_gen_toks": 300},
        metric_list=[{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    )
    with pytest.raises(UserError, match="an answer may have 300 tokens"):
        prepare(metric, tasks=str(own))


def writes(own: Path, tasks: Path) -> str:
    return write_task(
        own,
        dataset_path="json",
        dataset_kwargs={"data_files": {"test": str(tasks / "words.jsonl")}},
        output_type="generate_until",
        doc_to_choice=None,
        doc_to_target="{{choices[answer]}}",
        generation_kwargs={"until": ["\n"], "max_gen_toks": 6},
        metric_list=[{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    )


def test_a_task_whose_answers_are_written_says_so_and_counts_them(
    prepare: Any, own: Path, tasks: Path, base: tuple[Any, Any]
) -> None:
    metric = writes(own, tasks)
    facts, evaluator = prepare(metric, tasks=str(own))
    assert facts[metric]["written_tokens_at_most"] == 30 * 6
    found, rows = evaluator.measure(metric, base[0], lambda: None)
    assert 0 < found.input_tokens <= facts[metric]["input_tokens"]
    assert found.margin is None and len(rows.scores) == 30


def test_answers_from_numbers_that_are_none_have_no_score(
    prepare: Any, own: Path, tasks: Path, tiny_model: Path
) -> None:
    from transformers import AutoModelForCausalLM

    broken = AutoModelForCausalLM.from_pretrained(tiny_model)
    broken.lm_head.weight.data.fill_(float("nan"))
    metric = writes(own, tasks)
    _, evaluator = prepare(metric, tasks=str(own))
    found, rows = evaluator.measure(metric, broken, lambda: None)
    assert np.isnan(found.value) and np.isnan(rows.scores).all()


@pytest.mark.slow
def test_an_unknown_task_is_told_with_the_nearest_names(prepare: Any) -> None:
    with pytest.raises(UserError, match=r"no task or group arc_eazy; near it: arc_easy"):
        prepare("lm_eval:arc_eazy")


@pytest.mark.slow
def test_examples_for_a_task_that_nothing_measures_are_refused(prepare: Any) -> None:
    said = r"objective\.fewshot\.word: nothing .* task or group word; near it: words"
    with pytest.raises(UserError, match=said):
        prepare(METRIC, fewshot={"word": 2})
    prepare("lm_eval:both", fewshot={"both": 2, "words": 1, "letters": 0})


def test_a_group_may_hold_tasks_without_a_name(own: Path) -> None:
    (own / "all.yaml").write_text("group: all\ntask: [{dataset_path: a/b}, {dataset_path: c/d}]")
    assert list(find(["all"], [own])) == ["all"]  # as t0_eval, which `sweep tasks` lists


def test_nobody_waits_for_the_harness_who_asks_for_no_benchmark() -> None:
    import subprocess
    import sys

    code = "import sys, trainer.preload; sys.exit('lm_eval' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
