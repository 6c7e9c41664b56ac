"""Standard output and error that no terminal, pipe or disk can make a command fail by."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import json
import math
import os
import sys
from collections.abc import Generator, Mapping
from typing import Any, TextIO, cast

from trainer.contract.safe_text import document_without_secrets, safe

_PLAIN = {"─": "-", "±": "+/-", "…": "..."}  # where the encoding has none
_TOO_NARROW, _TOO_WIDE = 20, 10_000  # columns


class SteadyStream:
    """A text stream to whose writing nothing happens that its user must care for.

    Once something cannot be written, `lost` says why, and all that follows is dropped.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        """The number of characters in `text`, written or lost."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """The lines are written, as `write` does."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """What was written has left the buffer, or `lost` says why not."""
        self._try(self._stream.flush)

    def _try(self, what: Any) -> None:
        if self.lost is not None:
            return
        try:
            what()
        except OSError as error:
            self.lost = error
            _forget(self._stream)
        except ValueError:  # it has been closed
            self.lost = OSError(errno.EBADF, os.strerror(errno.EBADF))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class SafeStream(SteadyStream):
    """One that also writes control codes out and hides secrets. `steady` is the same stream without
    that, for what has done it already and sends codes of its own: `lost` is its as well."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.steady = SteadyStream(stream)

    def write(self, text: str) -> int:
        """The number of characters in `text`, as it came."""
        self.steady.write(safe(text))
        return len(text)

    def flush(self) -> None:
        """What was written has left the buffer, or `lost` says why not."""
        self.steady.flush()

    @property
    def rich_proxied_file(self) -> SteadyStream:
        """What rich prints to: it colours, and sweep.report.console cleans what goes in."""
        return self.steady


def make_streams_safe() -> tuple[SafeStream, SafeStream]:
    """The safe streams that now stand in the place of sys.stdout and sys.stderr."""
    _open_what_is_closed()
    codecs.register_error("readable", _readable)
    made: list[SafeStream] = []
    for name in ("stdout", "stderr"):
        stream = cast("TextIO", getattr(sys, name))
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="readable")
        made.append(SafeStream(stream))
        setattr(sys, name, made[-1])
    for name in ("COLUMNS", "LINES"):
        _mend_size(name)
    return made[0], made[1]


@contextlib.contextmanager
def safe_streams() -> Generator[tuple[SafeStream, SafeStream]]:
    """`make_streams_safe`, taken back at the end."""
    before = sys.stdout, sys.stderr
    errors = [(one, one.errors) for one in before if isinstance(one, io.TextIOWrapper)]
    out, err = make_streams_safe()
    try:
        yield out, err
    finally:
        out.flush()
        err.flush()
        for stream, error in errors:
            with contextlib.suppress(OSError, ValueError):  # lost, or closed
                stream.reconfigure(errors=error)
        if before[0] is not None:  # pyright: ignore[reportUnnecessaryComparison]
            sys.stdout = before[0]
        if before[1] is not None:  # pyright: ignore[reportUnnecessaryComparison]
            sys.stderr = before[1]


_AS_IT_IS = frozenset({str, int, bool, type(None)})


def finite(value: Any) -> Any:
    """The value with every NaN and infinity turned to None, so that it is JSON."""
    if type(value) in _AS_IT_IS:  # most of a large document
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(one) for key, one in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in cast(list[Any], value)]
    return value


def print_json(document: Any, indent: int | None = 2) -> None:
    """A document of finite JSON values on standard output, without secrets. ASCII alone: whatever
    is in it, it is one line of JSON per line and no control code."""
    text = json.dumps(document_without_secrets(document), indent=indent, allow_nan=False)
    out = sys.stdout.steady if isinstance(sys.stdout, SafeStream) else sys.stdout
    out.write(text + "\n")
    out.flush()


def _open_what_is_closed() -> None:
    """0, 1 and 2 as the null device where they are closed: or the next file that is opened, such as
    the database, would be what libraries print to."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:  # not inheritable then, and never in the way
                os.dup2(opened, number)
                os.close(opened)
            else:
                os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _forget(stream: TextIO) -> None:
    """What Python still holds of it goes to the null device: it is flushed again at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a notebook's has no number
        number = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    escaped = (
        _PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in lacking
    )
    return "".join(escaped), error.end


def _mend_size(name: str) -> None:
    """A width that is no number is none; one that no text fits into is made wide enough."""
    given = os.environ.get(name)
    if given is None:
        return
    if not (given.isascii() and given.isdigit() and len(given) < 9 and int(given) > 0):
        del os.environ[name]
    elif name == "COLUMNS":
        os.environ[name] = str(min(max(int(given), _TOO_NARROW), _TOO_WIDE))
