"""The objectives against the plain computation from the full logits."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainer.data.batches import pad_rows
from trainer.evaluation import batching
from trainer.evaluation import measure as measure_module
from trainer.evaluation.measure import Scored, measure

SEED = 0


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def scored() -> Scored:
    """Six questions of two to four choices, ragged; the last tokens of each are scored."""
    rng = np.random.default_rng(SEED)
    ids, labels, unit, is_answer = [], [], [], []
    for question, num_choices in enumerate((2, 3, 4, 2, 3, 4)):
        for choice in range(num_choices):
            row = rng.integers(1, 257, rng.integers(4, 30))
            scored = row.copy()
            scored[: -rng.integers(1, 4)] = -100
            ids.append(row)
            labels.append(scored)
            unit.append(question)
            is_answer.append(choice == question % num_choices)
    groups = ["a", "b", "a", "b", "a", ""]
    return Scored(ids, labels, np.array(unit), np.array(is_answer), groups)


def plain_log_probs(model: Any, ids: np.ndarray, labels: np.ndarray) -> list[float]:
    """Log-probability of each scored token of one sequence."""
    with torch.no_grad():
        logits = model(input_ids=torch.from_numpy(ids[None])).logits[0]
    table = logits.log_softmax(-1)
    return [float(table[i - 1, ids[i]]) for i in range(1, len(ids)) if labels[i] != -100]


def test_eval_loss_is_the_mean_over_tokens(model: Any, scored: Scored) -> None:
    texts = Scored(scored.input_ids, scored.labels, np.arange(len(scored.input_ids)))
    found, _ = measure(model, texts, torch.float32, lambda: None)
    pairs = zip(scored.input_ids, scored.labels, strict=True)
    every = [lp for ids, labels in pairs for lp in plain_log_probs(model, ids, labels)]
    assert found.value == pytest.approx(-np.mean(every), rel=1e-5)
    assert found.num == len(every)
    assert found.margin is None
    assert found.input_tokens == sum(map(len, scored.input_ids))


def test_choice_accuracy_takes_the_highest_mean(model: Any, scored: Scored) -> None:
    found, _ = measure(model, scored, torch.float32, lambda: None)
    pairs = zip(scored.input_ids, scored.labels, strict=True)
    means = np.array([np.mean(plain_log_probs(model, ids, labels)) for ids, labels in pairs])
    assert scored.is_answer is not None
    right = []
    for question in range(6):
        own = np.flatnonzero(scored.unit == question)
        right.append(bool(scored.is_answer[own][np.argmax(means[own])]))
    assert found.value == pytest.approx(np.mean(right))
    assert found.num == 6
    assert found.groups["b"] == pytest.approx(np.mean([right[1], right[3]]))
    assert set(found.groups) == {"a", "b"}
    assert found.stderr == pytest.approx(np.std(right, ddof=1) / np.sqrt(6))


def test_the_margin_is_how_far_the_right_choice_lies_above_the_best_wrong_one(
    model: Any, scored: Scored
) -> None:
    found, _ = measure(model, scored, torch.float32, lambda: None)
    assert scored.is_answer is not None
    right: dict[int, float] = {}
    wrong: dict[int, list[float]] = {}
    pairs = zip(scored.input_ids, scored.labels, strict=True)
    for question, is_answer, (ids, labels) in zip(
        scored.unit, scored.is_answer, pairs, strict=True
    ):
        score = float(np.mean(plain_log_probs(model, ids, labels)))
        if is_answer:
            right[question] = score
        else:
            wrong.setdefault(question, []).append(score)
    margins = [right[question] - max(wrong[question]) for question in range(6)]
    assert found.margin == pytest.approx(np.mean(margins), rel=1e-5)
    assert found.margin_stderr == pytest.approx(np.std(margins, ddof=1) / np.sqrt(6), rel=1e-5)


@pytest.mark.parametrize("max_tokens", [1, 64, 10_000])
def test_the_batching_does_not_matter(
    model: Any, scored: Scored, max_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = measure(model, scored, torch.float32, lambda: None)
    monkeypatch.setitem(batching.BATCH_TOKENS, "cpu", max_tokens)
    found, _ = measure(model, scored, torch.float32, lambda: None)
    assert found.value == pytest.approx(expected.value, rel=1e-6)


def test_the_standard_error_of_a_loss_is_how_it_scatters_over_draws_of_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(SEED)
    counts = rng.integers(1, 20, 200)
    sums = -counts * rng.gamma(4, 0.5, 200)
    ratios = []
    for _ in range(4000):
        drawn = rng.integers(0, 200, 200)
        ratios.append(sums[drawn].sum() / counts[drawn].sum())
    rows = [np.ones(2, dtype=int)] * 200
    monkeypatch.setattr(measure_module, "_score", lambda *args: (sums, counts))
    found, _ = measure(None, Scored(rows, rows, np.arange(200)), torch.float32, lambda: None)
    assert found.stderr == pytest.approx(np.std(ratios), rel=0.1)


def test_of_one_question_there_is_no_standard_error(model: Any, scored: Scored) -> None:
    found, _ = measure(model, scored.subset(1), torch.float32, lambda: None)
    assert found.num == 1 and found.margin is not None
    assert found.stderr is None and found.margin_stderr is None


def test_a_broken_model_is_never_right_and_its_margin_not_finite(
    tiny_model: Path, scored: Scored
) -> None:
    from transformers import AutoModelForCausalLM

    broken = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.no_grad():
        broken.model.norm.weight.fill_(float("nan"))
    found, _ = measure(broken, scored, torch.float32, lambda: None)
    assert found.value == 0.0
    assert found.margin is not None and np.isnan(found.margin)


@pytest.mark.parametrize(
    ("scores", "margin"),
    [
        ([-np.inf, -1.0, -2.0, -1.0], -np.inf),  # the first of each two is right
        ([-1.0, -np.inf, -2.0, -1.0], np.inf),
        ([-np.inf, -np.inf, -2.0, -1.0], np.nan),
        ([-1.0, np.nan, -2.0, -1.0], np.nan),
        ([-1.0, -3.0, -2.0, -1.0], 0.5),
    ],
)
def test_a_margin_of_scores_that_are_not_finite_is_none_of_a_finite_one(
    scores: list[float], margin: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = np.array(scores), np.ones(4)
    monkeypatch.setattr(measure_module, "_score", lambda *args: found)
    rows, is_answer = [np.ones(2, dtype=int)] * 4, np.array([True, False] * 2)
    scored = Scored(rows, rows, np.array([0, 0, 1, 1]), is_answer, ["", ""])
    measured, _ = measure(None, scored, torch.float32, lambda: None)
    assert measured.margin == pytest.approx(margin, nan_ok=True)


def test_the_model_is_left_as_it_was(model: Any, scored: Scored) -> None:
    before = random.getstate(), torch.get_rng_state()
    for training in (True, False):
        model.train(training)
        measure(model, scored, torch.float32, lambda: None)
        assert model.training is training
    assert "forward" not in model.__dict__
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    model.eval()


def test_the_early_subset_is_fixed_and_whole(scored: Scored) -> None:
    one, two = scored.subset(3), scored.subset(3)
    assert [list(ids) for ids in one.input_ids] == [list(ids) for ids in two.input_ids]
    assert sorted(set(one.unit)) == [0, 1, 2]
    assert one.is_answer is not None and one.is_answer.sum() == 3
    assert len(one.groups) == 3
    assert scored.subset(6) is scored and scored.subset(99) is scored


def test_padding_that_looks_like_the_end_of_text_hides_none_of_it() -> None:
    eos = 0  # also what pad_rows pads with
    batch = pad_rows(
        [np.array([5, 6, eos]), np.array([5, eos])],
        [np.array([-100, 6, eos])] * 1 + [np.array([-100, eos])],
    )
    assert batch["labels"].tolist() == [[-100, 6, eos], [-100, eos, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_an_evaluation_that_runs_out_of_memory_takes_fewer_at_once(
    model: Any, scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = measure(model, scored, torch.float32, lambda: None)
    score_rows, tried = measure_module._score_rows, []

    def limited(model: Any, scored: Scored, rows: np.ndarray, *rest: Any) -> Any:
        tried.append(len(rows))
        if len(rows) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return score_rows(model, scored, rows, *rest)

    monkeypatch.setattr(measure_module, "_score_rows", limited)
    found, _ = measure(model, scored, torch.float32, lambda: None)
    assert found.value == expected.value and found.groups == expected.groups
    assert max(tried) > 3 >= tried[-1]


def test_a_sequence_too_long_for_memory_alone_is_an_error(
    model: Any, scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(measure_module, "_score_rows", full)
    with pytest.raises(torch.OutOfMemoryError):
        measure(model, scored, torch.float32, lambda: None)
