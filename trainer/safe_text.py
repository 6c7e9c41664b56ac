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

HIDDEN = "***"

# --- secrets

# not eos_token and its like
_KEY = (
    r"(?:(?:[a-z0-9-]{1,40}[_-]|ssl|pg)?(?:password|passwd|passphrase|pwd|secret|signature)"
    r"|(?:[a-z0-9_-]{1,40}[_-])?(?:api|access|secret)[_-]?key"
    r"|(?:(?:access|api|auth|bearer|hf|hub|id|refresh|security|x-amz-security)[_-]?)?token|sig)"
)
_SECRET_KEY = re.compile(_KEY, re.IGNORECASE)
_PATTERNS = (  # each with what a text has that it can be in
    # user:password@host, after scheme:// or without; a password may hold / : ? # and @
    ("@", r"([a-z][a-z0-9+.-]{0,30}:/{1,3}[^\s:/@'\"]{0,200}:)[^\s'\"]{1,300}@", rf"\1{HIDDEN}@"),
    ("@", r"((?<![\w.@/-])[\w.%+-]{1,100}:)[^\s'\"/][^\s'\"]{0,300}@(?=[\w\[/])", rf"\1{HIDDEN}@"),
    # a host and no @: what stands where the port does is no port
    ("://", r"([a-z][a-z0-9+.-]{0,30}://[^\s:/@'\"]{1,200}:)"
     r"(?!\d*(?:[/?#,'\"\s]|$)|\*)[^\s/?#'\"]{1,300}", rf"\1{HIDDEN}"),
    # password='x y', "sslpassword": "x", ?password=x, PGPASSWORD=x
    ("'", rf"((?<![a-z0-9_-]){_KEY}['\"]?\s?[=:]\s?')[^'\n]{{1,300}}'", rf"\1{HIDDEN}'"),
    ('"', rf"((?<![a-z0-9_-]){_KEY}['\"]?\s?[=:]\s?\")[^\"\n]{{1,300}}\"", rf'\1{HIDDEN}"'),
    ("=", rf"((?<![a-z0-9_-]){_KEY}=)[^\s&'\",;)}}]{{1,300}}", rf"\1{HIDDEN}"),
    ("uthorization", r"((?:proxy-)?authorization['\"]?\s?[=:]\s?['\"]?)"
     r"(?:(?:bearer|basic|token)\s+)?(?!null\b)[^\s'\",{}\[\]]{1,300}", rf"\1{HIDDEN}"),
    ("earer", r"\b(bearer\s+)[a-z0-9._~+/=-]{6,300}", rf"\1{HIDDEN}"),
)  # fmt: skip
_MASKS = [(mark, re.compile(pattern, re.IGNORECASE), by) for mark, pattern, by in _PATTERNS]
_HUB_TOKEN = re.compile(r"\b(hf_|api_org_)(?=[A-Za-z0-9]{16}|[a-z]*[A-Z0-9])[A-Za-z0-9]{8,200}")
_ENVIRONMENT = ("PGPASSWORD", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN")
_LEAST_KNOWN = 6  # characters: shorter ones are part of ordinary words

_known: set[str] = set()


def keep_secret(secret: str | None) -> None:
    """From now on `without_secrets` hides it wherever it stands, in whatever a library says."""
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
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])", HIDDEN, text)
    return _masked(text)


@lru_cache(4096)  # a document names the same keys and words for each of its trials
def _masked(text: str) -> str:
    if "hf_" in text or "api_org_" in text:
        text = _HUB_TOKEN.sub(rf"\1{HIDDEN}", text)
    for mark, pattern, by in _MASKS:
        if mark in text:
            text = pattern.sub(by, text)
    return text


def url_without_secrets(url: str) -> str:
    """A URL to be kept: without its password and the secret keys of its query; a text that is no
    URL as it is. Who opens it later needs the password from elsewhere."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    rest = re.sub(r"^([^:/@]*):.*@", r"\1@", rest, flags=re.DOTALL)
    before, question, query = rest.partition("?")
    if question:
        query, hash_mark, fragment = query.partition("#")
        kept = [part for part in query.split("&") if not is_secret_key(part.partition("=")[0])]
        rest = before + ("?" + "&".join(kept) if kept else "") + hash_mark + fragment
    return f"{scheme}://{rest}"


def is_secret_key(name: str) -> bool:
    """Whether a value of that name is to be kept from sight: password, sslpassword, token, ..."""
    return _SECRET_KEY.fullmatch(name) is not None


def document_without_secrets(value: Any) -> Any:
    """The same of every text in JSON values, keys included."""
    return _document_without(value, _held_secrets())


def _document_without(value: Any, secrets: set[str]) -> Any:
    if isinstance(value, str):
        return _without(value, secrets)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {
            _without(key, secrets) if isinstance(key, str) else key: HIDDEN
            if isinstance(key, str) and isinstance(inner, str) and is_secret_key(key)
            else _document_without(inner, secrets)
            for key, inner in items
        }
    if isinstance(value, list | tuple):
        return [_document_without(inner, secrets) for inner in cast("list[Any]", value)]
    return value


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


def one_line(text: str) -> str:
    r"""As `clean`, line feeds and tabs written out as well."""
    return clean(text).replace("\n", r"\n").replace("\t", r"\t")


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def safe(text: str) -> str:
    """What may go to a terminal, a page or a log."""
    return clean(without_secrets(text))


_LONGEST_SHOWN = 200  # characters


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
