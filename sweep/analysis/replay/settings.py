"""The pruning settings that a replay is made with: those of a study file, where others are asked
for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from predictor.replay.policies import REPLAYED, WindowSetting
from predictor.types import Settings
from sweep.analysis.options import BadOption
from sweep.config.edit import SECTION
from sweep.config.errors import complaints
from sweep.config.pruning import Pruning
from sweep.config.yaml_text import override

KEYS = ("window", "min_steps", *REPLAYED)


def settings_given(texts: Sequence[str]) -> dict[str, Any]:
    """The settings in `texts`, each KEY=VALUE as after `--set`, by their keys."""
    given: dict[str, Any] = {}
    for text in texts:
        override(given, text.removeprefix(f"{SECTION}."))
    return given


def read_settings(given: Mapping[str, object]) -> tuple[Settings, WindowSetting]:
    """The settings, defaults but for those `given`, and the window, as recorded where neither of
    its keys is.

    BadOption for a key that no replay has, and for a value out of range.
    """
    for key in given:
        if key not in KEYS:
            known = ", ".join(KEYS)
            raise BadOption("settings", f" {key}: no setting of a replay; there are {known}", "set")
    try:
        pruning = Pruning.model_validate(dict(given))
    except ValidationError as error:
        path, problem = complaints(error, Pruning)[0]
        raise BadOption("settings", f" {path}: {problem}", "set") from None
    window = WindowSetting(
        pruning.window if "window" in given else None,
        pruning.min_steps if "min_steps" in given else None,
    )
    return pruning.settings(), window
