"""The product's own policy, in the mode that its settings name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from predictor.recorded.runs import RecordedStudy
from predictor.replay.looking import closes_of
from predictor.replay.policies import WindowSetting, ours
from predictor.replay.replay import Policy, Session
from predictor.replay.scouting import Scouting
from predictor.types import Settings


def product(settings: Settings, window: WindowSetting, name: str = "sft-sweep") -> Policy:
    """What `sweep run` would do under these settings, their seed replaced by the order's."""
    if settings.scouts:
        return ScoutingWhereEvaluated(name, settings, window)
    return ours(settings, window, name)


@dataclass(frozen=True, slots=True)
class ScoutingWhereEvaluated:
    """Scouting, its looks those at which a study's runs were evaluated when recorded."""

    name: str
    pruning: Settings
    window: WindowSetting = field(default_factory=WindowSetting)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What it was run with, as JSON values."""
        return {"mode": self.pruning.mode, **Scouting(self.pruning, self.window).settings}

    def begin(self, study: RecordedStudy, seed: int) -> Session:
        """A session on the study; `seed` is that of the audits."""
        horizon = min(run.horizon for run in study.runs)
        closes = closes_of(study, self.window, self.pruning.looks)
        looks = tuple(close / horizon for close in closes[1:])
        return Scouting(replace(self.pruning, looks=looks), self.window).begin(study, seed)
