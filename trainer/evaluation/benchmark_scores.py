"""From the harness's answers to scores: of each question, of tasks, of groups and of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from lm_eval.api.metrics import mean

from trainer.contract.measurement import Measurement
from trainer.contract.spec import UserError
from trainer.evaluation.rows import Rows, by_group
from trainer.evaluation.score_tree import (
    Mean,
    Score,
    Tree,
    above_chance,
    leaves,
    num_of,
    parts_of,
    value_of,
    weights_of,
)
from trainer.evaluation.tasks import Loaded

_KNOWN_BY = ("acc_norm", "acc", "exact_match")  # what a benchmark is known by, the first it has
STRICT = "strict_acc"  # of IFEval, as the Open LLM Leaderboard has it


def score_tree(name: str, asked: str | None, loaded: Loaded) -> Tree:
    """What the metric lm_eval:NAME[:SCORE] is the mean of. UserError where it has no such score, or
    one that is no mean over questions, or lower is better."""
    if name in loaded.tasks:
        return score_of(loaded.tasks[name], asked)
    group = loaded.groups.get(name)
    if group is None:  # a tag
        return Mean(name, [score_of(task, asked) for task in loaded.tasks.values()], False)
    return group_tree(group, asked)


def group_tree(group: Any, asked: str | None = None) -> Tree:
    """The score of a group as the harness adds it up; of one that it adds nothing up of, the mean
    of its members' scores."""
    name, tasks = group.name, group.get_all_tasks()
    listed = group.aggregate_metric_list or []
    if not listed:
        members = [
            group_tree(member, asked)
            if hasattr(member, "get_all_tasks")
            else score_of(member, asked)
            for member in group
        ]
        return members[0] if len(members) == 1 else Mean(name, members, False)
    metric, _, filter = (asked or "").partition(",")
    found = [one for one in listed if not asked or one.metric == metric]
    if not found:
        raise _no_score(name, asked, [one.metric for one in listed])
    one = min(found, key=lambda each: _rank(each.metric))
    wanted = one.metric + (f",{filter}" if filter else "")
    members = [task for task in tasks if one.metric in task.aggregation()]
    return Mean(name, [score_of(task, wanted) for task in members], bool(one.weight_by_size))


def _rank(metric: str) -> int:
    return _KNOWN_BY.index(metric) if metric in _KNOWN_BY else len(_KNOWN_BY)


def score_of(task: Any, asked: str | None) -> Score:
    """The score of a task: the one asked for, or the one that it is known by."""
    name = task.task_name
    means = [metric for metric, how in task.aggregation().items() if how is mean]
    means = [metric for metric in means if task.higher_is_better().get(metric, True)]
    metric, _, filter = (asked or "").partition(",")
    if (asked and metric not in means) or not means:
        raise _no_score(name, asked, means)
    filters = [each.name for each in task._filters]
    if filter and filter not in filters:
        raise _no_score(name, asked, [f"{metric},{each}" for each in filters])
    return Score(name, metric or min(means, key=_rank), filter or filters[0])


def _no_score(name: str, asked: str | None, known: Sequence[str]) -> UserError:
    if not known:
        return UserError(
            f"lm_eval:{name}: none of its scores is a mean over questions of which more is better; "
            "take another task"
        )
    return UserError(
        f"lm_eval:{name}:{asked}: it has no such score that is a mean over questions of which more "
        f"is better; it has {', '.join(dict.fromkeys(known))}"
    )


def question_scores(score: Score, samples: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The score of each question (num_questions,); NaN where the model's answer is not finite."""
    if score.metric == STRICT:
        return strict_scores(samples)
    found: list[float] = []
    for sample in samples:
        if sample["filter"] != score.filter:
            continue
        value = sample.get(score.metric)
        if not isinstance(value, bool | int | float | np.number):
            raise UserError(f"lm_eval:{score.task}: {score.metric} is no number of each question")
        is_finite = all(np.isfinite(said[0]) for said in _log_probs(sample))
        found.append(float(value) if is_finite else float("nan"))
    return np.array(found)


def strict_scores(samples: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """IFEval's score of each prompt (num_prompts,), whose mean is the mean of its two strict
    accuracies: over prompts, and over the instructions of all prompts."""
    prompts = np.array([float(sample["prompt_level_strict_acc"]) for sample in samples])
    followed = [sample["inst_level_strict_acc"] for sample in samples]
    per_prompt = sum(map(len, followed)) / len(samples)
    return prompts / 2 + np.array([sum(each) for each in followed]) / per_prompt / 2


def question_margins(
    task: Any, score: Score, samples: Sequence[Mapping[str, Any]]
) -> np.ndarray | None:
    """By how much, in nats (per character where `score` is acc_norm), the right choice of each
    question lies above the best wrong one (num_questions,); None of what has no right choice."""
    found: list[float] = []
    if task.OUTPUT_TYPE != "multiple_choice" or callable(task.config.process_results):
        return None
    for sample in samples:
        doc, choices = sample["doc"], task.doc_to_choice(sample["doc"])
        right = task.doc_to_text(doc) if task.multiple_input else sample["target"]
        if isinstance(right, str):
            right = choices.index(right) if right in choices else -1
        places = [place for place in (right if isinstance(right, list) else [right])]
        sums = np.array([said[0] for said in _log_probs(sample)][: len(choices)])
        if not all(isinstance(place, int) and 0 <= place < len(choices) for place in places):
            return None
        if score.metric == "acc_norm":
            sums = sums / np.array([float(len(choice)) for choice in choices])
        is_right = np.isin(np.arange(len(choices)), places)
        found.append(float(sums[is_right].max() - sums[~is_right].max(initial=-np.inf)))
    return np.array(found)


def _log_probs(sample: Mapping[str, Any]) -> list[tuple[float, bool]]:
    return [said for said in sample["filtered_resps"] if isinstance(said, tuple)]


def measurement(
    tree: Tree,
    tasks: Mapping[str, Any],
    samples: Mapping[str, Sequence[Mapping[str, Any]]],
    strata: np.ndarray,
    is_finite: bool,
) -> tuple[Measurement, Rows]:
    """The value with its parts, and what it is the mean of, from what the harness noted of each
    question. `strata` (num_questions,): what each belongs to; `is_finite`: whether all was that the
    model gave. Tokens and seconds are 0."""
    of_task = {leaf.task: leaf for leaf in leaves(tree) if leaf.task in samples}
    scores = {name: question_scores(of_task[name], samples[name]) for name in samples}
    scores = above_chance(tree, scores)
    if not is_finite and all(np.isfinite(each).all() for each in scores.values()):
        scores = {name: np.full(len(each), np.nan) for name, each in scores.items()}
    margins = {
        name: question_margins(tasks[name], of_task[name], samples[name]) for name in samples
    }
    weight = weights_of(tree, scores)
    weights = {name: np.full(len(each), weight[name]) for name, each in scores.items()}

    def rows_of(names: Sequence[str]) -> Rows:
        return Rows(*(np.concatenate([all[name] for name in names]) for all in (scores, weights)))

    rows = rows_of(list(scores))
    groups = {name: (own.mean, own.stderr) for name, own in by_group(rows, strata.tolist()).items()}
    for part in parts_of(tree):
        if num_of(part, scores):
            own = rows_of([leaf.task for leaf in leaves(part) if leaf.task in scores])
            groups[part.name] = (value_of(part, scores), own.stderr)
    found = Measurement(
        value_of(tree, scores),
        len(rows.scores),
        input_tokens=0,
        seconds=0.0,
        groups={name: value for name, (value, _) in groups.items()} if len(groups) > 1 else {},
        stderr=rows.stderr,
        group_stderrs={name: error for name, (_, error) in groups.items()},
    )
    if not len(groups) > 1:
        found = replace(found, group_stderrs={})
    told = [each for each in margins.values() if each is not None]
    if len(told) == len(margins):
        margin = Rows(np.concatenate(told), rows.weights)
        found = replace(found, margin=margin.mean, margin_stderr=margin.stderr)
    return found, rows
