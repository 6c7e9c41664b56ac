"""The README.md that goes with the best trial's model: what it is, and how it was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

from sweep import formats as f
from sweep.account.terms import Terms, at
from sweep.report.constraints_text import difference_line
from sweep.report.eval_results import eval_results
from sweep.report.study_text import best_value, varying
from sweep.report.study_types import BestReport, StudyReport
from sweep.report.trial_text import with_error
from sweep.report.trial_types import TrialSummary
from sweep.report.usage import usage
from sweep.storage.states import State
from trainer.contract.safe_text import safe

_SECTIONS = {  # of the study file: what makes up a training run, besides the searched parameters
    "model": ("tuning", "lora", "dtype", "weights", "gradient_checkpointing", "parallel"),
    "data": ("format", "template", "system", "max_length", "loss_on", "replay", "reset_optimizer"),
    "budget": ("samples", "epochs"),
    "run": ("seed", "processes_per_trial"),
}


def model_card(
    report: StudyReport,
    number: int,
    base: str,
    data_sources: Mapping[str, str],
    *,
    has_chats: bool,
    picture: str | None = None,
) -> str:
    """A model card in Markdown with YAML front matter, for a folder with trial `number`'s model in
    it.

    `base` is a folder or Hub id, `data_sources` what each part of the
    data (train, eval, ...) was read from, `has_chats` whether it was trained on chats,
    `picture` the name of a file beside the card that shows the study. A base folder goes into the
    front matter by its name alone: the Hub takes no paths there.
    """
    trial = report.trial(number)
    tuning = Terms.of(report.resolved).tuning
    sections = [
        _front_matter(report, trial, base, tuning),
        f"# {_escaped(report.study)}, trial {number}",
        _what(report, trial, base, tuning),
        *_measured(report, trial),
        "## Data",
        _table(("part", "source"), data_sources.items()),
        "## Configuration",
        _table(("parameter", "value"), _configuration(report, trial)),
        "## How it was chosen",
        _selection(report, number),
        *([] if picture is None else [_picture(report, picture)]),
        *_constraints(report, trial),
        *_differences(report, number),
        _trials_table(report),
        "## Use",
        usage(at(report.resolved, "data"), is_adapter=tuning == "lora", has_chats=has_chats),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(report: StudyReport, trial: TrialSummary, base: str, tuning: str) -> str:
    """What the Hub reads, with what was measured as its evaluation results (model-index)."""
    from huggingface_hub import ModelCardData  # takes its time

    path = PurePath(base)
    is_folder = path.is_absolute() or base.startswith((".", "~")) or len(path.parts) > 2
    name = path.name if is_folder else base.partition("@")[0]
    data = ModelCardData(
        base_model=safe(name),
        library_name="peft" if tuning == "lora" else "transformers",
        pipeline_tag="text-generation",
        tags=["sft-sweep"],
        model_name=safe(f"{report.study}, trial {trial.number}"),
        eval_results=eval_results(trial) or None,
    )
    text = data.to_yaml()  # pyright: ignore[reportUnknownMemberType]
    return f"---\n{text}\n---"


def _picture(report: StudyReport, name: str) -> str:
    about = f"{report.metric} of each trial against its compute; the best is bold"
    return f"![{_escaped(about).replace(']', '')}]({name})"


def _what(report: StudyReport, trial: TrialSummary, base: str, tuning: str) -> str:
    metric = report.metric
    how = "with LoRA" if tuning == "lora" else "in all its weights"
    before = report.base.objective
    against = f"; the base model has {f.fixed(before, 4)}" if before is not None else ""
    direction = "higher" if report.direction == "maximize" else "lower"
    is_better = f"{against} ({direction} is better)."
    text = f"{_code(base)}, fine-tuned {how} on instruction data by sft-sweep. "
    own = f.fixed(trial.objective, 4)
    best = _confirmed_best(report, trial.number)
    if best is not None and best.num_new_seeds:
        return (
            f"{text}Trained with new seeds, its configuration has a {metric} of "
            f"{best_value(best)}{is_better} These weights, the best run of it, have {own}: "
            "a value that was picked, and so optimistic."
        )
    return f"{text}Its {metric} is {own}{is_better}"


def _measured(report: StudyReport, trial: TrialSummary) -> list[str]:
    """All that was measured of the trial and of the base model, with the groups; none of a trial
    that did not end."""
    rows: list[tuple[str, ...]] = []
    for metric, own in trial.measurements.items():
        base = report.base.measurements.get(metric)
        before = "" if base is None else with_error(base.value, base.stderr)
        rows.append((metric, "", f"{own.num:,}", with_error(own.value, own.stderr), before))
        for name, value in own.groups.items():
            error = own.group_stderrs.get(name)
            before = ""
            if base is not None and name in base.groups:
                before = with_error(base.groups[name], base.group_stderrs.get(name))
            rows.append((metric, name, "", with_error(value, error), before))
    if not rows:
        return []
    head = ("metric", "group", "rows, questions or tokens", "this model", "base model")
    return ["## Measured", "± the standard error.", _table(head, rows)]


def _confirmed_best(report: StudyReport, number: int) -> BestReport | None:
    """The best, if it is that trial's and confirmed with new seeds."""
    best = report.best
    return best if best and best.number == number and best.confirms is not None else None


def _configuration(report: StudyReport, trial: TrialSummary) -> list[tuple[str, str]]:
    """The trial's own parameters, then the study's sections that make up a training run."""
    rows = [(name, f.exact(value)) for name, value in trial.params.items()]
    rows += [("optimizer steps", str(trial.num_steps))]
    for section, keys in _SECTIONS.items():
        values = at(report.resolved, section)
        rows += [(f"{section}.{k}", f.exact(values[k])) for k in keys if values.get(k) is not None]
    if trial.further_seed:
        rows.append(("further seed", f"{trial.further_seed}, added to run.seed"))
    return rows


def _selection(report: StudyReport, number: int) -> str:
    states = [trial.state for trial in report.originals]
    chosen = report.best is not None and report.best.number == number
    rank = "the best" if chosen else "one"
    num = states.count(State.COMPLETED)
    within = ""
    if report.constraints and chosen:
        num, within = len(report.completed(feasible=True)), " and hold every constraint"
    how = (
        "Each was trained once, with one seed, and measured on the same held-out set. So its "
        f"{report.metric} is optimistic: part of what put it first is chance, the more so the more "
        "trials there are."
    )
    original = number
    if best := _confirmed_best(report, number):
        how, original = _confirmed(report, best), best.original
    return (
        f"Trial {original} is {rank} of the {num} trials that were trained to their end{within}, "
        f"out of {len(states)} begun; {states.count(State.PRUNED)} were stopped early. {how} "
        "Measure it on data that the study has not seen before you rely on the number."
    )


def _constraints(report: StudyReport, trial: TrialSummary) -> list[str]:
    """How the trial stands to each constraint; none without any."""
    if not report.constraints:
        return []
    rows = [
        (
            one.text,
            f.fixed(held.value, 4),
            f.fixed(held.base, 4),
            f.signed(held.distance),
            f"{f.signed(held.low)} to {f.signed(held.high)}",
            held.words,
        )
        for one, held in zip(report.constraints, trial.constraints, strict=True)
    ]
    head = ("constraint", "value", "base model", "from the bound", "95 % interval", "")
    only = (
        "The best is the best of those that hold every constraint: a 95 % interval of the "
        "distance from the bound, paired with the base model where the bound is of it, must lie on "
        "the right side, but for the constraint's margin."
    )
    return [only, _table(head, rows)]


def _differences(report: StudyReport, number: int) -> list[str]:
    """The trial against the base model and the next few, where it is the best."""
    own = [one for one in report.differences if one.number == number]
    if not own:
        return []
    lines = [f"- {_escaped(difference_line(report, one))}" for one in own]
    num = own[0].num
    return [
        f"On the same {num:,} rows or questions, for these weights (other seeds would scatter):",
        "\n".join(lines),
    ]


def _confirmed(report: StudyReport, best: BestReport) -> str:
    confirm = report.confirm
    text = (
        f"The best {confirm.top} were trained again with {confirm.seeds} new seeds each, "
        "and of these the best mean of all seeds won. The weights are those of its best run, trial "
        f"{best.number}. All were measured on the same held-out set. "
    )
    if not best.num_new_seeds:
        return text + (
            f"No replicate of it was completed, so its {report.metric} is optimistic: part of "
            "what put it first is chance, the more so the more trials there are."
        )
    text += (
        "The value that this card begins with is of the new seeds alone: the run that was picked "
        f"for its {report.metric} is not in it."
    )
    if confirm.top == 1:
        return text
    return text + (
        " It is a little optimistic still, as the new seeds had a say in which of the "
        f"{confirm.top} won."
    )


def _trials_table(report: StudyReport) -> str:
    names = varying(report)
    head = ["trial", *names, "state", "early loss", "grad norm", "noise-free", "early eval"]
    rows = [["base", *[""] * (len(head) - 1), f.fixed(report.base.objective, 4)]]
    for trial in report.trials:
        window = trial.window
        state = trial.state + (", audited" if trial.is_audited else "")
        if trial.is_replicate:
            state += f", trial {trial.confirms} again"
        rows.append(
            [
                str(trial.number),
                *(f.parameter(trial.params.get(name)) for name in names),
                state,
                f.fixed(window and window.loss),
                f.number(window and window.grad_norm),
                f.number(window and window.grad_norm_noise_free),
                f.fixed(window and window.early_eval),
                f.fixed(trial.objective, 4),
            ]
        )
    return _table([*head, report.metric], rows)


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
