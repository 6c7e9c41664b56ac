"""`sweep retry`: failed trials wait to be tried again.

Optuna hears of it from the next driver, which alone has it open (recovery.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.driver.trial import State, ask_again
from sweep.storage.engine import make_engine
from sweep.storage.find import locate
from sweep.storage.ledger import Ledger, TrialRow
from sweep.storage.lock import only_driver
from sweep.storage.migrate import upgrade
from sweep.storage.study_source import go_on_command
from trainer.contract.spec import UserError


def retry_trials(where: str, numbers: Sequence[int]) -> str:
    """A sentence that says who is tried again and how to go on. `numbers`: all failed ones if none.

    UserError where a driver is at work on the study, and for a trial that has not failed.
    """
    found = locate(where)
    url, name = found.url, found.study
    with only_driver(url, name):
        engine = make_engine(url)
        try:
            upgrade(engine)
            ledger = Ledger(engine, name)
            rows = {row.number: row for row in ledger.read_trials()}
            failed = _failed(rows, numbers, name)
            for row in failed:
                ask_again(row)
                ledger.save_trial(row)
            told = ", ".join(str(row.number) for row in failed)
            if failed:
                ledger.note(f"failed trials were asked for again: {told}")
        finally:
            engine.dispose()
    if not failed:
        return f"No trial of study {name!r} has failed: there is none to be tried again."
    return (
        f"To be tried again in study {name!r}: {told}. Go on with {go_on_command(found)}, and "
        "--set as before."
    )


def _failed(rows: Mapping[int, TrialRow], numbers: Sequence[int], study: str) -> list[TrialRow]:
    """UserError with a line for each that is named and has not failed."""
    wrong: list[str] = []
    for number in numbers:
        if number not in rows:
            wrong.append(f"study {study!r} has no trial {number}")
        elif rows[number].state != State.FAILED:
            wrong.append(
                f"trial {number} is {rows[number].state}: only failed ones are tried again"
            )
    if wrong:
        there = [str(number) for number, row in rows.items() if row.state == State.FAILED]
        raise UserError(f"{'; '.join(wrong)} (failed: {', '.join(there) or 'none'})")
    wanted = numbers or rows
    return [row for number, row in rows.items() if number in wanted and row.state == State.FAILED]
