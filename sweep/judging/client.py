"""Asking a judge: one request after the other to an OpenAI-compatible endpoint, tried again where
the cause may pass.

The key is read from the environment, sent as a header to the endpoint alone (redirects are not
followed), and written nowhere: in what the server says back it is hidden.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from sweep.account.outcome import JudgeGone
from sweep.config.objective import Judge
from sweep.judging.questions import Messages
from trainer.contract.safe_text import HIDDEN, clipped, keep_secret, url_without_secrets
from trainer.contract.spec import UserError

PASSING = frozenset({408, 409, 425, 429, *range(500, 600)})  # HTTP statuses that may pass
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # between two tries, doubled each time
LONGEST_ASKED_S = 300.0  # what a server may ask us to wait (Retry-After)
MOST_BYTES = 16 << 20  # of an answer
DEFAULTS: Mapping[str, Any] = {"temperature": 0, "max_tokens": 2048}  # FastChat's


@dataclass(frozen=True, slots=True)
class Reply:
    """What the judge said. Tokens as the server counts them, 0 where it does not."""

    text: str
    tokens_in: int
    tokens_out: int
    requests: int  # that it took


class Client:
    """A judge behind its endpoint; its methods may be called from many threads."""

    def __init__(self, judge: Judge, wait: Callable[[float], bool] | None = None) -> None:
        """UserError where the endpoint's address or key is no good. `wait(seconds)`: True where
        all is to be given up; else it sleeps."""
        self._judge = judge
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._key = _key(judge)
        self._url = f"{judge.base_url.rstrip('/')}/chat/completions"
        if url_without_secrets(self._url) != self._url or "@" in self._url.split("/")[2]:
            raise UserError(
                "objective.judge.base_url: no password or key in it; name an environment variable "
                "by objective.judge.key_env"
            )
        self._opener = urllib.request.build_opener(_NoRedirects)

    def stop(self) -> None:
        """No request is tried again from now on."""
        self._stopped.set()

    def ask(self, messages: Messages) -> Reply:
        """The reply to a chat. UserError where the server refuses the request itself (HTTP 4xx);
        JudgeGone where all tries failed."""
        body = {"model": self._judge.model, "messages": messages, **self._parameters()}
        data = json.dumps(body).encode()
        trouble, tried, began_s = "", 0, time.monotonic()
        for tried in range(1, self._judge.retries + 2):
            try:
                text, tokens_in, tokens_out = self._once(data)
            except _Passing as error:
                trouble, asked_s = str(error), error.asked_s
            else:
                return Reply(text, tokens_in, tokens_out, tried)
            if asked_s is not None and asked_s > LONGEST_ASKED_S:
                trouble += f", and asks for {asked_s:,.0f} s to pass"
                break
            longest_s = min(FIRST_WAIT_S * 2 ** (tried - 1), LONGEST_WAIT_S)
            wait_s = longest_s * random.uniform(0.5, 1.0) if asked_s is None else asked_s
            if tried > self._judge.retries or self._wait(wait_s):
                break
        took = f"{tried} tries in {time.monotonic() - began_s:.0f} s" if tried > 1 else "1 try"
        raise JudgeGone(f"the judge {self._url} has not answered ({took}): {trouble}")

    def _parameters(self) -> dict[str, Any]:
        given = self._judge.parameters
        merged = {**DEFAULTS, **given}
        if "max_completion_tokens" in given and "max_tokens" not in given:
            del merged["max_tokens"]  # its newer name
        return {key: value for key, value in merged.items() if value is not None}

    def _once(self, data: bytes) -> tuple[str, int, int]:
        headers = {"Content-Type": "application/json", "User-Agent": "sft-sweep"}
        request = urllib.request.Request(self._url, data, headers)
        if self._key:  # unredirected: it goes nowhere but there
            request.add_unredirected_header("Authorization", f"Bearer {self._key}")
        try:
            with self._opener.open(request, timeout=self._judge.timeout_s or None) as answer:
                found = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None
        except (OSError, http.client.HTTPException) as error:  # URLError and TimeoutError too
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, TimeoutError):
                raise _Passing(f"no answer within {self._judge.timeout_s:g} s") from None
            raise _Passing(self._clean(f"{type(reason).__name__}: {reason}")) from None
        try:
            return self._read(found)
        except (ValueError, LookupError, TypeError, AttributeError):
            shown = self._clean(found[:300].decode(errors="replace"))
            raise _Passing(f"its answer is no chat completion: {shown}") from None

    def _read(self, found: bytes) -> tuple[str, int, int]:
        document: Any = json.loads(found)
        said = document["choices"][0]["message"]["content"]
        usage: Any = document.get("usage") or {}
        tokens = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
        return self._hidden("" if said is None else _text(said)), tokens[0], tokens[1]

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        """What to raise for an HTTP status that is no success."""
        try:
            said = _message(error.read(MOST_BYTES))
        except (OSError, http.client.HTTPException):
            said = ""
        what = self._clean(f"HTTP {error.code} {error.reason}" + (f": {said}" if said else ""))
        if error.code in PASSING:
            return _Passing(what, _asked_s(error.headers.get("Retry-After")))
        hint = ""
        if error.code in (401, 403):
            name = self._judge.key_env
            hint = (
                f"; the key is the value of the environment variable {name} (objective.judge."
                "key_env)"
                if name
                else "; objective.judge.key_env names the environment variable that holds its key"
            )
        elif error.code == 404:
            hint = "; objective.judge.base_url ends in /v1 with most servers, and model is its name"
        elif 300 <= error.code < 400:
            hint = "; redirects are not followed: give the address that it leads to"
        elif error.code in (400, 422):
            hint = "; objective.judge.parameters change what a request holds, as {max_tokens: null}"
        return UserError(f"objective.judge: {self._url} refuses the request: {what}{hint}")

    def _clean(self, text: str) -> str:
        return clipped(" ".join(self._hidden(text).split()))

    def _hidden(self, text: str) -> str:
        return text.replace(self._key, HIDDEN) if self._key else text


class _Passing(Exception):
    """A request failed for a cause that may pass; the server asks to wait `asked_s`, if it does."""

    def __init__(self, what: str, asked_s: float | None = None) -> None:
        super().__init__(what)
        self.asked_s = asked_s


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the answer is an error with its own status."""
        return None


def _key(judge: Judge) -> str:
    """'' where none is asked for."""
    if judge.key_env is None:
        return ""
    key = os.environ.get(judge.key_env, "").strip()
    if not key:
        raise UserError(
            f"objective.judge.key_env: the environment variable {judge.key_env} is not set; it "
            "holds the judge's key, or leave key_env out where the endpoint takes none"
        )
    if not key.isascii() or not key.isprintable():
        raise UserError(
            f"objective.judge.key_env: the value of {judge.key_env} cannot be sent as a header: "
            "it holds characters that no key has"
        )
    keep_secret(key)
    return key


def _text(said: object) -> str:
    if not isinstance(said, str):
        raise TypeError(f"{type(said).__name__} is no text")
    return said


def _message(body: bytes) -> str:
    """What a server says of an error, in OpenAI's form or in its own."""
    text = body.decode(errors="replace")
    try:
        document: Any = json.loads(text)
        said = document["error"]
        return str(said["message"] if isinstance(said, dict) else said)  # pyright: ignore
    except (ValueError, LookupError, TypeError):
        return text


def _asked_s(header: str | None) -> float | None:
    """Of Retry-After: seconds, or a date."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
