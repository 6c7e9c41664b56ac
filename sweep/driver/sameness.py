"""When two trials are one: training both would give the same numbers to the last digit."""

from __future__ import annotations

from collections.abc import Hashable

from trainer.contract.spec import TrialSpec


def identity(spec: TrialSpec) -> Hashable:
    """A key that is equal for two trials of a study that differ in nothing that the training sees.

    Budget and warmup count in whole steps. Without two steps after the warmup no schedule has begun
    to fall; with two, a linear one and a cosine stand at a half.
    """
    falling_steps = spec.num_steps - spec.warmup_steps
    schedule = spec.schedule
    if falling_steps <= 1:
        schedule = "constant"
    elif falling_steps == 2 and schedule == "cosine":
        schedule = "linear"
    return (
        *(spec.seed, spec.model, spec.batch_size, spec.num_steps, spec.learning_rate),
        *(schedule, spec.warmup_steps, spec.weight_decay, spec.beta1, spec.beta2, spec.clip),
        *(spec.strategy, spec.replay, spec.reset_optimizer),
    )
