"""Studies with their settled trials, opened together and told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sweep.storage.find import open_study
from sweep.storage.ledger import Ledger, StudyRow, TrialRow
from sweep.storage.migrate import refuse_unreadable
from sweep.storage.paths import StudyPaths
from sweep.storage.states import SETTLED
from trainer.contract.spec import UserError


@dataclass(frozen=True, slots=True)
class SettledStudy:
    """A stored study, with its settled trials."""

    ledger: Ledger
    paths: StudyPaths
    row: StudyRow
    trials: Sequence[TrialRow]  # settled
    num_unsettled: int
    label: str  # unique among the studies that were opened: its folder, and a number if need be

    @property
    def usual_window(self) -> int | None:
        """Where most early windows closed, in samples; None where none did."""
        closed = Counter(one.window["samples"] for one in self.trials if one.window is not None)
        return closed.most_common(1)[0][0] if closed else None


@contextmanager
def settled_studies(texts: Sequence[str]) -> Generator[list[SettledStudy]]:
    """The studies (as for inspect), their ledgers open until the end.

    UserError where one cannot be read, was made by an earlier version, or is named twice.
    """
    found: list[SettledStudy] = []
    known: dict[tuple[str, float], str] = {}
    folders: Counter[str] = Counter()
    with ExitStack() as stack:
        for text in texts:
            ledger, paths = open_study(text)
            stack.callback(ledger.engine.dispose)
            try:
                refuse_unreadable(ledger.engine)
            except UserError as error:
                raise UserError(f"{text}: {error}") from None
            row = ledger.read_study()
            assert row is not None, text
            if (row.name, row.created_s) in known:
                raise UserError(f"{known[row.name, row.created_s]} and {text} are the same study")
            known[row.name, row.created_s] = text
            folder = paths.out.resolve().name
            folders[folder] += 1
            label = folder if folders[folder] == 1 else f"{folder}#{folders[folder]}"
            trials = ledger.read_trials()
            settled = [trial for trial in trials if trial.state in SETTLED]
            found.append(
                SettledStudy(ledger, paths, row, settled, len(trials) - len(settled), label)
            )
        yield found
