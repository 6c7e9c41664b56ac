"""Text that is not what it looks like: characters nobody sees, and the tokenizer's own tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trainer.data.tokenise import special_tokens

_INVISIBLE: Mapping[str, str] = {
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f": "control characters (such as NUL)",
    "\r": "carriage returns",
    "\ufeff": "byte order marks",
    "\u200b-\u200d\u2060-\u2064\u180e\u00ad": "zero-width characters",
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069": "marks that turn the direction of text",
    "\ufffd": "replacement characters (U+FFFD, from text that was decoded wrongly)",
    "\U000e0000-\U000e007f": "invisible tag characters",
}
_ANY_INVISIBLE = re.compile(f"[{''.join(_INVISIBLE)}]")
_EACH_INVISIBLE = {what: re.compile(f"[{signs}]") for signs, what in _INVISIBLE.items()}
MAX_TOKENS = 5  # different ones named of a row


class Suspects:
    """Finds them in the texts of a row."""

    def __init__(self, tokenizer: Any) -> None:
        specials = [token for token in special_tokens(tokenizer) if token.strip()]
        longest_first = sorted(specials, key=len, reverse=True)
        self._tokens = re.compile("|".join(map(re.escape, longest_first))) if specials else None

    def of(self, texts: Iterable[str]) -> Iterator[str]:
        """What there is in them, in words; what stands in several of them may come again."""
        for text in texts:
            if _ANY_INVISIBLE.search(text):
                yield from (what for what, each in _EACH_INVISIBLE.items() if each.search(text))
            if self._tokens is not None and self._tokens.search(text):
                found = dict.fromkeys(match[0] for match in self._tokens.finditer(text))
                for token in list(found)[:MAX_TOKENS]:
                    yield f"control token {token!a} inside the text"


def strings(value: Any) -> Iterator[str]:
    """All texts in a value of lists and objects, keys left out."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
