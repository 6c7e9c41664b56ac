"""`python -m trainer SPEC.json`: one trial by itself, without a study or a database.

For debugging, and for other schedulers. SPEC.json holds what TrialSpec has (a study writes one for
each of its trials), with `data` (what DataSpec has) in place of `data_dir` where nothing has been
prepared yet. Every event is printed as one line of JSON; a number that is not finite is null.
Nobody prunes: every question is answered with "go on". Ctrl-C writes a checkpoint, from which the
same command goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from predictor.types import Verdict
from trainer.spec import (
    PRELOAD,
    DataSpec,
    Event,
    Failed,
    Prepared,
    PrepareSpec,
    Stepped,
    Stop,
    TrialSpec,
    UserError,
    VerdictWanted,
)
from trainer.worker import run_prepare, run_trial

GO_ON = Verdict("continue", "none", "nobody judges a trial that runs alone")
DEFAULTS: dict[str, Any] = {"number": 0, "seed": 0, "window_samples": 0, "early_eval": 0}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m trainer", description="Run one trial by itself.")
    parser.add_argument("spec", type=Path, help="a JSON file with what TrialSpec has")
    parser.add_argument("--out", type=Path, help="where it writes, in place of its trial_dir")
    given = parser.parse_args(arguments)
    try:
        spec, data = read_spec(given.spec, given.out)
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    if data is not None and not (Path(spec.data_dir) / "prepared.json").is_file():
        Path(spec.data_dir).mkdir(parents=True, exist_ok=True)
        prepare = PrepareSpec(
            spec.model, data, spec.data_dir, spec.metrics, False, spec.num_threads, spec.seed
        )
        if not show(events(run_prepare, prepare)):
            return 1
    return 0 if show(events(run_trial, spec)) else 1


def read_spec(path: Path, out: Path | None) -> tuple[TrialSpec, DataSpec | None]:
    """The spec, and the data that are to be prepared for it. Raises UserError."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no JSON object")
    if ("data" in values) == ("data_dir" in values):
        raise UserError(f"{path}: give data (train, eval, ...) or data_dir, one of the two")
    data = values.pop("data", None)
    if out is not None or "trial_dir" not in values:
        values["trial_dir"] = str(out or path.with_suffix(""))
    if data is not None:
        values["data_dir"] = str(Path(values["trial_dir"]) / "data")
        has_eval = isinstance(data, dict) and data.get("eval")
        values.setdefault("metrics", ["eval_loss"] if has_eval else [])
    try:
        spec = TypeAdapter(TrialSpec).validate_python(
            DEFAULTS | values, strict=False, extra="forbid"
        )
        checked = None
        if data is not None:
            checked = TypeAdapter(DataSpec).validate_python(data, extra="forbid")
    except ValidationError as error:
        lines = [
            f"{path}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
        ]
        raise UserError("\n".join(lines)) from None
    return spec, checked


def events(entry: Callable[[Any, Connection], None], spec: Any) -> Iterator[Event]:
    """Of an entry point of trainer.worker, in a process of its own; Ctrl-C asks it to stop."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    ours, theirs = context.Pipe()
    process = context.Process(target=run_apart, args=(entry, spec, theirs))
    process.start()
    theirs.close()
    signal.signal(signal.SIGINT, lambda *_: ours.send(Stop(checkpoint=True)))
    try:
        while True:
            event = ours.recv()
            yield event
            if isinstance(event, VerdictWanted):
                ours.send(GO_ON)
    except (EOFError, ConnectionError):
        pass
    process.join()
    if process.exitcode:
        yield Failed("killed", f"the process ended with exit code {process.exitcode}")


def run_apart(entry: Callable[[Any, Connection], None], spec: Any, channel: Connection) -> None:
    """Out of the terminal's reach, and with nothing but events on standard output."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    entry(spec, channel)


def show(told: Iterator[Event]) -> bool:
    """Print the events; whether the last one was no failure."""
    event: Event | None = None
    for event in told:
        print(json.dumps(line(event)), flush=True)  # noqa: T201
    if isinstance(event, Failed):
        print(event.message, file=sys.stderr)  # noqa: T201
    return event is not None and not isinstance(event, Failed)


def line(event: Event) -> dict[str, Any]:
    """An event as JSON values; an observation's fields stand beside the event's name."""
    if isinstance(event, Prepared):
        values: Any = event.facts
    else:
        values = asdict(event.observation if isinstance(event, Stepped) else event)
    return {"event": type(event).__name__.lower(), **_finite(values)}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
