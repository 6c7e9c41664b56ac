"""Scouting against Optuna's pruners: `python -m studies.experiments.scouting [--draws N]`.

Every set is replayed with a prior from the other families alone. Compute is a share of running
everything to its end, regret a share of median - best; "said" is the mean P of the runs that were
given up, "was" the share of them that would have overtaken the leader.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from predictor.recorded.runs import RecordedStudy
from predictor.replay.comparison import replay_all, summarised
from predictor.replay.policies import TopByEarlyEval
from predictor.replay.replay import Policy, Replay, floor
from predictor.replay.scouting import Scouting
from predictor.types import LOOKS, Settings
from studies.experiments.gap_prior import SETS, prior_of, recorded
from studies.experiments.regrouped import regrouped
from sweep.analysis.replay.optuna_policies import optuna_policies

RISKS = (0.05, 0.1, 0.15, 0.2)
SUBSAMPLE = 0.8


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20, help="subsamples and redraws of a set")
    parser.add_argument("--sets", nargs="*", default=["gpu", "mmlu", "quickstart", "algoperf"])
    parser.add_argument("--baselines", action="store_true")
    arguments = parser.parse_args()
    gpu, quickstart, algoperf = (recorded(name) for name in SETS)
    told = [study for study in gpu if "mmlu" not in study.name]
    others = {name: [one for one in SETS if one != name] for name in SETS}
    sets: dict[str, list[tuple[str, Sequence[RecordedStudy], Sequence[str], tuple[float, ...]]]] = {
        "gpu": [
            ("GPU, 4 groups", told, others["smollm2-gpu"], LOOKS),
            ("GPU, 80 %", _subsampled(told, arguments.draws), others["smollm2-gpu"], LOOKS),
        ],
        "mmlu": [
            ("GPU, MMLU", [s for s in gpu if s not in told], others["smollm2-gpu"], LOOKS),
        ],
        "quickstart": [("quickstart, one look", quickstart, others["quickstart"], ())],
        "algoperf": [
            (
                "AlgoPerf, regrouped",
                regrouped(algoperf, arguments.draws),
                others["algoperf"],
                LOOKS,
            ),
            ("AlgoPerf, as given", algoperf, others["algoperf"], LOOKS),
        ],
    }
    for name in arguments.sets:
        for title, studies, families, looks in sets[name]:
            prior = prior_of(families)
            policies: list[Policy] = [
                Scouting(
                    Settings(risk=risk, audit=0.0, looks=looks),
                    prior=prior,
                    name=f"scouting {risk:g}",
                )
                for risk in RISKS
            ]
            policies.append(TopByEarlyEval(3))
            if arguments.baselines:
                policies += optuna_policies(10)
            show(title, studies, policies, families)


def show(
    title: str, studies: Sequence[RecordedStudy], policies: Sequence[Policy], families: object
) -> None:
    """Print compute, regret and calibration of every policy."""
    replays = replay_all(studies, policies, num_orders=1)
    least = np.mean([floor(len(study.runs), 1, 0.1) for study in studies])
    print(f"\n{title}: {len(studies)} studies, floor {least:.2f}; prior: {families}")
    for row in summarised(replays):
        own = [one for one in replays if one.policy == row.policy]
        low, high = row.regret_interval or (float("nan"),) * 2
        print(
            f"  {row.policy:28} {row.compute:.3f} / {row.regret_mean:.3f} ({low:.3f} to {high:.3f})"
            f"  {_calibration(own)}",
            flush=True,
        )


def _calibration(replays: Sequence[Replay]) -> str:
    prunes = [prune for one in replays for prune in one.prunes if prune.probability is not None]
    if not prunes:
        return ""
    said = np.mean([prune.probability for prune in prunes if prune.probability is not None])
    was = np.mean([prune.is_miss for prune in prunes])
    return f"said {said:.3f} was {was:.3f} of {len(prunes)}"


def _subsampled(studies: Sequence[RecordedStudy], draws: int) -> list[RecordedStudy]:
    found: list[RecordedStudy] = []
    for index, study in enumerate(studies):
        for draw in range(draws):
            rng = np.random.default_rng([draw, index])
            num = round(SUBSAMPLE * len(study.runs))
            kept = sorted(rng.permutation(len(study.runs))[:num])
            runs = tuple(study.runs[int(i)] for i in kept)
            found.append(replace(study, name=f"{study.name} draw {draw}", runs=runs))
    return found


if __name__ == "__main__":
    main()
