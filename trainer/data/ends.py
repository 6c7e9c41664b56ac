"""Where a trained turn ends, told by the labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.tokenise import IGNORED, special_tokens

LEAST_SHARE = 0.01  # of the turns
_CHUNK = 10_000  # rows looked at together


def trained_ends(
    labels: Iterable[np.ndarray], tokenizer: Any, max_length: int, base_ends: Iterable[int] = ()
) -> list[int]:
    """The special tokens that come last in a turn that bears loss, the most frequent first.

    `labels`: each (length,) int32, IGNORED where no loss is. A row of `max_length` tokens may have
    been cut, so that its end says nothing. `base_ends`: where the base model stops. A token that
    ends fewer than LEAST_SHARE of the turns may stand in a reply by mistake, and generation would
    stop in the middle of others: it counts only where EOS, the base or the chat template names it.
    EOS where no row tells.
    """
    special = np.array(sorted(special_tokens(tokenizer).values()))
    counts: Counter[int] = Counter()
    rows = iter(labels)
    while chunk := list(islice(rows, _CHUNK)):
        last = _last_of_turns(chunk, max_length)
        counts.update(last[np.isin(last, special)].tolist())
    least = LEAST_SHARE * counts.total()
    named = {tokenizer.eos_token_id, *base_ends}
    ends = [
        token
        for token, count in counts.most_common()
        if count >= least or token in named or _is_in_template(token, tokenizer)
    ]
    return ends or [tokenizer.eos_token_id]


def ends_of_base(folder: Path) -> set[int]:
    """The token ids at which the model in a folder stops, by its configuration."""
    ends: set[int] = set()
    for name in ("config.json", "generation_config.json"):
        if (folder / name).is_file():
            said = json.loads((folder / name).read_text(encoding="utf-8")).get("eos_token_id")
            ends.update(said if isinstance(said, list) else [] if said is None else [said])
    return ends


def _is_in_template(token: int, tokenizer: Any) -> bool:
    templates = tokenizer.chat_template or ""
    texts = templates.values() if isinstance(templates, dict) else [templates]
    return any(tokenizer.convert_ids_to_tokens(token) in text for text in texts)


def _last_of_turns(rows: Sequence[np.ndarray], max_length: int) -> np.ndarray:
    """The last label of each run of labels, over all rows."""
    lengths = np.array([len(row) for row in rows])
    flat = np.concatenate(rows)
    bears_loss = flat != IGNORED
    row_ends = np.cumsum(lengths) - 1
    followed = np.append(bears_loss[1:], False)
    followed[row_ends] = lengths >= max_length
    return flat[bears_loss & ~followed]
