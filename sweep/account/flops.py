"""What training and evaluating costs, in FLOPs of the forward and backward matrix products.

6 N a token in full fine-tuning, 4 N where only adapters are trained (no weight gradients of the
base), 2 N for a forward pass alone; N parameters, tied ones counted once, attention not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trainer.contract.metrics import extent_of

CARD = "one 80 GB card (an H100 at 40 % of its bfloat16 peak; small models reach less)"
CARD_FLOPS_PER_S = 0.4 * 989e12


def train_flops(tuning: str, num_params: int, input_tokens: float) -> float:
    """FLOPs of training on so many tokens: 6 per parameter and token, with LoRA 4."""
    return (4.0 if tuning == "lora" else 6.0) * num_params * input_tokens


def eval_flops(num_params: int, input_tokens: float) -> float:
    """FLOPs of a forward pass over so many tokens: 2 per parameter and token."""
    return 2.0 * num_params * input_tokens


def eval_tokens(metrics: Iterable[str], facts: Mapping[str, Any]) -> int:
    """Tokens of one evaluation of all the metrics."""
    extents = (extent_of(metric, facts) for metric in metrics)
    return sum(extent.input_tokens for extent in extents if extent is not None)
