"""The evidence in sentences: what goes with a better score, what it adds, and what nobody can tell.

A sentence claims an effect where the 95 % interval excludes 0 and Holm's correction (Scandinavian
Journal of Statistics 6, 1979) over all the study's correlations keeps p below 0.05: of studies in
which no signal means anything, no more than one in twenty get any claim. "Adds nothing" is a claim
too: it takes a whole interval next to 0, and no prediction that gains by the signal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from predictor.evidence.correlations import Correlation, num_configs_needed
from predictor.evidence.evidence import SignalEvidence, StudyEvidence
from predictor.evidence.nested import SETS, SetGain
from predictor.evidence.pooling import Pooled
from predictor.stats import holm_adjusted
from sweep.formats import capital, counted

Finding = Literal["lower", "higher", "hint", "none", "too few"]

ALPHA = 0.05
WIDE = 0.5  # half an interval's width; wider is too few runs to tell
NEXT_TO_NOTHING = 0.3  # of rho, either way: "adds nothing" takes an interval that lies within it
AIM = 0.4  # the half width that the number of configurations needed is told for
PAPER = {"loss": "higher", "grad_norm": "lower", "grad_norm_noise_free": "lower"}
NOUNS = {
    "early_eval": "early evaluation",
    "loss": "early training loss",
    "grad_norm": "early gradient norm (raw)",
    "grad_norm_noise_free": "early gradient norm (noise-free)",
}
MOST_NAMES = 4  # of hyperparameters


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of a verdict, with what it is about."""

    about: str  # a signal, or "sets"
    finding: Finding  # lower, higher: what goes with a better score
    adds: bool | None  # beyond the configuration; None: nobody can tell, or not asked
    text: str  # the sentence
    only_given: bool = False  # claimed given the configuration, and not alone


class Added(NamedTuple):
    """What loss and norm add to the prediction of `what`."""

    what: str
    how: str  # it was left out
    to_config: SetGain
    to_both: SetGain | None  # configuration and early evaluation; None: there is none of these


def statements(evidence: StudyEvidence) -> list[Statement]:
    """The norm, the loss, the early evaluation, then what they add together."""
    chosen = {signal.name: signal for signal in evidence.signals}
    names = (evidence.norm, "loss", "early_eval")
    p_values = {
        (name, given): one.p_value
        for name in names
        for given, one in (
            (False, chosen[name].alone),
            (True, chosen[name].given_config),
        )
        if one is not None and math.isfinite(one.p_value)
    }
    holm = holm_adjusted(p_values)
    config = _config_words(evidence.config_names)
    found = [
        _signal(chosen[name], config, holm, _helping(evidence, chosen[name])) for name in names
    ]
    return [*found, _sets(evidence)]


def _signal(
    signal: SignalEvidence,
    config: str,
    holm: Mapping[tuple[str, bool], float],
    helping: str,
) -> Statement:
    alone, given, noun = signal.alone, signal.given_config, NOUNS[signal.name]
    if alone is None:
        text = (
            f"Nothing to tell of {noun}: fewer than three finished runs have it, or it is the same "
            "in all."
        )
        return Statement(signal.name, "too few", None, text)
    if not math.isfinite(alone.half_width):
        text = f"rho {alone.rho:+.2f} of {alone.num_configs} configurations, no interval"
        return Statement(signal.name, "too few", None, f"Too few runs to tell: {noun}, {text}.")
    if _is_claimed(alone, holm[signal.name, False]):
        finding: Finding = "higher" if alone.rho > 0 else "lower"
        paper = PAPER.get(signal.name)
        sides = {None: "", finding: ", as in the paper"}
        side = sides.get(paper, ", against the paper")
        tail, adds = _addition(signal, config, helping)
        text = f"{finding.capitalize()} {noun} goes with a better score here {_numbers(alone)}"
        return Statement(signal.name, finding, adds, f"{text}{side}{tail}.")
    if given is not None and _is_claimed(given, holm.get((signal.name, True), 1.0)):
        finding = "higher" if given.rho > 0 else "lower"
        text = (
            f"Alone, {noun} shows no clear sign {_numbers(alone)}, but {_known(signal, config)} "
            f"{finding} goes with a better score {_short(given)}"
        )
        return Statement(signal.name, finding, True, f"{text}.", only_given=True)
    if alone.excludes_zero:
        word = "higher" if alone.rho > 0 else "lower"
        text = (
            f"Only a hint that {word} {noun} goes with a better score {_numbers(alone)}: with "
            f"{len(holm)} correlations looked at, chance gives one as strong too often"
        )
        return Statement(signal.name, "hint", None, f"{text}.")
    if alone.half_width > WIDE:
        text = (
            f"Too few runs to tell whether {noun} goes with the score {_numbers(alone)}; an "
            f"interval of +-{AIM:g} takes about {num_configs_needed(AIM)} configurations, here are "
            f"{alone.num_configs}"
        )
        return Statement(signal.name, "too few", None, f"{text}.")
    text = f"No clear sign of it either way: {noun} and score {_numbers(alone)}"
    if given is not None and math.isfinite(given.half_width):
        text += f"; {_known(signal, config)} {_short(given)}"
    return Statement(signal.name, "none", None, f"{text}.")


def _addition(signal: SignalEvidence, config: str, helping: str) -> tuple[str, bool | None]:
    """What to say of a claimed signal, given the configuration. `helping`: as _helping says."""
    given = signal.given_config
    if not config:
        return "", None
    if given is None or not math.isfinite(given.half_width):
        text = f"; too few runs to tell whether it adds anything once {config} known"
        return f"{text}{helping}", None
    known, alone = _known(signal, config), signal.alone
    assert alone is not None
    shown = f"{known} {_short(given)}"
    if given.excludes_zero and given.p_value < ALPHA:
        same = given.rho * alone.rho > 0
        return f", {'and still does' if same else 'but the other way round'} {shown}", True
    if given.half_width > WIDE:
        return f"; too few runs to tell whether it adds anything {shown}{helping}", None
    if given.excludes_zero:
        return f"; whether it adds anything {shown} is not clear{helping}", None
    if max(-given.low, given.high) <= NEXT_TO_NOTHING and not helping:
        return f", but adds nothing {shown}", False
    return f", but is not shown to add {shown}{helping}", None


def _helping(evidence: StudyEvidence, signal: SignalEvidence) -> str:
    """What predictions gain by this signal, of the first pair of sets that differ by it and whose
    interval lies above 0; empty where there is none."""
    own = _column(signal.name)
    vary = {_column(one.name) for one in evidence.signals if one.alone is not None}
    for what, _, gains in _predictions(evidence):
        for gain in gains:
            more = set(SETS[gain.name]) - set(SETS[gain.base])
            if more & vary == {own} and gain.is_above:
                beyond = "" if gain.base == "configuration" else f" beyond the {gain.base[2:]}"
                return f", though it helps to predict {what}{beyond} {_nats(gain)}"
    return ""


def _column(name: str) -> str:
    """Of the sets: whichever norm it is."""
    return "grad_norm" if name.startswith("grad_norm") else name


def _predictions(evidence: StudyEvidence) -> list[tuple[str, str, tuple[SetGain, ...]]]:
    """What was predicted, how it was left out, and the gains. Where seeds repeat, a configuration
    without any other seed first: a sweep's next trial is one."""
    alone = "another seed of a known one" if evidence.new_gains else "a left-out run"
    return [
        ("a new configuration", " (left out with all its seeds)", evidence.new_gains),
        (alone, "", evidence.gains),
    ]


def added(evidence: StudyEvidence) -> list[Added]:
    """What the dynamics add, where an interval tells."""
    found: list[Added] = []
    for what, how, gains in _predictions(evidence):
        pairs = {(gain.base, gain.name): gain for gain in gains}
        to_config = pairs.get(("configuration", "+ dynamics"))
        if to_config is not None and to_config.log_density_low is not None:
            to_both = pairs.get(("+ early evaluation", "all"))
            found.append(Added(what, how, to_config, to_both))
    return found


def added_sentence(found: Added, numbers: bool = False) -> str:
    """The sentence on what loss and norm add to the configuration."""

    def of(gain: SetGain) -> str:
        return f" {_nats(gain)}" if numbers else ""

    helps = found.to_config.is_above
    text = (
        f"Loss and norm {'help' if helps else 'do not show to help'} to predict {found.what}"
        f"{found.how if numbers else ''} beyond what its hyperparameters tell{of(found.to_config)}"
    )
    if found.to_both is None:
        return f"{text}."
    tail = {
        (True, True): "and beyond the early evaluation too",
        (True, False): "but do not show to help beyond the early evaluation too",
        (False, True): "but help beyond the early evaluation",
        (False, False): "nor beyond the early evaluation",
    }
    return f"{text}, {tail[helps, found.to_both.is_above]}{of(found.to_both)}."


def _sets(evidence: StudyEvidence) -> Statement:
    """Whether the dynamics add to the configuration, and to the early evaluation beside it."""
    found = added(evidence)
    if found:
        adds = found[0].to_config.is_above
        text = " ".join(added_sentence(one, numbers=True) for one in found)
        return Statement("sets", "higher" if adds else "none", adds, text)
    text = "Too few runs to tell what loss and norm add to the configuration."
    return Statement("sets", "too few", None, text)


def _is_claimed(found: Correlation, holm: float) -> bool:
    return found.excludes_zero and holm < ALPHA


def _known(signal: SignalEvidence, config: str) -> str:
    if signal.controls == "label":
        return "among seeds of the same configuration"
    return f"once {config} known"


def _config_words(names: Sequence[str]) -> str:
    words = [name.replace("_", " ") for name in names]
    if not words:
        return ""
    if len(words) > MOST_NAMES:
        return "the configuration is"
    if len(words) == 1:
        return f"{words[0]} is"
    return f"{', '.join(words[:-1])} and {words[-1]} are"


def _numbers(found: Correlation) -> str:
    over = counted(found.num_runs, "run")
    if found.num_configs < found.num_runs:
        over += f" of {found.num_configs} configurations"
    return f"({_range(found)}, {over})"


def _short(found: Correlation) -> str:
    return f"({_range(found)})"


def _range(found: Correlation) -> str:
    return f"rho {found.rho:+.2f}, 95 % {found.low:+.2f} to {found.high:+.2f}"


def _nats(gain: SetGain) -> str:
    return (
        f"({gain.log_density:+.2f} nats a run, 95 % {gain.log_density_low:+.2f} to "
        f"{gain.log_density_high:+.2f})"
    )


def pooled_statement(pooled: Pooled, given: str = "") -> str:
    """One sentence on a signal over several studies; `given`: "once ... is known", say."""
    noun, known = NOUNS[pooled.name], f" {given}" if given else ""
    agree = max(pooled.num_positive, pooled.num_studies - pooled.num_positive)
    sign = "positive" if 2 * pooled.num_positive >= pooled.num_studies else "negative"
    numbers = (
        f"rho {pooled.rho:+.2f}, 95 % {pooled.low:+.2f} to {pooled.high:+.2f}, "
        f"{pooled.num_runs} runs in {pooled.num_studies} studies, "
        f"{sign} in {agree} of them"
    )
    if pooled.low <= 0 <= pooled.high:
        return f"No common sign over the studies: {noun}{known} ({numbers})."
    word = "higher" if pooled.rho > 0 else "lower"
    text = f"{word} {noun} goes with a better score over the studies{known} ({numbers})"
    if pooled.holm < ALPHA:
        return f"{capital(text)}."
    return (
        f"Only a hint that {text}: with as many correlations looked at, chance gives one as strong "
        "too often."
    )
