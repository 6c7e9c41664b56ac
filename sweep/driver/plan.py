"""What a study would do and need, before it is made: `sweep run --dry-run`. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sweep.account.early_eval import early_questions, early_share, early_size, early_tokens
from sweep.account.flops import eval_flops, eval_tokens, train_flops
from sweep.config.budget import (
    budget_extremes,
    check_rows,
    look_samples,
    samples_of_epochs,
    window_samples,
)
from sweep.config.checks import leaves, num_points, searched_names
from sweep.config.load import LoadedStudy
from sweep.config.recipes import fit_recipes
from sweep.config.study import Study
from sweep.driver.memory import GB, adapter_params, disk_gb, memory_gb, what_fits
from sweep.driver.numerics import cautions
from sweep.report.data_text import DATA_FACTS
from sweep.report.plan import (
    NeededDisk,
    PlannedFlops,
    PlannedMemory,
    Setting,
    StepsOfBatch,
    StudyPlan,
)

GIB = 2**30


def study_plan(
    loaded: LoadedStudy,
    facts: Mapping[str, Any],
    num_workers: int | None = None,
    history: str | None = None,
    begun: str | None = None,
    most_parked_gb: float = math.inf,
) -> StudyPlan:
    """What the study would do and need. `facts` as trainer/prepare.py writes them, on a machine
    with all its GPUs to be seen; `history`, and of a study that is made already how far it is
    (`begun`), in words; `most_parked_gb`: run.parked_gb in numbers. UserError as `check_rows`."""
    study, rows = loaded.study, facts["train"]["rows"]
    check_rows(study, rows)
    workers = num_workers or _workers(study, facts["machine"])
    points = num_points(study.search.space)
    trials = 1 if study.run.trials == "auto" else study.run.trials
    if points is not None:  # none is tried twice
        trials = min(trials, points)
    confirm = study.run.confirm
    if study.run.trials == "auto":  # what one trial takes
        replicates, runs = confirm.top * confirm.seeds, 1
    else:
        replicates = min(confirm.top, trials) * confirm.seeds
        runs = trials + replicates
    smallest, largest = budget_extremes(study, rows)
    window, looks = window_samples(study, rows), look_samples(study, rows)
    early = early_size(study, facts)
    tokens = _expected_budget(study, rows) * facts["train"]["input_tokens"] / rows
    return StudyPlan(
        study=study.name,
        source=loaded.source,
        values=[
            Setting(path, value, loaded.origins[path])
            for path, value in leaves(study.to_document())
        ],
        data={
            **{name: facts[name] for name in DATA_FACTS},
            "benchmarks": facts.get("benchmarks"),
        },
        trials=trials,
        hours=study.run.max_hours if study.run.trials == "auto" else None,
        replicates=replicates,
        begun=begun,
        history=history,
        prunes=study.pruning.settings().enabled,
        stop=study.pruning.stop,
        workers=workers,
        searched=searched_names(study.search.space),
        points=points,
        recipes=fit_recipes(study),
        smallest_samples=smallest,
        largest_samples=largest,
        window_samples=window,
        scouts=study.pruning.settings().scouts,
        looks=looks,
        early_eval=early,
        early_questions=early_questions(study),
        early_share=early_share(study, facts, early),
        steps=[
            StepsOfBatch(
                batch,
                fewest=math.ceil(smallest / batch),
                most=math.ceil(largest / batch),
                window=math.ceil(window / batch),
            )
            for batch in _batch_sizes(study)
        ],
        tokens_per_trial=round(tokens),
        total_tokens=round(runs * tokens),
        flops=_flops(study, facts, runs, tokens, later_looks=trials * len(looks)),
        memory=_memory(study, facts, workers),
        cautions=list(cautions(study, facts["machine"]["device"])),
        disk_gb=_disk(study, facts, workers, trials, replicates, most_parked_gb),
    )


def _flops(
    study: Study, facts: Mapping[str, Any], runs: int, tokens: float, later_looks: int
) -> PlannedFlops:
    """`tokens` of each run's training; `later_looks`: evaluations after the windows', if none is
    given up."""
    num_params = facts["num_params"]
    early = early_tokens(study, facts, early_size(study, facts))
    return PlannedFlops(
        training=runs * train_flops(study.model.tuning, num_params, tokens),
        evaluations=(runs + 1)
        * eval_flops(num_params, eval_tokens(study.metrics, facts)),  # the base model's too
        early_evaluations=(runs + later_looks) * eval_flops(num_params, early),
    )


def _workers(study: Study, machine: Mapping[str, Any]) -> int:
    if study.run.workers != "auto":
        return study.run.workers
    return max(1, machine["num_devices"] // study.run.processes_per_trial)


def _batch_sizes(study: Study) -> list[int]:
    return sorted(study.search.space.options("batch_size") or ())


def _expected_budget(study: Study, rows: int) -> float:
    """Samples of a trial, over budgets and batches drawn evenly; whole steps, so a little more."""
    space = study.search.space
    smallest, largest = budget_extremes(study, rows)
    if study.budget is not None:
        budgets = [float(smallest)]
    elif options := space.options("epochs"):
        budgets = [float(samples_of_epochs(epochs, rows)) for epochs in options]
    else:
        is_log = space.entry("epochs").log
        even = (largest - smallest) / math.log(largest / smallest) if is_log else None
        budgets = [even or (smallest + largest) / 2]
    rounded = [
        math.ceil(samples / batch) * batch for samples in budgets for batch in _batch_sizes(study)
    ]
    return sum(rounded) / len(rounded)


def _memory(study: Study, facts: Mapping[str, Any], workers: int) -> PlannedMemory:
    """Of each process of a trial; under FSDP they have a part each."""
    model, machine, num_params = study.model, facts["machine"], facts["num_params"]
    processes = study.run.processes_per_trial
    needed = memory_gb(num_params, model.tuning, model.weights, adapter_params(study, facts))
    if model.parallel == "fsdp":
        needed = needed.shared_by(processes)
    has_device = machine["device_gib"] is not None
    sharing = workers * processes
    if has_device:
        sharing = math.ceil(sharing / max(1, machine["num_devices"]))
    gib = machine["device_gib"] if has_device else machine["memory_gib"]
    available = gib * GIB / sharing
    fits = needed.total * GB <= available
    return PlannedMemory(
        needed_gb=needed,
        available_gb=available / GB,
        of="one GPU" if has_device else "this machine",
        sharing=sharing,
        processes=processes,
        fits=fits,
        advice=None if fits else what_fits(num_params, available, model.lora.rank),
    )


def _disk(
    study: Study,
    facts: Mapping[str, Any],
    workers: int,
    trials: int,
    replicates: int,
    most_parked_gb: float,
) -> NeededDisk:
    model, runs = study.model, trials + replicates
    kept = {"best": 1 + study.run.confirm.top, "all": runs, "none": 0}[study.run.keep]
    adapter = adapter_params(study, facts)
    return disk_gb(
        *(facts["num_params"], model.tuning, model.weights, adapter, workers),
        kept_models=kept,
        kept_checkpoints=study.run.checkpoints,
        parked=trials if study.pruning.settings().scouts else 0,
        most_parked_gb=most_parked_gb,
    )
