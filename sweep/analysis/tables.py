"""Studies as two tables, runs and steps, as predictor.recorded.frames reads them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import PurePath
from typing import Any

import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

from predictor.types import Observation
from sweep.account.audits import audit_of, is_miss
from sweep.account.objective import minimized, objective_of
from sweep.account.replicates import is_repeat, original_of, seed_index
from sweep.storage.find import open_study
from sweep.storage.ledger import Decision, Ledger, StudyRow, TrialRow
from sweep.storage.migrate import refuse_unreadable
from sweep.storage.paths import StudyPaths
from sweep.storage.readable import readable
from sweep.storage.states import SETTLED
from trainer.contract.spec import HIGHER_IS_BETTER, UserError

RUN_TYPES = {
    "group": "str",
    "workload": "str",
    "study": "str",
    "created_s": "float64",
    "run": "int64",
    "name": "str",
    "params": "str",
    "seed": "int64",
    "horizon_step": "int64",
    "horizon_samples": "int64",
    "window_samples": "float64",
    "warmup_steps": "int64",
    "state": "str",
    "pruned_by": "str",
    "audit": "float64",
    "audit_kind": "str",
    "audit_p": "float64",
    "audit_miss": "float64",
    "confirms": "str",
    "final_eval_loss": "float64",
    "objective": "float64",
    "metric": "str",
    "direction": "str",
    "early_eval": "float64",
    "grad_norm_noise_free": "float64",
    "tokens": "int64",
}
STEP_TYPES = {
    "run": "int64",
    "step": "int64",
    "fraction": "float64",
    "samples": "int64",
    "tokens": "int64",
    "input_tokens": "int64",
    "loss": "float64",
    "grad_norm": "float64",
    "eval_loss": "float64",
    "lr": "float64",
    "grad_sq_noise_free": "float64",
    "grad_sq_noise": "float64",
    "phase": "int64",
    "seconds": "float64",
}
# columns of the steps, and what an observation calls them
PLACE = {
    "step": "step",
    "samples": "samples_seen",
    "tokens": "loss_tokens_seen",
    "input_tokens": "input_tokens_seen",
    "phase": "phase",
}
MEASURED = {
    name: name
    for name in ("loss", "grad_norm", "lr", "grad_sq_noise_free", "grad_sq_noise", "seconds")
}
STEPS_A_FRAME = 100_000
# of the study file's model section: what else it has does not change what is asked
MODEL_KEYS = ("base", "tuning", "dtype", "weights")
PATH_KEYS = ("train", "eval", "phases")  # of its data section; the files' content is compared

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StudyTables:
    """`num_unsettled` trials run or wait and are in neither table."""

    runs: pd.DataFrame
    steps: pd.DataFrame
    num_unsettled: int


@dataclass(frozen=True, slots=True)
class _Study:
    ledger: Ledger
    row: StudyRow
    trials: Sequence[TrialRow]  # settled
    num_unsettled: int
    label: str  # unique among those of its name


def study_tables(texts: Sequence[str]) -> StudyTables:
    """The settled trials of the studies (as for inspect), those of one name in one group.

    UserError where one cannot be read, is named twice, or asks another question than one of its
    name, and where no trial is settled.
    """
    with readable(", ".join(texts)), _opened(texts) as opened:
        studies = _labelled(opened)
        _refuse_other_questions(studies)
        runs: list[Row] = []
        steps = _StepTable()
        for study in studies:
            decisions = _by_trial(study.ledger.read_decisions())
            usual = _window_samples(study.trials)
            for trial, seen in _with_observations(study):
                own = decisions.get(trial.number, [])
                run = {"run": len(runs), **_run(study, trial, own, seen, usual)}
                runs.append(run)
                steps.add(trial, run, seen)
    if not runs:
        raise UserError(f"no trial of {', '.join(texts)} is completed, pruned or failed yet")
    num_unsettled = sum(study.num_unsettled for study in studies)
    with readable(", ".join(texts)):
        return StudyTables(_frame(runs, RUN_TYPES), steps.frame(), num_unsettled)


def _with_observations(study: _Study) -> Iterator[tuple[TrialRow, Sequence[Observation]]]:
    """The study's trials, by number; observations of others are passed over."""
    stream = study.ledger.stream_observations()
    number, seen = -1, list[Observation]()
    for trial in study.trials:
        while number < trial.number and (following := next(stream, None)) is not None:
            number, seen = following
        yield trial, _without_gap(seen) if number == trial.number else []
    stream.close()


def _by_trial(decisions: Iterable[Decision]) -> dict[int, list[Decision]]:
    found: dict[int, list[Decision]] = {}
    for decision in decisions:
        found.setdefault(decision.trial, []).append(decision)
    return found


def _frame(rows: Sequence[Row], types: Mapping[str, str]) -> pd.DataFrame:
    frame: Any = pd.DataFrame(rows, columns=list(types))
    return frame.astype(dict(types))


# --- a trial


def _run(
    study: _Study,
    trial: TrialRow,
    decisions: Sequence[Decision],
    seen: Sequence[Observation],
    usual: int | None,
) -> Row:
    """`usual`: where most windows of the study closed."""
    document = study.row.document
    metric, seed = document["objective"]["metric"], document["run"]["seed"]
    seed += seed_index(trial.number)
    window, final = trial.window or {}, objective_of(trial, metric)
    early = window.get("early_eval")
    pruned = trial.state == "pruned"
    pruning = next((d for d in decisions if pruned and d.verdict.action == "prune"), None)
    return {
        "group": study.row.name,
        "workload": _workload(document),
        "study": str(seed),
        "created_s": study.row.created_s,
        "name": f"{study.label}/{trial.number}",
        "params": json.dumps(trial.params),
        "seed": seed,
        "horizon_step": trial.num_steps,
        "horizon_samples": trial.num_steps * trial.params["batch_size"],
        "window_samples": window.get("samples", usual),
        "warmup_steps": math.ceil(trial.params.get("warmup_ratio", 0.0) * trial.num_steps),
        "state": trial.state,
        "pruned_by": pruning.verdict.kind if pruning is not None else None,
        **_audit(trial, decisions, metric),
        "confirms": f"{study.label}/{original_of(trial.number)}"
        if is_repeat(trial.number)
        else None,
        "final_eval_loss": final,
        "objective": None if final is None else trial.objective,
        "metric": metric,
        "direction": "maximize" if HIGHER_IS_BETTER[metric] else "minimize",
        "early_eval": None if early is None else minimized(metric, early, window["early_eval_num"]),
        "grad_norm_noise_free": window.get("grad_norm_noise_free"),
        "tokens": seen[-1].input_tokens_seen if seen else 0,
    }


def _audit(trial: TrialRow, decisions: Sequence[Decision], metric: str) -> Row:
    found = audit_of(decisions)
    if found is None:
        return {}
    return {
        "audit": found.settings.audit,
        "audit_kind": found.verdict.kind,
        "audit_p": found.verdict.probability,
        "audit_miss": is_miss(trial, found, metric),
    }


class _StepTable:
    """Training steps and evaluations as columns, put into frames before they grow large."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in STEP_TYPES}
        self.frames: list[Any] = []

    def add(self, trial: TrialRow, run: Row, seen: Sequence[Observation]) -> None:
        """A run's training steps, then its evaluations: the early one and the last."""
        self._add_training(run, seen)
        if _is_number(run["early_eval"]):
            samples = run["window_samples"]
            closing_step = next((one for one in seen if one.samples_seen >= samples), None)
            if closing_step is not None:
                self._add_evaluation(run, closing_step, run["early_eval"])
        if _is_number(run["final_eval_loss"]) and seen:
            end = {"step": run["horizon_step"], "samples": run["horizon_samples"], "fraction": 1.0}
            self._add_evaluation(run, seen[-1], run["final_eval_loss"], **end)
        if len(self.columns["run"]) >= STEPS_A_FRAME:
            self._close_frame()

    def _add_training(self, run: Row, seen: Sequence[Observation]) -> None:
        columns, horizon = self.columns, run["horizon_step"]
        columns["run"] += [run["run"]] * len(seen)
        columns["fraction"] += [one.step / horizon for one in seen]
        columns["eval_loss"] += [None] * len(seen)
        for name, own in {**PLACE, **MEASURED}.items():
            columns[name] += map(attrgetter(own), seen)

    def _add_evaluation(self, run: Row, at: Observation, value: float, **changes: float) -> None:
        place = {name: getattr(at, own) for name, own in PLACE.items()}
        row = {"run": run["run"], "fraction": at.step / run["horizon_step"], **place, **changes}
        for name, column in self.columns.items():
            column.append(value if name == "eval_loss" else row.get(name))

    def _close_frame(self) -> None:
        series = {
            name: pd.Series(self.columns[name], dtype=kind)  # pyright: ignore[reportCallIssue, reportArgumentType]
            for name, kind in STEP_TYPES.items()
        }
        self.frames.append(pd.DataFrame(series))
        self.columns = {name: [] for name in STEP_TYPES}

    def frame(self) -> pd.DataFrame:
        self._close_frame()
        return pd.concat(self.frames, ignore_index=True)


def _is_number(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _without_gap(seen: Sequence[Observation]) -> Sequence[Observation]:
    """Up to the first step that was lost with a driver that was killed."""
    pairs = enumerate(seen, start=1)
    return seen[: next((step - 1 for step, one in pairs if one.step != step), len(seen))]


def _window_samples(trials: Sequence[TrialRow]) -> int | None:
    """Where most windows of the study closed; None where none did."""
    closed = Counter(trial.window["samples"] for trial in trials if trial.window is not None)
    return closed.most_common(1)[0][0] if closed else None


# --- a study


@contextmanager
def _opened(texts: Sequence[str]) -> Generator[list[tuple[Ledger, StudyPaths, str]]]:
    found: list[tuple[Ledger, StudyPaths, str]] = []
    try:
        for text in texts:
            ledger, paths = open_study(text)
            found.append((ledger, paths, text))
            try:
                refuse_unreadable(ledger.engine)
            except UserError as error:
                raise UserError(f"{text}: {error}") from None
        yield found
    finally:
        for ledger, _, _ in found:
            ledger.engine.dispose()


def _labelled(opened: Sequence[tuple[Ledger, StudyPaths, str]]) -> list[_Study]:
    """Each with what tells it from the others of its name: its folder, and a number if need be."""
    found: list[_Study] = []
    known: dict[tuple[str, float], str] = {}
    folders: Counter[str] = Counter()
    for ledger, paths, text in opened:
        row = ledger.read_study()
        assert row is not None, text
        if (row.name, row.created_s) in known:
            raise UserError(f"{known[row.name, row.created_s]} and {text} are the same study")
        known[row.name, row.created_s] = text
        folder = paths.out.resolve().name
        folders[folder] += 1
        label = folder if folders[folder] == 1 else f"{folder}#{folders[folder]}"
        trials = ledger.read_trials()
        settled = [trial for trial in trials if trial.state in SETTLED]
        found.append(_Study(ledger, row, settled, len(trials) - len(settled), label))
    return found


def _refuse_other_questions(studies: Sequence[_Study]) -> None:
    first: dict[str, _Study] = {}
    for study in studies:
        other = first.setdefault(study.row.name, study)
        here, there = _question(study), _question(other)
        for key in sorted(there.keys() & here.keys()):
            if there[key] != here[key]:
                raise UserError(
                    f"the studies of the name {study.row.name!r} do not ask the same question: "
                    f"{key} is {json.dumps(there[key])} in {other.label} and "
                    f"{json.dumps(here[key])} in {study.label}; export them one by one"
                )


def _question(study: _Study) -> dict[str, Any]:
    """What may not differ between studies whose trials are compared, by the study file's keys."""
    document, facts = study.row.document, study.row.facts
    model, data = document["model"], document.get("data", {})
    found = {f"model.{key}": model.get(key) for key in MODEL_KEYS}
    found |= {f"model.lora.{key}": value for key, value in model.get("lora", {}).items()}
    found |= {f"data.{key}": value for key, value in data.items() if key not in PATH_KEYS}
    for part, source in facts.get("sources", {}).items():
        found[f"the content of its data ({part})"] = source.get("sha256") or source.get("path")
    found["objective.metric"] = document["objective"]["metric"]
    found["budget"] = document.get("budget")
    if found["budget"] is None:
        space = document.get("search", {}).get("space", {})
        found["search.space.epochs"] = space.get("epochs")
    window = _window_samples(study.trials)
    if window is not None:  # of a study without any, nothing can be compared
        found["the early window, in samples,"] = window
    found["pruning.early_eval"] = document.get("pruning", {}).get("early_eval")
    return found


def _workload(document: Mapping[str, Any]) -> str:
    """The base model's folder and the training data's, as their last names tell."""
    data = document.get("data", {})
    sources = data.get("phases") or [data.get("train") or "data"]
    names = ["/".join(PurePath(source).parts[-2:]) for source in sources]
    return f"{PurePath(document['model']['base']).name} on {' then '.join(names)}"
