"""The predictor's settings: defined once, and known by that to everything that takes them."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any

import pytest
from pydantic import ValidationError

from predictor.adapters import EarlyDynamicsPruner
from predictor.replay.policies import FIXED, REPLAYED
from predictor.types import SCOUTING, Settings
from sweep.analysis.replay.replay import read_settings
from sweep.config.pruning import Pruning

KEYS = [one for one in fields(Settings) if one.name != "seed"]  # that one is run.seed


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_the_study_file_has_each_with_its_default_sentence_and_unit(key: Any) -> None:
    found = Pruning.model_fields[key.name]
    assert found.default == key.default
    assert found.description == key.metadata["description"]
    assert found.json_schema_extra == key.metadata["json_schema_extra"]


def test_a_study_files_section_gives_them_back() -> None:
    assert Pruning().settings() == Settings()
    section = Pruning.model_validate({"risk": 0.2, "startup": 5.0, "guards": False})
    assert section.settings(seed=3) == Settings(risk=0.2, startup=5, guards=False, seed=3)


def test_where_a_study_is_looked_at_is_a_list_of_ascending_shares() -> None:
    assert Pruning.model_validate({"looks": [0.2, 0.4]}).settings().looks == (0.2, 0.4)
    for wrong in ([], [0.2, 0.2], [0, 0.5], [0.5, 1.0], 0.3):
        with pytest.raises(ValidationError, match="looks"):
            Pruning.model_validate({"looks": wrong})


@pytest.mark.parametrize("settings", [Settings(mode="stream", risk=0.2), Settings(looks=(0.5,))])
def test_settings_are_stored_as_they_are_and_scouting_where_it_is_on(settings: Settings) -> None:
    stored = json.loads(json.dumps(settings.to_json()))
    assert Settings.from_json(stored) == settings
    assert ("looks" in stored) is settings.scouts


@pytest.mark.parametrize("name", SCOUTING)
def test_a_pruner_cannot_park_trials(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: no settings of a pruner"):
        EarlyDynamicsPruner(**{name: getattr(Settings(), name)})


@pytest.mark.parametrize("name", REPLAYED)
def test_a_replay_takes_each_that_acts_in_it(name: str) -> None:
    default = getattr(Settings(), name)
    other: Any = {"mode": "stream", "looks": (0.3,)}.get(name)
    if other is None:
        other = default + 1 if isinstance(default, int) else default / 2
    given = list(other) if name == "looks" else other
    assert getattr(read_settings({name: given})[0], name) == other
    assert set(REPLAYED) | set(FIXED) == {one.name for one in fields(Settings)}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"risk": 1.0}, "risk is 1.0; must be less than 1"),
        ({"risk": 0}, "risk is 0; must be greater than 0"),
        ({"startup": 0}, "startup is 0; must be at least 1"),
        ({"audit": 1.5}, "audit is 1.5; must be at most 1"),
        ({"min_gain": math.inf}, "min_gain is inf; must be at most 1e+06"),
        ({"prior_strength": math.nan}, "prior_strength is nan; must be at"),
        ({"rsik": 0.1}, "rsik is not a setting; there are enabled, startup, risk"),
    ],
)
def test_what_is_out_of_bounds_is_refused_in_a_sentence(
    values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError) as refused:
        Settings.checked(values)
    assert str(refused.value).startswith(sentence)
    with pytest.raises(ValueError, match=next(iter(values))):
        EarlyDynamicsPruner(**values)


def test_a_pruner_has_no_prior_to_be_weighed() -> None:
    with pytest.raises(ValueError, match="prior_strength: no setting of a pruner any more"):
        EarlyDynamicsPruner(prior_strength=2.0)
