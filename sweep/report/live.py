"""A running study on a terminal: drawn anew a few times a second."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep import formats as f
from sweep.report import study_text
from sweep.report.console import make_console, plain
from sweep.report.view import ParkedTrial, RunningTrial, Status, number_lines

_REFRESH_S = 0.25
_WIDEST = 110  # columns
_FEWEST_PARKED, _OTHER_LINES = 3, 8  # rows: of parked trials at least, and of all else


class LiveView:
    """A `View` for terminals; drawn anew a few times a second, whatever happens."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or make_console()
        self._status: Status | None = None
        self._shown_s = -math.inf
        self._live = Live(self, console=self._console, refresh_per_second=1 / _REFRESH_S)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """The line stays above the display."""
        self._console.print(plain(line))

    def is_due(self) -> bool:
        """Whether _REFRESH_S seconds have passed since the last status."""
        return time.monotonic() - self._shown_s >= _REFRESH_S

    def show(self, status: Status) -> None:
        """The status is what is drawn from now on."""
        self._status, self._shown_s = status, time.monotonic()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._status is not None:
            yield _shown(self._status, options.max_width, console.height)


def _shown(status: Status, width: int, height: int) -> Group:
    width = min(width, _WIDEST)
    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(no_wrap=True, max_width=max(12, width // 3))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for trial in status.running:
        table.add_row(*_running(trial, max(6, width // 8)))
    room = max(_FEWEST_PARKED, height - len(status.running) - _OTHER_LINES)
    for parked in status.waiting[:room]:
        table.add_row(*_parked(parked))
    lines: list[Text] = []
    if more := len(status.waiting) - room:
        lines += [plain(f"and {more} more that are parked", "dim")] if more > 0 else []
    if status.best:
        lines.append(plain(f"best so far: {status.best}", "green"))
    if status.nearest:
        lines.append(plain(f"no feasible trial so far; the nearest: {status.nearest}"))
    lines += [plain(line) for line in number_lines(status)]
    return Group(plain(status.study, "bold"), table, *lines)


def _running(trial: RunningTrial, bar_width: int) -> list[Text | ProgressBar]:
    said = [] if trial.loss is None else [f"loss {f.fixed(trial.loss)}"]
    said += [] if trial.grad_norm is None else [f"norm {f.number(trial.grad_norm)}"]
    said += [] if trial.probability is None else [f"P {f.chance(trial.probability)}"]
    said.append(trial.doing if trial.doing != "training" else "" if trial.goal else trial.verdict)
    bar = ProgressBar(total=max(trial.num_steps, 1), completed=trial.step, width=bar_width)
    return [
        plain(study_text.short_settings(trial.number, trial.params)),
        plain(trial.goal) if trial.goal else bar,
        plain(f"{trial.step}/{trial.num_steps}"),
        plain(", ".join(filter(None, said))),
    ]


def _parked(trial: ParkedTrial) -> list[Text]:
    said = [] if trial.early_eval is None else [f"early eval {f.fixed(trial.early_eval)}"]
    said += [] if trial.probability is None else [f"P {f.chance(trial.probability)}"]
    share = "" if trial.share is None else f"at {trial.share:.0%}"
    cells = (study_text.short_settings(trial.number, trial.params), "parked", share)
    return [plain(cell, "dim") for cell in (*cells, ", ".join(said))]
