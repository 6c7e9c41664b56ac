"""The predictor in somebody's own script: two lines beside Optuna and a transformers Trainer.

    study = optuna.create_study(pruner=EarlyDynamicsPruner(window=0.1, risk=0.1))
    trainer = SFTTrainer(..., callbacks=[EarlyDynamicsCallback(trial)])

The callback reads the Trainer's log, stores the window's signals with the trial and asks Optuna
whether to go on; the pruner asks the gap model (`predictor.gap`). All they know lies in the study's
storage as user attributes, so any storage and any number of processes will do.

Importing this package imports neither Optuna nor transformers, which are slow to import: the two
classes come when they are first asked for (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from predictor.adapters.callback import EarlyDynamicsCallback
    from predictor.adapters.pruner import EarlyDynamicsPruner

__all__ = ["EarlyDynamicsCallback", "EarlyDynamicsPruner"]

_MODULES = {
    "EarlyDynamicsCallback": "predictor.adapters.callback",
    "EarlyDynamicsPruner": "predictor.adapters.pruner",
}


def __getattr__(name: str) -> type:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
