"""The wheel, installed elsewhere: what it must hold is there without the source tree."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests import PAPER_STUDIES, ROOT

pytestmark = pytest.mark.slow
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def run(*command: str | Path, cwd: Path) -> str:
    """What it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin/ of an environment with the wheel, and with this one's other packages."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    run(*PIP, *build, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv")
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    # The .pth files in them are not followed, so an editable install of ours is not seen.
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "shared.pth").write_text("\n".join(shared))
    python = folder / "venv" / "bin" / "python"
    run(*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    return python.parent


PLACES = """
import json, predictor, studies, sweep, trainer
print(json.dumps([each.__path__[0] for each in (predictor, studies, sweep, trainer)]))
assert callable(sweep.run)
"""


def test_the_packages_are_the_wheels_and_typed(installed: Path, tmp_path: Path) -> None:
    places = [
        Path(each) for each in json.loads(run(installed / "python", "-c", PLACES, cwd=tmp_path))
    ]
    assert all(place.is_relative_to(installed.parent) for place in places)
    typed = {place.name for place in places if (place / "py.typed").exists()}
    assert typed == {"predictor", "sweep", "trainer"}


def test_the_questions_of_mt_bench_are_there_with_their_licence(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "from importlib.resources import files; from sweep.judging.questions import questions;"
        "print(len(questions()), (files('sweep.judging') / 'mt_bench' / 'LICENSE').is_file())"
    )
    assert run(installed / "python", "-c", code, cwd=tmp_path) == "80 True\n"


def test_shipped_studies_are_listed(installed: Path, tmp_path: Path) -> None:
    listed = run(installed / "sweep", "studies", cwd=tmp_path).splitlines()
    assert [line.split()[0] for line in listed] == [*PAPER_STUDIES, "quickstart", "smollm2-gsm8k"]


def test_the_quickstart_runs(installed: Path, tmp_path: Path) -> None:
    run(installed / "sweep", "run", "quickstart", "--trials", "2", cwd=tmp_path)
    shown = json.loads(run(installed / "sweep", "inspect", "quickstart", "--json", cwd=tmp_path))
    assert [trial["state"] for trial in shown["trials"]] == ["completed"] * 2
    run(installed / "sweep", "report", "quickstart", cwd=tmp_path)  # its assets are in the wheel
    assert (tmp_path / "runs" / "quickstart" / "report.html").stat().st_size > 50_000


def test_recorded_studies_are_there(installed: Path, tmp_path: Path) -> None:
    code = (
        "from importlib.resources import files; import sweep;"
        "print(sweep.evidence(files('studies') / 'recorded' / 'smollm2', max_runs=20))"
    )
    assert run(installed / "python", "-c", code, cwd=tmp_path)
