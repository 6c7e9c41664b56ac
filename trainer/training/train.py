"""TRL's SFTTrainer, made to see the whole effective batch at once, to observe it and to obey.

The data loader yields this process's part of the effective batch of each optimizer step, and
`training_step` splits it. So the split is this file's own business, and the loss is the exact mean
over the tokens of the whole batch, whatever the split and however many processes there are.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor

from predictor.types import Observation, Verdict
from trainer.contract.spec import Stop, TrialSpec, UserError
from trainer.data.batches import (
    Batch,
    Rows,
    StepSampler,
    collate,
    concatenate,
    micro_batch_size,
    num_loss_tokens,
    split,
    step_loader,
)
from trainer.model.fit import FitMemory, empty_cache, is_out_of_memory
from trainer.model.head import give_log_probs_alone
from trainer.model.random_state import random_state, restore_random_state
from trainer.model.saving import save_weights
from trainer.model.switches import is_flash, is_padding_free
from trainer.model.team import Team
from trainer.training.checkpoint import Progress
from trainer.training.config import make_order
from trainer.training.link import Ordered
from trainer.training.micro_batch import choose_micro_batch
from trainer.training.observe import (
    GradientMeter,
    clip_gradients,
    separate_noise,
    total_squared_norm,
)
from trainer.trl_private import OpenTrainer

ADAMW_STATE_BYTES = 8  # per trainable parameter: two moments in float32


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the trial wants to be called for."""

    alive: Callable[[str], None]  # raises Ordered where an order has come
    before_step: Callable[[], None]  # weights and random state are those of the step to come
    give_up_step: Callable[[Verdict | Stop], None]  # as before it; raises Halted
    after_step: Callable[[Observation], None]  # optimizer and schedule have moved on


class ObservedTrainer(OpenTrainer):
    """A trainer that observes each step. `progress` counts a trial's tokens, of all processes."""

    def __init__(
        self,
        spec: TrialSpec,
        rows: Rows,
        hooks: Hooks,
        progress: Progress,
        first_step: int,
        team: Team,
        **sft: Any,
    ) -> None:
        super().__init__(**sft)
        give_log_probs_alone(self.model)
        self._spec, self._rows, self._hooks, self._progress = spec, rows, hooks, progress
        self._first_step, self._team = first_step, team
        self._order = make_order(spec, rows)
        self._flash = is_flash(self.model)
        self._padding_free = is_padding_free(spec.model, self.model)
        self._fit = FitMemory(spec)
        self._largest_micro_batch: int | None = None  # not known before the first step
        self._meter: GradientMeter | None = None  # sharding replaces the parameters
        self._micro_sq: tuple[float, float] | None = None  # noise-free and noise part of |g_B|^2
        self._step_began = 0.0

    def get_train_dataloader(self) -> torch.utils.data.DataLoader:
        """This process's part of each step's batch, from `first_step` on."""
        spec, team = self._spec, self._team
        steps = StepSampler(self._order, self._first_step, spec.num_steps, team.rank, team.size)
        return step_loader(self._rows, steps, pin_memory=self.args.dataloader_pin_memory)

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The library's batches, once the step has begun; a new phase may reset the optimizer."""
        self._hooks.before_step()
        step = self.state.global_step
        begins_phase = step > 0 and self._order.phase(step) != self._order.phase(step - 1)
        if begins_phase and self._spec.reset_optimizer:
            optimizer: Any = self.optimizer
            optimizer.state.clear()
        self._step_began = time.perf_counter()
        return super().get_batch_samples(*args, **kwargs)

    def training_step(
        self, model: Any, inputs: Batch, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The whole batch's mean token loss; its gradient is added up micro-batch by micro-batch.

        Where memory runs out the step begins again with micro-batches of half the size. On several
        processes that is for whoever launched them: the others wait for this one's gradients.
        """
        model.train()
        if self._largest_micro_batch is None:
            self._settle_in(model)
        assert self._largest_micro_batch is not None
        in_window = self.state.global_step < self._spec.window_steps
        while True:
            size = micro_batch_size(
                self._spec.batch_size, self._team.size, self._largest_micro_batch, in_window
            )
            before = random_state()
            try:
                return self._accumulate(model, inputs, num_items_in_batch, size, in_window)
            except Ordered as ordered:
                model.zero_grad()
                restore_random_state(before)
                self._hooks.give_up_step(ordered.order)
                raise
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                self._fit.it_fails(size)
                if size == 1 or self._team.size > 1:
                    raise
            # Out of the except clause: the error held on to what the step had in memory.
            model.zero_grad()
            empty_cache(self.args.device)
            restore_random_state(before)
            self._largest_micro_batch = size // 2

    def _settle_in(self, model: Any) -> None:
        """What can be known only once the model is wrapped for its processes."""
        spec, kind = self._spec, self.accelerator.distributed_type
        if spec.model.parallel == "fsdp" and kind != DistributedType.FSDP:
            raise UserError(
                f"model.parallel: fsdp was asked for and the library made {kind.value} of it; "
                "FSDP needs accelerators, on the CPU use ddp"
            )
        self._meter = GradientMeter(model.parameters())
        self._largest_micro_batch = choose_micro_batch(
            spec,
            self._fit,
            self._team,
            (lambda size: self._try_size(model, size)) if self._can_search() else None,
        )

    def _can_search(self) -> bool:
        """On the CPU what is too much kills the process; FSDP's processes would all have to run out
        of memory at the same moment, as they work on every layer together."""
        is_sharded = self.accelerator.distributed_type == DistributedType.FSDP
        return self.args.device.type != "cpu" and not is_sharded

    def _try_size(self, model: Any, size: int) -> None:
        """A micro-batch of the longest row, with room for what the optimizer will hold."""
        longest = self._rows[self._rows.longest()]
        batch = collate([(longest[0], longest[0])] * size)  # loss on every token
        before = random_state()
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
        room = torch.empty(
            ADAMW_STATE_BYTES * trainable, dtype=torch.uint8, device=self.args.device
        )
        try:
            with self.accelerator.no_sync(model):
                self._add_gradient(model, batch, torch.tensor(num_loss_tokens(batch)))
        finally:
            del room
            model.zero_grad()
            restore_random_state(before)

    def _accumulate(
        self, model: Any, batch: Batch, num_items: torch.Tensor, size: int, in_window: bool
    ) -> torch.Tensor:
        micro_batches = split(batch, size, by_length=not in_window)
        # The loss averages a mixture-of-experts model's auxiliary loss over these.
        self.current_gradient_accumulation_steps = len(micro_batches)
        assert self._meter is not None
        self._meter.watch(in_window)
        loss = torch.zeros((), device=self.args.device)
        for index, micro_batch in enumerate(micro_batches):
            is_last = index == len(micro_batches) - 1
            with contextlib.nullcontext() if is_last else self.accelerator.no_sync(model):
                loss += self._add_gradient(model, micro_batch, num_items)
            self._hooks.alive("training")
        self._count(batch, [num_loss_tokens(micro) for micro in micro_batches])
        return loss

    def _add_gradient(self, model: Any, batch: Batch, num_items: torch.Tensor) -> torch.Tensor:
        if self._padding_free:
            batch = concatenate(batch, with_lengths=self._flash)
        inputs = self.on_device(batch)
        with self.compute_loss_context_manager(), self.forward_context():
            part = self.compute_loss(model, inputs, num_items_in_batch=num_items)
            self.accelerator.backward(part)
        return part.detach()

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Summed token loss / tokens of the whole batch, times the processes that the gradient is
        averaged over: TRL's, without its extra metrics, each a wait for the device."""
        assert not return_outputs
        router_share = self.router_share()
        if router_share is not None:
            inputs["output_router_logits"] = True
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)
        num_items = torch.as_tensor(num_items_in_batch).clamp(min=1).to(outputs.log_probs.device)
        loss = -outputs.log_probs.sum() / num_items * self._team.size
        if router_share is not None:
            share = router_share / self.current_gradient_accumulation_steps
            loss = loss + share * outputs.aux_loss
        return loss

    def _count(self, batch: Batch, loss_tokens: list[int]) -> None:
        """Add the step's tokens up over the processes, and take the noise out of its gradient."""
        assert self._meter is not None
        total_sq, sum_micro_sq = self._meter.read() if self._meter.attached else (0.0, 0.0)
        parts = self._team.gather((int(batch["attention_mask"].sum()), loss_tokens, sum_micro_sq))
        counts = [count for _, own, _ in parts for count in own]
        self._progress.input_tokens += sum(input_tokens for input_tokens, _, _ in parts)
        self._progress.loss_tokens += sum(counts)
        self._micro_sq = None
        if self._meter.attached:
            # Each process's loss was multiplied by their number: see compute_loss.
            sum_micro_sq = sum(own for _, _, own in parts) / self._team.size**2
            scaler = self.accelerator.scaler  # float16: the gradients carry the loss scale
            scale = 1.0 if scaler is None else scaler.get_scale()
            self._micro_sq = separate_noise(total_sq, sum_micro_sq, counts, scale)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Takes the place of the library's logging: nothing is printed or kept, all is observed."""
        seconds = time.perf_counter() - self._step_began
        self.forget_metrics()
        self.control.should_log = False
        if "grad_norm" not in logs:
            return  # the summary at the end
        noise_free, noise = self._micro_sq or (None, None)
        if noise_free is not None and not math.isfinite(noise_free):
            noise_free, noise = None, None  # float16: a skipped step measures nothing
        step = self.state.global_step
        self._hooks.after_step(
            Observation(
                step=step,
                samples_seen=step * self._spec.batch_size,
                input_tokens_seen=self._progress.input_tokens,
                loss_tokens_seen=self._progress.loss_tokens,
                loss=logs["loss"],
                grad_norm=logs["grad_norm"],
                lr=logs["learning_rate"],
                seconds=seconds,
                grad_sq_noise_free=noise_free,
                grad_sq_noise=noise,
                phase=self._order.phase(step - 1),
            )
        )

    def is_overflow(self, observation: Observation) -> bool:
        """Whether the step was skipped to lower float16's loss scale, which is no divergence."""
        skipped = self.accelerator.optimizer_step_was_skipped
        return bool(skipped) and math.isfinite(observation.loss)

    def own_norm(self, model: Any) -> torch.Tensor | None:
        """The norm where the library's is off, else None: on the CPU by 0.1 % for a large tensor
        (see squared_norm); of sharded gradients several tools have logged a part."""
        is_sharded = any(isinstance(one.grad, DTensor) for one in model.parameters())
        if self.args.device.type != "cpu" and not is_sharded:
            return None
        return total_squared_norm(model.parameters()).sqrt()

    def clip(self, model: Any, norm: torch.Tensor) -> None:
        """The gradients, whose norm is `norm`, are scaled down to args.max_grad_norm."""
        clip_gradients(model.parameters(), self.args.max_grad_norm, norm)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Always 0: compute is counted in tokens by whoever reads the observations."""
        return 0

    def write_weights(self, folder: Path, state_dict: dict[str, Any] | None) -> None:
        """The weights that `from_pretrained` reads are in `folder`."""
        save_weights(self.model, folder, state_dict)

    def whole_state_dict(self) -> dict[str, Any] | None:
        """Weights put together from their shards; all processes call it. None without shards."""
        if self.accelerator.distributed_type != DistributedType.FSDP:
            return None
        return self.accelerator.get_state_dict(self.model)
