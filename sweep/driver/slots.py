"""What this machine can run side by side, found without torch: the driver never imports it."""

from __future__ import annotations

import os
import shutil
import subprocess

from sweep.config.study import Study
from sweep.executors import Slot
from trainer.contract.spec import UserError

LIST_S = 20.0  # a driver that hangs would hold up every start


def gpu_ids() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may hold here; [] without NVIDIA GPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(index) for index in range(len(listed_gpus()))]


def listed_gpus() -> list[str]:
    """`GPU 0: NAME (UUID: ...)`, a line for each; [] also where the driver does not answer."""
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=LIST_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]


def make_slots(study: Study, gpus: list[str], cores: int) -> tuple[list[Slot], int]:
    """The slots, and how many CPU threads each process of a trial in one may use.

    A trial has as many GPUs as processes. `run.workers` auto: as many trials as have GPUs of their
    own, else one on all cores; more than that share them. UserError where the machine has too few.
    """
    processes = study.run.processes_per_trial
    _check_gpus(study, len(gpus))
    workers = study.run.workers
    count = max(1, len(gpus) // processes) if workers == "auto" else workers
    threads = max(1, cores // (count * processes))
    slots: list[Slot] = []
    for index in range(count):
        env = {"OMP_NUM_THREADS": str(threads)}
        if gpus:
            first = index * processes
            own = [gpus[(first + rank) % len(gpus)] for rank in range(processes)]
            env["CUDA_VISIBLE_DEVICES"] = ",".join(own)
        slots.append(Slot(index, env))
    return slots, threads


def _check_gpus(study: Study, num_gpus: int) -> None:
    processes = study.run.processes_per_trial
    if num_gpus == 0 and study.model.parallel == "fsdp":
        raise UserError(
            "model.parallel: FSDP needs accelerators, and none is visible here; on the CPU use ddp"
        )
    if 0 < num_gpus < processes:
        there = "1 GPU is" if num_gpus == 1 else f"{num_gpus} GPUs are"
        raise UserError(
            f"run.processes_per_trial: {processes} processes need {processes} GPUs, and {there} "
            f"visible here; at most {num_gpus} would do"
        )
