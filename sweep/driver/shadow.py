"""The study as a sampler is shown it while trials are scouted: with the ends that are expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial


class End(NamedTuple):
    """How a trial ended, or is expected to."""

    value: float  # lower is better
    broken: Mapping[str, float] = {}  # by how much it breaks each constraint; 0 or less: it holds


Ends = Mapping[int, End]  # by trial


def shadow_study(study: optuna.Study, ends: Ends) -> optuna.Study:
    """A study in memory, to be minimized, with the same trials under the same numbers: those in
    `ends` completed with that value, the others as they are, but for ends that do not compare.

    Only what is to be drawn on: no attributes and no evaluations.
    """
    shadow = optuna.create_study()
    shadow.add_trials([_as_expected(one, ends) for one in study.get_trials(deepcopy=False)])
    return shadow


def _as_expected(trial: FrozenTrial, ends: Ends) -> FrozenTrial:
    end, state = ends.get(trial.number), trial.state
    if end is not None:
        state = TrialState.COMPLETE
    elif state.is_finished():
        state = TrialState.FAIL  # tells a sampler nothing
    return create_trial(
        state=state,
        value=None if end is None else end.value,
        params=trial.params,
        distributions=trial.distributions,
        constraints=None if end is None else dict(end.broken),
    )
