"""What a benchmark's value is the mean of: scores of tasks, groups of them, leaderboards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from lm_eval.api.metrics import aggregate_subtask_metrics, mean


@dataclass(frozen=True, slots=True)
class Score:
    """What is counted of a task: a metric of the harness after a filter of its answers."""

    task: str
    metric: str
    filter: str
    chance: float | None = None  # as of a Mean

    @property
    def name(self) -> str:
        """The task's."""
        return self.task


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over parts: over their questions, or of their means. With a `chance`, how far that
    lies above it, of what there is above it; 0 below."""

    name: str
    parts: Sequence[Score | Mean]
    by_size: bool
    chance: float | None = None


Tree = Score | Mean


def leaves(tree: Tree) -> list[Score]:
    """The scores that it is made of."""
    if isinstance(tree, Score):
        return [tree]
    return [leaf for part in tree.parts for leaf in leaves(part)]


def parts_of(tree: Tree) -> Iterator[Tree]:
    """What it is made of, at all levels, itself left out."""
    for part in () if isinstance(tree, Score) else tree.parts:
        yield part
        yield from parts_of(part)


def num_of(tree: Tree, scores: Mapping[str, Any]) -> int:
    """The number of questions."""
    return sum(len(scores.get(leaf.task, ())) for leaf in leaves(tree))


def value_of(tree: Tree, scores: Mapping[str, np.ndarray]) -> float:
    """As the harness adds up, from the scores of each task (num_questions,). NaN where one is; of
    tasks of which nothing was asked nothing counts."""
    if isinstance(tree, Score):
        return float(mean(scores[tree.task].tolist()))
    parts = [part for part in tree.parts if num_of(part, scores)]
    values = [value_of(part, scores) for part in parts]
    sizes = [num_of(part, scores) for part in parts]
    return float(aggregate_subtask_metrics(values, sizes, tree.by_size))


def above_chance(tree: Tree, scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The scores of each task (num_questions,) with those below a `chance` as that counts them: the
    value stays the mean of its questions."""
    found = dict(scores)
    for part in (tree, *parts_of(tree)):
        if part.chance is None or not num_of(part, scores):
            continue
        is_below = value_of(part, scores) < part.chance
        for leaf in leaves(part):
            if leaf.task in scores:
                own = (scores[leaf.task] - part.chance) / (1 - part.chance)
                found[leaf.task] = np.zeros_like(own) if is_below else own
    return found


def weights_of(tree: Tree, scores: Mapping[str, Any], whole: float = 1.0) -> dict[str, float]:
    """What a question of each task weighs in the value, `whole` all together."""
    if isinstance(tree, Score):
        return {tree.task: whole / len(scores[tree.task])}
    parts = [part for part in tree.parts if num_of(part, scores)]
    total = num_of(tree, scores)
    found: dict[str, float] = {}
    for part in parts:
        share = num_of(part, scores) / total if tree.by_size else 1 / len(parts)
        found |= weights_of(part, scores, whole * share)
    return found
