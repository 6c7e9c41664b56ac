"""The contract between a trial and whoever starts it: specs in, events out, replies back.

Imports nothing heavy: the driver reads this file and never torch.
An entry point is called as `entry(spec, channel)` in a process of its own; `channel` is a
`multiprocessing.connection.Connection`. The process sends events and ends; after `VerdictWanted`
it waits for a `Verdict`. A `Stop` may arrive at any time and is obeyed at the next step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from predictor.types import Observation
from trainer.contract.measurement import Measurement, Scores
from trainer.contract.metrics import units_at_look
from trainer.contract.outside import Cause
from trainer.contract.safe_text import without_secrets

TRIAL_ENTRY = "trainer.worker:run_trial"
PREPARE_ENTRY = "trainer.worker:run_prepare"
PRELOAD = ("trainer.preload",)  # imported once by the process that all trials are forked from


def is_template_file(template: str) -> bool:
    """Whether `data.template` names a chat template's file."""
    return template.endswith(".jinja")


class UserError(ValueError):
    """Something only the user can fix: a sentence that says what, where, and what is right."""

    def __init__(self, sentence: str) -> None:
        super().__init__(without_secrets(sentence))


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """The adapter of a model with tuning lora; as model.lora in the study file."""

    rank: int = 16
    alpha: float = 32
    dropout: float = 0.0
    targets: str | tuple[str, ...] = "all-linear"
    modules_to_save: tuple[str, ...] = ()  # trained in all their weights, beside the adapter


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The model and how it is trained: computed in `dtype` (autocast), held in `weights`."""

    base: str  # a local folder or a Hub id, as ORG/NAME or ORG/NAME@REVISION
    tuning: Literal["full", "lora"] = "full"
    lora: LoraSpec = field(default_factory=LoraSpec)
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    weights: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False
    compile: bool = False
    liger: bool = False
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3"] = "auto"
    padding_free: bool | None = None  # None: where the attention does it for nothing
    parallel: Literal["none", "ddp", "fsdp"] = "none"  # none goes with one process
    trust_remote_code: bool = False
    digest: str | None = None  # of the base's files (fingerprint.py); None: any will do


AUTO_TEMPLATE = "Question: {prompt}\nAnswer:"  # of prompts that are not chats


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Where the samples come from. Each source is a local file or a Hub data set id; None is "not
    given"."""

    train: str | None = None  # this or `phases`, one of the two
    phases: tuple[str, ...] = ()  # in their order
    eval: str | None = None  # what eval_loss is measured on
    choices: str | None = None  # what choice_accuracy is measured on
    format: str = "auto"
    template: str = "auto"  # auto, a text with {prompt}, or a chat template's .jinja file
    system: str | None = None  # put before chats that have no system message
    max_length: int = 1024  # tokens
    loss_on: Literal["completion", "assistant", "all"] = "completion"
    shape: Literal["auto", "chat", "text"] = "auto"  # what questions are asked in; auto: as trained
    own: str | None = None  # the rows that metrics of one's own are called with


@dataclass(frozen=True, slots=True)
class BenchmarkSpec:
    """How benchmarks are asked, and where tasks and functions of one's own lie."""

    tasks: str | None = None  # a folder of task files and of NAME.jsonl
    fewshot: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)  # by task, group
    chat: bool = False  # asked as turns of the model's chat template
    code: str | None = None  # the folder that modules of one's own are found in


@dataclass(frozen=True, slots=True)
class PrepareSpec:
    """Check the model, tokenise the data once, and measure the base model."""

    model: ModelSpec
    data: DataSpec
    out_dir: str  # made by the caller, empty
    metrics: tuple[str, ...]
    measure_base: bool = True
    num_threads: int = 0  # 0: all
    seed: int = 0
    benchmarks: BenchmarkSpec = field(default_factory=BenchmarkSpec)
    final: tuple[str, ...] = ()  # metrics that are prepared, and measured of nobody yet


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """All that one trial needs to know. JSON in and out: `to_json`, `from_json`."""

    number: int
    seed: int
    model: ModelSpec
    data_dir: str  # what PrepareSpec.out_dir became
    trial_dir: str  # checkpoints/ and model/ are written below it
    batch_size: int  # effective: samples per optimizer step
    budget_samples: int
    window_samples: int  # 0: no window
    metrics: tuple[str, ...]  # the objective first
    early_eval: int  # rows or questions that each metric is measured on at a look; 0: none
    learning_rate: float
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_ratio: float = 0.0
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0  # 0: none
    strategy: Literal["stacked", "phased"] = "stacked"  # phased: one phase's data after the other
    replay: float = 0.0  # phased: share of the samples drawn from earlier phases
    reset_optimizer: bool = False  # phased: forget AdamW's moments where a phase begins
    processes: int = 1  # each with a device of its own; they divide batch_size
    micro_batch: int | None = None  # the largest allowed; None: the largest that fits
    save_model: bool = True
    checkpoint_every_s: float = 120.0
    checkpoints_kept: int = 2
    wait_s: float = 600.0  # for how long a write that the outside keeps from it is tried again
    num_threads: int = 0  # of each process; 0: all
    looks: tuple[int, ...] = ()  # samples after which it is looked at again, beyond the window
    early_questions: int | None = None  # in place of early_eval, of metrics that ask questions
    benchmarks: BenchmarkSpec = field(default_factory=BenchmarkSpec)

    @property
    def num_steps(self) -> int:
        """The number of optimizer steps; the budget rounds up to whole steps."""
        return math.ceil(self.budget_samples / self.batch_size)

    @property
    def window_steps(self) -> int:
        """The step whose end closes the window; 0: no window."""
        return math.ceil(self.window_samples / self.batch_size)

    @property
    def look_steps(self) -> tuple[int, ...]:
        """The steps whose ends are looked at, ascending, the window's first; () without a window.

        Looks within one step are one, and none but the window's is at the trial's end.
        """
        later = {math.ceil(samples / self.batch_size) for samples in self.looks}
        inside = (step for step in sorted(later) if self.window_steps < step < self.num_steps)
        return (self.window_steps, *inside) if self.window_steps else ()

    def early_units(self, metric: str) -> int:
        """Rows or questions that a metric is measured on at a look; 0: none."""
        return units_at_look(metric, self.early_eval, self.early_questions)

    @property
    def warmup_steps(self) -> int:
        """The number of optimizer steps of the warmup, rounded up."""
        return math.ceil(self.warmup_ratio * self.num_steps)

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` reads them."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrialSpec:
        """Inverse of `to_json`; TypeError on unknown or missing keys."""

        def own(given: Mapping[str, Any]) -> dict[str, Any]:
            return {key: tuple(v) if isinstance(v, list) else v for key, v in given.items()}

        model = own(values["model"])
        model["lora"] = LoraSpec(**own(model["lora"]))
        benchmarks = BenchmarkSpec(**values.get("benchmarks", {}))
        return cls(**{**own(values), "model": ModelSpec(**model), "benchmarks": benchmarks})


# Events, from the process to the driver.


@dataclass(frozen=True, slots=True)
class Alive:
    """Nothing to report, but not stuck: at most one every few seconds."""

    doing: str  # "loading the model", "evaluating", ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data are prepared; `facts` as in out_dir/prepared.json (trainer/prepare.py)."""

    facts: Mapping[str, Any]
    scores: Mapping[str, Scores] = field(default_factory=dict[str, Scores])  # the base model's


@dataclass(frozen=True, slots=True)
class Started:
    """The attempt begins after `step`: 0, or the one of its checkpoint."""

    step: int  # the checkpoint it goes on from; 0: from the start


@dataclass(frozen=True, slots=True)
class Stepped:
    """An optimizer step has been done."""

    observation: Observation


@dataclass(frozen=True, slots=True)
class VerdictWanted:
    """Training waits at the end of `step` until a Verdict comes."""

    step: int
    why: Literal["window", "not finite"]  # "window": at each of the spec's look_steps
    early: Mapping[str, Measurement] = field(default_factory=dict)  # at a look: by metric
    look: int = 0  # which of the look_steps; 0: the window


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """A checkpoint of `step` is on disk."""

    step: int


@dataclass(frozen=True, slots=True)
class Held:
    """Something could not be written, for a cause outside. A trial that `waits` does nothing else;
    one that does not goes on and tries again later."""

    cause: Cause
    message: str
    waits: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """Checkpoints are still there: whoever has recorded the end may remove them."""

    measurements: Mapping[str, Measurement]
    model_dir: str | None
    scores: Mapping[str, Scores] = field(default_factory=dict[str, Scores])  # by metric


@dataclass(frozen=True, slots=True)
class Stopped:
    """Ended as it was told, by a verdict or a Stop; a checkpoint at `step` if Stop asked for it, or
    the verdict was to park."""

    step: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a job came to no good end. `interrupted`: by what is neither the trial's nor its
    configuration's doing."""

    kind: (
        Literal["bad input", "out of memory", "killed", "lost", "silent", "interrupted", "error"]
        | Cause
    )
    message: str
    traceback: str = ""

    def __post_init__(self) -> None:  # what libraries say goes on to logs, pages and databases
        object.__setattr__(self, "message", without_secrets(self.message))
        object.__setattr__(self, "traceback", without_secrets(self.traceback))


_Underway = Alive | Started | Stepped | VerdictWanted | Checkpointed | Held
Event = _Underway | Prepared | Finished | Stopped | Failed
LAST = (Finished, Stopped, Failed, Prepared)  # events that nothing follows


@dataclass(frozen=True, slots=True)
class Stop:
    """The driver's order to end the trial, at any time."""

    checkpoint: bool
