"""An Optuna pruner that asks the gap model; all that it knows lies in the storage."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from optuna import Study
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from predictor.adapters.overtake import judge_by_gaps
from predictor.adapters.stored import GUARD, SHARE, VERDICT, WINDOW, cohort_trial, verdict_json
from predictor.judge import GAP_VERSION
from predictor.types import SCOUTING, CohortTrial, Settings

# The study's user attributes: where the window ends, and the settings that it was begun with.
STUDY_WINDOW = "early_dynamics:study_window"
STUDY_SETTINGS = "early_dynamics:study_settings"

FIRST_SHARE = 0.1  # of a trial whose callback did not say: one of an earlier version


class EarlyDynamicsPruner(BasePruner):
    """Prunes a trial at its early window if it is unlikely to beat the best; see adapters.overtake.

    `window`: a share of the training samples of the study's first trial, or, better where budgets
    or batch sizes differ, a number of samples (an int; at least 8 steps of the largest batch). All
    trials of a study have the same, as their signals are compared. `settings`: those of
    `predictor.types.Settings` by name, as risk=0.1; their seed is the study's name. The audit's
    coin is tossed by that and the trial's number; a study without a name gets another name, and
    other audits, in every run.
    A trial without an EarlyDynamicsCallback that reached its window's end is never pruned. Asked
    once per trial: the first verdict is stored and holds. Settings are stored with every verdict
    and, as they were at first, with the study; going on with others is warned of once. Studies with
    several objectives and other pruners around this one are not supported. Raises ValueError for
    settings out of range.
    """

    def __init__(self, window: float = 0.1, **settings: float) -> None:
        if not (0 < window < 1 or (isinstance(window, int) and window >= 1)):
            raise ValueError(
                f"window is {window!r}; it is a share of the training between 0 and 1, or an int: "
                "a number of samples"
            )
        self.window = window
        self._has_warned = False
        if scouting := [name for name in SCOUTING if name in settings]:
            raise ValueError(
                f"{', '.join(scouting)}: no settings of a pruner, which judges trials one by one; "
                "`sweep run` alone can park trials"
            )
        if "prior_strength" in settings:
            raise ValueError(
                "prior_strength: no setting of a pruner any more: the gap model judges, by what "
                "past studies showed; take it out"
            )
        self._settings = replace(Settings.checked(settings), mode="stream")

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the verdict on the trial is to prune it. Optuna asks through `should_prune`."""
        refuse_several_objectives(study)
        trials = study.get_trials(deepcopy=False)
        # Among them as `trial` is a copy made before this process wrote its attributes.
        own = next(t for t in trials if t.number == trial.number)
        for key in (GUARD, VERDICT):
            if key in own.user_attrs:
                if own.user_attrs[key]["action"] == "prune":
                    return True
                if key == VERDICT:
                    return False
        if WINDOW not in own.user_attrs:
            return False
        sign = objective_sign(study)
        settings = self.settings(study)
        cohort = [in_cohort(t, sign) for t in trials]
        share = own.user_attrs.get(SHARE, FIRST_SHARE)
        verdict = judge_by_gaps(in_cohort(own, sign), cohort, settings, share)
        # As Optuna's SuccessiveHalvingPruner does: a pruner has no public way to write.
        study._storage.set_trial_user_attr(  # pyright: ignore[reportPrivateUsage]
            trial._trial_id,  # pyright: ignore[reportPrivateUsage]
            VERDICT,
            verdict_json(verdict, settings),
        )
        return verdict.action == "prune"

    def settings(self, study: Study) -> Settings:
        """The settings with the seed of the study's audits, the same in every process."""
        digest = hashlib.sha256(study.study_name.encode()).digest()
        return replace(self._settings, seed=int.from_bytes(digest[:6], "big"))

    def remember(self, study: Study) -> None:
        """The settings are stored with the study; warns, once, if it was begun with others."""
        now = {
            "predictor": GAP_VERSION,
            "window": self.window,
            "settings": self.settings(study).to_json(),
        }
        if STUDY_SETTINGS not in study.user_attrs:
            study.set_user_attr(STUDY_SETTINGS, now)
        changes = _changes(study.user_attrs[STUDY_SETTINGS], now)
        if changes and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"the study {study.study_name!r} goes on under other settings than it was begun "
                f"with: {', '.join(changes)}; every verdict is stored with its own",
                stacklevel=2,
            )

    def window_samples(self, study: Study, planned_samples: int) -> int:
        """The samples after which the window of every trial of the study ends; a share is fixed by
        the first.

        Raises ValueError if the study was begun with another share. Two trials with different plans
        that begin a study in the same instant may differ: they are then not compared.
        """
        if isinstance(self.window, int):
            return self.window
        if STUDY_WINDOW not in study.user_attrs:
            samples = max(1, math.ceil(round(self.window * planned_samples, 6)))
            study.set_user_attr(STUDY_WINDOW, {"window": self.window, "samples": samples})
        begun = study.user_attrs[STUDY_WINDOW]
        if begun["window"] != self.window:
            raise ValueError(
                f"the study {study.study_name!r} was begun with window={begun['window']!r}, which "
                f"is {begun['samples']} samples, and now has window={self.window!r}: trials are "
                "compared at one window, so give it the first, or begin another study"
            )
        return int(begun["samples"])


def in_cohort(trial: FrozenTrial, sign: int) -> CohortTrial:
    """An Optuna trial as the predictor sees it; `sign` turns values so that lower is better."""
    value = trial.value if trial.state is TrialState.COMPLETE else None
    objective = None if value is None else sign * value
    return cohort_trial(trial.number, trial.params, trial.user_attrs, objective)


def objective_sign(study: Study) -> int:
    """1 where lower is better, -1 where higher is."""
    return 1 if study.direction is StudyDirection.MINIMIZE else -1


def refuse_several_objectives(study: Study) -> None:
    """Raises ValueError for a study with more than one objective."""
    if len(study.directions) > 1:
        raise ValueError(
            f"the study {study.study_name!r} has {len(study.directions)} objectives; "
            "EarlyDynamicsPruner predicts one"
        )


def _changes(begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """As in: risk was 0.1, is 0.2."""
    old, new = ({**stored, **stored["settings"]} for stored in (begun, now))
    names = [name for name in (old | new) if name != "settings" and old.get(name) != new.get(name)]
    return [f"{name} was {old.get(name)!r}, is {new.get(name)!r}" for name in names]
