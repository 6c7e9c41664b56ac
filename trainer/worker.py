"""Entry points of the process that runs one trial, prepares a study's data, or answers questions.

Whatever goes wrong inside becomes a `Failed` event: the driver never sees an exception.
"""

from __future__ import annotations

import contextlib
import os
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import trainer.contract.environment  # noqa: F401
from trainer.contract.checks import check_spec
from trainer.contract.final import AnswerSpec, FinalSpec
from trainer.contract.outside import OutsideError, cause_of
from trainer.contract.spec import Failed, Finished, PrepareSpec, TrialSpec, UserError
from trainer.training.launch import launch
from trainer.training.link import DriverGone, DriverLink, TeamLink

MESSAGE_CHARS, TRACEBACK_CHARS = 2_000, 30_000  # a compiler's complaints can be megabytes


def run_trial(spec: TrialSpec, channel: Connection) -> None:
    """Train, observe, measure and save one trial, on as many processes as it says."""
    folders = _there(spec.trial_dir, spec.data_dir, spec.model.base)
    failed = _attempt(lambda: check_spec(spec))
    if failed is None and spec.processes > 1:
        failed = _attempt_team(spec, channel, folders)
    elif failed is None:
        failed = _attempt(lambda: _train_alone(spec, channel), *folders)
    _end(failed, channel)


def run_prepare(spec: PrepareSpec, channel: Connection) -> None:
    """Check the model, tokenise the data and measure the base model, once per study."""

    def work() -> None:
        from trainer.prepare import prepare

        _quieten(spec.num_threads)
        prepare(spec, DriverLink(channel))

    _end(_attempt(work, *_there(spec.out_dir, spec.model.base)), channel)


def run_final(spec: FinalSpec, channel: Connection) -> None:
    """Measure metrics of a kept model, or of the base model."""

    def work() -> None:
        from trainer.evaluation.final import measure_final

        _quieten(spec.num_threads)
        link = DriverLink(channel)
        measurements, scores = measure_final(spec, link.alive)
        link.send(Finished(measurements, None, scores))

    _end(_attempt(work, *_there(spec.data_dir, spec.model.base, spec.folder or "")), channel)


def run_answers(spec: AnswerSpec, channel: Connection) -> None:
    """Answer questions with a kept model, or with the base model, into a file; Finished has no
    measurements."""

    def work() -> None:
        from trainer.evaluation.answers import answer_all

        _quieten(spec.num_threads)
        link = DriverLink(channel)
        answer_all(spec, link.alive)
        link.send(Finished({}, None))

    _end(_attempt(work, *_there(spec.model.base, spec.folder or "")), channel)


def _there(*folders: str) -> list[Path]:
    """Those of the folders that it works in which are there; a Hub id is none."""
    return [Path(folder) for folder in folders if folder and Path(folder).is_dir()]


def _train_alone(spec: TrialSpec, channel: Connection) -> None:
    from trainer.model.team import Team
    from trainer.training.trial import train_trial

    _quieten(spec.num_threads)
    train_trial(spec, DriverLink(channel), Team())


def _attempt_team(spec: TrialSpec, channel: Connection, folders: list[Path]) -> Failed | None:
    try:
        return _run_team(spec, channel, folders)
    except Exception as error:  # not in a process of the team: it could not be launched
        return describe_failure(error, *folders)


def _run_team(spec: TrialSpec, channel: Connection, folders: list[Path]) -> Failed | None:
    """Launched again, from its newest checkpoint, for as long as smaller micro-batches may help."""
    from trainer.model.fit import FitMemory

    def run_rank(rank: int, size: int, rendezvous: Path, own: Connection | None) -> Failed | None:
        def work() -> None:
            from trainer.model.team import join
            from trainer.training.trial import train_trial

            _quieten(spec.num_threads)
            team = join(rank, size, rendezvous)
            train_trial(spec, TeamLink(team, DriverLink(own) if own else None), team)
            team.barrier()  # nobody leaves while another still needs it

        return _attempt(work, *folders)

    memory = FitMemory(spec)
    while True:
        known = memory.read().fails
        failed = launch(run_rank, spec.processes, channel)
        fails = memory.read().fails
        if failed is None or failed.kind != "out of memory" or fails in (known, 1):
            return failed


def _attempt(work: Callable[[], None], *folders: Path) -> Failed | None:
    """What went wrong, described. `folders`: what the work lives in."""
    try:
        work()
    except DriverGone:
        return Failed("lost", "the driver has gone")  # nobody hears it; other processes end by it
    except Exception as error:
        return describe_failure(error, *folders)
    return None


def _end(failed: Failed | None, channel: Connection) -> None:
    with contextlib.suppress(DriverGone):
        if failed is not None:
            DriverLink(channel).send(failed)
    channel.close()


def _quieten(num_threads: int) -> None:
    import datasets
    import huggingface_hub
    import torch
    import transformers

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(num_threads or cores or 1)
    # peft asks transformers by the old name; nothing that a user could fix.
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.logging.set_verbosity_error()
    huggingface_hub.logging.set_verbosity_error()
    huggingface_hub.utils.disable_progress_bars()
    datasets.disable_progress_bars()


def describe_failure(error: Exception, *folders: Path) -> Failed:
    """The failure that an exception stands for, sorted by what can be done about it."""
    from trainer.model.fit import is_out_of_memory

    message = " ".join(str(error).split()) or type(error).__name__
    cause = cause_of(error, *folders)
    if cause is None and isinstance(error, UserError):
        return Failed("bad input", str(error))
    if isinstance(error, OutsideError):
        return Failed(error.cause, str(error)[:MESSAGE_CHARS])
    text = "".join(traceback.format_exception(error))
    kind = cause or ("out of memory" if is_out_of_memory(error) else "error")
    return Failed(
        kind, f"{type(error).__name__}: {message}"[:MESSAGE_CHARS], text[-TRACEBACK_CHARS:]
    )
