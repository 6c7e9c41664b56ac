"""`sweep tune`: the pruning settings worth using, by replay of recorded runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from predictor.recorded.runs import RecordedStudy
from predictor.replay.comparison import num_cores
from predictor.replay.sample import Sample
from predictor.tuning.search import Tuning, too_few
from predictor.tuning.search import tune as search
from predictor.tuning.steps import REGRET_LIMIT, NothingToHoldOut
from predictor.types import Settings
from sweep.analysis.options import BadOption, check_at_least
from sweep.analysis.recorded.sample import sample
from sweep.analysis.recorded.sources import named, read_sources
from sweep.analysis.tune.present_setting import Present, present_setting
from sweep.analysis.tune.report import FrontierLine, TuneReport
from sweep.analysis.tune.verdict import limits, verdict
from sweep.report.console import progress_bar
from trainer.contract.spec import UserError


class TooFewRuns(UserError):
    """There is nothing to tune on."""


def tune(
    *sources: str | Path,
    risk: float | None = None,
    file: str | Path | None = None,
    workers: int = 1,
    orders: int = 5,
    seed: int = 0,
    max_runs: int = 200,
) -> TuneReport:
    """The pruning settings worth using, searched for by replay of the runs in `sources`.

    `sources`: studies (a name below ./runs, a folder, URL#NAME), exports and recorded sets. `risk`:
    the highest that a setting may state. `file`: a study file whose pruning section is the present
    setting; if None it is the studies' own, or the defaults. Each group is replayed in `orders`
    shuffled orders with `workers` trials side by side; of one with more than `max_runs` runs a
    sample of so many. Takes a minute or more, with a progress bar where standard error is a
    terminal. Nothing is written.

    TooFewRuns where fewer than eight runs were trained to their end. UserError where a source or
    the file cannot be read, an option is out of range, or one order of one study has nothing to be
    held out.
    """
    check_options(risk, workers, orders, seed)
    texts = named(sources)
    studies, samples = sample(read_sources(texts), max_runs, seed)
    reason = too_few(studies)
    if reason is not None:
        raise TooFewRuns(reason)
    present = present_setting(texts, studies, None if file is None else Path(file))
    found = _with_progress(studies, present, risk, workers, orders, seed)
    return _report(found, studies, samples, present, workers, seed)


def check_options(risk: float | None, workers: int, orders: int, seed: int) -> None:
    """Raise BadOption for the one that is out of range."""
    if risk is not None:
        try:
            Settings.checked({"risk": risk})
        except ValueError as error:
            raise BadOption("risk", str(error).removeprefix("risk")) from None
    check_at_least(1, workers=workers, orders=orders)
    check_at_least(0, seed=seed)


def _report(
    found: Tuning,
    studies: Sequence[RecordedStudy],
    samples: Sequence[Sample],
    present: Present,
    num_workers: int,
    seed: int,
) -> TuneReport:
    was, recommended = found.present.keys, found.recommended.keys
    report = TuneReport(
        present=was,
        origin=present.origin,
        base=found.base.keys,
        recommended=recommended,
        changes={key: (was[key], recommended[key]) for key in was if was[key] != recommended[key]},
        is_better=found.is_better,
        limits=(*(one.text for one in samples), *limits(found, studies, present)),
        present_measured=found.present_measured,
        recommended_in_sample=found.recommended_in_sample,
        recommended_held_out=found.recommended_held_out,
        compute_gained=found.compute_gained,
        regret_gained=found.regret_gained,
        gained_at=found.gained_at,
        gained_level=found.gained_level,
        regret_limit=REGRET_LIMIT,
        frontier=tuple(
            FrontierLine(line.limit, line.candidate.keys, line.in_sample, line.held_out)
            for line in found.frontier
        ),
        judged=found.judged,
        present_losses=found.present_losses,
        recommended_losses=found.recommended_losses,
        recorded_window=present.recorded,
        recorded_differ=present.recorded_differ,
        metrics=tuple(sorted({(study.metric, study.direction) for study in studies})),
        folds_over=found.folds_over,
        num_folds=found.num_folds,
        intervals_over=found.intervals_over,
        num_resampled=found.num_resampled,
        num_groups=found.num_groups,
        num_runs=found.num_runs,
        num_orders=found.num_orders,
        num_workers=num_workers,
        num_candidates=found.num_candidates,
        num_replays=found.num_replays,
        seed=seed,
        samples=tuple(samples),
    )
    return replace(report, verdict=tuple(verdict(report)))


def _with_progress(
    studies: Sequence[RecordedStudy],
    present: Present,
    risk: float | None,
    num_workers: int,
    num_orders: int,
    seed: int,
) -> Tuning:
    with progress_bar("replaying", counted=True) as bar:
        try:
            return search(
                studies,
                present.candidate,
                risk=risk,
                recorded=present.recorded,
                fixed=("prior_strength",) if present.has_history else (),
                num_orders=num_orders,
                num_workers=num_workers,
                num_processes=num_cores(),
                seed=seed,
                on_start=bar.extend,
                on_done=bar.advance,
            )
        except NothingToHoldOut as error:
            raise BadOption("orders", f" {num_orders}: {error}") from None
