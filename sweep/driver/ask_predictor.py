"""Which verdict a trial gets, and of what: at its window, at later looks, and of the guards.

The predictor decides (`predictor/judge.py`); here is what it is asked, and who is spared.
"""

from __future__ import annotations

from dataclasses import replace

from predictor.guards import is_not_finite
from predictor.judge import guard, judge
from predictor.recorded.history import History
from predictor.types import Verdict
from sweep.account.replicates import original_of
from sweep.driver.cohort import cohort_trial, incumbent
from sweep.driver.scouting import answer
from sweep.driver.study_state import StudyState
from sweep.driver.trial import Trial
from sweep.storage.states import moment_of
from trainer.contract.spec import VerdictWanted


def known_verdict(trial: Trial, wanted: VerdictWanted) -> Verdict | None:
    """What was decided already: a guard's verdict that is on its way, or that of the look, which
    stands also after a restart. None: the trial is to be judged."""
    if wanted.why == "not finite":
        return None
    found = trial.pruned_by or trial.verdicts.get(moment_of(wanted.look))
    if found is not None and found.action == "park" and not trial.is_parked:
        return Verdict("continue", "none", "was told to go on after it had been parked here")
    return found


def moment(wanted: VerdictWanted) -> str:
    """The moment of the decision that a trial waits for."""
    return moment_of(wanted.look) if wanted.why == "window" else wanted.why


def judge_wanted(study: StudyState, trial: Trial, wanted: VerdictWanted) -> Verdict:
    """The verdict that a trial waits for."""
    if wanted.why == "not finite":
        verdict = _guard(study, trial)
        assert verdict is not None
        return verdict
    if not study.looked_at(trial, wanted.look, wanted.early):
        reason = "part of its window was lost with a driver that was killed"
    elif trial.is_replicate:
        reason = f"confirms trial {original_of(trial.number)}: goes on to the end"
    elif trial.is_audited:
        reason = "audited: goes on to the end whatever its window says"
    elif study.settings.scouts:
        return answer(study, trial)
    else:
        return _rank(study, trial)
    return Verdict("continue", "none", reason)


def judge_step(study: StudyState, trial: Trial) -> Verdict | None:
    """A guard's verdict after a step, None where none objects. The trial does not wait for it, but
    for what is not finite, of which it asks itself. Its evidence has the incumbent, to which an
    audit is held."""
    is_spared = trial.is_replicate or trial.is_audited or trial.pruned_by is not None
    if is_spared or is_not_finite(trial.observations[-1]):
        return None
    verdict = _guard(study, trial)
    if verdict is None:
        return None
    return replace(verdict, evidence={**verdict.evidence, **incumbent(study.roster.objectives)})


def _guard(study: StudyState, trial: Trial) -> Verdict | None:
    return guard(trial.observations, trial.spec.warmup_steps, trial.number, study.settings)


def _rank(study: StudyState, trial: Trial) -> Verdict:
    """By its window; a prior from past studies stands in the evidence, numbers and digest."""
    own, cohort = cohort_trial(trial, study.metric), study.roster.cohort_of(trial)
    history = study.history
    if not isinstance(history, History):
        return judge(own, cohort, study.settings)
    verdict = judge(own, cohort, study.settings, history.prior)
    learned = {"digest": history.digest, **history.to_json()}
    return replace(verdict, evidence={**verdict.evidence, "history": learned})
