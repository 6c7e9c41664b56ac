"""A trial's spec as TRL's settings, and as the order of its samples."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from trl.trainer.sft_config import SFTConfig

from trainer.contract.spec import TrialSpec
from trainer.data.batches import Order, Phased, Rows, Stacked

SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}


def sft_config(spec: TrialSpec, output_dir: Path, device: torch.device) -> SFTConfig:
    """Every setting that matters, none left to a default."""
    with warnings.catch_warnings():
        # TRL still calls it gradient_checkpointing, which transformers warns about.
        warnings.simplefilter("ignore", FutureWarning)
        return SFTConfig(
            output_dir=str(output_dir),
            per_device_train_batch_size=spec.batch_size // spec.processes,  # see training_step
            gradient_accumulation_steps=1,
            max_steps=spec.num_steps,  # the full horizon always: the schedule hangs on it
            learning_rate=spec.learning_rate,
            lr_scheduler_type=SCHEDULES[spec.schedule],
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
            fsdp=spec.model.parallel == "fsdp",  # pyright: ignore[reportArgumentType]
            fsdp_config={"version": 2} if spec.model.parallel == "fsdp" else None,
            ddp_find_unused_parameters=False,
            save_strategy="no",  # the trial says when
            eval_strategy="no",
            ignore_data_skip=True,  # the sampler starts where it should
            report_to="none",
            disable_tqdm=True,
        )


def make_order(spec: TrialSpec, rows: Rows) -> Order:
    """Which rows each optimizer step sees."""
    if spec.strategy == "stacked":
        return Stacked(len(rows), spec.batch_size, spec.seed)
    return Phased(rows.phase_sizes, spec.batch_size, spec.num_steps, spec.seed, spec.replay)
