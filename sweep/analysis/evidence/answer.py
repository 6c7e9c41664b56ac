"""The evidence in two plain sentences: does the paper's finding hold, and does it add anything?

The first is of the signs that Pareja et al. (arXiv 2412.13337) expect, the second of what loss and
norm tell beyond the configuration. Their numbers are with sweep.analysis.evidence.sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from predictor.evidence.evidence import LEAST_RUNS, StudyEvidence
from predictor.evidence.pooling import Pooled
from sweep.analysis.evidence.sentences import (
    ALPHA,
    NOUNS,
    PAPER,
    Statement,
    added,
    added_sentence,
    statements,
)

SIDES = {  # what can be said of the paper's finding, in this order
    "holds": "holds {}",
    "holds, given": "holds {} once the configuration is known",
    "reversed": "is reversed {}",
    "reversed, given": "is reversed {} once the configuration is known",
    "unclear": "is not clear {}",
    "too few": "cannot be judged {}",
}


def answer(evidence: StudyEvidence) -> str:
    """The answer for one study; where nothing can be compared, what is missing and what to do."""
    if not has_dynamics(evidence):
        return _nothing(evidence)
    told = {statement.about: statement for statement in statements(evidence)}
    first = _paper({name: _side(told[name]) for name in (evidence.norm, "loss")}, "here")
    found = added(evidence)
    return f"{first} {added_sentence(found[0]) if found else told['sets'].text}"


def has_dynamics(evidence: StudyEvidence) -> bool:
    """Whether loss or norm differ among the runs, or the runs are merely too few to tell."""
    signals = [signal for signal in evidence.signals if signal.name in PAPER]
    few = 0 < evidence.kept.num_finished < LEAST_RUNS
    return few or any(signal.alone is not None for signal in signals)


def overall(studies: Sequence[StudyEvidence], pooled: Iterable[Pooled]) -> str:
    """The answer over several studies, `pooled` being their correlations alone."""
    if not any(map(has_dynamics, studies)):
        return "Nothing can be told: no study has finished runs with loss or gradient norm."
    sides = {one.name: _pooled_side(one) for one in pooled if one.name in PAPER}
    first = _paper(sides, "over all")
    if not sides:
        first = f"{len(studies)} studies are too few to say where else the paper's finding holds."
    found = [added(study)[0] for study in studies if added(study)]
    if not found:
        return f"{first} Too few runs to tell what loss and norm add to the configuration."
    both = [one.to_both for one in found if one.to_both is not None]
    text = (
        "Loss and norm help to predict a run beyond what its hyperparameters tell in "
        f"{sum(one.to_config.is_above for one in found)} of {len(found)} studies"
    )
    if both:
        num_above = sum(gain.is_above for gain in both)
        text += f", and beyond the early evaluation in {num_above} of {len(both)}"
    return f"{first} {text}."


def _nothing(evidence: StudyEvidence) -> str:
    kept = evidence.kept
    if not kept.num_finished and not kept.without_window:
        return "Nothing can be told: no run has a score yet. Let the study go on and ask again."
    unit = "samples" if evidence.in_samples else "steps"
    window = f"to the end of the window ({evidence.close:.0f} {unit})"
    missing = f"none of the {len(kept.without_window)} finished runs has training steps up {window}"
    if kept.num_finished:
        missing = "the finished runs have no loss and no gradient norm, or the same in all,"
        missing += f" up {window}"
    return (
        f"Nothing can be told: {missing}. Put steps with loss and gradient norm into the set's "
        "X_steps.parquet (columns: studies/recorded/README.md), or make it anew with sweep export."
    )


def _paper(sides: Mapping[str, str], where: str) -> str:
    """`sides`: one of SIDES by signal."""
    if set(sides.values()) <= {"too few"}:
        return f"Too few runs to tell whether the paper's finding holds {where}."
    parts: list[str] = []
    for side, text in SIDES.items():
        names = [
            f"the {NOUNS[name].removeprefix('early ')}" for name in sides if sides[name] == side
        ]
        if names:
            parts.append(text.format(f"for {' and '.join(names)}"))
    *some, last = parts
    return f"The paper's finding {' and '.join([', '.join(some), last] if some else [last])}."


def _side(statement: Statement) -> str:
    if statement.finding == "too few":
        return "too few"
    if statement.finding not in ("lower", "higher"):
        return "unclear"
    side = "holds" if statement.finding == PAPER[statement.about] else "reversed"
    return f"{side}, given" if statement.only_given else side


def _pooled_side(pooled: Pooled) -> str:
    if pooled.holm >= ALPHA:
        return "unclear"
    return "holds" if (pooled.rho > 0) == (PAPER[pooled.name] == "higher") else "reversed"
