"""Trials without torch, for tests of the driver: they behave, or misbehave as a script says.

`OUT/../script.json` maps a trial's number to what its first attempt does instead of finishing.
Light to import: every trial does it anew.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from predictor.types import Observation, Verdict
from trainer.contract.files import write_text
from trainer.contract.final import Answer, AnswerSpec, FinalSpec, append_answer, read_answers
from trainer.contract.fingerprint import model_facts
from trainer.contract.measurement import Measurement, Scores
from trainer.contract.outside import Cause
from trainer.contract.spec import (
    Alive,
    Checkpointed,
    Failed,
    Finished,
    Prepared,
    PrepareSpec,
    Started,
    Stepped,
    Stop,
    Stopped,
    TrialSpec,
    VerdictWanted,
)

TOKENS_PER_SAMPLE = 10
NUM_ROWS = 1000
FACTS: dict[str, Any] = {
    "num_params": 1000,
    "train": {
        "rows": NUM_ROWS,
        "rows_read": NUM_ROWS + 3,
        "dropped_no_completion": 3,
        "dropped_too_short": 0,
        "truncated": 0,
        "input_tokens": NUM_ROWS * TOKENS_PER_SAMPLE,
        "loss_tokens": NUM_ROWS * 5,
        "longest": 12,
        "longest_read": 12,
    },
    "eval": {
        "rows": 100,
        "rows_read": 100,
        "dropped_no_completion": 0,
        "dropped_too_short": 0,
        "truncated": 0,
        "input_tokens": 1000,
        "loss_tokens": 500,
        "longest": 12,
        "longest_read": 12,
    },
    "choices": None,
    "duplicates": 0,
    "duplicates_choices": 0,
    "repeated": 0,
    "max_length": 1024,
    "phases": None,
    "notes": {"train": [{"what": "dropped", "rows": 3, "first": "train.jsonl, line 7"}]},
    "shapes": {"train": "text", "eval": "text"},
    "sources": {},
    "machine": {"device": "cuda"},
    "base_measurements": {
        "eval_loss": {"value": 3.0, "num": 500, "input_tokens": 1000, "seconds": 0.1, "groups": {}}
    },
}


BASE_SCORES = Scores(bytes(500 * 4), b"")  # of the base model's 500 tokens


def fake_prepare(spec: PrepareSpec, channel: Connection) -> None:
    out = Path(spec.out_dir)
    channel.send(Alive("reading the data"))
    time.sleep(float(os.environ.get("FAKE_PREPARE_S", "0")))
    named = {"train": spec.data.train, "eval": spec.data.eval}
    named |= {f"phase {i}": path for i, path in enumerate(spec.data.phases, 1)}
    sources = {
        name: {"path": path, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
        for name, path in named.items()
        if path is not None
    }
    model = model_facts(Path(spec.model.base), spec.model)
    facts = {**FACTS, "model": model, "sources": sources, **_retention_facts(spec.metrics)}
    (out / "prepared.json").write_text(json.dumps(facts))
    channel.send(Prepared(facts, {"eval_loss": BASE_SCORES}))


RETENTION = "mine:retention"  # what a study may hold: higher is better, the base model has 0.5


def _retention_facts(metrics: Sequence[str]) -> dict[str, Any]:
    if RETENTION not in metrics:
        return {}
    base = {"value": 0.5, "num": 400, "input_tokens": 400, "seconds": 0.1, "groups": {}}
    return {
        "benchmarks": {RETENTION: {"questions": 400, "input_tokens": 400, "groups": {}}},
        "base_measurements": {**FACTS["base_measurements"], RETENTION: {**base, "stderr": 0.02}},
    }


def forgotten(learning_rate: float) -> float:
    """How much of it is lost by the end: nothing below 1e-4, then 0.04 for each factor of ten."""
    return 0.04 * max(0.0, math.log10(learning_rate) + 4)


def _retention(spec: TrialSpec, share: float, num: int) -> dict[str, Measurement]:
    """At a share of the training, where the study measures it: most is lost early."""
    if RETENTION not in spec.metrics:
        return {}
    over, stderr = -forgotten(spec.learning_rate) * share**0.25, 0.004 * math.sqrt(400 / num)
    found = Measurement(0.5 + over, num, num, 0.01, stderr=0.02)
    return {RETENTION: replace(found, over_base=over, over_base_stderr=stderr)}


def final_loss(learning_rate: float, seed: int = 0) -> float:
    """Best at 1e-3, worse by 1 for each factor of ten away from it; other seeds scatter."""
    scatter = math.sin(1e6 * learning_rate + seed) if seed else 0.0
    return 1.0 + abs(math.log10(learning_rate) + 3) + 0.1 * scatter


def fake_trial(spec: TrialSpec, channel: Connection) -> None:
    folder = Path(spec.trial_dir)
    folder.mkdir(parents=True, exist_ok=True)
    script = folder.parent.parent.parent / "script.json"
    script_text = script.read_text() if script.exists() else "{}"
    trouble = json.loads(script_text).get(str(spec.number), "")
    tried = folder / "tried"
    if tried.exists() and not trouble.startswith("always "):
        trouble = ""
    tried.touch()
    _train(spec, channel, folder, trouble.removeprefix("always "))


class _Ended(Exception):
    """As it was told."""


def fake_answers(spec: AnswerSpec, channel: Connection) -> None:
    """Each answer says whose it is. By the script's "answers" the first process that is asked is
    killed once it has given so many."""
    file = Path(spec.file)
    script = file.parent.parent.parent.parent / "script.json"
    most = json.loads(script.read_text()).get("answers", 1000) if script.exists() else 1000
    if file.exists():
        most = 1000
    whose = "base" if spec.folder is None else _weights(spec.folder)
    known = read_answers(file)
    for question in spec.questions:
        for turn in range(1, len(question.turns) + 1):
            if (question.id, turn) in known:
                continue
            if most == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            most -= 1
            text = f"{whose} answers {question.id} in turn {turn}"
            append_answer(file, Answer(question.id, turn, text, 10, 5, False, True, 0.01))
    channel.send(Finished({}, None))


def fake_final(spec: FinalSpec, channel: Connection) -> None:
    """The base model has 1 of everything, a trial 2 and its number."""
    value = 1.0 if spec.folder is None else 2.0 + int(_weights(spec.folder))
    channel.send(Alive("measuring"))
    measured = {metric: Measurement(value, 10, 100, 0.01) for metric in spec.metrics}
    channel.send(Finished(measured, None))


def _weights(folder: str) -> str:
    return (Path(folder) / "model.safetensors").read_text()


def _train(spec: TrialSpec, channel: Connection, folder: Path, trouble: str) -> None:
    saved = folder / "checkpoints" / "step"  # and how many looks have been judged
    first, num_judged = map(int, saved.read_text().split()) if saved.exists() else (0, 0)
    final = final_loss(spec.learning_rate, spec.seed)

    def obey(reply: Any, step: int, judged: int) -> None:
        match reply:
            case Stop(True) | Verdict("park"):
                saved.parent.mkdir(exist_ok=True)
                write_text(saved, f"{step} {judged + (reply != Stop(True))}")
                channel.send(Checkpointed(step))
            case Stop(False) | Verdict("prune"):
                pass
            case _:
                return
        channel.send(Stopped(step))
        raise _Ended

    def ask(wanted: VerdictWanted) -> None:
        channel.send(wanted)
        obey(channel.recv(), wanted.step, wanted.look)

    def look(step: int, judged: int) -> int:
        """How many looks are judged after this one, if there is one."""
        if step not in spec.look_steps[judged:]:
            return judged
        early = final + 0.1 * (1 - (step - spec.window_steps) / spec.num_steps)
        measured = {"eval_loss": Measurement(early, 50, 500, 0.01, stderr=0.02)}
        measured |= _retention(spec, step / spec.num_steps, 200)
        ask(VerdictWanted(step, "window", measured, judged))
        return judged + 1

    channel.send(Started(first))
    try:
        num_judged = look(first, num_judged)  # told to stop while it waited for its verdict
        for step in range(first + 1, spec.num_steps + 1):
            seen = _step(spec, channel, step, final, trouble)
            channel.send(Stepped(seen))
            if not math.isfinite(seen.loss):
                ask(VerdictWanted(step, "not finite"))
            num_judged = look(step, num_judged)
            while channel.poll():
                obey(channel.recv(), step, num_judged)
    except _Ended:
        return
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / "weights").touch()
    if spec.save_model:
        model = folder / "model"
        model.mkdir(exist_ok=True)
        (model / "model.safetensors").write_text(str(spec.number))
    value = math.nan if trouble == "nan at the end" else final
    measured = {"eval_loss": Measurement(value, 500, 1000, 0.02), **_retention(spec, 1.0, 400)}
    channel.send(Finished(measured, str(folder)))


def _phase(spec: TrialSpec, step: int) -> int:
    """Two phases of the same length."""
    if spec.strategy == "stacked":
        return 0
    return 1 if 2 * step <= spec.num_steps else 2


def _step(
    spec: TrialSpec, channel: Connection, step: int, final: float, trouble: str
) -> Observation:
    time.sleep(float(os.environ.get("FAKE_STEP_S", "0.002")))
    samples = step * spec.batch_size
    loss = final + 2 / step
    if trouble == "diverge":
        loss = 2.0 * step
    if trouble == "nan" and step == 3:
        loss = math.nan
    if trouble == "diverge then nan":
        loss = 2.0 * step if step < spec.num_steps - 1 else math.nan
    if step == 2:
        _misbehave(trouble, channel)
    return Observation(
        *(step, samples, samples * TOKENS_PER_SAMPLE, samples * 5),
        *(loss, final, 1e-3, 0.01),
        phase=_phase(spec, step),
    )


def _misbehave(trouble: str, channel: Connection) -> None:
    match trouble:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "oom":
            channel.send(Failed("out of memory", "tried to allocate 100 GiB"))
            os._exit(0)
        case "bad input":
            channel.send(Failed("bad input", "model.base: no folder"))
            os._exit(0)
        case "raise":
            raise RuntimeError("something broke")
        case "exit":
            os._exit(3)
        case "silent":
            time.sleep(3600)
        case "interrupted":
            channel.send(Failed("interrupted", "its server was killed"))
            os._exit(0)
        case "disk full":
            channel.send(Failed(Cause.DISK_FULL, os.strerror(errno.ENOSPC)))
            os._exit(0)
        case _:
            pass
