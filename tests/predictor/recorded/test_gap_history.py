"""Past studies beside the shipped ones, as what a study that scouts expects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from predictor.gap.prior import GapPrior, from_json, shipped_fits, shipped_prior, to_json
from predictor.recorded.gap_history import gap_history, prior_with
from predictor.recorded.gap_pool import study_fits
from predictor.recorded.runs import Curve, RecordedRun, RecordedStudy

NUM_STEPS = 20
EARLY = frozenset({"early_eval"})


def run(number: int, early: float, objective: float | None) -> RecordedRun:
    """Loss and norm tell nothing; it is evaluated at every step."""
    position = np.arange(1.0, NUM_STEPS + 1)
    same = np.ones(NUM_STEPS)
    curve = Curve(position, same, same, same, np.nan * same, np.zeros(NUM_STEPS, np.int64))
    evals = np.array([[at, early] for at in position])
    return RecordedRun(str(number), {"rate": number}, "0", NUM_STEPS, curve, evals, objective)


def study(name: str = "past", sign: float = 1.0, num: int = 8, num_finished: int = 8):
    runs = tuple(
        run(i, 1 + 0.1 * i, 1 + sign * 0.1 * i if i < num_finished else None) for i in range(num)
    )
    return RecordedStudy(name, "SomeBase on data", runs)


def slope(prior: GapPrior) -> float:
    found = prior.at(0.1, EARLY)
    assert found is not None
    return float(found.mean[0])


def test_a_past_study_adds_to_what_the_shipped_ones_say() -> None:
    found = gap_history([study(sign=-1.0)])
    assert found.prior.families == ("SomeBase", *shipped_prior().families)
    assert slope(found.prior) < slope(shipped_prior()) - 0.3  # one family of three disagrees
    assert (found.num_trials, found.metrics) == ({"past": 8}, {"past": "eval_loss"})


def test_studies_of_one_base_are_one_family() -> None:
    one, two = study("one", -1.0), study("two", -1.0)
    assert slope(gap_history([one, two]).prior) == pytest.approx(slope(gap_history([one]).prior))
    other = replace(two, workload="OtherBase on data")
    assert slope(gap_history([one, other]).prior) < slope(gap_history([one]).prior) - 0.1


def test_a_shipped_study_is_not_counted_twice() -> None:
    shipped = shipped_fits()[0]
    again = gap_history([study(shipped.name)])
    assert [one.family for one in again.fits] == [shipped.family]
    own = study_fits(study(shipped.name), shipped.family)
    assert own is not None
    expected = GapPrior.of([own, *shipped_fits()[1:]])
    assert slope(again.prior) == pytest.approx(slope(expected))


def test_a_study_of_too_few_finished_runs_is_of_no_use_and_said_to_be() -> None:
    few = study("few", num_finished=4)
    assert gap_history([study(), few]).num_trials == {"past": 8, "few": 0}
    with pytest.raises(ValueError, match=r"none of few has 5 finished trials .* nothing can be"):
        gap_history([few])


def test_it_has_the_same_digest_where_it_says_the_same() -> None:
    assert gap_history([study()]).digest == gap_history([study()]).digest
    assert gap_history([study()]).digest != gap_history([study(sign=-1.0)]).digest


def test_what_is_stored_of_it_gives_the_same_prior() -> None:
    found = gap_history([study()])
    again = prior_with(from_json(to_json(found.fits)))
    assert slope(again) == pytest.approx(slope(found.prior), rel=1e-5)
