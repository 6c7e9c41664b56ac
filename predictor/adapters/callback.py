"""A transformers callback that watches a trial's early window and ends the training of a loser."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from optuna import Trial, TrialPruned
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from predictor.adapters.pruner import (
    EarlyDynamicsPruner,
    objective_sign,
    refuse_several_objectives,
)
from predictor.adapters.stored import GUARD, SHARE, VERDICT, WINDOW, verdict_json, window_json
from predictor.adapters.trainer_logs import LoggedWindow, Pace, read_observations, read_window
from predictor.judge import guard
from predictor.types import Observation, Settings

T = TypeVar("T")


class Plan(NamedTuple):
    """What the callback goes by, the same on every process."""

    number: int  # of the trial
    samples: int  # where its window ends
    share: float  # of the samples that it is to be trained on, where that is
    settings: Settings
    metric: str | None  # of the early evaluation
    lower_is_better: bool


class EarlyDynamicsCallback(TrainerCallback):
    """Watches a Trainer's early window for a trial, and ends the training if that is pruned.

    Reads what the Trainer logs: the loss, the gradient norm before clipping and the evaluations; it
    changes no setting. `metric` is the key under which the Trainer's own evaluations have what the
    study optimises; None: "eval_loss" in a study that minimises, no evaluation in one that
    maximises. The last of them within the window is reported to Optuna as an intermediate value.
    A trial whose loss or norm is not finite, or that diverges, is pruned at any step (guards).

    A pruned training stops at that step without a further evaluation or checkpoint, and
    `trainer.train()` then raises optuna.TrialPruned, from `on_train_end`.

    With several processes of one training (DDP), process 0 has the trial and the others None; what
    process 0 learns reaches all of them, and `train()` raises on each.
    Raises ValueError if the study's pruner is not an EarlyDynamicsPruner.
    """

    def __init__(self, trial: Trial | None, metric: str | None = None) -> None:
        if trial is not None:
            refuse_several_objectives(trial.study)
            if not isinstance(trial.study.pruner, EarlyDynamicsPruner):
                raise ValueError(
                    "EarlyDynamicsCallback needs EarlyDynamicsPruner as its study's pruner, which "
                    f"is {type(trial.study.pruner).__name__}: give pruner= to create_study, and "
                    "to load_study in every process"
                )
        self._trial, self._metric = trial, metric
        self._pruned = ""  # the reason

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        train_dataloader: Any = None,
        **_: Any,
    ) -> None:
        """The plan is made, the same on every process: the window, the settings and the metric.

        ValueError where process 0 has no trial. UserWarning where the window is no shorter than
        this training.
        """
        if self._trial is None and state.is_world_process_zero:
            raise ValueError("EarlyDynamicsCallback got no trial on process 0")
        self._pruned, self._is_guarded = "", True
        self._pace = pace_of(args, state, train_dataloader)
        planned = self._pace.samples_after(state.max_steps)
        self._plan = broadcast_from_main(args, lambda: self._make_plan(planned))
        self._close_step = self._pace.step_at(self._plan.samples)
        self._warmup_steps = args.get_warmup_steps(state.max_steps)
        self._observations = self._read(args, state.log_history)
        self._is_settled = self._close_step >= state.max_steps
        if self._is_settled:
            warnings.warn(
                f"the study's early window of {self._plan.samples} samples is no shorter than this "
                f"training of {planned}, so the trial is not judged",
                stacklevel=2,
            )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """The verdict is asked for at the latest one step after the window, whatever is logged by
        then."""
        is_late = state.global_step > self._close_step  # nothing came that was waited for
        at_epoch_end = args.eval_strategy == "epoch" and float(state.epoch or 0.5).is_integer()
        if is_late or not (control.should_log or control.should_evaluate or at_epoch_end):
            self._settle(args, state, control)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """What was logged is read; the guards are asked, and the predictor where the window has
        ended."""
        logged = self._read(args, state.log_history[-1:])
        self._observations += logged
        if logged and self._is_guarded and not self._pruned:
            self._ask_guard(args, control)
        if not control.should_evaluate:
            self._settle(args, state, control)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] = MappingProxyType({}),
        **_: Any,
    ) -> None:
        """The predictor is asked where the window has ended and the study's metric was
        evaluated."""
        if self._plan.metric in metrics:  # one of several evaluation sets may have it
            self._settle(args, state, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """A pruned training neither evaluates nor saves at the end of its epoch."""
        if self._pruned:
            control.should_evaluate = control.should_save = False

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Raises optuna.TrialPruned, with the reason, where the trial was pruned."""
        if self._pruned:
            raise TrialPruned(self._pruned)

    def _make_plan(self, planned_samples: int) -> Plan:
        trial, pruner = self._own()
        lower_is_better = objective_sign(trial.study) > 0
        metric = self._metric or ("eval_loss" if lower_is_better else None)
        samples = pruner.window_samples(trial.study, planned_samples)
        pruner.remember(trial.study)
        share = min(1.0, samples / max(1, planned_samples))
        settings = pruner.settings(trial.study)
        return Plan(trial.number, samples, share, settings, metric, lower_is_better)

    def _read(self, args: TrainingArguments, history: list[dict[str, Any]]) -> list[Observation]:
        return read_observations(
            history,
            self._pace,
            is_nan_filtered=args.logging_nan_inf_filter,
            skips_steps=args.fp16,
        )

    def _settle(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl
    ) -> None:
        """The verdict, once, if the window has ended: on every process at the same event."""
        if self._is_settled or self._pruned or state.global_step < self._close_step:
            return
        self._is_settled = True
        logged = read_window(
            state.log_history,
            self._observations,
            self._pace,
            self._plan.samples,
            metric=self._plan.metric,
            lower_is_better=self._plan.lower_is_better,
        )
        if state.is_world_process_zero:
            for remark in logged.remarks:
                warnings.warn(remark, stacklevel=2)
        reason = broadcast_from_main(args, lambda: self._ask_pruner(logged))
        if reason:
            self._stop(control, reason)

    def _ask_pruner(self, logged: LoggedWindow) -> str:
        """Why the trial is pruned; empty: it goes on."""
        if logged.signals is None:
            return ""
        trial, _ = self._own()
        trial.set_user_attr(SHARE, self._plan.share)
        trial.set_user_attr(WINDOW, window_json(logged.signals))
        if logged.evaluated is not None:
            trial.report(*logged.evaluated)
        if not trial.should_prune():
            return ""
        trials = trial.study.get_trials(deepcopy=False)
        own = next(t for t in trials if t.number == trial.number)
        return own.user_attrs[VERDICT]["reason"]

    def _ask_guard(self, args: TrainingArguments, control: TrainerControl) -> None:
        plan = self._plan
        verdict = guard(self._observations, self._warmup_steps, plan.number, plan.settings)
        if verdict is None:
            return
        self._is_guarded = False  # once: an audited trial that stays diverged goes on
        broadcast_from_main(args, lambda: self._store_guard(verdict_json(verdict, plan.settings)))
        if verdict.action == "prune":
            self._stop(control, verdict.reason)

    def _store_guard(self, verdict: dict[str, Any]) -> None:
        self._own()[0].set_user_attr(GUARD, verdict)

    def _stop(self, control: TrainerControl, reason: str) -> None:
        self._pruned = reason
        control.should_training_stop = True
        control.should_evaluate = control.should_save = False

    def _own(self) -> tuple[Trial, EarlyDynamicsPruner]:
        assert self._trial is not None
        pruner = self._trial.study.pruner
        assert isinstance(pruner, EarlyDynamicsPruner)
        return self._trial, pruner


def pace_of(args: TrainingArguments, state: TrainerState, train_dataloader: Any) -> Pace:
    """The pace of a Trainer that is about to train; data parallel over all its processes."""
    micro_batch = state.train_batch_size or args.train_batch_size
    batch = micro_batch * args.gradient_accumulation_steps * processes(args)[1]
    try:
        rows = len(train_dataloader.dataset)
    except (AttributeError, TypeError):  # it is a stream
        rows = None
    return Pace(batch, None if args.dataloader_drop_last else rows)


def processes(args: TrainingArguments) -> tuple[int, int]:
    """The index of this process, and how many there are in the training."""
    rank, size = args.process_index, args.world_size  # pyright: ignore
    return int(rank), int(size)  # pyright: ignore


def broadcast_from_main(args: TrainingArguments, ask: Callable[[], T]) -> T:
    """What `ask` returns on process 0, on every process of the training; likewise if it raises.

    All processes call it at the same event. Elsewhere an exception of process 0 is a RuntimeError.
    """
    rank, size = processes(args)
    if size == 1:
        return ask()
    from accelerate.utils import broadcast_object_list  # pyright: ignore

    answer: list[Any] = [None, ""]
    raised = None
    if rank == 0:
        try:
            answer[0] = ask()
        except Exception as error:
            raised, answer[1] = error, f"process 0 failed: {type(error).__name__}: {error}"
    broadcast_object_list(answer)
    if raised is not None:
        raise raised
    if answer[1]:
        raise RuntimeError(answer[1])
    return answer[0]
