"""Whether two versions say the same: `python -m benchmarks.same_numbers FILE [--to FILE]`.

    python -m benchmarks.same_numbers --to before.json       # at the one version
    python -m benchmarks.same_numbers before.json            # at the other: what differs, by name

Asked are the quickstart's verdicts (one worker, seed 0), what each recorded set says under
`evidence`, `replay` and `tune`, the shipped recipes, and the dry runs of the shipped studies.
Times, paths and versions are left out. A number counts as the same only where it is equal to the
bit. A key that was renamed is told by `--renamed OLD=NEW`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STUDIES = Path(__file__).parents[1] / "studies"
SETS = ("quickstart", "smollm2")
DRY_RUNS = ("quickstart", "smollm2-gsm8k")
RUNS = ["--trials", "14", "--workers", "1", "--set", "run.seed=0"]
VOLATILE = {"seconds", "created_s", "out", "model_dir", "folder", "log"}  # keys that differ by run
NAMES = ("group", "policy", "name", "over", "number")  # what tells the parts of a list apart
ANY_NUMBER = re.compile(r"\d+(\.\d+)?( ?(s|min|h|GB|MB|GiB|MiB)\b)|/\S+")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    asked.add_argument("before", type=Path, nargs="?", help="what another version said")
    asked.add_argument("--to", type=Path, help="where to store what this version says")
    asked.add_argument("--renamed", nargs="*", default=[], metavar="OLD=NEW")
    asked.add_argument("--sets", nargs="*", default=[], metavar="DIR/X", help="more recorded sets")
    given = asked.parse_args()
    said = dict(everything([Path(one) for one in given.sets]))
    if given.to is not None:
        given.to.write_text(json.dumps(said, indent=1))
        print(f"{sum(len(values) for values in said.values())} values of {len(said)} questions")
    if given.before is not None:
        renamed = dict(pair.split("=", 1) for pair in given.renamed)
        sys.exit(0 if compare(json.loads(given.before.read_text()), said, renamed) else 1)


def everything(more: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each question and its answer, as one value for each place in the JSON."""
    sets = [*(STUDIES / "recorded" / name for name in SETS), *more]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "quickstart")
        ask("run", "quickstart", "--out", str(out), *RUNS)
        yield "inspect quickstart", flat(ask_json("inspect", str(out)))
        yield "one trial", flat(ask_json("inspect", str(out), "--trial", "0"))
        yield "evidence of the run", flat(ask_json("evidence", str(out)))
        for study in DRY_RUNS:
            text = ask("run", study, "--dry-run", "--out", str(Path(folder, study)), may_fail=True)
            lines = [ANY_NUMBER.sub("", line) for line in text.splitlines()]
            yield f"dry run {study}", {str(i): line for i, line in enumerate(lines)}
            yield f"recipes {study}", flat(ask_json("recipes", study))
    for one in sets:
        yield f"evidence {one.name}", flat(ask_json("evidence", str(one)))
        yield f"replay {one.name}", flat(ask_json("replay", str(one), "--against", "all"))
        yield f"tune {one.name}", flat(ask_json("tune", str(one), "--orders", "2"))


def ask(*arguments: str, may_fail: bool = False) -> str:
    command = [sys.executable, "-m", "sweep.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and not may_fail:
        raise SystemExit(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout + done.stderr if may_fail else done.stdout


def ask_json(*arguments: str) -> Any:
    return json.loads(ask(*arguments, "--json"))


def flat(value: Any, at: str = "") -> dict[str, Any]:
    """`a.b.0.c` -> value, without what changes from run to run."""
    if isinstance(value, dict) and value:
        items = [(key, one) for key, one in value.items() if key not in VOLATILE]
    elif isinstance(value, list) and value:
        items = [(_name(one, index), one) for index, one in enumerate(value)]
    else:
        return {at: value}
    found: dict[str, Any] = {}
    for key, one in items:
        found |= flat(one, f"{at}.{key}" if at else str(key))
    return found


def _name(part: Any, index: int) -> str:
    """Of a part of a list: what it is called, where that is so; else its place."""
    named = [str(part[key]) for key in NAMES if isinstance(part, dict) and key in part]
    return " ".join(named) or str(index)


def compare(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]], renamed: dict[str, str]
) -> bool:
    """Print a line for each question; True where all answers are equal."""
    all_equal = True
    for question, answers in before.items():
        old = {_renamed(place, renamed): value for place, value in answers.items()}
        new = after.get(question, {})
        differ = [place for place in old if place not in new or old[place] != new[place]]
        added = [place for place in new if place not in old]
        print(f"{question:<28} {len(old):>7} values, {len(differ)} differ, {len(added)} new")
        for place in differ[:10]:
            print(f"    {place}: {old[place]!r} -> {new.get(place, 'not there')!r}")
        all_equal = all_equal and not differ
    return all_equal


def _renamed(place: str, renamed: dict[str, str]) -> str:
    return ".".join(renamed.get(part, part) for part in place.split("."))


if __name__ == "__main__":
    main()
