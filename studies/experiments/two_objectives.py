"""Two objectives, or one with a constraint: `python -m studies.experiments.two_objectives [DRAWS]`.

The shipped set quickstart_looks has every run's loss and its answers, at each look and at the end.
Of each mix 16 runs are drawn. *Two objectives*: all to their first look, then the one that is most
likely to reach the Pareto front for the compute left to its end, given up below the risk; P(reaches
the front) from the gap model of each objective by itself, ends drawn as independent normals. *A
constraint*: the answers are the objective, the loss may be the median of the 16 at most. *One
objective*: the answers alone. The prior never saw the quickstart.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

import studies
from predictor.gap.plan import end_intervals, plan
from predictor.gap.prior import GapPrior, prior_for
from predictor.recorded.files import read_frames
from predictor.recorded.frames import studies_from_frames
from predictor.recorded.gap_pool import looks_of
from predictor.recorded.runs import RecordedStudy
from predictor.types import CohortTrial, Settings

Floats = NDArray[np.float64]

CLOSES = (154, 308, 615, 922, 1536)
SHARES = tuple(close / 3072 for close in CLOSES)
NUM, SAMPLES, CENTRAL, SD_OF_CENTRAL = 16, 1000, 0.8, 2 * 1.2815516
SETTINGS = Settings(audit=0.0)
NOISE = 0.01  # standard error that an early slack is stated with, in nats


@dataclass(frozen=True, slots=True)
class Pair:
    """A run as both objectives see it, with all its looks and its end."""

    loss: CohortTrial
    choices: CohortTrial

    @property
    def end(self) -> tuple[float, float]:
        """Loss and error rate, lower is better."""
        assert self.loss.objective is not None and self.choices.objective is not None
        return self.loss.objective, self.choices.objective


class Outcome(NamedTuple):
    """What a rule spent and left."""

    compute: float  # of training all to their end
    found: float  # share of the front, or 1 where the best feasible one was trained
    regret: float  # of the error rate: the best that was trained less the best there is


def mixes() -> dict[str, list[Pair]]:
    """The runs of each mix."""
    folder = Path(studies.__file__).parent / "recorded" / "quickstart_looks"
    found = {one.name: one for one in studies_from_frames(*read_frames(folder))}
    pairs: dict[str, list[Pair]] = {}
    for name in found:
        if name.endswith("-loss"):
            rows = {
                kind: _rows(found[name.replace("-loss", kind)]) for kind in ("-loss", "-choices")
            }
            both = rows["-loss"].keys() & rows["-choices"].keys()
            mix = name.removeprefix("quickstart-looks-").removesuffix("-loss")
            pairs[mix] = [Pair(rows["-loss"][n], rows["-choices"][n]) for n in sorted(both)]
    return pairs


def _rows(study: RecordedStudy) -> dict[str, CohortTrial]:
    found: dict[str, CohortTrial] = {}
    for run, (trial, windows) in zip(study.runs, looks_of(study, CLOSES), strict=True):
        seen = [window for window in windows if window is not None]
        if len(seen) == len(CLOSES) and trial.is_finished:
            found[run.name.rpartition("/")[2]] = replace(
                trial, window=seen[0], looks=tuple(seen[1:])
            )
    return found


def front(ends: Sequence[tuple[float, float]]) -> set[int]:
    """The places of those that no other one dominates."""
    return {
        i
        for i, (a, b) in enumerate(ends)
        if not any(x <= a and y <= b and (x, y) != (a, b) for x, y in ends)
    }


def seen(trial: CohortTrial, number: int, looks: int, *, is_done: bool) -> CohortTrial:
    """As far as it is known: `looks` of them, and the end where it is done."""
    end = trial.objective if is_done else None
    return replace(trial, number=number, objective=end, looks=trial.looks[: looks - 1])


def p_front(
    pairs: Sequence[Pair], at: Mapping[int, int], done: set[int], prior: GapPrior, seed: int
) -> dict[int, float]:
    """P of each that is not done to be dominated by none that is; {} while nothing is known."""
    rng = np.random.default_rng(seed)
    drawn: list[dict[int, Floats]] = []
    for kind in ("loss", "choices"):
        own = [getattr(pair, kind) for pair in pairs]
        cohort = [seen(t, i, at[i], is_done=i in done) for i, t in enumerate(own)]
        told = end_intervals(cohort, SHARES, prior, CENTRAL)
        if told is None:
            return {}
        leader, gaps = told
        drawn.append(
            {
                number: own[leader].objective
                + mean
                + (high - low) / SD_OF_CENTRAL * rng.standard_normal(SAMPLES)
                for number, (low, mean, high) in gaps.items()
            }
        )
    ends = [pairs[i].end for i in done]
    found: dict[int, float] = {}
    for number in drawn[0].keys() & drawn[1].keys():
        loss, error = drawn[0][number], drawn[1][number]
        dominated = np.zeros(SAMPLES, dtype=bool)
        for a, b in ends:
            dominated |= (a <= loss) & (b <= error)
        found[number] = float(1 - dominated.mean())
    return found


def two_objectives(pairs: Sequence[Pair], prior: GapPrior) -> Outcome:
    """Trained by P(reaches the front)."""
    at, done = dict.fromkeys(range(len(pairs)), 1), set[int]()
    while len(done) < len(pairs):
        chances = p_front(pairs, at, done, prior, len(done))
        if not chances:
            known = [seen(p.choices, i, 1, is_done=False) for i, p in enumerate(pairs)]
            order = plan(known, SHARES, SETTINGS, prior)
            chosen = next(n for n in order.ranking if n not in done)
        else:
            worth = {n: p for n, p in chances.items() if p >= SETTINGS.risk}
            if not worth and sum(chances.values()) > SETTINGS.max_expected_misses:
                worth = chances
            if not worth:
                break
            chosen = max(sorted(worth), key=lambda n: worth[n] / (1 - SHARES[at[n] - 1]))
        _advance(at, done, chosen)
    ends = [pair.end for pair in pairs]
    whole = front(ends)
    best = min(error for _, error in ends)
    return Outcome(
        _compute(at, done),
        len(whole & done) / len(whole),
        min(ends[i][1] for i in done) - best,
    )


def one_objective(pairs: Sequence[Pair], prior: GapPrior, *, constrained: bool) -> Outcome:
    """Trained by `predictor.gap.plan.plan` for the answers; `constrained`: the loss may be the
    median at most."""
    most = float(np.median([pair.end[0] for pair in pairs]))
    at, done = dict.fromkeys(range(len(pairs)), 1), set[int]()
    while True:
        cohort = [seen(p.choices, i, at[i], is_done=i in done) for i, p in enumerate(pairs)]
        if constrained:
            cohort = [_with_slack(t, p, most) for t, p in zip(cohort, pairs, strict=True)]
        chosen = plan(cohort, SHARES, SETTINGS, prior).next
        if chosen is None:
            break
        _advance(at, done, chosen)
    is_feasible = [not constrained or pair.end[0] <= most for pair in pairs]
    ends = [pair.end[1] if is_feasible[i] else np.inf for i, pair in enumerate(pairs)]
    regret = min(ends[i] for i in done) - min(ends)
    return Outcome(_compute(at, done), float(regret == 0), regret)


def _with_slack(trial: CohortTrial, pair: Pair, most: float) -> CohortTrial:
    windows = (pair.loss.window, *pair.loss.looks)[: 1 + len(trial.looks)]
    early = tuple(
        {"eval_loss": (most - w.early_eval, NOISE)}
        for w in windows
        if w and w.early_eval is not None
    )
    slacks = {} if trial.objective is None else {"eval_loss": most - pair.end[0]}
    return replace(trial, early_slacks=early, slacks=slacks)


def _advance(at: dict[int, int], done: set[int], chosen: int) -> None:
    if at[chosen] < len(CLOSES):
        at[chosen] += 1
    else:
        done.add(chosen)


def _compute(at: Mapping[int, int], done: set[int]) -> float:
    spent = (1.0 if i in done else SHARES[looks - 1] for i, looks in at.items())
    return sum(spent) / len(at)


def separation(pairs: Sequence[Pair], prior: GapPrior) -> list[float | None]:
    """The area under the curve by which P(on the front) at each look, four being finished, tells
    who is on the front of all."""
    whole, done = front([pair.end for pair in pairs]), set(range(4))
    found: list[float | None] = []
    for looks in range(1, len(CLOSES) + 1):
        chances = p_front(pairs, dict.fromkeys(range(len(pairs)), looks), done, prior, looks)
        truth = [number in whole for number in chances]
        mixed = 0 < sum(truth) < len(truth)
        found.append(float(roc_auc_score(truth, list(chances.values()))) if mixed else None)
    return found


def _area(share: float, areas: Sequence[float | None]) -> str:
    """The mean over the draws in which somebody is on the front and somebody is not."""
    known = [area for area in areas if area is not None]
    return f"{share:.0%} {np.mean(known):.2f} ({len(known)} draws)" if known else f"{share:.0%} -"


def main(draws: str = "10") -> None:
    """Print a line for each mix and rule: means over the draws."""
    prior = prior_for("quickstart-looks-mixed-loss")
    for mix, runs in mixes().items():
        rng = np.random.default_rng(0)
        drawn = [[runs[i] for i in rng.permutation(len(runs))[:NUM]] for _ in range(int(draws))]
        shares = [len(front([pair.end for pair in pairs])) / NUM for pairs in drawn]
        apart = [separation(pairs, prior) for pairs in drawn]
        told = ", ".join(map(_area, SHARES, zip(*apart, strict=True)))
        on_front = f"{np.mean(shares):.0%} of {NUM} on the front"
        print(f"{mix}: {len(runs)} runs, {on_front}; area by look: {told}", flush=True)
        rules = {
            "two objectives": lambda pairs: two_objectives(pairs, prior),
            "with a constraint": lambda pairs: one_objective(pairs, prior, constrained=True),
            "one objective": lambda pairs: one_objective(pairs, prior, constrained=False),
        }
        for name, rule in rules.items():
            compute, found, regret = np.mean([rule(pairs) for pairs in drawn], axis=0)
            told = f"compute {compute:.2f}, found {found:.2f}, error rate + {regret:.4f}"
            print(f"  {name}: {told}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
