"""What early dynamics were worth: the numbers against scipy and scikit-learn."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.linear_model import LinearRegression

from predictor.evidence import evidence as module
from predictor.evidence.correlations import (
    correlate,
    midranks,
    rank_correlations,
)
from predictor.evidence.evidence import SignalEvidence, StudyEvidence, study_evidence
from predictor.evidence.nested import (
    SETS,
    compare,
    left_out,
    log_density,
    set_family,
    worth,
)
from predictor.evidence.pooling import adjusted, pool
from predictor.features import tabulate
from predictor.model import OURS, regress
from predictor.prior import Prior
from predictor.regression import Family, Mixture, fit, leave_one_out, predict
from predictor.target import Scale, scale_of
from predictor.types import CohortTrial, WindowSignals
from tests.support.evidence_studies import grid, of_rho, run_of, study_of

RNG = np.random.default_rng(0)


def no_controls(num: int) -> np.ndarray:
    return np.zeros((num, 0))


def signal(found: StudyEvidence, name: str) -> SignalEvidence:
    return next(one for one in found.signals if one.name == name)


@pytest.fixture
def without_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sets take a fit for each run; correlations need none."""
    monkeypatch.setattr(module, "SETS", {})


class TestCorrelations:
    def test_of_distinct_configurations_are_spearmans_with_its_p_value(self) -> None:
        x, y = RNG.normal(size=30), RNG.integers(0, 5, 30).astype(float)  # y has ties
        found = correlate(x, y, np.ones(30), np.arange(30), no_controls(30), seed=0)
        rho, p_value = stats.spearmanr(x, y)
        assert found is not None
        assert found.rho == pytest.approx(rho)
        assert found.p_value == pytest.approx(p_value)

    def test_given_columns_are_those_of_least_squares_residuals_of_ranks(self) -> None:
        columns = RNG.normal(size=(25, 2))
        x, y = columns[:, 0] + RNG.normal(size=25), columns.sum(1) + RNG.normal(size=25)
        found = correlate(x, y, np.ones(25), np.arange(25), columns, seed=0)
        left = [
            ranks - LinearRegression().fit(columns, ranks).predict(columns)
            for ranks in (stats.rankdata(x), stats.rankdata(y))
        ]
        assert found is not None
        assert found.rho == pytest.approx(np.corrcoef(*left)[0, 1])

    def test_a_weight_of_two_is_a_run_that_is_there_twice(self) -> None:
        x, y, weights = (
            RNG.normal(size=9),
            RNG.normal(size=9),
            np.array([1, 2, 1, 3, 1, 1, 2, 1, 1]),
        )
        twice = stats.spearmanr(np.repeat(x, weights), np.repeat(y, weights))[0]
        assert rank_correlations(x, y, weights[None].astype(float))[0] == pytest.approx(twice)

    def test_midranks_are_scipys_less_a_half(self) -> None:
        values = np.array([3.0, 1.0, 3.0, math.inf, 2.0, 3.0])
        ranks = midranks(values, np.ones((1, 6)))[0]
        assert ranks == pytest.approx(stats.rankdata(values) - 0.5)

    def test_repeats_of_a_configuration_do_not_narrow_the_interval(self) -> None:
        x, y = RNG.normal(size=12), RNG.normal(size=12)
        once = correlate(x, y, np.ones(12), np.arange(12), no_controls(12), seed=0)
        clusters = np.repeat(np.arange(12), 4)
        often = correlate(x[clusters], y[clusters], np.ones(48), clusters, no_controls(48), seed=0)
        assert once is not None and often is not None
        assert often.rho == pytest.approx(once.rho)
        assert (often.low, often.high) == pytest.approx((once.low, once.high))
        assert often.p_value == pytest.approx(once.p_value)

    def test_of_what_does_not_vary_there_is_none(self) -> None:
        y = RNG.normal(size=8)
        assert correlate(np.ones(8), y, np.ones(8), np.arange(8), no_controls(8), 0) is None

    def test_of_three_configurations_have_no_interval(self) -> None:
        found = correlate(
            np.arange(3.0), np.arange(3.0), np.ones(3), np.arange(3), no_controls(3), 0
        )
        assert found is not None and found.rho == pytest.approx(1.0) and math.isnan(found.low)


class TestDensity:
    SCALE = Scale(best=0.3, spread=0.1)
    MIXTURE = Mixture(
        np.array([0.3, 0.7, 0.0]), np.array([0.2, 1.1, 0]), np.array([0.4, 0.9, 1]), 5.0
    )

    def test_of_a_mixture_is_that_of_scipys_student_t(self) -> None:
        each = stats.t.pdf(0.8, 5.0, self.MIXTURE.means, self.MIXTURE.scales)
        expected = math.log(float(self.MIXTURE.weights @ each))
        assert self.MIXTURE.log_density(0.8) == pytest.approx(expected)

    def test_integrates_to_one_on_the_objectives_own_scale(self) -> None:
        def density(y: float) -> float:
            return math.exp(log_density(self.MIXTURE, self.SCALE, y))

        below, near, far = (
            integrate.quad(density, low, high, limit=200)[0]
            for low, high in ((-3.0, 0.3), (0.3, 5.0), (5.0, 1e4))
        )
        assert below + near + far == pytest.approx(1.0, abs=2e-3)

    @pytest.mark.parametrize("objective", [0.1, 0.2999, 0.3001, 0.45, 30.0])
    def test_has_the_slope_of_the_squash_as_its_jacobian(self, objective: float) -> None:
        step = 1e-6
        above, below = self.SCALE.squash(np.array([objective + step, objective - step]))
        slope = math.exp(self.SCALE.log_slope(objective))
        assert slope == pytest.approx((above - below) / (2 * step), rel=1e-3)


def cohort(num: int, noise: float = 0.02) -> list[CohortTrial]:
    rng = np.random.default_rng(1)
    trials: list[CohortTrial] = []
    for i, config in enumerate(grid(num)):
        early, loss, norm = rng.normal(size=3)
        window = WindowSignals(10, math.exp(loss), math.exp(norm), None, 2 + 0.1 * early)
        objective = 1 + 0.1 * early + 0.05 * (i % 4) + noise * rng.normal()
        trials.append(CohortTrial(i, config, window, objective))
    return trials


class TestNestedSets:
    def test_left_out_by_brute_force_is_the_closed_form(self) -> None:
        trials = cohort(10)
        table = tabulate(trials, 1)
        targets = np.array([trial.objective for trial in trials], dtype=np.float64)
        # One model, as weights of an average are refitted too.
        one = Family(
            signal_sets=(frozenset(table.names),),
            set_weights=(1.0,),
            config_scales=(1.0,),
            point_scales=(1.0,),
            noise_b0=(0.1,),
            inflate=False,
        )
        whole = fit(table.design, targets, table.names, Prior(0.0), one)
        residuals, squared_scales = leave_one_out(whole)
        for i in range(10):
            rest = [j for j in range(10) if j != i]
            fitted = fit(table.design.rows(rest), targets[rest], table.names, Prior(0.0), one)
            left = predict(fitted, table.design.rows([i]))
            assert targets[i] - left.means[0] == pytest.approx(residuals[0, i])
            assert left.scales[0] ** 2 == pytest.approx(squared_scales[0, 0, i])

    def test_the_scale_is_fitted_without_the_run_left_out(self) -> None:
        trials = cohort(8)
        best = min(trials, key=lambda trial: trial.objective or 0.0)
        far = [replace(t, objective=-5.0) if t is best else t for t in trials]
        found = left_out(far, set_family(()), np.arange(8))
        assert found is not None
        others = [t for t in far if t is not far[best.number]]
        scale = scale_of([t.objective for t in others if t.objective is not None])
        table = tabulate([far[best.number], *others], 1)
        assert scale is not None
        targets = scale.squash(np.array([t.objective for t in others], dtype=np.float64))
        expected = regress(table, range(1, 8), targets, Prior(0.0), set_family(()))[1]
        own = log_density(expected, scale, -5.0)
        assert found.log_density[best.number] == pytest.approx(own)

    def test_what_carries_the_objective_adds_and_what_does_not_adds_nothing(self) -> None:
        trials = cohort(16)
        found = {
            name: one
            for name, signals in SETS.items()
            if (one := left_out(trials, set_family(signals), np.arange(16))) is not None
        }
        gains = {(g.base, g.name): g for g in compare(found, np.ones(16), np.arange(16), seed=0)}
        early = gains["configuration", "+ early evaluation"]
        dynamics = gains["+ early evaluation", "all"]
        assert early.log_density_low is not None and early.log_density_low > 0.2
        assert dynamics.log_density_low is not None and dynamics.log_density_low < 0

    def test_the_one_signal_that_carries_the_objective_adds_alone(self) -> None:
        rng = np.random.default_rng(2)
        loss, norm, noise = rng.normal(size=(3, 16))
        y = loss + 0.1 * noise
        found = study_evidence(study_of(y, configs=grid(16), loss=loss + 5, grad_norm=np.exp(norm)))
        helps = {(g.base, g.name): g.is_above for g in found.gains}
        assert helps["configuration", "+ training loss"] and helps["+ gradient norm", "+ dynamics"]
        assert not helps["configuration", "+ gradient norm"]
        assert not helps["+ training loss", "+ dynamics"]

    def test_a_set_is_worth_the_mean_of_its_runs_with_their_intervals(self) -> None:
        """Those of signals: Student's t on the density's sd, Fisher's scale for the ranks."""
        one = left_out(cohort(16), set_family(("early_eval",)), np.arange(16))
        assert one is not None
        found = worth("+ early evaluation", one, np.ones(16), np.arange(16), seed=0)
        assert found.log_density == pytest.approx(one.log_density.mean())
        assert found.log_density_low is not None and found.log_density_high is not None
        half = stats.t.ppf(0.975, 15) * stats.sem(one.log_density)
        width = found.log_density_high - found.log_density_low
        assert width / 2 == pytest.approx(half, rel=0.05)
        ranks = stats.rankdata(one.predicted), stats.rankdata(one.objectives)
        expected = float(np.corrcoef(*ranks)[0, 1])
        assert found.rank_correlation == pytest.approx(expected)
        assert found.rank_correlation_low is not None and found.rank_correlation_high is not None
        assert 0 < found.rank_correlation_low < expected < found.rank_correlation_high < 1

    def test_a_set_of_two_configurations_has_no_interval(self) -> None:
        clusters = np.arange(8) % 2
        one = left_out(cohort(8), set_family(()), np.arange(8))
        assert one is not None
        found = worth("configuration", one, np.ones(8), clusters, seed=0)
        assert found.log_density_low is None and found.rank_correlation_low is None
        assert found.rank_correlation is not None

    def test_the_density_moves_with_the_unit_and_the_gain_does_not(self) -> None:
        trials = cohort(8)
        scaled = [replace(t, objective=1000 * (t.objective or 0.0)) for t in trials]
        own, other = left_out(trials, OURS, np.arange(8)), left_out(scaled, OURS, np.arange(8))
        assert own is not None and other is not None
        assert own.log_density - other.log_density == pytest.approx(np.full(8, math.log(1000)))
        assert own.predicted == pytest.approx(other.predicted)

    def test_a_configuration_left_out_with_all_its_seeds_is_not_told_by_them(self) -> None:
        rng = np.random.default_rng(5)
        effect = np.repeat(rng.normal(size=8), 2)  # of a configuration, as its label alone tells
        configs = [{"recipe": f"recipe {i // 2}"} for i in range(16)]
        y = effect + 0.01 * rng.normal(size=16)
        found = study_evidence(study_of(y, configs=configs))
        (known, *_), (new, *_) = found.sets, found.new_sets
        assert known.rank_correlation is not None and known.rank_correlation > 0.8
        assert new.rank_correlation is None or new.rank_correlation < 0.3
        assert known.log_density > new.log_density + 0.5

    def test_need_four_finished_runs_and_no_tie(self) -> None:
        assert left_out(cohort(3), OURS, np.arange(3)) is None
        assert (
            left_out([replace(trial, objective=1.0) for trial in cohort(8)], OURS, np.arange(8))
            is None
        )


@pytest.mark.usefixtures("without_sets")
class TestWhatWasKept:
    def test_pruned_and_unfinished_runs_are_named(self) -> None:
        study = study_of(np.arange(8.0), configs=grid(8))
        lost = [
            run_of("by rank", None, {}, (1, 1, 1, None), state="pruned", pruned_by="rank"),
            run_of("by guard", None, {}, (1, 1, 1, None), state="pruned", pruned_by="guard"),
            run_of("crashed", None, {}, (1, 1, 1, None), state="failed"),
            run_of("astray", math.nan, {}, (1, 1, 1, None)),
        ]
        found = study_evidence(replace(study, runs=(*study.runs, *lost)))
        kept = found.kept
        assert (kept.num_runs, kept.num_finished) == (12, 8)
        assert kept.pruned_by_rank == ("by rank",) and kept.pruned_by_guard == ("by guard",)
        assert kept.unfinished == ("crashed",) and kept.not_finite == ("astray",)

    def test_audited_runs_weigh_one_over_their_audits_probability(self) -> None:
        y, norm = np.random.default_rng(5).normal(size=(2, 12))
        study = study_of(y, configs=grid(12), grad_norm=np.exp(norm))
        audits = {"3": 0.25, "7": 0.5}
        runs = tuple(replace(run, audit=audits.get(run.name)) for run in study.runs)
        found = study_evidence(replace(study, runs=runs))
        counts = np.ones(12, dtype=int)
        counts[[3, 7]] = 4, 2
        alone = signal(found, "grad_norm").alone
        expected = stats.spearmanr(np.repeat(norm, counts), np.repeat(-y, counts))[0]
        assert alone is not None and alone.rho == pytest.approx(expected)
        assert found.kept.num_weighted == 2

    def test_few_configurations_with_repeats_tell_of_seeds_alone(self) -> None:
        rng = np.random.default_rng(6)
        configs = [{"learning_rate": 10.0 ** -(i % 4)} for i in range(24)]
        y = rng.normal(size=24)
        found = study_evidence(study_of(y, configs=configs, grad_norm=np.exp(y)))
        assert signal(found, "grad_norm").controls == "label"
        assert found.kept.num_configs == 4

    def test_a_run_that_went_astray_has_the_highest_loss(self) -> None:
        loss = [1.0, 2.0, 3.0, math.nan, math.inf, 0.5]
        found = study_evidence(study_of([1, 2, 3, 5, 5, 0.5], configs=grid(6), loss=loss))
        alone = signal(found, "loss").alone
        assert alone is not None and alone.rho == pytest.approx(-1.0)

    def test_early_evaluations_are_turned_like_the_score(self) -> None:
        early = np.arange(12.0)
        found = study_evidence(study_of(early + 1, configs=grid(12), early_eval=early))
        alone = signal(found, "early_eval").alone
        assert alone is not None and alone.rho == pytest.approx(1.0)


@pytest.mark.usefixtures("without_sets")
class TestPooled:
    def test_studies_that_agree_narrow_the_interval(self) -> None:
        pooled = pool([of_rho(0.4, 0.392)] * 6, "loss")
        assert pooled is not None
        z, t = math.atanh(0.4), stats.t.ppf(0.975, 5)
        assert pooled.rho == pytest.approx(0.4) and pooled.tau == 0
        assert pooled.low == pytest.approx(math.tanh(z - t * 0.2 / math.sqrt(6)))
        assert pooled.num_positive == 6

    def test_the_interval_keeps_its_level_for_three_studies_that_differ(self) -> None:
        """Hartung and Knapp's; with 1.96 in place of Student's t 17 % exclude the true 0."""
        rng, excluded = np.random.default_rng(0), 0
        for _ in range(400):
            studies = [of_rho(math.tanh(z), 0.392) for z in rng.normal(scale=0.54, size=3)]
            pooled = pool(studies, "loss")
            assert pooled is not None
            excluded += not pooled.low <= 0 <= pooled.high
        assert excluded < 0.09 * 400

    def test_studies_that_disagree_widen_it(self) -> None:
        pooled = pool([of_rho(0.8, 0.392), of_rho(-0.8, 0.392), of_rho(0.8, 0.392)], "loss")
        # By hand: variances 0.04, Q = 2 x 1.0986^2 x 4/3 / 0.04, tau^2 = (Q - 2) / 50
        assert pooled is not None
        q = math.atanh(0.8) ** 2 * (8 / 3) / 0.04
        assert pooled.tau == pytest.approx(math.sqrt((q - 2) / 50))
        assert pooled.low < 0 < pooled.high
        assert pooled.num_positive == 2

    def test_a_claim_takes_holms_correction_over_the_signals(self) -> None:
        alone = pool([of_rho(rho, 0.392) for rho in (0.3, 0.4, 0.45, 0.5)], "loss")
        assert alone is not None
        assert alone.low > 0 and 0.01 < alone.p_value < 0.05
        (among,) = adjusted([alone, *[replace(alone, p_value=0.5)] * 5])[:1]
        assert among.holm == pytest.approx(6 * alone.p_value)

    def test_two_studies_are_not_pooled(self) -> None:
        assert pool([of_rho(0.4, 0.392)] * 2, "loss") is None


def test_the_whole_of_a_study_does_not_depend_on_the_order_of_its_runs() -> None:
    rng = np.random.default_rng(9)
    y, early = rng.normal(size=(2, 8))
    study = study_of(y, configs=grid(8), early_eval=y + early, loss=early)
    turned = replace(study, runs=study.runs[::-1])
    one, other = study_evidence(study), study_evidence(turned)
    assert [s.log_density for s in one.sets] == pytest.approx([s.log_density for s in other.sets])
    assert len(one.gains) == 5
