"""What runs side by side on a machine: slots, their GPUs and their threads."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.driver.slots import make_slots
from tests.support.studies import make_study
from trainer.contract.spec import UserError


def slots(
    gpus: list[str], *, cores: int = 16, parallel: str = "none", **run: Any
) -> tuple[list[str | None], int]:
    """CUDA_VISIBLE_DEVICES of each slot, and the threads of a process."""
    study = make_study(model={"parallel": parallel}, run=run)
    made, threads = make_slots(study, gpus, cores)
    assert [slot.index for slot in made] == list(range(len(made)))
    assert {slot.env["OMP_NUM_THREADS"] for slot in made} == {str(threads)}
    return [slot.env.get("CUDA_VISIBLE_DEVICES") for slot in made], threads


FOUR = ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("gpus", "run", "devices", "threads"),
    [
        ([], {}, [None], 16),
        ([], {"workers": 3}, [None] * 3, 5),
        ([], {"workers": 100}, [None] * 100, 1),
        (["7"], {}, ["7"], 16),
        (FOUR, {}, FOUR, 4),
        (FOUR, {"workers": 2}, ["0", "1"], 8),
        (["0", "1"], {"workers": 3}, ["0", "1", "0"], 5),
        # several processes to a trial
        ([], {"processes_per_trial": 2}, [None], 8),
        ([], {"processes_per_trial": 2, "workers": 2}, [None] * 2, 4),
        (FOUR, {"processes_per_trial": 2}, ["0,1", "2,3"], 4),
        (FOUR, {"processes_per_trial": 4}, ["0,1,2,3"], 4),
        (FOUR, {"processes_per_trial": 3}, ["0,1,2"], 5),  # one is left over
        (["a", "b", "c"], {"processes_per_trial": 2, "workers": 2}, ["a,b", "c,a"], 4),
    ],
)
def test_each_trial_gets_its_gpus_and_its_share_of_the_cores(
    gpus: list[str], run: dict[str, Any], devices: list[str | None], threads: int
) -> None:
    parallel = "ddp" if "processes_per_trial" in run else "none"
    assert slots(gpus, parallel=parallel, **run) == (devices, threads)


@pytest.mark.parametrize(
    ("gpus", "parallel", "processes", "says"),
    [
        (["0"], "ddp", 2, "2 processes need 2 GPUs, and 1 GPU is visible here; at most 1 would"),
        (FOUR, "fsdp", 8, "8 processes need 8 GPUs, and 4 GPUs are visible"),
        ([], "fsdp", 2, "FSDP needs accelerators, .*; on the CPU use ddp"),
    ],
)
def test_a_machine_with_too_few_gpus_is_refused(
    gpus: list[str], parallel: str, processes: int, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        slots(gpus, parallel=parallel, processes_per_trial=processes)
