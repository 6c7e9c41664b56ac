"""What strangers hand over: storages that are none, names that lead elsewhere, and secrets."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from predictor.recorded.files import write_frames
from sweep.cli import main
from sweep.config.load import load_study
from sweep.storage.engine import connectable, make_engine, sqlite_file
from sweep.storage.ledger import Ledger
from tests.support.home import Home
from tests.support.recorded_frames import frames, run_row
from trainer.contract.safe_text import file_name

SECRET = "hunter2x"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS study FROM n"


def _sql(*statements: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        connection = sqlite3.connect(file)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return change


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def rewrite(file: Path) -> None:
        for beside in (file.with_name("study.db-wal"), file.with_name("study.db-shm")):
            beside.unlink(missing_ok=True)
        file.write_bytes(change(file.read_bytes()))

    return rewrite


DAMAGES = [
    _bytes(lambda data: b""),
    _bytes(lambda data: data[: len(data) // 3]),
    _bytes(lambda data: data[:5000]),
    _bytes(lambda data: b"SQLite format 3\0" + b"\xff" * 5000),
    _bytes(lambda data: b"not a database, but a text" * 100),
    _bytes(lambda data: data[:4096] + b"\x00" * (len(data) - 4096)),
    _sql("DROP TABLE sweep_notes", f"CREATE VIEW sweep_notes AS {ENDLESS}"),
    _sql("DROP TABLE sweep_studies", f"CREATE VIEW sweep_studies AS {ENDLESS}"),
    _sql("DROP TABLE sweep_trials"),
    _sql("DROP TABLE sweep_studies", "CREATE TABLE sweep_studies (study TEXT)"),
    _sql("DROP TABLE sweep_notes", "CREATE TABLE sweep_notes (id INTEGER, study TEXT, at_s REAL, "
         "text TEXT GENERATED ALWAYS AS (hex(zeroblob(9))))"),
    _sql("UPDATE sweep_studies SET document = 'no JSON'"),
    _sql("UPDATE sweep_studies SET document = '[1, 2]'"),
    _sql("UPDATE sweep_studies SET document = '{}', facts = 'null'"),
    _sql(f"UPDATE sweep_studies SET document = '{'[' * 100_000}'"),
    _sql("UPDATE sweep_studies SET facts = '5'"),
    _sql("UPDATE sweep_trials SET params = '[]'"),
    _sql("UPDATE sweep_trials SET params = '\"text\"'"),
    _sql("UPDATE sweep_trials SET window = '{\"loss\": \"x\"}'"),
    _sql("UPDATE sweep_trials SET objective = 'x'"),
    _sql("UPDATE sweep_trials SET number = '../../x' WHERE number = 0"),
    _sql("UPDATE sweep_trials SET state = 'unheard of'"),
    _sql("UPDATE sweep_trials SET measurements = '{\"eval_loss\": 5}', state = 'completed'"),
    _sql("UPDATE sweep_decisions SET settings = '{\"unknown\": 1}'"),
    _sql("UPDATE sweep_decisions SET evidence = '[]'"),
    _sql("UPDATE sweep_costs SET flops = 'x'"),
    _sql("UPDATE sweep_costs SET flops = 1e308, seconds = 9e999"),
    _sql("UPDATE sweep_observations SET loss = 'x', lr = 'y'"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("damage", range(len(DAMAGES)))
def test_a_storage_that_is_no_storage_is_a_sentence(
    finished: Path,
    tmp_path: Path,
    damage: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "runs" / "fake" / "study.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(finished.read_bytes())
    DAMAGES[damage](file)
    for command in (
        ["inspect", "fake"],
        ["inspect", "fake", "--json"],
        ["inspect", "fake", "--trial", "0"],
        ["export", "fake", "--to", "x"],
    ):
        code = main(command)
        said = capfd.readouterr().err
        assert code in (0, 2), (command, said)
        assert "Traceback" not in said and "a fault of sweep's own" not in said


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a study of fake trials."""
    from tests.support.fake_driver import FakeTrials

    executor = FakeTrials()
    home = Home(tmp_path_factory.mktemp("finished"), executor)
    try:
        assert home.run("run.trials=4") == 0
    finally:
        executor.close()
    connection = sqlite3.connect(home.out / "study.db")
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    return home.out / "study.db"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/db",
        f"postgresql+psycopg://me:a/{SECRET}@127.0.0.1:1/db",
        f"postgresql+psycopg://me:a@{SECRET}@127.0.0.1:1/db",
        f"postgresql+psycopg://me:{SECRET}",
        f"postgresql+psycopg://127.0.0.1:1/db?password={SECRET}",
        f"postgresql+psycopg://127.0.0.1:1/db?sslmode=disable&sslpassword={SECRET}",
        f"postgresql:/me:{SECRET}@h/db",
        f"postgresql+nothing://me:{SECRET}@h/db",
        f"nothing://me:{SECRET}@h/db",
        f"mysql://me:{SECRET}@h/db",
        f"postgresql+psycopg://me:{SECRET}@h:port/db",
        f"postgresql+psycopg://me:{SECRET} and more@h/db",
        f"postgresql+psycopg://me:'{SECRET}'@h/db",
        f"sqlite+other:////tmp/{SECRET[:3]}.db",
    ],
)
def test_no_message_about_a_storage_tells_its_password(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_TRACEBACK", "1")
    for command in (
        ["run", "quickstart", "--storage", url],
        ["run", "quickstart", "--storage", url, "--dry-run", "--set", "model.base=/nowhere"],
        ["run", "quickstart", "--set", f"run.storage={url}", "model.base=/nowhere"],
        ["run", "quickstart", "--set", f"pruning.history=['{url}#x']", "model.base=/nowhere"],
        ["run", "quickstart", "--set", f"name={url}", "--dry-run"],
        ["recipes", "quickstart", "--set", f"data.train={url}"],
        *([command, url] for command in ("inspect", "evidence", "replay", "tune", "retry")),
        ["inspect", f"{url}#study"],
        ["export", url, "--to", "x"],
        ["export", f"{url}#study", "--to", url],
        ["inspect", "nothing", url],
    ):
        code = main(command)
        captured = capfd.readouterr()
        assert code == 2, (command, captured.err)
        assert SECRET not in captured.out + captured.err, command
        assert "Traceback" not in captured.err
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in left)


@pytest.mark.slow
def test_no_row_and_no_file_of_a_study_holds_a_password(home: Home) -> None:
    """The storage is where a study may be; the secret stands wherever one can be written."""
    history = f"pruning.history=['postgresql://me:{SECRET}@h/db']"
    loaded = load_study(str(home.file), [history, f"run.storage=postgresql://me:{SECRET}@h/d"])
    document = loaded.study.to_document()
    assert document["run"]["storage"] == "postgresql://me@h/d"
    assert document["pruning"]["history"] == ["postgresql://me@h/db"]
    assert home.run("run.trials=2") == 0
    engine = make_engine(f"sqlite:///{home.out / 'study.db'}")
    ledger = Ledger(engine, "fake")
    ledger.note(f"was postgresql://me:{SECRET}@h/d")
    row = ledger.read_trials()[0]
    row.error = {"kind": "error", "message": f"password={SECRET}", "traceback": f"pwd='{SECRET}'"}
    ledger.save_trial(row)
    engine.dispose()
    for path in home.folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_a_password_that_was_stored_as_stars_is_none() -> None:
    assert connectable("postgresql+psycopg://me:***@h/db") == "postgresql+psycopg://me@h/db"
    assert connectable("postgresql+psycopg://h/db?password=***&sslmode=require") == (
        "postgresql+psycopg://h/db?sslmode=require"
    )
    assert connectable(f"postgresql://me:{SECRET}@h/db") == f"postgresql://me:{SECRET}@h/db"
    assert sqlite_file("postgresql://me:***@h/db") is None


@pytest.mark.parametrize(
    "group", ["../../../x", "/tmp/x", "a\0b", "", "x" * 300, "NUL", "..", "-x"]
)
def test_a_group_of_a_strangers_set_is_written_below_the_folder_that_was_named(
    tmp_path: Path, group: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    runs, steps = frames(run_row(0, group=group), run_row(1, group=group))
    (tmp_path / "in").mkdir()
    write_frames(tmp_path / "in" / "x", runs, steps)
    out = tmp_path / "deep" / "er" / "out"
    out.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert main(["export", "in/x", "--to", f"{out}/"]) in (0, 2)
    capfd.readouterr()
    made = {path for path in tmp_path.rglob("*.parquet") if path.parent != tmp_path / "in"}
    assert all(path.parent == out for path in made)
    assert {path.name for path in made} <= {
        f"{file_name(group)}_{kind}.parquet" for kind in ("runs", "steps")
    }
