"""How much a trial is trained, and where its early window closes. All counts are samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from sweep.config.study import Study
from trainer.contract.spec import UserError

MAX_WINDOW_SHARE = 0.25  # a window that takes more of the budget saves too little


def samples_of_epochs(epochs: float, num_rows: int) -> int:
    """How many samples so many epochs are, rounded up to whole ones."""
    # the rounding keeps 1.1 epochs of 10 rows at 11 samples
    return math.ceil(round(epochs * num_rows, 6))


def budget_samples(study: Study, params: Mapping[str, Any], num_rows: int) -> int:
    """What a trial with `params` is trained on, before it rounds up to whole steps."""
    if study.budget is None:
        return samples_of_epochs(params["epochs"], num_rows)
    if study.budget.samples is not None:
        return study.budget.samples
    assert study.budget.epochs is not None
    return samples_of_epochs(study.budget.epochs, num_rows)


def budget_extremes(study: Study, num_rows: int) -> tuple[int, int]:
    """The smallest and the largest budget in the space."""
    if study.budget is not None:
        samples = budget_samples(study, {}, num_rows)
        return samples, samples
    fewest, most = study.search.space.extremes("epochs")
    return samples_of_epochs(fewest, num_rows), samples_of_epochs(most, num_rows)


def window_samples(study: Study, num_rows: int) -> int:
    """The study's one early window: max(window x smallest budget, min_steps x largest batch).

    Rounded up. UserError above a quarter of the smallest budget, with every way out. With pruning
    off nothing is decided by it, it is only recorded: then it may take all of the smallest budget.
    """
    pruning = study.pruning
    smallest, _ = budget_extremes(study, num_rows)
    largest_batch = int(study.search.space.extremes("batch_size")[1])
    by_steps = pruning.min_steps * largest_batch
    by_share = math.ceil(round(pruning.window * smallest, 6))
    if not pruning.settings().enabled:
        return min(max(by_share, by_steps), smallest)
    if by_steps > MAX_WINDOW_SHARE * smallest:
        ways = " or ".join(_ways_out(study, num_rows, smallest, largest_batch))
        raise UserError(
            f"pruning.min_steps: {pruning.min_steps} steps of the largest batch ({largest_batch}) "
            f"make an early window of {by_steps} samples, over 25 % of the smallest budget "
            f"({smallest} samples), so that pruning would save little; give {ways}"
        )
    return max(by_share, by_steps)


def look_samples(study: Study, num_rows: int) -> tuple[int, ...]:
    """Where trials are looked at after their window, ascending; () in stream mode. With pruning off
    they are only recorded, as the window is.

    Left out of pruning.looks is what is not a step of the largest batch after the look before it,
    the window being the first, and before the end of the smallest budget: so each trial is looked
    at at every one. UserError as `window_samples`.
    """
    settings = study.pruning.settings()
    if not settings.has_looks:
        return ()
    smallest, _ = budget_extremes(study, num_rows)
    largest_batch = int(study.search.space.extremes("batch_size")[1])
    found = [window_samples(study, num_rows)]
    for share in settings.looks:
        samples = math.ceil(round(share * smallest, 6))
        if found[-1] + largest_batch <= samples <= smallest - largest_batch:
            found.append(samples)
    return tuple(found[1:])


def _ways_out(study: Study, num_rows: int, smallest: int, largest_batch: int) -> Iterator[str]:
    """Each alone makes the window small enough, or needless."""
    min_steps = study.pruning.min_steps
    yield _enough(study, math.ceil(min_steps * largest_batch / MAX_WINDOW_SHARE), num_rows)
    most = int(MAX_WINDOW_SHARE * smallest)
    if fewer := most // largest_batch:
        yield f"pruning.min_steps of at most {fewer}"
    if smaller := most // min_steps:
        yield f"search.space.batch_size of at most {smaller}"
    yield "pruning.enabled: false"


def _enough(study: Study, samples: int, num_rows: int) -> str:
    if study.budget is not None and study.budget.samples is not None:
        return f"budget.samples of at least {samples}"
    key = "search.space.epochs" if study.budget is None else "budget.epochs"
    epochs = math.ceil(samples / num_rows * 100) / 100
    return f"{key} of at least {epochs:g} ({samples} samples)"


def check_rows(study: Study, num_rows: int) -> None:
    """Raise UserError where the training data is too small for the space."""
    largest_batch = int(study.search.space.extremes("batch_size")[1])
    if largest_batch > num_rows:
        where = "data.phases have" if study.data.phases else "data.train has"
        raise UserError(
            f"search.space.batch_size: a batch of {largest_batch} is more than the {num_rows} "
            f"samples that {where} left; allowed: 1 to {num_rows}"
        )
    window_samples(study, num_rows)
