"""What a sampler is shown of trials while a study scouts: it learns nothing from a parked one.

So it draws on a shadow of the study (`shadow.py`), made anew for each trial from what is on record,
in which every trial that was looked at has ended as the gap model expects. Optuna's own study holds
only what is true.
"""

from __future__ import annotations

from predictor.gap.ends import expected_ends
from predictor.types import CohortTrial
from sweep.account.objective import ended_with
from sweep.account.scouting import scouted
from sweep.driver.sampling import LEARNING
from sweep.driver.scouting import guarded
from sweep.driver.shadow import Ends
from sweep.driver.study_state import StudyState
from sweep.storage.states import State


def shown_ends(study: StudyState) -> Ends | None:
    """Of each trial that was looked at or has finished its known or expected end; what a guard
    ended is the worst of all. Lower is better; the scale is `predictor.gap.ends`'.

    None where the sampler is to draw on what is true: nothing was scouted, or it does not learn.
    """
    if not study.settings.scouts or study.loaded.study.search.sampler not in LEARNING:
        return None
    trials, metric = study.roster.of(*State), study.metric
    ended = guarded(trials)
    found = scouted([trial.row for trial in trials], metric, ended)
    if not found.trials:
        return None
    alike = {trial.number for trial in found.trials}
    finished = [  # before the study was scouted, or with another window
        CohortTrial(trial.number, trial.row.params, None, ended_with(trial.row, metric))
        for trial in trials
        if trial.state is State.COMPLETED and trial.number not in alike
    ]
    ends = expected_ends([*found.trials, *finished], found.shares, study.gap_prior)
    worst = 1 + max(ends.values(), default=0.0)
    return {**ends, **dict.fromkeys(ended, worst)}
