"""Everything a trial imports, imported once by the process that all trials are forked from.

Import side effects only: no CUDA call, no matrix product, no tokeniser, no data set. Threads and
device contexts do not survive a fork.
"""

# ruff: noqa: F401
from __future__ import annotations

import trainer.contract.environment  # isort: split

import accelerate
import datasets
import peft
import safetensors.torch
import torch
import torch.optim.adamw
import transformers
import transformers.models.auto.modeling_auto
import trl.trainer.sft_config
import trl.trainer.sft_trainer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

import trainer.prepare
import trainer.training.trial
