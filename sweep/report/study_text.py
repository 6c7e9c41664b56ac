"""What a study's document says, in sentences and short rows; how they are laid out is display's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep import formats as f
from sweep.formats import duration


def headline(document: Mapping[str, Any]) -> str:
    direction = "higher" if document["direction"] == "maximize" else "lower"
    return f"{document['study']}: {document['metric']}, {direction} is better"


def standing(document: Mapping[str, Any]) -> str:
    """How far the study is. Whether a driver is at work on it, the storage does not know."""
    states = [trial["state"] for trial in document["trials"] if trial["confirms"] is None]
    audited = sum(f.is_audited(trial) for trial in document["trials"])
    settled = [
        f"{states.count('completed')} completed",
        f"{states.count('pruned')} pruned",
        f"{audited} audited",
        f"{states.count('failed')} failed",
    ]
    num_settled = sum(states.count(state) for state in ("completed", "pruned", "failed"))
    total = document["total"] or len(states)
    line = f"{num_settled} of {_num(total, 'trial')} settled: {', '.join(settled)}"
    going = [f"{states.count(s)} {s}" for s in ("running", "waiting") if s in states]
    confirm = document["confirm"]
    if confirm["num_settled"]:
        going.append(f"{confirm['num_settled']} of {confirm['num_wanted']} repeats settled")
    return "; ".join([line, *going])


def fixed_parameters(document: Mapping[str, Any]) -> str:
    """Those that no trial differs in; they are no columns."""
    trials = document["trials"]
    if not trials:
        return ""
    params, names = trials[0]["params"], f.varying(document)
    same = {name: value for name, value in params.items() if name not in names}
    return f.parameters(same)


def settings(trial: Mapping[str, Any], names: list[str]) -> str:
    """`trial 3 (learning_rate 2e-05, batch_size 64)`."""
    inside = f.parameters(trial["params"], names)
    return f"trial {trial['number']}" + (f" ({inside})" if inside else "")


def short_settings(number: int, params: Mapping[str, Any]) -> str:
    """`trial 3: 2e-05, 64`: for a line that is read many times."""
    values = ", ".join(f.parameter(value) for value in params.values())
    return f"trial {number}" + (f": {values}" if values else "")


def failure(trial: Mapping[str, Any], names: list[str]) -> str:
    error = trial["error"] or {"kind": "error", "message": "cause not recorded"}
    times = f"{trial['failures']} of {_num(trial['attempts'], 'attempt')} failed"
    outcome = "" if trial["state"] == "failed" else f"; now {trial['state']}"
    message = str(error["message"]).strip() or "no message"
    return f"{settings(trial, names)}: {error['kind']}: {message} ({times}{outcome})"


def best_lines(document: Mapping[str, Any]) -> list[str]:
    best = document["best"]
    if best is None:
        return ["no trial is completed so far"]
    value = f.best_value(document)
    lines = [f"trial {f.best_original(document)}: {document['metric']} {value}"]
    if improvement := f.gain(document):
        lines[0] += f", {improvement}"
    lines.append(f.parameters(best["params"]))
    if best["sd"] is None:
        lines.append(_without_scatter(document))
    groups = _groups(_trial(document, best["number"])["measurements"], document["metric"])
    base = _groups(document["base"]["measurements"], document["metric"])
    if groups:
        lines.append("by group: " + ", ".join(_beside(name, groups, base) for name in groups))
    lines.append(f"model: {best['model_dir'] or _not_kept(document)}{_of_run(best)}")
    return lines


def _without_scatter(document: Mapping[str, Any]) -> str:
    """Why no scatter of seeds stands beside the best's value. On one line of 80 columns."""
    if f.num_new_seeds(document):
        return "one new seed, whose scatter is not known: see run.confirm.seeds"
    picked = "one seed, picked as the best, whose scatter is not known"
    if document["best"]["confirms"] is not None:
        return f"{picked}: no repeat ended"
    if document["confirm"]["num_wanted"]:
        return f"{picked}: repeats to come"
    return f"{picked}: see run.confirm"


def _not_kept(document: Mapping[str, Any]) -> str:
    keeps_best = document["resolved"].get("run", {}).get("keep") == "best"
    if keeps_best and document["best"]["confirms"] is not None:
        return "not kept: run.confirm was asked for when it had been removed"
    return "not kept"


def _of_run(best: Mapping[str, Any]) -> str:
    if best["confirms"] is None:
        return ""
    return f" (of its best run, trial {best['number']}: {f.fixed(best['objective'], 4)})"


def confirm_lines(document: Mapping[str, Any]) -> list[str]:
    """The configurations that are trained again, each over its new seeds and with the difference
    from the first, as they rank by all seeds; none before there is a repeat."""
    confirm = document["confirm"]
    if not confirm["num_settled"]:
        return []
    lines: list[str] = []
    best = confirm["configurations"][0]
    for one in confirm["configurations"]:
        line = f"trial {one['number']}: "
        if one["values"]:
            line += f.scattered(one["mean"], one["sd"], len(one["values"]))
            if lines and best["values"]:
                line += f", {one['mean'] - best['mean']:+.4f} from the first"
            if len(one["values"]) > 1:
                line += ": " + ", ".join(f.fixed(value, 4) for value in one["values"])
            line += "; "
        line += f"picked at {f.fixed(one['first'], 4)}"
        if not one["is_sound"]:
            line += "; a repeat of it was not finite"
        elif confirm["is_confirmed"] and not one["values"]:
            line += "; no repeat of it was completed, so it is not confirmed"
        lines.append(line)
    lines.append("ranked by the mean of all seeds, the one picked by too")
    if not confirm["is_confirmed"]:
        left = confirm["num_wanted"] - confirm["num_settled"]
        lines.append(f"not yet confirmed: {_num(left, 'repeat')} to come")
    return lines


def _trial(document: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    return next(trial for trial in document["trials"] if trial["number"] == number)


def _groups(measurements: Mapping[str, Any], metric: str) -> dict[str, float]:
    return measurements[metric]["groups"] if metric in measurements else {}


def _beside(name: str, groups: Mapping[str, float], base: Mapping[str, float]) -> str:
    before = f" (base {f.fixed(base[name])})" if name in base else ""
    return f"{name} {f.fixed(groups[name])}{before}"


def compute_rows(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what, how much, share of the plan and remarks); the savings add up to planned - used."""
    c, audits = document["compute"], document["audits"]
    planned: float = c["planned_flops"]
    size, unit = f.flop_unit(max(planned, c["used_flops"]))

    def row(what: str, count: float, remark: str = "") -> tuple[str, str, str]:
        return what, f"{f.number(count / size)} {unit}", remark

    def of_plan(count: float) -> str:
        return f.share(count, planned)

    if not any(trial["state"] in ("completed", "pruned") for trial in document["trials"]):
        return [
            row("used", c["used_flops"] + c["unsettled_flops"], "no trial to compare it with yet"),
            ("time", duration(c["seconds"]), "of training and evaluating, all trials together"),
        ]
    saved = planned - c["used_flops"]
    over = c["overhead"]
    parts = (
        ("early evaluations", over["early_evals"]),
        ("done twice or off the plan", over["beyond_plan"]),
        ("failed trials", over["failed"]),
    )
    shown = [f"{name} {f.number(count / size)}" for name, count in parts if count]
    rows = [
        row("planned", planned, "settled trials trained to their end, and the base model"),
        row("used", c["used_flops"], f"{of_plan(c['used_flops'])} of the plan"),
        row("saved", saved, f"{of_plan(saved)}, net of audits and overhead"),
        row("  by guards", c["saved_by_guards"], of_plan(c["saved_by_guards"])),
        row("  by rank", c["saved_by_rank"], of_plan(c["saved_by_rank"])),
        row("  by stopping", c["saved_by_stopping"], _not_started(document, of_plan)),
        row("  overhead", -c["overhead_flops"], ", ".join(shown)),
    ]
    if audits["num"]:
        rows.append(row("audits", audits["beyond_flops"], _audits(audits, of_plan)))
    if c["unsettled_flops"]:
        rows.append(row("not settled", c["unsettled_flops"], "trials not ended; not counted above"))
    rows.append(("time", duration(c["seconds"]), "of training and evaluating, all trials together"))
    return rows


def _not_started(document: Mapping[str, Any], of_plan: Any) -> str:
    num = document["stopping"]["num_not_started"]
    text = of_plan(document["compute"]["saved_by_stopping"])
    return f"{text}, {_num(num, 'trial')} not started" if num else text


def _audits(audits: Mapping[str, Any], of_plan: Any) -> str:
    return (
        f"{of_plan(audits['beyond_flops'])} more would have been saved without them; "
        f"{_num(audits['num'], 'trial')} audited, {audits['finished']} finished"
    )


def risk_lines(document: Mapping[str, Any]) -> list[str]:
    """What pruning may have missed: as stated, and as audits found."""
    stated, audits = document["expected_misses"], document["audits"]
    lines: list[str] = []
    if stated["num"]:
        most = "" if stated["most"] is None else f" of at most {stated['most']:g}"
        lines.append(
            f"expected misses: {f.chance(stated['sum'])}{most}, the sum of P over "
            f"{_num(stated['num'], 'prune')} by rank"
        )
    if audits["num"]:
        lines.append(f"audits: {_miss_rate(audits)}")
    if unlikely := document["stopping"]["unlikely"]:
        lines.append(unlikely["text"])
    return lines


def _miss_rate(audits: Mapping[str, Any]) -> str:
    """A share is told with its interval and count: a few audits bound a miss rate only loosely."""
    told, untold = audits["told"], audits["num"] - audits["told"]
    if not told:
        return f"none of {_num(untold, 'audited prune')} tells a miss rate yet"
    line = (
        f"{audits['misses']} of {_num(told, 'audited prune')} would have won: "
        f"{_percent(audits['rate'])} %, 95 % {_percent(audits['low'])} to "
        f"{_percent(audits['high'])} %"
    )
    if audits["mean_stated"] is not None:
        line += f"; stated was {f.chance(audits['mean_stated'])} on average"
    return line + (f"; {untold} more not at the end, or without an incumbent" if untold else "")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _num(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
