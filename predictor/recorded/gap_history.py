"""Past studies beside those that come with the package, as the prior of a study that scouts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from predictor.gap.prior import GapPrior, StudyFits, shipped_fits, to_json
from predictor.recorded.gap_pool import FEWEST_FINISHED, study_fits
from predictor.recorded.runs import RecordedStudy


@dataclass(frozen=True, slots=True)
class GapHistory:
    """A prior and the past studies that were added to it."""

    fits: tuple[StudyFits, ...]  # of those that are of use
    prior: GapPrior  # of these and the shipped ones
    num_trials: Mapping[str, int]  # finished, of each past study; 0: of no use
    metrics: Mapping[str, str]  # of each past study: what its objective was

    @property
    def digest(self) -> str:
        """A text of eight digits, equal for equal fits of equal numbers of trials."""
        text = json.dumps([to_json(self.fits), self.num_trials], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def gap_history(studies: Sequence[RecordedStudy]) -> GapHistory:
    """The prior of these past studies and the shipped ones.

    Studies of one base model, as their workload names it, are a family. One that has the name of a
    shipped study stands in its place, and is not counted twice.
    ValueError where none is of use.
    """
    families = {fits.name: fits.family for fits in shipped_fits()}
    found = {
        study.name: study_fits(study, families.get(study.name) or _base(study)) for study in studies
    }
    own = tuple(fits for fits in found.values() if fits is not None)
    if not own:
        raise ValueError(
            f"none of {', '.join(found)} has {FEWEST_FINISHED} finished trials with early windows "
            "that ended differently, so nothing can be learned of what separates trials (with "
            "pruning.mode stream 2 are enough)"
        )
    num_trials = {
        study.name: sum(run.is_finished for run in study.runs) if found[study.name] else 0
        for study in studies
    }
    metrics = {study.name: study.metric for study in studies}
    return GapHistory(own, prior_with(own), num_trials, metrics)


def prior_with(own: Sequence[StudyFits]) -> GapPrior:
    """The prior of these past studies and of the shipped ones with other names."""
    names = {fits.name for fits in own}
    return GapPrior.of([*own, *(fits for fits in shipped_fits() if fits.name not in names)])


def _base(study: RecordedStudy) -> str:
    """A workload is `BASE on DATA`, of a set from elsewhere any text."""
    return study.workload.partition(" on ")[0]
