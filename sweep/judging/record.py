"""What is on record of a study's judging: the judge, and each model's score, among its facts.

judge    the settings that the answers were rated under (objective.judge), without a key
judged   {"base" | a trial's number: a `Judged` as JSON}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sweep.config.objective import Judge
from sweep.judging.score import JudgeUsage, Score
from trainer.contract.spec import UserError

JUDGE, JUDGED = "judge", "judged"  # keys of the facts
BASE_MODEL = "base"


@dataclass(frozen=True, slots=True)
class Judged:
    """A model's answers to MT-Bench, as the study's judge rates them."""

    score: Score
    """its score, and the parts of it"""
    over_base: float | None
    """how far its mean rating is above the base model's, on the answers rated of both; null of the
    base model"""
    over_base_stderr: float | None
    """standard error of that difference, over questions"""
    usage: JudgeUsage
    """what the judge was asked for it"""
    num_cut: int
    """prompts that were longer than the model's positions allow, and were cut on the left"""
    num_unended: int
    """answers that the model did not end: they have as many tokens as there was room for"""

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` reads them."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Judged:
        """Inverse of `to_json`."""
        own: dict[str, Any] = {**values}
        own["score"], own["usage"] = Score(**values["score"]), JudgeUsage(**values["usage"])
        return Judged(**own)


def name_of(number: int | None) -> str:
    """The key of a model among the judged: a trial's number, or the base model's name for None."""
    return BASE_MODEL if number is None else str(number)


def judged_models(facts: Mapping[str, Any]) -> dict[int | None, Judged]:
    """All that were judged: the base model under None, trials under their numbers."""
    stored: Mapping[str, Any] = facts.get(JUDGED) or {}
    return {
        None if name == BASE_MODEL else int(name): Judged.from_json(values)
        for name, values in stored.items()
    }


def stored_judge(facts: Mapping[str, Any]) -> Judge | None:
    """Who rated the study's answers; None before anybody has."""
    stored = facts.get(JUDGE)
    return None if stored is None else Judge.model_validate(stored)


def refuse_another(facts: Mapping[str, Any], judge: Judge | None, study: str) -> None:
    """Raise UserError where another model has rated answers of the study."""
    known = stored_judge(facts)
    if known is not None and judge is not None and known.model != judge.model:
        raise UserError(
            f"objective.judge.model: the answers of study {study!r} were rated by {known.model!r}, "
            f"and ratings by {judge.model!r} cannot be compared with them: name that judge again, "
            "or give a study with the other judge another name"
        )
