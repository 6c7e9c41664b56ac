"""What a sampler is shown of a study that scouts, and that Optuna's own study stays true."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import fmean

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweep.config.study import Study
from sweep.driver import sampling
from sweep.driver.optuna_study import OptunaStudy
from sweep.driver.shadow import End, Ends, shadow_study
from sweep.driver.untried import UntriedSampler
from sweep.storage.states import State
from tests.support.studies import make_study

Make = Callable[..., OptunaStudy]
NUM = 6  # one more than TPE draws at random
LOW = {n: End(float(n)) for n in range(NUM)}  # the first trials are the best
HIGH = {n: End(float(-n)) for n in range(NUM)}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[OptunaStudy] = []

    def one(name: str, *recipes: str) -> OptunaStudy:
        search = {"sampler": "tpe", "recipes": recipes}
        study = make_study(search=search, run={"trials": 15})
        made.append(OptunaStudy(study, f"sqlite:///{tmp_path / name}.db"))
        return made[-1]

    yield one
    for study in made:
        study.close()


def parked(study: Study) -> list[FrozenTrial]:
    """Optuna sees them run."""
    return [
        create_trial(
            state=TrialState.RUNNING,
            params={"learning_rate": 10.0 ** -(2 + 4 * n / NUM), "batch_size": 8},
            distributions=sampling.distributions(study),
        )
        for n in range(NUM)
    ]


def never(point: Mapping[str, object]) -> bool:
    return False


def test_the_shadow_has_every_trial_under_its_number_and_ends_in_place_of_what_was_told() -> None:
    truth = optuna.create_study(direction="maximize")
    space = sampling.distributions(make_study())
    for _ in range(5):
        truth.ask(space)
    truth.tell(0, 0.9)
    truth.tell(1, state=TrialState.PRUNED)
    truth.tell(2, state=TrialState.FAIL)
    shadow = shadow_study(truth, {0: End(-1.0), 1: End(2.0), 3: End(0.5)})
    assert shadow.direction is optuna.study.StudyDirection.MINIMIZE
    seen = shadow.get_trials(deepcopy=False)
    assert [one.number for one in seen] == list(range(5))
    assert [one.params for one in seen] == [one.params for one in truth.trials]
    ends = [(one.state.name, one.value) for one in seen]
    assert ends[:2] == [("COMPLETE", -1.0), ("COMPLETE", 2.0)]
    assert ends[2:] == [("FAIL", None), ("COMPLETE", 0.5), ("RUNNING", None)]


def test_what_was_told_and_has_no_end_to_compare_tells_the_sampler_nothing() -> None:
    truth = optuna.create_study()
    for _ in range(2):
        truth.tell(truth.ask(), 0.9)
    assert [one.state.name for one in shadow_study(truth, {0: End(1.0)}).trials] == [
        "COMPLETE",
        "FAIL",
    ]


def mean_rate_drawn(own: Study, ends: Ends | None) -> float:
    """log10, over 30 draws."""
    space = sampling.distributions(own)
    truth = optuna.create_study()
    truth.add_trials(parked(own))
    drawn: list[float] = []
    for seed in range(30):
        truth.sampler = UntriedSampler(
            partial(sampling.make_sampler, own, seed, False), 1, space, {}, {}, never, ends
        )
        drawn.append(math.log10(truth.ask(space).params["learning_rate"]))
    return fmean(drawn)


def test_the_expected_ends_of_parked_trials_move_the_draws() -> None:
    """The first has the highest rate. Draws are near those that are expected to end well."""
    own = make_study(run={"trials": 15})
    found: dict[str, float] = {}
    for name, ends in {"high": LOW, "low": HIGH, "blind": None}.items():
        found[name] = mean_rate_drawn(own, ends)
    assert found["low"] + 1 < found["high"]
    assert found["blind"] not in (found["low"], found["high"])


def test_draws_are_near_those_that_are_expected_to_hold_the_constraints() -> None:
    """The first have the highest rate and the best ends, and break more the better they are."""
    own = make_study(run={"trials": 15})
    found: list[float] = []
    for sign in (1, -1):  # who breaks it: the last ones, the first ones
        ends = {n: End(float(n), {"lm_eval:mmlu": sign * (n - 2.5)}) for n in range(NUM)}
        found.append(mean_rate_drawn(own, ends))
    assert found[1] + 0.5 < found[0]


def test_optuna_hears_by_how_much_constraints_are_broken(make: Make) -> None:
    study = make("one")
    study.optuna.add_trials(parked(study.study))
    study.tell(0, State.COMPLETED, 0.1, {"lm_eval:mmlu": 0.02})
    study.tell(1, State.COMPLETED, 0.7, {"lm_eval:mmlu": -0.01})
    study.tell(1, State.COMPLETED, 0.7, {"lm_eval:mmlu": -0.01})  # again after a restart
    study.tell(2, State.COMPLETED, 0.6, {"lm_eval:mmlu": math.inf})
    trials = study.optuna.get_trials()
    assert [one.constraints.get("lm_eval:mmlu") for one in trials[:3]] == [0.02, -0.01, math.inf]
    assert study.optuna.best_trial.number == 1  # the best feasible one


def test_optunas_own_study_holds_the_drawn_point_and_nothing_that_is_only_expected(
    make: Make,
) -> None:
    study = make("one")
    study.optuna.add_trials(parked(study.study))
    asked = study.ask(True, never, LOW)
    assert asked is not None and asked.number == NUM
    study.tell(3, State.PRUNED)
    study.tell(4, State.COMPLETED, 0.7)
    trials = study.optuna.get_trials()
    assert len(trials) == NUM + 1
    drawn = {name: asked.params[name] for name in ("learning_rate", "batch_size")}
    assert trials[NUM].params == drawn and trials[NUM].system_attrs == {}
    for trial in trials:
        told = {3: (TrialState.PRUNED, None), 4: (TrialState.COMPLETE, 0.7)}
        assert (trial.state, trial.value) == told.get(trial.number, (TrialState.RUNNING, None))


@pytest.mark.parametrize("parallel", [False, True])
def test_a_trial_that_nobody_wrote_down_is_drawn_as_it_would_have_been(
    make: Make, parallel: bool
) -> None:
    one, other = make("one"), make("other")
    for study in (one, other):
        study.optuna.add_trials(parked(study.study))
    expected = one.ask(parallel, never, LOW)
    other.optuna.ask()  # the driver was killed before a parameter was drawn
    again = list(other.unrecorded(set(range(NUM)), never, parallel, LOW))
    assert again == [expected]


def test_what_was_tried_is_not_drawn_again(make: Make) -> None:
    tried = list[object]()
    for name in ("one", "other"):
        study = make(name)
        study.optuna.add_trials(parked(study.study))
        asked = study.ask(False, lambda point: point["learning_rate"] in tried, LOW)
        assert asked is not None and asked.params["learning_rate"] not in tried
        tried.append(asked.params["learning_rate"])


def test_recipes_come_first_also_with_ends(make: Make) -> None:
    study = make("one", "lab")
    asked = study.ask(False, never, {})
    assert asked is not None and asked.recipe == "lab"
