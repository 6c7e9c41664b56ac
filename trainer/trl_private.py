"""Every private name of TRL and transformers that the trainer uses, under names of its own.

tests/trainer/test_trl_private.py tries what is taken for granted of each.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer
from trl.trainer import utils
from trl.trainer.sft_trainer import SFTTrainer


def score_labelled_positions_only() -> None:
    """TRL's fused head picks the positions with a label before it projects them, on a CPU too. For
    the rest of this process: the kernels decide by a name of their own what they run on."""
    takes_triton_path: Callable[[torch.device], bool] = utils._use_triton  # pyright: ignore

    def picks_first(device: torch.device) -> bool:
        return device.type == "cpu" or takes_triton_path(device)

    utils._use_triton = picks_first  # pyright: ignore


class OpenTrainer(SFTTrainer):
    """An SFTTrainer whose steps, norms and files are its subclass's business."""

    def __init__(self, **sft: Any) -> None:
        super().__init__(**sft)
        self.remove_callback(PrinterCallback)
        # TRL's loss takes the number of tokens whatever the model's own forward takes.
        self.model_accepts_loss_kwargs = True

    def own_norm(self, model: Any) -> torch.Tensor | None:
        """The norm of all gradients, before clipping; None: the library is to measure and clip."""
        raise NotImplementedError

    def clip(self, model: Any, norm: torch.Tensor) -> None:
        """The gradients, whose norm is `norm`, are scaled down to args.max_grad_norm."""
        raise NotImplementedError

    def write_weights(self, folder: Path, state_dict: dict[str, Any] | None) -> None:
        """The weights are in `folder`, as part of a checkpoint; `state_dict` where they are
        sharded."""
        raise NotImplementedError

    def on_device(self, batch: Any) -> Any:
        """The tensors of a batch, moved to where the model is."""
        return self._prepare_inputs(batch)

    def forward_context(self) -> AbstractContextManager[Any]:
        """What the library enters around a forward and its backward, beside autocast."""
        return self.maybe_activation_offload_context

    def router_share(self) -> float | None:
        """Weight of a mixture-of-experts model's auxiliary loss; None of other models."""
        return self.router_aux_loss_coef if self.aux_loss_enabled else None

    def forget_metrics(self) -> None:
        """Drop what the library has collected for its own log."""
        for metrics in self._metrics.values():
            metrics.clear()

    def write_checkpoint(self) -> None:
        """Everything to go on from is in output_dir/checkpoint-STEP, without TRL's model card."""
        assert self.model is not None
        Trainer._save_checkpoint(self, self.model, trial=None)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        assert output_dir is not None
        self.write_weights(Path(output_dir), state_dict)

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = self.own_norm(model)
        if norm is None:
            return super()._clip_grad_norm(model)
        self.clip(model, norm)
        return norm

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        if grad_norm is None and (norm := self.own_norm(model)) is not None:
            return norm
        return super()._get_grad_norm(model, grad_norm)
