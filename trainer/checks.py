"""What is wrong with a trial's spec before anything is loaded. Imports nothing heavy.

A study's specs are right by construction; those of other schedulers and of people need not be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.spec import HIGHER_IS_BETTER, TrialSpec, UserError

_AT_LEAST_1 = ("batch_size", "budget_samples", "processes", "checkpoints_kept")
_AT_LEAST_0 = ("learning_rate", "clip", "weight_decay", "window_samples", "early_eval")
_BELOW_1 = ("warmup_ratio", "beta1", "beta2", "replay")


def check_spec(spec: TrialSpec) -> None:
    """Raises UserError with a line for each mistake."""
    _raise(list(_mistakes(spec)))


def check_data(spec: TrialSpec, facts: Mapping[str, Any]) -> None:
    """Against the prepared data (trainer/prepare.py has the keys of `facts`)."""
    mistakes = [
        f"metrics: {metric} is measured on {source}, and none was prepared; give it in data"
        for metric, source in (("eval_loss", "eval"), ("choice_accuracy", "choices"))
        if metric in spec.metrics and facts[source] is None
    ]
    if spec.strategy == "phased" and facts["phases"] is None:
        mistakes.append("strategy: phased needs data in phases; take stacked")
    _raise(mistakes)


def _raise(mistakes: list[str]) -> None:
    if mistakes:
        raise UserError("\n".join(mistakes))


def _mistakes(spec: TrialSpec) -> Iterator[str]:
    for key in _AT_LEAST_1:
        if getattr(spec, key) < 1:
            yield f"{key}: {getattr(spec, key)} must be at least 1"
    for key in _AT_LEAST_0:
        value = getattr(spec, key)
        if not (math.isfinite(value) and value >= 0):
            yield f"{key}: {value} must be a number of at least 0"
    for key in _BELOW_1:
        if not 0 <= getattr(spec, key) < 1:
            yield f"{key}: {getattr(spec, key)} must be at least 0 and below 1"
    if spec.micro_batch is not None and spec.micro_batch < 1:
        yield f"micro_batch: {spec.micro_batch} must be at least 1, or null"
    if spec.model.lora.rank < 1:
        yield f"model.lora.rank: {spec.model.lora.rank} must be at least 1"
    yield from _mistaken_metrics(spec)
    if spec.batch_size >= 1 and spec.processes >= 1:
        yield from _mistaken_processes(spec)
        if spec.window_samples > spec.num_steps * spec.batch_size:
            yield f"window_samples: {spec.window_samples} is beyond the trial's last step"


def _mistaken_metrics(spec: TrialSpec) -> Iterator[str]:
    for metric in spec.metrics:
        if metric not in HIGHER_IS_BETTER:
            yield f"metrics: {metric!r} is unknown; one of {', '.join(HIGHER_IS_BETTER)}"
    if spec.early_eval > 0 and not spec.metrics:
        yield "early_eval: needs a metric; give one in metrics, or 0"


def _mistaken_processes(spec: TrialSpec) -> Iterator[str]:
    parallel, processes = spec.model.parallel, spec.processes
    if processes > 1 and parallel == "none":
        yield f"model.parallel: {processes} processes share a trial by ddp or fsdp"
    if processes == 1 and parallel != "none":
        yield f"model.parallel: {parallel} goes with 2 processes or more; with one it is none"
    if spec.batch_size % processes:
        below = spec.batch_size // processes * processes
        near = [str(size) for size in (below, below + processes) if size]
        yield (
            f"batch_size: {processes} processes do not divide {spec.batch_size}; "
            f"{' or '.join(near)} would do"
        )
