"""Who may not import whom: each contract is broken in a copy of the code,
by one import alone, and must be noticed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import ROOT

SWEEP_ON_TRAINER = "sweep knows of trainer the contract alone, and never imports torch"

# Contract, the file that breaks it, and by what.
BREACHES = [
    ("the rooms of sweep import only downwards", "sweep/config/kinds.py", "sweep.driver.plan"),
    (SWEEP_ON_TRAINER, "sweep/driver/slots.py", "trainer.data.notes"),
    (SWEEP_ON_TRAINER, "trainer/contract/hub.py", "trainer.data.rows"),  # through the contract
    ("the rooms of trainer import only downwards", "trainer/data/notes.py", "trainer.model.fit"),
    ("trainer knows neither Optuna nor sweep", "trainer/model/team.py", "sweep.formats"),
    ("predictor stands alone", "predictor/guards.py", "trainer.contract.spec"),
    (
        "what decides does not wait for scikit-learn or pandas",
        "predictor/judge.py",
        "pandas",
    ),
    (
        "what decides knows nothing of what studies it",
        "predictor/rank.py",
        "predictor.replay.regret",
    ),
    (
        "the contracts between packages import nothing heavy",
        "trainer/contract/hub.py",
        "pandas",
    ),
    ("rich is imported in two files", "sweep/report/card.py", "rich.text"),
]


def verdicts(folder: Path) -> dict[str, str]:
    """Contract -> KEPT or BROKEN, as lint-imports says in that folder."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=folder, capture_output=True, text=True)
    return dict(re.findall(r"^(.+?) (KEPT|BROKEN)(?: \(.*\))?$", done.stdout, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.parametrize(("contract", "file", "module"), BREACHES)
def test_every_contract_notices_its_breach(
    tmp_path: Path, contract: str, file: str, module: str
) -> None:
    for package in ("sweep", "trainer", "predictor"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a", encoding="utf-8") as stream:
        stream.write(f"\nimport {module}\n")
    assert verdicts(tmp_path)[contract] == "BROKEN"


def test_every_contract_has_a_breach_here() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert {contract["name"] for contract in settings["contracts"]} == {
        contract for contract, *_ in BREACHES
    }


def test_all_of_trainer_but_its_contract_is_forbidden_to_sweep() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (c for c in settings["contracts"] if c["name"].startswith("sweep knows"))
    packages = {path.parent for path in (ROOT / "trainer").glob("*/__init__.py")}
    modules = {path for path in (ROOT / "trainer").glob("[!_]*.py")}
    there = {f"trainer.{path.stem}" for path in packages | modules} - {"trainer.contract"}
    assert there and there <= set(contract["forbidden_modules"])


@pytest.mark.parametrize("package", ["sweep", "trainer"])
def test_every_module_of_a_package_has_a_layer(package: str) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    named = {
        name.strip()
        for contract in settings["contracts"]
        for layer in contract.get("layers", ())
        for name in re.split(r"[|:]", layer)
    }
    rooms = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / package).glob("[!_]*.py")}
    assert {f"{package}.{name}" for name in rooms | modules} <= named


def test_all_that_decides_is_in_the_core_of_the_predictor() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (c for c in settings["contracts"] if c["name"].startswith("what decides knows"))
    named = {name.strip() for layer in contract["layers"] for name in re.split(r"[|:]", layer)}
    rooms = {path.parent.name for path in (ROOT / "predictor").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "predictor").glob("[!_]*.py")}
    assert {f"predictor.{name}" for name in rooms | modules} <= named
