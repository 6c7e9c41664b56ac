"""The sentences of `sweep evidence`: what is claimed, what is left open, and in which words."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from predictor.evidence import evidence as module
from predictor.evidence.correlations import num_configs_needed
from predictor.evidence.evidence import SignalEvidence, StudyEvidence, study_evidence
from predictor.evidence.nested import SetGain
from predictor.evidence.pooling import Pooled, adjusted, pool
from sweep.analysis.evidence.answer import answer, overall
from sweep.analysis.evidence.limits import limits
from sweep.analysis.evidence.sentences import Statement, pooled_statement, statements
from tests.support.evidence_studies import grid, of_rho, run_of, study_of


def signal(found: StudyEvidence, name: str) -> SignalEvidence:
    return next(one for one in found.signals if one.name == name)


def verdict(found: StudyEvidence, about: str) -> Statement:
    return next(one for one in statements(found) if one.about == about)


@pytest.fixture
def without_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sets take a fit for each run; correlations need none."""
    monkeypatch.setattr(module, "SETS", {})


def explained(num: int) -> StudyEvidence:
    """Norm and objective go together as both are worst at both ends of the learning rates."""
    rng = np.random.default_rng(3)
    configs = grid(num)
    rate = np.log([config["learning_rate"] for config in configs])
    centred = (rate - rate.mean()) / rate.std()
    norm = np.exp(centred**2 + 0.6 * rng.normal(size=num))
    objective = centred**2 + 0.6 * rng.normal(size=num)
    return study_evidence(study_of(objective, configs=configs, grad_norm=norm))


def gain(base: str, name: str, mean: float) -> SetGain:
    return SetGain(base, name, mean, mean - 0.1, mean + 0.1, None, None, None)


@pytest.mark.usefixtures("without_sets")
class TestVerdict:
    def test_names_the_papers_direction_where_it_holds(self) -> None:
        rng = np.random.default_rng(0)
        norm = np.exp(rng.normal(size=24))
        objective = np.log(norm) + 0.5 * rng.normal(size=24)
        found = study_evidence(study_of(objective, configs=grid(24), grad_norm=norm))
        told = verdict(found, "grad_norm")
        assert signal(found, "grad_norm").alone.rho < -0.5  # type: ignore[union-attr]
        assert (told.finding, told.adds) == ("lower", True)
        assert "Lower early gradient norm (raw) goes with a better score here (rho -" in told.text
        assert "as in the paper" in told.text and "24 runs" in told.text
        assert "once batch size and learning rate are known" in told.text

    def test_names_the_other_direction_as_against_the_paper(self) -> None:
        rng = np.random.default_rng(0)
        loss = rng.normal(size=24) + 5
        objective = loss + 0.3 * rng.normal(size=24)
        told = verdict(study_evidence(study_of(objective, configs=grid(24), loss=loss)), "loss")
        assert told.finding == "lower" and "against the paper" in told.text

    def test_what_the_configuration_explains_adds_nothing(self) -> None:
        """With configurations enough to tell: of 80 the interval lies within 0.3 of 0."""
        found = explained(80)
        given = signal(found, "grad_norm").given_config
        assert given is not None and -0.3 < given.low < 0 < given.high < 0.3
        told = verdict(found, "grad_norm")
        assert (told.finding, told.adds) == ("lower", False)
        assert "but adds nothing once batch size and learning rate are known" in told.text

    def test_what_an_interval_about_0_leaves_open_is_not_shown_to_add(self) -> None:
        found = explained(32)
        given = signal(found, "grad_norm").given_config
        assert given is not None and given.low < -0.3 and given.half_width < 0.5
        told = verdict(found, "grad_norm")
        assert (told.finding, told.adds) == ("lower", None)
        assert "but is not shown to add once batch size and learning rate are known" in told.text
        assert "nothing" not in told.text

    @pytest.mark.parametrize(
        "base, name, mean, said",
        [
            ("configuration", "+ dynamics", 0.2, " (+0.20 nats a run, 95 % +0.10 to +0.30)"),
            ("+ early evaluation", "all", 0.2, " beyond the early evaluation (+0.20 nats"),
            ("configuration", "+ dynamics", 0.05, None),
            ("configuration", "+ early evaluation", 0.2, None),  # nothing of the norm
        ],
    )
    def test_what_helps_to_predict_never_adds_nothing(
        self, base: str, name: str, mean: float, said: str | None
    ) -> None:
        told = verdict(replace(explained(80), gains=(gain(base, name, mean),)), "grad_norm")
        if said is None:
            assert told.adds is False and "but adds nothing" in told.text
        else:
            assert told.adds is None and "but is not shown to add once" in told.text
            assert f", though it helps to predict a left-out run{said}" in told.text

    @pytest.mark.slow
    def test_noise_is_called_an_effect_in_one_study_of_twenty(self) -> None:
        rng = np.random.default_rng(7)
        claims = 0
        for _ in range(200):
            y, early, loss, norm = rng.normal(size=(4, 16))
            study = study_of(
                y, configs=grid(16), early_eval=early, loss=loss, grad_norm=np.exp(norm)
            )
            told = statements(study_evidence(study))
            claims += any(one.finding in ("lower", "higher") for one in told)
        assert claims <= 15  # 10 expected at most; P(more than 15 at 0.05) = 0.04

    def test_a_strong_effect_is_found_in_most_studies(self) -> None:
        rng = np.random.default_rng(8)
        found = 0
        for _ in range(20):
            y = rng.normal(size=24)
            norm = np.exp(y + 0.7 * rng.normal(size=24))
            study = study_of(y, configs=grid(24), grad_norm=norm)
            found += verdict(study_evidence(study), "grad_norm").finding == "lower"
        assert found >= 18

    def test_six_configurations_are_too_few_and_the_number_needed_is_said(self) -> None:
        y, norm = np.random.default_rng(2).normal(size=(2, 6))
        told = verdict(
            study_evidence(study_of(y, configs=grid(6), grad_norm=np.exp(norm))), "grad_norm"
        )
        assert told.finding == "too few"
        assert f"takes about {num_configs_needed(0.4)} configurations, here are 6" in told.text

    def test_many_runs_without_an_effect_show_no_sign(self) -> None:
        y, norm = np.random.default_rng(2).normal(size=(2, 60))
        told = verdict(
            study_evidence(study_of(y, configs=grid(60), grad_norm=np.exp(norm))), "grad_norm"
        )
        assert told.finding == "none" and "No clear sign of it either way" in told.text

    @pytest.mark.parametrize("num", [0, 1, 2])
    def test_next_to_nothing_finished_is_too_few(self, num: int) -> None:
        objectives = [1.0, 2.0][:num] + [None] * 3
        found = study_evidence(study_of(objectives))
        assert {one.finding for one in statements(found)} == {"too few"}

    def test_raw_and_noise_free_norms_are_two_signals_and_the_verdict_says_which(self) -> None:
        y = np.random.default_rng(4).normal(size=20)
        clean = [None if i % 4 == 0 else math.exp(v) for i, v in enumerate(y)]
        found = study_evidence(
            study_of(y, configs=grid(20), grad_norm=np.exp(-y), noise_free=clean)
        )
        raw, free = signal(found, "grad_norm"), signal(found, "grad_norm_noise_free")
        assert raw.alone is not None and raw.alone.rho == pytest.approx(1.0)
        assert free.alone is not None and free.alone.rho == pytest.approx(-1.0)
        assert (free.alone.num_runs, free.num_missing) == (15, 5)
        assert found.norm == "grad_norm_noise_free"
        assert "(noise-free)" in verdict(found, "grad_norm_noise_free").text
        assert any("only 15 of 20 runs have it" in said for said in limits(found))


def told_by(to_config: float, to_both: float | None) -> StudyEvidence:
    """Norm as in the paper, loss against it; the dynamics' gains, in nats +- 0.1."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=24)
    study = study_of(y, configs=grid(24), grad_norm=np.exp(y), loss=y + 0.1 * rng.normal(size=24))
    gains = [gain("configuration", "+ dynamics", to_config)]
    if to_both is not None:
        gains.append(gain("+ early evaluation", "all", to_both))
    return replace(study_evidence(study), gains=tuple(gains))


@pytest.mark.usefixtures("without_sets")
class TestAnswer:
    def test_says_where_the_papers_finding_holds_and_where_it_is_reversed(self) -> None:
        assert answer(told_by(0.2, 0.2)).startswith(
            "The paper's finding holds for the gradient norm (raw) and is reversed for the "
            "training loss. Loss and norm"
        )

    @pytest.mark.parametrize(
        "to_config, to_both, said",
        [
            (0.2, 0.2, "help to predict {}, and beyond the early evaluation too."),
            (0.2, 0.0, "help to predict {}, but do not show to help beyond the early evaluation"),
            (0.0, 0.2, "do not show to help to predict {}, but help beyond the early evaluation."),
            (0.0, 0.0, "do not show to help to predict {}, nor beyond the early evaluation."),
            (0.2, None, "help to predict {}."),
        ],
    )
    def test_says_what_the_dynamics_add(
        self, to_config: float, to_both: float | None, said: str
    ) -> None:
        what = "a left-out run beyond what its hyperparameters tell"
        assert f"Loss and norm {said.format(what)}" in answer(told_by(to_config, to_both))

    def test_of_few_runs_is_that_they_are_too_few(self) -> None:
        y, norm, loss = np.random.default_rng(2).normal(size=(3, 6))
        study = study_of(y, configs=grid(6), grad_norm=np.exp(norm), loss=loss)
        assert answer(study_evidence(study)) == (
            "Too few runs to tell whether the paper's finding holds here. Too few runs to tell "
            "what loss and norm add to the configuration."
        )

    def test_names_the_window_that_no_run_was_watched_to(self) -> None:
        study = replace(study_of([1.0, 2.0, 3.0]), recorded_window=1000.0)
        assert overall([study_evidence(study)] * 2, []).startswith("Nothing can be told: no study")
        said = answer(study_evidence(study))
        assert "none of the 3 finished runs has training steps" in said and "1000 samples" in said

    def test_asks_for_loss_and_norm_where_both_are_the_same_in_all_runs(self) -> None:
        said = answer(study_evidence(study_of(np.arange(8.0), configs=grid(8))))
        assert "no loss and no gradient norm, or the same in all, up to the end" in said
        assert "X_steps.parquet" in said

    def test_of_several_studies_is_that_of_their_pool_and_counts_the_gains(self) -> None:
        studies = [told_by(0.2, 0.2), told_by(0.2, 0.0), told_by(0.0, None)]
        pooled = [pool(studies, name) for name in ("grad_norm", "loss")]
        assert overall(studies, [one for one in pooled if one is not None]) == (
            "The paper's finding holds for the gradient norm (raw) and is reversed for the "
            "training loss. Loss and norm help to predict a run beyond what its hyperparameters "
            "tell in 2 of 3 studies, and beyond the early evaluation in 1 of 2."
        )

    def test_without_any_evaluation_in_the_window_none_is_judged(self) -> None:
        study = study_of(np.arange(8.0), configs=grid(8))
        late = tuple(replace(run, evals=run.evals[1:]) for run in study.runs)
        found = study_evidence(replace(study, runs=late))
        assert verdict(found, "early_eval").text.startswith("Nothing to tell of early evaluation")
        assert limits(found) == []


@pytest.mark.usefixtures("without_sets")
class TestLimits:
    def test_name_the_runs_that_were_pruned(self) -> None:
        study = study_of(np.arange(8.0), configs=grid(8))
        lost = [
            run_of("by rank", None, {}, (1, 1, 1, None), state="pruned", pruned_by="rank"),
            run_of("by guard", None, {}, (1, 1, 1, None), state="pruned", pruned_by="guard"),
        ]
        said = " ".join(limits(study_evidence(replace(study, runs=(*study.runs, *lost)))))
        assert "1 of 10 runs were pruned by rank or given up and have no score" in said
        assert "over the 8 that ended" in said and "a narrower range" in said
        assert "ended by a guard, without a score: by guard" in said

    def test_say_how_far_those_that_ended_were_chosen_by_their_early_evaluations(self) -> None:
        study = study_of(np.arange(8.0), configs=grid(8), early_eval=np.arange(8.0))
        lost = [
            run_of(str(early), None, {}, (early, 1, 1, None), state="pruned", pruned_by="rank")
            for early in (1.0, 6.0, 9.0)
        ]
        said = " ".join(limits(study_evidence(replace(study, runs=(*study.runs, *lost)))))
        assert "(1 of the 3 had an early evaluation better than the median of these)" in said

    def test_say_that_few_configurations_with_repeats_tell_of_seeds_alone(self) -> None:
        configs = [{"learning_rate": 10.0 ** -(i % 4)} for i in range(24)]
        y = np.random.default_rng(6).normal(size=24)
        found = study_evidence(study_of(y, configs=configs, grad_norm=np.exp(y)))
        assert any("said of seeds of the same one" in said for said in limits(found))


@pytest.mark.usefixtures("without_sets")
class TestPooled:
    def test_studies_that_disagree_have_no_common_sign(self) -> None:
        told = pooled_statement(pooled_of(0.8, -0.8, 0.8))
        assert "No common sign" in told and "positive in 2 of them" in told

    def test_a_claim_takes_holms_correction_over_the_signals(self) -> None:
        alone = pooled_of(0.3, 0.4, 0.45, 0.5)
        assert pooled_statement(alone).startswith("Higher early training loss goes with")
        among = adjusted([alone, *[replace(alone, p_value=0.5)] * 5])[0]
        told = pooled_statement(among)
        assert told.startswith("Only a hint that higher early training loss goes with")
        assert "not clear" in overall([of_rho(0.4, 0.392)], [among])


def pooled_of(*rhos: float) -> Pooled:
    found = pool([of_rho(rho, 0.392) for rho in rhos], "loss")
    assert found is not None
    return found
