"""The objectives, measured on prepared data: eval_loss and choice_accuracy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainer.contract.measurement import Measurement
from trainer.contract.metrics import EVAL_LOSS, part_of
from trainer.data.batches import pad_rows
from trainer.data.store import list_column, open_table
from trainer.data.tokenise import IGNORED
from trainer.evaluation.batching import device_of, evaluating, run_in_batches
from trainer.evaluation.rows import Rows, by_group
from trainer.evaluation.subset import SUBSET_SEED
from trainer.model.head import scoring_head
from trainer.model.team import Team


@dataclass(frozen=True, slots=True)
class Scored:
    """Sequences to score. `unit` says which question or row each belongs to."""

    input_ids: list[np.ndarray]  # each (length,)
    labels: list[np.ndarray]  # each (length,), IGNORED where nothing is scored
    unit: np.ndarray  # (num_sequences,)
    is_answer: np.ndarray | None = None  # (num_sequences,) bool, of choices
    groups: list[str] = field(default_factory=list)  # one per unit, of choices
    kept: np.ndarray | None = None  # (num_units,) of the whole set; None: all

    def subset(self, num_units: int, seed: int = SUBSET_SEED) -> Scored:
        """A fixed draw of `num_units` units; all of them if there are no more."""
        total = int(self.unit[-1]) + 1
        if num_units >= total:
            return self
        rng = np.random.default_rng(seed)
        kept = np.sort(rng.choice(total, num_units, replace=False))
        renumbered = np.full(total, -1)
        renumbered[kept] = np.arange(num_units)
        rows = np.flatnonzero(renumbered[self.unit] >= 0)
        return Scored(
            [self.input_ids[row] for row in rows],
            [self.labels[row] for row in rows],
            renumbered[self.unit[rows]],
            None if self.is_answer is None else self.is_answer[rows],
            [self.groups[unit] for unit in kept] if self.groups else [],
            kept,
        )


def load_scored(data_dir: Path, metric: str) -> Scored:
    """The full set of a metric, from what `prepare` wrote."""
    table = open_table(data_dir / str(part_of(metric)))
    ids = list_column(table, "input_ids")
    if metric == EVAL_LOSS:
        return Scored(ids, list_column(table, "labels"), np.arange(len(ids)))
    labels = [row.copy() for row in ids]
    for row, num_scored in zip(labels, table["num_scored"].to_numpy(), strict=True):
        row[: len(row) - num_scored] = IGNORED
    unit = table["question"].to_numpy()
    groups = table["group"].to_pylist()
    first = np.flatnonzero(np.diff(unit, prepend=-1))
    is_answer = table["is_answer"].to_numpy(zero_copy_only=False)
    return Scored(ids, labels, unit, is_answer, [groups[row] for row in first])


def measure(
    model: Any,
    scored: Scored,
    dtype: torch.dtype,
    alive: Callable[[], None],
    team: Team | None = None,
) -> tuple[Measurement, Rows]:
    """The metric over the sequences, of which each process of the team scores its share, and what
    it is the mean of.

    eval_loss: mean nats per loss-bearing token over the whole set. choice_accuracy: share of the
    questions whose right choice has the highest sum of log-probabilities / tokens of the choice
    (the first of equals counts), and its margin the mean over questions of how far that score of
    the right choice lies above the best wrong one's. Standard errors are over rows (of the ratio)
    and over questions. Takes no random numbers and leaves the model as it was.
    """
    began = time.perf_counter()
    sums, counts = _score(model, scored, dtype, alive, team or Team())
    input_tokens = sum(len(ids) for ids in scored.input_ids)
    with np.errstate(invalid="ignore", over="ignore"):  # of a model that has diverged
        found, rows = (
            _loss(sums, counts) if scored.is_answer is None else _choices(sums / counts, scored)
        )
    seconds = time.perf_counter() - began
    return replace(found, input_tokens=input_tokens, seconds=seconds), rows


def _loss(sums: np.ndarray, counts: np.ndarray) -> tuple[Measurement, Rows]:
    rows = Rows(-sums / counts, counts.astype(float))
    value = float(-sums.sum() / counts.sum())
    return Measurement(value, int(counts.sum()), 0, 0.0, stderr=rows.stderr), rows


def _choices(scores: np.ndarray, scored: Scored) -> tuple[Measurement, Rows]:
    rows, margins = Rows.alike(_right(scores, scored)), Rows.alike(_margins(scores, scored))
    groups = by_group(rows, scored.groups)
    found = Measurement(
        rows.mean,
        len(rows.scores),
        input_tokens=0,
        seconds=0.0,
        groups={name: own.mean for name, own in groups.items()},
        stderr=rows.stderr,
        margin=margins.mean,
        margin_stderr=margins.stderr,
        group_stderrs={name: own.stderr for name, own in groups.items()},
    )
    return found, rows


def _margins(scores: np.ndarray, scored: Scored) -> np.ndarray:
    """Per question, the right choice's score less the best of the others'. (num_questions,); not
    finite where one of the two is not, NaN where any score is NaN."""
    assert scored.is_answer is not None
    starts = np.flatnonzero(np.diff(scored.unit, prepend=-1))
    wrong = np.maximum.reduceat(np.where(scored.is_answer, -np.inf, scores), starts)
    return scores[scored.is_answer] - wrong


def _right(scores: np.ndarray, scored: Scored) -> np.ndarray:
    """Per question, whether the highest score is the answer's. (num_questions,) of 0 and 1."""
    assert scored.is_answer is not None
    starts = np.flatnonzero(np.diff(scored.unit, prepend=-1))
    ends = np.append(starts[1:], len(scores))
    # A score that is not a number beats nothing: argmax would take it as the highest.
    finite = np.nan_to_num(scores, nan=-np.inf, posinf=-np.inf, neginf=-np.inf)
    picks = [
        start + int(np.argmax(finite[start:end])) for start, end in zip(starts, ends, strict=True)
    ]
    found = np.isfinite(finite[picks])
    return (scored.is_answer[picks] & found).astype(float)


def _score(
    model: Any, scored: Scored, dtype: torch.dtype, alive: Callable[[], None], team: Team
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of log-probabilities and number of scored tokens, per sequence."""
    device = device_of(model)
    sums = np.zeros(len(scored.input_ids))
    counts = np.zeros(len(scored.input_ids), dtype=np.int64)

    def run(rows: np.ndarray) -> None:
        sums[rows], counts[rows] = _score_rows(model, scored, rows, dtype, device)

    with evaluating(model):
        run_in_batches(model, [len(ids) for ids in scored.input_ids], run, alive, team)
    for their_sums, their_counts in team.gather((sums, counts)):
        scored_there = their_counts > 0
        sums[scored_there], counts[scored_there] = (
            their_sums[scored_there],
            their_counts[scored_there],
        )
    return sums, counts


def _score_rows(
    model: Any, scored: Scored, rows: np.ndarray, dtype: torch.dtype, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    autocast = torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)
    batch = pad_rows([scored.input_ids[r] for r in rows], [scored.labels[r] for r in rows])
    on_device = {name: tensor.to(device) for name, tensor in batch.items()}
    # no_grad, not inference_mode: some rotary embeddings grow buffers in a forward, and training
    # cannot use a buffer that was made in inference mode.
    with scoring_head(model) as scoring, torch.no_grad(), autocast:
        out = scoring(**on_device, fused_lm_head=True)
        return out.log_probs.double().sum(1).cpu().numpy(), out.label_mask.sum(1).cpu().numpy()
