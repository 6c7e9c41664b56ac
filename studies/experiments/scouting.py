"""Scouting against Optuna's pruners: `python -m studies.experiments.scouting [--draws N]`.

Every set is replayed with a prior from the other families alone. Compute is a share of running
everything to its end, regret a share of median - best; "said" is the mean P of the runs that were
given up, "was" the share of them that would have overtaken the leader.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from predictor.recorded.runs import RecordedStudy
from predictor.replay.comparison import replay_all, summarised
from predictor.replay.policies import TopByEarlyEval
from predictor.replay.replay import Policy, Replay, floor
from predictor.replay.scouting import Scouting
from predictor.stats import bootstrap_interval, clopper_pearson
from predictor.types import LOOKS, Settings
from studies.experiments.gap_prior import SETS, prior_of, recorded
from studies.experiments.regrouped import regrouped
from sweep.analysis.replay.optuna_policies import optuna_policies

RISKS = (0.05, 0.1, 0.15, 0.2)
SUBSAMPLE = 0.8
BINS = (0.0, 0.02, 0.06, 1.01)  # of P

# A title, its studies, the families that its prior is of, and the looks.
_Set = tuple[str, Sequence[RecordedStudy], Sequence[str], tuple[float, ...]]


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20, help="subsamples and redraws of a set")
    parser.add_argument("--sets", nargs="*", default=["gpu", "mmlu", "quickstart", "algoperf"])
    parser.add_argument("--baselines", action="store_true")
    arguments = parser.parse_args()
    gpu, quickstart, algoperf = (recorded(name) for name in SETS)
    told = [study for study in gpu if "mmlu" not in study.name]
    one_look = [study for study in quickstart if "looks" not in study.name]
    others = {name: [one for one in SETS if one != name] for name in SETS}
    sets: dict[str, list[_Set]] = {
        "gpu": [
            ("GPU, 4 groups", told, others["smollm2-gpu"], LOOKS),
            ("GPU, 80 %", _subsampled(told, arguments.draws), others["smollm2-gpu"], LOOKS),
        ],
        "mmlu": [
            ("GPU, MMLU", [s for s in gpu if s not in told], others["smollm2-gpu"], LOOKS),
        ],
        "quickstart": [
            ("quickstart, one look", one_look, others["quickstart"], ()),
            (
                "quickstart, looks",
                [study for study in quickstart if study not in one_look],
                others["quickstart"],
                LOOKS,
            ),
        ],
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
    """Print compute, regret and calibration of every policy, and what each rival differs by."""
    replays = replay_all(studies, policies, num_orders=1)
    least = np.mean([floor(len(study.runs), 1, 0.1) for study in studies])
    print(f"\n{title}: {len(studies)} studies, floor {least:.2f}; prior: {families}")
    for row in summarised(replays, clusters={one.name: _group(one.name) for one in studies}):
        low, high = row.regret_interval or (float("nan"),) * 2
        seeds = "" if row.config_regret is None else f", by seed means {row.config_regret:.3f}"
        print(
            f"  {row.policy:28} {row.compute:.3f} / {row.regret_mean:.3f} ({low:.3f} to {high:.3f})"
            f"{seeds}",
            flush=True,
        )
    own = f"scouting {Settings().risk:g}"
    print(f"  what {own} gave up: {_calibration([r for r in replays if r.policy == own])}")
    for rival in policies[len(RISKS) :]:
        print(f"  {own} less {rival.name}: {_difference(replays, own, rival.name)}", flush=True)


def _calibration(replays: Sequence[Replay]) -> str:
    """Said and was in bins of P, with the exact interval as if prunes were independent."""
    prunes = [(p.probability, p.is_miss) for one in replays for p in one.prunes]
    stated = np.array([(p, miss) for p, miss in prunes if p is not None], dtype=np.float64)
    texts: list[str] = []
    for low, high in pairwise(BINS):
        if num := len(own := stated[(stated[:, 0] >= low) & (stated[:, 0] < high)]):
            said, hits = own[:, 0].mean(), own[:, 1].sum()
            least, most = clopper_pearson(float(hits), num)
            texts.append(
                f"P {low:g} to {high:g}: said {said:.3f}, was {hits / num:.3f} "
                f"({least:.3f} to {most:.3f}) of {num}"
            )
    return "; ".join(texts)


def _difference(replays: Sequence[Replay], own: str, rival: str) -> str:
    """Paired over the studies, whole groups of subsamples resampled."""
    pair = [[one for one in replays if one.policy == name] for name in (own, rival)]
    values = np.array(
        [
            [getattr(a, what) - getattr(b, what) for a, b in zip(*pair, strict=True)]
            for what in ("compute", "regret")
        ]
    )
    found = bootstrap_interval(values, clusters=[_group(one.study) for one in pair[0]])
    means = values.mean(axis=1)
    if found is None:
        return f"compute {means[0]:+.3f}, regret {means[1]:+.3f}"
    texts = [
        f"{what} {mean:+.3f} ({low:+.3f} to {high:+.3f})"
        for what, mean, low, high in zip(("compute", "regret"), means, *found, strict=True)
    ]
    return ", ".join(texts)


def _group(name: str) -> str:
    """Of a subsample the study that it was drawn from."""
    return name.split(" draw ")[0]


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
