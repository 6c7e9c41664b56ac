"""From text to token ids, in the segments that it came in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, islice, pairwise
from typing import Any

from trainer.contract.spec import UserError
from trainer.data.texts import Text

IGNORED = -100  # a label that carries no loss
CHUNK = 1000  # rows tokenised at once
_MOST_PROBES = 1000

Ids = list[int]


def special_tokens(tokenizer: Any) -> dict[str, int]:
    """The texts that the tokenizer takes as control tokens wherever they stand, with their ids."""
    named = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    behind = tokenizer.added_tokens_decoder.items()
    others = ((each.content, token) for token, each in behind if each.special)
    return dict(sorted({*named, *others}))


def tokenise(tokenizer: Any, texts: Sequence[Text], alive: Callable[[], None]) -> list[list[Ids]]:
    """Token ids of each segment of each text, without any end-of-text token appended.

    Where the tokens of what stands before a border are a prefix of those of the whole text, the
    whole text's tokens are parted there (so that a tokeniser that puts a space before every text
    puts none at the border). Otherwise a token would straddle the border; the two sides are
    tokenised apart, as in generation.
    """
    rows: list[list[Ids]] = []
    # A chat template writes its special tokens itself; all rows of a source are of one kind.
    special = added(tokenizer) if texts and not texts[0].chat else None
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        segments = [[segment.text for segment in text.segments] for text in chunk]
        whole = _ids(tokenizer, ["".join(parts) for parts in segments], special)
        first = _ids(tokenizer, [parts[0] for parts in segments], special)
        rest = iter(_ids(tokenizer, [part for parts in segments for part in parts[1:]], None))
        for parts, together, begin in zip(segments, whole, first, strict=True):
            apart = [begin, *(next(rest) for _ in parts[1:])]
            # As nearly always; only the others cost a tokenisation for every border.
            fits = list(chain.from_iterable(apart)) == together
            rows.append(apart if fits else _part(tokenizer, parts, together, special))
        alive()
    return rows


def _part(tokenizer: Any, parts: Sequence[str], together: Ids, special: Added | None) -> list[Ids]:
    """`together`, the tokens of all parts, in pieces; apart where they have no border there."""
    if len(parts) == 1:
        return [together]
    heads = _ids(tokenizer, list(accumulate(parts[:-1])), special)  # up to each border
    for i, head in enumerate(heads, start=1):
        if together[: len(head)] != head:
            before, after = parts[:i], parts[i:]
            tail = _ids(tokenizer, ["".join(after)], None)[0]
            return [
                *_part(tokenizer, before, head, special),
                *_part(tokenizer, after, tail, None),
            ]
    ends = [0, *(len(head) for head in heads), len(together)]
    return [together[start:end] for start, end in pairwise(ends)]


def _ids(tokenizer: Any, texts: list[str], special: Added | None) -> list[Ids]:
    """Of each text, behind what the tokenizer puts before a text where `special` says so."""
    if not texts:
        return []
    rows = tokenizer(texts, add_special_tokens=special is not None, return_attention_mask=False)
    ids: list[Ids] = rows["input_ids"]
    return ids if special is None else [special.trimmed(row) for row in ids]


@dataclass(frozen=True, slots=True)
class Added:
    """What a tokenizer puts around every text: often BOS before it, seldom EOS behind it."""

    before: Ids
    behind: Ids

    def trimmed(self, row: Ids) -> Ids:
        """The row without what was put behind, which must not stand after a prompt, and with what
        was put before only once: the text may begin with a BOS of its own."""
        row = row[: len(row) - len(self.behind)]
        num = len(self.before)
        return row[num:] if num and row[num : 2 * num] == self.before else row


def added(tokenizer: Any) -> Added:
    """What the tokenizer puts around every text, as a short one shows it. UserError where none
    does."""
    for text in _probes(tokenizer):
        bare, full = (
            tokenizer(text, add_special_tokens=special, return_attention_mask=False)["input_ids"]
            for special in (False, True)
        )
        for start in range(len(full) - len(bare) + 1) if bare else ():
            if full[start : start + len(bare)] == bare:
                return Added(full[:start], full[start + len(bare) :])
    raise UserError(
        f"model.base: what its tokenizer ({type(tokenizer).__name__}) puts around a text cannot be "
        "told, as the tokens of a text without it are not among those with it; write the rows as "
        "messages, or use another model"
    )


def _probes(tokenizer: Any) -> Iterator[str]:
    """Some tokenizers drop what they do not know, such as those of proteins a small letter."""
    yield "a"
    special = set(special_tokens(tokenizer).values())
    for token in islice(sorted(set(tokenizer.get_vocab().values()) - special), _MOST_PROBES):
        yield tokenizer.decode([token])
