"""Published configurations, fitted into a study's space: they are tried first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.config.checks import searched_names
from sweep.config.entries import Space
from sweep.config.errors import show
from sweep.config.study import Study
from sweep.formats import parameter

_PAREJA = "arXiv 2412.13337"
_TULU = "arXiv 2306.04751"


@dataclass(frozen=True, slots=True)
class Setting:
    """A key's value in a published configuration."""

    value: Any
    source: str  # the paper, and what it says beyond the value


ABOUT = (
    f"lab is LAB (arXiv 2403.01081), tulu is TULU ({_TULU}), both as Pareja et al. ({_PAREJA}) "
    "train them"
)
# Neither says a LoRA rank; whether phases are stacked is what the last of these papers compares.
RECIPES: Mapping[str, Mapping[str, Setting]] = {
    "lab": {
        "learning_rate": Setting(2e-5, f"{_PAREJA} (on Granite 3B and 7B, 1e-6 on Mistral 7B)"),
        "batch_size": Setting(3840, f"{_PAREJA} (7,680 tried as well)"),
        "schedule": Setting("constant", f"{_PAREJA} (as good as cosine)"),
        "warmup_ratio": Setting(0.0, f"{_PAREJA} (dropped without harm)"),
        "weight_decay": Setting(0.0, _PAREJA),
        "beta1": Setting(0.9, _PAREJA),
        "beta2": Setting(0.95, _PAREJA),
        "clip": Setting(1.0, _PAREJA),
        "epochs": Setting(13, f"{_PAREJA} (about 13, of 825,000 samples)"),
    },
    "tulu": {
        "learning_rate": Setting(2e-5, _PAREJA),
        "batch_size": Setting(128, _PAREJA),
        "schedule": Setting("linear", f"{_PAREJA} (decay to 0 after the warmup)"),
        "warmup_ratio": Setting(0.03, f"{_TULU} (TULU's own)"),
        "weight_decay": Setting(0.0, _PAREJA),
        "beta1": Setting(0.9, _PAREJA),
        "beta2": Setting(0.95, _PAREJA),
        "clip": Setting(1.0, _PAREJA),
        "epochs": Setting(3, f"{_PAREJA} (about 3)"),
    },
}

# How alike schedules are: neighbours on a line; cosine also ends at 0.
_SCHEDULE_AT = {"constant": 0.0, "cosine": 2.0, "linear": 3.0}


@dataclass(frozen=True, slots=True)
class FittedRecipe:
    """A recipe as a study asks for it."""

    name: str  # "lab", or "lab+tulu" where both became the same
    params: dict[str, Any]  # of what is searched, as far as the recipe says something of it
    moved: list[str]  # sentences: what lies outside the space, and what was taken for it


@dataclass(frozen=True, slots=True)
class Taken:
    """What a study makes of one of a recipe's values."""

    value: Any  # None: the study has no such hyperparameter
    is_searched: bool
    note: str = ""  # why it is another value


def fit_recipes(study: Study) -> list[FittedRecipe]:
    """The study's recipes, each value outside the space moved to the nearest allowed one.

    Two that became equal are one. Those that say nothing of what is searched are left out.
    """
    fitted: list[FittedRecipe] = []
    for name in dict.fromkeys(study.search.recipes):
        taken = {key: one for key, one in taken_for(name, study).items() if one.value is not None}
        params = {key: one.value for key, one in taken.items() if one.is_searched}
        moved = [f"{name}: {key} {one.note}" for key, one in taken.items() if one.note]
        twin = next((each for each in fitted if each.params == params), None)
        if twin is not None:
            both = FittedRecipe(f"{twin.name}+{name}", twin.params, twin.moved + moved)
            fitted[fitted.index(twin)] = both
        elif params:
            fitted.append(FittedRecipe(name, params, moved))
    return fitted


def taken_for(name: str, study: Study) -> dict[str, Taken]:
    """What the study makes of each of the recipe's values, whether it lists the recipe or not."""
    space = study.search.space
    searched = searched_names(space)
    return {
        key: _taken(key, setting.value, study, searched) for key, setting in RECIPES[name].items()
    }


def _taken(key: str, value: Any, study: Study, searched: Sequence[str]) -> Taken:
    if study.search.space.options(key) == ():
        budget = study.budget.model_dump(exclude_none=True) if study.budget else {}
        return Taken(None, False, f"the budget is {show(budget)}")
    nearest, is_searched = _nearest(study.search.space, key, value), key in searched
    if nearest == value:
        return Taken(nearest, is_searched)
    why = "is outside the space; the nearest is" if is_searched else "is fixed at"
    return Taken(nearest, is_searched, f"{parameter(value)} {why} {parameter(nearest)}")


def _nearest(space: Space, key: str, value: Any) -> Any:
    """By the ratio for rates, batch sizes and epochs, else by the difference; of two, the
    smaller."""
    options = space.options(key)
    if options is None:
        entry = space.entry(key)
        return min(max(value, entry.low), entry.high)
    if value in options:
        return value

    def distance(option: Any) -> float:
        if key == "schedule":
            return abs(_SCHEDULE_AT[option] - _SCHEDULE_AT[value])
        if key in ("learning_rate", "batch_size", "epochs"):
            return abs(math.log(option / value))
        return abs(option - value)

    return min(options, key=lambda option: (distance(option), option))
