"""Numbers and parameters as people read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

MISSING = "-"
_PREFIXES = ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"))


def flop_unit(largest: float) -> tuple[float, str]:
    """The unit in which the largest of some FLOP counts reads well: what to divide by, its name."""
    for size, name in _PREFIXES:
        if abs(largest) >= size:
            return size, name
    return 1.0, "FLOP"


def flops(count: float | None) -> str:
    """`1.23 PFLOP`."""
    if count is None:
        return MISSING
    size, name = flop_unit(count)
    return f"{number(count / size)} {name}"


def number(value: float | None, digits: int = 3) -> str:
    """The value in significant digits, trailing zeros kept, without an exponent between 0.001 and
    100,000."""
    if value is None:
        return MISSING
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits}g}"
    if abs(value) >= 10**digits - 0.5:
        return f"{value:.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def fixed(value: float | None, decimals: int = 3) -> str:
    """The value with so many decimals; `-` for None."""
    return MISSING if value is None else f"{value:.{decimals}f}"


def signed(value: float | None, decimals: int = 4) -> str:
    """`+0.0120`, `-0.0030`: a difference; `-` for None."""
    return MISSING if value is None else f"{value:+.{decimals}f}"


def chance(probability: float | None) -> str:
    """The probability with two decimals, or one digit that counts: `0.21`, `0.004`."""
    if probability is None:
        return MISSING
    return f"{probability:.2f}" if probability >= 0.01 or not probability else f"{probability:.0g}"


def gigabytes(size: float) -> str:
    """`16.2 GB`, `0.024 GB`: of 10^9 bytes."""
    return f"{size:.1f} GB" if size >= 1 else f"{size:.2g} GB"


def share(part: float, whole: float) -> str:
    """`12.3%`: a part of a whole; `-` where the whole is 0."""
    return f"{part / whole:.1%}" if whole else MISSING


def parameter(value: object) -> str:
    """`2e-05`, `64`, `constant`."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value)


def exact(value: object) -> str:
    """All digits, to set the same again."""
    return value if isinstance(value, str) else json.dumps(value)


def parameters(params: Mapping[str, object], names: Sequence[str] | None = None) -> str:
    """`learning_rate 2e-05, batch_size 64`; of `names`, or of all."""
    wanted = params if names is None else names
    return ", ".join(f"{name} {parameter(params.get(name))}" for name in wanted)


def scattered(mean: float, sd: float | None, num_new: int) -> str:
    """`0.7012 ± 0.0040 (mean ± sd of 3 new seeds)`; of no new seed the value alone."""
    if sd is None:
        return fixed(mean, 4) + (" (1 new seed)" if num_new else "")
    return f"{fixed(mean, 4)} ± {fixed(sd, 4)} (mean ± sd of {num_new} new seeds)"


def duration(seconds: float) -> str:
    """`42 s`, `7 min 05 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def counted(count: int, what: str) -> str:
    """`1 trial`, `2,000 trials`, `2 studies`, `2 processes`."""
    return f"{count:,} {what if count == 1 else plural(what)}"


def plural(what: str) -> str:
    """`trials`, `studies`, `processes`."""
    if what.endswith("y"):
        return f"{what[:-1]}ies"
    return f"{what}es" if what.endswith("s") else f"{what}s"


def capital(text: str) -> str:
    """The text with its first letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]


def per_look(num: int, questions: int | None) -> str:
    """What a look measures, in words: `num` rows or questions of each metric, or so many
    `questions`."""
    if questions is None or questions == num:
        return f"{num:,} rows or questions of each metric"
    return f"{num:,} rows, or {questions:,} questions, of each metric"
