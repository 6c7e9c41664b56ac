"""The score: a mean of ratings, its interval over questions, and what is left out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweep.config.objective import Judge
from sweep.judging.questions import DOUBTFUL, questions
from sweep.judging.ratings import Rating
from sweep.judging.score import score, usage

Ratings = dict[tuple[int, int], Rating]


def rating(question: int, turn: int, value: float | None) -> Rating:
    return Rating(question, turn, value, "my-judge", "single-v1", "", "", 2, 1000, 100)


def ratings(of: dict[tuple[int, int], float | None]) -> Ratings:
    return {key: rating(*key, value) for key, value in of.items()}


def all_rated(seed: int = 0) -> dict[tuple[int, int], float | None]:
    rng = np.random.default_rng(seed)
    return {(q.id, turn): float(rng.integers(1, 11)) for q in questions() for turn in (1, 2)}


def test_the_score_is_the_mean_of_160_ratings() -> None:
    values = all_rated()
    found = score(questions(), ratings(values))
    assert found.value == pytest.approx(np.mean([*values.values()]))  # type: ignore[arg-type]
    assert (found.num_rated, found.num_unrated) == (160, 0)


def test_it_is_told_by_category_and_by_turn() -> None:
    values = all_rated()
    found = score(questions(), ratings(values))
    math_ids = {q.id for q in questions() if q.category == "math"}
    own = [value for (id, _), value in values.items() if id in math_ids]
    assert found.categories["math"] == pytest.approx(np.mean(own))  # type: ignore[arg-type]
    second = [value for (_, turn), value in values.items() if turn == 2]
    assert found.turns["2"] == pytest.approx(np.mean(second))  # type: ignore[arg-type]


def test_the_standard_error_is_that_of_question_means() -> None:
    """Where every question has both turns: two of one question are one sample."""
    values = all_rated()
    means = [(values[q.id, 1] + values[q.id, 2]) / 2 for q in questions()]  # type: ignore[operator]
    expected = np.std(means, ddof=1) / math.sqrt(80)
    found = score(questions(), ratings(values))
    assert found.stderr == pytest.approx(expected)
    assert found.value is not None and found.low is not None and found.high is not None
    assert found.high - found.value == pytest.approx(1.96 * expected, rel=1e-3)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_what_has_no_rating_is_left_out_and_counted() -> None:
    values = {**all_rated(), (81, 1): None, (82, 1): None, (82, 2): None}
    found = score(questions(), ratings(values))
    rated = [value for value in values.values() if value is not None]
    assert found.value == pytest.approx(np.mean(rated))
    assert (found.num_rated, found.num_unrated) == (157, 3)
    assert found.stderr is not None


def test_without_any_rating_there_is_no_score() -> None:
    found = score(questions(), ratings({(81, 1): None}))
    assert (found.value, found.stderr, found.low, found.num_unrated) == (None, None, None, 1)
    assert set(found.categories.values()) == {None}


def test_the_mean_without_doubtful_references_is_told() -> None:
    values = {key: 10.0 if key[0] in DOUBTFUL else 4.0 for key in all_rated()}
    found = score(questions(), ratings({**values}))
    assert found.without_doubtful == 4
    assert found.value == pytest.approx(4 + 6 * 13 / 80)


@pytest.mark.parametrize(("prices", "cost"), [({}, None), ({"price_in": 2, "price_out": 10}, 0.48)])
def test_requests_tokens_and_cost_are_counted(prices: dict[str, float], cost: float | None) -> None:
    judge = Judge.model_validate({"base_url": "http://127.0.0.1/v1", "model": "my-judge", **prices})
    found = usage(ratings(all_rated()).values(), judge)
    assert (found.requests, found.tokens_in, found.tokens_out) == (320, 160_000, 16_000)
    assert found.cost == (None if cost is None else pytest.approx(cost))
