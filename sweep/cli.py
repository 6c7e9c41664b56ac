"""The command line, from its arguments to its exit code: `main`."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from cyclopts import CycloptsError

from sweep.account.outcome import (
    EXIT_ERROR,
    EXIT_OUTSIDE,
    EXIT_USER_ERROR,
    JudgeGone,
    MeasuringFailed,
    PreparationFailed,
)
from sweep.analysis.options import BadOption
from sweep.offline_commands import app  # all of them
from trainer.contract.signals import Interrupted, Signals, end_with
from trainer.contract.sockets import use_short_socket_folder
from trainer.contract.spec import UserError
from trainer.contract.streams import safe_streams


def main(arguments: list[str] | None = None) -> int:
    """The exit code: of a run as account/outcome.py says; else 0, 1, 2 or 128 + the signal.

    What the terminal, a pipe or a disk does to the output changes nothing of what a study does: of
    `sweep run` the exit code is the study's, of all others 1 where their output was lost.
    """
    given = sys.argv[1:] if arguments is None else arguments
    with safe_streams() as (out, err):
        code = _exit_code(given)
        if arguments is None:  # this process is the command
            end_with(code)
        out.flush()
        lost = out.steady.lost
        if lost is not None and not isinstance(lost, BrokenPipeError):  # as in `... | head`
            err.write(f"sweep: the output could not be written: {lost.strerror}\n")
            code = code or (0 if given[:1] == ["run"] else EXIT_ERROR)
    return code


def _exit_code(arguments: list[str]) -> int:
    try:
        with Signals():
            _check_folder()
            use_short_socket_folder()
            code = app(
                arguments, exit_on_error=False, print_error=False, result_action="return_value"
            )
    except CycloptsError as error:
        sys.stderr.write(f"sweep: {error}\n")
        return EXIT_USER_ERROR
    except UserError as error:
        sys.stderr.write(f"sweep: {error.of_command if isinstance(error, BadOption) else error}\n")
        return EXIT_USER_ERROR
    except (PreparationFailed, MeasuringFailed) as error:
        sys.stderr.write(f"sweep: {error}\n")
        return EXIT_ERROR
    except JudgeGone as error:
        sys.stderr.write(f"sweep: {error}. Nothing is lost: the same command goes on\n")
        return EXIT_OUTSIDE
    except Interrupted as interrupted:
        return interrupted.exit_code
    except Exception as error:  # a fault of ours: said in a sentence, for the user cannot fix it
        sys.stderr.write(_fault(error))
        return EXIT_ERROR
    return code if isinstance(code, int) else 0


def _check_folder() -> None:
    """Raise UserError where there is no working directory that paths could start at."""
    try:
        Path.cwd()
    except OSError as error:
        raise UserError(
            f"the working directory cannot be read ({error.strerror}): it may have been deleted; "
            "cd to another"
        ) from None


def _fault(error: Exception) -> str:
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


if __name__ == "__main__":
    sys.exit(main())
