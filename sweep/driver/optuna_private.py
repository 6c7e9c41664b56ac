"""Every private name of Optuna that sweep uses; test_optuna_private.py tries each assumption.

`QuickStorage` and `QuickTPE` give the answers of Optuna's own where their cost is far above the
work: they replace what Optuna does anew for every trial by what a study of ours makes certain.
Measured with 10,000 trials in studies/LOG.md. The functions reach stored trials by their numbers,
which Optuna's public interface does not.
"""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from collections.abc import Container, Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

import numpy as np
import optuna
import sqlalchemy as sa
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    json_to_distribution,
)
from optuna.samplers import TPESampler
from optuna.samplers._tpe import sampler as tpe
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


def stored_trial(study: optuna.Study, number: int) -> FrozenTrial:
    """The trial as Optuna has stored it; one that is finished is in memory once all have been
    read."""
    storage = study._storage  # pyright: ignore[reportPrivateUsage]
    return storage.get_trial(trial_id(study, number))


def trial_id(study: optuna.Study, number: int) -> int:
    """The trial's id in the storage, over all its studies."""
    storage, study_id = study._storage, study._study_id  # pyright: ignore[reportPrivateUsage]
    return storage.get_trial_id_from_study_id_trial_number(study_id, number)


def fixed_params(trial: FrozenTrial) -> dict[str, Any]:
    """What of a trial is not to be drawn: given where it was queued, or drawn already."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def run_again(storage: RDBStorage, trial_ids: Iterable[int]) -> None:
    """The trials among these that were told as failed run again, as samplers and dashboards see
    them.

    Optuna has no way back from a finished trial, so its table is changed; and as it never reads a
    finished trial twice, the study is to be loaded anew.
    """
    table = models.TrialModel.__table__
    with storage.engine.begin() as connection:
        for one in trial_ids:
            here = (table.c.trial_id == one) & (table.c.state == TrialState.FAIL)
            running = {table.c.state: TrialState.RUNNING, table.c.datetime_complete: None}
            connection.execute(table.update().where(here).values(running))


class QuickStorage(RDBStorage):
    """All trials of a study in six statements. Optuna makes an object of each of their rows, reads
    the distributions of each anew, and spends seven times as long."""

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        if states is not None or trial_id_greater_than >= 0:  # of a few
            return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        with self.engine.connect() as connection:
            return _all_trials(connection, study_id)


class QuickTPE(TPESampler):
    """Told what is searched. Optuna compares the distributions of all trials to find that out."""

    def __init__(self, searched: dict[str, BaseDistribution], **options: Any) -> None:
        super().__init__(**options)
        self._searched = searched

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The searched parameters that can take more than one value, by name."""
        return {name: one for name, one in sorted(self._searched.items()) if not one.single()}

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As Optuna's, but for how the trials are told apart and turned into numbers."""
        states = [TrialState.COMPLETE, TrialState.PRUNED]
        if self._constant_liar:  # those under way count as bad ones
            states.append(TrialState.RUNNING)
        get = study._get_trials  # pyright: ignore[reportPrivateUsage]
        seen = get(deepcopy=False, states=states, use_cache=not self._constant_liar)
        trials = [one for one in seen if one.number != trial.number]
        num_ended = sum(one.state is not TrialState.RUNNING for one in trials)
        good = _best(study, trials, tpe.default_gamma(num_ended))
        numbers = {one.number for one in good}
        bad = [one for one in trials if one.number not in numbers]
        below = self._build_parzen_estimator(study, search_space, good, handle_below=True)
        above = self._build_parzen_estimator(study, search_space, bad, handle_below=False)
        drawn = below.sample(self._rng.rng, self._n_ei_candidates)
        values = self._compute_acquisition_func(drawn, below, above)
        best = self._compare(drawn, values)
        return {name: one.to_external_repr(best[name]) for name, one in search_space.items()}

    def _get_internal_repr(
        self,
        trials: list[FrozenTrial],
        search_space: dict[str, BaseDistribution],
        study: optuna.Study,
    ) -> dict[str, np.ndarray]:
        drawn = [
            self._get_params(one, study) if one.state is TrialState.RUNNING else one.params
            for one in trials
        ]
        try:
            return {
                name: _numbers(kind, [params[name] for params in drawn])
                for name, kind in search_space.items()
            }
        except KeyError:  # some are not whole: theirs leaves them out
            return super()._get_internal_repr(trials, search_space, study)


def _numbers(kind: BaseDistribution, values: list[Any]) -> np.ndarray:
    """As Optuna stores them: of choices their places."""
    if isinstance(kind, CategoricalDistribution):
        return np.asarray(list(map(cache(kind.to_internal_repr), values)))
    return np.array(values, dtype=np.float64)


def _best(study: optuna.Study, trials: list[FrozenTrial], num: int) -> list[FrozenTrial]:
    """Those that TPE draws near to, by number: the best completed ones, if they are too few the
    pruned ones that got furthest, then those that break their constraints least. `trials` are by
    number."""
    broken = {one.number: by for one in trials if (by := _broken_by(one)) > 0}
    completed = [
        one for one in trials if one.state is TrialState.COMPLETE and one.number not in broken
    ]
    choose = heapq.nsmallest if study.direction is StudyDirection.MINIMIZE else heapq.nlargest
    found = choose(num, completed, key=lambda one: cast("float", one.value))
    if len(found) < num:
        pruned = [one for one in trials if one.state is TrialState.PRUNED]
        split = tpe._split_pruned_trials  # pyright: ignore[reportPrivateUsage]
        found += split(pruned, study, num - len(found))[0]
    if len(found) < num and broken:
        infeasible = [one for one in trials if one.number in broken]
        found += heapq.nsmallest(num - len(found), infeasible, key=lambda one: broken[one.number])
    return sorted(found, key=lambda one: one.number)


def _broken_by(trial: FrozenTrial) -> float:
    """By how much a trial that has ended breaks its constraints, all together."""
    return sum(max(0.0, value) for value in trial.constraints.values())


def _all_trials(connection: sa.Connection, study_id: int) -> list[FrozenTrial]:
    """By their ids, equal to RDBStorage's."""
    t: Any = models.TrialModel

    def rows(model: Any, *names: str, by: str) -> Iterable[Any]:
        columns = (getattr(model, name) for name in names)
        query = sa.select(model.trial_id, *columns).where(t.study_id == study_id)
        if model is not t:
            query = query.join(t, t.trial_id == model.trial_id)
        return connection.execute(query.order_by(getattr(model, by)))

    read = cache(json_to_distribution)  # a study has few
    params: dict[int, dict[str, Any]] = defaultdict(dict)
    kinds: dict[int, dict[str, BaseDistribution]] = defaultdict(dict)
    columns = "param_name", "param_value", "distribution_json"
    for trial_id, name, internal, text in rows(models.TrialParamModel, *columns, by="param_id"):
        kinds[trial_id][name] = kind = read(text)
        params[trial_id][name] = kind.to_external_repr(internal)
    values: dict[int, list[float]] = defaultdict(list)
    model: Any = models.TrialValueModel
    for trial_id, value, kind in rows(model, "value", "value_type", by="objective"):
        values[trial_id].append(model.stored_repr_to_value(value, kind))
    early: dict[int, dict[int, float]] = defaultdict(dict)
    model = models.TrialIntermediateValueModel
    columns = "step", "intermediate_value", "intermediate_value_type"
    for trial_id, step, value, kind in rows(model, *columns, by="trial_intermediate_value_id"):
        early[trial_id][step] = model.stored_repr_to_intermediate_value(value, kind)
    user: dict[int, dict[str, Any]] = defaultdict(dict)
    system: dict[int, dict[str, Any]] = defaultdict(dict)
    for model, attrs, by in (
        (models.TrialUserAttributeModel, user, "trial_user_attribute_id"),
        (models.TrialSystemAttributeModel, system, "trial_system_attribute_id"),
    ):
        for trial_id, key, text in rows(model, "key", "value_json", by=by):
            attrs[trial_id][key] = json.loads(text)
    columns = "number", "state", "_datetime_start_utc", "_datetime_complete_utc"
    return [
        FrozenTrial(
            number=number,
            state=state,
            value=None,
            values=values.get(trial_id),
            datetime_start=_local(start),
            datetime_complete=_local(end),
            params=params[trial_id],
            distributions=kinds[trial_id],
            user_attrs=user[trial_id],
            system_attrs=system[trial_id],
            intermediate_values=early[trial_id],
            trial_id=trial_id,
        )
        for trial_id, number, state, start, end in rows(t, *columns, by="trial_id")
    ]


def _local(utc: datetime | None) -> datetime | None:
    """Optuna keeps naive times: UTC in the storage, local in its trials."""
    return None if utc is None else utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
