"""`python -m trainer SPEC.json`: one trial by itself, its events as JSON lines."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from predictor.types import Observation
from tests import ROOT
from trainer.contract.signals import SIGNALS
from trainer.contract.spec import Failed, ModelSpec, Stepped, TrialSpec, UserError
from trainer.standalone import differences, line, main, read_spec


@pytest.fixture
def values(tiny_model: Path, sums: dict[str, Path]) -> dict[str, Any]:
    return {
        "model": {"base": str(tiny_model), "dtype": "float32"},
        "data": {"train": str(sums["train"]), "eval": str(sums["eval"])},
        "batch_size": 8,
        "budget_samples": 64,
        "learning_rate": 1e-3,
        "num_threads": 1,
    }


def written(tmp_path: Path, values: Any) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def test_what_is_left_out_has_a_default(tmp_path: Path, values: dict[str, Any]) -> None:
    spec, data = read_spec(written(tmp_path, values), None)
    assert data is not None and data.train == values["data"]["train"]
    assert (spec.number, spec.seed, spec.window_samples) == (0, 0, 0)
    assert spec.metrics == ("eval_loss",)
    assert spec.trial_dir == str(tmp_path / "spec")
    other, _ = read_spec(tmp_path / "spec.json", tmp_path / "elsewhere")
    assert other.data_dir == str(tmp_path / "elsewhere" / "data")


def test_a_studys_own_spec_is_taken_as_it_is(tmp_path: Path) -> None:
    own = TrialSpec(3, 1, ModelSpec("m"), "data", "trial", 8, 64, 16, ("choice_accuracy",), 4, 1e-4)
    found, data = read_spec(written(tmp_path, own.to_json()), None)
    assert (found, data) == (own, None)
    assert read_spec(tmp_path / "spec.json", Path("out"))[0] == replace(own, trial_dir="out")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no JSON object"),
        ({"data_dir": "x"}, "give data .* or data_dir, one of the two"),
        ({"batch_size": "many"}, "batch_size: Input should be a valid integer"),
        ({"learning_rat": 1.0}, "learning_rat: Unexpected keyword argument"),
        ({"model": {"bas": "x"}}, "model.base: Field required"),
    ],
)
def test_a_spec_that_is_wrong_says_where(
    tmp_path: Path, values: dict[str, Any], change: Any, sentence: str
) -> None:
    path = written(tmp_path, change if isinstance(change, str) else values | change)
    with pytest.raises(UserError, match=sentence) as raised:
        read_spec(path, None)
    assert str(raised.value).startswith(str(path))


def test_a_wrong_spec_prints_a_sentence_and_no_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none.json")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "none.json: cannot be read" in err


def test_a_spec_that_cannot_work_is_refused_before_anything_is_prepared(
    tmp_path: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path, values | {"batch_size": 0, "clip": -1.0}))]) == 2
    out, err = capsys.readouterr()
    assert out == "" and [each.split(":")[0] for each in err.splitlines()] == ["batch_size", "clip"]
    assert not (tmp_path / "spec").exists()


def test_data_that_lack_what_the_trial_measures_are_refused(
    tmp_path: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    facts = {"eval": None, "choices": None, "phases": None}
    (tmp_path / "prepared.json").write_text(json.dumps(facts))
    del values["data"]
    values |= {"data_dir": str(tmp_path), "metrics": ["eval_loss"]}
    assert main([str(written(tmp_path, values))]) == 2
    assert "eval_loss is measured on data.eval" in capsys.readouterr().err


def test_other_data_differ_in_what_was_asked_for_or_in_their_files(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("as it was")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sources = {
        "train": {"path": str(path), "sha256": digest},
        "eval": {"path": "someone/on-the-hub", "sha256": None},
    }
    asked = {"data.train": str(path), "data.max_length": 1024, "model.base": "a"}
    assert differences(asked, asked, sources) == []
    assert differences(asked, asked | {"data.shape": "auto"}, sources) == []  # a newer key
    assert differences(asked, asked | {"data.shape": "text"}, sources) != []
    other = asked | {"data.max_length": 64, "model.base": "b"}
    assert differences(asked, other, sources) == [
        "data.max_length was 1024, is 64",
        "model.base was a, is b",
    ]
    path.write_text("as it is")
    assert differences(asked, asked, sources) == [f"{path} has changed since"]
    path.unlink()
    (said,) = differences(asked, asked, sources)
    assert said.startswith(f"{path} can no longer be read")


def test_the_help_says_what_signals_and_exit_statuses_mean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "0 finished, 1 failed, 2 a wrong spec, 128 + its number after a signal" in said


def test_the_old_handlers_are_back_at_the_end(tmp_path: Path) -> None:
    before = [signal.getsignal(name) for name in SIGNALS]
    main([str(tmp_path / "none.json")])
    assert [signal.getsignal(name) for name in SIGNALS] == before


def test_a_number_that_is_not_finite_is_null() -> None:
    seen = Observation(1, 8, 80, 40, float("nan"), float("inf"), 1e-3, 0.1)
    shown = line(Stepped(seen))
    assert shown["event"] == "stepped" and shown["step"] == 1
    assert shown["loss"] is None and shown["grad_norm"] is None
    assert line(Failed("error", "why"))["event"] == "failed"


def test_looks_that_it_cannot_have_are_refused(
    tmp_path: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path, values | {"window_samples": 16, "looks": [32, 64]}))]) == 2
    assert capsys.readouterr().err == (
        "looks: [32, 64] must be whole numbers that ascend, above window_samples (16) and below "
        "budget_samples (64)\n"
    )
    assert not (tmp_path / "spec").exists()


def run(path: Path, **given: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "trainer", str(path)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, **given
    )


@pytest.mark.slow
def test_it_runs_from_nothing_to_the_measured_model(
    tmp_path: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    train = tmp_path / "train.jsonl"
    train.write_bytes(Path(values["data"]["train"]).read_bytes())
    values["data"]["train"] = str(train)
    process = run(written(tmp_path, values | {"window_samples": 16, "looks": [32]}))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    told = [json.loads(each) for each in out.splitlines()]
    kinds = [each["event"] for each in told if each["event"] != "alive"]
    steps = ["stepped"] * 8
    assert kinds == [
        *("prepared", "started", *steps[:2], "verdictwanted"),
        *(*steps[2:4], "verdictwanted", *steps[4:], "finished"),
    ]
    asked = [each for each in told if each["event"] == "verdictwanted"]
    assert [(each["step"], each["look"]) for each in asked] == [(2, 0), (4, 1)]
    assert told[-1]["measurements"]["eval_loss"]["value"] > 0
    assert Path(told[-1]["model_dir"], "model.safetensors").is_file()
    assert not (tmp_path / "spec" / "checkpoints").exists()  # nobody else takes them away
    # The same folder with changed data, then with other data.
    train.write_text("\n".join(train.read_text().splitlines()[1:]))
    assert main([str(written(tmp_path, values))]) == 2
    assert f"{train} has changed since" in capsys.readouterr().err
    values["data"]["train"] = str(tmp_path / "more.jsonl")
    assert main([str(written(tmp_path, values))]) == 2
    err = capsys.readouterr().err
    assert "holds other data (data.train was" in err and "more.jsonl" in err


@pytest.mark.slow
def test_what_goes_wrong_is_the_last_event_and_the_exit_status(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    values["data"]["train"] = "/nowhere.jsonl"
    process = run(written(tmp_path, values))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["kind"]) == ("failed", "bad input")
    assert "/nowhere.jsonl: no such file" in err


@pytest.mark.slow
def test_ctrl_c_writes_a_checkpoint_from_which_the_same_command_goes_on(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    path = written(tmp_path, values | {"budget_samples": 8000})
    with run(path, start_new_session=True) as process:
        assert process.stdout is not None
        for each in process.stdout:
            if json.loads(each).get("step", 0) >= 3:
                break
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        rest = [json.loads(each) for each in process.stdout]
    assert process.returncode == 130
    assert [each["event"] for each in rest[-2:]] == ["checkpointed", "stopped"]
    with run(path, start_new_session=True) as again:
        assert again.stdout is not None
        told = map(json.loads, again.stdout)
        began = next(event for event in told if event["event"] == "started")
        os.killpg(again.pid, signal.SIGKILL)
    assert began["step"] == rest[-1]["step"]


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def left_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(processes, timeout=10)
    return [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_preparation_ends_it_at_once(
    tmp_path: Path, values: dict[str, Any], name: signal.Signals
) -> None:
    with run(written(tmp_path, values), start_new_session=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert "reading the data" in process.stdout.readline()
        started = family(process)
        os.killpg(process.pid, name)
        rest, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 128 + name
    assert "started" not in rest and err == ""
    assert not left_of(started)


@pytest.mark.slow
def test_a_signal_before_anything_is_up_ends_it_at_once(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    with run(written(tmp_path, values), start_new_session=True) as process:
        while not any("forkserver" in " ".join(each.cmdline()) for each in family(process)):
            assert process.poll() is None
        started = family(process)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")
    assert not left_of(started)


@pytest.mark.slow
def test_the_second_signal_ends_a_trial_at_once(tmp_path: Path, values: dict[str, Any]) -> None:
    with run(written(tmp_path, values), start_new_session=True) as process:
        assert process.stdout is not None and process.stderr is not None
        for each in process.stdout:
            if "loading the model" in each:
                break
        started = family(process)
        os.killpg(process.pid, signal.SIGTERM)
        time.sleep(1.0)
        os.killpg(process.pid, signal.SIGINT)
        rest, err = process.stdout.read(), process.stderr.read()
    assert process.returncode in (130, 143)  # the trial may have stopped by then
    assert "finished" not in rest and err == ""
    assert not left_of(started)


@pytest.mark.slow
def test_nothing_outlives_it_when_it_is_killed(tmp_path: Path, values: dict[str, Any]) -> None:
    values["model"]["parallel"] = "ddp"
    path = written(tmp_path, values | {"processes": 2, "budget_samples": 80_000})
    with run(path, start_new_session=True) as process:
        assert process.stdout is not None
        for each in process.stdout:
            if json.loads(each)["event"] == "stepped":
                break
        started = family(process)
        assert len(started) >= 4  # the server, the launcher and two that train
        process.kill()
    assert not left_of(started)
