"""The score of MT-Bench: the mean of a judge's ratings, with an interval over its questions."""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sweep.account.constraints import Z95
from sweep.config.objective import Judge
from sweep.judging.questions import DOUBTFUL, TURNS, Question
from sweep.judging.ratings import Rating
from trainer.contract.measurement import Scores


@dataclass(frozen=True, slots=True)
class Score:
    """A model's score, of 1 to 10."""

    value: float | None
    """mean of all ratings; null where none was given"""
    stderr: float | None
    """its standard error over questions, each with its turns; null of fewer than two"""
    low: float | None
    """lower end of the 95 % interval over questions"""
    high: float | None
    """its upper end"""
    categories: Mapping[str, float | None]
    """mean rating of each category"""
    category_stderrs: Mapping[str, float | None]
    """the standard error of each, over its questions"""
    turns: Mapping[str, float | None]
    """mean rating of each turn: 1 and 2"""
    without_doubtful: float | None
    """mean rating without the questions whose reference answer is doubtful"""
    num_rated: int
    """ratings in the mean"""
    num_unrated: int
    """answers of the judge that hold no rating; they are left out"""


@dataclass(frozen=True, slots=True)
class JudgeUsage:
    """What a judge was asked, over all ratings that are on disk."""

    requests: int
    """requests that were made for them, retries counted"""
    tokens_in: int
    """tokens that the judge read, as its server counts them; 0 where it does not"""
    tokens_out: int
    """tokens that it wrote"""
    cost: float | None
    """dollars at judge.price_in and price_out; null without prices"""


def score(questions: Collection[Question], ratings: Mapping[tuple[int, int], Rating]) -> Score:
    """The score of the answers that the ratings are of.

    Standard error of the ratio of sums, over questions as clusters: two turns of one question are
    no two independent ratings. Linear approximation; of few questions it is too small.
    """
    rated = {key: one.rating for key, one in ratings.items() if one.rating is not None}
    by_question = [
        [rated[q.id, turn] for turn in TURNS if (q.id, turn) in rated] for q in questions
    ]
    value = _mean(rated.values())
    stderr = _stderr([one for one in by_question if one])
    reach = None if stderr is None else Z95 * stderr
    category = {q.id: q.category for q in questions}
    return Score(
        value=value,
        stderr=stderr,
        low=None if value is None or reach is None else value - reach,
        high=None if value is None or reach is None else value + reach,
        categories={
            name: _mean(rating for (id, _), rating in rated.items() if category[id] == name)
            for name in dict.fromkeys(category.values())
        },
        category_stderrs={
            name: _stderr(
                [
                    own
                    for q, own in zip(questions, by_question, strict=True)
                    if own and q.category == name
                ]
            )
            for name in dict.fromkeys(category.values())
        },
        turns={
            str(turn): _mean(rating for (_, t), rating in rated.items() if t == turn)
            for turn in TURNS
        },
        without_doubtful=_mean(rating for (id, _), rating in rated.items() if id not in DOUBTFUL),
        num_rated=len(rated),
        num_unrated=len(ratings) - len(rated),
    )


def over(
    questions: Collection[Question],
    ratings: Mapping[tuple[int, int], Rating],
    base: Mapping[tuple[int, int], Rating],
) -> tuple[float | None, float | None]:
    """How far the mean rating is above that of `base`, and its standard error: paired, over
    questions, on the answers that are rated of both. None where there are none, or fewer than two
    questions."""
    paired: list[list[float]] = []
    for question in questions:
        own = [
            (ratings[key].rating, base[key].rating)
            for key in ((question.id, turn) for turn in TURNS)
            if key in ratings and key in base
        ]
        paired.append([one - two for one, two in own if one is not None and two is not None])
    rated = [one for one in paired if one]
    return _mean(value for one in rated for value in one), _stderr(rated)


def rows(
    questions: Collection[Question], ratings: Mapping[tuple[int, int], Rating]
) -> Scores | None:
    """The mean rating of each question, weighted by its ratings, whose mean is the score; None
    where a question has none."""
    own = [
        [
            one.rating
            for turn in TURNS
            if (one := ratings.get((q.id, turn))) and one.rating is not None
        ]
        for q in questions
    ]
    if not all(own):
        return None
    means = struct.pack(f"<{len(own)}f", *(math.fsum(one) / len(one) for one in own))
    if len({len(one) for one in own}) == 1:
        return Scores(means)
    return Scores(means, struct.pack(f"<{len(own)}f", *map(len, own)))


def usage(ratings: Iterable[Rating], judge: Judge) -> JudgeUsage:
    """What the ratings took."""
    all_of = list(ratings)
    tokens_in = sum(one.tokens_in for one in all_of)
    tokens_out = sum(one.tokens_out for one in all_of)
    cost = (tokens_in * judge.price_in + tokens_out * judge.price_out) / 1e6
    has_prices = bool(judge.price_in or judge.price_out)
    requests = sum(one.requests for one in all_of)
    return JudgeUsage(requests, tokens_in, tokens_out, cost if has_prices else None)


def _mean(values: Iterable[float]) -> float | None:
    all_of = list(values)
    return math.fsum(all_of) / len(all_of) if all_of else None


def _stderr(clusters: list[list[float]]) -> float | None:
    """Of the mean of all values, over clusters."""
    import numpy as np  # of no use to whoever asks for no score

    from predictor.stats import mean_stderr

    sizes = np.array([len(own) for own in clusters], dtype=np.float64)
    sums = np.array([math.fsum(own) for own in clusters], dtype=np.float64)
    return mean_stderr(sums / sizes, sizes)
