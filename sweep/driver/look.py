"""What a look shows, as the storage has it; `sweep/account/objective.py` reads it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from predictor.signals import window_signals
from predictor.types import Observation
from trainer.contract.measurement import Measurement
from trainer.contract.metrics import margin_of


def look_at(
    observations: Sequence[Observation],
    samples: int,
    early: Mapping[str, Measurement],
    metric: str,
) -> dict[str, Any]:
    """What a look at `samples` shows, for the storage: metrics have their own values there.
    ValueError where the observations do not reach so far."""
    own = early.get(metric)
    value, num, stderr = (None, None, None) if own is None else (own.value, own.num, own.stderr)
    others = {
        name: {"value": value, "num": num, "stderr": stderr}
        for name, value, num, stderr in _scores(early)
        if name != metric
    }
    return {
        **asdict(window_signals(observations, samples, value)),
        "early_eval_num": num,
        "early_eval_stderr": stderr,
        "early_others": others,
        "over_base": {
            name: {"value": one.over_base, "stderr": one.over_base_stderr}
            for name, one in early.items()
            if one.over_base is not None
        },
    }


def _scores(early: Mapping[str, Measurement]) -> Iterator[tuple[str, float, int, float | None]]:
    """Name, value, number and standard error of all that was measured."""
    for metric, one in early.items():
        yield metric, one.value, one.num, one.stderr
        if one.margin is not None:
            yield margin_of(metric), one.margin, one.num, one.margin_stderr
