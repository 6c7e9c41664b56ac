"""Leaderboards as one number: the Open LLM Leaderboard's first and second version.

`openllm`, the first (2023): six benchmarks with their own shots, the plain average of ARC-Challenge
(25 shots, acc_norm), HellaSwag (10, acc_norm), MMLU (5, acc), TruthfulQA (0, mc2), Winogrande (5,
acc) and GSM8K (5, exact match). The harness has a group of that name, which adds nothing up and has
more of TruthfulQA than the board.

`leaderboard`, the second (2024): the plain average of IFEval, BBH, MATH level 5, GPQA, MuSR and
MMLU-Pro, each raw score x normalised against chance c, 1 / number of choices, as

    0 where x < c, else (x - c) / (1 - c)

of BBH and MuSR for each subtask, whose mean counts; GPQA as a whole, with c = 1/4; MMLU-Pro with
c = 1/10. What the model writes has no chance: MATH is its exact match, IFEval the mean of its two
strict accuracies. Source: huggingface.co/docs/leaderboards/open_llm_leaderboard/normalization; the
board shows 100 times these. `leaderboard:raw` is the same without the normalisation. The harness's
own group of that name adds up raw scores by size.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trainer.contract.spec import UserError
from trainer.evaluation.benchmark_scores import STRICT, group_tree, score_of
from trainer.evaluation.score_tree import Mean, Score, Tree
from trainer.evaluation.tasks import Loaded

OPENLLM, LEADERBOARD, RAW = "openllm", "leaderboard", "raw"
_FIRST: Mapping[str, int] = {  # shots
    "arc_challenge": 25,
    "hellaswag": 10,
    "truthfulqa_mc2": 0,
    "mmlu": 5,
    "winogrande": 5,
    "gsm8k": 5,
}
_DRAWN_FROM_TRAIN = ("arc_challenge", "hellaswag", "winogrande")
_GPQA, _MMLU_PRO = 1 / 4, 1 / 10
_MUSR = {"murder_mysteries": 1 / 2, "object_placements": 1 / 5, "team_allocation": 1 / 3}


def write_first(into: Path) -> None:
    """The task file openllm.yaml is in the folder: the harness's, with the board's TruthfulQA."""
    members = [
        {
            "task": name,
            "num_fewshot": shots,
            **({"fewshot_split": "train"} if name in _DRAWN_FROM_TRAIN else {}),
        }
        for name, shots in _FIRST.items()
    ]
    group = {"group": OPENLLM, "task": members}
    (into / f"{OPENLLM}.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")


def second(asked: str | None, loaded: Loaded) -> Tree:
    """The tree of `leaderboard`, or of `leaderboard:raw`. UserError for another score."""
    if asked not in (None, RAW):
        raise UserError(f"lm_eval:{LEADERBOARD}:{asked}: it has no such score; it has {RAW}")
    is_raw = asked == RAW
    tasks, groups = loaded.tasks, loaded.groups

    def above(tree: Tree, chance: float) -> Tree:
        if isinstance(tree, Score):
            return Score(tree.task, tree.metric, tree.filter, None if is_raw else chance)
        return Mean(tree.name, tree.parts, tree.by_size, None if is_raw else chance)

    def member(task: Any, chance: float) -> Tree:
        return above(score_of(task, None), chance)

    bbh = groups["leaderboard_bbh"].get_all_tasks()
    musr = groups["leaderboard_musr"].get_all_tasks()
    return Mean(
        LEADERBOARD,
        [
            Score("leaderboard_ifeval", STRICT, "none"),
            Mean("leaderboard_bbh", [member(task, chance_of(task)) for task in bbh], False),
            group_tree(groups["leaderboard_math_hard"]),
            above(group_tree(groups["leaderboard_gpqa"]), _GPQA),
            Mean("leaderboard_musr", [member(task, _musr(task.task_name)) for task in musr], False),
            member(tasks["leaderboard_mmlu_pro"], _MMLU_PRO),
        ],
        False,
    )


def chance_of(task: Any) -> float:
    """What guessing gives where a task has the same choices throughout."""
    return 1 / len(task.doc_to_choice(task.task_docs[0]))


def _musr(task: str) -> float:
    return next(chance for name, chance in _MUSR.items() if task.endswith(name))
