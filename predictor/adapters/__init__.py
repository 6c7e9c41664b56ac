"""The predictor in somebody's own script: two lines beside Optuna and a transformers Trainer.

    study = optuna.create_study(pruner=EarlyDynamicsPruner(window=0.1, risk=0.1))
    trainer = SFTTrainer(..., callbacks=[EarlyDynamicsCallback(trial)])

The callback reads the Trainer's log, stores the window's signals with the trial and asks Optuna
whether to go on; the pruner asks `predictor.judge.judge`. All they know lies in the study's storage
as user attributes, so any storage and any number of processes will do.

The only module of `predictor` that knows Optuna and transformers. Importing it imports neither: the
two classes get their base classes when first asked for (PEP 562, `__getattr__` at the end).
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from predictor.adapters.stored import (
    GUARD,
    VERDICT,
    WINDOW,
    cohort_trial,
    verdict_json,
    window_json,
)
from predictor.adapters.trainer_logs import LoggedWindow, Pace, read_observations, read_window
from predictor.judge import PREDICTOR_VERSION, guard, judge
from predictor.types import CohortTrial, Observation, Settings

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.pruners import BasePruner
    from optuna.trial import FrozenTrial
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

# The study's user attributes: where the window ends, and the settings that it was begun with.
STUDY_WINDOW = "early_dynamics:study_window"
STUDY_SETTINGS = "early_dynamics:study_settings"

T = TypeVar("T")


class _Pruner:
    """Prunes a trial at its early window if it is unlikely to beat the best; see predictor.judge.

    `window`: a share of the training samples of the study's first trial, or, better where budgets
    or batch sizes differ, a number of samples (an int; at least 8 steps of the largest batch). All
    trials of a study have the same, as their signals are compared. `settings`: those of
    `predictor.types.Settings` by name, as risk=0.1; their seed is the study's name. The audit's
    coin is tossed by that and the trial's number; a study without a name gets another name, and
    other audits, in every run.
    A trial without an EarlyDynamicsCallback that reached its window's end is never pruned. Asked
    once per trial: the first verdict is stored and holds. Settings are stored with every verdict
    and, as they were at first, with the study; going on with others is warned of once. Studies with
    several objectives and other pruners around this one are not supported. Raises ValueError for
    settings out of range.
    """

    def __init__(self, window: float = 0.1, **settings: float) -> None:
        if not (0 < window < 1 or (isinstance(window, int) and window >= 1)):
            raise ValueError(
                f"window is {window!r}; it is a share of the training between 0 and 1, or an int: "
                "a number of samples"
            )
        self.window = window
        self._has_warned = False
        self._settings = Settings.checked(settings)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the verdict on the trial is to prune it. Optuna asks through `should_prune`."""
        refuse_several_objectives(study)
        trials = study.get_trials(deepcopy=False)
        # Among them as `trial` is a copy made before this process wrote its attributes.
        own = next(t for t in trials if t.number == trial.number)
        for key in (GUARD, VERDICT):
            if key in own.user_attrs:
                if own.user_attrs[key]["action"] == "prune":
                    return True
                if key == VERDICT:
                    return False
        if WINDOW not in own.user_attrs:
            return False
        sign = objective_sign(study)
        settings = self.settings(study)
        cohort = [in_cohort(t, sign) for t in trials]
        verdict = judge(in_cohort(own, sign), cohort, settings)
        # As Optuna's SuccessiveHalvingPruner does: a pruner has no public way to write.
        study._storage.set_trial_user_attr(  # pyright: ignore[reportPrivateUsage]
            trial._trial_id,  # pyright: ignore[reportPrivateUsage]
            VERDICT,
            verdict_json(verdict, settings),
        )
        return verdict.action == "prune"

    def settings(self, study: Study) -> Settings:
        """With the seed of the study's audits, the same in every process."""
        digest = hashlib.sha256(study.study_name.encode()).digest()
        return replace(self._settings, seed=int.from_bytes(digest[:6], "big"))

    def remember(self, study: Study) -> None:
        """Stores the settings with the study; warns, once, if it was begun with others."""
        now = {
            "predictor": PREDICTOR_VERSION,
            "window": self.window,
            "settings": asdict(self.settings(study)),
        }
        if STUDY_SETTINGS not in study.user_attrs:
            study.set_user_attr(STUDY_SETTINGS, now)
        changes = _changes(study.user_attrs[STUDY_SETTINGS], now)
        if changes and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"the study {study.study_name!r} goes on under other settings than it was begun "
                f"with: {', '.join(changes)}; every verdict is stored with its own",
                stacklevel=2,
            )

    def window_samples(self, study: Study, planned_samples: int) -> int:
        """Where the early window of every trial of the study ends; a share is fixed by the first.

        Raises ValueError if the study was begun with another share. Two trials with different plans
        that begin a study in the same instant may differ: they are then not compared.
        """
        if isinstance(self.window, int):
            return self.window
        if STUDY_WINDOW not in study.user_attrs:
            samples = max(1, math.ceil(round(self.window * planned_samples, 6)))
            study.set_user_attr(STUDY_WINDOW, {"window": self.window, "samples": samples})
        begun = study.user_attrs[STUDY_WINDOW]
        if begun["window"] != self.window:
            raise ValueError(
                f"the study {study.study_name!r} was begun with window={begun['window']!r}, which "
                f"is {begun['samples']} samples, and now has window={self.window!r}: trials are "
                "compared at one window, so give it the first, or begin another study"
            )
        return int(begun["samples"])


class Plan(NamedTuple):
    """What the callback goes by, the same on every process."""

    number: int  # of the trial
    samples: int  # where its window ends
    settings: Settings
    metric: str | None  # of the early evaluation
    lower_is_better: bool


class _Callback:
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
            if not isinstance(trial.study.pruner, _Pruner):
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
        if self._trial is None and state.is_world_process_zero:
            raise ValueError("EarlyDynamicsCallback got no trial on process 0")
        self._pruned, self._is_guarded = "", True
        self._pace = pace_of(args, state, train_dataloader)
        planned = self._pace.samples_after(state.max_steps)
        self._plan = from_process_zero(args, lambda: self._make_plan(planned))
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
        is_late = state.global_step > self._close_step  # nothing came that was waited for
        at_epoch_end = args.eval_strategy == "epoch" and float(state.epoch or 0.5).is_integer()
        if is_late or not (control.should_log or control.should_evaluate or at_epoch_end):
            self._settle(args, state, control)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
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
        if self._plan.metric in metrics:  # one of several evaluation sets may have it
            self._settle(args, state, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._pruned:
            control.should_evaluate = control.should_save = False

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._pruned:
            from optuna import TrialPruned

            raise TrialPruned(self._pruned)

    def _make_plan(self, planned_samples: int) -> Plan:
        trial, pruner = self._own()
        lower_is_better = objective_sign(trial.study) > 0
        metric = self._metric or ("eval_loss" if lower_is_better else None)
        samples = pruner.window_samples(trial.study, planned_samples)
        pruner.remember(trial.study)
        return Plan(trial.number, samples, pruner.settings(trial.study), metric, lower_is_better)

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
        reason = from_process_zero(args, lambda: self._ask_pruner(logged))
        if reason:
            self._stop(control, reason)

    def _ask_pruner(self, logged: LoggedWindow) -> str:
        """Why the trial is pruned; empty: it goes on."""
        if logged.signals is None:
            return ""
        trial, _ = self._own()
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
        from_process_zero(args, lambda: self._store_guard(verdict_json(verdict, plan.settings)))
        if verdict.action == "prune":
            self._stop(control, verdict.reason)

    def _store_guard(self, verdict: dict[str, Any]) -> None:
        self._own()[0].set_user_attr(GUARD, verdict)

    def _stop(self, control: TrainerControl, reason: str) -> None:
        self._pruned = reason
        control.should_training_stop = True
        control.should_evaluate = control.should_save = False

    def _own(self) -> tuple[Trial, _Pruner]:
        assert self._trial is not None
        pruner = self._trial.study.pruner
        assert isinstance(pruner, _Pruner)
        return self._trial, pruner


def _changes(begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """As in: risk was 0.1, is 0.2."""
    old, new = ({**stored, **stored["settings"]} for stored in (begun, now))
    names = [name for name in (old | new) if name != "settings" and old.get(name) != new.get(name)]
    return [f"{name} was {old.get(name)!r}, is {new.get(name)!r}" for name in names]


def in_cohort(trial: FrozenTrial, sign: int) -> CohortTrial:
    """An Optuna trial as the predictor sees it; `sign` turns values so that lower is better."""
    value = trial.value if trial.state.name == "COMPLETE" else None
    objective = None if value is None else sign * value
    return cohort_trial(trial.number, trial.params, trial.user_attrs, objective)


def objective_sign(study: Study) -> int:
    """1 where lower is better, -1 where higher is."""
    return 1 if study.direction.name == "MINIMIZE" else -1


def refuse_several_objectives(study: Study) -> None:
    if len(study.directions) > 1:
        raise ValueError(
            f"the study {study.study_name!r} has {len(study.directions)} objectives; "
            "EarlyDynamicsPruner predicts one"
        )


def pace_of(args: TrainingArguments, state: TrainerState, train_dataloader: Any) -> Pace:
    """Of a Trainer that is about to train; data parallel over all its processes."""
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


def from_process_zero(args: TrainingArguments, ask: Callable[[], T]) -> T:
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


if TYPE_CHECKING:

    class EarlyDynamicsPruner(_Pruner, BasePruner): ...

    class EarlyDynamicsCallback(_Callback, TrainerCallback): ...

else:

    def __getattr__(name: str) -> type:
        """The two classes, made when first asked for, as their bases are slow to import."""
        if name == "EarlyDynamicsPruner":
            from optuna.pruners import BasePruner

            bases = (_Pruner, BasePruner)
        elif name == "EarlyDynamicsCallback":
            from transformers import TrainerCallback

            bases = (_Callback, TrainerCallback)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        made = type(name, bases, {"__module__": __name__, "__doc__": bases[0].__doc__})
        return globals().setdefault(name, made)
