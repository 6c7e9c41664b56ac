"""From text to token ids, in the segments that it came in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any

from trainer.texts import Text

IGNORED = -100  # a label that carries no loss
CHUNK = 1000  # rows tokenised at once

Ids = list[int]


def tokenise(tokenizer: Any, texts: Sequence[Text], alive: Callable[[], None]) -> list[list[Ids]]:
    """Token ids of each segment of each text, without any end-of-text token appended.

    Where the tokens of what stands before a border are a prefix of those of the whole text, the
    whole text's tokens are parted there (so that a tokeniser that puts a space before every text
    puts none at the border). Otherwise a token would straddle the border; the two sides are
    tokenised apart, as in generation.
    """
    rows: list[list[Ids]] = []
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        # A chat template writes its special tokens itself; all rows of a source are of one kind.
        special = not chunk[0].chat
        segments = [[segment.text for segment in text.segments] for text in chunk]
        whole = _ids(tokenizer, ["".join(parts) for parts in segments], special)
        first = _ids(tokenizer, [parts[0] for parts in segments], special)
        rest = iter(_ids(tokenizer, [part for parts in segments for part in parts[1:]], False))
        for parts, together, begin in zip(segments, whole, first, strict=True):
            apart = [begin, *(next(rest) for _ in parts[1:])]
            # As nearly always; only the others cost a tokenisation for every border.
            fits = list(chain.from_iterable(apart)) == together
            rows.append(apart if fits else _part(tokenizer, parts, together, special))
        alive()
    return rows


def _part(tokenizer: Any, parts: Sequence[str], together: Ids, special: bool) -> list[Ids]:
    """`together`, the tokens of all parts, in pieces; apart where they have no border there."""
    if len(parts) == 1:
        return [together]
    heads = _ids(tokenizer, list(accumulate(parts[:-1])), special)  # up to each border
    for i, head in enumerate(heads, start=1):
        if together[: len(head)] != head:
            before, after = parts[:i], parts[i:]
            tail = _ids(tokenizer, ["".join(after)], False)[0]
            return [
                *_part(tokenizer, before, head, special),
                *_part(tokenizer, after, tail, False),
            ]
    ends = [0, *(len(head) for head in heads), len(together)]
    return [together[start:end] for start, end in pairwise(ends)]


def _ids(tokenizer: Any, texts: list[str], special: bool) -> list[Ids]:
    if not texts:
        return []
    rows = tokenizer(texts, add_special_tokens=special, return_attention_mask=False)["input_ids"]
    if special:  # some tokenisers also append EOS, which must not stand after a prompt
        eos = tokenizer.eos_token_id
        rows = [row[:-1] if row and row[-1] == eos else row for row in rows]
    return rows
