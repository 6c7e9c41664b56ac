"""A study and its trials as notes in Markdown. Names and texts come from strangers: what Markdown
would read in them is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sweep import formats as f
from sweep.report import study_text
from sweep.report.compute_text import compute_rows
from sweep.report.study_types import StudyReport
from sweep.report.trial_types import DecisionReport, TrialSummary, Window
from sweep.storage.states import State
from trainer.contract.safe_text import safe

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&:@-])")


def study_note(report: StudyReport) -> str:
    """Where the study stands, its best, its compute, and what Optuna does not know of."""
    parts = [
        f"**{text(study_text.headline(report))}** {text(study_text.standing(report))}",
        *_paragraphs(study_text.best_lines(report)),
        table(["compute", "", ""], compute_rows(report)),
    ]
    again = [trial for trial in report.trials if trial.is_replicate]
    if again:
        head = ["trained again with a further seed", "state", report.metric]
        rows = [
            (f"trial {t.confirms}, seed {t.further_seed}", t.state, f.fixed(t.objective, 4))
            for t in again
        ]
        parts.append(table(head, rows))
    return "\n\n".join(parts)


def trial_note(
    report: StudyReport, trial: TrialSummary, decisions: Sequence[DecisionReport]
) -> str:
    """The verdict with its reason first, then what the trial showed, and every decision on it."""
    audited = ", audited" if trial.is_audited else ""
    parts = [f"**{text(trial.state + audited)}**{_why(trial)}"]
    if trial.error is not None:
        parts.append(f"failed: {text(f'{trial.error.kind}: {trial.error.message}')}")
    looks = [*([] if trial.window is None else [trial.window]), *trial.looks]
    if looks:
        head = ["samples", "loss", "grad norm", "noise-free", f"early {report.metric}"]
        parts.append(table(head, map(_look, looks)))
    if trial.measurements:
        head = ["at the end", "value", "standard error", "over the base model"]
        rows = [
            (name, f.fixed(one.value, 4), f.fixed(one.stderr, 4), f.signed(one.over_base))
            for name, one in trial.measurements.items()
        ]
        parts.append(table(head, rows))
    if trial.constraints:
        parts.append("\n".join(f"- {text(f'{c.metric}: {c.told}')}" for c in trial.constraints))
    if len(decisions) > 1:
        head = ["step", "when", "decision", "P", "because"]
        rows = [
            (str(d.step), d.moment, f"{d.action} ({d.kind})", f.chance(d.probability), d.reason)
            for d in decisions
        ]
        parts.append(table(head, rows))
    spent = f"{f.flops(trial.compute.flops)} of {f.flops(trial.planned_flops)} planned"
    parts.append(text(f"compute: {spent}, {f.duration(trial.compute.seconds)}"))
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [list(head), ["---"] * len(head)]
    cells = ["| " + " | ".join(line) + " |" for line in ([text(one) for one in lines[0]], lines[1])]
    cells += ["| " + " | ".join(text(str(one)) for one in row) + " |" for row in rows]
    return "\n".join(cells)


def text(plain: str) -> str:
    """The text as Markdown that shows it as it is, in a line."""
    return _SPECIAL.sub(r"\\\1", " ".join(safe(plain).split()))


def _why(trial: TrialSummary) -> str:
    verdict = trial.verdict
    if verdict is None:
        return ""
    if trial.state in (State.PRUNED, State.PARKED) or trial.is_audited:
        return f" at step {verdict.step}, by {text(verdict.kind)}: {text(verdict.reason)}"
    return f"; at step {verdict.step}: {text(verdict.reason)}"


def _look(look: Window) -> tuple[str, ...]:
    early = f.fixed(look.early_eval, 4)
    if look.early_eval_stderr is not None:
        early += f" ± {f.fixed(look.early_eval_stderr, 4)}"
    norms = (f.number(look.grad_norm), f.number(look.grad_norm_noise_free))
    return str(look.samples), f.fixed(look.loss), *norms, early


def _paragraphs(lines: Iterable[str]) -> list[str]:
    return [text(line) for line in lines]
