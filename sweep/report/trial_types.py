"""What is known of a trial, as types: `--json` prints their fields as they are here.

Losses are in nats per token, compute in FLOPs, times in seconds. What is not finite is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from predictor.types import Action, Kind, Observation, Settings
from sweep.account.compute import Usage
from sweep.account.constraints import Held
from sweep.documents import INLINE, Json
from sweep.storage.ledger import Cost
from sweep.storage.states import State

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of a model."""

    value: float | None
    """the mean over `num`; of eval_loss in nats per token"""
    num: int
    """what it is a mean over: loss-bearing tokens, or questions"""
    input_tokens: int
    """tokens that were read for it"""
    seconds: float
    """wall time that it took"""
    groups: Mapping[str, float | None]
    """the value of each group of questions; empty where they have none"""
    stderr: float | None
    """standard error of the value, over rows or questions"""
    margin: float | None
    """of choices: by how much the right one scores above the best wrong one, in nats per token, on
    average"""
    margin_stderr: float | None
    """its standard error"""
    group_stderrs: Mapping[str, float | None]
    """the standard error of each group's value"""
    over_base: float | None
    """value - the base model's, on the same rows or questions; null where that was not measured"""
    over_base_stderr: float | None
    """standard error of that difference, paired over the rows or questions"""


@dataclass(frozen=True, slots=True)
class Window:
    """A trial's early dynamics, when its window closed."""

    samples: int
    """samples seen by then"""
    loss: float | None
    """training loss, nats per loss-bearing token"""
    grad_norm: float | None
    """global gradient norm before clipping"""
    grad_norm_noise_free: float | None
    """the same without the noise of the batch; null where the noise hides it"""
    early_eval: float | None
    """the objective on the few early samples; null where it was not measured"""
    early_eval_stderr: float | None
    """its standard error, over rows or questions"""
    early_others: Mapping[str, float | None]
    """what else was measured on them, by metric, or choice_margin"""
    phase: int | None
    """of the data, counted from 1; 0: all together"""


@dataclass(frozen=True, slots=True)
class VerdictReport:
    """The decision that counts for a trial: what pruned it, else its audit, else its last
    look."""

    action: Action
    """continue, prune, park (it waits at a look), or audit: to be pruned, but taken to the end as a
    check"""
    kind: Kind
    """what it was decided by: guard, rank, or none"""
    probability: float | None
    """stated probability of beating the incumbent; null where the rule states none"""
    reason: str
    """a sentence"""
    audited: bool
    """whether any decision on the trial was an audit"""
    moment: str
    """when it was taken: window, look 1, look 2, ..., parked (given up or audited), divergence, not
    finite, end"""
    step: int
    """the optimizer step after which it was taken"""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was stated of a trial when its window closed, or where it was looked at last."""

    probability: float | None
    """P: of beating the incumbent by min_gain x spread"""
    before: float | None
    """P0: the same before the trial was looked at; null with scouting"""
    incumbent: int | None
    """the best finished trial of that moment"""
    best: float | None
    """its objective as minimized: lower is better"""
    spread: float | None
    """median - best of the trials finished by then"""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed."""

    kind: str
    """as in: out of memory, killed, bad input, error"""
    message: str
    """a sentence"""


@dataclass(frozen=True, slots=True)
class FailureReport(Failure):
    """The last failure of a trial, with those before it."""

    traceback: str | None
    """where in the code"""
    earlier: tuple[Failure, ...]
    """the failures before it, oldest first"""
    forgiven: int
    """how many of them count no more, as the trial was asked for again"""


@dataclass(frozen=True, slots=True)
class TrialSummary:
    """One trial, without its observations."""

    number: int
    """from 0; a replicate's is 10,000 times its seed's index plus its original's"""
    state: State
    """waiting, running, parked, completed, pruned or failed"""
    params: Mapping[str, Json]
    """the hyperparameters, searched and fixed"""
    recipe: str | None
    """the published configuration that it is, if it is one"""
    confirms: int | None
    """of a replicate, the original: the trial with the same hyperparameters and run.seed"""
    further_seed: int
    """what is added to run.seed: 0 of an original, else the index of the new seed"""
    objective: float | None
    """the metric at the end; null of a trial that is not completed"""
    window: Window | None
    """null before the window has closed"""
    looks: tuple[Window, ...]
    """the same at the later looks that it has reached; empty without scouting"""
    verdict: VerdictReport | None
    """null before any decision"""
    forecast: Forecast | None
    """the last that was stated; null where no probability was"""
    compute: Usage
    """what it cost so far, all attempts"""
    planned_flops: float
    """FLOPs of training it once to its end and measuring it"""
    num_steps: int
    """optimizer steps of the whole training"""
    attempts: int
    """how often it was started"""
    failures: int
    """how often it failed"""
    error: Failure | None
    """its last failure; null if it has none"""
    measurements: Mapping[str, Measured]
    """each metric at the end, by its name"""
    constraints: tuple[Held, ...] = ()
    """how it stands to each constraint; empty without any, and before its end"""

    @property
    def is_feasible(self) -> bool | None:
        """Whether it holds every constraint; None without any, and before its end."""
        return all(one.is_held for one in self.constraints) if self.constraints else None

    @property
    def is_audited(self) -> bool:
        """Whether it was to be pruned and went on to its end as a check."""
        return self.verdict is not None and self.verdict.audited

    @property
    def is_replicate(self) -> bool:
        """Whether it trains another trial's configuration again, with a new seed."""
        return self.confirms is not None


@dataclass(frozen=True, slots=True)
class BaseReport:
    """The base model, untrained."""

    objective: float | None
    """the metric; null where it was not measured"""
    measurements: Mapping[str, Measured]
    """each metric, by its name"""
    compute: Usage
    """what measuring it cost"""


@dataclass(frozen=True, slots=True)
class DecisionReport:
    """A decision on a trial."""

    moment: str
    """when it was taken: window, look 1, look 2, ..., parked (given up or audited), divergence, not
    finite, end"""
    step: int
    """the optimizer step after which it was taken"""
    action: Action
    """continue, prune, park or audit"""
    kind: Kind
    """what it was decided by: guard, rank, or none"""
    probability: float | None
    """stated probability of beating the incumbent; null where the rule states none"""
    reason: str
    """a sentence"""
    evidence: Mapping[str, Json]
    """what it rests on; the keys are those of the predictor's version"""
    predictor: str
    """the predictor's version"""
    settings: Settings
    """what the predictor was set to"""


@dataclass(frozen=True, slots=True)
class NoiseScale:
    """The batch size at which the noise of a gradient is as large as the gradient."""

    samples: float
    """in samples"""
    standard_error: float
    """of `samples`"""


@dataclass(frozen=True, slots=True)
class TrialReport:
    """Everything that is known of one trial: `sweep inspect STUDY --trial N --json`."""

    study: str
    """the study's name"""
    metric: str
    """what is optimized (objective.metric)"""
    direction: Direction
    """maximize or minimize"""
    base: BaseReport
    """the base model"""
    trial: TrialSummary = field(metadata=INLINE)
    """the trial, as the study's report has it; its keys are among the others"""
    error: FailureReport | None
    """its last failure with its traceback, in place of the short one; null if it has none"""
    decisions: tuple[DecisionReport, ...]
    """in the order they were taken"""
    costs: tuple[Cost, ...]
    """by attempt and kind"""
    observations: tuple[Observation, ...]
    """every optimizer step"""
    noise_scale: NoiseScale | None
    """null where the noise hides it"""
    folder: str | None
    """the trial's folder; null if it is gone"""
    log: str | None
    """the trial's log file; null if it is gone"""
