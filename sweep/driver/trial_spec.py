"""From a study and a trial's params to what the trainer runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.account.early_eval import early_questions, early_size
from sweep.account.flops import eval_flops, eval_tokens, train_flops
from sweep.account.replicates import is_replicate, seed_index
from sweep.config.budget import (
    budget_extremes,
    budget_samples,
    look_samples,
    window_samples,
)
from sweep.config.load import LoadedStudy
from sweep.config.sources import resolve_source
from sweep.storage.paths import StudyPaths
from trainer.contract.fingerprint import pinned
from trainer.contract.spec import BenchmarkSpec, LoraSpec, ModelSpec, TrialSpec


class TrialSpecs:
    """The specs of a study's trials, by number and params."""

    def __init__(
        self,
        loaded: LoadedStudy,
        facts: Mapping[str, Any],
        paths: StudyPaths,
        threads_per_trial: int = 0,
    ) -> None:
        """Raise UserError where model.base is plainly a folder and is not there."""
        self._loaded, self._facts, self._paths = loaded, facts, paths
        self._threads_per_trial = threads_per_trial
        self._model = model_spec(loaded)

    def of(self, number: int, params: Mapping[str, Any]) -> TrialSpec:
        """The spec of a trial; a replicate has the study's seed plus its place among the further
        seeds, and is looked at beyond its window only where looks are recorded for their own
        sake, pruning being off."""
        spec = trial_spec(
            self._loaded,
            number,
            params,
            self._facts,
            str(self._paths.data),
            str(self._paths.trial(number)),
            self._threads_per_trial,
            self._model,
        )
        if is_replicate(number):
            looks = () if self._loaded.study.pruning.settings().scouts else spec.looks
            spec = dataclasses.replace(spec, seed=spec.seed + seed_index(number), looks=looks)
        return spec

    @property
    def smallest_samples(self) -> int:
        """The smallest budget in the space, which looks are shares of."""
        return budget_extremes(self._loaded.study, self._facts["train"]["rows"])[0]

    def planned_flops(self, spec: TrialSpec) -> float:
        """FLOPs of a trial, as the function `planned_flops` has them."""
        return planned_flops(spec, self._facts)


def model_spec(loaded: LoadedStudy) -> ModelSpec:
    """The model's part of a spec. UserError where model.base is plainly a folder and is not
    there."""
    model = loaded.study.model
    return ModelSpec(
        base=resolve_source(model.base, loaded.folder, "model.base"),
        tuning=model.tuning,
        lora=LoraSpec(
            model.lora.rank,
            model.lora.alpha,
            model.lora.dropout,
            model.lora.targets,
            model.lora.modules_to_save or (),
        ),
        dtype=model.dtype,
        weights=model.weights,
        gradient_checkpointing=model.gradient_checkpointing,
        compile=model.compile,
        liger=model.liger,
        attention=model.attention,
        padding_free=None if model.padding_free == "auto" else model.padding_free,
        parallel=model.parallel,
        trust_remote_code=model.trust_remote_code,
    )


def benchmark_spec(loaded: LoadedStudy) -> BenchmarkSpec:
    """How benchmarks are asked. UserError where objective.tasks is plainly a folder and is not
    there."""
    objective = loaded.study.objective
    tasks = objective.tasks
    return BenchmarkSpec(
        tasks=tasks and resolve_source(tasks, loaded.folder, "objective.tasks"),
        fewshot=dict(objective.fewshot),
        chat=objective.shape == "chat",
        code=str(loaded.folder),
    )


def trial_spec(
    loaded: LoadedStudy,
    number: int,
    params: Mapping[str, Any],
    facts: Mapping[str, Any],
    data_dir: str | Path,
    trial_dir: str | Path,
    num_threads: int = 0,
    model: ModelSpec | None = None,
) -> TrialSpec:
    """The spec of an original. All share the study's seed: what differs between them is then not
    the data's order.

    `model`: as `model_spec` gives it, which looks for the folder.
    """
    study = loaded.study
    model = pinned(model or model_spec(loaded), facts)
    if "lora_rank" in params:
        lora = dataclasses.replace(model.lora, rank=params["lora_rank"])
        model = dataclasses.replace(model, lora=lora)
    num_rows = facts["train"]["rows"]
    strategy = params.get("strategy", "stacked")
    return TrialSpec(
        number=number,
        seed=study.run.seed,
        model=model,
        data_dir=str(data_dir),
        trial_dir=str(trial_dir),
        batch_size=params["batch_size"],
        budget_samples=budget_samples(study, params, num_rows),
        window_samples=window_samples(study, num_rows),
        looks=look_samples(study, num_rows),
        metrics=study.metrics,
        early_eval=early_size(study, facts),
        early_questions=early_questions(study),
        benchmarks=benchmark_spec(loaded),
        learning_rate=params["learning_rate"],
        schedule=params["schedule"],
        warmup_ratio=params["warmup_ratio"],
        weight_decay=params["weight_decay"],
        beta1=params["beta1"],
        beta2=params["beta2"],
        clip=params["clip"],
        strategy=strategy,
        replay=study.data.replay if strategy == "phased" else 0.0,
        reset_optimizer=study.data.reset_optimizer and strategy == "phased",
        processes=study.run.processes_per_trial,
        micro_batch=None if study.model.micro_batch == "auto" else study.model.micro_batch,
        save_model=study.run.keep != "none",
        checkpoints_kept=study.run.checkpoints,
        wait_s=study.run.wait_s,
        num_threads=num_threads,
    )


def planned_flops(spec: TrialSpec, facts: Mapping[str, Any]) -> float:
    """What the trial costs trained to its end and measured, early evaluation not counted."""
    train, num_params = facts["train"], facts["num_params"]
    tokens_per_sample = train["input_tokens"] / train["rows"]
    tokens = round(spec.num_steps * spec.batch_size * tokens_per_sample)
    training = train_flops(spec.model.tuning, num_params, tokens)
    return training + eval_flops(num_params, eval_tokens(spec.metrics, facts))
