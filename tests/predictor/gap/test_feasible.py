"""Whether a trial will hold its constraints, and what becomes of those that will not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from predictor.gap.ends import expected_ends
from predictor.gap.feasible import expected_slacks, p_feasible
from predictor.gap.plan import plan
from predictor.types import CohortTrial, Settings, WindowSignals

SHARES = (0.1, 0.3)
SETTINGS = Settings(audit=0.0)
NAME, OTHER = "lm_eval:mmlu", "eval_loss"


def trial(
    number: int,
    early: float | None,
    end: float | None = None,
    *,
    objective: float = 1.0,
    error: float = 0.005,
    evals: float | None = None,
    name: str = NAME,
) -> CohortTrial:
    """At its window with an early slack; finished where it has an `end`."""
    value = objective if evals is None else evals
    return CohortTrial(
        number,
        {"learning_rate": 1e-4},
        WindowSignals(100, 1.0, 1.0, None, value),
        None if end is None else objective,
        early_slacks=({} if early is None else {name: (early, error)},),
        slacks={} if end is None else {name: end},
    )


def chance(*trials: CohortTrial) -> float:
    return p_feasible(trials)[trials[0].number].probability


def test_without_constraints_nothing_is_said() -> None:
    assert p_feasible([replace(trial(0, None), early_slacks=())]) == {}


def test_before_any_is_finished_the_end_is_expected_as_the_look() -> None:
    others = [trial(i, early) for i, early in enumerate((-0.01, 0.0, 0.01), 1)]
    found = [chance(trial(0, early), *others) for early in (-0.1, -0.02, 0.0, 0.02, 0.1)]
    assert found == sorted(found)
    assert found[0] < 0.1 and found[-1] > 0.9
    assert found[2] == pytest.approx(0.5)


def test_the_less_exact_the_look_the_less_is_said() -> None:
    exact, blurred = (
        chance(*(trial(i, 0.02, error=error) for i in range(3))) for error in (0.002, 0.05)
    )
    assert 0.5 < blurred < exact


def test_what_all_forget_until_the_end_is_learned_from_those_that_are_finished() -> None:
    """Each loses 0.03 from the look to the end."""
    finished = [trial(i, 0.001 * i, 0.001 * i - 0.03) for i in range(1, 7)]
    assert chance(trial(0, 0.02), *finished) < 0.3 < 0.8 < chance(trial(0, 0.04), *finished)
    assert expected_slacks([trial(0, 0.02), *finished])[0][NAME] == pytest.approx(-0.01, abs=4e-3)
    assert chance(trial(0, 0.02), *(replace(t, slacks={}) for t in finished)) > 0.8


def test_an_early_slack_that_tells_nothing_is_believed_less_and_less() -> None:
    rng = np.random.default_rng(0)
    ends = rng.normal(0.0, 0.05, 40)
    early = rng.normal(0.0, 0.05, 40)
    finished = [trial(i, float(e), float(y)) for i, (e, y) in enumerate(zip(early, ends), 1)]  # noqa: B905
    few, many = (chance(trial(0, -0.1), *finished[:num]) for num in (1, 40))
    assert few < 0.2 < many


def test_it_states_what_comes_true() -> None:
    """Ends are early slacks with noise and a common drift, of which a part is known."""
    rng = np.random.default_rng(1)
    stated: list[float] = []
    held: list[bool] = []
    for _ in range(150):
        drift = rng.normal(0, 0.02)
        early = rng.normal(0.0, 0.03, 12)
        ends = early + drift + rng.normal(0, 0.015, 12)
        trials = [
            trial(i, float(early[i]), float(ends[i]) if i >= 6 else None, error=0.01)
            for i in range(12)
        ]
        for number, one in p_feasible(trials).items():
            stated.append(one.probability)
            held.append(bool(ends[number] >= 0))
    order = np.argsort(stated)
    for part in np.array_split(order, 4):
        said, true = np.array(stated)[part].mean(), np.array(held)[part].mean()
        assert abs(said - true) < 0.1


def test_constraints_multiply() -> None:
    one = trial(0, 0.01)
    both = replace(one, early_slacks=({NAME: (0.01, 0.005), OTHER: (0.01, 0.005)},))
    assert chance(both) == pytest.approx(chance(one) ** 2)
    assert p_feasible([both])[0].slacks == {NAME: pytest.approx(0.01), OTHER: pytest.approx(0.01)}


def test_what_was_not_measured_early_is_as_likely_as_it_was_for_others() -> None:
    finished = [trial(1, None, 0.1), trial(2, None, -0.1), trial(3, None, -0.2)]
    found = p_feasible([trial(0, None), *finished])[0]
    assert found.probability == pytest.approx(2 / 5)
    assert found.slacks == {}


@pytest.mark.parametrize("astray", [-float("inf"), -1e9])
def test_what_is_astray_leaves_the_others_as_they_are(astray: float) -> None:
    finished = [trial(i, 0.001 * i, 0.001 * i) for i in range(1, 7)]
    bad = trial(9, astray, astray)
    assert chance(trial(0, astray), *finished) < 0.01
    assert chance(trial(0, 0.05), *finished, bad) > 0.9


# --- in the plan


def cohort(*slacks: float) -> list[CohortTrial]:
    """Finished trials: the feasible one, and a better one that is not; then unfinished ones that
    promise to overtake, with these early slacks."""
    finished = [trial(0, 0.03, 0.03, objective=1.0), trial(1, -0.05, -0.05, objective=0.5)]
    finished += [trial(2, 0.02, 0.02, objective=1.3)]
    return [*finished, *(trial(3 + i, slack, evals=0.8) for i, slack in enumerate(slacks))]


def test_a_better_trial_that_breaks_a_constraint_does_not_lead() -> None:
    found = plan(cohort(0.03, -0.2), SHARES, SETTINGS)
    assert (found.leader, found.reference) == (0, 0)


def test_a_hopeless_slack_is_given_up_and_one_that_is_only_late_goes_on() -> None:
    found = plan(cohort(0.004, -0.2), SHARES, SETTINGS)
    late, hopeless = found.forecasts[3], found.forecasts[4]
    assert late.overtakes == pytest.approx(hopeless.overtakes)
    assert hopeless.probability < 0.05 < 0.3 < late.probability
    assert found.next == 3
    assert hopeless.probability == pytest.approx(hopeless.overtakes * hopeless.feasible.probability)
    alone = plan(cohort(-0.2), SHARES, SETTINGS)
    assert alone.next is None  # it would be, were it feasible
    assert plan(cohort(0.03), SHARES, SETTINGS).next == 3


def test_while_none_is_feasible_the_likeliest_goes_on_and_of_the_likely_the_best() -> None:
    finished = [trial(0, -0.03, -0.03, objective=0.5), trial(1, -0.02, -0.02, objective=0.7)]
    early = {2: (-0.02, 0.4), 3: (0.0, 0.9), 4: (-0.1, 0.3)}
    trials = [*finished, *(trial(n, s, evals=e) for n, (s, e) in early.items())]
    found = plan(trials, SHARES, SETTINGS)
    assert (found.leader, found.reference, found.next) == (None, 0, 3)
    for one in found.forecasts.values():
        assert one.probability == one.feasible.probability
    likely = [*trials, trial(5, 0.2, evals=0.6), trial(6, 0.3, evals=0.8)]
    assert plan(likely, SHARES, SETTINGS).next == 5


def test_before_any_is_finished_likely_trials_come_first() -> None:
    trials = [trial(0, -0.2, evals=0.3), trial(1, 0.05, evals=0.9), trial(2, 0.1, evals=0.8)]
    found = plan(trials, SHARES, SETTINGS)
    assert found.ranking == (2, 1, 0)
    assert plan([replace(t, early_slacks=()) for t in trials], SHARES, SETTINGS).ranking == (
        0,
        2,
        1,
    )


def test_ends_are_known_and_expected_as_without_constraints() -> None:
    trials = cohort(0.03, -0.2)
    bare = [replace(t, early_slacks=(), slacks={}) for t in trials]
    own, free = expected_ends(trials, SHARES), expected_ends(bare, SHARES)
    assert own[1] < own[0] == 0 == free[1]  # behind the feasible leader, ahead of it
    assert sorted(own, key=own.__getitem__)[0] == sorted(free, key=free.__getitem__)[0] == 1


def test_of_a_configuration_unlike_all_that_are_finished_little_is_claimed() -> None:
    """Where no look shows a loss yet, what trials at high rates forgot by their ends says little of
    a low one."""

    def at(rate: float, one: CohortTrial) -> CohortTrial:
        return replace(one, config={"learning_rate": rate})

    rates = (3e-4, 4e-4, 5e-4, 6e-4)
    ends = (-0.036, -0.047, -0.047, -0.05)
    finished = [
        at(rate, trial(i, 0.02, end, error=0.016))
        for i, (rate, end) in enumerate(zip(rates, ends, strict=True), 1)
    ]
    like, unlike = (
        p_feasible([at(rate, trial(0, 0.02, error=0.016)), *finished])[0].probability
        for rate in (4.5e-4, 2e-5)
    )
    assert like < 0.1 < 0.25 < unlike
