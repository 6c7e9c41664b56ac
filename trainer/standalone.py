"""`python -m trainer SPEC.json`: one trial by itself, without a study or a database.

For debugging, and for other schedulers. SPEC.json holds what TrialSpec has (a study writes one for
each of its trials), with `data` (what DataSpec has) in place of `data_dir` where nothing has been
prepared yet. Every event is printed as one line of JSON; a number that is not finite is null.
Nobody prunes or parks: every question is answered with "go on". Ctrl-C, SIGTERM or SIGHUP writes a
checkpoint, from which the same command goes on; a second one ends at once, and so does the first
while the data are prepared.
Exit status: 0 finished, 1 failed, 2 a wrong spec (or not the one that the data beside it were
prepared for), 128 + its number after a signal (130 for Ctrl-C).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from predictor.types import Verdict
from trainer.contract.checks import check_data, check_spec
from trainer.contract.files import remove_tree, write_json
from trainer.contract.fingerprint import changed_files, file_sha256, pinned
from trainer.contract.process import NotStarted, settle_in, start
from trainer.contract.signals import TOGETHER_S, Interrupted, Signals, exit_code
from trainer.contract.spec import (
    LAST,
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
from trainer.contract.streams import finite, print_json, safe_streams
from trainer.worker import run_prepare, run_trial

GO_ON = Verdict("continue", "none", "nobody judges a trial that runs alone")
FAILED, WRONG_SPEC = 1, 2  # exit statuses
EPILOG = """Ctrl-C, SIGTERM or SIGHUP writes a checkpoint, from which the same command goes on; a
second one ends at once, and so does the first while the data are prepared. Exit status: 0 finished,
1 failed, 2 a wrong spec, 128 + its number after a signal (130 for Ctrl-C)."""
ASKED = "asked.json"  # beside the prepared data: what they were asked to be
DEFAULTS: dict[str, Any] = {"number": 0, "seed": 0, "window_samples": 0, "early_eval": 0}

Entry = Callable[[Any, Connection], None]


def main(arguments: list[str] | None = None) -> int:
    """The exit code of `python -m trainer`."""
    parser = argparse.ArgumentParser(
        "python -m trainer", description="Run one trial by itself.", epilog=EPILOG
    )
    parser.add_argument("spec", type=Path, help="a JSON file with what TrialSpec has")
    parser.add_argument("--out", type=Path, help="where it writes, in place of its trial_dir")
    given = parser.parse_args(arguments)
    with safe_streams():
        try:
            with Signals():
                return run(given.spec, given.out)
        except UserError as error:
            sys.stderr.write(f"{error}\n")
            return WRONG_SPEC
        except Interrupted as interrupted:
            return interrupted.exit_code


def run(path: Path, out: Path | None) -> int:
    """The exit status, once the data are prepared, where that is still to be done, and the model
    trained."""
    spec, data = read_spec(path, out)
    check_spec(spec)
    Path(spec.trial_dir).mkdir(parents=True, exist_ok=True)
    if data is not None:
        status = prepare(spec, data)
        if status:
            return status
    prepared = Path(spec.data_dir) / "prepared.json"
    if prepared.is_file():  # the trial itself says what is wrong where it is not
        facts = json.loads(prepared.read_text())
        check_data(spec, facts)
        if data is not None:
            spec = replace(spec, model=pinned(spec.model, facts))
    stopping = Stopping()
    with Signals(stopping):
        last = show(events(run_trial, spec, stopping))
    if isinstance(last, Finished):
        remove_tree(Path(spec.trial_dir) / "checkpoints")  # nobody else waits for its end
        return 0
    return FAILED if stopping.heard is None else exit_code(stopping.heard)


def prepare(spec: TrialSpec, data: DataSpec) -> int:
    """The exit status, once the data are prepared. Data that are there already must be the ones
    asked for, or UserError is raised."""
    folder = Path(spec.data_dir)
    asked: dict[str, Any] = {f"data.{key}": value for key, value in asdict(data).items()}
    asked = json.loads(json.dumps(asked | {"model.base": spec.model.base}))
    if (folder / ASKED).is_file() and (folder / "prepared.json").is_file():
        facts = json.loads((folder / "prepared.json").read_text())
        differ = differences(json.loads((folder / ASKED).read_text()), asked, facts["sources"])
        differ += [f"model.base: {text}" for text in changed_files(spec.model, facts)]
        if differ:
            raise UserError(
                f"{folder} holds other data ({'; '.join(differ)}): put these back, or give --out "
                "another folder"
            )
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    last = show(
        events(
            run_prepare,
            PrepareSpec(
                spec.model,
                data,
                spec.data_dir,
                spec.metrics,
                measure_base=False,
                num_threads=spec.num_threads,
                seed=spec.seed,
                benchmarks=spec.benchmarks,
            ),
        )
    )
    if not isinstance(last, Prepared):
        return FAILED
    write_json(folder / ASKED, asked)  # last: without it the data are prepared again
    return 0


def differences(
    before: Mapping[str, Any], asked: Mapping[str, Any], sources: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """What is asked for otherwise than before, and which local files have changed since."""
    # What an older version did not ask for yet was as it is by default.
    defaults = {f"data.{key}": value for key, value in asdict(DataSpec()).items()}
    before = {**defaults, **before}
    differ = [
        f"{key} was {before.get(key)}, is {value}"
        for key, value in asked.items()
        if before.get(key) != value
    ]
    hashes = {each["path"]: each["sha256"] for each in sources.values() if each["sha256"]}
    for name, sha256 in hashes.items():
        try:
            now = file_sha256(Path(name))
        except OSError as error:
            differ.append(f"{name} can no longer be read ({error.strerror})")
            continue
        if now != sha256:
            differ.append(f"{name} has changed since")
    return differ


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


class Stopping:
    """Listens to signals: the first asks the trial that runs to write a checkpoint and stop."""

    def __init__(self) -> None:
        self.trial: Connection | None = None
        self.heard: signal.Signals | None = None
        self.heard_s = 0.0

    def __call__(self, number: signal.Signals) -> bool:
        """True: the signal is dealt with. False where no trial runs, and for a second signal that
        does not come together with the first."""
        if self.trial is None:
            return False
        if self.heard is not None:
            return time.monotonic() - self.heard_s < TOGETHER_S
        self.heard, self.heard_s = number, time.monotonic()
        with contextlib.suppress(OSError):  # it is at its end anyway
            self.trial.send(Stop(checkpoint=True))
        return True


def events(entry: Entry, spec: Any, stopping: Stopping | None = None) -> Generator[Event]:
    """The events of an entry point of trainer.worker, in a process of its own, which ends with
    this."""
    try:
        child = start(run_apart, (entry, spec), PRELOAD)
    except NotStarted as error:
        yield Failed("lost", str(error))
        return
    said: Any = None
    try:
        if stopping is not None:
            stopping.trial = child.channel
        with contextlib.suppress(EOFError, ConnectionError):
            while not isinstance(said, LAST):
                said = child.channel.recv()
                yield said
                if isinstance(said, VerdictWanted):
                    with contextlib.suppress(OSError):  # its last words are still to be read
                        child.channel.send(GO_ON)
    except BaseException:
        child.kill()
        raise
    finally:
        if stopping is not None:
            stopping.trial = None
        child.bury()
    if not isinstance(said, LAST):
        yield child.how_it_ended()


def run_apart(entry: Entry, spec: Any, channel: Connection) -> None:
    """The entry point has run, with nothing but events on standard output."""
    settle_in()
    os.dup2(2, 1)
    entry(spec, channel)


def show(told: Generator[Event]) -> Event | None:
    """The last of the events, once all are printed; None without any."""
    event: Event | None = None
    with contextlib.closing(told):
        for event in told:
            print_json(line(event), indent=None)
    if isinstance(event, Failed):
        sys.stderr.write(f"{event.message}\n")
    return event


def line(event: Event) -> dict[str, Any]:
    """An event as JSON values; an observation's fields stand beside the event's name. Scores row by
    row are left out."""
    if isinstance(event, Prepared):
        values: Any = event.facts
    else:
        values = asdict(event.observation if isinstance(event, Stepped) else event)
        values.pop("scores", None)
    return {"event": type(event).__name__.lower(), **finite(values)}
