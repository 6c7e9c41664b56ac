"""`python -m trainer SPEC.json`: one trial by itself, without a study or a database.

For debugging, and for other schedulers. SPEC.json holds what TrialSpec has (a study writes one for
each of its trials), with `data` (what DataSpec has) in place of `data_dir` where nothing has been
prepared yet. Every event is printed as one line of JSON; a number that is not finite is null.
Nobody prunes: every question is answered with "go on". Ctrl-C or SIGTERM writes a checkpoint at the
end of the step, from which the same command goes on; a second one ends at once.
Exit status: 0 finished, 1 failed, 2 a wrong spec, 130 stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from predictor.types import Verdict
from trainer.files import remove_tree, write_json
from trainer.spec import (
    PRELOAD,
    DataSpec,
    Event,
    Failed,
    Finished,
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
SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPED = 130
ASKED = "asked.json"  # what the data beside it were prepared for
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
    if data is not None:
        prepared = Path(spec.data_dir) / ASKED
        asked: dict[str, Any] = {f"data.{key}": value for key, value in asdict(data).items()}
        asked |= {"model.base": spec.model.base, "metrics": list(spec.metrics)}
        if prepared.is_file():
            differ = changes(json.loads(prepared.read_text()), json.loads(json.dumps(asked)))
            if differ:
                print(f"{spec.data_dir} holds other data: {differ}", file=sys.stderr)  # noqa: T201
                return 2
        else:
            Path(spec.data_dir).mkdir(parents=True, exist_ok=True)
            prepare = PrepareSpec(
                spec.model, data, spec.data_dir, spec.metrics, False, spec.num_threads, spec.seed
            )
            status = show(Apart(run_prepare, prepare))
            if status:
                return status
            write_json(prepared, asked | {"files": hashes(Path(spec.data_dir))})
    status = show(Apart(run_trial, spec))
    if status == 0:
        remove_tree(Path(spec.trial_dir) / "checkpoints")  # nobody else waits for its end
    return status


def hashes(data_dir: Path) -> dict[str, str]:
    """Of the local files that the data were prepared from."""
    sources = json.loads((data_dir / "prepared.json").read_text())["sources"]
    return {each["path"]: each["sha256"] for each in sources.values() if each["sha256"]}


def changes(before: dict[str, Any], asked: dict[str, Any]) -> str:
    """What is asked for otherwise than when the data were prepared, or has changed; "" nothing."""
    keys = [key for key in asked if before[key] != asked[key]]
    differ = [f"{key} was {before[key]}, is {asked[key]}" for key in keys]
    differ += [
        f"{path} has changed since"
        for path, digest in before["files"].items()
        if not Path(path).is_file() or hashlib.sha256(Path(path).read_bytes()).hexdigest() != digest
    ]
    return "; ".join(differ) + "; give --out another folder" if differ else ""


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


class Apart:
    """An entry point of trainer.worker in a process of its own, and what it tells.

    The first signal asks it to stop, or ends it where it hears nothing yet; the second ends it.
    """

    def __init__(self, entry: Callable[[Any, Connection], None], spec: Any) -> None:
        self._can_stop = entry is run_trial
        self.interrupted = False
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOAD))
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=run_apart, args=(entry, spec, theirs))
        self._before = {name: signal.signal(name, self._interrupt) for name in SIGNALS}
        self._process.start()
        theirs.close()

    def _interrupt(self, *_: Any) -> None:
        at_once = self.interrupted or not self._can_stop
        self.interrupted = True
        with contextlib.suppress(OSError):
            if at_once:
                kill_group(self._process)
            else:
                self._ours.send(Stop(checkpoint=True))

    def __iter__(self) -> Iterator[Event]:
        try:
            with contextlib.suppress(EOFError, ConnectionError):
                while True:
                    event = self._ours.recv()
                    yield event
                    if isinstance(event, VerdictWanted):
                        self._ours.send(GO_ON)
            self._process.join()
            if self._process.exitcode and not self.interrupted:
                why = f"the process ended with exit code {self._process.exitcode}"
                yield Failed("killed", why)
        finally:
            for name, handler in self._before.items():
                signal.signal(name, handler)


def events(entry: Callable[[Any, Connection], None], spec: Any) -> Iterator[Event]:
    return iter(Apart(entry, spec))


def kill_group(process: Any) -> None:
    """It leads a group of its own, but for its first moments."""
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def run_apart(entry: Callable[[Any, Connection], None], spec: Any, channel: Connection) -> None:
    """Out of the terminal's reach, with nothing but events on standard output, and no longer than
    whoever started it."""
    os.setsid()
    for name in SIGNALS:
        signal.signal(name, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    os.dup2(2, 1)
    entry(spec, channel)


def _end_with_the_starter() -> None:
    starter = multiprocessing.parent_process()
    assert starter is not None
    wait([starter.sentinel])
    os.killpg(0, signal.SIGKILL)


def show(told: Apart) -> int:
    """Print the events; the exit status that they come to."""
    event: Event | None = None
    for event in told:
        print(json.dumps(line(event)), flush=True)  # noqa: T201
    if isinstance(event, Failed):
        print(event.message, file=sys.stderr)  # noqa: T201
    if isinstance(event, Finished | Prepared):
        return 0
    return STOPPED if told.interrupted else 1


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
