"""What Optuna has of the study that sweep_ledgers.fill writes, in the same storage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from tests.support.sweep_ledgers import fill, written

STATES = [TrialState.COMPLETE] * 3 + [TrialState.PRUNED] * 2 + [TrialState.FAIL]
SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-6, 1e-3, log=True),
    "batch_size": CategoricalDistribution([16, 64]),
}


def with_optuna(folder: Path, name: str = "demo", others: Sequence[str] = ()) -> Path:
    """The folder of a study with a trial in every state; Optuna has those that are settled, and
    other studies before it."""
    with written(folder, name) as ledger:
        fill(ledger)
        url = str(ledger.engine.url)
    storage = RDBStorage(url)
    for each in (*others, name):
        made = optuna.create_study(study_name=each, storage=storage, direction="maximize")
        for number, state in enumerate(STATES):
            value = [0.55, 0.71, 0.74][number] if state is TrialState.COMPLETE else None
            params = {
                "learning_rate": 1e-5 * 2**number,
                "batch_size": 64 if number % 2 else 16,
            }
            made.add_trial(
                create_trial(state=state, value=value, params=params, distributions=SPACE)
            )
    storage.engine.dispose()
    return folder
