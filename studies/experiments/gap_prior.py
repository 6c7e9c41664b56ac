"""Makes predictor/gap/prior.json: `python -m studies.experiments.gap_prior`, in the checkout.

It is pooled from the fine-tuning sets alone; a family is a base model, whatever the data. A set
that is not here is an error, as a prior without it would be another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from predictor.gap import prior
from predictor.gap.prior import GapPrior, StudyFits
from predictor.recorded.gap_pool import study_fits
from predictor.recorded.runs import RecordedStudy
from predictor.replay.replay import replayable
from studies.experiments.regrouped import regrouped
from sweep.analysis.recorded.sources import read_sources

SETS = {
    "smollm2-gpu": "../shared/recorded/smollm2_gpu",
    "quickstart": "studies/recorded/quickstart",
    "algoperf": "../shared/recorded/algoperf_dev",
}
SHIPPED = ("smollm2-gpu", "quickstart")
REGROUPED = {"algoperf": 4}  # draws of each workload, its optimizers in one study as in a sweep


def recorded(name: str) -> list[RecordedStudy]:
    """The studies of a set as given, all their runs replayable."""
    return [replayable(study) for study in read_sources([SETS[name]])]


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
