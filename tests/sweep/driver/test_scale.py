"""What a large study costs: counted in statements and in trials gone through, never in seconds."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial
from sqlalchemy import event

from benchmarks.scale import SPACE, AtOnce, EveryTick, make_study
from predictor.types import Verdict
from sweep.account.compute import account, usage_by_trial
from sweep.account.outlook import outlook, outlook_of
from sweep.account.replicates import Plan, best_trial, confirmed, wanted_numbers
from sweep.analysis.tables import study_tables
from sweep.config.load import load_study
from sweep.driver.optuna_quick import QuickStorage, QuickTPE
from sweep.driver.roster import Roster
from sweep.driver.sampling import distributions
from sweep.driver.trial import SETTLED, State, Trial
from sweep.report.study_report import study_document
from sweep.run_study import sweep
from sweep.storage.find import open_study
from sweep.storage.ledger import Cost, TrialRow
from sweep.storage.paths import StudyPaths
from tests.support.fake_driver import FakeTrials
from tests.support.home import Home
from tests.support.sweep_ledgers import completed, going_on, trial, written

SIZES = (40, 80)
SETTINGS = [
    "search.sampler=tpe",
    "budget.samples=80",
    "run.workers=1",
    *(f"search.space.{name}={text}" for name, text in SPACE.items()),
]


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """Every statement to any database meanwhile."""
    said: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(sa.Engine, "before_cursor_execute", hear)


class Counting(AtOnce):
    """The numbers of statements up to the first start, and after each kind of event."""

    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self.said, self.before, self.to_open = said, 0, 0
        self.counts: dict[str, list[int]] = {}

    def start(self, job: Any, slot: Any) -> None:
        self.to_open = self.to_open or len(self.said)
        super().start(job, slot)
        self.finals[job.key] = 99.0  # never the best, whose card is written

    def wait(self, timeout_s: float) -> Any:
        if self.last is not None:
            self.counts.setdefault(self.last[0], []).append(len(self.said) - self.before)
        found = super().wait(timeout_s)
        self.before = len(self.said)
        return found


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, fake_trials: FakeTrials) -> dict[int, Home]:
    found: dict[int, Home] = {}
    for num in SIZES:
        found[num] = Home(tmp_path_factory.mktemp(f"study-{num}"), fake_trials)
        make_study(found[num], num, 10, SETTINGS)
    return found


def test_exporting_and_inspecting_take_as_many_statements_whatever_the_size(
    studies: dict[int, Home],
) -> None:
    numbers: list[list[int]] = []
    for num, home in studies.items():
        with counted() as said:
            assert len(study_tables([str(home.out)]).runs) == num
            exporting = len(said)
            assert len(home.document()["trials"]) == num
            numbers.append([exporting, len(said) - exporting])
    assert numbers[0] == numbers[1]


def test_opening_deciding_and_settling_take_as_many_statements_whatever_the_size(
    studies: dict[int, Home],
) -> None:
    """The display takes none."""
    numbers: list[dict[str, Any]] = []
    for num, home in studies.items():
        with counted() as said:
            executor = Counting(said)
            changed = [f"run.trials={num + 2}", "pruning.enabled=false"]
            loaded = load_study(str(home.file), [*SETTINGS, *changed])
            sweep(loaded, StudyPaths(home.out), executor, EveryTick(executor))
        numbers.append({"opening": executor.to_open, **executor.counts})
        assert executor.counts["NoneType"] == [0, 0]
    assert numbers[0] == numbers[1]


def test_all_of_optunas_trials_are_read_as_optuna_reads_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    for values in ([1.5], [float("inf")], None):
        study = optuna.create_study(study_name="x", storage=url, load_if_exists=True)
        study.enqueue_trial({"rate": 1e-3, "kind": "a"}, user_attrs={"recipe": "lab"})
        one = study.ask()
        one.suggest_float("rate", 1e-5, 1e-1, log=True)
        one.suggest_categorical("kind", ["a", None, 3])
        one.report(float("nan"), 4)
        one.report(0.5, 8)
        state = optuna.trial.TrialState.COMPLETE if values else optuna.trial.TrialState.FAIL
        study.tell(one, values, state=state)
    study.ask()
    study.enqueue_trial({"rate": 1e-2})
    ours, theirs = QuickStorage(url), RDBStorage(url)
    found, expected = ours.get_all_trials(1), theirs.get_all_trials(1)
    assert [repr(one) for one in found] == [repr(one) for one in expected]  # NaN equals no NaN
    for storage in (ours, theirs):
        storage.remove_session()
        storage.engine.dispose()


@pytest.mark.parametrize("parallel", (False, True))
def test_tpe_draws_what_optunas_draws(home: Home, parallel: bool) -> None:
    searched = distributions(load_study(str(home.file), SETTINGS).study)

    def drawn(make: Any) -> list[dict[str, Any]]:
        study = optuna.create_study()
        found: list[dict[str, Any]] = []
        for seed in range(20):
            study.sampler = make(seed=seed, n_startup_trials=5, constant_liar=parallel)
            one = study.ask()
            for name, kind in searched.items():
                one._suggest(name, kind)
            found.append(one.params)
            if seed % 4 == 3:
                study.tell(one, state=optuna.trial.TrialState.PRUNED)
            else:
                study.tell(one, seed % 7)
        return found

    assert drawn(lambda **options: QuickTPE(searched, **options)) == drawn(TPESampler)


def ended(rng: random.Random, searched: Any, share_pruned: float, num: int) -> list[Any]:
    """Trials with equal values among them, failed ones, and pruned ones that got differently far,
    or that reported NaN or nothing."""
    found: list[Any] = []
    for _ in range(num):
        params = {
            name: rng.choice(one.choices) if hasattr(one, "choices") else rng.uniform(1e-5, 0.1)
            for name, one in searched.items()
        }
        given: dict[str, Any] = {"state": TrialState.COMPLETE, "value": round(rng.random(), 1)}
        if rng.random() < share_pruned:
            seen = {rng.choice((8, 16)): rng.choice((0.5, rng.random(), float("nan")))}
            early = seen if rng.random() < 0.8 else {}
            given = {"state": TrialState.PRUNED, "intermediate_values": early}
        elif rng.random() < 0.1:
            given = {"state": TrialState.FAIL}
        found.append(create_trial(params=params, distributions=searched, **given))
    return found


@pytest.mark.parametrize("parallel", (False, True))
@pytest.mark.parametrize("direction", ("minimize", "maximize"))
@pytest.mark.parametrize("share_pruned", (0.0, 0.4, 0.95, 1.0))
def test_tpe_tells_good_trials_from_bad_as_optunas_does(
    home: Home, direction: Any, share_pruned: float, parallel: bool
) -> None:
    searched = distributions(load_study(str(home.file), SETTINGS).study)
    study = optuna.create_study(direction=direction)
    study.add_trials(ended(random.Random(0), searched, share_pruned, 300))
    study.ask(searched)  # goes on meanwhile

    def drawn(make: Any) -> list[dict[str, Any]]:
        """Of five seeds, each a trial that goes on too."""
        found: list[dict[str, Any]] = []
        for seed in range(5):
            trial = study._storage.get_trial(study.ask()._trial_id)
            space = QuickTPE(searched).infer_relative_search_space(study, trial)
            sampler = make(seed=seed, constant_liar=parallel)
            found.append(sampler.sample_relative(study, trial, space))
            study.tell(trial.number, state=TrialState.FAIL)
        return found

    def quick(**options: Any) -> QuickTPE:
        return QuickTPE(searched, **options)

    assert drawn(quick) == drawn(TPESampler)
    study.add_trial(create_trial(value=0.1))  # of another space
    assert drawn(quick) == drawn(TPESampler)


METRIC = "choice_accuracy"


def held(row: TrialRow, flops: float) -> Trial:
    spec: Any = type("Spec", (), {"warmup_steps": 0})()
    verdict = Verdict("audit" if row.number % 5 == 0 else "continue", "rank", "a test", 0.1)
    costs = {(1, "train"): Cost(row.number, 1, "train", 10, flops, flops)}
    return Trial(row, spec, verdicts={"window": verdict}, costs=costs)


def test_what_is_counted_as_trials_move_is_what_going_through_all_of_them_gives() -> None:
    rng, plan = random.Random(0), Plan(3, 1)
    roster = Roster(METRIC, plan.top)
    for number in [*range(60), *range(10_000, 10_060, 7)]:
        row = completed(number, round(rng.random(), 2))
        if rng.random() < 0.3:
            row = trial(number, "waiting", window=None if rng.random() < 0.2 else row.window)
        if row.window is not None:
            row.window |= {"phase": number % 2, "early_eval_num": rng.choice([32, 64])}
        roster.add(held(row, rng.random()))
        if rng.random() < 0.2:
            other = rng.choice([*roster.trials.values()])
            for state in (State.RUNNING, rng.choice([State.FAILED, State.PRUNED, State.WAITING])):
                if other.state in (State.WAITING, State.RUNNING):
                    other.move(state)
            if other.state is State.FAILED and rng.random() < 0.5:
                other.move(State.WAITING)
    trials = [*roster.trials.values()]
    rows, originals = [one.row for one in trials], [one for one in trials if not one.is_repeat]
    for state in State:
        assert roster.count(state) == sum(one.state is state for one in originals)
        assert {one.number for one in roster.of(state)} == {
            one.number for one in originals if one.state is state
        }
    for ask in (best_trial, confirmed, wanted_numbers):
        assert ask(roster.contenders, METRIC, plan) == ask(rows, METRIC, plan)
    pruning = {"enabled": True, "risk": 0.1, "min_gain": 0.05, "startup": 3}
    assert outlook_of(roster.phases, pruning) == outlook(rows, METRIC, pruning) is not None
    settled = [one for one in trials if one.state in SETTLED]
    costs = [cost for one in settled for cost in one.costs.values()]
    whole = account([one.row for one in settled], usage_by_trial(costs), {})
    assert roster.totals.num == len(settled)
    assert roster.totals.audited == sum(one.is_audited for one in settled)
    assert roster.totals.used_flops == pytest.approx(whole["used_flops"])
    assert roster.totals.planned_flops == pytest.approx(whole["planned_flops"])
    assert roster.totals.seconds == pytest.approx(whole["seconds"])


def test_a_trial_is_compared_with_those_whose_windows_were_looked_at_alike() -> None:
    roster = Roster(METRIC)
    for number in range(6):
        row = completed(number, 0.5) if number < 4 else trial(number, "running")
        assert row.window is not None
        row.window |= {"samples": 64, "early_eval_num": 32 if number in (1, 4) else 64}
        roster.add(held(row, 1.0))
    cohort = roster.cohort_of(roster.trials[5])
    assert {one.number: one.window is not None for one in cohort} == {
        0: True, 1: False, 2: True, 3: True, 4: False, 5: True
    }  # fmt: skip


# --- rows that somebody has put a hand to


def test_odd_rows_are_said_and_break_nothing(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    with written(out) as ledger:
        for number in range(4):
            ledger.save_trial(completed(number, 0.5 + 0.1 * number))
        ledger.save_trial(trial(4, "completed", objective=0.99))
        ledger.save_trial(trial(5, "pruned"))  # no decision
        ledger.book(Cost(77, 1, "train", 10, 1.0, 1e12))
    with going_on(out) as ledger:
        document = study_document(ledger, StudyPaths(out))
    lost, gone = document["notes"]
    assert lost.startswith(f"Completed without a measured {METRIC} in the storage: trial 4.")
    assert gone.startswith("Decisions, costs or observations without a row in sweep_trials: trial")
    runs = study_tables([str(out)]).runs
    assert runs["final_eval_loss"].isna().tolist() == [False] * 4 + [True, True]


def test_a_driver_goes_on_beside_odd_rows(home: Home) -> None:
    assert home.run("run.trials=4") == 0
    engine = sa.create_engine(f"sqlite:///{home.out / 'study.db'}")
    with engine.begin() as connection:
        change = "UPDATE sweep_trials SET measurements = NULL WHERE number = 0"
        connection.execute(sa.text(change))
        connection.execute(sa.text("DELETE FROM sweep_decisions WHERE trial = 1"))
        connection.execute(sa.text("DELETE FROM sweep_trials WHERE number = 2"))
    engine.dispose()
    assert home.run("run.trials=6") == 0
    said = "\n".join(home.lines)
    assert "Completed without a measured eval_loss in the storage: trial 0." in said
    assert "without a row in sweep_trials: trial 2." in said
    ledger, _ = open_study(str(home.out))
    assert {row.number for row in ledger.read_trials()} >= {0, 1, 3, 4, 5}
    ledger.engine.dispose()
