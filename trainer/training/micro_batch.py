"""How many samples each process of a trial holds in memory at once."""

from __future__ import annotations

from collections.abc import Callable

from trainer.contract.spec import TrialSpec
from trainer.model.fit import CAUTIOUS_MICRO_BATCH, FitMemory, first_guess, largest_that_fits
from trainer.model.team import Team


def choose_micro_batch(
    spec: TrialSpec, fit: FitMemory, team: Team, try_size: Callable[[int], None] | None
) -> int:
    """The most samples, the same in all processes, which call it together.

    `try_size` runs one micro-batch of so many samples and raises where memory runs out; None where
    that cannot be tried.
    """
    own = spec.batch_size // team.size
    known = team.broadcast(fit.read())
    if try_size is None:
        found = first_guess(known, min(own, spec.micro_batch or CAUTIOUS_MICRO_BATCH))
    else:
        found = largest_that_fits(fit, known, min(own, spec.micro_batch or own), try_size)
    return min(team.gather(found))
