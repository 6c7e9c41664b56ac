"""The documents say what the code does: what is generated, links, study files and commands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from docs.generate import DOCUMENTS, keys
from sweep.config.load import load_study
from sweep.config.study import Study
from sweep.config.yaml_text import parse
from sweep.offline_commands import app
from tests import ROOT

README = ROOT / "README.md"
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("studies/*/README.md")]),
]
CONSTANT = re.compile(r"`([A-Z][A-Z_0-9]+) = ([\d.]+)`")
EXAMPLES = sorted(ROOT.glob("examples/*.yaml"))
WHOLE = {
    "name": "x",
    "model": {"base": "x"},
    "data": {"train": "x", "eval": "y"},
    "budget": {"epochs": 1},
    "search": {"space": {"learning_rate": 1e-4, "batch_size": {"choices": [8, 16]}}},
}


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, text) of every fenced block in that language."""
    pattern = re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    return [(page.name, text) for page in PAGES for text in pattern.findall(page.read_text())]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_generated_pages_are_up_to_date(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    assert text == DOCUMENTS[name](), "run python -m docs.generate"


def test_every_key_has_a_description() -> None:
    assert [key for key, _, text in keys(Study) if not text] == []


@pytest.mark.parametrize(("page", "block"), blocks("yaml"))
def test_yaml_is_a_study_or_a_part_of_one(page: str, block: str) -> None:
    Study.model_validate({**WHOLE, **parse(block, page)})


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples_are_studies(file: Path, tmp_path: Path) -> None:
    for source in re.findall(r"\w+\.jsonl", file.read_text()):
        (tmp_path / source).touch()
    study = load_study(shutil.copy(file, tmp_path)).study
    assert study.name == file.stem


def test_links_lead_somewhere() -> None:
    """Files, and the headings in them; addresses elsewhere are not asked."""
    broken: list[str] = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "://" in target:
                continue
            path, _, heading = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (heading and heading not in headings(file)):
                broken.append(f"{page.name}: {target}")
    assert not broken


def headings(page: Path) -> set[str]:
    """As anchors."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_constants_are_those_of_the_code() -> None:
    """`NAME = 3` in a page is in the predictor, with that value."""
    code = "\n".join(file.read_text() for file in (ROOT / "predictor").rglob("*.py"))
    named = [pair for page in PAGES for pair in CONSTANT.findall(page.read_text())]
    assert len(named) >= 3
    wrong = [f"{name} = {value}" for name, value in named if f"\n{name} = {value}" not in code]
    assert wrong == []


def test_commands_exist() -> None:
    named = {
        name
        for page in PAGES
        for name in re.findall(r"^    sweep (\w+)", page.read_text(), re.MULTILINE)
    }
    assert named
    assert named <= set(app)


def test_python_is_python() -> None:
    for page, text in blocks("python"):
        compile(text, page, "exec")


@pytest.mark.slow
def test_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """README first, then the API's page, in one session, as a reader would try them."""
    monkeypatch.chdir(tmp_path)
    session: dict[str, Any] = {}
    tried = [text for page, text in blocks("python") if page in ("README.md", "api.md")]
    assert len(tried) >= 5
    for text in tried:
        exec(compile(text, "an example", "exec"), session)
    assert len(session["study"].trials) == 4


def test_the_readme_is_one_screen_and_a_bit() -> None:
    assert len(README.read_text().splitlines()) <= 150
