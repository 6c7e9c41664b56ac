"""A study taken up where the storage says it stands, after whatever ended the session before."""

from __future__ import annotations

from predictor.types import Verdict
from sweep.account.compute import usage_of
from sweep.account.odd_rows import odd_rows
from sweep.driver.best_model import has_folders
from sweep.driver.next_trial import unrecorded
from sweep.driver.study_state import StudyState
from sweep.driver.trial import SETTLED, State, Trial, has_tries_left
from sweep.storage.ledger import BASE, Cost


def recover(study: StudyState, *, parallel: bool = False) -> list[str]:
    """Sentences: what is odd in the storage, and who is tried again.

    Trials are read, Optuna and the models are brought in line. Safe to be killed in.
    """
    ledger = study.ledger
    verdicts = ledger.read_verdicts()
    costs: dict[int, dict[tuple[int, str], Cost]] = {}
    for cost in ledger.read_costs():
        costs.setdefault(cost.trial, {})[(cost.attempt, cost.what)] = cost
    study.base_flops = usage_of(costs.get(BASE, {}).values()).flops
    rows = ledger.read_trials()
    for row in rows:
        spec = study.specs.of(row.number, row.params)
        own = verdicts.get(row.number, {}), costs.get(row.number, {})
        trial = Trial(row, spec, verdicts=own[0], costs=own[1])
        study.take(trial)
        if trial.state is State.RUNNING:
            study.put_back(trial)
        if trial.state is State.PARKED and not study.settings.scouts:
            _unpark(study, trial)
    again = _bring_back(study)
    patience = study.optuna.patience
    while (asked := patience(lambda: unrecorded(study, parallel=parallel))) is not None:
        study.add(asked.number, asked.params, asked.recipe)
    for trial in study.trials.values():
        if trial.state in SETTLED:
            study.tell(trial)
        elif trial.pruned_by is not None:
            study.record(trial, State.PRUNED)
            study.tell(trial)
        elif trial.state is not State.PARKED:
            trial.observations = ledger.read_observations(trial.number)
    settled = (trial for trial in study.trials.values() if trial.state in SETTLED)
    study.settle_models([one for one in settled if has_folders(study.paths.trial(one.number))])
    return [*odd_rows(rows, study.metric, [*verdicts, *costs]), *again]


def _unpark(study: StudyState, trial: Trial) -> None:
    """It waits to go on, and is told so at its look: nothing is parked in this study any more."""
    verdict = Verdict("continue", "none", "goes on to its end: trials are not scouted any more")
    study.decided(trial, trial.last_moment, trial.look_step, verdict)
    study.put_back(trial)


def _bring_back(study: StudyState) -> list[str]:
    """Failed trials that may be tried more often now; Optuna hears of them and of those that
    `sweep retry` asked for."""
    retries, said = study.loaded.study.run.retries, list[str]()
    for trial in study.trials.values():
        if trial.state is State.FAILED and has_tries_left(trial.row, retries):
            study.put_back(trial)
            failed = f"trial {trial.number} is tried again: run.retries is {retries} now"
            said.append(f"{failed}, and it failed {trial.row.failures} times")
    under_way = study.roster.of(State.WAITING, State.RUNNING)
    study.optuna.untell([trial.number for trial in under_way])
    return said
