"""Made-up studies that look like real ones, for measuring and looking at the report page.

A study scouts: all trials to their window, the promising ones look by look to the end, the others
given up with their probability; some diverge, one fails. Numbers are drawn, nothing is trained.
"""

from __future__ import annotations

import math
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

from predictor.types import Action, Kind, Observation, Settings, Verdict
from sweep.storage.engine import make_engine
from sweep.storage.ledger import BASE, Cost, Decision, Ledger, StudyRow, TrialRow
from sweep.storage.paths import StudyPaths
from trainer.contract.spec import Measurement

SAMPLES = 12_800
LOOKS = (0.1, 0.2, 0.3, 0.5)
PLANNED = 3.1e15
BASE_LOSS = 1.79
SETTINGS = Settings()
DOCUMENT: dict[str, Any] = {
    "name": "made-up",
    "model": {"base": "HuggingFaceTB/SmolLM2-135M", "tuning": "full"},
    "data": {"train": "train.jsonl", "eval": "eval.jsonl"},
    "budget": {"samples": SAMPLES},
    "objective": {"metric": "eval_loss"},
    "search": {
        "space": {
            "learning_rate": {"low": 1e-6, "high": 3e-3, "log": True},
            "batch_size": {"choices": [32, 64, 128]},
            "warmup_ratio": {"choices": [0.0, 0.03, 0.1]},
            "schedule": "cosine",
        }
    },
    "pruning": {"mode": "scout", "risk": 0.1, "max_expected_misses": 1.0, "looks": list(LOOKS)},
    "run": {"trials": 50, "seed": 0},
}
FACTS: dict[str, Any] = {
    "base_measurements": {
        "eval_loss": asdict(Measurement(BASE_LOSS, 40_000, 90_000, 20.0, stderr=0.011))
    },
    "early_eval": 64,
    "machine": {
        "device": "NVIDIA H100 80GB HBM3",
        "num_devices": 1,
        "device_gib": 79.1,
        "cores": 16,
    },
    "versions": {"torch": "2.13.0", "transformers": "5.23.0", "trl": "1.16.0"},
}


class _Made:
    """A trial that is told where it ends."""

    def __init__(self, number: int, rng: random.Random, *, all_end: bool) -> None:
        self.number, self.rng = number, rng
        self.lr = math.exp(rng.uniform(math.log(1e-6), math.log(3e-3)))
        self.batch = rng.choice([32, 64, 128])
        self.warmup = rng.choice([0.0, 0.03, 0.1])
        best_lr = 2e-4 * math.sqrt(self.batch / 64)
        off = math.log10(self.lr / best_lr)
        self.end = 1.205 + 0.075 * off**2 + (0.12 * off**2 if off > 0 else 0) + rng.gauss(0, 0.012)
        self.diverges = not all_end and off > 1.0 and rng.random() < 0.6
        self.audited = False
        self.p = 0.0  # stated, of overtaking the leader
        self.rate = 4 + 2 * rng.random() - off

    def loss(self, share: float) -> float:
        return self.end + (BASE_LOSS - self.end) * math.exp(-max(self.rate, 0.5) * share)

    def early(self, share: float) -> float:
        return self.loss(share) + self.rng.gauss(0, 0.02)

    def params(self) -> dict[str, Any]:
        return {
            "learning_rate": self.lr,
            "batch_size": self.batch,
            "warmup_ratio": self.warmup,
            "schedule": "cosine",
        }


def write_study(
    paths: StudyPaths,
    num_trials: int,
    num_observations: int,
    *,
    unfinished: bool = False,
    all_end: bool = False,
) -> None:
    """A study of that many trials; one of a batch of 64 has so many steps to its end."""
    rng = random.Random(num_trials)
    paths.out.mkdir(parents=True, exist_ok=True)
    engine = make_engine(paths.default_storage)
    ledger = Ledger(engine, "made-up")
    document = {**DOCUMENT, "run": {"trials": num_trials, "seed": 0}}
    ledger.create(StudyRow("made-up", document, FACTS, "gap-1"))
    ledger.record(Cost(BASE, 0, "eval", 90_000, 20.0, 2e13))
    made = [_Made(number, rng, all_end=all_end) for number in range(num_trials)]
    order = sorted(made, key=lambda one: one.end + one.rng.gauss(0, 0.02))
    num_ended = num_trials if all_end else max(2, round(3 + 0.04 * num_trials))
    place = {one.number: at for at, one in enumerate(order)}
    leader = min((m for m in made if place[m.number] < num_ended), key=lambda m: m.end)
    decisions: list[Decision] = []
    ledger.flush()
    for one in made:
        one.p = 0.8 / num_trials * math.exp(min(1.5, 8 * (1.25 - one.end))) * rng.uniform(0.2, 1.2)
        if place[one.number] < num_ended:
            one.p = rng.uniform(0.12, 0.6)
        steps = num_observations * 64 // one.batch
        decisions += _write_trial(
            ledger, one, place[one.number], num_ended, leader, steps, unfinished
        )
    rows = {row.number: row for row in ledger.read_trials()}
    for decision in sorted(decisions, key=_turn):
        ledger.save_trial(rows[decision.trial], decision=decision)
    ledger.flush()
    engine.dispose()


def _write_trial(
    ledger: Ledger,
    one: _Made,
    place: int,
    num_ended: int,
    leader: _Made,
    num_steps: int,
    unfinished: bool,
) -> list[Decision]:
    rng = one.rng
    state, share = "completed", 1.0
    one.audited = place >= num_ended and not unfinished and one.number % 9 == 0
    if one.audited:
        pass
    elif one.diverges:
        state, share = "pruned", rng.uniform(0.02, 0.08)
    elif unfinished and place >= num_ended:
        state, share = ("parked", 0.1) if place < 8 * num_ended else ("running", 0.06)
    elif place >= num_ended:
        state = "pruned"
        share = LOOKS[0] if place > 2 * num_ended else rng.choice(LOOKS[1:])
    if one.number == 4 and state != "completed":
        state, share = "failed", 0.05
    looks = [_look(one, at) for at in LOOKS if at <= share and (one.audited or not one.diverges)]
    row = TrialRow(
        one.number,
        state,
        one.params(),
        num_steps=num_steps,
        planned_flops=PLANNED,
        attempts=1,
        window=looks[0] if looks else None,
        looks=looks[1:] or None,
    )
    if state == "completed":
        row.objective = one.end
        row.measurements = {
            "eval_loss": asdict(Measurement(one.end, 40_000, 90_000, 20.0, stderr=0.01))
        }
    if state == "failed":
        row.failures, row.error = 1, {"kind": "out of memory", "message": "CUDA out of memory"}
    _observe(ledger, one, share, num_steps)
    for what, part in (("train", share), ("early_eval", 0.006 * len(looks))):
        if part:
            ledger.record(Cost(one.number, 1, what, 90_000, 400 * part, part * PLANNED))
    ledger.save_trial(row)
    return _decisions(one, state, share, leader, num_steps, len(looks))


def _turn(decision: Decision) -> tuple[bool, bool]:
    """Looks come first, then what is audited, then what is given up."""
    return decision.moment == "parked", decision.verdict.action == "prune"


def _look(one: _Made, share: float) -> dict[str, Any]:
    rng = one.rng
    return {
        "samples": round(share * SAMPLES),
        "loss": one.loss(share) + rng.gauss(0, 0.03),
        "grad_norm": 2.4 * math.exp(rng.gauss(0, 0.2)) * math.sqrt(64 / one.batch),
        "grad_norm_noise_free": None if rng.random() < 0.1 else 1.3 * math.exp(rng.gauss(0, 0.25)),
        "early_eval": one.early(share),
        "early_eval_stderr": 0.09,
        "early_eval_num": 64,
        "phase": 0,
        "share": share,
        "early_others": {},
    }


def _observe(ledger: Ledger, one: _Made, share: float, num_steps: int) -> None:
    rng, each = one.rng, SAMPLES / num_steps
    for step in range(1, max(2, round(share * num_steps)) + 1):
        at, seen = step / num_steps, round(step * each)
        loss = one.loss(at) + rng.gauss(0, 0.05)
        norm = 2 + 3 * math.exp(-12 * at) + abs(rng.gauss(0, 0.5))
        if one.diverges and not one.audited and step > share * num_steps * 0.5:
            loss, norm = loss + 1.5 * rng.random() * step, norm * (1 + step)
        is_early = at <= LOOKS[0]
        ledger.add_observation(
            one.number,
            Observation(
                step, seen, seen * 100, seen * 40, loss, norm, one.lr, 2.0,
                (norm * 0.6) ** 2 * rng.gauss(1, 0.4) if is_early else None,
                (norm * 0.8) ** 2 if is_early else None,
            ),
        )  # fmt: skip


def _decisions(
    one: _Made, state: str, share: float, leader: _Made, num_steps: int, num_looks: int
) -> list[Decision]:
    def decided(moment: str, at: float, action: Action, kind: Kind, reason: str) -> Decision:
        evidence = (
            {"expected_misses": 0.9, "leader": leader.number, "best": leader.end, "spread": 0.04}
            if kind == "rank"
            else {}
        )
        stated = one.p if kind == "rank" else None
        verdict = Verdict(action, kind, reason, stated, evidence)
        return Decision(one.number, moment, round(at * num_steps), verdict, "gap-1", SETTINGS)

    at = max((look for look in LOOKS if look <= share), default=share)
    behind = (one.end - leader.end) / 0.08
    said = (
        f"{behind:.1f} early spreads behind trial {leader.number} expected, after {at:.0%} of the "
        f"budget (early evaluation {0.8 * behind:.1f} of it): P(overtakes trial {leader.number}) = "
        f"{one.p:.2g}"
    )
    if one.diverges and not one.audited:
        reason = "the loss is 3.1 times what it was at its lowest, for 5 steps"
        return [decided("divergence", share, "prune", "guard", reason)]
    found: list[Decision] = []
    for look in range(num_looks):
        moment = f"look {look}" if look else "window"
        waits = "waits until all trials have been looked at"
        found.append(decided(moment, LOOKS[look], "park", "none", waits))
    if state == "pruned":
        found.append(decided("parked", share, "prune", "rank", said))
    elif one.audited:
        reason = f"would have been given up: {said}; goes on to the end to check the predictor"
        found = [found[0], decided("parked", LOOKS[0], "audit", "rank", reason)]
    elif state == "completed":
        reason = "by past studies it promises most; none has ended yet"
        found[-1] = decided("look 3", LOOKS[3], "continue", "none", reason)
        if one is not leader:
            found[-1] = decided("look 3", LOOKS[3], "continue", "rank", f"promises most: {said}")
    return found


def made(folder: Path, num_trials: int, num_observations: int = 200, **how: bool) -> StudyPaths:
    """The paths of a study that was just written."""
    paths = StudyPaths(folder)
    write_study(paths, num_trials, num_observations, **how)
    return paths
