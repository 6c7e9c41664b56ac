"""The recipes side by side, and what a study would make of them: `sweep recipes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.config.recipes import ABOUT, RECIPES, fit_recipes, taken_for
from sweep.config.study import Study
from sweep.documents import Json
from sweep.formats import MISSING, parameter


@dataclass(frozen=True, slots=True)
class RecipeSetting:
    """One hyperparameter of a recipe."""

    value: Json
    """the published value"""
    source: str
    """the paper, and what it says beyond the value"""


@dataclass(frozen=True, slots=True)
class TakenSetting(RecipeSetting):
    """One hyperparameter of a recipe, and what a study takes for it."""

    taken: Json
    """null where the study has no such hyperparameter"""
    searched: bool
    """whether the study searches it; else it is fixed"""
    note: str
    """why another value is taken; empty where none is"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A published configuration."""

    name: str
    """as search.recipes names it"""
    settings: Mapping[str, RecipeSetting]
    """by hyperparameter"""


@dataclass(frozen=True, slots=True)
class TakenRecipe(Recipe):
    """A published configuration, and what a study makes of it."""

    settings: Mapping[str, TakenSetting]
    """by hyperparameter"""
    listed: bool
    """search.recipes names it"""
    tried_as: str | None
    """the configuration that is tried for it, as lab or lab+tulu; null if none is"""


@dataclass(frozen=True, slots=True)
class RecipesReport:
    """All recipes: `sweep recipes [STUDY] --json`."""

    study: str | None
    """the study that they are fitted to; null if none was named"""
    about: str
    """where the recipes come from"""
    recipes: tuple[Recipe, ...]
    """with a study `TakenRecipe`s"""

    @property
    def taken(self) -> Sequence[TakenRecipe]:
        """The recipes with what the study makes of them; none without a study."""
        return [recipe for recipe in self.recipes if isinstance(recipe, TakenRecipe)]


def recipes_report(study: Study | None) -> RecipesReport:
    """The published recipes, and with a study what it would make of them."""
    if study is None:
        recipes = (
            Recipe(name, {key: RecipeSetting(one.value, one.source) for key, one in given.items()})
            for name, given in RECIPES.items()
        )
        return RecipesReport(None, ABOUT, tuple(recipes))
    return RecipesReport(study.name, ABOUT, tuple(_taken(name, study) for name in RECIPES))


def _taken(name: str, study: Study) -> TakenRecipe:
    given = RECIPES[name]
    settings = {
        key: TakenSetting(
            given[key].value, given[key].source, taken.value, taken.is_searched, taken.note
        )
        for key, taken in taken_for(name, study).items()
    }
    fitted = (recipe.name for recipe in fit_recipes(study))
    tried_as = next((each for each in fitted if name in each.split("+")), None)
    return TakenRecipe(name, settings, name in study.search.recipes, tried_as)


def source_rows(recipes: Sequence[Recipe]) -> list[list[str]]:
    """Rows of (hyperparameter, the value of each recipe, sources)."""
    rows: list[list[str]] = []
    for key in _keys(recipes):
        values = [parameter(recipe.settings[key].value) for recipe in recipes]
        sources = {recipe.name: recipe.settings[key].source for recipe in recipes}
        rows.append([key, *values, _each(sources)])
    return rows


def taken_rows(recipes: Sequence[TakenRecipe]) -> list[list[str]]:
    """Rows of (hyperparameter, what is taken for each recipe's, searched or fixed, notes)."""
    rows: list[list[str]] = []
    for key in _keys(recipes):
        settings = [recipe.settings[key] for recipe in recipes]
        values = [MISSING if one.taken is None else parameter(one.taken) for one in settings]
        kind = "searched" if settings[0].searched else "fixed"
        if settings[0].taken is None:
            kind = MISSING
        notes = {recipe.name: recipe.settings[key].note for recipe in recipes}
        rows.append([key, *values, kind, _each(notes)])
    return rows


def outcome_lines(recipes: Sequence[TakenRecipe]) -> list[str]:
    """What is tried of them."""
    lines: list[str] = []
    for name in dict.fromkeys(one.tried_as for one in recipes if one.tried_as):
        both = name.split("+")
        if len(both) > 1:
            lines.append(f"{' and '.join(both)} become one configuration: it is tried once, first")
        else:
            lines.append(f"{name} is tried before any configuration is drawn")
    for one in recipes:
        if one.tried_as is None:
            why = (
                "it says nothing of what is searched"
                if one.listed
                else "search.recipes does not list it"
            )
            lines.append(f"{one.name} is not tried: {why}")
    return lines


def _keys(recipes: Sequence[Recipe]) -> list[str]:
    return list(dict.fromkeys(key for recipe in recipes for key in recipe.settings))


def _each(texts: Mapping[str, str]) -> str:
    """What is the same of all recipes once, else each with its recipe's name."""
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{name}: {text}" for name, text in texts.items() if text)
