"""`sweep push`: the best model, its card and its picture go to the Hugging Face Hub."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from sweep.report.study_report import study_report
from sweep.report.study_types import StudyReport
from sweep.storage.find import open_study
from sweep.storage.paths import StudyPaths, best_kept
from sweep.storage.readable import readable
from trainer.contract.safe_text import clipped, keep_secret, without_secrets
from trainer.contract.spec import UserError

CARD = "README.md"
_MODEL, _ADAPTER = "model.safetensors", "adapter_model.safetensors"
_IGNORED = [".*", "**/.*", "*.tmp", "optimizer*", "*.log"]  # none of it is part of a model


def push_study(where: str, to: str, *, private: bool = False) -> str:
    """The URL of the model on the Hub, once all of OUT/best is there. `where`: as for inspect.

    The repository is made if it is not there; what it has is kept in its history. The Hub's own
    ways give the token (HF_TOKEN, `hf auth login`); it is printed nowhere.

    UserError for a name that is none, a study without a best trial (or whose constraints no trial
    holds), weights that are not kept or not whole, and where the Hub refuses.
    """
    _check_name(to)
    with readable(where):
        ledger, paths = open_study(where)
        try:
            report = study_report(ledger, paths)
        finally:
            ledger.engine.dispose()
    check_model(best_model(report, paths))
    return _uploaded(paths.best, to, report, private=private)


def best_model(report: StudyReport, paths: StudyPaths) -> Path:
    """The folder of the best trial's weights. UserError where there is none."""
    best = report.best
    if best is None:
        nearest = report.nearest
        if nearest is not None:
            raise UserError(
                f"no completed trial holds every constraint of {report.study!r}, so there is no "
                f"best to push; the nearest, trial {nearest.number}, breaks "
                f"{'; '.join(nearest.broken)}"
            )
        raise UserError(f"no trial of {report.study!r} is completed yet: there is nothing to push")
    kept = best_kept(paths)
    if kept != best.number:
        other = "" if kept is None else f"; {paths.best} has those of trial {kept}"
        raise UserError(
            f"the weights of the best, trial {best.number}, are not in {paths.best}{other}: "
            "run.keep decides what is kept, and `sweep run` brings the best there at its end"
        )
    return paths.best


def check_model(folder: Path) -> None:
    """Raise UserError where something of a model is missing in its folder, or cut off: its card,
    config, tokenizer or weights."""
    card = folder / CARD
    if not card.is_file() or not card.stat().st_size:
        raise _broken(folder, f"{CARD} is missing; `sweep run` writes it anew")
    is_adapter = (folder / "adapter_config.json").is_file()
    config = _read(folder, "adapter_config.json" if is_adapter else "config.json")
    wanted = "base_model_name_or_path" if is_adapter else "model_type"
    if not config.get(wanted):
        raise _broken(folder, f"its config names no {wanted}")
    _read(folder, "tokenizer_config.json")
    index = folder / f"{_MODEL}.index.json"
    names = [_ADAPTER if is_adapter else _MODEL]
    if not is_adapter and index.is_file():
        shards = _read(folder, index.name).get("weight_map")
        if not isinstance(shards, Mapping):
            raise _broken(folder, f"{index.name} names no weights")
        names = sorted({str(one) for one in cast("Mapping[str, object]", shards).values()})
    for name in names:
        _check_weights(folder, name)


def _check_weights(folder: Path, name: str) -> None:
    """A safetensors file says in its head how long it is."""
    file = folder / name
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if not 0 < length < file.stat().st_size:
                raise ValueError
            head: Mapping[str, Any] = json.loads(stream.read(length))
        ends = [one["data_offsets"][1] for key, one in head.items() if key != "__metadata__"]
        is_whole = bool(ends) and file.stat().st_size == 8 + length + max(ends)
    except FileNotFoundError:
        raise _broken(folder, f"{clipped(name)} is missing") from None
    except (OSError, ValueError, TypeError, LookupError, AttributeError, struct.error):
        is_whole = False
    if not is_whole:
        raise _broken(folder, f"{clipped(name)} is not whole")


def _read(folder: Path, name: str) -> Mapping[str, Any]:
    try:
        found: object = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _broken(folder, f"{name} is missing") from None
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise _broken(folder, f"{name} cannot be read")
    return cast("Mapping[str, Any]", found)


def _broken(folder: Path, why: str) -> UserError:
    return UserError(f"the model in {clipped(str(folder))} is not complete: {why}")


def _check_name(to: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(to)
        is_name = to.count("/") == 1
    except HFValidationError:
        is_name = False
    if not is_name:
        raise UserError(
            f"--to: is {clipped(to)!r}; a model on the Hub is named as user/my-model: letters, "
            "digits, - _ ."
        )


def _uploaded(folder: Path, to: str, report: StudyReport, *, private: bool) -> str:
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    token = get_token()
    if token is None:
        raise UserError(
            "the Hub wants a token to write with: put it into HF_TOKEN, or run `hf auth login`"
        )
    keep_secret(token)  # whatever is said from here on hides it
    api = HfApi(token=token)
    try:
        url = str(api.create_repo(to, private=private, exist_ok=True))
        assert report.best is not None
        api.upload_folder(
            repo_id=to,
            folder_path=folder,
            commit_message=f"sft-sweep: {clipped(report.study)}, trial {report.best.number}",
            ignore_patterns=_IGNORED,
        )
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        said = clipped(without_secrets(" ".join(str(error).split())))
        raise UserError(
            f"the Hub refuses or cannot be reached ({type(error).__name__}: {said}); a token needs "
            "the right to write there (HF_TOKEN, or `hf auth login`), and HF_HUB_OFFLINE must not "
            "be set. The same command goes on with what is missing"
        ) from None
    return url
