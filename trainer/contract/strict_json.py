"""JSON that is what it seems: no key twice, no lone surrogate, no bottomless nesting."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DEPTH = 100  # lists and objects in each other; chats with tools need about ten
_WHITE = re.compile(r"[ \t\n\r]*")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class Malformed(Exception):
    """What is wrong with a text, and the character (from 0) at which it was noticed."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.position = position


def parse(text: str) -> Any:
    """The value that `text` holds. Raises Malformed."""
    value, end = parse_at(text, skip_white(text, 0))
    if skip_white(text, end) < len(text):
        raise Malformed("more follows after the value", end)
    return value


def parse_at(text: str, start: int) -> tuple[Any, int]:
    """The value that begins at `start`, and where it ends. Raises Malformed."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise Malformed(error.msg, error.pos) from None
    except _Twice as error:
        raise Malformed(f"the key {error} appears twice in one object", start) from None
    except RecursionError:
        raise Malformed(_TOO_DEEP, start) from None
    except ValueError:  # Python's limit on the digits of an integer
        raise Malformed("an integer has too many digits", start) from None
    if _brackets(text, start, end) > MAX_DEPTH and _is_too_deep(value):
        raise Malformed(_TOO_DEEP, start)
    if _SURROGATE_ESCAPE.search(text, start, end):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = error.object[error.start]
            raise Malformed(
                f"{ascii(half)[1:-1]} is a lone surrogate (half of a character pair)", start
            ) from None
    return value, end


def skip_white(text: str, start: int) -> int:
    """The position of the first character from `start` that is no JSON white space."""
    found = _WHITE.match(text, start)
    assert found is not None
    return found.end()


class _Twice(Exception):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Twice(ascii(key[:40]))
            seen.add(key)
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
_TOO_DEEP = f"lists and objects are nested more than {MAX_DEPTH} deep"


def _brackets(text: str, start: int, end: int) -> int:
    return text.count("[", start, end) + text.count("{", start, end)


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
