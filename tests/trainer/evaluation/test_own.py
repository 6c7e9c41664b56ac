"""A metric of one's own: a function of the user's, found, called and read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainer.contract.scores import base_scores_folder, write_scores
from trainer.contract.spec import BenchmarkSpec, UserError
from trainer.data.rows import read_source
from trainer.evaluation.evaluator import Evaluator
from trainer.evaluation.own import keep_rows

CODE = """
import torch

def lengths(model, tokenizer, rows):
    return [len(row["prompt"]) for row in rows]

def total(model, tokenizer, rows):
    return sum(len(row["prompt"]) for row in rows)

def loss(model, tokenizer, rows):
    assert not model.training and not torch.is_grad_enabled()
    torch.rand(3)
    ids = tokenizer(rows[0]["prompt"], return_tensors="pt").input_ids
    return -model(ids, labels=ids).loss

def too_few(model, tokenizer, rows):
    return [1.0]

def words(model, tokenizer, rows):
    return "good"

def raises(model, tokenizer, rows):
    raise KeyError("no such column")

number = 3
"""


@pytest.fixture
def code(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "code"
    (folder / "scores").mkdir(parents=True)
    (folder / "scores/__init__.py").write_text("")
    (folder / "scores/mine.py").write_text(CODE)
    (folder / "scores/needs.py").write_text("import no_such_package\n")
    (folder / "scores/broken.py").write_text("1 / 0\n")
    yield str(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "scores"]:
        del sys.modules[name]


@pytest.fixture
def evaluator(code: str, sums: dict[str, Path], tiny_model: Path, tmp_path: Path) -> Evaluator:
    from transformers import AutoTokenizer

    keep_rows(read_source(str(sums["choices"]), "test", tmp_path), tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    return Evaluator(tmp_path, torch.float32, tokenizer, BenchmarkSpec(code=code))


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model)


def measure(evaluator: Evaluator, model: Any, function: str, **options: Any) -> Any:
    return evaluator.measure(f"scores.{function}", model, lambda: None, **options)


def test_numbers_of_rows_have_an_error_groups_and_a_part(evaluator: Evaluator, model: Any) -> None:
    found, rows = measure(evaluator, model, "mine:lengths")
    assert found.value == pytest.approx(rows.scores.mean()) and found.num == 20
    assert found.stderr == pytest.approx(rows.scores.std(ddof=1) / 20**0.5)
    assert set(found.groups) == {"odd", "even"} == set(found.group_stderrs)
    early, part = measure(evaluator, model, "mine:lengths", num_units=6)
    _, again = measure(evaluator, model, "mine:lengths", num_units=6)
    assert early.num == 6 and part.scores.tolist() == again.scores.tolist()


def test_numbers_of_rows_are_paired_with_the_base_models(
    evaluator: Evaluator, model: Any, tmp_path: Path
) -> None:
    _, rows = measure(evaluator, model, "mine:lengths")
    write_scores(base_scores_folder(tmp_path), "scores.mine:lengths", rows.packed())
    for num in (None, 6):
        found, _ = measure(evaluator, model, "mine:lengths", num_units=num)
        assert (found.over_base, found.over_base_stderr) == (0.0, 0.0)


def test_one_number_is_of_all_rows_and_is_not_paired_at_a_look(
    evaluator: Evaluator, model: Any, tmp_path: Path
) -> None:
    found, rows = measure(evaluator, model, "mine:total")
    assert found.num == 20 and found.stderr is None and not found.groups
    write_scores(base_scores_folder(tmp_path), "scores.mine:total", rows.packed())
    whole, _ = measure(evaluator, model, "mine:total")
    early, _ = measure(evaluator, model, "mine:total", num_units=6)
    assert whole.over_base == 0.0 and early.over_base is None
    assert 0 < early.value < whole.value == found.value


def test_the_model_is_in_evaluation_and_left_as_it_was_and_its_tokens_are_counted(
    evaluator: Evaluator, model: Any
) -> None:
    model.train()
    before = torch.get_rng_state()
    found, _ = measure(evaluator, model, "mine:loss")
    assert model.training and torch.equal(torch.get_rng_state(), before)
    assert found.input_tokens == len("0+0") or found.input_tokens == len("10+0")
    assert np.isfinite(found.value)
    model.eval()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("mine:too_few", r"one for each of the 20 rows, and returned list of shape \(1,\)"),
        ("mine:words", "must return a number"),
    ],
)
def test_what_is_neither_a_number_nor_numbers_of_rows_is_said(
    evaluator: Evaluator, model: Any, function: str, said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        measure(evaluator, model, function)


def test_what_it_raises_is_what_the_trial_fails_with(evaluator: Evaluator, model: Any) -> None:
    from trainer.worker import describe_failure

    with pytest.raises(KeyError) as caught:
        measure(evaluator, model, "mine:raises")
    failed = describe_failure(caught.value)
    assert failed.kind == "error" and "no such column" in failed.message
    assert "mine.py" in failed.traceback


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("nowhere:f", r"the module scores\.nowhere is neither installed nor in"),
        ("mine:f", r"the module scores\.mine has no function f"),
        ("mine:number", "has no function number"),
        ("needs:f", "needs no_such_package: install it"),
        ("broken:f", r"cannot be imported \(ZeroDivisionError"),
    ],
)
def test_a_function_that_is_not_there_is_told_before_a_study_exists(
    evaluator: Evaluator, model: Any, function: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        evaluator.prepare([f"scores.{function}"], model.config)


def test_the_facts_are_those_of_the_rows(evaluator: Evaluator, model: Any) -> None:
    facts = evaluator.prepare(["scores.mine:lengths"], model.config)["scores.mine:lengths"]
    assert facts["rows"] == 20 and set(facts["groups"]) == {"odd", "even"}
    assert facts["input_tokens"] > 20
