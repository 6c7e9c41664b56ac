"""The Optuna side of a study: which configuration next, and how each one ended.

Optuna is told what it can use: params, states, user attributes and evaluations of the objective.
The ledger is what counts; after a crash Optuna is brought in line with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import TrialModel
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import event

from sweep import space
from sweep.config import Study
from sweep.recipes import fit_recipes
from sweep.storage import sqlite_file
from trainer.spec import HIGHER_IS_BETTER, UserError

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True, slots=True)
class Asked:
    number: int
    params: dict[str, Any]  # searched and fixed
    recipe: str | None


class Asker:
    """Makes the Optuna study where it is not there yet, the recipes first in its queue."""

    def __init__(self, study: Study, url: str) -> None:
        self.study = study
        self.storage = _storage(url)
        higher = HIGHER_IS_BETTER[study.objective.metric]
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
            for recipe in fit_recipes(study):
                attrs = {"recipe": recipe.name}
                self.optuna.enqueue_trial(recipe.params, user_attrs=attrs, skip_if_exists=True)
            self.optuna.set_user_attr("ready", True)
        self._grid = space.grid_points(study) if study.search.sampler == "grid" else []

    def ask(self, parallel: bool = False) -> Asked | None:
        """A new trial; None: nothing is left to try."""
        waiting = self.optuna.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if self.study.search.sampler == "grid" and not waiting:
            tried = [_searched(trial) for trial in self.optuna.get_trials(deepcopy=False)]
            point = next((point for point in self._grid if point not in tried), None)
            if point is None:
                return None
            self.optuna.enqueue_trial(point)
        trials = self.optuna.get_trials(deepcopy=False)
        number = next((t.number for t in trials if t.state is TrialState.WAITING), len(trials))
        # made anew each time: what is drawn depends on the trials so far, not on restarts
        self.optuna.sampler = space.make_sampler(self.study, number, parallel)
        return self._asked(self.optuna.ask())

    def unrecorded(self, recorded: set[int]) -> list[Asked]:
        """Trials that Optuna gave out, but whose driver was killed before it wrote them down."""
        running = self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        found: list[Asked] = []
        for number in (trial.number for trial in running if trial.number not in recorded):
            self.optuna.sampler = space.make_sampler(self.study, number, parallel=False)
            found.append(self._asked(self._handle(number)))
        return found

    def report(self, number: int, samples: int, value: float) -> None:
        """An evaluation of the objective, after `samples` samples. The first one stands."""
        if samples not in self.optuna.get_trials(deepcopy=False)[number].intermediate_values:
            self._handle(number).report(value, samples)

    def annotate(self, number: int, **attrs: str | float | None) -> None:
        """User attributes, for the dashboard; only while the trial is not told."""
        for name, value in attrs.items():
            if value is not None:
                self._handle(number).set_user_attr(name, value)

    def tell(self, number: int, state: str, value: float | None = None) -> None:
        """`state`: completed, pruned or failed. Telling again what is told changes nothing."""
        optuna_state = {
            "completed": TrialState.COMPLETE,
            "pruned": TrialState.PRUNED,
            "failed": TrialState.FAIL,
        }[state]
        self.optuna.tell(number, value, state=optuna_state, skip_if_finished=True)

    def is_told(self, number: int) -> bool:
        return self.optuna.get_trials(deepcopy=False)[number].state.is_finished()

    def untell(self, numbers: Sequence[int]) -> None:
        """Those of them that were told as failed run again, as samplers and dashboards see them.

        Optuna has no way back from a finished trial, so its table is changed; and as it never reads
        a finished trial twice, it is opened anew.
        """
        told = [number for number in numbers if self.is_told(number)]
        if not told:
            return
        table = TrialModel.__table__
        with self.storage.engine.begin() as connection:
            for number in told:
                here = table.c.trial_id == self._handle(number)._trial_id  # pyright: ignore[reportPrivateUsage]
                here &= table.c.state == TrialState.FAIL
                running = {table.c.state: TrialState.RUNNING, table.c.datetime_complete: None}
                connection.execute(table.update().where(here).values(running))
        self.optuna = optuna.load_study(study_name=self.study.name, storage=self.storage)

    def close(self) -> None:
        self.storage.remove_session()
        self.storage.engine.dispose()

    def _handle(self, number: int) -> optuna.trial.Trial:
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(
            self.optuna._study_id,  # pyright: ignore[reportPrivateUsage]
            number,
        )
        return optuna.trial.Trial(self.optuna, trial_id)

    def _asked(self, trial: optuna.trial.Trial) -> Asked:
        params = space.suggest(trial, self.study)
        return Asked(trial.number, params, trial.user_attrs.get("recipe"))


def _searched(trial: optuna.trial.FrozenTrial) -> Mapping[str, Any]:
    return trial.params or trial.system_attrs.get("fixed_params", {})


def _storage(url: str) -> RDBStorage:
    if sqlite_file(url) is None:
        return RDBStorage(url)
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 30}})

    @event.listens_for(storage.engine, "connect")
    def be_quick(connection: Any, _: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.execute("PRAGMA synchronous=NORMAL")  # with WAL: no fsync at every commit

    storage.engine.dispose()
    return storage


def refuse_foreign(url: str, name: str) -> None:
    """UserError where a storage has an Optuna study of this name; asked before ours is made."""
    storage = _storage(url)
    names = [study.study_name for study in storage.get_all_studies()]
    storage.remove_session()
    storage.engine.dispose()
    if name in names:
        raise UserError(
            f"storage {url} holds an Optuna study {name!r} that sweep did not make: give yours "
            "another name"
        )
