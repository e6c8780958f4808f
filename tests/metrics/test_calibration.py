"""Calibration numbers against hand counts, brute force, independent libraries and known laws."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import brentq, minimize
from scipy.special import log_softmax, xlogy
from scipy.stats import binom, binomtest

from vcviz.base.errors import InputError
from vcviz.metrics.calibration import (
    apply_temperature,
    brier_decomposition,
    brier_score,
    classwise_calibration_error,
    expected_calibration_error,
    fit_temperature,
    maximum_calibration_error,
    negative_log_likelihood,
    reliability_curve,
    temperature_sweep,
)
from vcviz.metrics.calibration.binning import Cells, bins_of, confidences
from vcviz.metrics.calibration.debiased import likeliest


def binary(p) -> np.ndarray:
    """Log-probabilities of two classes with p(y=1|x) = p."""
    p = np.asarray(p, dtype=float)
    with np.errstate(divide="ignore"):
        return np.log(np.stack([1 - p, p], axis=1))


def sample(n: int, c: int = 3, *, sharpness: float = 1.0, seed: int = 0):
    """Logits, their log-probabilities and labels drawn from the softmax of logits / sharpness."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((n, c))
    truth = np.exp(log_softmax(logits, axis=1))
    y = (truth.cumsum(1) > rng.random((n, 1))).argmax(1)
    return log_softmax(sharpness * logits, axis=1), y


@pytest.fixture
def data():
    return sample(400, sharpness=1.5)


class TestExpectedCalibrationError:
    def test_four_samples_by_hand(self):
        # Two bins: 0.6 right and 0.8 wrong gap |0.5 - 0.7|; top labels of 0.9, 0.55 likewise.
        log_probs = binary([0.6, 0.8, 0.1, 0.45])
        y = [1, 0, 0, 1]
        # confidences .6 right, .8 wrong, .9 right, .55 wrong
        # bins of 1/5: (.4, .6] holds .6 and .55; (.6, .8] holds .8; (.8, 1] holds .9
        by_hand = (abs(1 - 1.15) + abs(0 - 0.8) + abs(1 - 0.9)) / 4
        assert expected_calibration_error(log_probs, y, n_bins=5) == pytest.approx(by_hand)
        assert maximum_calibration_error(log_probs, y, n_bins=5) == pytest.approx(0.8)

    @pytest.mark.parametrize("binning", ["width", "mass"])
    @pytest.mark.parametrize("label", [None, 1])
    def test_brute_force(self, data, binning, label):
        log_probs, y = data
        p = np.exp(log_probs)
        confidence = p.max(1) if label is None else p[:, label]
        right = p.argmax(1) == y if label is None else y == label
        edges = (
            np.linspace(0, 1, 8)
            if binning == "width"
            else np.quantile(confidence, np.linspace(0, 1, 8))
        )
        total, gaps = 0.0, []
        for k in range(7):
            low = confidence >= edges[k] if k == 0 else confidence > edges[k]
            inside = low & (confidence <= edges[k + 1])
            if inside.any():
                gaps.append(abs(right[inside].mean() - confidence[inside].mean()))
                total += inside.mean() * gaps[-1]
        options = {"n_bins": 7, "binning": binning, "label": label}
        assert expected_calibration_error(log_probs, y, **options) == pytest.approx(total)
        assert maximum_calibration_error(log_probs, y, **options) == pytest.approx(max(gaps))
        assert reliability_curve(log_probs, y, **options).ece == pytest.approx(total)

    def test_classwise_is_the_mean_over_classes(self, data):
        per_class = [expected_calibration_error(*data, label=k) for k in range(3)]
        assert classwise_calibration_error(*data) == pytest.approx(np.mean(per_class))

    def test_bins_close_on_the_right(self):
        log_probs, y = binary([0.0, 0.2, 0.2 + 1e-9, 1.0]), [0, 0, 0, 1]
        curve = reliability_curve(log_probs, y, n_bins=5, label=1, resamples=0)
        np.testing.assert_array_equal(curve.count, [2, 1, 0, 0, 1])

    def test_ties_go_to_the_first_class_as_argmax_does(self):
        log_probs = np.log(np.full((6, 3), 1 / 3))
        curve = reliability_curve(log_probs, [0, 0, 1, 1, 2, 2], n_bins=1, resamples=0)
        assert curve.accuracy[0] == pytest.approx(1 / 3)
        assert curve.ece == pytest.approx(0, abs=1e-12)

    def test_a_million_rows_of_blocks_agree_with_argmax(self):
        log_probs, y = sample(20_000, 5)
        curve = reliability_curve(log_probs, y, n_bins=1, resamples=0)
        assert curve.accuracy[0] == (log_probs.argmax(1) == y).mean()

    @pytest.mark.parametrize("n_bins", [1, 3, 7, 10, 49])
    def test_every_edge_closes_its_bin_on_the_right(self, n_bins):
        edges = np.linspace(0, 1, n_bins + 1)
        at = np.concatenate([edges, np.nextafter(edges, 0)[1:], np.nextafter(edges, 1)[:-1]])
        wanted = np.maximum(np.searchsorted(edges, at) - 1, 0)
        np.testing.assert_array_equal(bins_of(at, edges), wanted)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_blocks_of_rows_agree_with_one_look_at_each(self, dtype):
        # Confidences of 1/2, 1/4, … tie in many rows; blocks of 600 classes are 256 rows long.
        rng = np.random.default_rng(0)
        for n, c in ((300, 600), (9000, 3)):
            scores = rng.integers(0, 3, (n, c)).astype(dtype)
            log_probs = log_softmax(scores, axis=1).astype(dtype)
            y = np.where(rng.random(n) < 0.5, log_probs.argmax(1), rng.integers(0, c, n))
            confidence, right = confidences(log_probs, y, None)
            np.testing.assert_array_equal(right, log_probs.argmax(1) == y)
            np.testing.assert_allclose(confidence, np.exp(log_probs.max(1)), rtol=1e-6)

    def test_a_bad_row_is_found_wherever_it_is(self):
        log_probs, y = sample(9000, 3)
        log_probs[8999, 1] = np.nan
        with pytest.raises(InputError, match="NaN or \\+inf"):
            expected_calibration_error(log_probs, y)
        log_probs[8999] = np.log([0.5, 0.2, 0.2])
        with pytest.raises(InputError, match="one is off by"):
            expected_calibration_error(log_probs, y)

    def test_float32_and_float64_agree(self, data):
        log_probs, y = data
        single = expected_calibration_error(log_probs.astype(np.float32), y)
        assert single == pytest.approx(expected_calibration_error(log_probs, y), abs=1e-5)


class TestMassBins:
    def test_counts_are_equal(self, data):
        curve = reliability_curve(*data, n_bins=8, binning="mass", resamples=0)
        np.testing.assert_array_equal(curve.count, np.full(8, 50))

    def test_ties_merge_edges(self):
        log_probs, y = binary([0.7] * 6 + [0.8, 0.9]), [1] * 8
        curve = reliability_curve(log_probs, y, n_bins=4, binning="mass", resamples=5)
        assert curve.n_bins == 2
        assert curve.count.sum() == 8

    def test_one_confidence_gives_one_bin(self):
        curve = reliability_curve(binary([0.7] * 4), [1, 1, 1, 0], binning="mass")
        np.testing.assert_array_equal(curve.edges, [0, 1])
        assert curve.ece == pytest.approx(0.05)


class TestReliabilityCurve:
    def test_matches_sklearn_for_two_classes(self):
        from sklearn.calibration import calibration_curve

        rng = np.random.default_rng(0)
        p = rng.random(300)
        y = (rng.random(300) < p**2).astype(int)
        for ours, theirs in (("width", "uniform"), ("mass", "quantile")):
            curve = reliability_curve(binary(p), y, n_bins=6, binning=ours, label=1, resamples=0)
            accuracy, confidence = calibration_curve(y, p, n_bins=6, strategy=theirs)
            filled = curve.count > 0
            # Bins are closed on the other side there: no confidence of this draw is on an edge
            # but the quantiles themselves, one sample of fifty.
            np.testing.assert_allclose(curve.accuracy[filled], accuracy, atol=0.03)
            np.testing.assert_allclose(curve.confidence[filled], confidence, atol=0.01)

    def test_empty_bins_are_nan_and_add_nothing(self):
        curve = reliability_curve(binary([0.9, 0.95, 0.97]), [1, 1, 0], n_bins=4)
        np.testing.assert_array_equal(curve.count, [0, 0, 0, 3])
        for name in ("confidence", "accuracy", "band_low", "consistency_high"):
            values = getattr(curve, name)
            assert np.isnan(values[:3]).all()
            assert np.isfinite(values[3])

    def test_heights_lie_inside_their_bands(self, data):
        curve = reliability_curve(*data, n_bins=6)
        filled = curve.count > 0
        assert (curve.band_low <= curve.accuracy)[filled].all()
        assert (curve.accuracy <= curve.band_high)[filled].all()
        assert (curve.consistency_low <= curve.confidence)[filled].all()
        assert (curve.confidence <= curve.consistency_high)[filled].all()
        assert curve.ece_interval[0] <= curve.ece <= curve.ece_interval[1]

    def test_seed_decides_the_draws_alone(self, data):
        first, again, other = (reliability_curve(*data, seed=s) for s in (1, 1, 2))
        np.testing.assert_array_equal(first.band_low, again.band_low)
        assert first.ece_interval == again.ece_interval != other.ece_interval
        assert first.ece == other.ece

    def test_bootstrap_matches_resampling_the_samples(self, data):
        log_probs, y = data
        rng = np.random.default_rng(3)
        curve = reliability_curve(log_probs, y, n_bins=5, resamples=4000)
        draws = []
        for _ in range(1500):
            rows = rng.integers(0, len(y), len(y))
            draws.append(reliability_curve(log_probs[rows], y[rows], n_bins=5, resamples=0))
        eces = np.array([d.ece for d in draws])
        shifted = np.quantile(eces, (0.025, 0.975)) - (eces.mean() - curve.ece)
        np.testing.assert_allclose(curve.ece_interval, np.maximum(shifted, 0), atol=0.004)

    def test_bootstrap_draws_the_confidences_too(self):
        # All samples are right: only their confidences, .1 or .9, vary from draw to draw.
        curve = reliability_curve(
            binary([0.1, 0.9] * 100), [1] * 200, n_bins=1, label=1, resamples=4000
        )
        half = 1.96 * 0.4 / np.sqrt(200)
        np.testing.assert_allclose(curve.ece_interval, (0.5 - half, 0.5 + half), atol=0.004)

    @pytest.mark.parametrize("n_bins", [1, 2, 15])
    def test_null_matches_drawing_every_label(self, n_bins):
        # One or two bins: confidences vary most inside a bin, where a plain binomial is wrong.
        log_probs, y = sample(300, sharpness=2.0)
        curve = reliability_curve(log_probs, y, n_bins=n_bins, resamples=4000)
        confidence = np.exp(log_probs.max(1))
        rng = np.random.default_rng(5)
        k = np.maximum(np.searchsorted(curve.edges, confidence) - 1, 0)
        right = rng.random((4000, 300)) < confidence
        hits = np.stack([right[:, k == j].sum(1) for j in range(n_bins)], axis=1)
        filled = curve.count > 15
        heights = hits[:, filled] / curve.count[filled]
        low, high = np.quantile(heights, (0.025, 0.975), axis=0)
        one = 1 / curve.count[filled]  # heights come in steps of one sample
        assert (np.abs(curve.consistency_low[filled] - low) < 0.004 + one).all()
        assert (np.abs(curve.consistency_high[filled] - high) < 0.004 + one).all()
        total = np.bincount(k, confidence, minlength=n_bins)
        eces = np.abs(hits - total).sum(1) / 300
        assert curve.ece_if_calibrated == pytest.approx(eces.mean(), rel=0.04)
        np.testing.assert_allclose(
            curve.ece_if_calibrated_interval, np.quantile(eces, (0.025, 0.975)), rtol=0.12
        )

    @pytest.mark.parametrize("n_bins", [4, 15])
    def test_consistency_bars_by_mass_hold_their_level_exactly(self, n_bins):
        # The number right in a bin is Poisson-binomial; its law by convolution.
        log_probs, y = sample(300, sharpness=2.0)
        curve = reliability_curve(log_probs, y, n_bins=n_bins, binning="mass", resamples=4000)
        confidence = np.exp(log_probs.max(1))
        k = np.clip(np.searchsorted(curve.edges, confidence) - 1, 0, n_bins - 1)
        for j in range(n_bins):
            law = np.ones(1)
            for p in confidence[k == j]:
                law = np.convolve(law, [1 - p, p])
            low, high = (
                ends[j] * curve.count[j] for ends in (curve.consistency_low, curve.consistency_high)
            )
            assert (low, high) == (pytest.approx(round(low)), pytest.approx(round(high)))
            inside = law[round(low) : round(high) + 1].sum()
            one = law[[round(low), round(high)]].max()
            assert 0.945 < inside < 0.955 + 2 * one

    def test_calibrated_model_sits_at_its_floor(self):
        curve = reliability_curve(*sample(4000, seed=7))
        low, high = curve.ece_if_calibrated_interval
        assert low < curve.ece < high
        overconfident = reliability_curve(*sample(4000, sharpness=2.0, seed=7))
        assert overconfident.ece > 2 * overconfident.ece_if_calibrated_interval[1]

    def test_bins_without_spread_keep_an_interval(self):
        curve = reliability_curve(binary([0.9] * 5), [1] * 5, n_bins=2)
        assert curve.band_high[1] == 1
        wilson = binomtest(5, 5).proportion_ci(method="wilson")
        assert curve.band_low[1] == pytest.approx(wilson.low)

    def test_class_curve_counts_every_sample(self, data):
        log_probs, y = data
        curve = reliability_curve(log_probs, y, label=2, resamples=0)
        assert curve.count.sum() == len(y)
        assert np.nansum(curve.count * curve.accuracy) == pytest.approx((y == 2).sum())

    def test_no_resamples_leave_intervals_nan(self, data):
        curve = reliability_curve(*data, resamples=0)
        assert np.isnan(curve.band_low).all()
        assert np.isnan(curve.ece_interval).all()
        assert np.isnan([curve.ece_if_calibrated, curve.ece_debiased]).all()
        assert np.isnan(curve.ece_debiased_interval).all()

    def test_what_is_not_asked_for_changes_nothing_else(self, data):
        whole, short = (reliability_curve(*data, debiased=wanted) for wanted in (True, False))
        for name, value in vars(short).items():
            if name.startswith("ece_debiased"):
                assert np.isnan(value).all()
            else:
                np.testing.assert_array_equal(value, getattr(whole, name))


class TestDebiased:
    def test_one_bin_is_a_test_of_a_share_turned_round(self):
        # 70 right of 100 at confidence .8: exact tails of |hits - 80| under an accuracy of .8 - e.
        n, hits, p = 100, 70, 0.8
        curve = reliability_curve(
            binary(np.full(n, p)),
            (np.arange(n) < hits).astype(int),
            n_bins=1,
            label=1,
            resamples=500,
        )
        count = np.arange(n + 1)
        apart = np.abs(count - n * p)
        floor = (binom.pmf(count, n, p) * apart).sum() / n

        def above(e: float) -> float:
            law = binom.pmf(count, n, p - e)
            return law[apart > n * p - hits].sum() + law[apart == n * p - hits].sum() / 2

        def tail(e: float) -> float:
            return 0.05 * (1 - 0.5 * min(1, e / floor))

        ends = [
            brentq(lambda e, t=target: above(e) - t(e), 0, 0.5)
            for target in (tail, lambda _: 0.5, lambda e: 0.95 + tail(e))
        ]
        found = [curve.ece_debiased_interval[0], curve.ece_debiased, curve.ece_debiased_interval[1]]
        np.testing.assert_allclose(found, ends, atol=0.01)
        assert curve.ece == pytest.approx(0.1)

    def test_the_accuracies_of_an_error_are_the_likeliest(self):
        count, hits = np.array([50, 80, 100, 10]), np.array([20, 60, 93, 10])
        confidence = np.array([0.5, 0.7, 0.9, 0.97])
        counts = np.stack([count - hits, hits], axis=1)
        cells = Cells(counts, counts * confidence[:, None], counts * confidence[:, None] ** 2)
        np.testing.assert_allclose(likeliest(cells, 0.0), hits / count)

        def loss(accuracy):
            return -(xlogy(hits, accuracy) + xlogy(count - hits, 1 - accuracy)).sum()

        for multiplier in (0.05, 0.2, -0.1):
            accuracy = likeliest(cells, multiplier)
            error = count @ np.abs(accuracy - confidence)
            same = {
                "type": "eq",
                "fun": lambda a, e=error: count @ np.abs(a - confidence) - e,
            }
            start = np.clip(accuracy + 0.01, 0.02, 0.98)
            best = minimize(loss, start, bounds=[(0.01, 1)] * 4, method="SLSQP", constraints=same)
            assert loss(accuracy) < best.fun + 1e-4
        assert (likeliest(cells, 1e6) == confidence).all()

    def test_a_calibrated_model_has_no_error_and_an_overconfident_one_its_own(self):
        found = [
            reliability_curve(*sample(300, seed=seed), resamples=200, seed=seed)
            for seed in range(100)
        ]
        low = np.array([c.ece_debiased_interval[0] for c in found])
        estimate = np.array([c.ece_debiased for c in found])
        assert np.mean(low > 0) < 0.12
        assert 0.3 < np.mean(estimate == 0) < 0.7
        assert min(c.ece for c in found) > 0.01
        big = sample(200_000, sharpness=2.0, seed=1)
        low, high = reliability_curve(
            *sample(1000, sharpness=2.0), resamples=500
        ).ece_debiased_interval
        assert 0.01 < low < expected_calibration_error(*big) < high

    def test_many_rows_leave_nothing_to_debias(self):
        curve = reliability_curve(*sample(100_000, sharpness=2.0))
        assert curve.ece_debiased == pytest.approx(curve.ece, abs=2e-4)
        np.testing.assert_allclose(curve.ece_debiased_interval, curve.ece_interval, atol=1e-3)

    @pytest.mark.parametrize("wanted", [True, False])
    @pytest.mark.parametrize("p", [0.5, 1.0])
    def test_one_sample_says_what_it_can(self, wanted, p):
        curve = reliability_curve(binary([p]), [int(wanted)], label=1, resamples=50)
        low, high = curve.ece_debiased_interval
        assert 0 <= low <= curve.ece_debiased <= high <= 1


class TestScores:
    def test_brier_by_hand(self):
        log_probs = np.log([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]])
        by_hand = ((0.3**2 + 0.2**2 + 0.1**2) + (0.5**2 + 0.75**2 + 0.25**2)) / 2
        assert brier_score(log_probs, [0, 1]) == pytest.approx(by_hand)

    def test_brier_ends(self):
        assert brier_score(binary([1.0, 0.0]), [1, 0]) == 0
        assert brier_score(binary([1.0, 0.0]), [0, 1]) == 2

    def test_brier_matches_sklearn(self):
        from sklearn.metrics import brier_score_loss

        rng = np.random.default_rng(0)
        p, y = rng.random(50), rng.integers(0, 2, 50)
        assert brier_score(binary(p), y) == pytest.approx(2 * brier_score_loss(y, p))

    def test_brier_parts_of_discrete_confidences(self):
        # Confidences that do not vary inside a bin leave no remainder.
        rng = np.random.default_rng(1)
        p = rng.choice([0.1, 0.5, 0.9], 200)
        y = (rng.random(200) < p**1.5).astype(int)
        parts = brier_decomposition(binary(p), y, n_bins=5)
        frequency = {v: y[p == v].mean() for v in (0.1, 0.5, 0.9)}
        expected = np.mean([(v - frequency[v]) ** 2 for v in p])
        assert parts.remainder == pytest.approx(0, abs=1e-12)
        assert parts.reliability == pytest.approx(2 * expected)
        assert parts.uncertainty == pytest.approx(2 * y.mean() * (1 - y.mean()))
        assert parts.score == pytest.approx(brier_score(binary(p), y))

    def test_nll_is_cross_entropy(self, data):
        from sklearn.metrics import log_loss

        log_probs, y = data
        assert negative_log_likelihood(log_probs, y) == pytest.approx(
            log_loss(y, np.exp(log_probs))
        )

    def test_nll_of_an_impossible_label_is_infinite(self):
        assert negative_log_likelihood(binary([1.0, 0.5]), [0, 1]) == np.inf


class TestTemperature:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("sharpness", [0.5, 1.66, 4.0])
    def test_recovers_the_sharpness_as_t_itself(self, dtype, sharpness):
        # A peer returns 1.0 for float32 and stores 1/T: both would fail here.
        log_probs, y = sample(20_000, sharpness=sharpness)
        fit = fit_temperature(log_probs.astype(dtype), y)
        assert fit.temperature == pytest.approx(sharpness, rel=0.03)
        assert fit.nll_after < fit.nll_before
        softened = apply_temperature(log_probs.astype(dtype), fit.temperature)
        assert negative_log_likelihood(softened, y) == pytest.approx(fit.nll_after)
        assert expected_calibration_error(softened, y) < expected_calibration_error(log_probs, y)

    def test_is_a_minimum(self, data):
        log_probs, y = data
        fit = fit_temperature(log_probs, y)
        for factor in (0.99, 1.01):
            near = apply_temperature(log_probs, fit.temperature * factor)
            assert negative_log_likelihood(near, y) > fit.nll_after

    def test_one_changes_nothing(self, data):
        np.testing.assert_allclose(apply_temperature(data[0], 1.0), data[0], atol=1e-12)

    def test_never_worse_than_before(self):
        fit = fit_temperature(binary([0.5, 0.5]), [0, 1])
        assert fit.temperature == 1
        assert fit.nll_after == fit.nll_before

    def test_separable_labels_want_no_softness(self):
        fit = fit_temperature(binary([0.9, 0.2]), [1, 0])
        assert 0.01 <= fit.temperature < 0.1
        assert fit.nll_after < 1e-9

    def test_hopeless_labels_are_named(self):
        with pytest.raises(InputError, match="1 rows of log_probs give their label prob"):
            fit_temperature(binary([1.0, 0.5]), [0, 1])

    @pytest.mark.parametrize("label", [None, 1])
    @pytest.mark.parametrize("binning", ["width", "mass"])
    def test_a_sweep_is_each_temperature_by_itself(self, data, label, binning):
        log_probs, y = data
        options = {"n_bins": 6, "binning": binning, "label": label}
        sweep = temperature_sweep(log_probs, y, [0.3, 1, 4], **options, name="<s>")
        for i, t in enumerate((0.3, 1.0, 4.0)):
            scaled = apply_temperature(log_probs, t)
            assert sweep.nll[i] == pytest.approx(negative_log_likelihood(scaled, y))
            assert sweep.ece[i] == pytest.approx(expected_calibration_error(scaled, y, **options))
        assert sweep.best == fit_temperature(log_probs, y).temperature
        assert sweep.name == "<s>"
        assert temperature_sweep(log_probs, y, [2], best=7.0).best == 7

    def test_a_sweep_over_impossible_labels_has_no_best(self):
        sweep = temperature_sweep(binary([1.0, 0.5]), [0, 1], [1.0, 2.0])
        assert np.isinf(sweep.nll).all()
        assert np.isnan(sweep.best)
        with pytest.raises(InputError, match="temperatures must be positive"):
            temperature_sweep(binary([0.5]), [0], [0.0])

    @pytest.mark.parametrize("temperature", [0, -1, np.inf, np.nan, "1", None])
    def test_refuses(self, data, temperature):
        with pytest.raises(InputError, match="temperature must be a number above 0"):
            apply_temperature(data[0], temperature)


class TestProperties:
    logits = arrays(
        float, st.tuples(st.integers(1, 30), st.integers(2, 5)), elements=st.floats(-30, 30)
    )

    @settings(max_examples=40, deadline=None)
    @given(logits=logits, seed=st.integers(0, 99), binning=st.sampled_from(["width", "mass"]))
    def test_fractions_and_row_order(self, logits, seed, binning):
        rng = np.random.default_rng(seed)
        n, c = logits.shape
        log_probs, y, order = log_softmax(logits, 1), rng.integers(0, c, n), rng.permutation(n)
        ece = expected_calibration_error(log_probs, y, binning=binning)
        assert 0 <= ece <= 1
        assert ece <= maximum_calibration_error(log_probs, y, binning=binning) + 1e-12
        assert expected_calibration_error(
            log_probs[order], y[order], binning=binning
        ) == pytest.approx(ece, abs=1e-9)
        assert 0 <= brier_score(log_probs, y) <= 2
        curve = reliability_curve(log_probs, y, binning=binning, resamples=20)
        assert curve.count.sum() == n
        low, high = curve.ece_interval
        assert 0 <= low <= high
        low, high = curve.ece_debiased_interval
        assert 0 <= low <= curve.ece_debiased <= high <= 1

    @settings(max_examples=20, deadline=None)
    @given(logits=logits, cut=st.integers(0, 30))
    def test_counts_add_over_batches(self, logits, cut):
        log_probs, y = log_softmax(logits, 1), np.arange(len(logits)) % logits.shape[1]
        whole = reliability_curve(log_probs, y, resamples=0)
        parts = [
            reliability_curve(log_probs[s], y[s], resamples=0)
            for s in (slice(0, cut), slice(cut, None))
            if len(y[s])
        ]
        np.testing.assert_array_equal(whole.count, sum(p.count for p in parts))

    @settings(max_examples=20, deadline=None)
    @given(logits=logits, temperature=st.floats(0.02, 50))
    def test_temperature_keeps_rows_normalised_and_ordered(self, logits, temperature):
        log_probs = log_softmax(logits, 1)
        out = apply_temperature(log_probs, temperature)
        np.testing.assert_allclose(np.exp(out).sum(1), 1)
        top = log_probs.argmax(1)
        np.testing.assert_allclose(out.max(1), out[np.arange(len(out)), top])


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                {"y": np.zeros((7, 1), int)},
                r"y must have shape \(7,\), one label per row, got \(7, 1",
            ),
            ({"y": [0, 1, 2, 3, 0, 0, 0]}, r"y must lie in \[0, 3\), got labels from 0 to 3"),
            ({"y": np.full(7, 0.5)}, "y must hold integer labels"),
            ({"log_probs": np.full((7, 3), 1 / 3)}, "pass their log"),
            ({"log_probs": np.zeros((7, 3))}, "subtract their logsumexp"),
            ({"log_probs": np.full((7, 3), np.nan)}, "NaN or"),
            ({"log_probs": np.zeros(7)}, "log_probs must have 2 axes"),
            ({"log_probs": np.zeros((0, 3)), "y": []}, "at least one row"),
            ({"n_bins": 0}, "n_bins must be a whole number of at least 1, got 0"),
            ({"n_bins": 2.5}, "n_bins must be a whole number"),
            ({"n_bins": True}, "n_bins must be a whole number"),
            ({"binning": "mas"}, "unknown binning 'mas'; did you mean 'mass'"),
            ({"label": 3}, r"label must be None or a class in \[0, 3\), got 3"),
            ({"label": 1.0}, "label must be None or a class"),
            ({"resamples": -1}, "resamples must be a whole number of at least 0"),
            ({"seed": -1}, "seed must be a whole number of at least 0"),
            ({"level": 95}, "level must lie between 0 and 1, got 95"),
        ],
    )
    def test_one_line_says_what_to_do(self, change, message):
        arguments = {"log_probs": np.log(np.full((7, 3), 1 / 3)), "y": [0, 1, 2, 0, 1, 2, 0]}
        with pytest.raises(InputError, match=message):
            reliability_curve(**(arguments | change))


@pytest.mark.oracle
class TestOracles:
    def test_torchmetrics(self, data):
        pytest.importorskip("torchmetrics")
        import torch
        from torchmetrics.functional.classification import multiclass_calibration_error

        log_probs, y = sample(2000, 5, sharpness=1.7)
        theirs = multiclass_calibration_error(
            torch.tensor(np.exp(log_probs)), torch.tensor(y), num_classes=5, n_bins=15
        )
        assert expected_calibration_error(log_probs, y) == pytest.approx(float(theirs), abs=1e-5)

    def test_netcal_temperature(self):
        pytest.importorskip("netcal")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from netcal.scaling import TemperatureScaling

            theirs = TemperatureScaling()
            log_probs, y = sample(2000, 5, sharpness=1.7)
            theirs.fit(np.exp(log_probs), y)  # float64: its float32 fit is the identity
        inverse = float(np.squeeze(theirs.temperature))
        assert fit_temperature(log_probs, y).temperature == pytest.approx(1 / inverse, rel=0.01)
