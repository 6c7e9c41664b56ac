"""On a CUDA GPU a trial gives the CPU's numbers, stops and goes on, and keeps to its own memory.

`python -m pytest -m gpu` on a machine that has one; skipped elsewhere.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from predictor.types import Observation
from studies.quickstart import make_data
from tests.conftest import converse
from tests.support.gpu_trials import PEAK, run_and_tell_peak, run_in_memory, run_on_cpu
from tests.support.make_bases import make_base
from tests.support.stopping_trials import run_and_stop_while
from trainer.contract.spec import (
    DataSpec,
    Failed,
    Finished,
    LoraSpec,
    ModelSpec,
    Prepared,
    PrepareSpec,
    Started,
    Stepped,
    Stopped,
    TrialSpec,
)
from trainer.model.fit import FitMemory
from trainer.model.load import best_device
from trainer.worker import run_prepare, run_trial

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch sees none"
    ),
    # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]

Drive = Callable[..., list[Any]]
QUICKSTART = Path(make_data.__file__).parent
MOST_TOKENS = 250  # the tiny base has 256 positions
MIB = 1 << 20


def prepared(base: Path, rows: Path, out_dir: Path) -> TrialSpec:
    """17 steps of 32 rows, with a window of 3 steps of 4 micro-batches at least."""
    out_dir.mkdir()
    data = DataSpec(str(rows), eval=str(rows), max_length=MOST_TOKENS)
    model = ModelSpec(str(base), lora=LoraSpec(rank=8, alpha=16), dtype="float32")
    asked = PrepareSpec(model, data, str(out_dir), ("eval_loss",), measure_base=False)
    last = converse(run_prepare, asked)[-1]
    assert isinstance(last, Prepared), last
    return TrialSpec(
        number=0,
        seed=1,
        model=model,
        data_dir=str(out_dir),
        trial_dir="",
        batch_size=32,
        budget_samples=17 * 32,
        window_samples=3 * 32,
        metrics=("eval_loss",),
        early_eval=16,
        learning_rate=1e-3,
        warmup_ratio=0.2,
        weight_decay=0.1,
        save_model=False,
        checkpoint_every_s=1e9,  # but for the one that a Stop asks for
        num_threads=2,
    )


@pytest.fixture(scope="session")
def long_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """512 rows of up to 200 characters: the longest are nearly MOST_TOKENS."""
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("long") / "rows.jsonl"
    rows = [
        {"prompt": "a" * rng.randint(1, 20), "completion": "bc" * rng.randint(1, 100)}
        for _ in range(512)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="session")
def tiny(long_rows: Path, tmp_path_factory: pytest.TempPathFactory) -> TrialSpec:
    folder = tmp_path_factory.mktemp("tiny")
    return prepared(make_base("llama", folder / "base"), long_rows, folder / "data")


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> TrialSpec:
    """The quickstart's base of 1.3 M parameters, and its rows."""
    folder = tmp_path_factory.mktemp("quickstart")
    return prepared(QUICKSTART / "base", QUICKSTART / "train.jsonl", folder / "data")


@pytest.fixture(params=["tiny", "quickstart"])
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> TrialSpec:
    return below(tmp_path, request.getfixturevalue(request.param))


@pytest.fixture
def tiny_spec(tiny: TrialSpec, tmp_path: Path) -> TrialSpec:
    return below(tmp_path, tiny)


def below(folder: Path, spec: TrialSpec) -> TrialSpec:
    """With data of its own: the micro-batch that fits is remembered beside them."""
    shutil.copytree(spec.data_dir, folder / "data")
    return replace(spec, data_dir=str(folder / "data"), trial_dir=str(folder / "trial"))


def with_model(spec: TrialSpec, **changes: Any) -> TrialSpec:
    return replace(spec, model=replace(spec.model, **changes))


def beside(spec: TrialSpec, name: str) -> TrialSpec:
    """The same trial in another folder."""
    return replace(spec, trial_dir=f"{spec.trial_dir}-{name}")


def curve(events: list[Any]) -> list[Observation]:
    return [event.observation for event in events if isinstance(event, Stepped)]


def finished(events: list[Any]) -> Finished:
    assert isinstance(events[-1], Finished), events[-1]
    return events[-1]


def objective(events: list[Any]) -> float:
    return finished(events).measurements["eval_loss"].value


def norms(seen: list[Observation], name: str) -> list[float]:
    """Square roots of the window's noise-free or noise parts of the squared norm."""
    return [max(getattr(each, name), 0.0) ** 0.5 for each in seen[:3]]


# Rounding apart: AdamW's first steps turn a gradient near zero into a whole step of its sign.
@pytest.mark.parametrize(
    ("dtype", "first", "later"), [("float32", 1e-4, 1e-2), ("bfloat16", 2e-2, 5e-2)]
)
@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_what_is_observed_is_what_the_cpu_observes(
    drive_forked: Drive, spec: TrialSpec, dtype: Any, tuning: Any, first: float, later: float
) -> None:
    """`first`: relative tolerance in the first step, whose weights are equal; `later`: after it."""
    spec = with_model(spec, dtype=dtype, tuning=tuning)
    there = drive_forked(run_trial, spec)
    here = drive_forked(run_on_cpu, beside(spec, "cpu"))
    seen, expected = curve(there), curve(here)
    assert [o.step for o in seen] == list(range(1, 18))
    for one, other in zip(seen, expected, strict=True):
        within = first if one.step == 1 else later
        assert (one.input_tokens_seen, one.loss_tokens_seen, one.lr) == (
            other.input_tokens_seen,
            other.loss_tokens_seen,
            other.lr,
        )
        assert one.loss == pytest.approx(other.loss, rel=within)
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=5 * within)
    for name in ("grad_sq_noise_free", "grad_sq_noise"):
        found = norms(seen, name)
        assert found[0] == pytest.approx(norms(expected, name)[0], rel=5 * first)
        assert found == pytest.approx(norms(expected, name), rel=5 * later)
    for each in seen[:3]:
        assert each.grad_sq_noise_free is not None and each.grad_sq_noise is not None
        parts = each.grad_sq_noise_free + each.grad_sq_noise
        assert parts == pytest.approx(each.grad_norm**2, rel=1e-3)
    assert all(each.grad_sq_noise is None for each in seen[3:])
    assert objective(there) == pytest.approx(objective(here), rel=later)


@pytest.mark.parametrize(
    ("what", "step"), [("training", 0), ("training", 5), ("evaluating", 3), ("evaluating", 17)]
)
@pytest.mark.parametrize(("attention", "within"), [("eager", 0.0), ("sdpa", 1e-3)])
def test_a_trial_stopped_within_a_step_or_an_evaluation_goes_on_as_if_it_had_not_been(
    drive_forked: Drive,
    tiny_spec: TrialSpec,
    attention: Any,
    within: float,
    what: str,
    step: int,
    record_property: Callable[[str, object], None],
) -> None:
    """To the bit where the kernels are deterministic, as eager attention's are. The backward of
    fused attention may add up in any order: relative tolerance."""
    lora = LoraSpec(rank=8, alpha=16, dropout=0.2)  # random numbers, which are restored too
    spec = with_model(tiny_spec, attention=attention, tuning="lora", lora=lora)
    expected = drive_forked(run_trial, beside(spec, "whole"))
    first = drive_forked(run_and_stop_while, (spec, what, step))
    assert first[-1] == Stopped(step)
    rest = drive_forked(run_trial, spec)
    assert [event.step for event in rest if isinstance(event, Started)] == [step]
    seen, whole = curve(first) + curve(rest), curve(expected)
    assert [o.step for o in seen] == [o.step for o in whole]
    pairs = [
        (one, other)
        for name in ("loss", "grad_norm")
        for one, other in zip(
            [getattr(o, name) for o in seen], [getattr(o, name) for o in whole], strict=True
        )
    ]
    pairs.append((objective(rest), objective(expected)))
    differ = max(abs(one - other) / other for one, other in pairs)
    record_property("most relative difference", differ)
    assert differ <= within


def test_a_trial_that_does_not_fit_fails_alone(drive_forked: Drive, tiny_spec: TrialSpec) -> None:
    failed = drive_forked(run_in_memory, (tiny_spec, 4 * MIB))[-1]
    assert isinstance(failed, Failed)
    assert failed.kind == "out of memory"
    assert "CUDA out of memory" in failed.message
    assert "\n" not in failed.message and len(failed.message) <= 2000
    finished(drive_forked(run_trial, replace(beside(tiny_spec, "next"), budget_samples=128)))


def test_the_micro_batch_that_fits_is_found_and_changes_no_number(
    drive_forked: Drive, tiny_spec: TrialSpec
) -> None:
    spec = replace(tiny_spec, batch_size=512, budget_samples=3 * 512, window_samples=512)
    peaks: dict[int, int] = {}
    curves: dict[int, list[Observation]] = {}
    for size in (16, 512):
        own = replace(beside(spec, str(size)), micro_batch=size, window_samples=0)
        curves[size] = curve(drive_forked(run_and_tell_peak, own))
        peaks[size] = json.loads((Path(own.trial_dir) / PEAK).read_text())
    assert peaks[512] > peaks[16] + 100 * MIB
    Path(spec.data_dir, "micro_batch.json").unlink()
    events = drive_forked(run_in_memory, (spec, (peaks[16] + peaks[512]) // 2))
    finished(events)
    known = FitMemory(spec).read()
    assert known.fails is not None and 8 <= known.fits < known.fails <= 512
    for one, other in zip(curve(events), curves[16], strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-3)
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-3)


def test_a_merged_adapter_is_the_adapter(drive_forked: Drive, spec: TrialSpec) -> None:
    from peft import AutoPeftModelForCausalLM

    from trainer.evaluation.measure import load_scored, measure

    spec = replace(with_model(spec, tuning="lora"), save_model=True)
    recorded = finished(drive_forked(run_trial, spec))
    device = best_device()
    adapter: Any = AutoPeftModelForCausalLM.from_pretrained(recorded.model_dir).to(device).eval()
    ids = torch.arange(3, 60, device=device)[None]
    scored = load_scored(Path(spec.data_dir), "eval_loss")
    with torch.no_grad():
        before = adapter(input_ids=ids).logits
        merged = adapter.merge_and_unload()
        assert (merged(input_ids=ids).logits - before).abs().max() < 1e-3
    again, _ = measure(merged, scored, torch.float32, lambda: None)
    assert again.value == pytest.approx(recorded.measurements["eval_loss"].value, rel=1e-4)


def test_a_killed_trial_leaves_no_memory_behind(forked: Any, tiny_spec: TrialSpec) -> None:
    """With SIGKILL, as the kernel ends whatever takes the host's last memory."""
    free_before, _ = torch.cuda.mem_get_info()
    ours, theirs = forked.Pipe()
    long = replace(tiny_spec, budget_samples=32 * 10_000, window_samples=0)
    process = forked.Process(target=run_trial, args=(long, theirs))
    process.start()
    theirs.close()
    while not isinstance(event := ours.recv(), Stepped):
        assert not isinstance(event, Failed), event
    held = free_before - torch.cuda.mem_get_info()[0]
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert held > 100 * MIB  # its context alone
    deadline = time.monotonic() + 30
    while torch.cuda.mem_get_info()[0] < free_before - 32 * MIB:
        assert time.monotonic() < deadline, "the memory was not given back"
        time.sleep(0.1)
