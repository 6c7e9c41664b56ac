"""The trackers' processes as the driver has them: started, heard and ended. Nothing that becomes of
them touches a trial."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import TracebackType
from typing import Self

from sweep.report.view import View
from sweep.storage.find import Location
from trainer.contract.signals import Interrupted, Signals
from trainer.contract.spec import UserError

COMMAND = (sys.executable, "-m", "sweep.trackers.process")
SILENCE_S = 120.0  # of a process that is to end and gets nothing done
SAID_AFTER_S = 3.0
TICK_S = 0.05


def refuse_missing(names: Sequence[str]) -> None:
    """Raise UserError where a tracker's package is not installed."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise UserError(
            f"run.report_to: {', '.join(missing)} cannot be imported: pip install "
            "'sft-sweep[trackers]', or leave it out"
        )


@dataclass(slots=True)
class _Process:
    name: str
    popen: subprocess.Popen[str]
    heard_s: float = field(default_factory=time.monotonic)
    listener: threading.Thread = field(default_factory=threading.Thread)

    def listen(self, view: View) -> None:
        """Until the process closes its end."""
        assert self.popen.stdout is not None
        with self.popen.stdout as lines:
            for line in lines:
                self.heard_s = time.monotonic()
                if said := json.loads(line).get("say"):
                    view.say(said)

    def kill(self) -> None:
        """The process and what its library has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


class Trackers:
    """The trackers of a study that runs, ended when the `with` ends."""

    def __init__(self, names: Sequence[str], view: View) -> None:
        self.names, self.view = tuple(dict.fromkeys(names)), view
        self._processes: list[_Process] = []
        self._is_cut_short = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_cut_short = isinstance(error, Interrupted)
        self.finish()

    def start(self, at: Location) -> None:
        """A process for each; a second time nothing."""
        if self._processes:
            return
        at = at.absolute()
        for name in self.names:
            popen = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
            asked = {"tracker": name, "url": at.url, "study": at.study, "out": str(at.paths.out)}
            assert popen.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                popen.stdin.write(json.dumps(asked) + "\n")  # not an argument: it may have a secret
                popen.stdin.flush()
            process = _Process(name, popen)
            process.listener = threading.Thread(target=process.listen, args=(self.view,))
            process.listener.daemon = True
            process.listener.start()
            self._processes.append(process)

    def finish(self) -> None:
        """Each has told all and ended; one that is silent for SILENCE_S is killed."""
        for process in self._processes:
            with contextlib.suppress(BrokenPipeError):
                assert process.popen.stdin is not None
                process.popen.stdin.close()
            process.heard_s = time.monotonic()
        since_s, has_said = time.monotonic(), False
        with Signals(self._cut_short):
            while left := [one for one in self._processes if one.popen.poll() is None]:
                now = time.monotonic()
                if not has_said and now - since_s > SAID_AFTER_S and not self._is_cut_short:
                    names = ", ".join(one.name for one in left)
                    self.view.say(f"waiting for {names} to finish; Ctrl-C ends it as it is")
                    has_said = True
                for process in left:
                    if self._is_cut_short or now - process.heard_s > SILENCE_S:
                        process.kill()
                        self.view.say(f"{process.name}: ended before it had everything")
                time.sleep(TICK_S)
        self._say_missing()

    def _say_missing(self) -> None:
        for process in self._processes:
            process.listener.join(TICK_S)
            if process.popen.returncode > 0:
                self.view.say(
                    f"{process.name}: not everything was tracked; the same command makes up for it"
                )
        self._processes.clear()

    def _cut_short(self, number: signal.Signals) -> bool:
        self._is_cut_short = True
        return True
