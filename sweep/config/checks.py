"""What is wrong with a study beyond its single keys: keys that do not go together, or not yet."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sweep.config.entries import Space
from sweep.config.errors import Problem
from sweep.config.limits import LARGEST_SEED
from sweep.config.objective import Objective
from sweep.config.pruning import Pruning
from sweep.config.study import Budget, Data, Model, Run, Search
from trainer.contract.metrics import MT_BENCH, kind_of

PARAMS = (  # the space's keys that a trial gets, in the order of every list of params
    "learning_rate",
    "batch_size",
    "schedule",
    "warmup_ratio",
    "weight_decay",
    "beta1",
    "beta2",
    "clip",
    "strategy",
    "epochs",
    "lora_rank",
)


@dataclass(frozen=True, slots=True)
class Sections:
    """The sections that are right by themselves; None is one that is not."""

    model: Model | None
    data: Data | None
    search: Search | None
    objective: Objective | None
    pruning: Pruning | None
    run: Run | None
    budget: Budget | None


def searched_names(space: Space) -> list[str]:
    """The keys with more than one value, in the order of PARAMS."""
    options = {name: space.options(name) for name in PARAMS}
    return [name for name, values in options.items() if values is None or len(values) > 1]


def num_points(space: Space) -> int | None:
    """How many configurations the space holds; None where a range makes them countless."""
    options = [space.options(name) for name in searched_names(space)]
    if any(each is None for each in options):
        return None
    return math.prod(len(each) for each in options if each is not None)


def disagreements(sections: Sections, document: Mapping[str, Any]) -> Iterator[Problem]:
    """The keys that are right by themselves and do not go together, with a sentence on each."""
    if sections.search is not None:
        yield from _space(sections.search, sections.model)
        if sections.data is not None:
            yield from _phases(sections.search, sections.data)
    if sections.model is not None and sections.run is not None:
        yield from _processes(sections.model, sections.run, sections.search)
    pruning = sections.pruning
    if sections.run is not None:
        yield from _confirm(sections.run)
        if sections.run.trials == "auto":
            yield from _auto(sections.run, pruning)
    if pruning is not None and pruning.history and _weighs_nothing(pruning):
        yield "pruning.history", "tells nothing with pruning.prior_strength 0; take one of them out"
    has_budget = document.get("budget") is not None
    has_epochs = lookup(document, "search.space.epochs") is not None
    if not has_budget and not has_epochs:
        yield "budget", "missing; give {samples: N} or {epochs: N} (or search.space.epochs)"
    if has_budget and has_epochs:
        yield "budget", "must be absent where search.space.epochs is given; take one of them out"
    if sections.data is not None and sections.objective is not None:
        yield from _objective(sections.objective, sections.data)
    has_final = sections.objective is not None and sections.objective.final
    if has_final and sections.run is not None and sections.run.keep == "none":
        yield (
            "run.keep",
            "none keeps no weights, and objective.final is measured of kept ones: best will do",
        )


def _weighs_nothing(pruning: Pruning) -> bool:
    settings = pruning.settings()
    return settings.prior_strength == 0 and not settings.scouts


def _space(search: Search, model: Model | None) -> Iterator[Problem]:
    space = search.space
    names = searched_names(space)
    if not names:
        yield (
            "search.space",
            "nothing to search; give at least one key a range {low, high} or {choices: [...]}",
        )
    if search.sampler == "cmaes" and importlib.util.find_spec("cmaes") is None:
        yield "search.sampler", "cmaes needs a package: pip install 'sft-sweep[cmaes]'"
    if search.sampler == "grid":
        for name in names:
            if space.options(name) is None:
                yield (
                    f"search.space.{name}",
                    "a range has no grid; list its points as {choices: [...]} "
                    "or take search.sampler tpe, random or qmc",
                )
    if space.lora_rank is not None and model is not None and model.tuning != "lora":
        yield "search.space.lora_rank", "goes only with model.tuning lora"


def _phases(search: Search, data: Data) -> Iterator[Problem]:
    is_phased = "phased" in (search.space.options("strategy") or ())
    if is_phased and not data.phases:
        yield (
            "search.space.strategy",
            "phased needs data.phases, a list of files in place of data.train",
        )
    if not is_phased:
        for key, is_given in (
            ("replay", data.replay > 0),
            ("reset_optimizer", data.reset_optimizer),
        ):
            if is_given:
                yield f"data.{key}", "goes only with data.phases and search.space.strategy phased"


def _processes(model: Model, run: Run, search: Search | None) -> Iterator[Problem]:
    num = run.processes_per_trial
    if num == 1:
        if model.parallel != "none":
            yield (
                "model.parallel",
                f"{model.parallel} needs run.processes_per_trial of 2 or more; with one process "
                "it is none",
            )
        return
    if model.parallel == "none":
        yield "run.processes_per_trial", f"{num} processes need model.parallel ddp or fsdp"
    sizes = (search.space.options("batch_size") if search else None) or ()
    uneven = [size for size in sizes if size % num]
    if uneven:
        each = ", ".join(
            f"{size} (the nearest that would do is {_nearest(size, num)})" for size in uneven
        )
        yield (
            "search.space.batch_size",
            f"each of the {num} processes of a trial takes the same share of a batch, which does "
            f"not go for {each}",
        )


def _confirm(run: Run) -> Iterator[Problem]:
    if run.trials != "auto" and run.confirm.top > run.trials:
        yield (
            "run.confirm.top",
            f"{run.confirm.top} trials cannot be confirmed where run.trials is {run.trials}; give "
            f"{run.trials} or fewer",
        )
    if run.confirm.top and run.seed + run.confirm.seeds > LARGEST_SEED:
        yield (
            "run.seed",
            f"must be at most {LARGEST_SEED - run.confirm.seeds}, as run.confirm adds up to "
            f"{run.confirm.seeds} to it",
        )


def _auto(run: Run, pruning: Pruning | None) -> Iterator[Problem]:
    if run.max_hours is None:
        yield (
            "run.trials",
            "auto needs run.max_hours, which it plans for: give both, or how many trials there are",
        )
    if pruning is not None and not pruning.settings().scouts:
        yield (
            "run.trials",
            "auto counts the scouts that run.max_hours has room for: it goes only with "
            "pruning.mode scout and pruning.enabled",
        )


def _nearest(size: int, num: int) -> int:
    """The multiple of `num` nearest to `size`; of two, the larger."""
    below = size - size % num
    return below if below and size - below < below + num - size else below + num


def _objective(objective: Objective, data: Data) -> Iterator[Problem]:
    metrics = (*objective.metrics, *objective.final)
    kinds = {kind_of(metric) for metric in metrics}
    rows = objective.data or data.eval
    if "loss" in kinds and data.eval is None:
        yield "data.eval", "missing; eval_loss is measured on it: give a file or a Hub id"
    if "choices" in kinds and rows is None:
        yield (
            "objective.data",
            "missing; choice_accuracy is measured on it (or on data.eval): give a file or a Hub id",
        )
    if "own" in kinds and rows is None:
        yield (
            "objective.data",
            "missing; a function of your own is called with its rows (or data.eval's): give a file "
            "or a Hub id",
        )
    if not kinds & {"choices", "own"} and objective.data is not None:
        yield (
            "objective.data",
            "is read by choice_accuracy and functions of your own alone; eval_loss is measured on "
            "data.eval, and lm_eval brings its questions (of your own: objective.tasks)",
        )
    yield from _benchmarks(objective, has_tasks="harness" in kinds)


def _benchmarks(objective: Objective, *, has_tasks: bool) -> Iterator[Problem]:
    if has_tasks and importlib.util.find_spec("lm_eval") is None:
        yield "objective.metric", "lm_eval needs a package: pip install 'sft-sweep[benchmarks]'"
    if not has_tasks:
        for key in ("tasks", "fewshot"):
            if getattr(objective, key):
                yield f"objective.{key}", "goes only with a metric lm_eval:TASK; take it out"
    if MT_BENCH in objective.final and objective.judge is None:
        yield "objective.judge", "missing; mt_bench needs {base_url: ..., model: ...}"
    for i, metric in enumerate(objective.final):
        if metric in (*objective.metrics, *objective.final[:i]):
            yield f"objective.final[{i}]", f"{metric} is measured anyway; take it out"
    held = [one.metric for one in objective.constraints]
    for i, metric in enumerate(held):
        if metric in held[:i]:
            yield f"objective.constraints[{i}].metric", f"{metric} is constrained above already"


def lookup(document: Mapping[str, Any], path: str) -> Any:
    """The value at a key path; None where there is none."""
    value: Any = document
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, Any]", value).get(key)
    return value


def leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The key path and value of everything that is not a mapping itself."""
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(cast("Mapping[str, Any]", value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
