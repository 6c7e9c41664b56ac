"""The example scripts run as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from predictor.adapters.stored import VERDICT, WINDOW


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:'pin_memory':UserWarning")
def test_the_optuna_and_trl_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from examples import optuna_trl

    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna_trl.main(num_trials=4, num_rows=640, storage=storage)
    trials = study.get_trials()
    assert len(trials) == 4
    for trial in trials:
        assert trial.state.is_finished()
        assert trial.user_attrs[WINDOW]["samples"] == 64
        assert trial.user_attrs[VERDICT]["reason"]
        assert min(trial.intermediate_values) == 64  # evaluated where the window ends
    assert "best: trial" in capsys.readouterr().out
