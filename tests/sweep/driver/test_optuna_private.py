"""What sweep takes for granted of Optuna's private names, a test for each."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from sweep.config.load import load_study
from sweep.driver.optuna_private import (
    QuickStorage,
    QuickTPE,
    fixed_params,
    run_again,
    stored_trial,
    trial_id,
)
from sweep.driver.sampling import distributions
from tests.support.home import Home
from tests.support.many_trials import SPACE

SETTINGS = [
    "search.sampler=tpe",
    *(f"search.space.{name}={text}" for name, text in SPACE.items()),
]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[RDBStorage]:
    found = RDBStorage(f"sqlite:///{tmp_path / 'optuna.db'}")
    yield found
    found.remove_session()
    found.engine.dispose()


def test_a_trial_is_found_by_its_number_also_beside_another_study(storage: RDBStorage) -> None:
    optuna.create_study(study_name="other", storage=storage).ask()
    study = optuna.create_study(study_name="ours", storage=storage)
    for value in (1.0, 2.0):
        study.tell(study.ask(), value)
    assert [stored_trial(study, number).value for number in (0, 1)] == [1.0, 2.0]
    trial = optuna.trial.Trial(study, trial_id(study, 1))
    assert trial.number == 1


def test_what_was_queued_and_what_was_drawn_is_fixed(storage: RDBStorage) -> None:
    study = optuna.create_study(storage=storage)
    study.enqueue_trial({"rate": 0.25})
    (waiting,) = study.get_trials()
    assert fixed_params(waiting) == {"rate": 0.25}
    trial = study.ask()
    trial.suggest_categorical("kind", ["a"])
    assert fixed_params(stored_trial(study, 0)) == {"rate": 0.25, "kind": "a"}


def test_a_failed_trial_runs_again_as_it_was_and_no_other_does(storage: RDBStorage) -> None:
    study = optuna.create_study(study_name="x", storage=storage)
    for value in (None, 1.0, None):
        trial = study.ask({"rate": optuna.distributions.FloatDistribution(0, 1)})
        trial.report(0.5, 4)
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        study.tell(trial, value, state=state)
    before = study.get_trials()
    run_again(storage, [trial_id(study, number) for number in (0, 1)])
    study = optuna.load_study(study_name="x", storage=storage)
    after = study.get_trials()
    assert [one.state.name for one in after] == ["RUNNING", "COMPLETE", "FAIL"]
    assert [one.params for one in after] == [one.params for one in before]
    assert after[0].datetime_complete is None
    assert after[0].intermediate_values == {4: 0.5}
    study.tell(0, 2.0)
    assert study.get_trials()[0].value == 2.0


@pytest.mark.slow
def test_all_of_optunas_trials_are_read_as_optuna_reads_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    for values in ([1.5], [float("inf")], None):
        study = optuna.create_study(study_name="x", storage=url, load_if_exists=True)
        study.enqueue_trial({"rate": 1e-3, "kind": "a"}, user_attrs={"recipe": "lab"})
        one = study.ask()
        one.suggest_float("rate", 1e-5, 1e-1, log=True)
        one.suggest_categorical("kind", ["a", None, 3])
        one.report(float("nan"), 4)
        one.report(0.5, 8)
        state = optuna.trial.TrialState.COMPLETE if values else optuna.trial.TrialState.FAIL
        study.tell(one, values, state=state)
    study.ask()
    study.enqueue_trial({"rate": 1e-2})
    ours, theirs = QuickStorage(url), RDBStorage(url)
    found, expected = ours.get_all_trials(1), theirs.get_all_trials(1)
    assert [repr(one) for one in found] == [repr(one) for one in expected]  # NaN equals no NaN
    for storage in (ours, theirs):
        storage.remove_session()
        storage.engine.dispose()


@pytest.mark.parametrize("parallel", (False, True))
def test_tpe_draws_what_optunas_draws(home: Home, parallel: bool) -> None:
    searched = distributions(load_study(str(home.file), SETTINGS).study)

    def drawn(make: Any) -> list[dict[str, Any]]:
        study = optuna.create_study()
        found: list[dict[str, Any]] = []
        for seed in range(20):
            study.sampler = make(seed=seed, n_startup_trials=5, constant_liar=parallel)
            one = study.ask()
            for name, kind in searched.items():
                one._suggest(name, kind)
            found.append(one.params)
            if seed % 4 == 3:
                study.tell(one, state=optuna.trial.TrialState.PRUNED)
            else:
                study.tell(one, seed % 7)
        return found

    assert drawn(lambda **options: QuickTPE(searched, **options)) == drawn(TPESampler)


def ended(
    rng: random.Random, searched: Any, share_pruned: float, num: int, share_broken: float = 0.0
) -> list[Any]:
    """Trials with equal values among them, failed ones, pruned ones that got differently far, or
    that reported NaN or nothing, and completed ones that break constraints, some without end."""
    found: list[Any] = []
    for _ in range(num):
        params = {
            name: rng.choice(one.choices) if hasattr(one, "choices") else rng.uniform(1e-5, 0.1)
            for name, one in searched.items()
        }
        given: dict[str, Any] = {"state": TrialState.COMPLETE, "value": round(rng.random(), 1)}
        if share_broken:
            far = rng.choice((rng.random(), 0.3, float("inf")))
            by = far if rng.random() < share_broken else -rng.random()
            given["constraints"] = {"a": by, "b": -0.1}
        if rng.random() < share_pruned:
            seen = {rng.choice((8, 16)): rng.choice((0.5, rng.random(), float("nan")))}
            early = seen if rng.random() < 0.8 else {}
            given = {"state": TrialState.PRUNED, "intermediate_values": early}
        elif rng.random() < 0.1:
            given = {"state": TrialState.FAIL}
        found.append(create_trial(params=params, distributions=searched, **given))
    return found


@pytest.mark.parametrize("parallel", (False, True))
@pytest.mark.parametrize("direction", ("minimize", "maximize"))
@pytest.mark.parametrize(
    ("share_pruned", "share_broken"),
    [(0.0, 0.0), (0.4, 0.0), (0.95, 0.0), (1.0, 0.0), (0.0, 0.5), (0.0, 1.0), (0.5, 0.97)],
)
def test_tpe_tells_good_trials_from_bad_as_optunas_does(
    home: Home, direction: Any, share_pruned: float, share_broken: float, parallel: bool
) -> None:
    searched = distributions(load_study(str(home.file), SETTINGS).study)
    study = optuna.create_study(direction=direction)
    study.add_trials(ended(random.Random(0), searched, share_pruned, 300, share_broken))
    study.ask(searched)  # goes on meanwhile

    def drawn(make: Any) -> list[dict[str, Any]]:
        """Of five seeds, each a trial that goes on too."""
        found: list[dict[str, Any]] = []
        for seed in range(5):
            trial = study._storage.get_trial(study.ask()._trial_id)
            space = QuickTPE(searched).infer_relative_search_space(study, trial)
            sampler = make(seed=seed, constant_liar=parallel)
            found.append(sampler.sample_relative(study, trial, space))
            study.tell(trial.number, state=TrialState.FAIL)
        return found

    def quick(**options: Any) -> QuickTPE:
        return QuickTPE(searched, **options)

    assert drawn(quick) == drawn(TPESampler)
    study.add_trial(create_trial(value=0.1))  # of another space
    assert drawn(quick) == drawn(TPESampler)
