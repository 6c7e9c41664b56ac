"""One trial as the driver holds it: its state and every move between states, its costs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from predictor.types import Observation, Verdict
from sweep.account.flops import eval_flops, train_flops
from sweep.account.replicates import is_replicate
from sweep.storage.ledger import Cost, TrialRow
from sweep.storage.states import SETTLED, State, moment_of
from trainer.contract.measurement import Measurement
from trainer.contract.spec import Failed, TrialSpec

_MOVES = {
    State.WAITING: {State.RUNNING, State.PRUNED},  # pruned: the driver died after its verdict
    State.RUNNING: {State.WAITING, State.PARKED, *SETTLED},
    State.PARKED: {State.RUNNING, State.PRUNED, State.WAITING},  # waiting: scouting is off now
    State.FAILED: {State.WAITING},  # asked for again
}


def move(row: TrialRow, to: State) -> None:
    """Change a row's state. AssertionError for a move that there is not."""
    assert to in _MOVES.get(State(row.state), ()), f"trial {row.number}: {row.state} -> {to}"
    row.state = to.value


def ask_again(row: TrialRow) -> None:
    """A failed trial waits for all its tries anew; what it failed of stays on record."""
    assert row.state == State.FAILED, f"trial {row.number} is {row.state}"
    move(row, State.WAITING)
    row.error = {"kind": "error", "message": "cause not recorded", **(row.error or {})}
    row.error["forgiven"] = row.failures


def has_tries_left(row: TrialRow, retries: int) -> bool:
    """Whether a failed trial may be tried again; a mistake of the user's is made again at every
    try."""
    error = row.error or {}
    allowed = 0 if error.get("kind") == "bad input" else retries
    return row.failures - error.get("forgiven", 0) <= allowed


@dataclass(slots=True)
class Trial:
    """A trial under way or settled, as the driver holds it in memory."""

    row: TrialRow
    spec: TrialSpec
    observations: list[Observation] = field(default_factory=list[Observation])
    verdicts: dict[str, Verdict] = field(default_factory=dict[str, Verdict])  # by moment
    costs: dict[tuple[int, str], Cost] = field(default_factory=dict[tuple[int, str], Cost])
    """by attempt and kind"""
    on_move: Callable[[Trial, State], None] = lambda trial, before: None
    """hears of each move, and of the state before it"""
    doing: str = ""
    interruptions: int = 0  # by causes outside, since it got a step further
    _furthest_step: int = 0
    has_begun: bool = False  # the present attempt has loaded its model, and hears a Stop
    last_heard_s: float = 0.0  # time.monotonic
    held_since_s: float | None = None  # time.monotonic; a write that waits for the outside
    early_evals: list[Measurement] = field(default_factory=list[Measurement])
    """of the present attempt"""
    _attempt_tokens: int = 0
    _attempt_seconds: float = 0.0

    @property
    def number(self) -> int:
        """The trial's number, Optuna's, from 0; of a replicate see account/replicates.py."""
        return self.row.number

    @property
    def is_replicate(self) -> bool:
        """Whether it trains an original again, with another seed."""
        return is_replicate(self.number)

    @property
    def state(self) -> State:
        """The state of its row."""
        return State(self.row.state)

    def move(self, to: State) -> None:
        """Move to another state, and call `on_move`."""
        before = self.state
        move(self.row, to)
        self.on_move(self, before)

    def start(self) -> None:
        """A new attempt."""
        self.move(State.RUNNING)
        self.row.attempts += 1
        self.doing, self.has_begun = "starting", False
        self._attempt_tokens, self._attempt_seconds = 0, 0.0
        self.early_evals.clear()
        self.heard()

    def fail(self, cause: Failed) -> None:
        """Put a failure on record, beside those before it."""
        before = self.row.error or {}
        earlier = list(before.get("earlier", ()))
        if before:
            earlier.append({name: before.get(name) for name in ("kind", "message")})
        self.row.failures += 1
        self.row.error = {
            "kind": cause.kind,
            "message": cause.message,
            "traceback": cause.traceback,
            "earlier": earlier,
            "forgiven": before.get("forgiven", 0),
        }

    def heard(self) -> None:
        """The silence of its process begins anew."""
        self.last_heard_s = time.monotonic()

    def go_on_from(self, step: int) -> None:
        """The attempt begins after `step`; later steps, of an attempt that was lost, come again."""
        self.has_begun = True
        self.observations = [seen for seen in self.observations if seen.step <= step]

    def observe(self, seen: Observation) -> None:
        """A step, and what the attempt has used with it."""
        before = self.observations[-1].input_tokens_seen if self.observations else 0
        self._attempt_tokens += seen.input_tokens_seen - before
        self._attempt_seconds += seen.seconds
        if seen.step > self._furthest_step:  # steps that are done again are no progress
            self._furthest_step, self.interruptions = seen.step, 0
        self.observations.append(seen)

    def train_cost(self, num_params: int) -> Cost:
        """What the present attempt has cost so far."""
        return self._cost(
            "train",
            self._attempt_tokens,
            self._attempt_seconds,
            train_flops(self.spec.model.tuning, num_params, self._attempt_tokens),
        )

    def eval_cost(self, what: str, measured: list[Measurement], num_params: int) -> Cost:
        """What evaluations cost; `what`: early_eval or eval."""
        tokens = sum(one.input_tokens for one in measured)
        seconds = sum(one.seconds for one in measured)
        return self._cost(what, tokens, seconds, eval_flops(num_params, tokens))

    def _cost(self, what: str, tokens: int, seconds: float, flops: float) -> Cost:
        """`seconds` of wall time become device-seconds."""
        own = seconds * self.spec.processes
        return Cost(self.number, self.row.attempts, what, tokens, own, flops)

    @property
    def last_look(self) -> int:
        """The last look that it has reached: 0 is its window, also before it has closed."""
        return len(self.row.looks or ())

    @property
    def last_moment(self) -> str:
        """The moment of the decision at its last look."""
        return moment_of(self.last_look)

    @property
    def look_step(self) -> int:
        """The step at whose end it was looked at last."""
        row, spec = self.row, self.spec
        samples = (row.looks or [row.window or {}])[-1].get("samples", 0)
        return math.ceil(samples / spec.batch_size)

    @property
    def is_parked(self) -> bool:
        """Whether it is to wait where it was looked at last: nobody has told it to go on."""
        verdict = self.verdicts.get(self.last_moment)
        return verdict is not None and verdict.action == "park" and not self.is_audited

    @property
    def is_audited(self) -> bool:
        """Whether it would have been pruned and goes on as a check."""
        return any(verdict.action == "audit" for verdict in self.verdicts.values())

    @property
    def pruned_by(self) -> Verdict | None:
        """The verdict that pruned it; None without."""
        return next((v for v in self.verdicts.values() if v.action == "prune"), None)
