"""The decisions that the page's slider decides again at another risk, from the P on record."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.audit import is_audited
from predictor.rank import SHARE_OF_P0, SHARE_OF_REST
from sweep.account.replicates import is_replicate
from sweep.page.page_types import Asked, WhatIf
from sweep.storage.ledger import Decision
from sweep.storage.states import PARKED


def what_if(decisions: Sequence[Decision]) -> WhatIf | None:
    """What the slider goes by; `decisions` in the order they were taken. None without one by rank
    that states a probability.

    One that parks a trial decides nothing: it may go on. Those that were given up when no trial was
    worth going on with were decided together, in one round.
    """
    asked: list[Asked] = []
    last: Decision | None = None
    counted = 0
    for one in decisions:
        verdict = one.verdict
        if verdict.kind != "rank" or verdict.probability is None or verdict.action == "park":
            continue
        if is_replicate(one.trial):
            continue
        counted += not _is_one_round(last, one)
        last = one
        evidence = verdict.evidence
        asked.append(
            Asked(
                round=counted,
                trial=one.trial,
                step=one.step,
                probability=verdict.probability,
                given_up=verdict.action in ("prune", "audit"),
                audited=_audited(one),
                halves=_halves(evidence.get("by_signals"), evidence.get("before")),
                together=evidence.get("expected_misses"),
            )
        )
    if last is None:
        return None
    settings = last.settings
    is_stream = settings.mode == "stream"
    return WhatIf(
        asked,
        risk=settings.risk,
        limit=settings.max_expected_misses,
        share_of_rest=SHARE_OF_REST if is_stream else None,
    )


def _audited(one: Decision) -> bool:
    """As it was; of one that went on, as the coin would have had it."""
    if one.verdict.action != "continue":
        return one.verdict.action == "audit"
    return is_audited(one.settings.seed, one.trial, one.settings.audit)


def _halves(by_signals: float | None, before: float | None) -> bool:
    """As `predictor.rank.halves`; true where the rule states neither."""
    return by_signals is None or before is None or by_signals <= SHARE_OF_P0 * before


def _is_one_round(last: Decision | None, one: Decision) -> bool:
    return (
        last is not None
        and (last.moment, last.verdict.action) == (one.moment, one.verdict.action)
        and (one.moment, one.verdict.action) == (PARKED, "prune")
        and last.verdict.evidence.get("expected_misses")
        == one.verdict.evidence.get("expected_misses")
    )
