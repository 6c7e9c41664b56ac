"""What a trial's spec says of its looks, and that JSON holds all of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from trainer.contract.spec import LoraSpec, ModelSpec, TrialSpec

SPEC = TrialSpec(0, 0, ModelSpec("base"), "data", "trial", 8, 77, 16, ("eval_loss",), 4, 1e-3)


@pytest.mark.parametrize(
    ("window_samples", "looks", "steps"),
    [
        (16, (), (2,)),
        (17, (), (3,)),
        (16, (24, 32, 40), (2, 3, 4, 5)),
        (16, (25, 33), (2, 4, 5)),  # at the end of the step that reaches them
        (16, (17, 23, 24, 25), (2, 3, 4)),  # three within one step are one look
        (17, (20, 30), (3, 4)),  # the first is within the window's last step
        (16, (40, 72, 73, 76), (2, 5, 9)),  # the last step's end is no look
        (77, (), (10,)),  # but where the window closes there
        (0, (), ()),
        (0, (24, 32), ()),  # without a window nobody is asked
    ],
)
def test_the_steps_whose_ends_are_looked_at(
    window_samples: int, looks: tuple[int, ...], steps: tuple[int, ...]
) -> None:
    spec = replace(SPEC, window_samples=window_samples, looks=looks)
    assert spec.look_steps == steps


def test_json_holds_all_of_a_spec() -> None:
    lora = LoraSpec(targets=("q_proj",), modules_to_save=("lm_head",))
    spec = replace(SPEC, looks=(24, 40), model=ModelSpec("base", "lora", lora))
    assert TrialSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_spec_written_before_there_were_looks_has_none() -> None:
    values = SPEC.to_json()
    del values["looks"]
    assert TrialSpec.from_json(values) == SPEC
