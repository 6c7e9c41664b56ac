"""TRL's SFTTrainer, made to see the whole effective batch at once, to observe it and to obey.

The data loader yields the full effective batch of each optimizer step; `training_step` splits it,
so the split is this file's own business and the loss is the exact mean over the batch's tokens.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from predictor.types import Observation
from trainer.batches import (
    DEFAULT_MICRO_BATCH,
    Order,
    Rows,
    StepSampler,
    collate,
    micro_batch_size,
    split,
)
from trainer.checkpoint import Progress
from trainer.observe import GradientMeter, noise_free_sq, total_squared_norm
from trainer.spec import TrialSpec
from trainer.tokenise import IGNORED

_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the trial wants to be called for."""

    alive: Callable[[str], None]
    before_step: Callable[[], None]  # weights and random state are those of the step to come
    after_step: Callable[[Observation], None]  # optimizer and schedule have moved on


def sft_config(spec: TrialSpec, output_dir: Path, device: torch.device) -> SFTConfig:
    """Every setting that matters, none left to a default."""
    with warnings.catch_warnings():
        # TRL still calls it gradient_checkpointing, which transformers warns about.
        warnings.simplefilter("ignore", FutureWarning)
        return SFTConfig(
            output_dir=str(output_dir),
            per_device_train_batch_size=spec.batch_size,  # all of it; see training_step
            gradient_accumulation_steps=1,
            max_steps=spec.num_steps,  # the full horizon always: the schedule hangs on it
            learning_rate=spec.learning_rate,
            lr_scheduler_type=_SCHEDULES[spec.schedule],
            warmup_steps=spec.warmup_steps,
            optim="adamw_torch_fused" if device.type == "cuda" else "adamw_torch",
            adam_beta1=spec.beta1,
            adam_beta2=spec.beta2,
            adam_epsilon=1e-8,
            weight_decay=spec.weight_decay,
            max_grad_norm=spec.clip,  # 0: none, and the norm is still measured
            bf16=spec.model.dtype == "bfloat16",
            fp16=spec.model.dtype == "float16",
            gradient_checkpointing=spec.model.gradient_checkpointing,
            use_cpu=device.type == "cpu",
            seed=spec.seed,
            data_seed=spec.seed,
            loss_type="nll",
            packing=False,
            padding_free=False,
            max_length=None,  # prepared already
            dataset_kwargs={"skip_prepare_dataset": True},
            remove_unused_columns=False,
            shuffle_dataset=False,
            average_tokens_across_devices=True,
            dataloader_num_workers=0,
            dataloader_pin_memory=device.type == "cuda",
            logging_strategy="steps",
            logging_steps=1,
            logging_nan_inf_filter=False,  # its default shows a NaN loss as 0
            save_strategy="no",  # the trial says when
            eval_strategy="no",
            ignore_data_skip=True,  # the sampler starts where it should
            report_to="none",
            disable_tqdm=True,
        )


class ObservedTrainer(SFTTrainer):
    """One process. `progress` counts tokens over the trial's whole life."""

    def __init__(
        self,
        spec: TrialSpec,
        rows: Rows,
        hooks: Hooks,
        progress: Progress,
        first_step: int,
        **sft: Any,
    ) -> None:
        super().__init__(**sft)
        self.remove_callback(PrinterCallback)
        self.processing_class = None  # it was needed by the constructor alone; see blank_tokenizer
        self._spec, self._rows, self._hooks, self._progress = spec, rows, hooks, progress
        self._first_step = first_step
        self._largest_micro_batch = spec.micro_batch or DEFAULT_MICRO_BATCH
        # TRL's loss takes the number of tokens whatever the model's own forward takes.
        self.model_accepts_loss_kwargs = True
        assert self.model is not None
        self._meter = GradientMeter(self.model.parameters())
        self._micro_sq: tuple[float, float] | None = None  # noise-free and noise part of |g_B|^2
        self._step_began = 0.0

    def get_train_dataloader(self) -> torch.utils.data.DataLoader:
        order = Order(len(self._rows), self._spec.batch_size, self._spec.seed)
        return torch.utils.data.DataLoader(
            self._rows,
            batch_sampler=StepSampler(order, self._first_step, self._spec.num_steps),
            collate_fn=collate,
            pin_memory=self.args.dataloader_pin_memory,
            # Its own generator: making the iterator draws a number, which must not come from the
            # global state that a resumed trial has just restored.
            generator=torch.Generator(),
        )

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        self._hooks.before_step()
        self._step_began = time.perf_counter()
        return super().get_batch_samples(*args, **kwargs)

    def training_step(
        self, model: Any, inputs: dict[str, torch.Tensor], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Gradient of the whole batch's mean token loss, one micro-batch at a time."""
        model.train()
        in_window = self.state.global_step < self._spec.window_steps
        self._watch(in_window)
        size = micro_batch_size(self._spec.batch_size, self._largest_micro_batch, in_window)
        micro_batches = split(inputs, size)
        # TRL averages a mixture-of-experts model's auxiliary loss over these.
        self.current_gradient_accumulation_steps = len(micro_batches)
        loss = torch.zeros((), device=self.args.device)
        for micro_batch in micro_batches:
            on_device = self._prepare_inputs(micro_batch)
            with self.compute_loss_context_manager(), self.maybe_activation_offload_context:
                part = self.compute_loss(model, on_device, num_items_in_batch=num_items_in_batch)
                self.accelerator.backward(part)
            loss += part.detach()
            self._hooks.alive("training")
        counts = [int((micro["labels"][:, 1:] != IGNORED).sum()) for micro in micro_batches]
        self._progress.input_tokens += int(inputs["attention_mask"].sum())
        self._progress.loss_tokens += sum(counts)
        self._micro_sq = self._separate_noise(counts) if in_window else None
        return loss

    def _watch(self, in_window: bool) -> None:
        if in_window and not self._meter.attached:
            self._meter.attach()
        elif not in_window:
            self._meter.detach()
        self._meter.reset()

    def _separate_noise(self, counts: list[int]) -> tuple[float, float] | None:
        total_sq, sum_micro_sq = self._meter.read()
        scaler = self.accelerator.scaler
        if scaler is not None:  # float16: the gradients carry the loss scale
            scale_sq = scaler.get_scale() ** 2
            total_sq, sum_micro_sq = total_sq / scale_sq, sum_micro_sq / scale_sq
        shares = [count / sum(counts) for count in counts]
        noise_free = noise_free_sq(total_sq, sum_micro_sq, shares)
        return None if noise_free is None else (noise_free, total_sq - noise_free)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Takes the place of the library's logging: nothing is printed or kept, all is observed."""
        seconds = time.perf_counter() - self._step_began
        for metrics in self._metrics.values():
            metrics.clear()
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
            )
        )

    def is_overflow(self, observation: Observation) -> bool:
        """float16 only: the step was skipped to lower the loss scale, which is no divergence."""
        skipped = self.accelerator.optimizer_step_was_skipped
        return bool(skipped) and math.isfinite(observation.loss)

    def _clip_grad_norm(self, model: Any) -> Any:
        if self.args.device.type != "cpu":
            return super()._clip_grad_norm(model)
        norm = self._get_grad_norm(model)
        torch.nn.utils.clip_grads_with_norm_(model.parameters(), self.args.max_grad_norm, norm)
        return norm

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        # On the CPU torch's own norm of a large tensor is 0.1 % off; see squared_norm.
        if grad_norm is not None or self.args.device.type != "cpu":
            return super()._get_grad_norm(model, grad_norm)
        return total_squared_norm(model.parameters()).sqrt()

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        return 0  # compute is counted in tokens by whoever reads the observations

    def save_checkpoint(self) -> None:
        """Everything to go on from, into output_dir/checkpoint-STEP, without TRL's model card."""
        assert self.model is not None
        Trainer._save_checkpoint(self, self.model, trial=None)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        assert output_dir is not None
        save_weights(self.model, Path(output_dir))

    def load_weights(self, checkpoint: Path) -> None:
        self._load_from_checkpoint(str(checkpoint))


def save_weights(model: Any, folder: Path) -> None:
    """The model as `from_pretrained` reads it, safetensors only; of LoRA the adapter alone."""
    if hasattr(model, "peft_config"):
        # "auto" would ask the Hub whether the base's vocabulary has changed.
        model.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)
    else:
        model.save_pretrained(folder)


def blank_tokenizer() -> Any:
    """SFTTrainer wants a tokenizer though the data are tokenised; the real one loads slowly."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"</s>": 0}, unk_token="</s>")),
        eos_token="</s>",
        pad_token="</s>",
    )
