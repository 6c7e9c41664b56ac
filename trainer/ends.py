"""Where a trained turn ends, told by the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from trainer.tokenise import IGNORED

_CHUNK = 10_000  # rows looked at together


def trained_ends(labels: Iterable[np.ndarray], tokenizer: Any, max_length: int) -> list[int]:
    """The special tokens that come last in a turn that bears loss, the most frequent first.

    `labels`: each (length,) int32, IGNORED where no loss is. A row of `max_length` tokens may have
    been cut, so that its end says nothing. EOS where no row tells.
    """
    special = np.array(sorted(special_ids(tokenizer)))
    counts: Counter[int] = Counter()
    rows = iter(labels)
    while chunk := list(islice(rows, _CHUNK)):
        last = _last_of_turns(chunk, max_length)
        counts.update(last[np.isin(last, special)].tolist())
    return [token for token, _ in counts.most_common()] or [tokenizer.eos_token_id]


def special_ids(tokenizer: Any) -> set[int]:
    """Of the tokens that are no text."""
    added = {token for token, each in tokenizer.added_tokens_decoder.items() if each.special}
    return added | set(tokenizer.all_special_ids)


def _last_of_turns(rows: Sequence[np.ndarray], max_length: int) -> np.ndarray:
    """The last label of each run of labels, over all rows."""
    lengths = np.array([len(row) for row in rows])
    flat = np.concatenate(rows)
    bears_loss = flat != IGNORED
    row_ends = np.cumsum(lengths) - 1
    followed = np.append(bears_loss[1:], False)
    followed[row_ends] = lengths >= max_length
    return flat[bears_loss & ~followed]
