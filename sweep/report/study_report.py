"""A study as one document, read from its storage alone, while a driver writes or years after."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

from sweep.account.audits import audit_misses, expected_misses
from sweep.account.compute import Usage, account, audit_cost, decisive, usage_by_trial
from sweep.account.odd_rows import odd_rows
from sweep.account.outlook import stopping_part
from sweep.account.replicates import Plan, confirm_part, is_repeat
from sweep.account.standing import EXHAUSTED, standing
from sweep.report.parts import base_part, best_part, compute_part, fields_of, trial_part
from sweep.storage.engine import make_engine, refuse_older, sqlite_file, study_names
from sweep.storage.ledger import BASE, Decision, Ledger, StudyRow
from sweep.storage.paths import StudyPaths
from sweep.storage.readable import check_study, readable
from trainer.contract.safe_text import clipped, file_name, url_without_secrets
from trainer.contract.spec import HIGHER_IS_BETTER, UserError
from trainer.contract.streams import finite

RUNS = Path("runs")


def open_study(where: str) -> tuple[Ledger, StudyPaths]:
    """`where`: a study's name (below ./runs), its folder, or URL#NAME. Reads only.

    UserError where there is none. The caller disposes of `ledger.engine`.
    """
    if "://" in where:
        url, name = _split(where)
        ledger = _open(url, name, where)
        return ledger, StudyPaths(RUNS / file_name(ledger.study))
    paths, url = find_study(where)
    return _open(url, None, where, guess=paths.out.resolve().name), paths


def storage_of(where: str) -> str:
    """The URL of the storage that `open_study` reads."""
    return _split(where)[0] if "://" in where else find_study(where)[1]


def _split(where: str) -> tuple[str, str | None]:
    """URL and study name of URL#NAME."""
    url, _, name = where.rpartition("#")
    if not url or "/" in name:  # no #NAME, or a # inside of the path
        return where, None
    return url, name or None


def find_study(where: str) -> tuple[StudyPaths, str]:
    """As `look_for_study`; UserError where there is none, or in a server that a stranger names."""
    found = look_for_study(where)
    if found is not None:
        _refuse_server(*found)
        return found
    looked = " and ".join(str(StudyPaths(folder).database) for folder in study_folders(where))
    known = sorted(path.parent.name for path in RUNS.glob("*/study.*") if path.suffix != ".lock")
    there = ", ".join(dict.fromkeys(known)) or "no study"
    raise UserError(f"no study {where!r}: looked for {looked}; under ./{RUNS} there is {there}")


def look_for_study(where: str) -> tuple[StudyPaths, str] | None:
    """The folder of a study that is named by its name or folder, and the URL of its storage."""
    for paths in map(StudyPaths, study_folders(where)):
        if paths.database.is_file():
            return paths, paths.default_storage
        url = remote_storage(paths)
        if url is not None:
            return paths, url
    return None


def _refuse_server(paths: StudyPaths, url: str) -> None:
    """A folder that came from elsewhere may name any server, which would be sent the user's name
    and password; whoever wants it asked names it. What is below ./runs was made here."""
    if sqlite_file(url) is not None or paths.out.resolve().is_relative_to(RUNS.resolve()):
        return
    server = url_without_secrets(url)
    raise UserError(
        f"the study in {clipped(str(paths.out))} is stored in {clipped(server)!r}, as its "
        f"{paths.study_file.name} says; a server that a folder outside of ./{RUNS} names is not "
        "asked: if you trust it, give the storage itself in place of the folder, as URL#NAME"
    )


def study_folders(where: str) -> list[Path]:
    """Where to look for a study's folder: a name alone is first one below ./runs."""
    folder = Path(where)
    is_name = len(folder.parts) == 1 and folder.name not in ("", "..")
    return [RUNS / folder, folder] if is_name else [folder]


def remote_storage(paths: StudyPaths) -> str | None:
    """Where the study file in a folder says that the study is stored. UserError for a file that is
    no study file."""
    if not paths.study_file.is_file():
        return None
    from sweep.config.yaml_text import read_mapping

    try:
        storage = read_mapping(paths.study_file)["run"]["storage"]
    except (KeyError, TypeError):
        return None
    return storage if isinstance(storage, str) and "://" in storage else None


def _open(url: str, name: str | None, where: str, guess: str | None = None) -> Ledger:
    """`guess` is the name to take where the storage holds several and none was given."""
    shown = clipped(url_without_secrets(where))
    file = sqlite_file(url)
    if file is not None and not file.is_file():
        raise UserError(f"no study {shown!r}: there is no file {clipped(str(file))}")
    engine = make_engine(url, read_only=True)
    try:
        with readable(where):
            names = study_names(engine)
            if name is None:
                name = names[0] if len(names) == 1 else guess
            if name is not None and name in names:
                ledger = Ledger(engine, name)
                study = _study(ledger)
                check_study(name, study.document, study.facts)
                return ledger
    except BaseException:
        engine.dispose()
        raise
    engine.dispose()
    if not names:
        raise UserError(f"no study {shown!r}: its storage holds none")
    raise UserError(
        f"{shown!r} does not say which study: its storage holds {', '.join(names)}; "
        "add #NAME to the storage's URL"
    )


def study_document(ledger: Ledger, paths: StudyPaths) -> dict[str, Any]:
    """The whole study but its observations, as JSON values; what is not finite is None.

    Losses are in nats per token, compute in FLOPs, times in seconds. README.md describes the keys.
    """
    study = _study(ledger)
    # In this order: a decision or cost may be newer than its trial's row, never missing.
    trials = ledger.read_trials()
    decisions = _by_trial(ledger.read_decisions())
    usage = usage_by_trial(ledger.read_costs())
    decided = {
        trial.number: decision
        for trial in trials
        if (decision := decisive(trial, decisions.get(trial.number, []))) is not None
    }
    metric: str = study.document["objective"]["metric"]
    base = base_part(study, metric)
    stopping = stopping_part(study.document, trials, metric)
    notes = ledger.read_notes()
    no_new = stopping["stopped"] or EXHAUSTED in notes
    plan = Plan.of(study.document)
    base["compute"] = compute_part(usage.get(BASE, Usage()))
    document = {
        "study": study.name,
        "metric": metric,
        "direction": "maximize" if HIGHER_IS_BETTER[metric] else "minimize",
        "out": str(paths.out),
        "state": standing(study.document, trials, metric, no_new=no_new).value,
        "total": study.document.get("run", {}).get("trials"),
        "predictor": study.predictor,
        "created_s": study.created_s,
        "notes": [*notes, *odd_rows(trials, metric, [*decisions, *usage])],
        "base": base,
        "trials": [
            trial_part(
                trial,
                decided.get(trial.number),
                decisions.get(trial.number, []),
                usage.get(trial.number, Usage()),
            )
            for trial in trials
        ],
        "best": best_part(trials, metric, paths, plan),
        "confirm": confirm_part(trials, metric, plan),
        "compute": account(trials, usage, decided, stopping["num_not_started"]),
        "stopping": stopping,
        "audits": {
            **audit_cost(trials, usage, decisions),
            **audit_misses(trials, decisions, metric),
        },
        "expected_misses": {
            **expected_misses(trials, decisions),
            "most": study.document.get("pruning", {}).get("max_expected_misses"),
        },
        "resolved": study.document,
    }
    return cast(dict[str, Any], finite(document))


def trial_document(ledger: Ledger, paths: StudyPaths, number: int) -> dict[str, Any]:
    """Everything that is known of one trial: observations, decisions with evidence, every cost.

    UserError where the study has no such trial, or an earlier version made its tables.
    """
    from predictor.noise import gradient_noise_scale  # numpy: of no use to the tables

    refuse_older(ledger.engine)
    study = _study(ledger)
    trials = {trial.number: trial for trial in ledger.read_trials()}
    if number not in trials:
        raise UserError(f"study {study.name!r} has no trial {number}; {_numbers(trials)}")
    trial = trials[number]
    decisions = _by_trial(ledger.read_decisions()).get(number, [])
    costs = [cost for cost in ledger.read_costs() if cost.trial == number]
    metric: str = study.document["objective"]["metric"]
    usage = usage_by_trial(costs).get(number, Usage())
    folder, log = paths.trial(number), paths.trial_log(number)
    observations = ledger.read_observations(number)
    noise = gradient_noise_scale(observations, trial.params["batch_size"])
    document = {
        "study": study.name,
        "metric": metric,
        "direction": "maximize" if HIGHER_IS_BETTER[metric] else "minimize",
        "base": base_part(study, metric),
        **trial_part(trial, decisive(trial, decisions), decisions, usage),
        "error": trial.error,  # with its traceback
        "decisions": [
            {
                "moment": decision.moment,
                "step": decision.step,
                "action": decision.verdict.action,
                "kind": decision.verdict.kind,
                "probability": decision.verdict.probability,
                "reason": decision.verdict.reason,
                "evidence": decision.verdict.evidence,
                "predictor": decision.predictor,
                "settings": fields_of(decision.settings),
            }
            for decision in decisions
        ],
        "costs": [fields_of(cost) for cost in costs],
        "observations": [fields_of(seen) for seen in observations],
        "noise_scale": None if noise is None else {"samples": noise[0], "standard_error": noise[1]},
        "folder": str(folder) if folder.is_dir() else None,
        "log": str(log) if log.is_file() else None,
    }
    return cast(dict[str, Any], finite(document))


def _numbers(trials: Collection[int]) -> str:
    repeats = sorted(filter(is_repeat, trials))
    originals = [number for number in trials if not is_repeat(number)]
    text = f"its trials are {f'0 to {max(originals)}' if originals else 'none yet'}"
    return f"{text}; repeats: {', '.join(map(str, repeats))}" if repeats else text


def _study(ledger: Ledger) -> StudyRow:
    study = ledger.read_study()
    assert study is not None, ledger.study
    return study


def _by_trial(decisions: list[Decision]) -> dict[int, list[Decision]]:
    found: dict[int, list[Decision]] = {}
    for decision in decisions:
        found.setdefault(decision.trial, []).append(decision)
    return found
