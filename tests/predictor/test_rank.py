"""The rule at the window: who is compared with whom, what is pruned, and what it says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from predictor.features import tabulate
from predictor.model import OURS, chance_of_another, forecast, regress
from predictor.prior import paper_prior
from predictor.rank import rank_rule
from predictor.target import scale_of
from predictor.types import CohortTrial, Settings, WindowSignals

SETTINGS = Settings(audit=0.0, max_expected_misses=0.3)


def trial(
    number: int,
    early_eval: float | None,
    norm: float,
    noise_free: float | None = None,
    *,
    loss: float = 2.0,
    samples: int = 100,
    objective: float | None = None,
    phase: int = 0,
    rate: float = 1e-4,
) -> CohortTrial:
    window = WindowSignals(samples, loss, norm, noise_free, early_eval, phase)
    return CohortTrial(number, {"learning_rate": rate}, window, objective)


def study(num: int = 10, **change: Any) -> list[CohortTrial]:
    """Trials 1 to num, whose early evaluation tells the end; the first is the best."""
    return [
        trial(
            i,
            1 + 0.1 * i,
            2.0 + 0.3 * (i % 3),
            objective=1 + 0.1 * i + 0.01 * (i % 2),
            rate=1e-5 * (1 + (7 * i) % 5),
            **change,
        )
        for i in range(1, num + 1)
    ]


def with_window(t: CohortTrial, **changes: Any) -> CohortTrial:
    assert t.window is not None
    return replace(t, window=replace(t.window, **changes))


BAD, GOOD = trial(0, 2.0, 2.3), trial(0, 0.6, 2.3)


def test_what_is_unlikely_to_beat_the_incumbent_is_pruned():
    bad, good = rank_rule(BAD, study(), SETTINGS), rank_rule(GOOD, study(), SETTINGS)
    assert (bad.action, bad.kind) == ("prune", "rank")
    assert (good.action, good.kind) == ("continue", "rank")
    assert bad.probability is not None and good.probability is not None
    assert bad.probability < 0.1 < 0.5 < good.probability


def test_the_reason_can_be_checked():
    verdict = rank_rule(BAD, study(), SETTINGS)
    assert verdict.probability is not None
    before = verdict.evidence["before"]
    assert verdict.reason.startswith(
        f"P(beats trial 1) = {verdict.probability:.1g} < risk 0.10 ({before:.2f} before looking at "
        "it): early evaluation 1.3 sd worse, training loss 0.0 sd above, raw gradient norm 0.0 sd "
        "above the cohort; what speaks most against it is its early evaluation"
    )
    column = np.log([1 + 0.1 * i for i in range(1, 11)] + [2.0])
    assert verdict.evidence["signals"]["early_eval"] == pytest.approx(
        (column[-1] - column.mean()) / column.std()
    )


def test_the_evidence_is_json_and_holds_the_numbers_behind_the_reason():
    evidence = rank_rule(BAD, study(), SETTINGS).evidence
    assert evidence["rule"] == "rank"
    assert (evidence["incumbent"], evidence["best"]) == (1, 1.11)
    assert (evidence["num_finished"], evidence["num_seen"]) == (10, 11)
    assert evidence["spread"] == pytest.approx(
        np.median([t.objective or 0.0 for t in study()]) - 1.11
    )
    assert evidence["slopes"]["early_eval"] > 0.2
    json.dumps(evidence, allow_nan=False)


def test_a_configuration_that_decides_is_named():
    """Early numbers that tell nothing, and the higher the learning rate the worse."""

    def at(number: int, rate: float, objective: float | None) -> CohortTrial:
        one = trial(number, 0.5, 2.0, objective=objective)
        return replace(one, config={"learning_rate": rate})

    cohort = [at(i, 10.0 ** (-6 + i / 4), 1.0 + 0.1 * i) for i in range(12)]
    verdict = rank_rule(at(20, 1e-2, None), cohort, SETTINGS)
    assert verdict.action == "prune"
    assert "; what speaks most against it is its configuration" in verdict.reason
    effects = verdict.evidence["effects"]
    assert effects["configuration"] > 0.2 > effects["early_eval"] == 0
    goes_on = rank_rule(at(20, 1e-6, None), cohort, SETTINGS)
    assert goes_on.evidence["effects"]["configuration"] < 0
    assert "against it" not in goes_on.reason


@pytest.mark.parametrize("subject", [BAD, GOOD])
def test_the_effect_of_a_signal_is_what_the_prediction_loses_without_it(subject: CohortTrial):
    cohort = study()
    effect = rank_rule(subject, cohort, SETTINGS).evidence["effects"]["early_eval"]
    ends = [t.objective for t in cohort if t.objective is not None]
    scale = scale_of(ends)
    assert scale is not None
    table = tabulate([subject, *cohort], SETTINGS.startup)
    signals = table.design.signals.copy()
    signals[0, table.names.index("early_eval")] = 0.0  # at the mean of the cohort
    without = table._replace(design=table.design._replace(signals=signals))
    means = [
        float(found.weights @ found.means)
        for each in (table, without)
        for found in [
            regress(each, range(1, 11), scale.squash(np.array(ends)), paper_prior(1.0), OURS)[1]
        ]
    ]
    assert effect == pytest.approx(means[0] - means[1])
    assert (effect > 0) == (subject is BAD)


@pytest.mark.parametrize(
    ("num_finished", "said"),
    [
        (0, "no finished trial yet: there is only a prior, which prunes none"),
        (2, "waiting for finished trials: 2 of the 3 needed before any is pruned by rank"),
    ],
)
def test_nothing_is_pruned_until_enough_runs_are_finished(num_finished, said):
    cohort = [t if t.number <= num_finished else replace(t, objective=None) for t in study()]
    verdict = rank_rule(BAD, cohort, SETTINGS)
    assert (verdict.action, verdict.kind, verdict.reason) == ("continue", "none", said)
    assert verdict.probability is None


@pytest.mark.parametrize("startup", [0, 1])
def test_one_finished_trial_or_none_prunes_nothing_under_any_startup(startup):
    settings = replace(SETTINGS, startup=startup)
    assert rank_rule(BAD, [], settings).action == "continue"
    one = rank_rule(BAD, study(1), settings)
    assert (one.action, one.reason) == (
        "continue",
        "ties: 1 trial is finished, the median no worse than the best",
    )


def test_ties_prune_nothing():
    cohort = [replace(t, objective=1.0) for t in study(5)]
    verdict = rank_rule(BAD, cohort, SETTINGS)
    assert (verdict.action, verdict.kind) == ("continue", "none")
    assert verdict.reason.startswith("ties: 5 trials are finished")


def test_identical_trials_go_on():
    cohort = [trial(i, 0.5, 2.0, objective=1.0 + 0.1 * i) for i in range(1, 9)]
    verdict = rank_rule(trial(0, 0.5, 2.0), cohort, SETTINGS)
    assert verdict.action == "continue"


def test_without_a_window_there_is_nothing_to_judge_by():
    assert rank_rule(replace(BAD, window=None), study(), SETTINGS).kind == "none"


def test_other_windows_and_other_phases_are_not_compared():
    elsewhere = [replace(t, number=t.number + 50) for t in study(phase=2)]
    longer = [replace(t, number=t.number + 80) for t in study(samples=200)]
    alone = rank_rule(BAD, study(), SETTINGS)
    verdict = rank_rule(BAD, [*study(), *elsewhere, *longer], SETTINGS)
    assert verdict.probability == alone.probability
    assert verdict.reason == (
        f"{alone.reason}; not compared with 10 trials of another phase, as this window closed in "
        "all data together"
    )
    only = rank_rule(BAD, elsewhere, SETTINGS)
    assert only.kind == "none" and "10 trials of another phase" in only.reason


def test_what_does_not_halve_the_chance_that_a_trial_had_prunes_nothing():
    """Many finished trials make any newcomer unlikely to win: that alone is no prediction."""
    rng = np.random.default_rng(0)
    cohort = [
        trial(i, *rng.uniform(1, 2, 2), objective=float(rng.uniform(1, 2))) for i in range(1, 81)
    ]
    settings = replace(SETTINGS, max_expected_misses=1e9)
    verdicts = [rank_rule(trial(0, *rng.uniform(1, 2, 2)), cohort, settings) for _ in range(30)]
    below = [v for v in verdicts if v.probability is not None and v.probability < 0.1]
    assert len(below) == 30 and all(v.action == "continue" for v in below)
    assert "goes on: what it showed does not halve the chance that it had before" in below[0].reason
    assert "further trials are unlikely to help" in below[0].reason


@pytest.mark.parametrize("num", [20, 60])
def test_that_looking_tells_nothing_is_one_more_belief(num: int):
    """P0 counts for three of the finished trials in P, however clear the signals."""
    hopeless = trial(0, 10.0, 2.3)
    verdict = rank_rule(hopeless, study(num), SETTINGS)
    assert verdict.probability is not None
    assert verdict.probability == pytest.approx(verdict.evidence["before"] * 3 / (num + 3))


def test_the_prunes_of_a_study_stay_within_its_expected_misses():
    """Each takes at most a quarter of what is left; those of other windows count as well."""
    p = rank_rule(BAD, study(), SETTINGS).probability
    assert p is not None
    for left, action in ((4.1 * p, "prune"), (3.9 * p, "continue"), (-0.1, "continue")):
        pruned = replace(trial(99, 1.5, 2.0, samples=7), expected_miss=0.3 - left)
        verdict = rank_rule(BAD, [*study(), pruned], SETTINGS)
        assert verdict.action == action
    assert "goes on: more than a quarter of the 0.00 that earlier prunes left" in verdict.reason
    assert "left of max_expected_misses 0.3" in verdict.reason


def test_the_noise_free_norm_is_compared_where_enough_have_it_and_never_mixed():
    cohort = [with_window(t, grad_norm_noise_free=None if t.number < 4 else 1.0) for t in study()]
    own = trial(0, 2.0, 2.3, 50.0)
    verdict = rank_rule(own, cohort, SETTINGS)
    assert verdict.evidence["norm"] == "grad_norm_noise_free"
    assert "noise-free gradient norm" in verdict.reason
    raw_changes = [with_window(t, grad_norm=9.0 * t.number) for t in cohort]
    assert rank_rule(own, raw_changes, SETTINGS).probability == verdict.probability
    few = [with_window(t, grad_norm_noise_free=1.0 if t.number < 4 else None) for t in study()]
    assert rank_rule(own, few, SETTINGS).evidence["norm"] == "grad_norm"
    assert rank_rule(BAD, cohort, SETTINGS).evidence["norm"] == "grad_norm"


def test_an_early_evaluation_missing_here_has_no_column_and_missing_there_tells_nothing():
    none = rank_rule(
        replace(BAD, window=WindowSignals(100, 2.0, 2.3, None, None)), study(), SETTINGS
    )
    assert set(none.evidence["signals"]) == {"loss", "grad_norm"}
    assert "early evaluation" not in none.reason
    cohort = [with_window(t, early_eval=None) if t.number in (3, 7) else t for t in study()]
    some = rank_rule(BAD, cohort, SETTINGS)
    assert some.action == "prune" and "early_eval" in some.evidence["signals"]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_counts_as_the_worst_seen(bad):
    verdict = rank_rule(trial(0, bad, bad, loss=bad), study(), SETTINGS)
    worst = rank_rule(trial(0, 2.0, 2.6), study(), SETTINGS)
    assert verdict.evidence["signals"] == worst.evidence["signals"]
    assert verdict.probability == worst.probability


def test_objectives_that_are_not_finite_are_not_finished():
    cohort = [*study(), trial(50, 1.0, 2.0, objective=math.nan), trial(51, 1.0, 2.0)]
    finished = rank_rule(BAD, cohort, SETTINGS).evidence["num_finished"]
    assert finished == 10


@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize("name", ["early_eval", "loss", "grad_norm"])
def test_every_sign_is_learned(name, strength):
    """Turn a signal around in the data, and the verdicts on high and on low turn around: at a prior
    strength of 0 always, at 1 once ten runs are finished."""
    rng = np.random.default_rng(3)
    values = np.sort(rng.uniform(1, 3, 10))

    def cohort(sign: int) -> list[CohortTrial]:
        ends = [1 + 0.3 * sign * (v - 2) + 0.01 * rng.normal() for v in values]
        return [
            replace(seen(name, v), number=i + 1, objective=float(y))
            for i, (v, y) in enumerate(zip(values, ends, strict=True))
        ]

    settings = replace(SETTINGS, prior_strength=strength)
    for sign, bad, good in ((1, 2.9, 0.9), (-1, 1.0, 3.2)):
        assert rank_rule(seen(name, bad), cohort(sign), settings).action == "prune"
        assert rank_rule(seen(name, good), cohort(sign), settings).action == "continue"


def seen(name: str, value: float) -> CohortTrial:
    window = replace(WindowSignals(100, 2.0, 2.0, None, 2.0), **{name: float(value)})
    return CohortTrial(0, {}, window)


def test_a_single_batch_size_changes_nothing():
    """A column that is the same for all carries nothing."""
    with_batch = [replace(t, config={**t.config, "batch_size": 16}) for t in study()]
    own = replace(BAD, config={**BAD.config, "batch_size": 16})
    one, two = rank_rule(BAD, study(), SETTINGS), rank_rule(own, with_batch, SETTINGS)
    assert one.probability == pytest.approx(two.probability, rel=1e-9)


@pytest.mark.parametrize("name", ["normal", "exponential", "uniform", "two groups"])
@pytest.mark.parametrize("num", [3, 6, 12])
def test_p0_is_how_often_one_more_of_the_kind_wins_whatever_the_distribution(name: str, num: int):
    rng = np.random.default_rng(num)
    draw = {
        "normal": rng.normal,
        "exponential": rng.exponential,
        "uniform": rng.uniform,
        "two groups": lambda size: 3 * (rng.random(size) < 0.4) + rng.normal(size=size) / 3,
    }[name]
    stated, won = [], []
    for *finished, new in draw(size=(2000, num + 1)).tolist():
        p0 = chance_of_another(finished, 0.05)
        assert p0 is not None
        stated.append(p0)
        won.append(new < min(finished) - 0.05 * (np.median(finished) - min(finished)))
    assert np.mean(won) - 0.02 < np.mean(stated) < np.mean(won) + 0.05


def test_p0_at_no_gain_is_one_in_all():
    assert chance_of_another([3.0, 1.0, 2.0, 7.0], 0.0) == pytest.approx(1 / 5)
    assert chance_of_another([1.0, 1.0, 1.0, 2.0], 0.05) is None  # the median is the best
    assert chance_of_another([1.0], 0.05) is None


def test_p0_is_lower_where_many_stand_next_to_the_best_and_has_no_unit():
    crowded, spaced = [1.0, 1.01, 1.02, 1.03, *[3.0] * 5], [1.0, 1.6, 1.7, 1.8, *[2.0] * 5]
    near, far = chance_of_another(crowded, 0.5), chance_of_another(spaced, 0.5)
    assert near is not None and far is not None and near < far < 1 / 8
    scaled = chance_of_another([7 * y for y in crowded], 0.5)
    assert scaled == pytest.approx(near)


def test_words_in_the_configuration_are_learned():
    cohort = [
        replace(trial(i, 2.0, 2.0), config={"schedule": "ab"[i % 2]}, objective=1 + i % 2 + i / 99)
        for i in range(1, 11)
    ]
    good, bad = (replace(trial(0, 2.0, 2.0), config={"schedule": kind}) for kind in "ab")
    found = [
        forecast(t, cohort, min_gain=0.05, startup=3, prior=paper_prior(1.0)) for t in (good, bad)
    ]
    assert found[0] is not None and found[1] is not None
    assert found[0].p_signals > found[0].p0 / 3 > 9 * found[1].p_signals


def test_a_best_learning_rate_in_the_middle_is_learned():
    """Signals tell nothing; the objective is a parabola in the logarithm of the rate."""
    rates = [10.0 ** (-6 + 0.5 * i) for i in range(9)]
    cohort = [
        trial(i + 1, 2.0, 2.0, objective=1 + 0.3 * (i - 4) ** 2 + 0.01 * (i % 2), rate=rate)
        for i, rate in enumerate(rates)
    ]
    found = [
        forecast(
            trial(0, 2.0, 2.0, rate=rate),
            cohort,
            min_gain=0.05,
            startup=3,
            prior=paper_prior(1.0),
        )
        for rate in (10.0**-4.1, 10.0**-2.1)
    ]
    assert found[0] is not None and found[1] is not None
    assert found[0].probability > 3 * found[1].probability
