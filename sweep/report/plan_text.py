"""A plan as plain lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from sweep.account.early_eval import FEWEST, MOST_SHARE
from sweep.account.flops import CARD, CARD_FLOPS_PER_S
from sweep.config.errors import show
from sweep.formats import counted, flops, gigabytes, parameters, per_look
from sweep.report.data_text import data_lines
from sweep.report.plan import NeededParking, StudyPlan
from sweep.report.text_table import wrapped

_FEWEST_HOURS = 0.1  # of a card: below nobody plans


def plan_lines(plan: StudyPlan) -> list[str]:
    """The plan in lines, most of them within 90 columns."""
    return [
        *_head(plan),
        *_section("Settings", _settings(plan)),
        *_section("Data", data_lines(plan.data)),
        *_section("Trials", _trials(plan)),
        *_section("Cost", _cost(plan)),
    ]


def _head(plan: StudyPlan) -> list[str]:
    if plan.begun is None:
        return [f"Plan of study {plan.study} ({plan.source}); nothing is made yet."]
    return [
        f"Plan of study {plan.study} ({plan.source}), of all its trials from the beginning.",
        f"So far {plan.begun}.",
    ]


def _section(title: str, lines: Iterator[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)]


def _settings(plan: StudyPlan) -> Iterator[str]:
    wide = max(len(each.path) for each in plan.values)
    shown = [show(each.value) for each in plan.values]
    value_wide = min(32, max(len(text) for text in shown))
    for each, text in zip(plan.values, shown, strict=True):
        yield f"{each.path:<{wide}}  {text:<{value_wide}}  {each.origin}"


def _trials(plan: StudyPlan) -> Iterator[str]:
    samples = _from_to(plan.smallest_samples, plan.largest_samples)
    processes = plan.memory.processes
    each = f" on {processes} processes each" if processes > 1 else ""
    trials = f"{plan.trials} trials" if plan.hours is None else "trials"
    yield (
        f"{trials} of {samples} samples, {plan.workers} at a time{each}, "
        f"over {', '.join(plan.searched)}"
    )
    if plan.hours is not None:
        yield f"as many as {plan.hours:g} h have room for beside finishing the best (run.trials"
        yield "  auto): decided after the first scouts, by the time that they took"
    if plan.replicates:
        yield f"then {plan.replicates} replicates: the best with other seeds, never pruned"
    if plan.points is not None:
        yield f"the space holds {plan.points:,} configurations"
    decides = "" if plan.prunes else "; pruning is off, it is only recorded"
    yield (
        f"early window: {plan.window_samples:,} samples, {plan.window_share:.1%} of the smallest "
        f"budget{decides}"
    )
    looks = (f"{each:,} ({each / plan.smallest_samples:.0%})" for each in plan.looks)
    again = f", looked at again after {', '.join(looks)} samples" if plan.looks else ""
    if again and not plan.scouts:
        yield again.removeprefix(", ") + ", which is only recorded"
    if plan.scouts:
        yield "scouting: all trials are parked at their window, then the most promising"
        yield f"  go on{again}"
    if plan.early_eval:
        yield (
            f"a look measures {per_look(plan.early_eval, plan.early_questions)}; all looks: "
            f"{plan.early_share:.1%} of training"
        )
        if plan.early_share > MOST_SHARE:
            yield f"  over the {MOST_SHARE:.0%} that auto keeps to, but for {FEWEST} at least"
    if plan.history is not None:
        yield f"prior from past studies: {plan.history}"
    if plan.stop:
        yield "it ends earlier when further trials are unlikely to help"
    for each in plan.steps:
        steps = _from_to(each.fewest, each.most)
        yield f"batch {each.batch_size:>5,}: {steps} steps, the window after {each.window:,}"
    for recipe in plan.recipes:
        yield f"first, recipe {recipe.name}: {parameters(recipe.params)}"
        for sentence in recipe.moved:
            yield f"  {sentence}"


def _from_to(fewest: int, most: int) -> str:
    return f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"


def _cost(plan: StudyPlan) -> Iterator[str]:
    compute, disk, memory = plan.flops, plan.disk_gb, plan.memory
    of_one = "" if plan.hours is None else " for the base and one trial to its end"
    parked, most = "", " at most"
    if disk.parked is not None and plan.hours is None:
        parked = f", parked trials {gigabytes(disk.parked.taken)}"
    elif disk.parked is not None:
        parked, most = f", a parked trial {gigabytes(disk.parked.taken)}", " with one trial parked"
    needed = memory.needed_gb
    one = "trial" if memory.processes == 1 else "process"
    shared = f" for each of {counted(memory.sharing, one)}" if memory.sharing > 1 else ""
    yield from _wrapped(
        "tokens",
        f"{plan.tokens_per_trial:,} a trial"
        if plan.hours is not None
        else f"{plan.tokens_per_trial:,} a trial, {plan.total_tokens:,} in all, "
        f"{'replicates included, ' if plan.replicates else ''}if none is pruned",
    )
    yield from _wrapped(
        "compute",
        f"{flops(compute.total)}{of_one}: training {flops(compute.training)}, evaluations "
        f"{flops(compute.evaluations)}, early evaluations {flops(compute.early_evaluations)}",
    )
    yield from _wrapped(
        "memory",
        f"{gigabytes(needed.total)} a {one} before activations: weights "
        f"{gigabytes(needed.weights)}, gradients {gigabytes(needed.gradients)}, AdamW moments "
        f"{gigabytes(needed.moments)}",
    )
    if (hours := compute.total / CARD_FLOPS_PER_S / 3600) >= _FEWEST_HOURS:
        yield from _wrapped("time", f"about {hours:.2g} h on {CARD}")
    verdict = "it fits" if memory.fits else "it does NOT fit"
    yield from _wrapped("", f"{memory.of} has {gigabytes(memory.available_gb)}{shared}: {verdict}")
    yield from _wrapped("", memory.advice or "")
    for caution in plan.cautions:
        yield from _wrapped("caution", caution)
    yield from _wrapped(
        "disk",
        f"{gigabytes(disk.total)}{most}: checkpoints {gigabytes(disk.checkpoints)}, models "
        f"{gigabytes(disk.models)}{parked} (GB: 10^9 bytes)",
    )
    if disk.parked is not None:
        yield from _wrapped("", _parking(disk.parked, is_any_number=plan.hours is not None))


def _parking(parked: NeededParking, *, is_any_number: bool) -> str:
    each = f"of a parked trial one checkpoint of {gigabytes(parked.each)} is kept"
    of_them = "one takes" if parked.num == 1 else f"{parked.num} of them take"
    whole = f"{of_them} {gigabytes(parked.num * parked.each)}"
    most = f"run.parked_gb allows {gigabytes(parked.most)}"
    if is_any_number and parked.most >= parked.each:
        return (
            f"{each}, of all together {gigabytes(parked.most)} at most (run.parked_gb): beyond it "
            "the least promising keep none, and are trained again if they go on"
        )
    if parked.taken == parked.num * parked.each:
        return f"{each}: {whole}, and {most}"
    if not parked.most:
        return (
            "of a parked trial nothing is kept (run.parked_gb 0): if it goes on it is trained again"
        )
    return (
        f"{each}: {whole}, but {most}: the least promising keep none, and are trained again if "
        "they go on"
    )


def _wrapped(title: str, text: str) -> list[str]:
    return wrapped(text, 86, f"{title:<9}", " " * 9) if text else []
