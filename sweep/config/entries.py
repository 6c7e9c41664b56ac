"""The search space: of each hyperparameter a value, a range, or choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    field_validator,
    model_validator,
)

T = TypeVar("T")
Number = TypeVar("Number", bound=float)

VALUE, RANGE, CHOICES = "<value>", "<range>", "<choices>"  # no key of a study file looks like these


class Part(BaseModel):
    """A mapping of the study file: unknown keys refused, no silent conversions."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Interval(Part, Generic[Number]):
    """Every value from low to high, both included."""

    low: Number
    """the smallest value tried"""
    high: Number
    """the largest value tried"""
    log: bool = False
    """drawn evenly in the logarithm; low must be above 0"""

    @model_validator(mode="after")
    def _is_a_range(self) -> Interval[Number]:
        if not self.low < self.high:
            raise ValueError(f"low ({self.low:g}) must be below high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"a range with log needs low above 0, not {self.low:g}")
        return self


class Choices(Part, Generic[T]):
    """One of the listed values."""

    choices: Annotated[tuple[T, ...], Strict(False)] = Field(min_length=1, max_length=1_000)
    """the values tried, each listed once"""

    @model_validator(mode="after")
    def _are_distinct(self) -> Choices[T]:
        seen: list[T] = []
        for value in self.choices:
            if value in seen:
                raise ValueError(f"choices lists {value} twice")
            seen.append(value)
        return self


def _shape(value: Any) -> str:
    if isinstance(value, Interval):
        return RANGE
    if isinstance(value, Choices):
        return CHOICES
    if isinstance(value, Mapping):
        return CHOICES if "choices" in value else RANGE
    return VALUE


def whole(value: Any) -> Any:
    """A float without a fraction as an int, else the value: 1e5 is a float to YAML, and a whole
    number to people."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Bounds are far beyond what anybody trains, and within what every library and database can take:
# what is beyond them would pass a dry run and fail in a trial.
MOST = 2**31 - 1
Count = Annotated[int, BeforeValidator(whole), Field(ge=1, le=MOST)]
Count0 = Annotated[int, BeforeValidator(whole), Field(ge=0, le=MOST)]
Above0 = Annotated[float, Field(gt=0, le=1e6)]
AtLeast0 = Annotated[float, Field(ge=0, le=1e6)]
Below1 = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=10)]
Samples = Annotated[int, BeforeValidator(whole), Field(ge=1, le=2**20)]
Rank = Annotated[int, BeforeValidator(whole), Field(ge=1, le=2**16)]
Epochs = Annotated[float, Field(gt=0, le=10_000)]
WholeEpochs = Annotated[int, BeforeValidator(whole), Field(ge=1, le=10_000)]
Schedule = Literal["constant", "linear", "cosine"]
Strategy = Literal["stacked", "phased"]

# Each is a value, {low, high, log} or {choices: [...]}; the tags keep errors to the shape that was
# meant. Spelled out: typing does not substitute type variables inside pydantic's generic classes.
_by_shape = Discriminator(_shape)
RateEntry = Annotated[
    Annotated[Rate, Tag(VALUE)]
    | Annotated[Interval[Rate], Tag(RANGE)]
    | Annotated[Choices[Rate], Tag(CHOICES)],
    _by_shape,
]
SamplesEntry = Annotated[
    Annotated[Samples, Tag(VALUE)]
    | Annotated[Interval[Samples], Tag(RANGE)]
    | Annotated[Choices[Samples], Tag(CHOICES)],
    _by_shape,
]
RankEntry = Annotated[
    Annotated[Rank, Tag(VALUE)]
    | Annotated[Interval[Rank], Tag(RANGE)]
    | Annotated[Choices[Rank], Tag(CHOICES)],
    _by_shape,
]
AtLeast0Entry = Annotated[
    Annotated[AtLeast0, Tag(VALUE)]
    | Annotated[Interval[AtLeast0], Tag(RANGE)]
    | Annotated[Choices[AtLeast0], Tag(CHOICES)],
    _by_shape,
]
Below1Entry = Annotated[
    Annotated[Below1, Tag(VALUE)]
    | Annotated[Interval[Below1], Tag(RANGE)]
    | Annotated[Choices[Below1], Tag(CHOICES)],
    _by_shape,
]
EpochsEntry = Annotated[
    Annotated[Epochs, Tag(VALUE)]
    | Annotated[Interval[WholeEpochs], Tag(RANGE)]
    | Annotated[Choices[Epochs], Tag(CHOICES)],
    _by_shape,
]
ScheduleEntry = Annotated[
    Annotated[Schedule, Tag(VALUE)] | Annotated[Choices[Schedule], Tag(CHOICES)],
    _by_shape,
]
StrategyEntry = Annotated[
    Annotated[Strategy, Tag(VALUE)] | Annotated[Choices[Strategy], Tag(CHOICES)],
    _by_shape,
]


def powers_of_two(low: int, high: int) -> tuple[int, ...]:
    """The powers of two in [low, high], ascending."""
    return tuple(1 << bits for bits in range(high.bit_length()) if low <= 1 << bits <= high)


class Space(Part):
    """What is searched: each entry a value, a range {low, high, log} or {choices: [...]}."""

    learning_rate: RateEntry
    """peak learning rate of AdamW"""
    batch_size: SamplesEntry
    """samples per optimizer step, over everything; a range takes powers of two"""
    schedule: ScheduleEntry = "constant"
    """how the rate goes after warmup"""
    warmup_ratio: Below1Entry = 0.0
    """share of the steps spent warming up"""
    weight_decay: AtLeast0Entry = 0.0
    """AdamW's, per step and unit of rate"""
    beta1: Below1Entry = 0.9
    """AdamW's decay of the mean gradient"""
    beta2: Below1Entry = 0.95
    """AdamW's decay of the mean square"""
    clip: AtLeast0Entry = 1.0
    """largest global gradient norm; 0: no limit"""
    strategy: StrategyEntry = "stacked"
    """of data.phases: stacked, all shuffled together; phased, one after the other"""
    epochs: EpochsEntry | None = None
    """times the training data, in place of budget; a range takes whole numbers"""
    lora_rank: RankEntry | None = None
    """rank, with model.tuning lora"""

    @field_validator("batch_size")
    @classmethod
    def _holds_a_power_of_two(cls, entry: SamplesEntry) -> SamplesEntry:
        if isinstance(entry, Interval) and not powers_of_two(entry.low, entry.high):
            raise ValueError(
                f"a range takes powers of two, and none lies in {entry.low} to {entry.high}"
            )
        return entry

    def entry(self, name: str) -> Any:
        """The entry of a searched key, as the study file has it."""
        return getattr(self, name)

    def options(self, name: str) -> tuple[Any, ...] | None:
        """The values that `name` can take; None: a range has too many, (): it is not given."""
        entry = self.entry(name)
        if entry is None:
            return ()
        if isinstance(entry, Choices):
            return cast("Choices[Any]", entry).choices
        if not isinstance(entry, Interval):
            return (entry,)
        ends = cast("Interval[Any]", entry)
        return powers_of_two(ends.low, ends.high) if name == "batch_size" else None

    def extremes(self, name: str) -> tuple[float, float]:
        """The smallest and the largest value of a number."""
        options = self.options(name)
        if options is None:
            return self.entry(name).low, self.entry(name).high
        return min(options), max(options)
