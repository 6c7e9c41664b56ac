"""The recipes side by side, and what a study would make of them: `sweep recipes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.config.recipes import ABOUT, RECIPES, fit_recipes, taken_for
from sweep.config.study import Study
from sweep.formats import MISSING, parameter


def recipes_document(study: Study | None) -> dict[str, Any]:
    """JSON values. `taken`, `searched`, `note` and `tried_as` are there only with a study."""
    recipes: list[dict[str, Any]] = []
    for name, settings in RECIPES.items():
        shown: dict[str, dict[str, Any]] = {
            key: {"value": one.value, "source": one.source} for key, one in settings.items()
        }
        recipe: dict[str, Any] = {"name": name, "settings": shown}
        if study is not None:
            for key, taken in taken_for(name, study).items():
                shown[key] |= {
                    "taken": taken.value,
                    "searched": taken.is_searched,
                    "note": taken.note,
                }
            recipe |= {"listed": name in study.search.recipes, "tried_as": _tried_as(name, study)}
        recipes.append(recipe)
    name = None if study is None else study.name
    return {"study": name, "about": ABOUT, "recipes": recipes}


def _tried_as(name: str, study: Study) -> str | None:
    fitted = (recipe.name for recipe in fit_recipes(study))
    return next((each for each in fitted if name in each.split("+")), None)


def source_rows(recipes: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """(hyperparameter, the value of each recipe, sources)"""
    return [
        [
            key,
            *(parameter(one["settings"][key]["value"]) for one in recipes),
            _each(recipes, key, "source"),
        ]
        for key in _keys(recipes)
    ]


def taken_rows(recipes: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """(hyperparameter, what is taken for each recipe's, searched or fixed, notes)"""
    rows: list[list[str]] = []
    for key in _keys(recipes):
        settings = [one["settings"][key] for one in recipes]
        values = [
            MISSING if setting["taken"] is None else parameter(setting["taken"])
            for setting in settings
        ]
        kind = "searched" if settings[0]["searched"] else "fixed"
        if settings[0]["taken"] is None:
            kind = MISSING
        rows.append([key, *values, kind, _each(recipes, key, "note")])
    return rows


def outcome_lines(recipes: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is tried of them."""
    lines: list[str] = []
    for name in dict.fromkeys(one["tried_as"] for one in recipes if one["tried_as"]):
        both = name.split("+")
        if len(both) > 1:
            lines.append(f"{' and '.join(both)} become one configuration: it is tried once, first")
        else:
            lines.append(f"{name} is tried before any configuration is drawn")
    for one in recipes:
        if one["tried_as"] is None:
            why = (
                "it says nothing of what is searched"
                if one["listed"]
                else "search.recipes does not list it"
            )
            lines.append(f"{one['name']} is not tried: {why}")
    return lines


def _keys(recipes: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for one in recipes for key in one["settings"]))


def _each(recipes: Sequence[Mapping[str, Any]], key: str, part: str) -> str:
    """What is the same of all once, else each with its recipe's name."""
    texts = {one["name"]: one["settings"][key][part] for one in recipes}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{name}: {text}" for name, text in texts.items() if text)
