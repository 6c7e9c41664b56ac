"""What the driver gets: a verdict at the window, or where a guard trips; some are audited."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

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
) -> CohortTrial:
    window = WindowSignals(100, 2.0, norm, noise_free, early_eval)
    return CohortTrial(number=number, config={}, window=window, objective=objective)


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


MAYBE = st.sampled_from([0.5, 1.0, 2.0, 4.0, math.nan, math.inf])
SIGNALS = st.tuples(MAYBE | st.none(), MAYBE, MAYBE | st.none(), MAYBE | st.none())


@hypothesis_settings(deadline=None)
@given(st.lists(SIGNALS, min_size=1, max_size=12), st.randoms(), st.booleans())
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


@hypothesis_settings(deadline=None)
@given(st.lists(SIGNALS, min_size=1, max_size=12), st.integers(-8, 8), st.integers(-8, 8))
def test_the_units_of_loss_and_gradient_change_no_action(rows, loss_exponent, norm_exponent):
    def scaled(number, early_eval, norm, noise_free, objective):
        c, d = 2.0**loss_exponent, 2.0**norm_exponent
        return trial(
            number,
            None if early_eval is None else c * early_eval,
            d * norm,
            None if noise_free is None else d * noise_free,
            None if objective is None else c * objective,
        )

    before = [trial(i, *row) for i, row in enumerate(rows)]
    after = [scaled(i, *row) for i, row in enumerate(rows)]
    for settings in (NO_AUDIT, ALWAYS_AUDIT):
        one, two = judge(before[0], before, settings), judge(after[0], after, settings)
        assert (one.action, one.kind) == (two.action, two.kind)


def test_the_version_is_named_for_the_ledger():
    assert PREDICTOR_VERSION == "learned-5"


def test_the_predictor_imports_no_other_part_and_nothing_heavy():
    code = "import predictor.judge, predictor.signals, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "optuna", "pandas", "scipy", "sklearn", "sweep", "trainer"}
    assert heavy.isdisjoint(run.stdout.split())
