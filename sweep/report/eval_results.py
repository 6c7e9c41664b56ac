"""What was measured of a model, as the Hub's evaluation results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweep.report.trial_types import Measured, TrialSummary
from trainer.contract.metrics import (
    CHOICE_ACCURACY,
    EVAL_LOSS,
    harness_name,
    is_margin,
    is_share,
    kind_of,
)
from trainer.contract.safe_text import safe

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_OWN_DATA = {EVAL_LOSS: "held-out rows of the study", CHOICE_ACCURACY: "questions of the study"}


def eval_results(trial: TrialSummary) -> list[EvalResult]:
    """Each metric of the trial's end, with its standard error and what it is over; what is not
    finite is left out. None of them is verified: they are the study's own."""
    return [
        _result(metric, one)
        for metric, one in trial.measurements.items()
        if one.value is not None and not is_margin(metric)
    ]


def _result(metric: str, one: Measured) -> EvalResult:
    from huggingface_hub import EvalResult

    is_harness = kind_of(metric) == "harness"
    task = harness_name(metric).task if is_harness else None
    about: dict[str, Any] = {"num": one.num}
    if one.stderr is not None:
        about["stderr"] = one.stderr
    return EvalResult(
        task_type="text-generation",
        dataset_type=safe(task or "private"),
        dataset_name=safe(task or _OWN_DATA.get(metric, "rows of the study")),
        metric_type="loss" if metric == EVAL_LOSS else "accuracy" if is_share(metric) else "score",
        metric_name=safe(metric),
        metric_value=one.value,
        metric_args=about,
    )
