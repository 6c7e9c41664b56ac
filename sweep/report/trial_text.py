"""What one trial's document says, in sentences and short rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sweep import formats as f
from sweep.formats import duration
from sweep.report.curves import labelled_curve

_CURVES = (("loss", "loss"), ("grad_norm", "gradient norm"), ("lr", "learning rate"))


def trial_headline(trial: Mapping[str, Any]) -> str:
    audited = ", audited" if f.is_audited(trial) else ""
    again = ""
    if trial["confirms"] is not None:
        again = f" (trial {trial['confirms']} again, further seed {trial['further_seed']})"
    return f"{trial['study']}: trial {trial['number']}{again}, {trial['state']}{audited}"


def trial_rows(trial: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(what, value)"""
    params = (f"{name} {f.exact(value)}" for name, value in trial["params"].items())
    rows = [("configuration", ", ".join(params))]
    if trial["recipe"]:
        rows.append(("recipe", trial["recipe"]))
    base = trial["base"]["objective"]
    against = "" if base is None else f" (base model: {f.fixed(base, 4)})"
    rows.append((trial["metric"], f.fixed(trial["objective"], 4) + against))
    for metric, one in trial["measurements"].items():
        groups = ", ".join(f"{name} {f.fixed(value)}" for name, value in one["groups"].items())
        value = f"{f.fixed(one['value'], 4)} over {one['num']}" + (f"; {groups}" if groups else "")
        rows.append((f"measured: {metric}", value))
    if window := trial["window"]:
        signals = (
            f"loss {f.fixed(window['loss'])}",
            f"grad norm {f.number(window['grad_norm'])}",
            f"noise-free {f.number(window['grad_norm_noise_free'])}",
            f"early eval {f.fixed(window['early_eval'], 4)}",
        )
        phase = f", in phase {window['phase']}" if window["phase"] else ""
        rows.append(("window", f"at {window['samples']} samples{phase}: {', '.join(signals)}"))
    if noise := trial["noise_scale"]:
        size = f"{f.number(noise['samples'])} ± {f.number(noise['standard_error'])} samples"
        rows.append(("noise scale", f"{size}: the batch at which noise and gradient are equal"))
    seen = trial["observations"]
    rows.append(("steps", f"{seen[-1]['step'] if seen else 0} of {trial['num_steps']}"))
    rows.append(("attempts", f"{trial['attempts']}, of which {trial['failures']} failed"))
    compute = trial["compute"]
    used, planned = compute["flops"], trial["planned_flops"]
    rows.append(
        (
            "compute",
            f"{f.flops(used)} of {f.flops(planned)} planned ({f.share(used, planned)}), "
            f"{compute['input_tokens']} input tokens, {duration(compute['seconds'])}",
        )
    )
    return rows


def trial_curves(trial: Mapping[str, Any], width: int) -> list[str]:
    """Loss, gradient norm and learning rate over the samples seen, the window's end marked."""
    seen = trial["observations"]
    if not seen:
        return ["no step was observed"]
    x = [one["samples_seen"] for one in seen]
    mark = trial["window"]["samples"] if trial["window"] else None
    lines: list[str] = []
    for key, title in _CURVES:
        y = [one[key] for one in seen]
        gaps = y.count(None)
        lines.append(title + (f" ({gaps} of {len(y)} steps not finite)" if gaps else ""))
        lines += labelled_curve(x, y, width=width, mark=mark, show=f.number)
    foot = f"0 to {x[-1]} samples" + (f", the window's end ┊ at {mark}" if mark else "")
    return [*lines, foot]


def decision_lines(decision: Mapping[str, Any]) -> list[str]:
    chance = decision["probability"]
    probability = "" if chance is None else f", probability {f.number(chance)}"
    lines = [
        f"{decision['moment']}, step {decision['step']}: {decision['action']} "
        f"({decision['kind']}{probability}): {decision['reason']}"
    ]
    evidence: Mapping[str, Any] = decision["evidence"]
    if "slopes" in evidence:
        lines += _forecast_lines(evidence, decision["settings"])
    elif evidence:
        shown = (f"{name} {_value(value)}" for name, value in evidence.items())
        lines.append(f"  evidence: {', '.join(shown)}")
    settings = f.parameters(decision["settings"])
    return [*lines, f"  by predictor {decision['predictor']}: {settings}"]


def _forecast_lines(evidence: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """What the model looked at, and what it made of it."""
    kind = {"grad_norm": "noise-free " if evidence["norm"] == "grad_norm_noise_free" else "raw "}
    signals = (
        f"{kind.get(name, '')}{name} {sd:+.2f} sd (slope {evidence['slopes'][name]:+.2f})"
        for name, sd in evidence["signals"].items()
    )
    goal = f"{settings['min_gain']:g} x {f.number(evidence['spread'])}"
    return [
        f"  P {f.chance(evidence['probability'])}, P0 {f.chance(evidence['before'])}"
        f"{_by_signals(evidence)}: to beat trial {evidence['incumbent']} by {goal} "
        f"(median - best), from {evidence['num_finished']} finished of {evidence['num_seen']} seen",
        f"  signals: {', '.join(signals)}; a slope above 0: lower is better",
        f"  trust in the configuration: {evidence['config_weight']:.0%} of the models' weight",
        *_effects(evidence.get("effects")),
        f"  expected misses before it: {f.chance(evidence['expected_misses_before'])}",
        *_prior(evidence.get("history")),
    ]


def _effects(effects: Mapping[str, float] | None) -> list[str]:
    """Earlier predictors did not tell them."""
    if effects is None:
        return []
    parts = ", ".join(f"{name} {effect:+.2f}" for name, effect in effects.items())
    return [f"  what each adds to the expected end (best 0, median 1; above 0: worse): {parts}"]


def _by_signals(evidence: Mapping[str, Any]) -> str:
    """Earlier predictors did not tell it apart."""
    if "by_signals" not in evidence:
        return ""
    return f", {f.chance(evidence['by_signals'])} by signals and configuration alone"


def _prior(learned: Mapping[str, Any] | None) -> list[str]:
    if learned is None:
        return []
    past = ", ".join(f"{name} ({num})" for name, num in learned["trials"].items())
    return [f"  prior from past studies (finished trials): {past}; digest {learned['digest']}"]


def _value(value: Any) -> str:
    return f.number(value, 4) if isinstance(value, float) else json.dumps(value)


def cost_rows(costs: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """(attempt and kind, FLOPs, tokens and time)"""
    ordered = sorted(costs, key=lambda cost: (cost["attempt"], cost["what"] != "train"))
    return [
        (
            f"attempt {cost['attempt']}, {cost['what'].replace('_', ' ')}",
            f.flops(cost["flops"]),
            f"{cost['input_tokens']} input tokens, {duration(cost['seconds'])}",
        )
        for cost in ordered
    ]
