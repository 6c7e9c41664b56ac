"""A plan as plain lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from sweep.config.errors import show
from sweep.formats import flops, parameters
from sweep.report.data_text import data_lines


def plan_lines(document: Mapping[str, Any]) -> list[str]:
    """`document` as `plan_document` gives it; most lines keep within 90 columns."""
    return [
        f"Plan of study {document['study']} ({document['source']}); nothing is made yet.",
        *_section("Settings", _settings(document)),
        *_section("Data", data_lines(document["data"])),
        *_section("Trials", _trials(document)),
        *_section("Cost", _cost(document)),
    ]


def _section(title: str, lines: Iterator[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)]


def _settings(document: Mapping[str, Any]) -> Iterator[str]:
    values = document["values"]
    wide = max(len(each["path"]) for each in values)
    shown = [show(each["value"]) for each in values]
    value_wide = min(32, max(len(text) for text in shown))
    for each, text in zip(values, shown, strict=True):
        yield f"{each['path']:<{wide}}  {text:<{value_wide}}  {each['origin']}"


def _trials(document: Mapping[str, Any]) -> Iterator[str]:
    budget, window, space = document["budget"], document["window"], document["space"]
    fewest, most = budget["smallest_samples"], budget["largest_samples"]
    samples = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    workers, processes = document["workers"], document["memory"]["processes"]
    each = f" on {processes} processes each" if processes > 1 else ""
    yield (
        f"{document['trials']} trials of {samples} samples, {workers} at a time{each}, "
        f"over {', '.join(space['searched'])}"
    )
    if document["repeats"]:
        yield f"then {document['repeats']} repeats of the best with other seeds, never pruned"
    if (points := space["points"]) is not None:
        yield f"the space holds {points:,} configurations"
    yield (
        f"early window: {window['samples']:,} samples, {window['share']:.1%} of the smallest budget"
    )
    if document["history"] is not None:
        yield f"prior from past studies: {document['history']}"
    if document["stop"]:
        yield "it ends earlier when further trials are unlikely to help"
    for each in document["steps"]:
        steps = (
            f"{each['fewest']:,}"
            if each["fewest"] == each["most"]
            else f"{each['fewest']:,} to {each['most']:,}"
        )
        yield f"batch {each['batch_size']:>5,}: {steps} steps, the window after {each['window']:,}"
    for recipe in document["recipes"]:
        yield f"first, recipe {recipe['name']}: {parameters(recipe['params'])}"
        for sentence in recipe["moved"]:
            yield f"  {sentence}"


def _cost(document: Mapping[str, Any]) -> Iterator[str]:
    tokens, compute, disk = document["tokens"], document["flops"], document["disk_gb"]
    memory = document["memory"]
    needed = memory["needed_gb"]
    one = "trial" if memory["processes"] == 1 else "process"
    sharing = f" for each of {memory['sharing']} {one}{'s' if one == 'trial' else 'es'}"
    shared = sharing if memory["sharing"] > 1 else ""
    yield from _wrapped(
        "tokens",
        f"{tokens['per_trial']:,} a trial, {tokens['total']:,} in all, "
        f"{'repeats included, ' if document['repeats'] else ''}if none is pruned",
    )
    yield from _wrapped(
        "compute",
        f"{flops(compute['total'])}: training {flops(compute['training'])}, evaluations "
        f"{flops(compute['evaluations'])}, early evaluations {flops(compute['early_evaluations'])}",
    )
    yield from _wrapped(
        "memory",
        f"{_gb(needed['total'])} a {one} before activations: weights {_gb(needed['weights'])}, "
        f"gradients {_gb(needed['gradients'])}, AdamW moments {_gb(needed['moments'])}",
    )
    verdict = "it fits" if memory["fits"] else "it does NOT fit"
    yield from _wrapped("", f"{memory['of']} has {_gb(memory['available_gb'])}{shared}: {verdict}")
    yield from _wrapped("", memory["advice"] or "")
    for caution in document["cautions"]:
        yield from _wrapped("rounding", caution)
    yield from _wrapped(
        "disk",
        f"{_gb(disk['total'])} at most: checkpoints {_gb(disk['checkpoints'])}, models "
        f"{_gb(disk['models'])} (GB: 10^9 bytes)",
    )


def _wrapped(title: str, text: str) -> list[str]:
    return textwrap.wrap(text, 86, initial_indent=f"{title:<9}", subsequent_indent=" " * 9)


def _gb(size: float) -> str:
    return f"{size:.1f} GB" if size >= 1 else f"{size:.2g} GB"
