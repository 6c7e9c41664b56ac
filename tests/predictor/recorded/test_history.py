"""Past studies as a prior."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from predictor.judge import judge
from predictor.recorded.history import NAMES, history_prior
from predictor.recorded.runs import Curve, RecordedRun, RecordedStudy
from predictor.types import CohortTrial, Settings, WindowSignals

NUM_STEPS = 20


def run(
    name: int,
    norm: float,
    objective: float | None,
    *,
    early: float | None = None,
    phase: int = 0,
    noise_free: float = np.nan,
) -> RecordedRun:
    """A run whose gradient norms are the same at every step, its loss 2."""
    position = np.arange(1.0, NUM_STEPS + 1)
    same = np.ones(NUM_STEPS)
    curve = Curve(
        position,
        2 * same,
        norm * same,
        same,
        noise_free**2 * same,
        np.full(NUM_STEPS, phase, np.int64),
    )
    evals = np.empty((0, 2)) if early is None else np.array([[1.0, early]])
    state = "completed" if objective is not None else "pruned"
    return RecordedRun(
        str(name), {"learning_rate": 0.1 * name}, "0", NUM_STEPS, curve, evals, objective, state
    )


def study(
    norms: Sequence[float], objectives: Sequence[float | None], name: str = "past", **changes
):
    runs = [
        run(i, norm, y, **changes)
        for i, (norm, y) in enumerate(zip(norms, objectives, strict=True))
    ]
    return RecordedStudy(name, "w", tuple(runs))


RISING = study([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4])  # the higher the norm, the worse
FALLING = study([4, 3, 2, 1], [0.1, 0.2, 0.3, 0.4], "other")


def cross(*studies: RecordedStudy, strength: float = 1.0) -> dict[str, float]:
    return dict(history_prior(studies, 0.1, 1, strength).prior.cross)


def test_the_sign_of_a_signal_is_the_past_studies() -> None:
    assert cross(RISING)["grad_norm"] > 0.3
    assert cross(FALLING)["grad_norm"] < -0.3


def test_studies_that_disagree_give_no_direction() -> None:
    assert cross(RISING, FALLING)["grad_norm"] == pytest.approx(0, abs=0.05)


def both_norms(num_noise_free: int) -> RecordedStudy:
    """The higher the raw norm, the worse; the higher the noise-free one, the better."""
    measured = [4.0, 3.0, 2.0, 1.0][:num_noise_free]
    runs = [
        run(i, i + 1.0, 0.1 + 0.1 * i, noise_free=measured[i] if i < len(measured) else np.nan)
        for i in range(4)
    ]
    return RecordedStudy("both", "w", tuple(runs))


def test_raw_and_noise_free_norm_are_two_signals() -> None:
    found = cross(both_norms(4))
    assert found["grad_norm"] > 0.3 and found["grad_norm_noise_free"] < -0.3
    pooled = cross(RISING, both_norms(4))  # the first knows the raw one alone
    assert pooled["grad_norm"] == pytest.approx(found["grad_norm"])
    assert pooled["grad_norm_noise_free"] == pytest.approx(found["grad_norm_noise_free"] / 2)


def test_a_noise_free_norm_that_few_have_tells_nothing() -> None:
    assert cross(both_norms(2))["grad_norm_noise_free"] < 0
    assert cross(both_norms(1))["grad_norm_noise_free"] == 0


def test_a_study_takes_the_direction_of_the_norm_that_it_compares() -> None:
    prior = history_prior([both_norms(4)], 0.1, 1, 5.0).prior
    settings = Settings(audit=0.0)

    def p(norm: float, *, is_noise_free: bool) -> float:
        """Of a trial with that norm among three with other norms."""

        def trial(number: int, value: float, objective: float | None) -> CohortTrial:
            window = WindowSignals(2, 2.0, value, value if is_noise_free else None, None)
            return CohortTrial(number, {}, window, objective)

        cohort = [trial(0, 1.0, 0.30), trial(1, 1.1, 0.32), trial(2, 0.9, 0.34)]
        found = judge(trial(3, norm, None), cohort, settings, prior).probability
        assert found is not None
        return found

    assert p(2.0, is_noise_free=False) < p(0.5, is_noise_free=False)
    assert p(2.0, is_noise_free=True) > p(0.5, is_noise_free=True)


def test_a_signal_that_was_not_measured_or_was_equal_tells_nothing() -> None:
    found = history_prior([RISING], 0.1, 1, 1.0).prior
    for name in ("early_eval", "loss"):  # never evaluated; the same in all
        assert found.cross[name] == 0
        assert all(found.second[name, other] == 0 for other in NAMES)


def test_units_do_not_matter() -> None:
    scaled = study([10, 20, 30, 40], [100.0, 200.0, 300.0, 400.0])
    assert cross(scaled) == pytest.approx(cross(RISING))


def test_it_is_as_heavy_as_strength_trials_however_many_there_were() -> None:
    few = history_prior([RISING], 0.1, 1, 2.0).prior
    many = history_prior([RISING, replace(RISING, name="again")], 0.1, 1, 2.0).prior
    for one, other in zip(few.moments(NAMES), many.moments(NAMES), strict=True):
        assert np.allclose(one, other)
    assert few.moments(NAMES)[0][2, 2] == pytest.approx(2.0)  # of a standardised signal


def test_unfinished_trials_are_looked_at_but_have_no_target() -> None:
    pruned = study([1, 2, 3, 4, 40], [0.1, 0.2, 0.3, 0.4, None])
    found = history_prior([pruned], 0.1, 1, 1.0)
    assert found.num_trials == {"past": 4}
    assert 0 < found.prior.cross["grad_norm"] < cross(RISING)["grad_norm"]


def test_phases_are_standardised_apart() -> None:
    runs = (*RISING.runs, *(run(9 + i, 100 + i, 0.1 + 0.1 * i, phase=2) for i in range(4)))
    apart = history_prior([replace(RISING, runs=runs)], 0.1, 1, 1.0)
    assert apart.prior.cross["grad_norm"] == pytest.approx(cross(RISING)["grad_norm"], rel=0.1)


@pytest.mark.parametrize(
    "useless",
    [
        study([1, 2], [None, None]),
        study([1], [0.1]),
        study([1, 2, 3], [0.1, 0.1, 0.1]),  # they tie
    ],
)
def test_a_study_that_tells_nothing_is_counted_as_such(useless: RecordedStudy) -> None:
    with pytest.raises(ValueError, match="none of past has two finished trials"):
        history_prior([useless], 0.1, 1, 1.0)
    found = history_prior([useless, FALLING], 0.1, 1, 1.0)
    assert found.num_trials == {"past": 0, "other": 4}


def test_the_digest_tells_priors_apart_and_equal_ones_not() -> None:
    first = history_prior([RISING], 0.1, 1, 1.0)
    assert first.digest == history_prior([RISING], 0.1, 1, 1.0).digest
    assert first.digest != history_prior([FALLING], 0.1, 1, 1.0).digest
    assert first.digest != history_prior([RISING], 0.1, 1, 2.0).digest
    assert json.loads(json.dumps(first.to_json()))["trials"] == {"past": 4}


def test_history_moves_the_verdict_of_a_young_study() -> None:
    def trial(number: int, norm: float, objective: float | None) -> CohortTrial:
        window = WindowSignals(2, 2.0, norm, None, None)
        return CohortTrial(number, {}, window, objective)

    cohort = [trial(0, 1.0, 0.30), trial(1, 1.1, 0.32), trial(2, 0.9, 0.34)]
    settings = Settings(audit=0.0)

    def p(past: RecordedStudy, norm: float) -> float:
        prior = history_prior([past], 0.1, 1, 5.0).prior
        found = judge(trial(3, norm, None), cohort, settings, prior).probability
        assert found is not None
        return found

    assert p(RISING, 2.0) < p(FALLING, 2.0)
    assert p(RISING, 0.5) > p(FALLING, 0.5)
