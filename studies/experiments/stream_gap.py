"""Stream mode by the gap model against its own judge: `python -m studies.experiments.stream_gap`.

Each trial is judged once, at its window, against all that came before it. The gap model has a prior
of the other families alone. Compute is a share of running everything to its end, regret a share of
median - best; "said" is the mean P of the runs that were pruned, "was" the share that would have
beaten the leader.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from predictor.adapters.overtake import gap_rule
from predictor.gap.prior import GapPrior
from predictor.recorded.runs import RecordedStudy
from predictor.replay.comparison import replay_all, summarised
from predictor.replay.policies import WindowSetting, ours
from predictor.replay.replay import Answer, Policy, Session
from predictor.replay.sessions import Looks
from predictor.types import CohortTrial, Settings
from studies.experiments.gap_prior import SETS, prior_of, recorded
from studies.experiments.regrouped import regrouped

RISKS = (0.05, 0.1, 0.15)


@dataclass(frozen=True, slots=True)
class GapRule:
    """The rule of `EarlyDynamicsPruner`, under a prior."""

    settings: Settings
    prior: GapPrior
    share: float  # of the smallest budget, where the window is

    def __call__(self, trial: CohortTrial, seen: Sequence[CohortTrial], seed: int) -> Answer:
        """Stop where its verdict is to prune."""
        verdict = gap_rule(trial, seen, self.settings, self.share, self.prior)
        return Answer("stop" if verdict.action == "prune" else "go on", verdict.probability)


@dataclass(frozen=True, slots=True)
class GapStream:
    """The policy of that rule."""

    name: str
    pruning: Settings
    prior: GapPrior
    window: WindowSetting = field(default_factory=WindowSetting)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What it was run with."""
        return {"risk": self.pruning.risk, "startup": self.pruning.startup}

    def begin(self, study: RecordedStudy, seed: int) -> Session:
        """A session that asks the rule where the study's window closes."""
        close = self.window.close(study)
        share = close / min(run.horizon for run in study.runs)
        return Looks(study, close, GapRule(self.pruning, self.prior, share), seed)


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--sets", nargs="*", default=["gpu", "mmlu", "quickstart", "algoperf"])
    arguments = parser.parse_args()
    gpu, quickstart, algoperf = (recorded(name) for name in SETS)
    told = [study for study in gpu if "mmlu" not in study.name]
    others = {name: [one for one in SETS if one != name] for name in SETS}
    sets: dict[str, tuple[str, Sequence[RecordedStudy], Sequence[str]]] = {
        "gpu": ("GPU, 4 groups", told, others["smollm2-gpu"]),
        "mmlu": ("GPU, MMLU", [s for s in gpu if s not in told], others["smollm2-gpu"]),
        "quickstart": ("quickstart", quickstart, others["quickstart"]),
        "algoperf": ("AlgoPerf, regrouped", regrouped(algoperf, 4), others["algoperf"]),
    }
    for name in arguments.sets:
        title, studies, families = sets[name]
        prior = prior_of(families)
        policies: list[Policy] = []
        for risk in RISKS:
            for startup in (1, 3):
                settings = Settings(mode="stream", audit=0.0, risk=risk, startup=startup)
                label = f"risk {risk:g}, startup {startup}"
                if startup == Settings().startup:
                    policies.append(ours(settings, name=f"judge, {label}"))
                policies.append(GapStream(f"gap, {label}", settings, prior))
        replays = replay_all(studies, policies, num_orders=arguments.orders, num_processes=1)
        print(f"\n{title}: {len(studies)} studies; prior: {families}")
        for row in summarised(replays):
            prunes = [p for one in replays if one.policy == row.policy for p in one.prunes]
            said = np.mean([p.probability or 0.0 for p in prunes]) if prunes else math.nan
            was = np.mean([p.is_miss for p in prunes]) if prunes else math.nan
            print(
                f"  {row.policy:28} {row.compute:.3f} / {row.regret_mean:.3f}  "
                f"lost best {row.lost_best:.3f}  said {said:.3f} was {was:.3f} of {len(prunes)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
