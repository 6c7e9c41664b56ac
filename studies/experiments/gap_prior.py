"""Makes predictor/gap/prior.json: `python -m studies.experiments.gap_prior`, in the checkout.

It is pooled from the fine-tuning sets alone; a family is a base model, whatever the data. A set
that is not here is an error, as a prior without it would be another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from predictor.gap import prior as gap_prior
from predictor.gap.prior import GapPrior
from predictor.recorded.gap_pool import pooled_gaps
from predictor.recorded.runs import RecordedStudy
from predictor.replay.replay import replayable
from studies.experiments.regrouped import regrouped
from sweep.analysis.sources import read_sources

SETS = {
    "smollm2-gpu": "../shared/recorded/smollm2_gpu",
    "quickstart": "studies/recorded/quickstart",
    "algoperf": "../shared/recorded/algoperf_dev",
}
SHIPPED = ("smollm2-gpu", "quickstart")
REGROUPED = {"algoperf": 4}  # draws of each workload, its optimizers in one study as in a sweep


def family(name: str) -> list[RecordedStudy]:
    """The studies of one family, all their runs replayable."""
    studies = [replayable(study) for study in read_sources([SETS[name]])]
    return regrouped(studies, REGROUPED[name]) if name in REGROUPED else studies


def prior_of(names: Iterable[str]) -> GapPrior:
    """The prior pooled from these families."""
    return pooled_gaps({name: family(name) for name in names})


def main() -> None:
    """Write the prior beside the code that reads it."""
    prior = prior_of(SHIPPED)
    path = Path(gap_prior.__file__).with_name("prior.json")
    path.write_text(json.dumps(prior.to_json(), indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(prior.models)} models, pooled from {', '.join(prior.families)}")


if __name__ == "__main__":
    main()
