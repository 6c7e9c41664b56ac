"""Makes predictor/gap/prior.json: `python -m studies.experiments.gap_prior`, in the checkout.

It is pooled from the fine-tuning sets alone; a family is a base model, whatever the data. A set
that is not here is an error, as a prior without it would be another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from predictor.gap import prior
from predictor.gap.prior import GapPrior, StudyFits
from predictor.recorded.gap_pool import study_fits
from predictor.recorded.runs import RecordedRun, RecordedStudy
from predictor.replay.replay import replayable
from studies.experiments.regrouped import regrouped
from sweep.analysis.recorded.sources import read_sources

SETS = {  # by family
    "smollm2-gpu": ["../shared/recorded/smollm2_gpu"],
    "quickstart": ["studies/recorded/quickstart", "studies/recorded/quickstart_looks"],
    "algoperf": ["../shared/recorded/algoperf_dev"],
}
SHIPPED = ("smollm2-gpu", "quickstart")
IN_TWO_GROUPS = ("smollm2-gpu",)
OTHER_OF = {"loss": ("choices", "choice_accuracy"), "choices": ("loss", "eval_loss")}
NUM_QUESTIONS = 256  # of an early accuracy of the GPU set; its README says so
REGROUPED = {"algoperf": 4}  # draws of each workload, its optimizers in one study as in a sweep


def recorded(name: str) -> list[RecordedStudy]:
    """The studies of a set, all their runs replayable; with what else was evaluated at their looks
    where that stands in a group of its own."""
    studies = [replayable(study) for study in read_sources(SETS[name])]
    return both_metrics(studies) if name in IN_TWO_GROUPS else studies


def both_metrics(studies: Sequence[RecordedStudy]) -> list[RecordedStudy]:
    """Groups NAME-loss and NAME-choices are the same runs: each evaluation of one is among the
    others of the other, and an accuracy of 256 questions has the standard error of a share."""
    by_name = {study.name: study for study in studies}
    found: list[RecordedStudy] = []
    for study in studies:
        stem, _, kind = study.name.rpartition("-")
        beside, measured = OTHER_OF.get(kind, (kind, ""))
        other = by_name.get(f"{stem}-{beside}")
        runs = study.runs
        if measured and other is not None:
            partners = {json.dumps(dict(run.config), sort_keys=True): run for run in other.runs}
            runs = tuple(
                _with_other(run, partners[json.dumps(dict(run.config), sort_keys=True)], measured)
                for run in study.runs
            )
        found.append(replace(study, runs=runs))
    return found


def _with_other(run: RecordedRun, partner: RecordedRun, measured: str) -> RecordedRun:
    theirs = {position: value for position, value in partner.evals.tolist()}
    values = np.array([theirs.get(position, np.nan) for position in run.evals[:, 0].tolist()])
    shares = np.abs(run.evals[:, 1])
    stderrs = np.sqrt(np.maximum(shares * (1 - shares), 0.0) / NUM_QUESTIONS)
    is_share = measured == "eval_loss"
    return replace(run, others={measured: values}, eval_stderrs=stderrs if is_share else None)


def fits_of(name: str) -> list[StudyFits]:
    """What the studies of a family say, those that are of use."""
    studies = recorded(name)
    if name in REGROUPED:
        studies = regrouped(studies, REGROUPED[name])
    return [fits for study in studies if (fits := study_fits(study, name)) is not None]


def prior_of(names: Iterable[str]) -> GapPrior:
    """The prior pooled from these families."""
    return GapPrior.of([fits for name in names for fits in fits_of(name)])


def main() -> None:
    """Write the fits beside the code that reads them."""
    studies = [fits for name in SHIPPED for fits in fits_of(name)]
    path = Path(prior.__file__).with_name("prior.json")
    path.write_text(json.dumps(prior.to_json(studies), indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(studies)} studies of {', '.join(SHIPPED)}")


if __name__ == "__main__":
    main()
