"""What is measured of the best few alone: MT-Bench and other metrics, at the end and afterwards."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sweep.account.outcome import JudgeGone, MeasuringFailed
from sweep.cli import main
from sweep.judge_study import judge_study
from sweep.judging.questions import questions
from sweep.report.judge_text import print_judged
from sweep.report.judge_types import JudgeReport
from sweep.report.view import PlainView
from sweep.storage.find import open_study
from sweep.storage.ledger import BASE, Cost
from sweep.storage.lock import only_driver
from tests.support.fake_judge import Asked, FakeJudge, Said, fake_judge
from tests.support.home import Home
from trainer.contract.lines import read_lines
from trainer.contract.spec import UserError

pytestmark = pytest.mark.slow
KEY = "sk-7fK2pQ9xVb31"
TRIALS = ("run.trials=4", "pruning.enabled=false")
FEW = questions()[3::10]  # one of each category; 104 and 114 have doubtful references
NUM = 16  # answers of a model
CHECK = 1  # request before anything is answered


@pytest.fixture(autouse=True)
def few_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.driver.mt_bench.questions", lambda: FEW)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJudge]:
    monkeypatch.setenv("A_JUDGES_KEY", KEY)
    with fake_judge() as server:
        server.say = by_whose
        yield server


def by_whose(number: int, body: Asked) -> Said:
    """5 for the base model, 7 for others."""
    shown = body["messages"][-1]["content"]
    return Said(f"[[{5 if 'base answers' in shown else 7}]], says {KEY}")


def judge(server: FakeJudge, **more: Any) -> str:
    given = {"base_url": server.base_url, "model": "my-judge", "key_env": "A_JUDGES_KEY", **more}
    items = (f"{key}: {value}" for key, value in {"retries": 0, **given}.items())
    return "objective.judge={" + ", ".join(items) + "}"


def final(server: FakeJudge, **more: Any) -> tuple[str, ...]:
    return (*TRIALS, "objective.final=[mt_bench]", "objective.top=2", judge(server, **more))


def ranked(home: Home) -> list[int]:
    trials = home.document()["trials"]
    return sorted((t["number"] for t in trials), key=lambda n: trials[n]["objective"])


def scores(home: Home, metric: str = "mt_bench") -> dict[int | str, float]:
    """Of the base model and of trials, those that have one."""
    report = home.report()
    found: dict[int | str, Any] = {"base": report.base.measurements.get(metric)}
    found |= {trial.number: trial.measurements.get(metric) for trial in report.trials}
    return {name: one.value for name, one in found.items() if one is not None}


def costs(home: Home) -> list[Cost]:
    ledger, _ = open_study(str(home.out))
    try:
        return [cost for cost in ledger.read_costs() if cost.what == "final"]
    finally:
        ledger.engine.dispose()


def kept(home: Home) -> list[str]:
    return sorted(path.parent.name for path in home.out.glob("trials/*/model"))


def test_the_best_few_and_the_base_model_are_judged_at_the_end(
    home: Home, server: FakeJudge
) -> None:
    assert home.run(*final(server)) == 0
    best, second, *_ = ranked(home)
    assert scores(home) == {"base": 5.0, best: 7.0, second: 7.0}
    measured = home.report().trial(second).measurements["mt_bench"]
    assert (measured.num, measured.over_base, measured.over_base_stderr) == (NUM, 2.0, 0.0)
    assert list(measured.groups)[:2] == ["writing", "roleplay"]
    assert len(server.asked) == CHECK + 3 * NUM
    assert {cost.trial for cost in costs(home)} == {BASE, best, second}
    assert kept(home) == []  # but for the best
    assert (home.out / "best" / "model.safetensors").read_text() == str(best)


def test_they_stand_apart_in_the_study_s_report(
    home: Home, server: FakeJudge, capsys: pytest.CaptureFixture[str]
) -> None:
    home.run(*final(server))
    capsys.readouterr()
    main(["inspect", str(home.out)])
    text = capsys.readouterr().out.partition("Of the best few alone")[2].partition("Compute")[0]
    rows = [line.split()[:4] for line in text.splitlines()[3:] if line]
    assert ["base", "5.0000", "±", "0.0000"] in rows
    assert sorted(row[0] for row in rows if row[0] != "base") == sorted(map(str, ranked(home)[:2]))


def test_a_finished_study_is_not_judged_again(home: Home, server: FakeJudge) -> None:
    home.run(*final(server))
    asked = len(server.asked)
    home.lines.clear()
    assert home.run(*final(server)) == 0
    assert len(server.asked) == asked
    assert not [line for line in home.lines if "not kept" in line]


def test_a_wrong_key_is_told_before_anything_is_answered_and_nothing_is_lost(
    home: Home, server: FakeJudge
) -> None:
    server.say = lambda number, body: Said(status=401, body="Incorrect key")
    with pytest.raises(UserError, match="environment variable A_JUDGES_KEY"):
        home.run(*final(server))
    assert home.document()["state"] == "done"
    assert not list(home.out.glob("mt_bench/*/answers.jsonl"))
    server.say = by_whose
    assert home.run(*final(server)) == 0
    assert len(scores(home)) == 3


def test_a_judge_that_is_gone_half_way_goes_on_where_it_stood(
    home: Home, server: FakeJudge
) -> None:
    def say(number: int, body: Asked) -> Said:
        return by_whose(number, body) if number <= 20 else Said(status=503)

    server.say = say
    with pytest.raises(JudgeGone, match="HTTP 503"):
        home.run(*final(server, workers=1))
    assert scores(home) == {"base": 5.0}
    assert len(kept(home)) == 2  # until they are measured
    done = 1 + 20 + 1  # the first was the check, the last was refused
    assert len(server.asked) == done
    server.say = by_whose
    assert home.run(*final(server, workers=1)) == 0
    assert len(scores(home)) == 3
    assert len(server.asked) == done + CHECK + 3 * NUM - 20


def test_answers_that_a_kill_has_cut_short_go_on(home: Home, server: FakeJudge) -> None:
    home.script({"answers": 10})  # type: ignore[dict-item]
    with pytest.raises(MeasuringFailed, match=r"mt_bench, answers of .*killed by SIGKILL"):
        home.run(*final(server))
    files = list(home.out.glob("mt_bench/*/answers.jsonl"))
    assert max(len(read_lines(file)) for file in files) == 10
    home.script({})
    assert home.run(*final(server)) == 0
    assert len(scores(home)) == 3
    for file in home.out.glob("mt_bench/*/answers.jsonl"):
        assert len(read_lines(file)) == NUM


def test_another_judge_is_refused(home: Home, server: FakeJudge) -> None:
    home.run(*final(server))
    sentence = r"rated by 'my-judge', and ratings by 'another' cannot be compared"
    with pytest.raises(UserError, match=sentence):
        home.run(*final(server, model="another"))
    with pytest.raises(UserError, match=sentence):
        afterwards(home, server, overrides=[judge(server, model="another")])
    assert home.run(*final(server, workers=3)) == 0  # the rest of it may change


def test_the_key_is_in_no_file(home: Home, server: FakeJudge) -> None:
    home.run(*final(server))
    files = [path for path in home.folder.rglob("*") if path.is_file()]
    assert any("ratings" in path.name for path in files)
    assert all(KEY.encode() not in path.read_bytes() for path in files)
    assert not [line for line in home.lines if KEY in line]


def test_other_metrics_are_measured_of_the_best_few(home: Home) -> None:
    home.folder.joinpath("questions.jsonl").touch()
    settings = ("objective.final=[choice_accuracy]", "objective.data=./questions.jsonl")
    assert home.run(*TRIALS, *settings, "objective.top=3") == 0
    few = ranked(home)[:3]
    expected = {"base": 1.0, **{number: 2.0 + number for number in few}}
    assert scores(home, "choice_accuracy") == expected
    assert kept(home) == []


# --- sweep judge


def afterwards(
    home: Home, server: FakeJudge, top: int = 3, overrides: list[str] | None = None
) -> JudgeReport:
    given = [judge(server)] if overrides is None else overrides
    settings = [
        f"objective.judge.{item.strip()}".replace(": ", "=", 1)
        for text in given
        for item in text.removeprefix("objective.judge={").removesuffix("}").split(",")
    ]
    view = PlainView(io.StringIO())
    return judge_study(str(home.out), top, settings, view, home.executor)


def test_sweep_judge_measures_the_best_whose_weights_are_kept(
    home: Home, server: FakeJudge
) -> None:
    home.run(*TRIALS, "run.keep=all")
    report = afterwards(home, server, top=2)
    assert [model.number for model in report.models] == [None, *ranked(home)[:2]]
    assert report.not_kept == ()
    assert afterwards(home, server, top=3).models[-1].number == ranked(home)[2]
    assert len(server.asked) == 2 * CHECK + 4 * NUM


def test_it_says_whose_weights_are_not_kept(home: Home, server: FakeJudge) -> None:
    home.run(*TRIALS)
    best, *others = ranked(home)
    report = afterwards(home, server)
    assert [model.number for model in report.models] == [None, best]
    assert report.not_kept == tuple(others[:2])
    assert f"not kept: trials {others[0]}, {others[1]}; with run.keep: all" in shown(report)


def test_it_takes_the_judge_from_the_study_and_refuses_to_go_without(
    home: Home, server: FakeJudge
) -> None:
    home.run(*TRIALS)
    with pytest.raises(UserError, match="names no judge"):
        afterwards(home, server, overrides=[])
    afterwards(home, server)
    asked = len(server.asked)
    assert len(afterwards(home, server, overrides=[]).models) == 2  # as it was judged before
    assert len(server.asked) == asked


def test_it_waits_for_no_driver(home: Home, server: FakeJudge) -> None:
    home.run(*TRIALS)
    with (
        only_driver(f"sqlite:///{home.out / 'study.db'}", "fake"),
        pytest.raises(UserError, match="is already being run"),
    ):
        afterwards(home, server)


def test_the_command_prints_a_document_and_says_when_the_judge_is_gone(
    home: Home,
    server: FakeJudge,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sweep.judge_study.LocalExecutor", lambda: home.executor)
    home.run(*TRIALS)
    to = ("--set", f"objective.judge.base_url={server.base_url}", "objective.judge.model=my-judge")
    server.say = lambda number, body: Said(status=503)
    assert main(["judge", str(home.out), *to, "objective.judge.retries=0"]) == 75
    assert "HTTP 503" in capsys.readouterr().err
    server.say = by_whose
    assert main(["judge", str(home.out), *to, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [model["score"]["value"] for model in document["models"]] == [5.0, 7.0]
    assert document["judge"] == "my-judge"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "objective.metric=eval_loss"], "takes keys of objective.judge alone"),
        (["--set", "objective.judge.modle=x"], "objective.judge.modle: unknown key; did you mean"),
        (["--top", "0"], "--top"),
        ([], "names no judge"),
    ],
)
def test_mistakes_are_sentences(
    home: Home, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    home.run(*TRIALS)
    capsys.readouterr()
    assert main(["judge", str(home.out), *arguments]) == 2
    assert says in capsys.readouterr().err


def shown(report: JudgeReport, width: int = 100) -> str:
    stream = io.StringIO()
    print_judged(report, Console(file=stream, width=width))
    return re.sub(r"\s+", " ", stream.getvalue())


def test_what_is_shown(home: Home, server: FakeJudge) -> None:
    def say(number: int, body: Asked) -> Said:
        """A rating by the question's first letters; none for some."""
        shown = body["messages"][-1]["content"]
        return Said("I cannot say" if "answers 134" in shown else f"[[{1 + len(shown) % 10}]]")

    server.say = say
    home.run(*TRIALS)
    report = afterwards(home, server, overrides=[judge(server, price_in=10, price_out=30)])
    text = shown(report)
    assert "MT-Bench, 1 to 10, rated by my-judge" in text
    base, best = report.models
    for model in (base, best):
        score = model.judged.score
        assert score.value is not None and score.low is not None and score.high is not None
        assert f"{score.value:.2f} {score.low:.2f} to {score.high:.2f}" in text
        assert "14 of 16" in text
    assert "4 answers of the judge hold no rating and are left out" in text
    assert "reference answers to questions 104, 105, 109, 111, 113" in text
    assert "asked 32 times: 3,200 tokens read, 640 written, 0.05 dollars" in text
    assert str(Path(report.out)) in text
