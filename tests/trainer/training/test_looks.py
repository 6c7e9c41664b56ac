"""A trial that is parked at its looks gives, to the bit, what it would have given in one stay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from predictor.types import Observation, Verdict
from tests.conftest import converse
from tests.support.trial_events import curve, of
from trainer.contract.outside import Cause
from trainer.contract.spec import (
    Checkpointed,
    Failed,
    Finished,
    Held,
    LoraSpec,
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
GO_ON = Verdict("continue", "none", "a test")
PARK = Verdict("park", "none", "a test")
STEPS = (3, 6, 10)  # whose ends are looked at


@pytest.fixture
def spec(tiny_model: Path, data_dir: Path, tmp_path: Path) -> TrialSpec:
    """14 steps of 8 out of 100 rows, across the border of an epoch, with dropout."""
    lora = LoraSpec(rank=4, alpha=8, dropout=0.2)
    return TrialSpec(
        number=0,
        seed=1,
        model=ModelSpec(str(tiny_model), "lora", lora, dtype="float32"),
        data_dir=str(data_dir),
        trial_dir=str(tmp_path / "trial"),
        batch_size=8,
        budget_samples=112,
        window_samples=24,
        looks=(48, 80),
        metrics=("eval_loss",),
        early_eval=8,
        learning_rate=3e-3,
        schedule="cosine",
        warmup_ratio=0.2,
        weight_decay=0.1,
        micro_batch=4,
        checkpoint_every_s=1e9,
        num_threads=1,
    )


def values(events: list[Any]) -> list[Observation]:
    """All that was observed but the wall time."""
    return [replace(seen, seconds=0.0) for seen in curve(events)]


def asked(events: list[Any]) -> list[tuple[int, int, float]]:
    """Step, look and early evaluation of each question."""
    wanted = of(VerdictWanted, events)
    assert {one.why for one in wanted} <= {"window"}
    return [(one.step, one.look, one.early["eval_loss"].value) for one in wanted]


def ended(events: list[Any]) -> tuple[float, list[bytes]]:
    """The final evaluation and the trained weights."""
    finished = events[-1]
    assert isinstance(finished, Finished), finished
    files = sorted(Path(finished.model_dir or "").glob("*.safetensors"))
    assert files
    return finished.measurements["eval_loss"].value, [path.read_bytes() for path in files]


def started(events: list[Any]) -> int:
    (one,) = of(Started, events)
    return one.step


def answering(*answers: Any) -> Callable[[Any], Any]:
    """One answer to each question, in turn; then it goes on."""
    left = list(answers)

    def answer(event: Any) -> Any:
        if isinstance(event, VerdictWanted):
            return left.pop(0) if left else GO_ON
        return None

    return answer


def full(spec: TrialSpec) -> TrialSpec:
    return replace(spec, model=replace(spec.model, tuning="full"))


def folder(spec: TrialSpec) -> Path:
    return Path(spec.trial_dir) / "checkpoints"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TrialSpec], list[Any]]:
    """The events of the trial in one stay: run once each."""
    found: dict[TrialSpec, list[Any]] = {}

    def run(spec: TrialSpec) -> list[Any]:
        key = replace(spec, trial_dir="")
        if key not in found:
            own = str(tmp_path_factory.mktemp("whole"))
            found[key] = converse(run_trial, replace(key, trial_dir=own))
        return found[key]

    return run


@pytest.mark.slow
def test_it_is_asked_at_each_look_and_looking_changes_nothing(
    drive: Drive, whole: Any, spec: TrialSpec
) -> None:
    looked_at = whole(spec)
    assert [(step, look) for step, look, _ in asked(looked_at)] == [(3, 0), (6, 1), (10, 2)]
    assert len({early for _, _, early in asked(looked_at)}) == 3  # on the same samples
    assert len({one.early["eval_loss"].num for one in of(VerdictWanted, looked_at)}) == 1
    assert not of(Checkpointed, looked_at)
    window_alone = drive(run_trial, replace(spec, looks=()))
    assert asked(window_alone) == asked(looked_at)[:1]
    assert values(window_alone) == values(looked_at)  # the noise is measured in the window alone
    assert ended(window_alone) == ended(looked_at)


@pytest.mark.slow
@pytest.mark.parametrize("tuning", [full, lambda spec: spec], ids=["full", "lora"])
def test_parked_at_each_of_its_looks(
    drive: Drive, whole: Any, spec: TrialSpec, tuning: Any
) -> None:
    spec = tuning(spec)
    expected = whole(spec)
    stays: list[list[Any]] = []
    for before, step in zip((0, *STEPS), STEPS, strict=False):
        torch.manual_seed(99)  # whatever the new process drew before it got here
        stays.append(drive(run_trial, spec, answering(PARK)))
        assert started(stays[-1]) == before
        assert of(Checkpointed, stays[-1]) == [Checkpointed(step)]
        assert stays[-1][-1] == Stopped(step)
    stays.append(drive(run_trial, spec))
    assert [asked(stay) for stay in stays] == [[one] for one in asked(expected)] + [[]]
    assert [one for stay in stays for one in values(stay)] == values(expected)
    assert ended(stays[-1]) == ended(expected)


@pytest.mark.slow
def test_parked_and_its_checkpoint_deleted(drive: Drive, whole: Any, spec: TrialSpec) -> None:
    expected = whole(spec)
    for num, step in enumerate(STEPS):
        stay = drive(run_trial, spec, answering(*[GO_ON] * num, PARK))
        assert (started(stay), stay[-1]) == (0, Stopped(step))
        assert asked(stay) == asked(expected)[: num + 1]
        assert values(stay) == values(expected)[:step]
        shutil.rmtree(folder(spec))
    last = drive(run_trial, spec)
    assert (asked(last), values(last)) == (asked(expected), values(expected))
    assert ended(last) == ended(expected)


@pytest.mark.slow
def test_stopped_while_it_waits_at_a_later_look_it_asks_again(
    drive: Drive, whole: Any, spec: TrialSpec
) -> None:
    """And parked there then, on the checkpoint that is there already, it does not."""
    expected = whole(spec)
    first = drive(run_trial, spec, answering(GO_ON, Stop(checkpoint=True)))
    assert first[-1] == Stopped(6)
    second = drive(run_trial, spec, answering(PARK))
    assert (asked(second), values(second)) == (asked(expected)[1:2], [])
    assert second[-1] == Stopped(6)
    third = drive(run_trial, spec)
    assert (started(third), asked(third)) == (6, asked(expected)[2:])
    assert values(first) + values(third) == values(expected)
    assert ended(third) == ended(expected)


@pytest.mark.slow
def test_stopped_right_after_a_verdict_that_it_had_asked_for_again(
    drive: Drive, spec: TrialSpec
) -> None:
    stop = Stop(checkpoint=True)
    drive(run_trial, spec, answering(stop))

    def go_on_and_stop(event: Any) -> Any:  # before a step is done
        return GO_ON if isinstance(event, VerdictWanted) else None

    def stops_within_step(*_: Any) -> Any:
        return stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.training.link.DriverLink.order_within", stops_within_step)
        patch.setattr("trainer.training.trial.Trial._measure", lambda *_: (None, None))
        second = drive(run_trial, spec, go_on_and_stop)
    assert (of(Stepped, second), second[-1]) == ([], Stopped(3))
    assert [one.look for one in of(VerdictWanted, drive(run_trial, spec))] == [1, 2]


@pytest.mark.slow
def test_pruned_at_a_later_look_it_leaves_nothing(drive: Drive, spec: TrialSpec) -> None:
    drive(run_trial, spec, answering(PARK))
    assert folder(spec).exists()
    events = drive(run_trial, spec, answering(Verdict("prune", "rank", "a test")))
    assert events[-1] == Stopped(6)
    assert not list(Path(spec.trial_dir).rglob("*.safetensors"))


@pytest.mark.slow
def test_of_a_parked_trial_the_newest_checkpoint_is_kept(drive: Drive, spec: TrialSpec) -> None:
    for _ in STEPS:
        drive(run_trial, replace(spec, checkpoints_kept=3), answering(PARK))
    assert [path.name for path in folder(spec).iterdir()] == ["checkpoint-10"]


@pytest.mark.slow
def test_told_to_stop_at_a_look_without_a_checkpoint_it_leaves_what_was_there(
    drive: Drive, spec: TrialSpec
) -> None:
    drive(run_trial, spec, answering(PARK))
    second = drive(run_trial, spec, answering(Stop(checkpoint=False)))
    assert (started(second), second[-1]) == (3, Stopped(6))
    assert [path.name for path in folder(spec).iterdir()] == ["checkpoint-3"]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is free the next times somebody asks."""
    monkeypatch.setattr("trainer.training.persist.RETRY_S", 0.02)
    monkeypatch.setattr("trainer.training.persist.LISTEN_S", 0.01)
    free, real = list[int](), shutil.disk_usage

    def disk_usage(path: Path) -> Any:
        return real(path)._replace(free=free.pop()) if free else real(path)

    monkeypatch.setattr("shutil.disk_usage", disk_usage)
    return free


@pytest.mark.slow
def test_parked_while_the_disk_is_full_it_waits_for_room(
    drive: Drive, spec: TrialSpec, full_disk: list[int]
) -> None:
    def park(event: Any) -> Any:
        if not isinstance(event, VerdictWanted):
            return None
        full_disk[:] = [1000] * 3
        return PARK

    first = drive(run_trial, replace(spec, looks=()), park)
    (held,) = of(Held, first)
    assert held.waits and held.cause is Cause.DISK_FULL
    assert "the checkpoint at step 3 waits to be written: no room on the disk (" in held.message
    assert (of(Checkpointed, first), first[-1]) == ([Checkpointed(3)], Stopped(3))
    assert not full_disk
    # Where the checkpoint is there, the verdict waits to be written.
    drive(run_trial, spec, answering(Stop(checkpoint=True)))
    second = drive(run_trial, spec, park)
    (held,) = of(Held, second)
    assert "the verdict at step 6 waits to be written: no room on the disk (" in held.message
    assert second[-1] == Stopped(6) and not full_disk
    assert [one.look for one in of(VerdictWanted, drive(run_trial, spec))] == [2]


@pytest.mark.slow
def test_parked_where_there_is_never_room_it_is_nobodys_failure(
    drive: Drive, spec: TrialSpec, full_disk: list[int]
) -> None:
    full_disk[:] = [1000] * 10_000
    last = drive(run_trial, replace(spec, wait_s=0.1), answering(PARK))[-1]
    assert isinstance(last, Failed) and last.kind is Cause.DISK_FULL


@pytest.mark.slow
@pytest.mark.parametrize("window_judged", [False, True])
def test_a_checkpoint_from_before_there_were_later_looks(
    drive: Drive, whole: Any, spec: TrialSpec, window_judged: bool
) -> None:
    expected = whole(spec)
    drive(run_trial, spec, answering(PARK))
    progress = folder(spec) / "checkpoint-3" / "progress.json"
    found = json.loads(progress.read_text())
    assert found.pop("judged_step") == 3
    progress.write_text(json.dumps(found | {"window_judged": window_judged}))
    rest = drive(run_trial, spec)
    assert started(rest) == 3
    assert asked(rest) == asked(expected)[1 if window_judged else 0 :]
    assert ended(rest) == ended(expected)


def test_looks_beyond_its_end_are_refused_before_anything_starts(
    drive: Drive, spec: TrialSpec
) -> None:
    (failed,) = drive(run_trial, replace(spec, looks=(48, 112)))
    assert (failed.kind, failed.message) == (
        "bad input",
        "looks: [48, 112] must be whole numbers that ascend, above window_samples (24) and below "
        "budget_samples (112)",
    )
