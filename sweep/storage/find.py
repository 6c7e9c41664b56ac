"""Finding a study: by its name below ./runs, by its folder, or as URL#NAME of its storage."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sweep.storage.engine import make_engine, sqlite_file, study_names
from sweep.storage.ledger import Ledger
from sweep.storage.paths import StudyPaths
from sweep.storage.readable import check_study, readable
from trainer.contract.safe_text import clipped, file_name, url_without_secrets
from trainer.contract.spec import UserError

RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a study's rows are, and where its files."""

    url: str = field(repr=False)  # may have a password
    study: str  # its name in the storage
    paths: StudyPaths

    def __str__(self) -> str:
        """As it is told to `open_study`."""
        if self.url == self.paths.default_storage:
            return str(self.paths.out)
        return f"{self.url}#{self.study}"

    def absolute(self) -> Location:
        """The same location, whatever becomes of the working directory."""
        file = sqlite_file(self.url)
        url = self.url if file is None else f"sqlite:///{file.absolute()}"
        return Location(url, self.study, StudyPaths(self.paths.out.absolute()))

    def open(self) -> Ledger:
        """The study's ledger, to be read; the caller disposes of its `engine`. UserError where the
        study is not there."""
        return _open(self.url, self.study, str(self))


def open_study(where: str) -> tuple[Ledger, StudyPaths]:
    """The study's ledger, to be read, and its folder. `where`: its name (below ./runs), its folder,
    or URL#NAME.

    UserError where there is none. The caller disposes of `ledger.engine`.
    """
    ledger, location = _found(where)
    return ledger, location.paths


def locate(where: str) -> Location:
    """Where the study is that `open_study` reads. UserError where there is none."""
    ledger, location = _found(where)
    ledger.engine.dispose()
    return location


def _found(where: str) -> tuple[Ledger, Location]:
    if "://" in where:
        url, name = _split(where)
        ledger = _open(url, name, where)
        paths = StudyPaths(RUNS / file_name(ledger.study))
    else:
        paths, url = find_study(where)
        ledger = _open(url, None, where, guess=paths.out.resolve().name)
    return ledger, Location(url, ledger.study, paths)


def _split(where: str) -> tuple[str, str | None]:
    """URL and study name of URL#NAME."""
    url, _, name = where.rpartition("#")
    if not url or "/" in name:  # no #NAME, or a # inside of the path
        return where, None
    return url, name or None


def find_study(where: str) -> tuple[StudyPaths, str]:
    """The study's folder and the URL of its storage, as `look_for_study`. UserError where there is
    none, or in a server that a stranger names."""
    found = look_for_study(where)
    if found is not None:
        _refuse_server(*found)
        return found
    looked = " and ".join(str(StudyPaths(folder).database) for folder in study_folders(where))
    known = sorted(path.parent.name for path in RUNS.glob("*/study.*") if path.suffix != ".lock")
    there = ", ".join(dict.fromkeys(known)) or "no study"
    raise UserError(f"no study {where!r}: looked for {looked}; under ./{RUNS} there is {there}")


def look_for_study(where: str) -> tuple[StudyPaths, str] | None:
    """The folder of a study that is named by its name or folder, and the URL of its storage; None
    where there is none."""
    for paths in map(StudyPaths, study_folders(where)):
        if paths.database.is_file():
            return paths, paths.default_storage
        url = remote_storage(paths)
        if url is not None:
            return paths, url
    return None


def _refuse_server(paths: StudyPaths, url: str) -> None:
    """A folder that came from elsewhere may name any server, which would be sent the user's name
    and password; whoever wants it asked names it. What is below ./runs was made here."""
    if sqlite_file(url) is not None or paths.out.resolve().is_relative_to(RUNS.resolve()):
        return
    server = url_without_secrets(url)
    raise UserError(
        f"the study in {clipped(str(paths.out))} is stored in {clipped(server)!r}, as its "
        f"{paths.study_file.name} says; a server that a folder outside of ./{RUNS} names is not "
        "asked: if you trust it, give the storage itself in place of the folder, as URL#NAME"
    )


def study_folders(where: str) -> list[Path]:
    """Where to look for a study's folder: a name alone is first one below ./runs."""
    folder = Path(where)
    is_name = len(folder.parts) == 1 and folder.name not in ("", "..")
    return [RUNS / folder, folder] if is_name else [folder]


def remote_storage(paths: StudyPaths) -> str | None:
    """Where the study file in a folder says that the study is stored. UserError for a file that is
    no study file."""
    if not paths.study_file.is_file():
        return None
    from sweep.config.yaml_text import read_mapping

    try:
        storage = read_mapping(paths.study_file)["run"]["storage"]
    except (KeyError, TypeError):
        return None
    return storage if isinstance(storage, str) and "://" in storage else None


def _open(url: str, name: str | None, where: str, guess: str | None = None) -> Ledger:
    """`guess` is the name to take where the storage holds several and none was given."""
    shown = clipped(url_without_secrets(where))
    file = sqlite_file(url)
    if file is not None and not file.is_file():
        raise UserError(f"no study {shown!r}: there is no file {clipped(str(file))}")
    engine = make_engine(url, read_only=True)
    try:
        with readable(where):
            names = study_names(engine)
            if name is None:
                name = names[0] if len(names) == 1 else guess
            if name is not None and name in names:
                ledger = Ledger(engine, name)
                study = ledger.read_study()
                assert study is not None, name
                check_study(name, study.document, study.facts)
                return ledger
    except BaseException:
        engine.dispose()
        raise
    engine.dispose()
    if not names:
        raise UserError(f"no study {shown!r}: its storage holds none")
    raise UserError(
        f"{shown!r} does not say which study: its storage holds {', '.join(names)}; "
        "add #NAME to the storage's URL"
    )
