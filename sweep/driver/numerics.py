"""What the numbers are held and computed in, where that would decide in the configuration's place
or cost much time."""

from __future__ import annotations

from collections.abc import Iterator

from sweep.config.study import Study

_MOVES_BELOW = 2.0**9  # a bfloat16 has 8 bits: a step under half its last place is rounded away
BFLOAT16_CAUTION = (
    "with full tuning, weights in bfloat16 lose small steps, so that low learning rates look "
    "useless: lora or float32 keeps them comparable"
)


def cautions(study: Study, device: str) -> Iterator[str]:
    """Sentences for whoever is about to run the study; none where the numbers are held well.

    `device`: cuda, mps or cpu, as the preparation found it.
    """
    model = study.model
    if model.tuning == "full" and model.weights == "bfloat16":
        low, high = study.search.space.extremes("learning_rate")
        yield (
            f"model.weights: bfloat16 rounds: a step at learning_rate {low:g} moves only weights "
            f"smaller than {low * _MOVES_BELOW:.2g}, one at {high:g} those smaller than "
            f"{high * _MOVES_BELOW:.2g}; {BFLOAT16_CAUTION}"
        )
    if model.dtype == "bfloat16" and device == "cpu":
        yield (
            "model.dtype: the trials run on a CPU, where bfloat16 is mostly several times slower "
            "than float32"
        )
