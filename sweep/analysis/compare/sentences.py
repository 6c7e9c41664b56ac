"""What a comparison says, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from predictor.evidence.correlations import Correlation
from predictor.evidence.pooling import Pooled
from sweep import formats as f
from sweep.analysis.compare.report import (
    ComparedStudy,
    QuestionDifference,
    SignalTransfer,
    Transfer,
)
from sweep.analysis.evidence.sentences import NOUNS


def verdict(
    name: str, kind: Transfer, own: Mapping[str, Correlation | None], pooled: Pooled | None
) -> str:
    """What a signal's correlations, by study, say together."""
    sure = {label: one for label, one in own.items() if one is not None and one.excludes_zero}
    noun = f.capital(NOUNS[name])
    listed = ", ".join(f"{label} {one.rho:+.2f}" for label, one in sure.items())
    if not any(own.values()):
        text = f"{noun}: too few finished runs have it in any study"
    elif kind == "unclear":
        text = f"{noun}: no study has an interval that excludes 0"
    elif kind == "one study alone":
        text = f"{noun} told of the end in {next(iter(sure))} alone (rho {listed})"
    elif kind == "same sign":
        better = "Higher" if next(iter(sure.values())).rho > 0 else "Lower"
        text = (
            f"{better} {NOUNS[name]} went with better ends in {len(sure)} of "
            f"{f.counted(len(own), 'study')}: it transferred (rho {listed})"
        )
    else:
        text = f"{noun} told the opposite from study to study: it did not transfer (rho {listed})"
    if pooled is not None:
        text += f"; pooled {pooled.rho:+.2f}, 95 % {pooled.low:+.2f} to {pooled.high:+.2f}"
    return f"{text}."


def answer(
    studies: Sequence[ComparedStudy],
    differences: Sequence[QuestionDifference],
    ahead: str | None,
    signals: Sequence[SignalTransfer],
) -> str:
    """The comparison in a few sentences."""
    if differences:
        keys = [one.key for one in differences]
        more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
        first = (
            f"The studies do not ask the same ({', '.join(keys[:3])}{more}), so their values do "
            "not compare; their gains over their own base models may."
        )
    else:
        first = "The studies ask the same."
        if ahead is not None:
            best = next(one.best for one in studies if one.label == ahead)
            assert best is not None
            first += f" The best is of {ahead}: {studies[0].metric} {f.fixed(best.mean, 4)}."
    same = [NOUNS[one.signal] for one in signals if one.transfer == "same sign"]
    second = f"Transferred: {', '.join(same)}." if same else "No early signal is seen to transfer."
    return f"{first} {second}"
