"""TRL's fused language-model head, made to score only the positions that carry a label.

Without Triton it projects every position onto the vocabulary and then throws most of them away; the
code that picks the labelled ones first is there, but is taken on Triton devices alone. (TRL avoids
it on accelerators that compile for each shape; a CPU does not.) The answer is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trl.trainer import utils

from trainer.trl_private import score_labelled_positions_only


def give_log_probs_alone(model: Any) -> None:
    """A model that TRL has prepared gives log-probabilities alone: its extra outputs, entropy and
    accuracy, cost time."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    utils.add_fused_lm_head(base, outputs=("log_probs",))


@contextmanager
def scoring_head(model: Any) -> Iterator[Any]:
    """The model whose forward gives log-probabilities of the labels without the full logits.

    It is the head that the training loss comes from, without that one's extra outputs; the forward
    that was there is put back.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = base.__dict__.get("forward")
    utils.add_fused_lm_head(base, outputs=("log_probs",))
    try:
        yield model  # a wrapper is called, not what it wraps: it may have weights to bring together
    finally:
        if before is None:
            del base.forward
        else:
            base.forward = before


score_labelled_positions_only()
