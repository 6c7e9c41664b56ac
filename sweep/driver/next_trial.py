"""Which trial is started next: one that goes on or waits, a new one, or a replicate."""

from __future__ import annotations

from sweep.account.outcome import Outcome
from sweep.account.outlook import last_said
from sweep.account.replicates import original_of, wanted_numbers
from sweep.account.standing import EXHAUSTED
from sweep.driver import messages
from sweep.driver.optuna_study import Asked
from sweep.driver.shown_ends import shown_ends
from sweep.driver.study_state import StudyState
from sweep.driver.trial import State, Trial


def next_trial(study: StudyState, *, parallel: bool) -> tuple[Trial | None, Outcome]:
    """The trial; without one, how the study ends once nothing runs or is parked. Replicates are
    made when all originals have ended."""
    trial, why = _next_original(study, parallel)
    if trial is None and not study.roster.count(State.RUNNING, State.PARKED):
        trial = _next_replicate(study)
    return trial, why


def note_outlook(study: StudyState) -> str | None:
    """A sentence, on record from now on, where further trials have become unlikely to help, or
    likely again."""
    found = study.outlook
    if found is None or not study.num_not_started:
        return None
    said, stops = last_said(study.ledger.read_notes()), study.loaded.study.pruning.stop
    text = messages.outlook(found, said, ends_the_study=stops)
    if text is not None:
        study.ledger.note(text)
    return text


def unrecorded(study: StudyState, *, parallel: bool) -> Asked | None:
    """The first trial that Optuna gave out and nobody wrote down."""
    ends = shown_ends(study)
    lost = study.optuna.unrecorded(set(study.trials), study.is_tried, parallel, ends)
    return next(lost, None)


def _next_original(study: StudyState, parallel: bool) -> tuple[Trial | None, Outcome]:
    roster = study.roster
    told = [trial for trial in roster.of(State.PARKED) if not trial.is_parked]
    if told:
        return min(told, key=lambda trial: trial.number), Outcome.DONE
    if study.has_begun_all:
        return None, Outcome.DONE
    waiting = roster.of(State.WAITING)
    if waiting:
        return min(waiting, key=lambda trial: trial.number), Outcome.DONE
    if study.is_stopped:
        return None, Outcome.STOPPED
    return _new_trial(study, parallel), Outcome.EXHAUSTED


def _new_trial(study: StudyState, parallel: bool) -> Trial | None:
    """The next configuration; None when the space has no more."""
    has_tried = False

    def ask() -> Asked | None:
        nonlocal has_tried
        is_again, has_tried = has_tried, True
        left = unrecorded(study, parallel=parallel) if is_again else None  # by a call that broke
        return left or study.optuna.ask(parallel, study.is_tried, shown_ends(study))

    asked, dropped = study.optuna.patience(ask), study.optuna.dropped
    said = list(dropped) if asked else [*dropped, EXHAUSTED]
    if said:
        known = study.ledger.read_notes()
        for text in (text for text in said if text not in known):
            study.ledger.note(text)
    dropped.clear()
    return None if asked is None else study.add(asked.number, asked.params, asked.recipe)


def _next_replicate(study: StudyState) -> Trial | None:
    """None: there is none to be started."""
    for number in wanted_numbers(study.roster.contenders, study.terms.goal, study.replicates):
        if number not in study.trials:
            row = study.trials[original_of(number)].row
            return study.add(number, row.params, row.recipe)
        if study.trials[number].state is State.WAITING:
            return study.trials[number]
    return None
