"""The ledger's tables. They stand beside Optuna's in the study's one storage."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from trainer.contract.safe_text import clipped, document_without_secrets, without_secrets
from trainer.contract.spec import UserError


class Json(sa.TypeDecorator[Any]):
    """JSON as Python writes it, so that NaN and infinity survive in every database."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """The JSON text to be stored, without secrets; None for None."""
        return None if value is None else json.dumps(document_without_secrets(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """The stored value. UserError where it is no JSON."""
        try:
            return None if value is None else json.loads(value)
        except (ValueError, TypeError, RecursionError):
            raise UserError(
                "the storage is damaged, or was not made by sweep: JSON is expected, "
                f"not {clipped(str(value))!r}"
            ) from None


class Words(sa.TypeDecorator[str]):
    """Text for people, without secrets."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The text to be stored, without secrets; None for None."""
        return None if value is None else without_secrets(value)


metadata = sa.MetaData()

version = sa.Table(
    "sweep_version",  # one row, for all studies of the storage; see migrate.py
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
)

studies = sa.Table(
    "sweep_studies",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("created_s", sa.Float, nullable=False),  # Unix time
    sa.Column("document", Json, nullable=False),  # the resolved study file
    sa.Column("facts", Json, nullable=False),  # trainer/prepare.py: rows, tokens, base measurements
    sa.Column("predictor", sa.String(80), nullable=False),  # version the study was last run with
)

trials = sa.Table(
    "sweep_trials",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # Optuna's
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("params", Json, nullable=False),  # searched and fixed ones
    sa.Column("recipe", sa.String(80)),
    sa.Column("num_steps", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),  # starts, after an interruption too
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("planned_flops", sa.Float, nullable=False),  # trained to the end, without early_eval
    # predictor.types.WindowSignals, metrics as they are and early_others {name: {value, num,
    # stderr}}; early_eval_num, and with scouting its share of the budget
    sa.Column("window", Json),
    sa.Column("looks", Json),  # the same of later looks, a list
    sa.Column("measurements", Json),  # metric -> Measurement
    sa.Column("objective", sa.Float),
    # kind, message, traceback of the last failure; earlier: kind and message of those before;
    # forgiven: how many of them count no more, as the trial was asked for again
    sa.Column("error", Json),
)


def looks_are_there(storage: sa.Engine | sa.Connection) -> bool:
    """Whether the storage has trials.looks, which tables before version 4 lack."""
    found = sa.inspect(storage)
    if not found.has_table(trials.name):
        return False
    return trials.c.looks.name in {column["name"] for column in found.get_columns(trials.name)}


observations = sa.Table(
    "sweep_observations",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("trial", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("samples_seen", sa.BigInteger, nullable=False),
    sa.Column("input_tokens_seen", sa.BigInteger, nullable=False),
    sa.Column("loss_tokens_seen", sa.BigInteger, nullable=False),
    sa.Column("loss", sa.Float),  # NULL: NaN, which SQLite cannot hold
    sa.Column("grad_norm", sa.Float),  # NULL: NaN
    sa.Column("lr", sa.Float, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("grad_sq_noise_free", sa.Float),  # NULL: not measured
    sa.Column("grad_sq_noise", sa.Float),
    sa.Column("phase", sa.Integer, nullable=False),  # 0: all data together
)

decisions = sa.Table(
    "sweep_decisions",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("trial", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("moment", sa.String(20), primary_key=True),  # see ledger.Decision
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("at_s", sa.Float, nullable=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("probability", sa.Float),
    sa.Column("reason", Words, nullable=False),
    sa.Column("evidence", Json, nullable=False),
    sa.Column("predictor", sa.String(80), nullable=False),
    sa.Column("settings", Json, nullable=False),
)

costs = sa.Table(
    "sweep_costs",
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("trial", sa.Integer, primary_key=True, autoincrement=False),  # -1: the base model
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("what", sa.String(20), primary_key=True),  # train | early_eval | eval | final
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("flops", sa.Float, nullable=False),
)

scores = sa.Table(
    "sweep_scores",  # final measurements row by row or question by question, see spec.Scores
    metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("trial", sa.Integer, primary_key=True, autoincrement=False),  # -1: the base model
    sa.Column("metric", sa.String(200), primary_key=True),
    sa.Column("scores", sa.LargeBinary, nullable=False),  # zlib
    sa.Column("weights", sa.LargeBinary, nullable=False),  # zlib
)

notes = sa.Table(
    "sweep_notes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study", sa.String(200), nullable=False, index=True),
    sa.Column("at_s", sa.Float, nullable=False),
    sa.Column("text", Words, nullable=False),  # a change when it went on, or what was said once
)
