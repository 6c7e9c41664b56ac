"""The search space to Optuna: distributions, draws and samplers."""

from __future__ import annotations

import hashlib
import itertools
import random
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler

from sweep.config.checks import PARAMS, searched_names
from sweep.config.study import Study
from sweep.driver.cma_es import ReplayedCmaEs
from sweep.driver.optuna_private import QuickTPE

LEARNING = frozenset({"tpe", "cmaes"})  # samplers that draw by how trials ended


def searched(study: Study) -> list[str]:
    """The names of what is searched; Optuna's parameters have the same."""
    return searched_names(study.search.space)


def distributions(study: Study) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each searched parameter, by name. A range of batch sizes is a choice
    of its powers of two."""
    found: dict[str, BaseDistribution] = {}
    space = study.search.space
    for name in searched(study):
        entry, options = space.entry(name), space.options(name)
        if options is not None:
            found[name] = CategoricalDistribution(options)
        elif name in ("epochs", "lora_rank"):
            found[name] = IntDistribution(entry.low, entry.high, log=entry.log)
        else:
            found[name] = FloatDistribution(entry.low, entry.high, log=entry.log)
    return found


def suggest(trial: optuna.trial.BaseTrial, study: Study) -> dict[str, Any]:
    """All params of a trial, drawn and fixed; `lora_rank`, `epochs` and `strategy` (of phases)
    where the study has them."""
    drawn = distributions(study).items()
    return params_at(study, {name: _draw(trial, name, kind) for name, kind in drawn})


def params_at(study: Study, point: Mapping[str, Any]) -> dict[str, Any]:
    """All params of a trial, as `suggest`, from the values of what is searched."""
    params: dict[str, Any] = {}
    for name in PARAMS:
        if name in point:
            params[name] = point[name]
        elif fixed := study.search.space.options(name):
            params[name] = fixed[0]
    if not study.data.phases:
        params.pop("strategy")
    if study.model.tuning == "lora":
        params.setdefault("lora_rank", study.model.lora.rank)
    return params


def _draw(trial: optuna.trial.BaseTrial, name: str, kind: BaseDistribution) -> Any:
    match kind:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, kind.choices)
        case IntDistribution():
            return trial.suggest_int(name, kind.low, kind.high, log=kind.log)
        case FloatDistribution():
            return trial.suggest_float(name, kind.low, kind.high, log=kind.log)
        case _:
            raise AssertionError(kind)


def grid_points(study: Study) -> list[dict[str, Any]]:
    """Every combination of what is searched, in an order given by the study's seed."""
    names = searched(study)
    axes = [study.search.space.options(name) for name in names]
    points = [
        dict(zip(names, values, strict=True))
        for values in itertools.product(*(axis for axis in axes if axis is not None))
    ]
    random.Random(study.run.seed).shuffle(points)
    return points


def draw_seed(study: Study, number: int, draw: int) -> int:
    """A seed of 32 bits from the study's seed, the trial's number and the draw."""
    text = f"{study.run.seed}:{number}" + (f":{draw}" if draw else "")
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def make_sampler(study: Study, number: int, parallel: bool, draw: int = 0) -> BaseSampler:
    """The sampler for trial `number`; one is made for each, so that a restart changes no draw.

    `draw` counts from 0 where what it drew before had been tried.

    A sampler made once with a fixed seed would repeat its first draws after every restart. QMC is
    one sequence over all trials (Optuna keeps its place in the study), so its seed is the study's.
    A grid's points come one after the other (untried.py); RandomSampler is never asked.
    """
    seed = draw_seed(study, number, draw)
    # random draws for the first third of a small study; Optuna's 10 would be most of it
    trials = study.run.trials
    startup = 10 if trials == "auto" else min(10, max(5, trials // 3))
    match study.search.sampler:
        case "cmaes":
            return ReplayedCmaEs(distributions(study), seed, startup)
        case "tpe":
            return QuickTPE(
                distributions(study),
                seed=seed,
                n_startup_trials=startup,
                constant_liar=parallel,
            )
        case "qmc":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return QMCSampler(
                    seed=study.run.seed, scramble=True, warn_independent_sampling=False
                )
        case "random" | "grid":
            return RandomSampler(seed=seed)
