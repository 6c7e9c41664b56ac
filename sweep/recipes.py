"""Published configurations, fitted into a study's space: they are tried first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.checks import searched_names
from sweep.entries import Space
from sweep.formats import parameter
from sweep.study import Study

# Both as trained in Pareja et al., arXiv 2412.13337: AdamW, betas (0.9, 0.95), no weight decay,
# gradients clipped at norm 1.
_BOTH: Mapping[str, Any] = {"weight_decay": 0.0, "beta1": 0.9, "beta2": 0.95, "clip": 1.0}

RECIPES: Mapping[str, Mapping[str, Any]] = {
    "lab": {  # LAB (arXiv 2403.01081), as in arXiv 2412.13337
        "learning_rate": 2e-5,  # on Granite; 1e-6 on Mistral
        "batch_size": 3840,  # "4k" samples per step
        "schedule": "constant",  # as good as cosine, there
        "warmup_ratio": 0.0,  # dropped there without harm
        **_BOTH,
    },
    "tulu": {  # TULU (arXiv 2306.04751), as in arXiv 2412.13337
        "learning_rate": 2e-5,
        "batch_size": 128,
        "schedule": "linear",  # decay to 0
        "warmup_ratio": 0.03,  # TULU's own
        **_BOTH,
    },
}

# How alike schedules are: neighbours on a line; cosine also ends at 0.
_SCHEDULE_AT = {"constant": 0.0, "cosine": 2.0, "linear": 3.0}


@dataclass(frozen=True, slots=True)
class FittedRecipe:
    name: str  # "lab", or "lab+tulu" where both became the same
    params: dict[str, Any]  # of what is searched; recipes say nothing of epochs and lora_rank
    moved: list[str]  # sentences: what lies outside the space, and what was taken for it


def fit_recipes(study: Study) -> list[FittedRecipe]:
    """The study's recipes, each value outside the space moved to the nearest allowed one.

    Two that became equal are one. Those that say nothing of what is searched are left out.
    """
    fitted: list[FittedRecipe] = []
    for name in dict.fromkeys(study.search.recipes):
        recipe = _fit(name, study.search.space)
        twin = next((each for each in fitted if each.params == recipe.params), None)
        if twin is not None:
            both = FittedRecipe(f"{twin.name}+{name}", twin.params, twin.moved + recipe.moved)
            fitted[fitted.index(twin)] = both
        elif recipe.params:
            fitted.append(recipe)
    return fitted


def _fit(name: str, space: Space) -> FittedRecipe:
    searched = searched_names(space)
    params: dict[str, Any] = {}
    moved: list[str] = []
    for key, value in RECIPES[name].items():
        taken = _nearest(space, key, value)
        if key in searched:
            params[key] = taken
        if taken != value:
            why = "is outside the space; the nearest is" if key in searched else "is fixed at"
            moved.append(f"{name}: {key} {parameter(value)} {why} {parameter(taken)}")
    return FittedRecipe(name, params, moved)


def _nearest(space: Space, key: str, value: Any) -> Any:
    """By the ratio for rates and batch sizes, else by the difference; of two, the smaller."""
    options = space.options(key)
    if options is None:
        entry = space.entry(key)
        return min(max(value, entry.low), entry.high)
    if value in options:
        return value

    def distance(option: Any) -> float:
        if key == "schedule":
            return abs(_SCHEDULE_AT[option] - _SCHEDULE_AT[value])
        if key in ("learning_rate", "batch_size"):
            return abs(math.log(option / value))
        return abs(option - value)

    return min(options, key=lambda option: (distance(option), option))
