"""The columns of a recorded set, for whoever writes, reads or joins one.

A row of RUNS is a run, a row of STEPS a training step or an evaluation of it. What each column
means is in studies/recorded/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Column(NamedTuple):
    """One column of a recorded table."""

    type: str  # that an export has it in
    is_needed: bool = False  # a set without it is refused
    is_number: bool = False  # of a run: refused where it is none
    allowed: tuple[str, ...] = ()  # texts; any where empty


RUNS: Mapping[str, Column] = {
    "group": Column("str", is_needed=True),
    "workload": Column("str", is_needed=True),
    "study": Column("str", is_needed=True),
    "created_s": Column("float64", is_number=True),
    "run": Column("int64", is_needed=True, is_number=True),
    "name": Column("str"),
    "params": Column("str", is_needed=True),
    "seed": Column("int64"),
    "horizon_step": Column("int64", is_needed=True, is_number=True),
    "horizon_samples": Column("int64", is_number=True),
    "window_samples": Column("float64", is_number=True),
    "warmup_steps": Column("int64"),
    "state": Column("str", allowed=("completed", "pruned", "failed")),
    "pruned_by": Column("str", allowed=("guard", "rank")),
    "audit": Column("float64", is_number=True),
    "audit_kind": Column("str", allowed=("guard", "rank")),
    "audit_p": Column("float64", is_number=True),
    "audit_miss": Column("float64", is_number=True),
    "confirms": Column("str"),
    "final_eval_loss": Column("float64", is_needed=True, is_number=True),
    "objective": Column("float64"),
    "base_objective": Column("float64", is_number=True),
    "metric": Column("str"),
    "direction": Column("str", allowed=("minimize", "maximize")),
    "early_eval": Column("float64"),
    "grad_norm_noise_free": Column("float64"),
    "tokens": Column("int64", is_number=True),
}
STEPS: Mapping[str, Column] = {
    "run": Column("int64", is_needed=True),
    "step": Column("int64", is_needed=True),
    "fraction": Column("float64"),
    "samples": Column("int64"),
    "tokens": Column("int64"),
    "input_tokens": Column("int64"),
    "loss": Column("float64", is_needed=True),
    "grad_norm": Column("float64", is_needed=True),
    "eval_loss": Column("float64", is_needed=True),
    "eval_stderr": Column("float64"),
    "other_eval_loss": Column("float64"),
    "other_choice_accuracy": Column("float64"),
    "other_choice_margin": Column("float64"),
    "lr": Column("float64"),
    "grad_sq_noise_free": Column("float64"),
    "grad_sq_noise": Column("float64"),
    "phase": Column("int64"),
    "seconds": Column("float64"),
}

# A column of steps that begins so goes on with what is measured in it. Any metric may stand there,
# as other_lm_eval:mmlu; those in STEPS are in every export.
OTHER = "other_"


def needed(columns: Mapping[str, Column]) -> list[str]:
    """The names of the columns that every set has."""
    return [name for name, column in columns.items() if column.is_needed]


def types(columns: Mapping[str, Column]) -> dict[str, str]:
    """The columns' types by their names, as pandas takes them."""
    return {name: column.type for name, column in columns.items()}
