"""Which parked trial goes on, and what is stated of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from predictor.gap.plan import Plan, end_intervals, plan
from predictor.gap.prior import shipped_prior
from predictor.types import CohortTrial, Settings, WindowSignals

SHARES = (0.1, 0.3)
SETTINGS = Settings(audit=0.0)


def window(early_eval: float | None, loss: float = 1.0, samples: int = 100) -> WindowSignals:
    return WindowSignals(samples, loss, 1.0, None, early_eval)


def scouted(number: int, *evals: float | None, objective: float | None = None) -> CohortTrial:
    """A trial with a look for each evaluation."""
    first, *later = [window(value, samples=100 * (i + 1)) for i, value in enumerate(evals)]
    rate = {"learning_rate": 10.0 ** -(number % 5)}
    return CohortTrial(number, rate, first, objective, looks=tuple(later))


COHORT = [scouted(i, 1.0 + 0.1 * i) for i in range(8)]
LED = [scouted(0, 1.0, 0.9, objective=0.7), *COHORT[1:]]


def test_before_any_is_finished_the_best_early_evaluation_goes_on() -> None:
    found = plan(COHORT, SHARES, SETTINGS)
    assert found == Plan(0, None, {}, None, ranking=tuple(range(8)))


def test_what_runs_is_not_chosen_but_the_next_best_is() -> None:
    assert plan(COHORT, SHARES, SETTINGS, busy={0}).next == 1


def test_the_further_behind_the_less_likely() -> None:
    found = plan(LED, SHARES, SETTINGS)
    assert found.leader == 0
    assert found.forecasts.keys() == set(range(1, 8))
    behind = [found.forecasts[i].behind for i in range(1, 8)]
    assert behind == sorted(behind)
    assert found.forecasts[1].probability > found.forecasts[7].probability
    assert found.next == 1


def test_it_stops_where_none_reaches_the_risk_and_few_misses_are_expected() -> None:
    far = [scouted(0, 1.0, 0.9, objective=0.7), *(scouted(i, 9.0 + i) for i in range(1, 4))]
    trials = [*far, scouted(4, 1.05, 1.4, objective=1.2)]
    found = plan(trials, SHARES, SETTINGS)
    largest = max(one.probability for one in found.forecasts.values())
    assert found.expected_misses < SETTINGS.max_expected_misses
    assert plan(trials, SHARES, replace(SETTINGS, risk=largest + 0.01)).next is None
    assert plan(trials, SHARES, replace(SETTINGS, risk=largest - 0.01)).next is not None


def test_the_expected_misses_of_all_are_kept_below_their_limit() -> None:
    strict = replace(SETTINGS, risk=0.9, max_expected_misses=0.01)
    assert plan(LED, SHARES, replace(strict, max_expected_misses=8.0)).next is None
    assert plan(LED, SHARES, strict).next == 1


def test_order_and_units_change_nothing() -> None:
    expected = plan(LED, SHARES, SETTINGS)
    assert plan(LED[::-1], SHARES, SETTINGS) == expected
    other = [
        replace(
            trial,
            window=replace(trial.window, early_eval=7 * (trial.window.early_eval or 0) - 3),
            looks=tuple(replace(w, early_eval=7 * (w.early_eval or 0) - 3) for w in trial.looks),
            objective=None if trial.objective is None else 7 * trial.objective - 3,
        )
        for trial in LED
        if trial.window
    ]
    found = plan(other, SHARES, SETTINGS)
    assert found.next == expected.next
    for number, one in expected.forecasts.items():
        assert found.forecasts[number].probability == pytest.approx(one.probability)
        assert found.forecasts[number].behind == pytest.approx(one.behind)


def test_a_later_look_says_more() -> None:
    early = [*LED[:1], scouted(1, 1.5), *LED[2:]]
    later = [*LED[:1], scouted(1, 1.5, 1.4), *LED[2:]]
    by_first = plan(early, SHARES, SETTINGS).forecasts[1]
    by_second = plan(later, SHARES, SETTINGS).forecasts[1]
    assert (by_first.share, by_second.share) == SHARES
    assert by_second.probability < by_first.probability


def test_a_leader_that_was_looked_at_less_often_is_compared_at_its_last_look() -> None:
    seldom = [scouted(0, 1.0, objective=0.7), scouted(1, 1.1, 1.0), *LED[2:]]
    found = plan(seldom, SHARES, SETTINGS).forecasts[1]
    assert found == plan([*seldom[:1], *LED[1:]], SHARES, SETTINGS).forecasts[1]


def test_the_spread_of_the_ends_is_in_the_objectives_unit() -> None:
    """A trial that overtakes the leader by min_gain x spread is what P is about."""
    found = plan(LED, SHARES, SETTINGS)
    worst = max(one.behind for one in found.forecasts.values())
    assert found.spread is not None
    assert 0 < found.spread <= worst * 0.35  # the early spread: median - best of 1.0 to 1.7


def test_without_early_evaluations_all_go_on_until_ends_have_a_spread() -> None:
    trials = [scouted(i, None, objective=float(i) if i < 2 else None) for i in range(6)]
    assert plan(trials, SHARES, SETTINGS).next == 2
    assert plan(trials, SHARES, SETTINGS).forecasts == {}
    trials[2] = scouted(2, None, objective=2.0)
    assert plan(trials, SHARES, SETTINGS).forecasts.keys() == {3, 4, 5}


def test_what_was_not_finite_at_a_look_is_as_bad_as_the_worst() -> None:
    astray = [*LED[:7], scouted(7, float("inf"))]
    found = plan(astray, SHARES, SETTINGS)
    assert found.forecasts[7].probability == pytest.approx(found.forecasts[6].probability, abs=0.05)


def test_the_shipped_prior_says_what_it_is_from() -> None:
    prior = shipped_prior()
    assert prior.families == ("smollm2-gpu", "quickstart")
    pooled = prior.at(0.1, frozenset({"early_eval"}))
    assert pooled is not None and pooled.mean[0] > 0
    between = prior.at(0.25, frozenset({"early_eval"}))
    low, high = (prior.at(share, frozenset({"early_eval"})) for share in (0.2, 0.3))
    assert between and low and high
    assert min(low.noise, high.noise) <= between.noise <= max(low.noise, high.noise)


def test_all_that_are_not_finished_are_ranked_the_most_promising_first() -> None:
    before, led = plan(COHORT, SHARES, SETTINGS), plan(LED, SHARES, SETTINGS)
    assert before.leader is None and before.next == before.ranking[0]
    assert set(before.ranking) == {t.number for t in COHORT}
    chances = [led.forecasts[number].probability for number in led.ranking]
    assert chances == sorted(chances, reverse=True)
    assert led.forecasts.keys() == set(led.ranking)


def test_before_any_is_finished_a_trial_that_went_astray_is_not_the_most_promising() -> None:
    assert plan([scouted(0, float("inf")), *COHORT[1:]], SHARES, SETTINGS).next == 1


def test_alone_at_its_look_what_is_not_finite_is_no_better_than_the_worst() -> None:
    leader = scouted(0, 1.0, 0.9, objective=0.7)
    second = scouted(1, 1.1, 1.4, objective=1.2)
    astray = plan([leader, second, scouted(2, 1.2, float("inf"))], SHARES, SETTINGS)
    worst = plan([leader, second, scouted(2, 1.2, 1.4)], SHARES, SETTINGS)
    assert astray.forecasts[2].probability == pytest.approx(worst.forecasts[2].probability)


def test_a_look_without_an_evaluation_is_no_tie_with_the_leader() -> None:
    """Judged is the last look at which both were evaluated."""
    behind = scouted(1, 3.0, None)
    found = plan([LED[0], behind, *COHORT[2:]], SHARES, SETTINGS).forecasts[1]
    assert found == plan([LED[0], scouted(1, 3.0), *COHORT[2:]], SHARES, SETTINGS).forecasts[1]
    assert found.share == SHARES[0]


def test_of_equal_promise_the_one_with_less_to_go_is_first() -> None:
    trials = [
        scouted(0, 1.0, 1.0, objective=1.0),
        scouted(1, 1.02),
        scouted(2, 1.02, 1.02),
        *COHORT[3:],
    ]
    found = plan(trials, (0.1, 0.9), SETTINGS)
    assert found.forecasts[1].improvement > found.forecasts[2].improvement
    assert found.next == 2


@pytest.mark.parametrize("seed", range(5))
def test_five_finished_trials_overrule_a_prior_of_the_wrong_sign(seed: int) -> None:
    """The lower the early evaluation, the worse the end: against all past studies."""
    rng = np.random.default_rng(seed)
    early, finished = np.linspace(1.0, 3.0, 12), set(rng.permutation(11)[:5].tolist())
    ends = 4 - early + rng.normal(scale=0.1, size=12)
    trials = [
        scouted(i, early[i], early[i], objective=ends[i] if i in finished else None)
        for i in range(12)
    ]
    found = plan(trials, SHARES, SETTINGS)
    assert found.next == 11 == found.ranking[0]
    behind = [found.forecasts[i].behind for i in sorted(found.forecasts)]
    assert behind[-1] < behind[0]


def test_losses_of_two_phases_are_not_compared() -> None:
    def with_loss(loss: float, phase: int) -> CohortTrial:
        return replace(COHORT[1], window=replace(window(1.1, loss), phase=phase))

    others = [LED[0], *COHORT[2:]]
    apart = [plan([*others, with_loss(loss, 1)], SHARES, SETTINGS) for loss in (0.1, 9.0)]
    effects = [found.forecasts[1].effects["loss"] for found in apart]
    assert effects == [0.0, 0.0]


def intervals(share: float) -> dict[int, tuple[float, float, float]]:
    found = end_intervals(LED, SHARES, share=share)
    assert found is not None
    leader, ends = found
    assert leader == 0
    return ends


def test_an_end_is_expected_within_its_interval_and_the_wider_holds_more() -> None:
    narrow, wide = (intervals(share) for share in (0.5, 0.9))
    assert narrow.keys() == wide.keys() == set(range(1, 8))
    for number, (low, expected, high) in narrow.items():
        assert wide[number][0] < low < expected < high < wide[number][2]
    expected = [narrow[number][1] for number in range(1, 8)]
    assert expected == sorted(expected)  # as they were at the look


def test_the_ends_of_an_interval_are_where_its_share_says() -> None:
    """The leader's end less min_gain spreads has P below it, as the plan states."""
    found = plan(LED, SHARES, SETTINGS)
    assert found.spread is not None
    goal = -SETTINGS.min_gain * found.spread
    for number, one in found.forecasts.items():
        p = one.probability
        low, _, high = intervals(abs(1 - 2 * p))[number]
        assert (low if p < 0.5 else high) == pytest.approx(goal)


def test_nothing_is_expected_before_a_trial_is_finished() -> None:
    assert end_intervals(COHORT, SHARES) is None
