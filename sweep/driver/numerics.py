"""Where rounding, and not the configuration, would decide how a trial does."""

from __future__ import annotations

from sweep.config.study import Study

_MOVES_BELOW = 2.0**9  # a bfloat16 has 8 bits: a step under half its last place is rounded away
BFLOAT16_CAUTION = (
    "with full tuning, weights in bfloat16 lose small steps, so that low learning rates look "
    "useless: lora or float32 keeps them comparable"
)


def cautions(study: Study) -> list[str]:
    """Sentences for whoever is about to run the study; none where the numbers are held well."""
    model = study.model
    if model.tuning != "full" or model.weights != "bfloat16":
        return []
    low, high = study.search.space.extremes("learning_rate")
    return [
        f"model.weights: bfloat16 rounds: a step at learning_rate {low:g} moves only weights "
        f"smaller than {low * _MOVES_BELOW:.2g}, one at {high:g} those smaller than "
        f"{high * _MOVES_BELOW:.2g}; {BFLOAT16_CAUTION}"
    ]
