"""Entry points of the process that runs one trial, or prepares a study's data.

Whatever goes wrong inside becomes a `Failed` event: the driver never sees an exception.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Literal

import trainer.environment  # noqa: F401
from trainer.link import DriverGone, Link
from trainer.spec import Failed, PrepareSpec, TrialSpec, UserError


def run_trial(spec: TrialSpec, channel: Connection) -> None:
    """Train, observe, measure and save one trial."""

    def work(link: Link) -> None:
        from trainer.trial import train_trial

        train_trial(spec, link)

    _run(work, channel, spec.num_threads)


def run_prepare(spec: PrepareSpec, channel: Connection) -> None:
    """Check the model, tokenise the data and measure the base model, once per study."""

    def work(link: Link) -> None:
        from trainer.prepare import prepare

        prepare(spec, link)

    _run(work, channel, spec.num_threads)


def _run(work: Callable[[Link], None], channel: Connection, num_threads: int) -> None:
    _settle_in()
    link = Link(channel)
    try:
        try:
            _quieten(num_threads)
            work(link)
        except DriverGone:
            raise
        except Exception as error:
            link.send(describe_failure(error))
    except DriverGone:
        pass  # nobody is left to tell
    finally:
        channel.close()


def _settle_in() -> None:
    """In a process of its own: leave Ctrl-C to the driver, and end when the driver ends."""
    driver = multiprocessing.parent_process()
    if driver is None:
        return  # called directly, in the caller's own process
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_driver() -> None:
        # The death of a driver that was killed shows in no other way while this process computes.
        wait([driver.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_driver, daemon=True).start()


def _quieten(num_threads: int) -> None:
    import datasets
    import huggingface_hub
    import torch
    import transformers

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(num_threads or cores or 1)
    # peft asks transformers by the old name; nothing that a user could mend.
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.logging.set_verbosity_error()
    huggingface_hub.logging.set_verbosity_error()
    huggingface_hub.utils.disable_progress_bars()
    datasets.disable_progress_bars()


def describe_failure(error: Exception) -> Failed:
    """Sort an exception by what can be done about it."""
    message = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UserError):
        return Failed("bad input", str(error))
    return Failed(
        _kind(error),
        f"{type(error).__name__}: {message}",
        "".join(traceback.format_exception(error)),
    )


def _kind(error: Exception) -> Literal["out of memory", "disk full", "error"]:
    import torch

    text = str(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
        return "out of memory"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    # safetensors and torch.save report a full disk as errors of their own.
    if full or "No space left on device" in text or "PytorchStreamWriter failed" in text:
        return "disk full"
    return "error"
