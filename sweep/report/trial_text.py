"""What a trial's report says, in sentences and short rows; print_trial.py lays them out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import NotRequired, TypedDict, cast

from predictor.types import Settings
from sweep import formats as f
from sweep.account.constraints import Held
from sweep.documents import Json
from sweep.formats import duration
from sweep.report.curves import labelled_curve
from sweep.report.trial_types import DecisionReport, NoiseScale, TrialReport, Window
from sweep.storage.ledger import Cost


def trial_headline(report: TrialReport) -> str:
    """The trial's study, number and state in a line."""
    trial = report.trial
    audited = ", audited" if trial.is_audited else ""
    again = ""
    if trial.is_replicate:
        again = f" (trial {trial.confirms} again, further seed {trial.further_seed})"
    return f"{report.study}: trial {trial.number}{again}, {trial.state}{audited}"


def trial_rows(report: TrialReport) -> list[tuple[str, str]]:
    """Rows of (what, value)."""
    trial = report.trial
    params = (f"{name} {f.exact(value)}" for name, value in trial.params.items())
    rows = [("configuration", ", ".join(params))]
    if trial.recipe:
        rows.append(("recipe", trial.recipe))
    base = report.base.objective
    against = "" if base is None else f" (base model: {f.fixed(base, 4)})"
    rows.append((report.metric, f.fixed(trial.objective, 4) + against))
    for metric, one in trial.measurements.items():
        errors = one.group_stderrs
        groups = ", ".join(
            f"{name} {with_error(value, errors.get(name), 3)}" for name, value in one.groups.items()
        )
        value = f"{with_error(one.value, one.stderr)} over {one.num}"
        if (before := report.base.measurements.get(metric)) is not None:
            value += f" (base model: {with_error(before.value, before.stderr)})"
        if one.margin is not None:
            value += f", margin {with_error(one.margin, one.margin_stderr)}"
        value += f"; {groups}" if groups else ""
        rows.append((f"measured: {metric}", value))
    rows += [(f"constraint: {one.metric}", _held(one)) for one in trial.constraints]
    if trial.window is not None:
        rows.append(("window", _window(trial.window)))
    rows += [(f"look {number}", _window(look)) for number, look in enumerate(trial.looks, 1)]
    if report.noise_scale is not None:
        rows.append(("noise scale", _noise_scale(report.noise_scale)))
    seen = report.observations
    rows.append(("steps", f"{seen[-1].step if seen else 0} of {trial.num_steps}"))
    rows.append(("attempts", f"{trial.attempts}, of which {trial.failures} failed"))
    used, planned = trial.compute.flops, trial.planned_flops
    rows.append(
        (
            "compute",
            f"{f.flops(used)} of {f.flops(planned)} planned ({f.share(used, planned)}), "
            f"{trial.compute.input_tokens} input tokens, {duration(trial.compute.seconds)}",
        )
    )
    return rows


def _window(window: Window) -> str:
    signals = (
        f"loss {f.fixed(window.loss)}",
        f"grad norm {f.number(window.grad_norm)}",
        f"noise-free {f.number(window.grad_norm_noise_free)}",
        f"early eval {with_error(window.early_eval, window.early_eval_stderr)}",
        *(f"early {name} {f.fixed(one, 4)}" for name, one in window.early_others.items()),
    )
    phase = f", in phase {window.phase}" if window.phase else ""
    return f"at {window.samples} samples{phase}: {', '.join(signals)}"


def _held(one: Held) -> str:
    if one.distance is None:
        return one.words
    interval = f"{f.signed(one.low)} to {f.signed(one.high)}"
    place = f"{f.signed(one.distance)} from the bound {f.fixed(one.bound, 4)}"
    return f"{one.words}: {place}, 95 % interval {interval}, slack {f.signed(one.slack)}"


def with_error(value: float | None, stderr: float | None, decimals: int = 4) -> str:
    """`0.3125 ± 0.0368`, the second its standard error, where there is one."""
    error = "" if stderr is None else f" ± {f.fixed(stderr, decimals)}"
    return f.fixed(value, decimals) + error


def _noise_scale(noise: NoiseScale) -> str:
    size = f"{f.number(noise.samples)} ± {f.number(noise.standard_error)} samples"
    return f"{size}: the batch at which noise and gradient are equal"


def trial_curves(report: TrialReport, width: int) -> list[str]:
    """Loss, gradient norm and learning rate over the samples seen, the window's end marked."""
    seen, window = report.observations, report.trial.window
    if not seen:
        return ["no step was observed"]
    x = [one.samples_seen for one in seen]
    mark = window.samples if window else None
    curves = {
        "loss": [one.loss for one in seen],
        "gradient norm": [one.grad_norm for one in seen],
        "learning rate": [one.lr for one in seen],
    }
    lines: list[str] = []
    for title, y in curves.items():
        gaps = sum(not math.isfinite(value) for value in y)
        lines.append(title + (f" ({gaps} of {len(y)} steps not finite)" if gaps else ""))
        lines += labelled_curve(x, y, width=width, mark=mark, show=f.number)
    foot = f"0 to {x[-1]} samples" + (f", the window's end ┊ at {mark}" if mark else "")
    return [*lines, foot]


class _RankEvidence(TypedDict):
    """What a decision by rank rests on, as the predictor stores it."""

    probability: float
    before: float
    by_signals: NotRequired[float]  # earlier predictors did not tell it apart
    incumbent: int
    spread: float
    num_finished: int
    num_seen: int
    norm: str
    signals: Mapping[str, float]
    slopes: Mapping[str, float]
    effects: NotRequired[Mapping[str, float]]  # earlier predictors did not tell them
    config_weight: float
    expected_misses_before: float
    history: NotRequired[_History]


class _History(TypedDict):
    trials: Mapping[str, int]
    digest: str


def decision_lines(decision: DecisionReport) -> list[str]:
    """A decision with its evidence, in lines."""
    chance = decision.probability
    probability = "" if chance is None else f", probability {f.number(chance)}"
    lines = [
        f"{decision.moment}, step {decision.step}: {decision.action} "
        f"({decision.kind}{probability}): {decision.reason}"
    ]
    if "slopes" in decision.evidence:
        evidence = cast("_RankEvidence", decision.evidence)
        lines += _forecast_lines(evidence, decision.settings)
    elif decision.evidence:
        shown = (f"{name} {_value(value)}" for name, value in decision.evidence.items())
        lines.append(f"  evidence: {', '.join(shown)}")
    settings = f.parameters(decision.settings.to_json())
    return [*lines, f"  by predictor {decision.predictor}: {settings}"]


def _forecast_lines(evidence: _RankEvidence, settings: Settings) -> list[str]:
    """What the model looked at, and what it made of it."""
    kind = {"grad_norm": "noise-free " if evidence["norm"] == "grad_norm_noise_free" else "raw "}
    signals = (
        f"{kind.get(name, '')}{name} {sd:+.2f} sd (slope {evidence['slopes'][name]:+.2f})"
        for name, sd in evidence["signals"].items()
    )
    goal = f"{settings.min_gain:g} x {f.number(evidence['spread'])}"
    lines = [
        f"  P {f.chance(evidence['probability'])}, P0 {f.chance(evidence['before'])}"
        f"{_by_signals(evidence)}: to beat trial {evidence['incumbent']} by {goal} "
        f"(median - best), from {evidence['num_finished']} finished of {evidence['num_seen']} seen",
        f"  signals: {', '.join(signals)}; a slope above 0: lower is better",
        f"  trust in the configuration: {evidence['config_weight']:.0%} of the models' weight",
    ]
    if (effects := evidence.get("effects")) is not None:
        parts = ", ".join(f"{name} {effect:+.2f}" for name, effect in effects.items())
        what = "what each adds to the expected end (best 0, median 1; above 0: worse)"
        lines.append(f"  {what}: {parts}")
    lines.append(f"  expected misses before it: {f.chance(evidence['expected_misses_before'])}")
    if (history := evidence.get("history")) is not None:
        past = ", ".join(f"{name} ({num})" for name, num in history["trials"].items())
        digest = history["digest"]
        lines.append(f"  prior from past studies (finished trials): {past}; digest {digest}")
    return lines


def _by_signals(evidence: _RankEvidence) -> str:
    if "by_signals" not in evidence:
        return ""
    return f", {f.chance(evidence['by_signals'])} by signals and configuration alone"


def _value(value: Json) -> str:
    return f.number(value, 4) if isinstance(value, float) else json.dumps(value)


def cost_rows(costs: Iterable[Cost]) -> list[tuple[str, str, str]]:
    """Rows of (attempt and kind, FLOPs, tokens and time)."""
    ordered = sorted(costs, key=lambda cost: (cost.attempt, cost.what != "train"))
    return [
        (
            f"attempt {cost.attempt}, {cost.what.replace('_', ' ')}",
            f.flops(cost.flops),
            f"{cost.input_tokens} input tokens, {duration(cost.seconds)}",
        )
        for cost in ordered
    ]
