"""The section `pruning` of a study file: the predictor's settings, and what the driver adds."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, get_type_hints

from pydantic import BeforeValidator, Field, create_model

from predictor.types import Settings
from sweep.config.entries import Count, Part, whole
from sweep.config.kinds import AutoOrCount0, Shares, Texts


class _Window(Part):
    window: Annotated[float, Field(gt=0, le=0.25)] = 0.1
    """share of the smallest budget that the early window takes"""
    min_steps: Count = 8
    """fewest optimizer steps in the window"""


_KINDS = {int: Annotated[int, BeforeValidator(whole)], tuple[float, ...]: Shares}


def _settings_keys() -> dict[str, Any]:
    """The predictor's settings as fields of a section; its seed is run.seed."""
    types = get_type_hints(Settings)
    return {
        one.name: (
            _KINDS.get(types[one.name], types[one.name]),
            Field(default=one.default, **one.metadata),
        )
        for one in fields(Settings)
        if one.name != "seed"
    }


_NAMES = tuple(_settings_keys())
_Settings = create_model("_Settings", __base__=_Window, **_settings_keys())


class Pruning(_Settings):
    """When a trial is stopped early; the keys from enabled to looks are those of the predictor.

    They are defined in `predictor.types.Settings`.
    """

    early_eval: AutoOrCount0 = "auto"
    """rows or questions that each metric is measured on at a look, the window's first; 0: none;
    auto: as many as cost 3 % of a trial's training compute, all its looks together; at least 16"""
    history: Texts = ()
    """past studies, exports or recorded sets whose finished trials add to what is expected, or with
    mode stream replace the paper's direction"""
    stop: bool = False
    """start no further trial when it is unlikely to help: P0 is below the risk"""

    def settings(self, seed: int = 0) -> Settings:
        """The predictor's part, with the study's seed for its audits."""
        return Settings(seed=seed, **{name: getattr(self, name) for name in _NAMES})
