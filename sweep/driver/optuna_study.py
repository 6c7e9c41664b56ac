"""The Optuna side of a study: which configuration next, and how each one ended.

Optuna is told what it can use: params, states, user attributes and evaluations of the objective.
The ledger is what counts; after a crash Optuna is brought in line with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event

from sweep.config.recipes import fit_recipes
from sweep.config.study import Study
from sweep.driver import sampling
from sweep.driver.optuna_private import (
    QuickStorage,
    fixed_params,
    run_again,
    stored_trial,
    trial_id,
)
from sweep.driver.shadow import Ends
from sweep.driver.untried import SAMPLER_DRAWS, IsTried, Point, Points, UntriedSampler
from sweep.storage.engine import connectable, sqlite_file
from sweep.storage.patience import BUSY_S, Patience
from sweep.storage.states import State
from trainer.contract.metrics import higher_is_better
from trainer.contract.spec import UserError

optuna.logging.set_verbosity(optuna.logging.WARNING)


_TOLD = {
    State.COMPLETED: TrialState.COMPLETE,
    State.PRUNED: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A configuration that Optuna gave out."""

    number: int
    params: dict[str, Any]  # searched and fixed
    recipe: str | None


class OptunaStudy:
    """The Optuna study of a sweep, made where it is not there yet.

    All but `ask` may be called again where a call broke off; see `unrecorded`.
    """

    def __init__(self, study: Study, url: str, patience: Patience | None = None) -> None:
        self.study = study
        self.patience = patience or Patience()
        busy_s = 30.0 if patience is None else BUSY_S
        self.storage = self.patience(lambda: _storage(url, busy_s))
        self.patience(self._make)

    def _make(self) -> None:
        study = self.study
        higher = higher_is_better(study.objective.metric)
        self.optuna = optuna.create_study(
            study_name=study.name,
            storage=self.storage,
            direction=StudyDirection.MAXIMIZE if higher else StudyDirection.MINIMIZE,
            load_if_exists=True,
        )
        if not self.optuna.user_attrs.get("ready"):  # not yet, or killed while at it
            with warnings.catch_warnings():  # experimental: the dashboard's axes get a name
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self.optuna.set_metric_names([study.objective.metric])
            self.optuna.set_user_attr("ready", True)
        self._points = Points(study)
        self._recipes = fit_recipes(study)
        self.dropped: list[str] = []  # sentences: recipes that would be a trial there is already

    def ask(self, parallel: bool, is_tried: IsTried, ends: Ends | None = None) -> Asked | None:
        """A new trial at a point that is not tried yet, recipes first. None: no point is left.

        `ends`: of trials, lower is better, which the sampler is shown in place of what Optuna was
        told of them.
        """
        while True:
            trials = self.optuna.get_trials(deepcopy=False)
            waiting = next((t for t in trials if t.state is TrialState.WAITING), None)
            if waiting is None and self._enqueue_recipe(trials, is_tried):
                continue
            number = waiting.number if waiting else len(trials)
            fixed = fixed_params(waiting) if waiting else {}
            found = self._set_sampler(number, fixed, parallel, is_tried, ends)
            if not found and not waiting:
                return None
            trial = self.optuna.ask()
            if found:
                return self._asked(trial)
            self._drop(trial)

    def unrecorded(
        self,
        recorded: set[int],
        is_tried: IsTried,
        parallel: bool = False,
        ends: Ends | None = None,
    ) -> Iterator[Asked]:
        """The trials that Optuna gave out, but whose driver was killed before it wrote them
        down; drawn as `ask` would have."""
        running = self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for lost in running:
            if lost.number in recorded:
                continue
            trial = self._handle(lost.number)
            if self._set_sampler(lost.number, fixed_params(lost), parallel, is_tried, ends):
                yield self._asked(trial)
            else:
                self._drop(trial)

    def _set_sampler(
        self, number: int, fixed: Point, parallel: bool, is_tried: IsTried, ends: Ends | None
    ) -> bool:
        """For trial `number`, some of whose params may be fixed. False: it cannot be a new one."""

        fallback = self._points.untried(fixed, is_tried, sampling.draw_seed(self.study, number, -1))
        # made anew each time: what is drawn depends on the trials so far, not on restarts
        if fallback is None:
            self.optuna.sampler = sampling.make_sampler(self.study, number, parallel)
            return False
        self.optuna.sampler = UntriedSampler(
            lambda draw: sampling.make_sampler(self.study, number, parallel, draw),
            0 if self.study.search.sampler == "grid" else SAMPLER_DRAWS,
            sampling.distributions(self.study),
            fixed,
            fallback,
            is_tried,
            ends,
        )
        return True

    def _enqueue_recipe(self, trials: Sequence[FrozenTrial], is_tried: IsTried) -> bool:
        """The next that is no trial yet; False: there is none."""
        if not self._recipes:
            return False
        asked = {trial.user_attrs.get("recipe") for trial in trials}
        while self._recipes:
            recipe = self._recipes[0]
            if recipe.name not in asked:
                if self._points.untried(recipe.params, is_tried, self.study.run.seed) is not None:
                    self.optuna.enqueue_trial(recipe.params, user_attrs={"recipe": recipe.name})
                    return True
                self.dropped.append(f"recipe {recipe.name} is the same as a trial before it")
            del self._recipes[0]  # an enqueued one when it is asked for: a call may break off
        return False

    def _drop(self, trial: optuna.trial.Trial) -> None:
        """It was queued by hand and is the same as another: it must not look like a result."""
        sampling.suggest(trial, self.study)
        trial.set_user_attr("reason", "not trained: the same as an earlier trial")
        self.optuna.tell(trial, state=TrialState.FAIL)

    def report(self, number: int, samples: int, value: float) -> None:
        """Optuna has an evaluation of the objective, after `samples` samples. The first one
        stands."""
        if samples not in stored_trial(self.optuna, number).intermediate_values:
            self._handle(number).report(value, samples)

    def annotate(self, number: int, **attrs: str | float | None) -> None:
        """The trial has these user attributes, for the dashboard; only while it is not told."""
        for name, value in attrs.items():
            if value is not None:
                self._handle(number).set_user_attr(name, value)

    def tell(
        self,
        number: int,
        state: State,
        value: float | None = None,
        broken: Mapping[str, float] | None = None,
    ) -> None:
        """Optuna has the trial as finished, in this settled `state`, and by how much it breaks each
        constraint (0 or less: it holds). Telling again changes nothing."""
        trial = self._handle(number)
        known = trial.constraints if broken else {}
        for metric, by in (broken or {}).items():
            if metric not in known:
                trial.set_constraint(metric, by)
        self.optuna.tell(number, value, state=_TOLD[state], skip_if_finished=True)

    def is_told(self, number: int) -> bool:
        """Whether Optuna has the trial as finished."""
        return stored_trial(self.optuna, number).state.is_finished()

    def untell(self, numbers: Sequence[int]) -> None:
        """The trials among these that were told as failed run again."""
        told = [number for number in numbers if self.is_told(number)]
        if told:
            run_again(self.storage, [trial_id(self.optuna, number) for number in told])
            self.optuna = optuna.load_study(study_name=self.study.name, storage=self.storage)

    def close(self) -> None:
        """Its connections are given back."""
        self.storage.remove_session()
        self.storage.engine.dispose()

    def _handle(self, number: int) -> optuna.trial.Trial:
        return optuna.trial.Trial(self.optuna, trial_id(self.optuna, number))

    def _asked(self, trial: optuna.trial.Trial) -> Asked:
        params = sampling.suggest(trial, self.study)
        return Asked(trial.number, params, trial.user_attrs.get("recipe"))


def _storage(url: str, busy_s: float = 30.0) -> QuickStorage:
    if sqlite_file(url) is None:
        return QuickStorage(connectable(url))
    storage = QuickStorage(url, engine_kwargs={"connect_args": {"timeout": busy_s}})

    @event.listens_for(storage.engine, "connect")
    def be_quick(connection: Any, _: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.execute("PRAGMA synchronous=NORMAL")  # with WAL: no fsync at every commit

    storage.engine.dispose()
    return storage


def refuse_foreign(url: str, name: str) -> None:
    """Raise UserError where a storage has an Optuna study of this name; asked before ours is
    made."""
    storage = _storage(url)
    names = [study.study_name for study in storage.get_all_studies()]
    storage.remove_session()
    storage.engine.dispose()
    if name in names:
        raise UserError(
            f"storage {url} holds an Optuna study {name!r} that sweep did not make: give yours "
            "another name"
        )
