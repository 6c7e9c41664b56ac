"""Texts from elsewhere made safe to show and to keep: no secrets, no control codes, no paths.

The one place that knows what a secret looks like. It imports nothing heavy: the driver, the
trials and whatever is printed or stored use it alike.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast
from urllib.parse import unquote_plus

HIDDEN = "***"

# --- secrets

# Not eos_token and its like. Of the last kind are the words of language models and of statistics:
# their values are secret where they look so, and in a URL's query.
_STRONG = (
    r"(?:[a-z0-9_-]{0,60}(?:password|passwd|passphrase)|(?:[a-z0-9_-]{1,40}[_-])?(?:pwd|secret)"
    r"|(?:[a-z0-9_-]{1,40}[_-])?(?:api|access|secret)[_-]?key|[a-z0-9-]{1,40}[_-]signature"
    r"|(?:access|api|auth|bearer|hf|hub|id|refresh|security|x-amz-security)[_-]?token)"
)
_WEAK = r"(?:token|sig|signature)"
_STRONG_KEY = re.compile(_STRONG, re.IGNORECASE)
_SECRET_KEY = re.compile(rf"{_STRONG}|{_WEAK}", re.IGNORECASE)
_KEY_WORDS = (
    "pass",
    "pwd",
    "secret",
    "key",
    "token",
    "sig",
    "%",
)  # one is in each, or it is quoted
# password='x y', "sslpassword": "x", password = x, PGPASSWORD=x
_NAMED = re.compile(
    rf"(?<![a-z0-9_-])(?:(?P<strong>{_STRONG})|{_WEAK})['\"]?[ \t]{{0,9}}[=:][ \t]{{0,9}}"
    r"(?P<value>(?!unknown key\b)[^\s&])",  # of a study file
    re.IGNORECASE,
)
_IN_QUERY = re.compile(r"[?&](?P<strong>[\w%.+-]{1,100})=(?P<value>[^\s&])")
_QUOTED = {
    quote: re.compile(rf"{quote}(?:\\.|{quote}{quote}|[^{quote}\\\n])*(?:{quote}|$)", re.MULTILINE)
    for quote in ("'", '"')
}
# Up to a space or &, or what closes the text around it. A quote, comma or bracket within is part
# of it, and so are spaces where the text is itself in quotes, another key=value comes or it ends.
_UNQUOTED = re.compile(
    r"(?:[^\s&'\",;)}\]]|['\")}\]](?=\w)|[,;](?=[^\s'\"])(?!\w{1,40}=))+"
    r"(?:[ \t][^\n'\"=:,;&()]{0,200}?(?=['\"](?:[\s,;:.)}\]]|$)|&|[ \t]\w{1,40}=|\n|$))?"
)
_LOOKS_SECRET = re.compile(r"(?=.*[a-z])(?=.*\d)[\w.~+/=!%-]{8,}", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?[\d.,_]+(?:e[+-]?\d+)?%?", re.IGNORECASE)
_PATTERNS = (  # each with what a text has that it can be in
    # user:password@host, after scheme:// or without; a password may hold / : ? # and @
    ("@", r"([a-z][a-z0-9+.-]{0,30}:/{1,3}[^\s:/@'\"]{0,200}:)[^\s'\"]{1,300}@", rf"\1{HIDDEN}@"),
    # the same with spaces or quotes in the password
    ("@", r"([a-z][a-z0-9+.-]{0,30}:/{1,3}[^\s:/@'\"]{0,200}:)"
     r"(?!\d+(?:[/?#,'\"\s]|$)|\*{3}@)[^\n]{1,300}@", rf"\1{HIDDEN}@"),
    # not a key of a study file with OWNER/NAME@REVISION, nor number@number
    ("@", r"((?<![\w.@/-])[\w.%+-]{1,100}:)(?<!model\.base:)(?<!data\.train:)(?<!data\.eval:)"
     r"(?![\d.e+-]+@\d+(?![\w.]))[^\s'\"/][^\s'\"]{0,300}@(?=[\w\[/])", rf"\1{HIDDEN}@"),
    # a host and no @: what stands where the port does is no port
    ("://", r"([a-z][a-z0-9+.-]{0,30}://[^\s:/@'\"]{1,200}:)"
     r"(?!\d*(?:[/?#,'\"\s]|$)|\*)[^\s/?#'\"]{1,300}", rf"\1{HIDDEN}"),
    ("uthorization", r"((?:proxy-)?authorization['\"]?\s?[=:]\s?['\"]?)"
     r"(?:(?:bearer|basic|token)\s+)?(?!null\b)[^\s'\",{}\[\]]{1,300}", rf"\1{HIDDEN}"),
    ("earer", r"\b(bearer\s+)[a-z0-9._~+/=-]{6,300}", rf"\1{HIDDEN}"),
)  # fmt: skip
_MASKS = [(mark, re.compile(pattern, re.IGNORECASE), by) for mark, pattern, by in _PATTERNS]
_LONGEST_SHOWN = 200  # characters
_HUB_TOKEN = re.compile(r"\b(hf_|api_org_)(?=[A-Za-z0-9]{16}|[a-z]*[A-Z0-9])[A-Za-z0-9]{8,200}")
_ENVIRONMENT = ("PGPASSWORD", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN")
_LEAST_KNOWN = 3  # characters
_LEAST_ALONE = 6  # shorter ones are ordinary words and numbers, but for 'x' and :x@

_known: set[str] = set()


def keep_secret(secret: str | None) -> None:
    """The secret is hidden by `without_secrets` from now on, wherever it stands, in whatever a
    library says."""
    if secret and len(secret) >= _LEAST_KNOWN and secret.strip("*"):
        _known.add(secret)


def without_secrets(text: str) -> str:
    """The text with passwords, tokens and authorization headers as ***; doing it again is harmless.

    Known weakness: a secret that stands alone is known only from the environment, by the form of a
    Hub's token, or where `keep_secret` was told.
    """
    return _without(text, _held_secrets())


def _held_secrets() -> set[str]:
    held = {os.environ.get(name, "") for name in _ENVIRONMENT}
    return _known | {secret for secret in held if len(secret) >= _LEAST_KNOWN}


def _without(text: str, secrets: set[str]) -> str:
    for secret in secrets:
        if secret in text:
            before, behind = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
            if len(secret) < _LEAST_ALONE:
                before, behind = r"(?<=['\":])", r"(?=['\"@])"
            text = re.sub(before + re.escape(secret) + behind, HIDDEN, text)
    return _masked(text)


@lru_cache(4096)  # a document names the same keys and words for each of its trials
def _masked(text: str) -> str:
    if "hf_" in text or "api_org_" in text:
        text = _HUB_TOKEN.sub(rf"\1{HIDDEN}", text)
    for mark, pattern, by in _MASKS:
        if mark in text:
            text = pattern.sub(by, text)
    lower = text.lower()
    if any(word in lower for word in _KEY_WORDS):
        text = _values_hidden(_IN_QUERY, text)
        text = _values_hidden(_NAMED, text)
    return text


def _values_hidden(keys: re.Pattern[str], text: str) -> str:
    """The values behind secret keys as ***, with the quotes they stand in."""
    kept: list[str] = []
    end = 0
    while (found := keys.search(text, end)) is not None:
        at = found.start("value")
        quote = text[at] if text[at] in _QUOTED else ""
        whole = _QUOTED.get(quote, _UNQUOTED)
        seen = whole.match(text, at, at + _LONGEST_SHOWN)  # what is no secret is not gone through
        bare = seen[0].strip(quote or None) if seen else ""
        kept.append(text[end:at])
        end = at + 1  # a further key may stand in the value
        if seen and bare and _is_secret(found["strong"], bare):
            value = whole.match(text, at) or seen
            closing = quote if len(value[0]) > 1 and value[0].endswith(quote) else ""
            kept.append(f"{quote}{HIDDEN}{closing}")
            end = value.end()
        else:
            kept.append(text[at])
    return "".join((*kept, text[end:]))


def _is_secret(key: str | None, value: str) -> bool:
    """`key`: None for one that is secret only where its value looks so."""
    if key is not None:
        return is_secret_key(key)
    return _LOOKS_SECRET.fullmatch(value) is not None and _NUMBER.fullmatch(value) is None


def url_without_secrets(url: str) -> str:
    """A URL to be kept: without its password and the secret keys of its query; a text that is no
    URL as it is. Who opens it later needs the password from elsewhere."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    rest = re.sub(r"^([^:/@]*):.*@", r"\1@", rest, flags=re.DOTALL)
    # no host: what stands where the port does is no port
    rest = re.sub(r"^([^:/?#@\[]+):(?!\d*(?:[/?#,]|$))[^/?#]*", r"\1", rest)
    before, question, query = rest.partition("?")
    if question:
        query, hash_mark, fragment = query.partition("#")
        kept = [part for part in query.split("&") if not is_secret_key(part.partition("=")[0])]
        rest = before + ("?" + "&".join(kept) if kept else "") + hash_mark + fragment
    return f"{scheme}://{rest}"


def is_secret_key(name: str) -> bool:
    """Whether a URL's value of that name is to be kept from sight: password, sslpassword, token."""
    return _SECRET_KEY.fullmatch(unquote_plus(name)) is not None


def document_without_secrets(value: Any) -> Any:
    """JSON values with every text, keys included, as `without_secrets` has it."""
    return _document_without(value, "", _held_secrets())


def _document_without(value: Any, key: str, secrets: set[str]) -> Any:
    """`key`: the one that the value, or a list around it, has; a number may be a password."""
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {
            _without(name, secrets) if isinstance(name, str) else name: _document_without(
                inner, str(name), secrets
            )
            for name, inner in items
        }
    if isinstance(value, list | tuple):
        inside = cast("list[Any]", value)
        return [_document_without(inner, key, secrets) for inner in inside]
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        if _STRONG_KEY.fullmatch(key):
            return HIDDEN
        if _SECRET_KEY.fullmatch(key) and _is_secret(None, str(value)):
            return HIDDEN
    return _without(value, secrets) if isinstance(value, str) else value


# --- control codes

# Control codes but line feed and tab, what is invisible or turns the direction of writing
# (Unicode's Cf, Zl, Zp and the fillers), and halves of surrogate pairs, which no encoding takes.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff"
    "\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)


def clean(text: str) -> str:
    r"""The text with its control codes and invisible characters written out, as \x1b or \u202e."""
    return _CONTROL.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def safe(text: str) -> str:
    """What may go to a terminal, a page or a log."""
    return clean(without_secrets(text))


def clipped(text: str) -> str:
    """The beginning of a text that is too long to be shown."""
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[:_LONGEST_SHOWN]}... ({len(text):,} characters)"


# --- file names

_RESERVED = frozenset(
    ("CON", "PRN", "AUX", "NUL", *(f"{port}{i}" for port in ("COM", "LPT") for i in range(1, 10)))
)
_LONGEST_NAME = 100  # characters, all of one byte: room for what is put behind it


def file_name(name: str) -> str:
    """One component of a path for any text: itself where that is harmless, else its letters, digits
    and . _ - with eight digits of its hash, so that two names do not become one file."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    harmless = re.fullmatch(r"[A-Za-z0-9_](?:[A-Za-z0-9._ -]*[A-Za-z0-9_-])?", name)
    reserved = name.partition(".")[0].upper() in _RESERVED
    if harmless and not reserved and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    stem = plain.strip(". -_")[: _LONGEST_NAME - 9].rstrip(". -_")
    return f"{stem or 'unnamed'}-{digest}"
