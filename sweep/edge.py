"""The last resort of the command line: where a command cannot even begin, and faults of ours."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from trainer.contract.spec import UserError


def check_folder() -> None:
    """UserError where there is no working directory that paths could start at."""
    try:
        Path.cwd()
    except OSError as error:
        raise UserError(
            f"the working directory cannot be read ({error.strerror}): it may have been deleted; "
            "cd to another"
        ) from None


def fault(error: Exception) -> str:
    """What is said of an exception that nobody expected. The traceback is for those who ask."""
    if os.environ.get("SWEEP_TRACEBACK"):
        return "".join(traceback.format_exception(error))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.lineno]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    said = " ".join(str(error).split())[:300]
    return (
        f"sweep: a fault of sweep's own: {type(error).__name__}: {said}{where}. Please report it, "
        "with what SWEEP_TRACEBACK=1 shows of the same command\n"
    )
