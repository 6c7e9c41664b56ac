"""What the driver gets: a verdict at the window, or where a guard trips; some are audited."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from predictor.audit import is_audited
from predictor.judge import PREDICTOR_VERSION, guard, judge
from predictor.types import CohortTrial, Observation, Settings, WindowSignals

NO_AUDIT = Settings(audit=0.0)
ALWAYS_AUDIT = Settings(audit=1.0)


def trial(
    number: int,
    early_eval: float | None,
    norm: float,
    noise_free: float | None = None,
    objective: float | None = 1.0,
    loss: float = 2.0,
    config: Mapping[str, Any] = MappingProxyType({}),
) -> CohortTrial:
    window = WindowSignals(100, loss, norm, noise_free, early_eval)
    return CohortTrial(number=number, config=config, window=window, objective=objective)


COHORT = [trial(i, i / 10, float(i), objective=1 + i / 10) for i in range(1, 7)]
WORST = trial(0, 0.9, 9.0, objective=None)
BEST = trial(0, 0.05, 0.5, objective=None)


def diverged(num_steps: int = 20) -> list[Observation]:
    return [
        Observation(i, 8 * i, 300 * i, 100 * i, 2.0 if i == 1 else 9.0, 1.0, 1e-4, 0.1)
        for i in range(1, num_steps + 1)
    ]


@pytest.mark.parametrize(
    ("subject", "cohort", "settings", "action", "kind"),
    [
        (WORST, COHORT, NO_AUDIT, "prune", "rank"),
        (WORST, COHORT, ALWAYS_AUDIT, "audit", "rank"),
        (BEST, COHORT, NO_AUDIT, "continue", "rank"),
        (BEST, COHORT, ALWAYS_AUDIT, "continue", "rank"),  # only a prune is audited
        (WORST, COHORT, Settings(enabled=False), "continue", "none"),
        (WORST, COHORT, Settings(guards=False, audit=0.0), "prune", "rank"),  # guards are apart
        (WORST, COHORT[:2], NO_AUDIT, "continue", "none"),  # two complete runs of three
        (WORST, COHORT, Settings(audit=0.0, startup=7), "continue", "none"),
        (WORST, [], NO_AUDIT, "continue", "none"),
    ],
)
def test_the_verdict_at_the_window(subject, cohort, settings, action, kind):
    verdict = judge(subject, cohort, settings)
    assert (verdict.action, verdict.kind) == (action, kind)
    assert (verdict.probability is None) == (kind == "none")
    assert verdict.reason


def test_pruning_that_is_off_says_so():
    assert judge(WORST, COHORT, Settings(enabled=False)).reason == "pruning is off in this study"


def test_an_audit_keeps_the_evidence_and_says_what_it_would_have_been():
    pruned, audited = judge(WORST, COHORT, NO_AUDIT), judge(WORST, COHORT, ALWAYS_AUDIT)
    assert audited.evidence == pruned.evidence
    assert audited.reason == (
        f"would have been pruned: {pruned.reason}; goes on to the end to check the predictor"
    )


def test_the_audited_are_those_whose_coin_says_so():
    settings = Settings(audit=0.3, seed=5)
    for number in range(100, 150):
        audited = judge(replace(WORST, number=number), COHORT, settings).action == "audit"
        assert audited == is_audited(5, number, 0.3)


def test_a_guard_that_is_not_tripped_says_nothing():
    assert guard(diverged(13), 0, 0, NO_AUDIT) is None
    assert guard([], 0, 0, NO_AUDIT) is None


@pytest.mark.parametrize(("settings", "action"), [(NO_AUDIT, "prune"), (ALWAYS_AUDIT, "audit")])
def test_divergence_is_audited_like_a_rank_decision(settings, action):
    verdict = guard(diverged(), 0, 0, settings)
    assert verdict is not None
    assert (verdict.action, verdict.kind) == (action, "guard")
    assert verdict.evidence["rule"] == "divergence"
    assert verdict.reason.startswith("would have been pruned: " if action == "audit" else "div")


@pytest.mark.parametrize(
    "settings",
    [ALWAYS_AUDIT, replace(ALWAYS_AUDIT, enabled=False), replace(ALWAYS_AUDIT, guards=False)],
)
def test_not_finite_is_pruned_and_never_audited(settings):
    trial_steps = diverged()
    trial_steps[-1] = replace(trial_steps[-1], loss=math.nan)
    verdict = guard(trial_steps, 0, 0, settings)
    assert verdict is not None
    assert (verdict.action, verdict.kind) == ("prune", "guard")


NUMBER = st.floats(0.1, 10.0)
MAYBE = st.one_of(NUMBER, NUMBER, NUMBER, st.sampled_from([math.nan, math.inf]))
CONFIG = st.fixed_dictionaries(
    {"learning_rate": st.sampled_from([1e-5, 3e-5, 1e-4]), "batch_size": st.sampled_from([8, 64])}
)
ROW = st.tuples(MAYBE | st.none(), MAYBE, MAYBE | st.none(), MAYBE | st.none(), MAYBE, CONFIG)
ROWS = st.lists(ROW, min_size=1, max_size=12)


@pytest.mark.slow
@hypothesis_settings(deadline=None)
@given(ROWS, st.randoms(), st.booleans())
def test_order_and_the_trial_itself_in_the_cohort_change_nothing(rows, random, has_itself):
    subject, *others = [trial(i, *row) for i, row in enumerate(rows)]
    verdict = judge(subject, others, Settings())
    cohort = [subject, *others] if has_itself else list(others)
    random.shuffle(cohort)
    assert judge(subject, cohort, Settings()) == verdict
    json.dumps(dict(verdict.evidence), allow_nan=False)


def test_a_stale_copy_of_the_trial_in_the_cohort_is_not_read():
    stale = CohortTrial(number=WORST.number, config={})
    assert judge(WORST, [stale, *COHORT], NO_AUDIT) == judge(WORST, COHORT, NO_AUDIT)


@pytest.mark.slow
@hypothesis_settings(deadline=None)
@given(ROWS, st.randoms(), st.floats(0.01, 100.0), st.floats(0.01, 100.0))
def test_the_order_and_the_units_of_loss_and_gradient_change_no_action(rows, random, c, d):
    def times(factor, value):
        return None if value is None else factor * value

    def in_other_units(number, early_eval, norm, noise_free, objective, loss, config):
        scaled = times(c, early_eval), d * norm, times(d, noise_free), times(c, objective), c * loss
        return trial(number, *scaled, config)

    before = [trial(i, *row) for i, row in enumerate(rows)]
    after = [in_other_units(i, *row) for i, row in enumerate(rows)]
    subject = after[0]
    random.shuffle(after)
    for settings in (NO_AUDIT, ALWAYS_AUDIT):
        one, two = judge(before[0], before, settings), judge(subject, after, settings)
        assert (one.action, one.kind) == (two.action, two.kind)
        assert one.probability == (
            None if two.probability is None else pytest.approx(two.probability, abs=1e-6)
        )


@pytest.mark.parametrize("huge", [10**400, -(10**400), 10**308], ids=["above", "below", "within"])
def test_a_setting_that_no_float_can_hold_is_one_that_is_not_known(huge):
    cohort = [replace(t, config={"seed": t.number}) for t in COHORT]
    for config in ({"seed": huge}, {"seed": huge, "name": "a"}):
        assert judge(replace(WORST, config=config), cohort, NO_AUDIT).action == "prune"
    cohort[0] = replace(cohort[0], config={"seed": huge})
    assert judge(replace(WORST, config={"seed": 3}), cohort, NO_AUDIT).action == "prune"


def test_the_version_is_named_for_the_ledger():
    assert PREDICTOR_VERSION == "learned-6"


def test_the_predictor_imports_no_other_part_and_nothing_heavy():
    code = "import predictor.judge, predictor.signals, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "optuna", "pandas", "scipy", "sklearn", "sweep", "trainer"}
    assert heavy.isdisjoint(run.stdout.split())
