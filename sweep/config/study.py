"""The study file as types: every key, its unit, its default. `sweep.config.load` reads one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Strict, model_validator

from sweep.config.entries import (
    Above0,
    AtLeast0,
    Below1,
    Count,
    Count0,
    Epochs,
    Part,
    Rank,
    Space,
)
from sweep.config.kinds import (
    AtLeast2,
    AutoOrBool,
    AutoOrCount,
    AutoOrGb,
    LoraTargets,
    Name,
    Storage,
    Template,
    Text,
    Texts,
)
from sweep.config.limits import LARGEST_SEED
from sweep.config.objective import Objective
from sweep.config.pruning import Pruning
from trainer.contract.safe_text import url_without_secrets

Tracker = Literal["tensorboard", "trackio", "wandb", "mlflow"]


class Lora(Part):
    """The adapter, where model.tuning is lora."""

    rank: Rank = 16
    """rank of the adapter; search.space.lora_rank replaces it"""
    alpha: Above0 = 32
    """scale of the adapter: alpha / rank"""
    dropout: Below1 = 0.0
    """share of the adapter's inputs dropped in training"""
    targets: LoraTargets = "all-linear"
    """all-linear or a list of module names"""
    modules_to_save: Texts | None = None
    """modules trained in all their weights beside the adapter, as [lm_head]; null: none"""


class Model(Part):
    """The base model and how it is tuned."""

    base: Text
    """a local folder or a Hub id, ORG/NAME or ORG/NAME@REVISION; the commit is kept"""
    tuning: Literal["full", "lora"] = "full"
    """all weights, or a LoRA adapter"""
    lora: Lora = Lora()
    """the adapter, with tuning lora"""
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    """what is computed in (autocast)"""
    weights: Literal["float32", "bfloat16"] = "float32"
    """what the weights are held in"""
    gradient_checkpointing: bool = False
    """recompute activations: less memory"""
    compile: bool = False
    """torch.compile each block: slow to start, then faster"""
    liger: bool = False
    """Liger's fused kernels; needs a CUDA GPU and liger-kernel"""
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3"] = "auto"
    """how attention is computed; flash attention needs a CUDA GPU and its package"""
    padding_free: AutoOrBool = "auto"
    """samples packed one after the other instead of padded; auto: with flash attention"""
    micro_batch: AutoOrCount = "auto"
    """most samples in memory at once, in each process; auto: the most that fit"""
    parallel: Literal["none", "ddp", "fsdp"] = "none"
    """how the processes of a trial share it: ddp, each has the whole model; fsdp, each a part of
    it; none: with one process"""
    trust_remote_code: bool = False
    """run code that comes with the model"""


class Data(Part):
    """Where the samples come from and how they become text."""

    train: Text | None = None
    """a file (.jsonl, .json, .csv, .parquet) or a Hub id[:split]; this or phases"""
    eval: Text | None = None
    """held-out samples, for eval_loss"""
    phases: Texts = ()
    """in place of train: a list of such sources, in their order; what becomes of it says
    search.space.strategy"""
    replay: Below1 = 0.0
    """with strategy phased: share of the samples drawn from earlier phases"""
    reset_optimizer: bool = False
    """with strategy phased: forget AdamW's moments where a phase begins"""
    format: Literal[
        "auto", "choices", "messages", "sharegpt", "prompt-completion", "question-answer", "alpaca"
    ] = "auto"
    """how the rows are laid out; auto tells by their columns, and refuses further ones that may
    change what these mean"""
    template: Template = "auto"
    """what stands before the completion, with {prompt} in it, or a chat template's .jinja file;
    auto: the model's chat template for chats, else Question: {prompt} / Answer:"""
    system: Text | None = None
    """put before chats that have no system message"""
    max_length: Annotated[Count, Field(le=10_000_000)] = 1024
    """longest sample, in tokens; the rest is cut"""
    loss_on: Literal["completion", "assistant", "all"] = "completion"
    """the tokens that carry loss; assistant: every assistant turn of a chat"""

    @model_validator(mode="after")
    def _has_one_of_two(self) -> Data:
        if (self.train is None) == (not self.phases):
            raise ValueError(
                "must have exactly one of train (a file or a Hub id) and phases (a list of them)"
            )
        return self


class Budget(Part):
    """What each trial is trained on: samples or epochs, one of the two."""

    samples: Count | None = None
    """samples per trial, repeats counted"""
    epochs: Epochs | None = None
    """times the training data, fractions allowed"""

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Budget:
        if (self.samples is None) == (self.epochs is None):
            raise ValueError("must be exactly one of {samples: N} and {epochs: N}")
        return self


class Search(Part):
    """What is tried, and who chooses."""

    sampler: Literal["tpe", "cmaes", "random", "grid", "qmc"] = "tpe"
    """who chooses; cmaes (package `cmaes`) draws words, as of schedule, at random"""
    recipes: Annotated[tuple[Literal["lab", "tulu"], ...], Strict(False)] = ("lab", "tulu")
    """published configurations tried first"""
    space: Space
    """the hyperparameters"""


class Confirm(Part):
    """Replicates of the best trials, with other seeds, before a best is named."""

    top: Count0 = 0
    """best trials that are trained again with other seeds before one is named; 0: none"""
    seeds: Annotated[Count, Field(le=1_000)] = 2
    """further seeds each"""


class Run(Part):
    """How much, on what, and what is kept."""

    trials: AutoOrCount = 16
    """trials in total, over all runs of the study; auto: as many scouts as max_hours has room for
    beside finishing the best, decided after the first"""
    workers: AutoOrCount = "auto"
    """trials at a time; auto: as many as have GPUs of their own, else 1"""
    processes_per_trial: Annotated[Count, Field(le=1_024)] = 1
    """processes that train each trial together, a GPU each where there are any; more than 1 with
    model.parallel"""
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    """of draws, data order and audits"""
    retries: Annotated[Count0, Field(le=1_000)] = 1
    """further tries of a failed trial"""
    max_hours: Above0 | None = None
    """hours after which running trials write a checkpoint and the command ends; with trials auto
    those of the whole study, over all its runs"""
    confirm: Confirm = Confirm()
    """replicates of the best"""
    keep: Literal["best", "all", "none"] = "best"
    """whose weights are kept"""
    checkpoints: AtLeast2 = 2
    """most checkpoints of a running trial on disk, the one being written counted"""
    parked_gb: AutoOrGb = "auto"
    """most that checkpoints of parked trials take on disk, in GB of 10^9 bytes; auto: half of what
    is free. Each keeps one; the least promising lose theirs first, and are trained again if they go
    on; 0: none is kept"""
    storage: Storage = "auto"
    """database URL; auto: study.db in the study's folder"""
    report_to: Annotated[tuple[Tracker, ...], Strict(False)] = ()
    """trackers that are kept up to date: tensorboard, trackio, wandb, mlflow (pip install
    'sft-sweep[trackers]'), a run for each trial and one for the study"""
    silence_minutes: Annotated[float, Field(ge=1, le=1e6)] = 30
    """a trial that sends nothing for so long, as while a model is loaded, is killed and fails"""
    grace_s: AtLeast0 = 60
    """seconds that running trials have to write a checkpoint when the command is told to end"""
    wait_minutes: AtLeast0 = 10
    """for how long a full disk, a locked storage or a folder that is gone is waited out"""

    @property
    def silence_s(self) -> float:
        """silence_minutes in seconds."""
        return self.silence_minutes * 60

    @property
    def wait_s(self) -> float:
        """wait_minutes in seconds."""
        return self.wait_minutes * 60


class Study(Part):
    """A study file, with its defaults filled in."""

    name: Name
    """the study's name"""
    model: Model
    """the base model and how it is tuned, as {base: FOLDER_OR_HUB_ID}"""
    data: Data
    """the samples, as {train: FILE, eval: FILE}"""
    budget: Budget | None = None
    """{samples: N} or {epochs: N} per trial"""
    search: Search
    """what is tried, as {space: {learning_rate: ..., batch_size: ...}}"""
    objective: Objective = Objective()
    """what is optimised"""
    pruning: Pruning = Pruning()
    """when a trial is stopped early"""
    run: Run = Run()
    """how much, on what"""

    @property
    def metrics(self) -> tuple[str, ...]:
        """All that is measured, the objective first."""
        return self.objective.metrics

    @property
    def train_sources(self) -> dict[str, str]:
        """What is trained on, by its key path."""
        if self.data.train is not None:
            return {"data.train": self.data.train}
        return {f"data.phases[{i}]": text for i, text in enumerate(self.data.phases)}

    def to_document(self) -> dict[str, Any]:
        """JSON values with the defaults, which `Study.model_validate` takes back; without passwords
        and keys that are null."""
        document = self.model_dump(mode="json")
        for part in (document, document["search"]["space"]):
            for key in [key for key, value in part.items() if value is None]:
                del part[key]
        if self.budget is not None:
            document["budget"] = self.budget.model_dump(mode="json", exclude_none=True)
        document["run"]["storage"] = url_without_secrets(self.run.storage)
        document["pruning"]["history"] = [url_without_secrets(t) for t in self.pruning.history]
        return document
