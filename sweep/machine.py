"""What this machine can run side by side, found without torch: the driver never imports it."""

from __future__ import annotations

import os
import shutil
import subprocess

from sweep.executors import Slot


def gpu_ids() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may hold here; [] without NVIDIA GPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    gpus = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(gpus))]


def make_slots(workers: int | None, gpus: list[str], cores: int) -> tuple[list[Slot], int]:
    """The slots, and how many CPU threads a trial in one may use.

    `workers` None: one per GPU, else one CPU slot with all cores. More than there are GPUs share
    them.
    """
    count = workers or max(1, len(gpus))
    threads = max(1, cores // count)
    slots: list[Slot] = []
    for index in range(count):
        env = {"OMP_NUM_THREADS": str(threads)}
        if gpus:
            env["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
        slots.append(Slot(index, env))
    return slots, threads
