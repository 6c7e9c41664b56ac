"""A study that optuna-dashboard can show, written by hand."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from tests.support.sweep_ledgers import fill, written

STATES = [TrialState.COMPLETE] * 3 + [TrialState.PRUNED] * 2 + [TrialState.FAIL]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study with a trial in every state; Optuna knows those that are settled. The
    path is one that is awkward in a URL."""
    folder = tmp_path / "a #study"
    with written(folder) as ledger:
        fill(ledger)
        url = str(ledger.engine.url)
    storage = optuna.storages.RDBStorage(url)
    for name in ("another", "demo"):
        made = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        for number, state in enumerate(STATES):
            value = [0.55, 0.71, 0.74][number] if state is TrialState.COMPLETE else None
            params = {"learning_rate": 1e-5 * 2**number}
            space: dict[str, BaseDistribution] = {
                "learning_rate": FloatDistribution(1e-6, 1e-3, log=True)
            }
            made.add_trial(
                create_trial(state=state, value=value, params=params, distributions=space)
            )
    storage.engine.dispose()
    return folder
