"""MT-Bench of a study's best few: from its record to what is printed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sweep import formats as f
from sweep.account.compute import NOTHING
from sweep.account.constraints import Z95
from sweep.account.terms import Terms
from sweep.judging.questions import DOUBTFUL, TEMPERATURES
from sweep.judging.record import judged_models, stored_judge
from sweep.report.console import Console, heading, make_console, print_columns, print_lines
from sweep.report.judge_types import JudgedModel, JudgeReport
from sweep.report.parts import base_report
from sweep.report.text_table import Column
from sweep.storage.ledger import StudyRow, TrialRow
from sweep.storage.paths import StudyPaths

TITLE = "MT-Bench"


def judge_report(
    study: StudyRow, trials: Iterable[TrialRow], paths: StudyPaths, not_kept: Collection[int] = ()
) -> JudgeReport:
    """What is on record of the study's judging; `not_kept`: trials that were asked for as well."""
    rows = {row.number: row for row in trials}
    metric, judge = Terms.of(study.document).metric, stored_judge(study.facts)
    base = base_report(study, metric, NOTHING).objective
    models = [
        JudgedModel(
            number,
            {} if number is None else rows[number].params,
            base if number is None else rows[number].objective,
            judged,
        )
        for number, judged in judged_models(study.facts).items()
        if number is None or number in rows
    ]

    def place(model: JudgedModel) -> tuple[bool, float]:
        return model.number is not None, -(model.judged.score.value or 0.0)

    return JudgeReport(
        study=study.name,
        metric=metric,
        judge=None if judge is None else judge.model,
        models=tuple(sorted(models, key=place)),
        not_kept=tuple(not_kept),
        doubtful=DOUBTFUL,
        out=str(paths.judged(None).parent),
    )


def print_judged(report: JudgeReport, console: Console | None = None) -> None:
    """Print the scores, with what they rest on."""
    console = console or make_console()
    if report.models:
        heading(console, f"{TITLE}, 1 to 10, rated by {report.judge}")
        columns = [Column("trial"), *map(Column, (report.metric.replace("_", "\n"), "score"))]
        columns += map(Column, ("95 %\ninterval", "above\nbase", "turn\n1", "turn\n2", "rated"))
        print_columns(console, columns, [_score_row(model) for model in report.models])
        heading(console, f"{TITLE} by category")
        names = [Column(name) for name in TEMPERATURES]
        print_columns(console, [Column("trial"), *names], [_group_row(m) for m in report.models])
        console.print()
    print_lines(_remarks(report), console)


def _score_row(model: JudgedModel) -> list[str]:
    judged, score = model.judged, model.judged.score
    rated = f"{score.num_rated} of {score.num_rated + score.num_unrated}"
    return [
        _name(model),
        f.fixed(model.objective, 4),
        f.fixed(score.value, 2),
        f.MISSING if score.low is None else f"{score.low:.2f} to {f.fixed(score.high, 2)}",
        _difference(judged.over_base, judged.over_base_stderr),
        *(f.fixed(score.turns.get(turn), 2) for turn in ("1", "2")),
        rated,
    ]


def _group_row(model: JudgedModel) -> list[str]:
    means = model.judged.score.categories
    return [_name(model), *(f.fixed(means.get(name), 2) for name in TEMPERATURES)]


def _difference(over: float | None, stderr: float | None) -> str:
    """`+0.31 ± 0.22`, the half width of the 95 % interval."""
    if over is None:
        return f.MISSING
    return f"{over:+.2f}" + ("" if stderr is None else f" ± {Z95 * stderr:.2f}")


def _name(model: JudgedModel) -> str:
    return "base" if model.number is None else str(model.number)


def _titled(model: JudgedModel) -> str:
    return "base" if model.number is None else f"trial {model.number}"


def _remarks(report: JudgeReport) -> list[str]:
    if not report.models:
        return [*_not_kept(report.not_kept), "No model of this study has been judged."]
    judged = [model.judged for model in report.models]
    said = [
        "Intervals are over the 80 questions; above base is paired on the same questions. The "
        "judge's own bias is in none of them."
    ]
    noise = [_name(model) for model in report.models if _is_noise(model)]
    if noise:
        said.append(f"Not told apart from the base model: {_trials(noise)}.")
    said.append(
        f"Doubtful: the reference answers to questions {', '.join(map(str, report.doubtful))} are "
        "wrong in one turn or both, and the judge is shown them; without these questions: "
        + ", ".join(
            f"{_titled(model)} {f.fixed(model.judged.score.without_doubtful, 2)}"
            for model in report.models
        )
        + "."
    )
    if unrated := sum(one.score.num_unrated for one in judged):
        what = "holds no rating and is" if unrated == 1 else "hold no rating and are"
        said.append(f"{f.counted(unrated, 'answer')} of the judge {what} left out.")
    if cut := sum(one.num_cut for one in judged):
        said.append(
            f"{f.counted(cut, 'prompt')} left no room to answer within the model's positions, and "
            "lost their beginning."
        )
    if unended := sum(one.num_unended for one in judged):
        said.append(f"{f.counted(unended, 'answer')} ended for want of room, not by the model.")
    said += _not_kept(report.not_kept)
    usages = [one.usage for one in judged]
    cost = sum(one.cost or 0.0 for one in usages)
    paid = f", {cost:.2f} dollars" if any(one.cost is not None for one in usages) else ""
    said.append(
        f"The judge was asked {sum(one.requests for one in usages):,} times: "
        f"{sum(one.tokens_in for one in usages):,} tokens read, "
        f"{sum(one.tokens_out for one in usages):,} written{paid}. Answers and ratings are in "
        f"{report.out}"
    )
    return said


def _is_noise(model: JudgedModel) -> bool:
    over, stderr = model.judged.over_base, model.judged.over_base_stderr
    return over is not None and stderr is not None and abs(over) <= Z95 * stderr


def _not_kept(numbers: Sequence[int]) -> list[str]:
    if not numbers:
        return []
    return [
        f"Not measured, as weights are not kept: {_trials([str(number) for number in numbers])}; "
        "with run.keep: all a study keeps them."
    ]


def _trials(names: Sequence[str]) -> str:
    return f"trial{'s' if len(names) > 1 else ''} {', '.join(names)}"
