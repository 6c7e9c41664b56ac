"""The part of what is measured on that a look asks: the same for all trials and looks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SUBSET_SEED = 0


def early_part(strata: Sequence[str], num: int) -> np.ndarray:
    """A fixed draw of `num` of the questions (num_kept,), ascending, from each stratum its share;
    all where there are no more. `strata`: what each question belongs to."""
    total = len(strata)
    if num >= total:
        return np.arange(total)
    names = np.array(strata)
    rng = np.random.default_rng(SUBSET_SEED)
    kept: list[np.ndarray] = []
    shares: list[tuple[float, int]] = []
    order = [rng.permutation(np.flatnonzero(names == name)) for name in dict.fromkeys(strata)]
    whole = [int(num * len(rows) / total) for rows in order]
    for place, rows in enumerate(order):  # what is left goes to the largest remainders
        shares.append((num * len(rows) / total - whole[place], -place))
    for _, place in sorted(shares, reverse=True)[: num - sum(whole)]:
        whole[-place] += 1
    kept = [rows[:size] for rows, size in zip(order, whole, strict=True)]
    return np.sort(np.concatenate(kept))
