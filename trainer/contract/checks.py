"""What is wrong with a trial's spec, found before anything is loaded. Imports nothing heavy.

A study's specs are right by construction; those of other schedulers and of people need not be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from trainer.contract.metrics import ALLOWED, extent_of, kind_of, part_of
from trainer.contract.spec import TrialSpec, UserError

_COUNTS = ("batch_size", "budget_samples", "processes", "checkpoints_kept")
_COUNTS_OR_0 = ("window_samples", "early_eval")
_AT_LEAST_0 = ("learning_rate", "clip", "weight_decay")
_SHARES = ("warmup_ratio", "beta1", "beta2", "replay")


def check_spec(spec: TrialSpec) -> None:
    """Raises UserError with a line for each mistake."""
    _refuse([*_wrong_alone(spec), *_wrong_metrics(spec), *_wrong_together(spec)])


def check_data(spec: TrialSpec, facts: Mapping[str, Any]) -> None:
    """Raise UserError, with a line for each mistake, where the prepared data lack what the trial
    needs (trainer/prepare.py has the keys of `facts`)."""
    mistakes = [
        f"metrics: {metric} is measured on {_where(metric)}, and none was prepared; "
        "prepare it, or leave the metric out"
        for metric in spec.metrics
        if extent_of(metric, facts) is None
    ]
    if spec.strategy == "phased" and facts["phases"] is None:
        mistakes.append(
            "strategy: phased needs data.phases, and the prepared data have none; take stacked"
        )
    _refuse(mistakes)


def _where(metric: str) -> str:
    part = part_of(metric)
    return f"data.{part}" if part else "questions or rows of its own"


def _refuse(mistakes: Iterable[str]) -> None:
    if text := "\n".join(mistakes):
        raise UserError(text)


def _wrong_alone(spec: TrialSpec) -> Iterator[str]:
    """Values that are wrong whatever the others are."""
    for key in _COUNTS:
        if not _is_count(getattr(spec, key)):
            yield f"{key}: {getattr(spec, key)!r} must be a whole number of at least 1"
    if spec.micro_batch is not None and not _is_count(spec.micro_batch):
        yield f"micro_batch: {spec.micro_batch!r} must be a whole number of at least 1, or null"
    for key in _COUNTS_OR_0:
        value = getattr(spec, key)
        if value != 0 and not _is_count(value):
            yield f"{key}: {value!r} must be a whole number of at least 0"
    for key in _AT_LEAST_0:
        value = getattr(spec, key)
        if not (_is_number(value) and value >= 0):
            yield f"{key}: {value!r} must be a number of at least 0"
    for key in _SHARES:
        if not _is_share(getattr(spec, key)):
            yield f"{key}: {getattr(spec, key)!r} must be at least 0 and below 1"
    lora = spec.model.lora
    if not _is_count(lora.rank):
        yield f"model.lora.rank: {lora.rank!r} must be a whole number of at least 1"
    if not _is_share(lora.dropout):
        yield f"model.lora.dropout: {lora.dropout!r} must be at least 0 and below 1"


def _wrong_metrics(spec: TrialSpec) -> Iterator[str]:
    for metric in spec.metrics:
        if kind_of(metric) is None:
            yield f"metrics: {metric!r} is unknown; allowed: {ALLOWED}"
    if spec.early_eval != 0 and not spec.metrics:
        yield "early_eval: measures the metrics, and there is none; give one, or 0 here"


def _wrong_together(spec: TrialSpec) -> Iterator[str]:
    """Values that do not go together, where each is right by itself."""
    if _is_count(spec.processes):
        yield from _wrong_parallel(spec.model.parallel, spec.processes)
    if spec.looks:
        yield from _wrong_looks(spec)
    if not _is_count(spec.batch_size):
        return
    if _is_count(spec.processes) and spec.batch_size % spec.processes:
        near = " or ".join(map(str, _nearest(spec.batch_size, spec.processes)))
        yield (
            f"batch_size: {spec.processes} processes do not divide {spec.batch_size}; "
            f"{near} would do"
        )
    if _is_count(spec.budget_samples) and _is_count(spec.window_samples):
        most = spec.num_steps * spec.batch_size
        if spec.window_samples > most:
            yield f"window_samples: {spec.window_samples} is beyond the trial's end; at most {most}"


def _wrong_looks(spec: TrialSpec) -> Iterator[str]:
    if spec.window_samples == 0:
        yield "looks: come after the window, and there is none; give window_samples, or no looks"
        return
    bounds = (spec.window_samples, *spec.looks, spec.budget_samples)
    if not all(map(_is_count, bounds)) or any(one >= next_ for one, next_ in pairwise(bounds)):
        yield (
            f"looks: {list(spec.looks)} must be whole numbers that ascend, above window_samples "
            f"({spec.window_samples}) and below budget_samples ({spec.budget_samples})"
        )


def _wrong_parallel(parallel: str, processes: int) -> Iterator[str]:
    if processes > 1 and parallel == "none":
        yield f"model.parallel: none, but {processes} processes share a trial by ddp or fsdp"
    if processes == 1 and parallel != "none":
        yield f"model.parallel: {parallel} goes with 2 processes or more; with one it is none"


def _nearest(size: int, num: int) -> list[int]:
    """The multiples of `num` right below and above `size`; 0 is none."""
    below = size - size % num
    return [each for each in (below, below + num) if each > 0]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value < 1
