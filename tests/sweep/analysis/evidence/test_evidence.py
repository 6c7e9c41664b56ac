"""`sweep evidence`: one report, its text, and the audits that the ledger knows of."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from predictor.evidence.reliability import judged_moments, reliability
from predictor.recorded.runs import Curve, RecordedStudy
from predictor.types import Settings, Verdict
from sweep.analysis.evidence.evidence import evidence_of
from sweep.analysis.evidence.report import EvidenceReport
from sweep.analysis.evidence.text import print_evidence
from sweep.analysis.recorded.sources import read_sources
from sweep.cli import main
from sweep.documents import to_json
from sweep.report.study_report import study_report
from sweep.storage.find import open_study
from sweep.storage.ledger import Decision
from tests.support.evidence_studies import grid, study_of
from tests.support.sweep_ledgers import completed, going_on, observation, trial, written


def demo(name: str = "demo", seed: int = 0, num: int = 9, has_early: bool = True) -> RecordedStudy:
    rng = np.random.default_rng(seed)
    y, loss = rng.normal(size=(2, num))
    early = y if has_early else None
    return study_of(
        y, configs=grid(num), early_eval=early, loss=loss, grad_norm=np.exp(y), name=name
    )


def unwatched(name: str = "demo") -> RecordedStudy:
    """Finished, but no step is on record."""
    study = demo(name)
    nothing = np.array([])
    curve = Curve(nothing, nothing, nothing, nothing, nothing, nothing.astype(np.int64))
    return replace(study, runs=tuple(replace(run, curve=curve) for run in study.runs))


def shown(report: EvidenceReport, width: int = 80) -> str:
    stream = io.StringIO()
    print_evidence(report, Console(file=stream, width=width, markup=False, highlight=False))
    return stream.getvalue()


class TestReport:
    def test_is_json_without_nan_even_of_nothing_finished(self) -> None:
        report = evidence_of([demo(), study_of([None, None], name="empty")])
        found = json.loads(json.dumps(to_json(report), allow_nan=False))
        assert [study["name"] for study in found["studies"]] == ["demo", "empty"]
        assert found["studies"][1]["sets"] == []
        assert {one["finding"] for one in found["studies"][1]["verdict"]} == {"too few"}

    @pytest.mark.slow
    def test_pools_three_studies_and_not_two(self) -> None:
        two = evidence_of([demo("a", 0), demo("b", 1)])
        assert two.pooled == ()
        assert two.answer.startswith("2 studies are too few to say where else")
        all_three = evidence_of([demo("a", 0), demo("b", 1), demo("c", 2)]).pooled
        names = {(part.name, part.given_config) for part in all_three}
        assert ("early_eval", False) in names and ("grad_norm_noise_free", False) not in names


class TestText:
    def test_begins_with_the_answer_then_verdicts_then_numbers(self) -> None:
        report = evidence_of([demo()])
        headline, *rest = shown(report).splitlines()
        said = " ".join(rest)
        assert headline == "demo: 9 of 9 runs, window of 10 samples"
        assert said.startswith(report.answer)
        assert said.index("- Lower early gradient norm (raw)") < said.index("gradient norm (raw)  ")
        assert said.index("gradient norm (raw)  ") < said.index("left-out run,")
        assert "No audit is on record here" in said

    @pytest.mark.slow
    def test_says_once_what_the_paper_finds_and_what_rho_is(self) -> None:
        for studies in ([demo()], [demo("a", 0), demo("b", 1)]):
            said = " ".join(shown(evidence_of(studies)).split())
            assert said.count("rho below 0, and above 0. rho: Spearman's correlation") == 1

    @pytest.mark.slow
    def test_fits_eighty_columns(self) -> None:
        repeated = demo("repeated", num=12)
        twice = [replace(r, name=f"{r.name}b") for r in repeated.runs]
        repeated = replace(repeated, runs=(*repeated.runs, *twice))
        lines = shown(evidence_of([demo(), repeated])).splitlines()
        assert any("another seed of it" in line for line in lines)
        assert max(map(len, lines)) <= 80 and not any(line.endswith(" ") for line in lines)

    def test_of_many_studies_begins_with_what_is_pooled_and_shows_their_answers(self) -> None:
        report = evidence_of([demo(str(i), i, num=5) for i in range(5)])
        text = shown(report)
        headline, *rest = text.splitlines()
        assert headline == "Over 5 studies" and " ".join(rest).startswith(report.answer)
        said = " ".join(text.split())
        assert all(study.answer in said for study in report.studies)
        assert "left-out run," not in text.splitlines()

    def test_without_early_evaluations_speaks_of_none(self) -> None:
        report = evidence_of([demo(has_early=False)])
        (study,) = report.studies
        assert [one.name for one in study.sets] == [
            "configuration",
            "+ training loss",
            "+ gradient norm",
            "+ dynamics",
        ]
        assert "early evaluation" not in report.answer + study.verdict[-1].text

    def test_without_steps_says_what_is_missing_and_what_to_do(self) -> None:
        text = shown(evidence_of([unwatched()]))
        said = " ".join(text.split())
        assert "none of the 9 finished runs has training steps" in said
        assert "Put steps with loss and gradient norm into the set's X_steps.parquet" in said
        assert "Too few" not in said and "─" not in said

    def test_without_any_end_asks_to_wait(self) -> None:
        said = " ".join(shown(evidence_of([study_of([None, None])])).split())
        assert "no run has a score yet. Let the study go on" in said


class TestReliability:
    @pytest.mark.slow
    def test_is_that_of_the_prunes_of_all_studies_with_runs_enough(self) -> None:
        studies = [demo("a", 0, num=16), demo("b", 1, num=16)]
        found = evidence_of([*studies, demo("few", 2, num=7)]).reliability
        assert found is not None
        moments = [
            moment
            for study in studies
            for moment in judged_moments(study, Settings(), orders=found.orders)
        ]
        prunes = [moment for moment in moments if moment.would_prune]
        assert (found.num_judged, found.num_prunes) == (len(moments), len(prunes))
        assert 0 < len(prunes) < len(moments)
        assert list(found.bins) == reliability(prunes)

    def test_is_told_in_a_table_with_its_intervals_and_random_prunes(self) -> None:
        report = evidence_of([demo(num=16)])
        lines = shown(report).splitlines()
        assert report.reliability is not None
        first = report.reliability.bins[0]
        (row,) = (line for line in lines if line.startswith(f"{first.low:.2f} to "))
        assert row.split()[3:] == [
            str(first.num),
            str(first.num_runs),
            f"{first.mean_stated:.3f}",
            f"{first.share:.3f}",
            f"{first.share_low:.3f}",
            "to",
            f"{first.share_high:.3f}",
            f"{first.random_share:.3f}",
        ]
        assert "Intervals count runs, not prunes" in " ".join(" ".join(lines).split())
        assert max(map(len, lines)) <= 80

    def test_of_seven_runs_is_not_told(self) -> None:
        report = evidence_of([demo(num=7)])
        assert report.reliability is None
        assert "of a prune" not in shown(report)

    def test_without_any_prune_says_so(self) -> None:
        report = evidence_of([study_of(np.arange(9.0), configs=[{}] * 9)])  # tells nothing
        assert report.reliability is not None and report.reliability.bins == ()
        assert f"0 prunes at {report.reliability.num_judged} windows" in shown(report)


def audit(number: int, stated: float, best: float, spread: float) -> Decision:
    evidence = {"best": best, "spread": spread}
    verdict = Verdict("audit", "rank", "would have been pruned", stated, evidence)
    return Decision(number, "window", 4, verdict, "learned-1", Settings(audit=0.25, min_gain=0.1))


@pytest.fixture
def audited(tmp_path: Path) -> str:
    """Nine completed trials; of three rank audits one ended better than the incumbent of its
    moment (accuracy 0.70) by a tenth of the spread, one did not, one still runs."""
    folder = tmp_path / "audited"
    with written(folder) as ledger:
        best = 1 - 0.7 + 1 / 800  # as the accuracy is minimized
        accuracies = [0.5, 0.6, 0.7, 0.55, 0.8, 0.52, 0.71, 0.66, 0.64]
        for number, accuracy in enumerate(accuracies):
            window = {
                **(trial(0, "completed").window or {}),
                "samples": 64,
                "grad_norm": 1 + accuracy,
            }
            config = {"learning_rate": 1e-5 * 2**number, "batch_size": 16, "schedule": "constant"}
            row = completed(number, accuracy, window=window, params=config)
            judged = {4: audit(4, 0.08, best, 0.15), 6: audit(6, 0.02, best, 0.15)}
            ledger.save_trial(row, decision=judged.get(number))
            for step in range(1, 17):
                ledger.add_observation(number, observation(step, 16, grad_norm=1 + accuracy))
        ledger.save_trial(trial(9, "running"), decision=audit(9, 0.05, best, 0.15))
    return str(folder)


class TestAudits:
    def test_miss_where_they_beat_the_incumbent_of_the_moment_by_the_least_gain(
        self, audited: str
    ) -> None:
        (study,) = read_sources([audited])
        found = [run for run in study.runs if run.audit is not None]
        # 4: 0.80, a miss; 6: 0.71, better, but not by 0.1 x 0.15; 9 still runs
        assert {run.audit_p: run.audit_miss for run in found} == {0.08: True, 0.02: False}
        assert {(run.audit, run.audit_kind) for run in found} == {(0.25, "rank")}

    def test_of_an_export_beside_a_study_are_pooled_as_those_of_two_studies(
        self, audited: str, tmp_path: Path
    ) -> None:
        second = str(tmp_path / "second")
        with written(Path(second), name="second") as ledger:
            for number, accuracy in enumerate((0.6, 0.9)):
                found = audit(number, 0.01, 1 - 0.7, 0.15)
                guard = Verdict("audit", "guard", "diverged", evidence={"best": 0.3, "spread": 0.1})
                kept = replace(found, verdict=guard) if number else found
                ledger.save_trial(completed(number, accuracy), decision=kept)
                ledger.add_observation(number, observation(1, 16))
        main(["export", second, "--to", str(tmp_path / "set")])
        ledgers = evidence_of(read_sources([audited, second])).audits
        mixed = evidence_of(read_sources([audited, str(tmp_path / "set")])).audits
        assert mixed is not None and ledgers == mixed
        assert (mixed["rank"].num_finished, mixed["rank"].num_misses) == (3, 1)
        assert (mixed["guard"].num_finished, mixed["guard"].num_misses) == (1, 1)
        assert mixed["guard"].mean_stated is None

    def test_are_counted_as_inspect_counts_them(self, audited: str) -> None:
        ledger, paths = open_study(audited)
        counted = study_report(ledger, paths).audits
        ledger.engine.dispose()
        audits = evidence_of(read_sources([audited])).audits
        assert audits is not None
        rate = audits["rank"]
        assert (rate.num_finished, rate.rate) == (counted.told, counted.rate)

    def test_weigh_in_an_export_as_well(
        self, audited: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["export", audited, "--to", str(tmp_path / "set")]) == 0
        capsys.readouterr()
        assert main(["evidence", str(tmp_path / "set"), "--json"]) == 0
        (study,) = json.loads(capsys.readouterr().out)["studies"]
        assert study["kept"]["num_weighted"] == 2

    def test_are_told_with_their_interval_and_number_and_weigh_in_the_correlations(
        self, audited: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["evidence", audited, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        (study,) = document["studies"]
        assert document["audits"]["rank"]["rate"] == pytest.approx(0.5)
        assert document["audits"]["rank"]["num_audits"] == 2
        assert study["kept"]["num_weighted"] == 2
        assert main(["evidence", audited]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert (
            "1 of 2 finished audits of rank decisions was a miss: miss rate 0.50, 95 % 0.01" in said
        )
        assert "2 runs taken to the end by an audit" in said

    def test_that_do_not_say_what_they_found_give_no_rate(self) -> None:
        study = demo()
        runs = (replace(study.runs[0], audit=0.1), *study.runs[1:])  # as older exports have it
        report = evidence_of([replace(study, runs=runs)])
        assert report.audits is None
        assert "No audit is on record here with what it found" in " ".join(shown(report).split())


@pytest.mark.slow
def test_repeats_of_the_best_are_left_out_and_counted(
    audited: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["evidence", audited, "--json"])
    before = json.loads(capsys.readouterr().out)
    with going_on(Path(audited)) as ledger:
        ledger.save_trial(replace(ledger.read_trials()[4], number=10_004))
        ledger.add_observation(10_004, observation(1, 16))
    main(["evidence", audited, "--json"])
    after = json.loads(capsys.readouterr().out)
    assert after["studies"][0].pop("num_repeats") == 1
    assert before["studies"][0].pop("num_repeats") == 0
    assert after == before
    main(["evidence", audited])
    assert "9 of 9 runs, window of 64 samples; 1 replicate of the best" in capsys.readouterr().out


def test_a_source_that_is_none_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evidence", str(tmp_path / "nowhere")]) == 2
    assert "neither a study nor a recorded set" in capsys.readouterr().err
