"""The README.md that goes with the best trial's model: what it is, and how it was chosen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from sweep import formats as f
from sweep.report.usage import usage
from trainer.contract.safe_text import safe

_SECTIONS = {  # of the study file: what makes up a training run, besides the searched parameters
    "model": ("tuning", "lora", "dtype", "weights", "gradient_checkpointing", "parallel"),
    "data": ("format", "template", "system", "max_length", "loss_on", "replay", "reset_optimizer"),
    "budget": ("samples", "epochs"),
    "run": ("seed", "processes_per_trial"),
}


def model_card(
    document: Mapping[str, Any],
    number: int,
    base: str,
    data_sources: Mapping[str, str],
    *,
    has_chats: bool,
) -> str:
    """Markdown with YAML front matter, for a folder with trial `number`'s model in it.

    `document` is the study's, `base` a folder or Hub id, `data_sources` what each part of the
    data (train, eval, ...) was read from, `has_chats` whether it was trained on chats. A base
    folder goes into the front matter by its name alone: the Hub takes no paths there.
    """
    trial = next(trial for trial in document["trials"] if trial["number"] == number)
    tuning = document["resolved"].get("model", {}).get("tuning", "full")
    data = document["resolved"].get("data", {})
    sections = [
        _front_matter(base, tuning),
        f"# {_escaped(document['study'])}, trial {number}",
        _what(document, trial, base, tuning),
        "## Data",
        _table(("part", "source"), data_sources.items()),
        "## Configuration",
        _table(("parameter", "value"), _configuration(document, trial)),
        "## How it was chosen",
        _selection(document, number),
        _trials_table(document),
        "## Use",
        usage(data, is_adapter=tuning == "lora", has_chats=has_chats),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(base: str, tuning: str) -> str:
    path = PurePath(base)
    is_folder = path.is_absolute() or base.startswith((".", "~")) or len(path.parts) > 2
    name = path.name if is_folder else base.partition("@")[0]
    lines = [
        "---",
        f"base_model: {json.dumps(name)}",  # JSON strings are YAML
        f"library_name: {'peft' if tuning == 'lora' else 'transformers'}",
        "pipeline_tag: text-generation",
        "tags:",
        "- sft-sweep",
        "---",
    ]
    return "\n".join(lines)


def _what(document: Mapping[str, Any], trial: Mapping[str, Any], base: str, tuning: str) -> str:
    metric = document["metric"]
    how = "with LoRA" if tuning == "lora" else "in all its weights"
    before = document["base"]["objective"]
    against = f"; the base model has {f.fixed(before, 4)}" if before is not None else ""
    direction = "higher" if document["direction"] == "maximize" else "lower"
    is_better = f"{against} ({direction} is better)."
    text = f"{_code(base)}, fine-tuned {how} on instruction data by sft-sweep. "
    own = f.fixed(trial["objective"], 4)
    if _is_confirmed_best(document, trial["number"]) and f.num_new_seeds(document):
        return (
            f"{text}Trained with new seeds, its configuration has a {metric} of "
            f"{f.best_value(document)}{is_better} These weights, the best run of it, have {own}: "
            "a value that was picked, and so optimistic."
        )
    return f"{text}Its {metric} is {own}{is_better}"


def _is_confirmed_best(document: Mapping[str, Any], number: int) -> bool:
    best = document["best"]
    return best is not None and best["number"] == number and best["confirms"] is not None


def _configuration(document: Mapping[str, Any], trial: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The trial's own parameters, then the study's sections that make up a training run."""
    resolved: Mapping[str, Any] = document["resolved"]
    rows = [(name, f.exact(value)) for name, value in trial["params"].items()]
    rows += [("optimizer steps", str(trial["num_steps"]))]
    for section, keys in _SECTIONS.items():
        values: Mapping[str, Any] = resolved.get(section) or {}
        rows += [(f"{section}.{k}", f.exact(values[k])) for k in keys if values.get(k) is not None]
    if trial["further_seed"]:
        rows.append(("further seed", f"{trial['further_seed']}, added to run.seed"))
    return rows


def _selection(document: Mapping[str, Any], number: int) -> str:
    states = [trial["state"] for trial in document["trials"] if trial["confirms"] is None]
    completed = states.count("completed")
    best, metric = document["best"], document["metric"]
    chosen = best is not None and best["number"] == number
    rank = "the best" if chosen else "one"
    how = (
        "Each was trained once, with one seed, and measured on the same held-out set. So its "
        f"{metric} is optimistic: part of what put it first is chance, the more so the more trials "
        "there are."
    )
    original = number
    if _is_confirmed_best(document, number):
        how = _confirmed(document)
        original = document["best"]["confirms"]
    return (
        f"Trial {original} is {rank} of the {completed} trials that were trained to their end, "
        f"out of {len(states)} begun; {states.count('pruned')} were stopped early. {how} "
        "Measure it on data that the study has not seen before you rely on the number."
    )


def _confirmed(document: Mapping[str, Any]) -> str:
    best, confirm = document["best"], document["confirm"]
    text = (
        f"The best {confirm['top']} were trained again with {confirm['seeds']} further seeds each, "
        "and of these the best mean of all seeds won. The weights are those of its best run, trial "
        f"{best['number']}. All were measured on the same held-out set. "
    )
    if not f.num_new_seeds(document):
        return text + (
            f"No repeat of it was completed, so its {document['metric']} is optimistic: part of "
            "what put it first is chance, the more so the more trials there are."
        )
    text += (
        "The value that this card begins with is of the new seeds alone: the run that was picked "
        f"for its {document['metric']} is not in it."
    )
    if confirm["top"] == 1:
        return text
    return text + (
        " It is a little optimistic still, as the new seeds had a say in which of the "
        f"{confirm['top']} won."
    )


def _trials_table(document: Mapping[str, Any]) -> str:
    names = f.varying(document)
    head = ["trial", *names, "state", "early loss", "grad norm", "noise-free", "early eval"]
    rows = [["base", *[""] * (len(head) - 1), f.fixed(document["base"]["objective"], 4)]]
    for trial in document["trials"]:
        window: Mapping[str, Any] = trial["window"] or {}
        state = trial["state"] + (", audited" if f.is_audited(trial) else "")
        if trial["confirms"] is not None:
            state += f", trial {trial['confirms']} again"
        rows.append(
            [
                str(trial["number"]),
                *(f.parameter(trial["params"].get(name)) for name in names),
                state,
                f.fixed(window.get("loss")),
                f.number(window.get("grad_norm")),
                f.number(window.get("grad_norm_noise_free")),
                f.fixed(window.get("early_eval")),
                f.fixed(trial["objective"], 4),
            ]
        )
    return _table([*head, document["metric"]], rows)


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)


def _code(text: str) -> str:
    """As code on one line; a backtick in it would end that, and no path needs one."""
    flat = " ".join(safe(text).split()).replace("`", "'")
    return f"`{flat}`"


def _escaped(text: str) -> str:
    """On one line, without what Markdown would take for its own in a table."""
    flat = " ".join(safe(str(text)).split())
    for mark in ("\\", "|", "<", "*", "`", "["):
        flat = flat.replace(mark, "\\" + mark)
    return flat
