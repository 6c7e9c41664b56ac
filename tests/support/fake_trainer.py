"""A Trainer's events on made-up curves, and a study over them; processes of their own import it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from transformers import TrainerControl, TrainerState

from predictor.adapters import EarlyDynamicsCallback, EarlyDynamicsPruner


class FakeTrainer:
    """The Trainer's events in the Trainer's order, over 40 steps of 8 samples."""

    def __init__(
        self,
        callback: Any,
        loss: Callable[[int], float] = lambda step: 2.0,
        norm: Callable[[int], float | None] = lambda step: 1.0,
        evaluate: Callable[[int], float] | None = None,
        logging_steps: int = 1,
        eval_steps: int = 4,
        **args: Any,
    ) -> None:
        self.callback, self.loss, self.norm, self.evaluate = callback, loss, norm, evaluate
        self.logging_steps, self.eval_steps = logging_steps, eval_steps
        self.num_evaluations = 0
        defaults = {
            "train_batch_size": 4,
            "gradient_accumulation_steps": 2,
            "world_size": 1,
            "process_index": 0,
            "dataloader_drop_last": False,
            "logging_nan_inf_filter": True,
            "fp16": False,
            "eval_strategy": "steps" if evaluate else "no",
            "get_warmup_steps": lambda max_steps: 0,
        }
        self.args = SimpleNamespace(**(defaults | args))
        self.state = TrainerState(max_steps=40, train_batch_size=4, log_history=[])
        self.control = TrainerControl()

    def train(self) -> None:
        self._event("on_train_begin", train_dataloader=SimpleNamespace(dataset=range(160)))
        while self.state.global_step < 40 and not self.control.should_training_stop:
            self.state.global_step += 1
            self.state.epoch = self.state.global_step / 20
            self._step(self.state.global_step)
        self._event("on_epoch_end")
        self._event("on_train_end")

    def _step(self, step: int) -> None:
        self.control.should_log = step % self.logging_steps == 0
        self.control.should_evaluate = self.evaluate is not None and step % self.eval_steps == 0
        self._event("on_step_end")
        if self.control.should_log:
            norm = self.norm(step)
            self._log(
                {"loss": self.loss(step)} | ({} if norm is None else {"grad_norm": norm}), step
            )
        if self.control.should_evaluate:
            assert self.evaluate is not None
            self.num_evaluations += 1
            metrics = {"eval_loss": self.evaluate(step), "eval_runtime": 0.1}
            self._log(metrics, step)
            self.control.should_evaluate = False
            self._event("on_evaluate", metrics=metrics)

    def _log(self, logs: dict[str, float], step: int) -> None:
        self.state.log_history.append(logs | {"step": step})
        self.control.should_log = False
        self._event("on_log", logs=logs)

    def _event(self, name: str, **more: Any) -> None:
        getattr(self.callback, name)(self.args, self.state, self.control, **more)


def made_up(trial: optuna.Trial) -> float:
    """The higher x, the worse everything from the first step on; the best is at 0."""
    x = trial.suggest_float("x", 0.0, 1.0)
    FakeTrainer(
        EarlyDynamicsCallback(trial),
        loss=lambda step: 2.0 + x - step / 100,
        norm=lambda step: 1.0 + x,
        evaluate=lambda step: 1.0 + x,
    ).train()
    return 1.0 + x


def study_of(storage: Any = None, name: str = "a study", **settings: Any) -> optuna.Study:
    return optuna.create_study(
        storage=storage,
        study_name=name,
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=EarlyDynamicsPruner(**settings),
        load_if_exists=True,
    )


def journal(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path / "journal")))


def work(path: Path, num_trials: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    study_of(journal(path), audit=0.0).optimize(made_up, n_trials=num_trials)
