"""The example script and the notebook run as they are."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from predictor.adapters.stored import VERDICT, WINDOW
from tests import ROOT
from tests.support.home import Home


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


def cells() -> list[str]:
    """The code of the example notebook."""
    notebook = json.loads((ROOT / "examples" / "notebook.ipynb").read_text())
    assert notebook["nbformat"] == 4
    return ["".join(one["source"]) for one in notebook["cells"] if one["cell_type"] == "code"]


def test_the_notebook_carries_no_outputs() -> None:
    notebook = json.loads((ROOT / "examples" / "notebook.ipynb").read_text())
    outputs = [one["outputs"] for one in notebook["cells"] if one["cell_type"] == "code"]
    assert outputs and not any(outputs)


@pytest.mark.slow
def test_the_notebook_runs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Jupyter does it: cell by cell, and what a cell ends with is shown. The study is a fake."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(home.folder)
    monkeypatch.setattr("sweep.run_study.LocalExecutor", lambda: home.executor)
    session: dict[str, Any] = {}
    shown: list[Any] = []
    for text in cells():
        of_a_fake = text.replace('run("quickstart"', 'run("fake.yaml"').replace(
            "quickstart", "fake"
        )
        lines = ast.parse(of_a_fake)
        last = lines.body.pop() if isinstance(lines.body[-1], ast.Expr) else None
        exec(compile(lines, "a cell", "exec"), session)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), "a cell", "eval"), session))
    assert "data:image/png" in shown[0]._repr_html_()
    assert len(session["study"].trials) == 4
    assert shown[-1] == "done"
    assert (home.folder / "report.html").is_file()
