"""Numbers and parameters as people read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

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
    """Significant digits, trailing zeros kept, without an exponent between 0.001 and 100,000."""
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
    return MISSING if value is None else f"{value:.{decimals}f}"


def chance(probability: float | None) -> str:
    """Two decimals, or one digit that counts: `0.21`, `0.004`."""
    if probability is None:
        return MISSING
    return f"{probability:.2f}" if probability >= 0.01 or not probability else f"{probability:.0g}"


def share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else MISSING


def parameter(value: Any) -> str:
    """`2e-05`, `64`, `constant`."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value)


def exact(value: Any) -> str:
    """All digits, to set the same again."""
    return value if isinstance(value, str) else json.dumps(value)


def parameters(params: Mapping[str, Any], names: Sequence[str] | None = None) -> str:
    """`learning_rate 2e-05, batch_size 64`; of `names`, or of all."""
    wanted = params if names is None else names
    return ", ".join(f"{name} {parameter(params.get(name))}" for name in wanted)


def varying(document: Mapping[str, Any]) -> list[str]:
    """The parameters in which a study's trials differ; before it has two, those it searches."""
    trials: list[dict[str, Any]] = document["trials"]
    if len(trials) < 2:
        space: dict[str, Any] = document["resolved"].get("search", {}).get("space", {})
        return [name for name, entry in space.items() if isinstance(entry, dict)]
    names = dict.fromkeys(name for trial in trials for name in trial["params"])
    return [name for name in names if _differ([trial["params"].get(name) for trial in trials])]


def _differ(values: Sequence[Any]) -> bool:
    kinds = {repr(value): value for value in values}  # of ten thousand trials mostly one
    first = json.dumps(values[0], sort_keys=True)
    return any(json.dumps(value, sort_keys=True) != first for value in kinds.values())


def scattered(mean: float, sd: float | None, num_new: int) -> str:
    """`0.7012 ± 0.0040 (mean ± sd of 3 new seeds)`; of no new seed the value alone."""
    if sd is None:
        return fixed(mean, 4) + (" (1 new seed)" if num_new else "")
    return f"{fixed(mean, 4)} ± {fixed(sd, 4)} (mean ± sd of {num_new} new seeds)"


def best_value(document: Mapping[str, Any]) -> str:
    """Of a confirmed best the mean of its new seeds, else its one value."""
    best = document["best"]
    return scattered(best["mean"], best["sd"], num_new_seeds(document))


def num_new_seeds(document: Mapping[str, Any]) -> int:
    """Of the best configuration: how many repeats were completed, once it is confirmed."""
    best = document["best"]
    return 0 if best["confirms"] is None else best["num_seeds"]


def better(document: Mapping[str, Any], value: float, than: float) -> bool:
    return value > than if document["direction"] == "maximize" else value < than


def gain(document: Mapping[str, Any]) -> str:
    """The best trial against the base model, in words; empty where either is missing."""
    best, base = document["best"], document["base"]["objective"]
    if best is None or base is None:
        return ""
    change = best["mean"] - base
    relative = f", {change / abs(base):+.1%}" if base else ""
    how = "better than" if better(document, best["mean"], base) else "no better than"
    return f"{how} the base model's {fixed(base, 4)} ({change:+.4f}{relative})"


def best_original(document: Mapping[str, Any]) -> int | None:
    """The trial whose configuration is the best."""
    best = document["best"]
    if best is None:
        return None
    return best["number"] if best["confirms"] is None else best["confirms"]


def in_order(document: Mapping[str, Any], state: str) -> list[dict[str, Any]]:
    """The trials in a state: best objective first, those without one last, then by number."""
    sign = -1.0 if document["direction"] == "maximize" else 1.0

    def key(trial: dict[str, Any]) -> tuple[bool, float, int]:
        objective = trial["objective"]
        return objective is None, sign * (objective or 0.0), trial["number"]

    return sorted((trial for trial in document["trials"] if trial["state"] == state), key=key)


def is_audited(trial: Mapping[str, Any]) -> bool:
    return trial["verdict"] is not None and trial["verdict"]["audited"]


def duration(seconds: float) -> str:
    """`42 s`, `7 min 05 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
