"""How many samples a look measures, and what looking costs of a trial's training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.account.flops import eval_flops, train_flops
from sweep.config.budget import budget_extremes, look_samples
from sweep.config.study import Study
from trainer.contract.metrics import Extent, extent_of, units_at_look

MOST_SHARE = 0.03  # of a trial's training compute, for all its looks together
FEWEST = 16  # rows or questions; fewer tell nothing


def early_size(study: Study, facts: Mapping[str, Any]) -> int:
    """Rows or questions that each metric is measured on at a look: as many for all trials, the same
    ones.

    With pruning.early_eval auto what the study was made with (`facts`: early_eval); of a new one as
    many as cost MOST_SHARE, FEWEST at least, and no more than the largest set has. UserError as
    `look_samples`.
    """
    given = study.pruning.early_eval
    if given != "auto":
        return given
    if (kept := facts.get("early_eval")) is not None:
        return kept
    most = max(_extent(metric, facts).units for metric in study.metrics)
    low, high = min(FEWEST, most), most  # the largest that is cheap enough
    while low < high:
        middle = (low + high + 1) // 2
        if early_share(study, facts, middle) <= MOST_SHARE:
            low = middle
        else:
            high = middle - 1
    return low


def early_share(study: Study, facts: Mapping[str, Any], num: int) -> float:
    """FLOPs of all looks of a trial, `num` samples each, as a share of those of its training; of
    the smallest budget."""
    train, params = facts["train"], facts["num_params"]
    smallest, _ = budget_extremes(study, train["rows"])
    tokens = smallest * train["input_tokens"] / train["rows"]
    num_looks = 1 + len(look_samples(study, train["rows"]))
    looks = num_looks * eval_flops(params, early_tokens(study, facts, num))
    return looks / train_flops(study.model.tuning, params, tokens)


def early_tokens(study: Study, facts: Mapping[str, Any], num: int) -> float:
    """Input tokens of one look, over draws of the samples."""
    questions, tokens = early_questions(study), 0.0
    for metric in study.metrics:
        extent = _extent(metric, facts)
        units = units_at_look(metric, num, questions)
        tokens += extent.input_tokens * min(1.0, units / extent.units)
    return tokens


def early_questions(study: Study) -> int | None:
    """Questions that a look asks of each benchmark and of choice_accuracy, where the study says so
    (objective.early.questions); None: as many as `early_size`."""
    given = study.objective.early.questions
    return None if given == "auto" else given


def _extent(metric: str, facts: Mapping[str, Any]) -> Extent:
    """Of the whole set that a metric is measured on."""
    found = extent_of(metric, facts)
    assert found is not None, metric
    return found
