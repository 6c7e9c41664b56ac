"""Tokens per second: against TRL, padding-free, compiled, with several trials on one GPU; and what
all of it takes in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Literal

from benchmarks.gpu import entries
from benchmarks.gpu.setting import Row, Setting, Skipped
from benchmarks.jobs import Heard, JobFailed, in_one_job
from benchmarks.specs import MICRO_BATCH
from sweep.driver.memory import memory_gb
from trainer.contract.spec import ModelSpec, TrialSpec

SEARCHED = (1024, 8192)  # samples a step that are tried at once; one too many must be met


def micro_batch_search(setting: Setting, limit_s: float) -> Sequence[Row]:
    """Each size is tried until one does not fit. Of what is found the setting keeps the largest
    that does."""
    setting.needs_gpu()
    remembered, found = setting.data_dir / "micro_batch.json", ""
    for size in SEARCHED:
        spec = setting.spec(1, size, micro_batch=None)
        (heard,) = setting.jobs.run([spec], limit_s=limit_s / len(SEARCHED))
        (known,) = json.loads(remembered.read_text()).values()
        setting.largest_micro_batch = known["fits"]
        fails = known["fails"]
        told = f"{fails:,} ran out of memory" if fails else "none ran out of memory"
        found = f"{known['fits']:,} fit, {told}; {heard.steps[0][0]:.1f} s to the end of step 1"
        if fails:
            break
    return [Row("micro-batch search", found)]


def against_trl(setting: Setting, limit_s: float) -> Sequence[Row]:
    return [_against_trl(setting, MICRO_BATCH, setting.by_device(30, 8), limit_s)]


def against_trl_largest(setting: Setting, limit_s: float) -> Sequence[Row]:
    setting.needs_gpu()
    if setting.largest_micro_batch is None:
        raise Skipped("the search has found none")
    # Two models are there at once, of which each had all the memory in the search.
    return [_against_trl(setting, max(1, setting.largest_micro_batch // 2), 5, limit_s)]


def _against_trl(setting: Setting, size: int, num_steps: int, limit_s: float) -> Row:
    spec = setting.spec(num_steps, size, micro_batch=size)
    return _compared(
        f"tokens/s, ours / TRL, micro-batch {size}", spec, spec, "trl", setting, limit_s
    )


def padding_free(setting: Setting, limit_s: float) -> Sequence[Row]:
    flash = bool(setting.gpu) and find_spec("flash_attn") is not None
    model = replace(setting.model, attention="flash_attention_2" if flash else "sdpa")
    padded = setting.spec(setting.by_device(20, 6), model=replace(model, padding_free=False))
    packed = replace(padded, model=replace(model, padding_free=True))
    name = f"tokens/s, padding-free / padded, {model.attention}"
    return [_compared(name, packed, padded, "ours", setting, limit_s)]


def _compared(
    name: str,
    ours: TrialSpec,
    other: TrialSpec,
    against: Literal["trl", "ours"],
    setting: Setting,
    limit_s: float,
) -> Row:
    asked = entries.Comparison(ours, other, against, rounds=2)
    (heard,) = setting.jobs.run([asked], in_one_job(entries.compare), limit_s=limit_s)
    facts = heard.facts
    return Row(name, f"{facts['ours']:,.0f} / {facts['other']:,.0f} = {facts['ratio']}")


def workers(setting: Setting, limit_s: float) -> Sequence[Row]:
    """Trials side by side; the steps counted are those in which all of them trained."""
    rows: list[Row] = []
    alone = 0.0
    counts = (1, 2, 4) if setting.gpu else (1, 2)
    for num in counts:
        specs = [setting.spec(setting.by_device(40, 12), 16) for _ in range(num)]
        heard = setting.jobs.run(specs, limit_s=limit_s / len(counts))
        together = tokens_per_s(heard)
        alone = alone or together
        name = f"tokens/s, {num} trial{'s' * (num > 1)} at a time, batch 16"
        rows.append(Row(name, f"{together:,.0f}, {together / alone:.2f} x one"))
    return rows


def tokens_per_s(heard: Sequence[Heard]) -> float:
    """Of all jobs together, in the time in which each has done a step and has one to do. JobFailed
    where there is no such time."""
    begins = max(one.steps[0][0] for one in heard)
    ends = min(one.steps[-1][0] for one in heard)
    tokens = sum(
        after.input_tokens_seen - before.input_tokens_seen
        for one in heard
        for (began_s, before), (done_s, after) in pairwise(one.steps)
        if begins <= began_s and done_s <= ends
    )
    if ends <= begins or not tokens:
        raise JobFailed("they did not train at the same time: too few steps")
    return tokens / (ends - begins)


def compiled(setting: Setting, limit_s: float) -> Sequence[Row]:
    setting.needs_gpu()
    model = replace(setting.model, compile=True)
    return [_switched("compiled", model, setting, limit_s)]


def liger(setting: Setting, limit_s: float) -> Sequence[Row]:
    setting.needs_gpu()
    if find_spec("liger_kernel") is None:
        raise Skipped("not installed")
    return [_switched("Liger", replace(setting.model, liger=True), setting, limit_s)]


def _switched(name: str, model: ModelSpec, setting: Setting, limit_s: float) -> Row:
    """One after the other: both would compile in one process. Of each the second half counts."""
    speeds: list[float] = []
    for own in (setting.model, model):
        spec = setting.spec(30, 16, model=own)
        (heard,) = setting.jobs.run([spec], limit_s=limit_s / 2)
        half = heard.steps[len(heard.steps) // 2 :]
        tokens = half[-1][1].input_tokens_seen - half[0][1].input_tokens_seen
        speeds.append(tokens / sum(seen.seconds for _, seen in half[1:]))
    without, with_it = speeds
    return Row(
        f"tokens/s, {name} / not", f"{with_it:,.0f} / {without:,.0f} = {with_it / without:.2f}"
    )


def peak_memory(setting: Setting, limit_s: float) -> Sequence[Row]:
    setting.needs_gpu()
    spec = setting.spec(4, 16)
    setting.jobs.run([spec], in_one_job(entries.run_and_tell_memory), limit_s=limit_s)
    peak = json.loads((Path(spec.trial_dir) / entries.MEMORY).read_text())
    planned = memory_gb(setting.facts["num_params"], "full", setting.model.weights).total
    found = (
        f"{peak['allocated'] / 1e9:.2f} GB ({peak['reserved'] / 1e9:.2f} GB reserved); "
        f"the plan before activations {planned:.2f} GB"
    )
    return [Row(f"peak memory, micro-batch {MICRO_BATCH}", found)]


def weights_that_move(setting: Setting, limit_s: float) -> Sequence[Row]:
    """One step at a low and a higher rate; in float32 nearly all weights must move."""
    rows: list[Row] = []
    for weights, rates in (("bfloat16", (1e-5, 1e-4)), ("float32", (1e-5,))):
        model = replace(setting.model, weights=weights)
        for rate in rates:
            asked = entries.OneStep(model, str(setting.data_dir), rate)
            (heard,) = setting.jobs.run([asked], in_one_job(entries.moved), limit_s=limit_s / 3)
            share, foretold = heard.facts["moved"], heard.facts["foretold"]
            said = f"; foretold at most {foretold:.1%}" if weights == "bfloat16" else ""
            ok = share <= foretold + 0.01 if weights == "bfloat16" else share > 0.9
            rows.append(
                Row(f"weights that a step moves, {weights}, {rate:g}", f"{share:.1%}{said}", ok)
            )
    return rows
