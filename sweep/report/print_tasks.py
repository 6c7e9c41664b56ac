"""What can be named as lm_eval:TASK here, found out by a process of its own and printed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from sweep.report.console import Console, make_console, print_columns, print_lines
from sweep.report.text_table import Column
from trainer.contract.spec import UserError

_BOARDS = {
    "openllm": "the Open LLM Leaderboard's first version, as one number",
    "leaderboard": "its second version, normalised as the board does; leaderboard:raw without",
}

Task = TypedDict("Task", {"name": str, "kind": str, "from": str, "data": list[str], "cached": bool})


def find_tasks(pattern: str, folder: Path | None) -> list[Task]:
    """The tasks, groups and tags whose names fit the pattern, by name. UserError where the harness
    is not installed, or the folder is not there."""
    if find_spec("lm_eval") is None:
        raise UserError("tasks: needs a package: pip install 'sft-sweep[benchmarks]'")
    command = [sys.executable, "-m", "trainer.list_tasks", pattern]
    if folder is not None:
        command += ["--tasks", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError((done.stderr.strip().splitlines() or ["the harness cannot be read"])[-1])
    return json.loads(done.stdout)


def print_tasks(tasks: list[Task], console: Console | None = None) -> None:
    """Print a line for each, those of one's own first, and what is left out."""
    console = console or make_console()
    if not tasks:
        print_lines(["no task has such a name; a pattern may have * in it, as mmlu*"], console)
        return
    rows = [
        [task["name"], task["kind"], task["from"], _needs(task)]
        for task in sorted(tasks, key=lambda task: (task["from"], task["name"]))
    ]
    columns = [Column(title, False) for title in ("name", "kind", "from")]
    print_columns(console, [*columns, Column("without the Hub", False, True)], rows)
    for task in tasks:
        if task["name"] in _BOARDS:
            print_lines([f"{task['name']}: {_BOARDS[task['name']]}"], console)


def _needs(task: Task) -> str:
    if not task["data"]:
        return "works"
    named = ", ".join(task["data"][:3]) + (", ..." if len(task["data"]) > 3 else "")
    return f"works, from the cache: {named}" if task["cached"] else f"needs {named}"
