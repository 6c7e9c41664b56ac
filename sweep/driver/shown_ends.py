"""What a sampler is shown of trials while a study scouts: it learns nothing from a parked one.

So it draws on a shadow of the study (`shadow.py`), made anew for each trial from what is on record,
in which every trial that was looked at has ended as the gap model expects. Optuna's own study holds
only what is true.
"""

from __future__ import annotations

from collections.abc import Mapping

from predictor.gap.ends import expected_ends
from predictor.gap.feasible import expected_slacks
from predictor.types import CohortTrial
from sweep.account.objective import ended_with
from sweep.account.scouting import scouted
from sweep.driver.sampling import LEARNING
from sweep.driver.scouting import guarded
from sweep.driver.shadow import End, Ends
from sweep.driver.study_state import StudyState
from sweep.storage.states import State


def shown_ends(study: StudyState) -> Ends | None:
    """Of each trial that was looked at or has finished its known or expected end, and by how much
    it breaks constraints there; what a guard ended is the worst of all. Lower is better; the scale
    is `predictor.gap.ends`'.

    None where the sampler is to draw on what is true: nothing was scouted, or it does not learn.
    """
    if not study.settings.scouts or study.loaded.study.search.sampler not in LEARNING:
        return None
    trials, goal = study.roster.of(*State), study.terms.goal
    ended = guarded(trials)
    found = scouted([trial.row for trial in trials], goal, ended)
    if not found.trials:
        return None
    alike = {trial.number for trial in found.trials}
    finished = [  # before the study was scouted, or with another window
        CohortTrial(
            trial.number,
            trial.row.params,
            None,
            ended_with(trial.row, goal.metric),
            slacks=goal.slacks(trial.row),
        )
        for trial in trials
        if trial.state is State.COMPLETED and trial.number not in alike
    ]
    own = [*found.trials, *finished]
    ends = expected_ends(own, found.shares, study.gap_prior)
    slacks = expected_slacks(own) if goal.limits else {}
    shown = {number: End(end, _broken(slacks.get(number, {}))) for number, end in ends.items()}
    worst = 1 + max(ends.values(), default=0.0)
    most = 1 + max((by for one in shown.values() for by in one.broken.values()), default=0.0)
    last = End(worst, {limit.metric: most for limit in goal.limits})
    return {**shown, **dict.fromkeys(ended, last)}


def _broken(slacks: Mapping[str, float]) -> dict[str, float]:
    return {metric: -slack for metric, slack in slacks.items()}
