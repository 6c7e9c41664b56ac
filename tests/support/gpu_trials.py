"""Trials on another device, or in less memory, than the machine has: entry points.

Nothing here may ask for the GPUs when it is imported: the answer would be kept.
"""

from __future__ import annotations

import json
import os
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from trainer.contract.spec import TrialSpec
from trainer.worker import run_trial

PEAK = "peak_bytes.json"  # in the trial's folder


def run_on_cpu(spec: TrialSpec, channel: Connection) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    assert not torch.cuda.is_available()
    run_trial(spec, channel)


def run_and_tell_peak(spec: TrialSpec, channel: Connection) -> None:
    """Its most memory, in bytes that torch had reserved at once, goes into the trial's folder."""
    run_trial(spec, channel)
    (Path(spec.trial_dir) / PEAK).write_text(json.dumps(torch.cuda.max_memory_reserved()))


def run_in_memory(limited: tuple[TrialSpec, int], channel: Connection) -> None:
    """On a GPU of so many bytes."""
    spec, limit_bytes = limited
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(limit_bytes / whole)
    run_trial(spec, channel)
