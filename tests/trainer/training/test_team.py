"""One trial on several processes: the same numbers, the same stops, and no process left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from predictor.types import Observation, Verdict
from tests import ROOT
from tests.support.stopping_trials import run_and_stop_while
from tests.support.trial_events import curve, of
from trainer.contract.spec import (
    Checkpointed,
    Failed,
    Finished,
    ModelSpec,
    Started,
    Stepped,
    Stop,
    Stopped,
    TrialSpec,
    VerdictWanted,
)
from trainer.worker import run_trial

Drive = Callable[..., list[Any]]
pytestmark = pytest.mark.slow


@pytest.fixture
def spec(tiny_model: Path, data_dir: Path, tmp_path: Path) -> TrialSpec:
    return TrialSpec(
        number=0,
        seed=1,
        model=ModelSpec(str(tiny_model), dtype="float32"),
        data_dir=str(data_dir),
        trial_dir=str(tmp_path / "trial"),
        batch_size=16,
        budget_samples=128,
        window_samples=48,
        metrics=("eval_loss",),
        early_eval=8,
        learning_rate=3e-3,
        schedule="cosine",
        warmup_ratio=0.2,
        weight_decay=0.1,
        micro_batch=4,
        num_threads=1,
    )


def on(spec: TrialSpec, processes: int, **changes: Any) -> TrialSpec:
    model = replace(spec.model, parallel="ddp" if processes > 1 else "none")
    return replace(spec, processes=processes, model=model, **changes)


def test_any_number_of_processes_gives_the_same_trial(
    drive_forked: Drive, spec: TrialSpec, tmp_path: Path
) -> None:
    runs = {
        count: drive_forked(run_trial, on(spec, count, trial_dir=str(tmp_path / str(count))))
        for count in (1, 2, 4)
    }
    alone = curve(runs[1])
    assert len(alone) == 8
    for count in (2, 4):
        together = curve(runs[count])
        assert [o.step for o in together] == [o.step for o in alone]
        for one, other in zip(alone, together, strict=True):
            assert other.loss == pytest.approx(one.loss, rel=1e-4)
            assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-4)
            assert other.loss_tokens_seen == one.loss_tokens_seen
            assert other.input_tokens_seen == one.input_tokens_seen
            if one.step <= spec.window_steps:
                assert one.grad_sq_noise_free is not None
                assert other.grad_sq_noise_free == pytest.approx(one.grad_sq_noise_free, rel=1e-4)
            else:
                assert other.grad_sq_noise_free is None
        (early, own), (ended, end) = (
            (of(VerdictWanted, runs[k])[0].early["eval_loss"].value for k in (1, count)),
            (of(Finished, runs[k])[0].measurements["eval_loss"].value for k in (1, count)),
        )
        assert own == pytest.approx(early, rel=1e-5) and end == pytest.approx(ended, rel=1e-4)
        assert Path(of(Finished, runs[count])[0].model_dir, "model.safetensors").is_file()


def test_a_prune_reaches_all_processes_at_the_same_step(
    drive_forked: Drive, spec: TrialSpec
) -> None:
    def prune(event: Any) -> Any:
        return Verdict("prune", "rank", "a test") if isinstance(event, VerdictWanted) else None

    events = drive_forked(run_trial, on(spec, 2), prune)
    assert events[-1] == Stopped(spec.window_steps)
    assert [o.step for o in curve(events)] == [1, 2, 3]


def test_a_trial_of_two_processes_goes_on_where_it_was_stopped(
    drive_forked: Drive, spec: TrialSpec, tmp_path: Path
) -> None:
    def stop_at_5(event: Any) -> Any:
        if isinstance(event, VerdictWanted):
            return Verdict("continue", "none", "a test")
        is_fifth = isinstance(event, Stepped) and event.observation.step == 5
        return Stop(checkpoint=True) if is_fifth else None

    lora = replace(spec.model.lora, rank=4, dropout=0.2)
    two = on(spec, 2)
    two = replace(two, model=replace(two.model, tuning="lora", lora=lora))
    whole = curve(drive_forked(run_trial, replace(two, trial_dir=str(tmp_path / "whole"))))
    first = drive_forked(run_trial, two, stop_at_5)
    assert isinstance(first[-1], Stopped) and of(Checkpointed, first)
    rest = drive_forked(run_trial, two)
    began = of(Started, rest)[0].step
    assert began == first[-1].step
    for one, other in zip(whole[began:], curve(rest), strict=True):
        assert (other.step, other.loss_tokens_seen) == (one.step, one.loss_tokens_seen)
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-5)


def test_two_processes_park_together_at_each_look(
    drive_forked: Drive, spec: TrialSpec, tmp_path: Path
) -> None:
    """And at the second on the checkpoint of a Stop that came before the verdict."""
    lora = replace(spec.model.lora, rank=4, dropout=0.2)
    two = on(spec, 2, looks=(64, 96), checkpoint_every_s=1e9)
    two = replace(two, model=replace(two.model, tuning="lora", lora=lora))
    expected = drive_forked(run_trial, replace(two, trial_dir=str(tmp_path / "whole")))
    assert [one.step for one in of(VerdictWanted, expected)] == [3, 4, 6]
    park, stop = Verdict("park", "none", "a test"), Stop(checkpoint=True)
    stays = [
        drive_forked(
            run_trial, two, lambda e, a=answer: a if isinstance(e, VerdictWanted) else None
        )
        for answer in (park, stop, park, park, None)
    ]
    assert [stay[-1] for stay in stays[:4]] == [Stopped(3), Stopped(4), Stopped(4), Stopped(6)]
    assert [of(Started, stay)[0].step for stay in stays] == [0, 3, 4, 4, 6]
    asked = [[one.look for one in of(VerdictWanted, stay)] for stay in stays]
    assert asked == [[0], [1], [1], [2], []]
    assert [o for stay in stays for o in values(curve(stay))] == values(curve(expected))
    assert of(Finished, stays[-1])[0].measurements["eval_loss"].value == (
        of(Finished, expected)[0].measurements["eval_loss"].value
    )


def test_a_stop_is_obeyed_within_a_step_and_within_an_evaluation_of_two_processes(
    drive_forked: Drive, spec: TrialSpec, tmp_path: Path
) -> None:
    lora = replace(spec.model.lora, rank=4, dropout=0.2)
    two = on(spec, 2, checkpoint_every_s=1e9)  # but for the one that the Stop asks for
    two = replace(two, model=replace(two.model, tuning="lora", lora=lora))
    expected = drive_forked(run_trial, two)
    for what, step in (("training", 5), ("evaluating", 3)):
        stopped = replace(two, trial_dir=str(tmp_path / f"{what}-{step}"))
        first = drive_forked(run_and_stop_while, (stopped, what, step))
        assert first[-1] == Stopped(step)
        assert len(curve(first)) == step
        rest = drive_forked(run_trial, stopped)
        assert of(Started, rest)[0].step == step
        assert values(curve(first) + curve(rest)) == values(curve(expected))
        assert of(Finished, rest)[0].measurements["eval_loss"].value == (
            of(Finished, expected)[0].measurements["eval_loss"].value
        )


def values(observations: list[Observation]) -> list[Observation]:
    return [replace(observation, seconds=0.0) for observation in observations]


class Team:
    """A team that was started and is watched from outside, by its processes."""

    def __init__(self, forked: Any, spec: TrialSpec) -> None:
        self.ours, theirs = forked.Pipe()
        self.launcher = forked.Process(target=run_trial, args=(spec, theirs))
        self.launcher.start()
        theirs.close()
        while not isinstance(self.ours.recv(), VerdictWanted):
            pass
        # All of them wait for the verdict now, the second in a collective.
        self.ranks = psutil.Process(self.launcher.pid).children()

    def until_it_failed(self) -> Failed:
        while not isinstance(event := self.ours.recv(), Failed):
            pass
        return event


def test_a_process_that_dies_ends_the_trial_with_its_cause(forked: Any, spec: TrialSpec) -> None:
    team = Team(forked, on(spec, 2))
    began = time.monotonic()
    team.ranks[1].kill()
    failed = team.until_it_failed()
    assert time.monotonic() - began < 10
    assert failed.kind == "killed"
    assert "process 2 of 2 was killed by SIGKILL" in failed.message
    team.launcher.join(10)
    assert not any(is_running(rank) for rank in team.ranks)


def test_no_process_outlives_a_killed_launcher(forked: Any, spec: TrialSpec) -> None:
    team = Team(forked, on(spec, 4))
    assert len(team.ranks) == 4
    os.kill(team.launcher.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs(team.ranks, timeout=10)
    assert not any(is_running(rank) for rank in alive), (gone, alive)


DRIVER = """
import dataclasses, json, os, signal, sys
from pathlib import Path
import psutil
from sweep.executors import Job, Slot
from sweep.executors.local import LocalExecutor
from trainer.contract.spec import TRIAL_ENTRY, TrialSpec, VerdictWanted

if __name__ == "__main__":
    spec = TrialSpec.from_json(json.loads(sys.argv[1]))
    executor = LocalExecutor()
    executor.start(Job("trial", TRIAL_ENTRY, spec, Path(spec.trial_dir) / "log.txt"), Slot(0))
    while not any(isinstance(event, VerdictWanted) for _, event in executor.wait(1.0)):
        pass
    print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_process_outlives_a_killed_driver(spec: TrialSpec, tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), json.dumps(on(spec, 2).to_json())]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    pids = [int(pid) for pid in driver.stdout.split()]
    assert len(pids) >= 4, driver.stderr  # the server, the launcher and two that train
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(map(is_alive, pids)):
        time.sleep(0.1)
    assert not any(map(is_alive, pids))


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and is_running(psutil.Process(pid))


def is_running(process: psutil.Process) -> bool:
    """Where nobody reaps orphans they stay in the process table, but do not run."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_an_error_of_one_process_is_reported_as_it_was(
    drive_forked: Drive, spec: TrialSpec
) -> None:
    missing = replace(spec.model, base="/nowhere")
    failed = drive_forked(run_trial, on(replace(spec, model=missing), 2))[-1]
    assert isinstance(failed, Failed) and failed.kind == "bad input"
    assert "/nowhere" in failed.message


def fails_at_length(spec: TrialSpec, channel: Any) -> None:
    """Entry point: the second of two processes fails with more to say than a pipe holds."""
    from trainer.training.launch import launch

    def work(rank: int, size: int, rendezvous: Path, own: Any) -> Failed | None:
        if rank == 1:
            return Failed("error", "x" * 2**20)
        time.sleep(60)
        return None

    channel.send(launch(work, 2, channel))
    channel.close()


def test_a_long_report_arrives(drive_forked: Drive, spec: TrialSpec) -> None:
    began = time.monotonic()
    (failed,) = drive_forked(fails_at_length, spec)
    assert len(failed.message) == 2**20
    assert time.monotonic() - began < 20


def dies_in_step_5(spec: TrialSpec, channel: Any) -> None:
    """Entry point: the second process is killed between its micro-batches."""
    import trainer.training.checkpoint
    from trainer.training.train import ObservedTrainer

    trainer.training.checkpoint.SAVING_SHARE = 1.0
    add_gradient = ObservedTrainer._add_gradient

    def dies(self: Any, *args: Any) -> Any:
        part = add_gradient(self, *args)
        if self.state.global_step == 5 and self._team.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return part

    setattr(ObservedTrainer, "_add_gradient", dies)  # noqa: B010
    run_trial(spec, channel)


def test_a_trial_whose_process_was_killed_goes_on_from_its_checkpoint(
    drive_forked: Drive, spec: TrialSpec, tmp_path: Path
) -> None:
    two = on(spec, 2, checkpoint_every_s=0.0)
    whole = curve(drive_forked(run_trial, replace(two, trial_dir=str(tmp_path / "whole"))))
    killed = drive_forked(dies_in_step_5, two)
    assert isinstance(killed[-1], Failed) and killed[-1].kind == "killed"
    rest = drive_forked(run_trial, two)
    began = of(Started, rest)[0].step
    assert 0 < began <= 5
    for one, other in zip(whole[began:], curve(rest), strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-5)


def test_fsdp_is_refused_where_the_library_would_make_ddp_of_it(
    drive_forked: Drive, spec: TrialSpec
) -> None:
    sharded = replace(spec.model, parallel="fsdp")
    failed = drive_forked(run_trial, replace(spec, processes=2, model=sharded))[-1]
    assert isinstance(failed, Failed) and failed.kind == "bad input"
    assert "FSDP needs accelerators" in failed.message
