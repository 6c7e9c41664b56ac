"""A trial of which nothing but its training is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.contract.spec import ModelSpec, TrialSpec

MICRO_BATCH = 8


def bare_trial(
    model: ModelSpec,
    data_dir: Path | str,
    trial_dir: Path | str,
    num_steps: int,
    batch_size: int,
    **others: Any,
) -> TrialSpec:
    """A trial of so many steps on prepared rows: no window, no evaluation, no checkpoint, and no
    model saved, but for what `others`, fields of TrialSpec, say."""
    given: dict[str, Any] = {
        "window_samples": 0,
        "learning_rate": 1e-5,
        "save_model": False,
        **others,
    }
    return TrialSpec(
        number=0,
        seed=0,
        model=model,
        data_dir=str(data_dir),
        trial_dir=str(trial_dir),
        batch_size=batch_size,
        budget_samples=num_steps * batch_size,
        metrics=(),
        early_eval=0,
        checkpoint_every_s=1e9,
        **given,
    )
