"""Recalibration and refitted laws, against sklearn, nesting, known truths and what breaks fits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from scipy.special import log_softmax, logsumexp
from scipy.stats import binomtest, norm
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture

import vcviz
import vcviz.metrics.posthoc.scaling as scaling
from vcviz.base.errors import InputError
from vcviz.geometry import empirical_prior
from vcviz.metrics.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from vcviz.metrics.posthoc import (
    REVISIONS,
    cross_recalibrate,
    mixture_prior,
    posthoc_scores,
    recalibrate,
    reclassify,
    refit_prior,
    revised,
)
from vcviz.metrics.posthoc.recalibration import METHODS, STRENGTHS
from vcviz.metrics.posthoc.revision import LAWS
from vcviz.records import LatentPrior, LatentSet


def drawn(log_probs: np.ndarray, seed: int = 0) -> np.ndarray:
    """Labels drawn from the probabilities, which are then calibrated."""
    rng = np.random.default_rng(seed)
    edges = np.exp(log_probs).cumsum(1)
    return (rng.random((len(log_probs), 1)) * edges[:, -1:] > edges).sum(1)


def simulated(n=2000, c=4, seed=0, spread=2.0) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated log-probabilities with their labels."""
    truth = log_softmax(spread * np.random.default_rng(seed).standard_normal((n, c)), axis=1)
    return truth, drawn(truth, seed + 1)


def latents(n=90, c=3, d=2, seed=0, weights=None) -> LatentSet:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % c if weights is None else rng.choice(c, n, p=weights)
    turn = rng.standard_normal((c, d, d)) * 0.4 + np.eye(d)
    z = 2.5 * rng.standard_normal((c, d))[y]
    z = z + np.einsum("nde,ne->nd", turn[y], rng.standard_normal((n, d)))
    return LatentSet(z, log_softmax(rng.standard_normal((n, c)), axis=1), y, name="some")


class TestAgainstOthers:
    @pytest.mark.parametrize("c", [2, 3, 5])
    def test_unregularised_dirichlet_is_sklearns_multinomial_regression(self, c):
        truth, y = simulated(600, c)
        x = log_softmax(1.7 * truth, axis=1)
        theirs = LogisticRegression(C=np.inf, tol=1e-9, max_iter=5000).fit(x, y)
        ours = recalibrate(x, y, "dirichlet", odir=0)
        np.testing.assert_allclose(np.exp(ours(x)), theirs.predict_proba(x), atol=2e-4)
        expected = -theirs.predict_log_proba(x)[np.arange(len(y)), y].mean()
        assert ours.nll_after == pytest.approx(expected, abs=1e-7)

    def test_temperature_is_the_calibrations_own(self):
        truth, y = simulated()
        x = log_softmax(3 * truth, axis=1)
        assert recalibrate(x, y).temperature == pytest.approx(fit_temperature(x, y).temperature)

    def test_vector_is_found_by_a_general_optimiser(self):
        from scipy.optimize import minimize

        truth, y = simulated(400, 3)
        x = log_softmax(truth * [2.0, 1.0, 0.5] + [1.0, 0, -1], axis=1)

        def nll(theta):
            return -log_softmax(x * theta[:3] + theta[3:], axis=1)[np.arange(len(y)), y].mean()

        best = minimize(nll, np.r_[np.ones(3), np.zeros(3)], method="BFGS", tol=1e-9).fun
        assert recalibrate(x, y, "vector").nll_after == pytest.approx(best, abs=1e-8)

    @pytest.mark.parametrize("full", [False, True])
    def test_slope_and_curvature_are_those_of_the_objective(self, full, monkeypatch):
        seen = {}
        real = scaling.minimize

        def spy(objective, start, **options):
            product = options.get("hessp") or (lambda theta, v: options["hess"](theta) @ v)
            seen.update(f=objective, at=start + 0.1, h=product)
            return real(objective, start, **options)

        monkeypatch.setattr(scaling, "minimize", spy)
        truth, y = simulated(50, 3)
        rng = np.random.default_rng(0)
        weight = rng.standard_normal((3, 3) if full else 3)
        scaling.minimise(truth, y, weight, rng.standard_normal(3), odir=0.3 if full else 0.0)
        gap = check_grad(lambda t: seen["f"](t)[0], lambda t: seen["f"](t)[1], seen["at"])
        assert gap < 1e-6
        along, step = rng.standard_normal(len(seen["at"])), 1e-5
        slopes = [seen["f"](seen["at"] + s * along)[1] for s in (-step, step)]
        expected = (slopes[1] - slopes[0]) / (2 * step)
        np.testing.assert_allclose(seen["h"](seen["at"], along), expected, atol=1e-7)

    @pytest.mark.oracle
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_netcal_agrees_in_float64(self):
        pytest.importorskip("netcal")
        from netcal.scaling import TemperatureScaling

        truth, y = simulated(3000, 3)
        x = log_softmax(2 * truth, axis=1)
        theirs = TemperatureScaling()
        theirs.fit(np.exp(x), y)
        # Theirs is 1/T.
        assert recalibrate(x, y).temperature == pytest.approx(1 / theirs.temperature[0], rel=1e-2)


class TestTruth:
    @pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
    def test_a_true_temperature_comes_back_as_itself(self, temperature):
        truth, y = simulated(20_000)
        x = log_softmax(temperature * truth, axis=1)  # overconfident above 1
        assert recalibrate(x, y).temperature == pytest.approx(temperature, rel=0.04)

    def test_true_weights_come_back_up_to_what_softmax_ignores(self):
        truth, y = simulated(40_000, 3)
        weight = np.array([[1.2, 0.3, 0.0], [0.0, 0.7, -0.2], [0.1, 0.0, 1.0]])
        bias = np.array([0.5, -0.2, 0.0])
        # What must be undone: log p = W^-1 (truth - b), brought to sum to 1 (any row constant
        # that this subtracts is one more direction that W maps to one score for all classes).
        y = drawn(log_softmax(truth @ weight.T + bias, axis=1))
        found = recalibrate(truth, y, "dirichlet", odir=0)
        expected = log_softmax(truth @ weight.T + bias, axis=1)
        kl = (np.exp(expected) * (expected - found(truth))).sum(1).mean()
        assert 0 <= kl < 3e-4  # 9 free numbers cost 9 / 2N = 1.1e-4 on average
        vector = recalibrate(truth, y, "vector")
        assert (np.exp(expected) * (expected - vector(truth))).sum(1).mean() > 10 * kl

    def test_calibrated_rows_are_left_alone(self):
        truth, y = simulated(20_000)
        for method in METHODS:
            found = recalibrate(truth, y, method, odir=0)
            assert np.abs(np.exp(found(truth)) - np.exp(truth)).mean() < 0.01
            assert found.nll_before - found.nll_after < 2e-3


class TestNesting:
    @settings(max_examples=15, deadline=None)
    @given(
        n=st.integers(30, 200),
        c=st.integers(2, 5),
        scale=st.floats(0.2, 4),
        seed=st.integers(0, 1000),
        dtype=st.sampled_from([np.float32, np.float64]),
    )
    def test_more_freedom_never_fits_worse(self, n, c, scale, seed, dtype):
        truth, y = simulated(n, c, seed)
        x = log_softmax(scale * truth, axis=1).astype(dtype)
        fits = [recalibrate(x, y, method, odir=0) for method in METHODS]
        nll = [negative_log_likelihood(x.astype(float), y), *(f.nll_after for f in fits)]
        assert (np.diff(nll) <= 1e-12).all()
        for fit in fits:
            out = fit(x)
            assert out.dtype == np.float64
            np.testing.assert_allclose(logsumexp(out, axis=1), 0, atol=1e-9)
            assert fit.nll_after == pytest.approx(negative_log_likelihood(out, y))
            assert fit.nll_before == pytest.approx(nll[0], abs=1e-6)

    def test_classes_have_no_order(self):
        truth, y = simulated(300, 3)
        x, turn = log_softmax(2 * truth, axis=1), np.array([2, 0, 1])
        for method in METHODS:
            plain = recalibrate(x, y, method, odir=0.1)(x)
            moved = recalibrate(x[:, turn], np.argsort(turn)[y], method, odir=0.1)(x[:, turn])
            np.testing.assert_allclose(moved, plain[:, turn], atol=1e-4)

    def test_strong_regularisation_leaves_a_diagonal_without_bias(self):
        truth, y = simulated(300, 3)
        x = log_softmax(truth * [2.0, 1.0, 0.5] + [1.0, 0, 0], axis=1)
        found = recalibrate(x, y, "dirichlet", odir=1e6)
        off = found.weight - np.diag(np.diag(found.weight))
        assert np.abs(off).max() < 1e-4
        assert np.abs(found.bias).max() < 1e-4
        free = recalibrate(x, y, "dirichlet", odir=0)
        assert free.nll_after < found.nll_after <= found.nll_before

    def test_automatic_regularisation_pays_on_new_rows(self):
        rng = np.random.default_rng(5)
        truth, y = simulated(1200, 8, seed=3)
        x = log_softmax(2 * truth + 0.1 * rng.standard_normal(8), axis=1)
        fit, new = slice(0, 200), slice(200, None)
        auto = recalibrate(x[fit], y[fit], "dirichlet")
        free = recalibrate(x[fit], y[fit], "dirichlet", odir=0)
        assert auto.odir in STRENGTHS
        held = [negative_log_likelihood(f(x[new]), y[new]) for f in (auto, free)]
        assert held[0] < held[1]


class TestHardCases:
    def test_float32_is_fitted_in_float64(self):
        # A peer returns T = 1 for float32 and changes nothing.
        truth, y = simulated(500)
        x = log_softmax(3 * truth, axis=1)
        for method in METHODS:
            single = recalibrate(x.astype(np.float32), y, method, odir=0.01)
            double = recalibrate(x, y, method, odir=0.01)
            assert single.nll_after < single.nll_before
            np.testing.assert_allclose(np.exp(single(x)), np.exp(double(x)), atol=1e-4)

    @pytest.mark.parametrize("method", METHODS)
    def test_a_zero_probability_of_another_class_is_no_obstacle(self, method):
        truth, y = simulated(200, 3)
        x = truth.copy()
        x[::5, 0] = -np.inf
        x = x - logsumexp(x, axis=1, keepdims=True)
        y = np.where(np.isneginf(x[np.arange(200), y]), 1, y)
        found = recalibrate(x, y, method, odir=0)
        out = found(x)
        assert np.isfinite(found.nll_after)
        assert not np.isnan(out).any()
        assert found.nll_after <= found.nll_before
        if method == "temperature":
            assert np.isneginf(out[::5, 0]).all()

    @pytest.mark.parametrize("method", METHODS)
    def test_separable_rows_stop_somewhere(self, method):
        y = np.arange(60) % 3
        x = log_softmax(2.0 * np.eye(3)[y] + 0.01 * np.arange(180).reshape(60, 3) % 0.1, axis=1)
        found = recalibrate(x, y, method, odir=0)
        assert np.abs(found.weight).max() <= 100
        assert np.isfinite(found.bias).all()
        assert found.nll_after < found.nll_before
        assert not np.isnan(found(x)).any()

    @pytest.mark.parametrize("method", METHODS)
    def test_extreme_confidence_and_an_absent_class(self, method):
        rng = np.random.default_rng(0)
        x = log_softmax(1e4 * rng.standard_normal((50, 4)), axis=1)
        y = rng.integers(0, 3, 50)  # class 3 never occurs
        found = recalibrate(x, y, method, odir=0)
        assert np.isfinite(found.nll_after)
        assert found.nll_after < found.nll_before
        assert not np.isnan(found(x)).any()

    def test_one_row_and_many_classes(self):
        x = log_softmax(np.random.default_rng(0).standard_normal((7, 1000)), axis=1)
        assert recalibrate(x, np.arange(7), "vector").weight.shape == (1000,)
        one = recalibrate(x[:1, :20] - logsumexp(x[0, :20]), [5], "dirichlet", odir=0.1)
        assert one.weight.shape == (20, 20)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"method": "vectr"}, "unknown method 'vectr'; did you mean 'vector'"),
            ({"odir": -1}, "odir must be a number of at least 0, got -1"),
            ({"odir": "automatic"}, "odir must be a number"),
            ({"y": np.zeros(6, int)}, r"y must have shape \(7,\)"),
            ({"log_probs": np.full((7, 3), 1 / 3)}, "pass their log"),
            ({"method": "dirichlet", "folds": 1}, "folds must be a whole number of at least 2"),
            ({"method": "dirichlet", "folds": 9}, "9 folds need at least as many rows, got 7"),
        ],
    )
    def test_errors(self, change, message):
        arguments = {"log_probs": np.full((7, 3), -np.log(3)), "y": np.arange(7) % 3} | change
        with pytest.raises(InputError, match=message):
            recalibrate(**arguments)

    def test_a_label_of_probability_zero_is_refused(self):
        with np.errstate(divide="ignore"):
            x = np.log([[1.0, 0.0], [0.5, 0.5]])
        for method in METHODS:
            with pytest.raises(InputError, match="1 rows of log_probs give their label"):
                recalibrate(x, [1, 0], method)

    def test_a_map_knows_its_classes_and_its_temperature(self):
        truth, y = simulated(50, 3)
        found = recalibrate(truth, y, "vector")
        with pytest.raises(InputError, match="must have 3 classes like those"):
            found(np.full((2, 4), -np.log(4)))
        with pytest.raises(InputError, match="vector scaling has no single temperature"):
            found.temperature  # noqa: B018


class TestUse:
    def test_latents_keep_all_but_their_probabilities(self):
        lat = latents()
        lat = LatentSet(lat.z, lat.log_probs, lat.y, name="some", energy=np.arange(90.0))
        found = recalibrate(lat.log_probs, lat.y, "vector")
        out = found.apply(lat)
        np.testing.assert_allclose(out.log_probs, found(lat.log_probs), atol=1e-6)
        assert out.name == "some, vector"
        assert out.z is lat.z or np.array_equal(out.z, lat.z)
        np.testing.assert_array_equal(out.energy, lat.energy)

    def test_folds_judge_no_row_by_a_map_it_helped_to_fit(self):
        truth, y = simulated(120, 3)
        x = log_softmax(2 * truth, axis=1)
        out = cross_recalibrate(x, y, folds=4, seed=1)
        ratio = (x[:, 0] - x[:, 1]) / (out[:, 0] - out[:, 1])  # T of each row
        found, fold, sizes = np.unique(ratio.round(9), return_inverse=True, return_counts=True)
        assert sizes.tolist() == [30] * 4
        for k, temperature in enumerate(found):
            others = recalibrate(x[fold != k], y[fold != k])
            assert others.temperature == pytest.approx(temperature)
            assert (np.abs(np.bincount(y[fold == k], minlength=3) - np.bincount(y) / 4) < 1).all()
        fitted = negative_log_likelihood(recalibrate(x, y, "dirichlet", odir=0)(x), y)
        crossed = negative_log_likelihood(cross_recalibrate(x, y, "dirichlet", odir=0), y)
        assert crossed > fitted


class TestRefit:
    def test_shared_is_sklearns_lda(self):
        lat = latents(weights=[0.5, 0.3, 0.2])
        z, y = lat.z.astype(float), lat.y
        theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(z, y).predict_proba(z)
        ours = refit_prior(lat, "shared").log_posterior(z)
        np.testing.assert_allclose(np.exp(ours), theirs, atol=1e-6)

    def test_shrunk_shared_is_sklearns_lda(self):
        lat = latents()
        z = lat.z.astype(float)
        theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3).fit(z, lat.y)
        ours = refit_prior(lat, "shared", shrinkage=0.3).log_posterior(z)
        np.testing.assert_allclose(np.exp(ours), theirs.predict_proba(z), atol=1e-6)

    def test_full_is_sklearns_qda(self):
        lat = latents(120)
        z = lat.z.astype(float)
        theirs = QuadraticDiscriminantAnalysis(store_covariance=True).fit(z, lat.y)
        law = refit_prior(lat)
        factor = theirs.covariance_[0][0, 0] / law.covariance[0, 0, 0]
        assert factor == pytest.approx(1) or factor == pytest.approx(40 / 39)  # by its version
        np.testing.assert_allclose(factor * law.covariance, theirs.covariance_)
        tril = law.scale_tril * np.sqrt(factor)
        same = LatentPrior(law.mean, scale_tril=tril, log_weight=law.log_weight)
        expected = theirs.predict_proba(z)
        np.testing.assert_allclose(np.exp(same.log_posterior(z)), expected, atol=1e-6)
        np.testing.assert_allclose(law.covariance, empirical_prior(lat).covariance)

    def test_diagonal_and_isotropic_are_the_moments(self):
        lat = latents(d=3)
        z, y = lat.z.astype(float), lat.y
        variance = np.stack([z[y == k].var(0) for k in range(3)])
        np.testing.assert_allclose(refit_prior(lat, "diagonal").scale ** 2, variance)
        round_ = refit_prior(lat, "isotropic").scale ** 2
        np.testing.assert_allclose(round_, np.repeat(variance.mean(1)[:, None], 3, 1))

    @pytest.mark.parametrize("covariance", ["full", "shared", "diagonal"])
    def test_full_shrinkage_leaves_spheres(self, covariance):
        law = refit_prior(latents(d=3), covariance, shrinkage=1.0)
        off = law.covariance * (1 - np.eye(3))
        assert np.abs(off).max() < 1e-12
        ours = np.diagonal(law.covariance, axis1=1, axis2=2)
        np.testing.assert_allclose(ours, np.repeat(ours[:, :1], 3, 1))

    def test_ledoit_and_wolf_help_where_latents_are_few(self):
        rng = np.random.default_rng(0)
        mean = rng.standard_normal((3, 12))
        y = np.arange(2000) % 3
        z = mean[y] + rng.standard_normal((2000, 12))
        lat = LatentSet(z, np.full((2000, 3), -np.log(3)), y)
        few, new = lat.take(np.arange(60)), lat.take(np.arange(60, 2000))
        nll = [
            negative_log_likelihood(refit_prior(few, shrinkage=s).log_posterior(new.z), new.y)
            for s in (None, "auto")
        ]
        assert nll[1] < 0.6 * nll[0]

    @pytest.mark.parametrize("covariance", ["full", "shared", "diagonal", "isotropic"])
    @pytest.mark.parametrize("components", [1, 2])
    def test_every_law_survives_small_absent_and_flat_classes(self, covariance, components):
        rng = np.random.default_rng(0)
        y = np.array([0] * 20 + [1] * 2 + [2])  # class 3 has none
        z = np.c_[rng.standard_normal((23, 2)), np.zeros(23)]
        lat = LatentSet(z, np.full((23, 4), -np.log(4)), y)
        law = refit_prior(lat, covariance, n_components=components)
        out = law.log_posterior(z)
        assert np.isneginf(out[:, 3]).all()
        np.testing.assert_allclose(logsumexp(out, axis=1), 0, atol=1e-9)
        assert reclassify(lat, law).accuracy > 0.5

    def test_a_mixture_finds_what_one_gaussian_misses(self):
        # Exclusive or: two clusters a class, every class mean at the origin.
        rng = np.random.default_rng(1)
        centre = np.array([[3, 3], [-3, -3], [3, -3], [-3, 3]])
        part = np.arange(400) % 4
        lat = LatentSet(
            centre[part] + rng.standard_normal((400, 2)),
            np.full((400, 2), -np.log(2)),
            (part > 1).astype(int),
        )
        law = refit_prior(lat, "isotropic", n_components=2)
        assert law.family == "custom"
        assert reclassify(lat, law).accuracy > 0.98
        assert reclassify(lat, refit_prior(lat, "isotropic")).accuracy < 0.65
        theirs = GaussianMixture(2, covariance_type="spherical", random_state=0, reg_covar=1e-6)
        ours = law.log_prob(lat.z)[lat.y == 0, 0]
        fitted = theirs.fit(lat.z[lat.y == 0].astype(float))
        np.testing.assert_allclose(
            ours, fitted.score_samples(lat.z[lat.y == 0].astype(float)), atol=1e-3
        )

    @pytest.mark.parametrize("covariance", ["full", "isotropic"])
    def test_known_truth_comes_back(self, covariance):
        train, test = vcviz.load_data("mixture", seed=0)
        truth = vcviz.data.true_prior(train)
        blank = np.full((len(train), train.n_classes), -np.log(train.n_classes))
        law = refit_prior(LatentSet(train.x, blank, train.y), covariance)
        exact, ours = truth.log_posterior(test.x), law.log_posterior(test.x)
        # Half the number of free parameters over N is what fitting costs on average.
        free = {"full": 5, "isotropic": 3}[covariance] * train.n_classes
        kl = (np.exp(exact) * (exact - ours)).sum(1).mean()
        assert 0 <= kl < 4 * free / (2 * len(train))

    def test_reclassified_latents_carry_the_laws_word(self):
        lat = latents()
        law = refit_prior(lat)
        out = reclassify(lat, law)
        np.testing.assert_allclose(out.log_probs, law.log_posterior(lat.z), atol=1e-5)
        np.testing.assert_allclose(out.energy, -law.log_marginal(lat.z), rtol=1e-5)
        assert out.name == "some, reclassified"
        assert out.accuracy > lat.accuracy

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: refit_prior(latents(), "tied"), "unknown covariance 'tied'"),
            (lambda: refit_prior(latents(), n_components=0), "n_components must be a whole number"),
            (lambda: refit_prior(latents(), shrinkage=2), r"shrinkage must lie in \[0, 1\], got 2"),
            (lambda: refit_prior(latents(), shrinkage="some"), "shrinkage must be a number"),
            (
                lambda: refit_prior(latents(), n_components=2, shrinkage=0.1),
                "shrinkage is for one component",
            ),
            (lambda: refit_prior(latents().z), "lat must be a LatentSet"),
            (
                lambda: reclassify(latents(), refit_prior(latents(d=3))),
                "latents have 2 dimensions but the law has 3",
            ),
        ],
    )
    def test_errors(self, call, message):
        with pytest.raises(InputError, match=message):
            call()


class TestMixture:
    def law(self) -> LatentPrior:
        one = LatentPrior([[0.0, 0.0], [4.0, 0.0]], scale=[[1.0, 0.5], [0.5, 1]], log_weight=[0, 1])
        two = LatentPrior([[0.0, 5.0]], scale=1.0)
        return mixture_prior((one, two), np.log([0.3, 0.7]))

    def test_a_mixture_of_one_is_the_law_itself(self):
        lat = latents()
        law = refit_prior(lat)
        parts = [
            LatentPrior(m[None], scale_tril=t[None])
            for m, t in zip(law.mean, law.scale_tril, strict=True)
        ]
        mixture = mixture_prior(tuple(parts), law.log_weight)
        for name in ("log_prob", "log_marginal", "log_posterior"):
            np.testing.assert_allclose(getattr(mixture, name)(lat.z), getattr(law, name)(lat.z))
        for name in ("mean", "covariance"):
            np.testing.assert_allclose(getattr(mixture, name), getattr(law, name))

    def test_density_integrates_to_one(self):
        axis = np.linspace(-8, 12, 401)
        grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
        law = self.law()
        step = (axis[1] - axis[0]) ** 2
        np.testing.assert_allclose(np.exp(law.log_prob(grid)).sum(0) * step, 1, rtol=1e-6)
        assert np.exp(law.log_marginal(grid)).sum() * step == pytest.approx(1)

    def test_draws_follow_the_law(self):
        law = self.law()
        z, y = law.sample(40_000, np.random.default_rng(0))
        assert (y == 1).mean() == pytest.approx(0.7, abs=0.01)
        share = 1 / (1 + np.exp(-1))
        np.testing.assert_allclose(z[y == 0].mean(0), [4 * share, 0], atol=0.06)
        np.testing.assert_allclose(z[y == 1].mean(0), [0, 5], atol=0.03)
        z, y = law.sample([1, 0, 1], np.random.default_rng(0))
        assert (z.shape, y.tolist()) == ((3, 2), [1, 0, 1])

    def test_mean_and_covariance_are_those_of_draws(self):
        law = self.law()
        z, _ = law.sample(np.zeros(200_000, int), np.random.default_rng(2))
        np.testing.assert_allclose(law.mean[0], z.mean(0), atol=0.02)
        np.testing.assert_allclose(law.covariance[0], np.cov(z.T), atol=0.04)

    def test_figures_and_fits_take_it(self):
        lat = latents()
        law = refit_prior(lat, n_components=2)
        fig = vcviz.plot_latents(lat, law, mass=(0.5,))
        solid = [t for t in fig.data if (t.meta or {}).get("layer") == "anticipated"]
        assert len(solid) == 3
        assert np.isfinite(vcviz.latent_fit(lat, law, resamples=0, progress=False).energy).all()

    def test_errors(self):
        one, two = (
            LatentPrior(np.zeros((1, 2)), scale=1.0),
            LatentPrior(np.zeros((1, 3)), scale=1.0),
        )
        with pytest.raises(InputError, match=r"laws must have one dimension, got \[2, 3\]"):
            mixture_prior((one, two))
        with pytest.raises(InputError, match="one LatentPrior per class"):
            mixture_prior(())
        with pytest.raises(InputError, match="n must be a number of draws"):
            self.law().sample(-1, np.random.default_rng(0))


class TestRevised:
    def parts(self) -> tuple[LatentSet, LatentSet, LatentSet]:
        lat = latents(300, seed=2)
        return (
            lat.take(np.arange(100)),
            lat.take(np.arange(100, 200)),
            lat.take(np.arange(200, 300)),
        )

    @pytest.mark.parametrize("method", REVISIONS)
    def test_every_method_by_name(self, method):
        train, validation, test = self.parts()
        out = revised(test, method, validation=validation, train=train)
        np.testing.assert_array_equal(out.y, test.y)
        np.testing.assert_array_equal(out.z, test.z)
        if method == "none":
            assert out is test
        elif method in METHODS:
            expected = recalibrate(validation.log_probs, validation.y, method)(test.log_probs)
            np.testing.assert_allclose(out.log_probs, expected, atol=1e-5)
            crossed = revised(test, method)
            np.testing.assert_allclose(
                crossed.log_probs, cross_recalibrate(test.log_probs, test.y, method), atol=1e-5
            )
        else:
            expected = refit_prior(train, **LAWS[method]).log_posterior(test.z)
            np.testing.assert_allclose(out.log_probs, expected, atol=1e-4)
            with pytest.raises(InputError, match="needs train=, latents of training rows"):
                revised(test, method)

    def test_scores_are_those_of_the_calibration_module(self):
        train, _, test = self.parts()
        after = revised(test, "gaussian_full", train=train)
        found = posthoc_scores(test, after, "gaussian_full", name="mine")
        assert found.accuracy == after.accuracy
        assert found.nll == pytest.approx(negative_log_likelihood(after.log_probs, after.y))
        before = negative_log_likelihood(test.log_probs, test.y)
        assert found.nll_change == pytest.approx(found.nll - before)
        assert found.ece == expected_calibration_error(after.log_probs, after.y)
        hits = round(100 * found.accuracy)
        wilson = binomtest(hits, 100).proportion_ci(method="wilson")
        assert found.accuracy_interval == pytest.approx((wilson.low, wilson.high))
        for name in ("accuracy", "nll", "nll_change", "ece"):
            low, high = getattr(found, f"{name}_interval")
            assert low <= getattr(found, name) <= high
        same = posthoc_scores(test, test, "none")
        assert (same.nll_change, same.nll_change_interval) == (0, (0, 0))

    def test_unknown_methods_are_refused(self):
        with pytest.raises(InputError, match="unknown post-hoc method 'platt'"):
            revised(latents(), "platt")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    shared = {"dataset": "digits", "n_train": 200, "epochs": 4, "progress": False}
    out = tmp_path_factory.mktemp("runs")
    return [
        vcviz.train(**shared, head="softmax", validation=0.3, out=out),
        vcviz.train(**shared, head="gaussian_mixture", out=out),
    ]


class TestRuns:
    def test_the_table_holds_the_records(self, runs):
        methods = ["none", "vector", "gaussian_shared"]
        found = vcviz.studies.revise_runs(runs, methods, resamples=20, progress=False)
        assert [(s.name, s.method) for s in found] == [
            (head, m) for head in ("softmax", "gaussian_mixture") for m in methods
        ]
        test = runs[0].latents("test")
        fitted = runs[0].latents("validation")
        vector = recalibrate(fitted.log_probs, fitted.y, "vector").apply(test)
        assert found[1].nll == pytest.approx(negative_log_likelihood(vector.log_probs, test.y))
        across = cross_recalibrate(*_pair(runs[1].latents("test")), "vector")
        assert found[4].nll == pytest.approx(
            negative_log_likelihood(across, runs[1].latents("test").y), abs=1e-5
        )
        table = vcviz.studies.posthoc_table(found)
        assert [c for c in table if not c.endswith((" low", " high"))] == [
            "run", "method", "fitted to", "accuracy", "NLL", "NLL change", "ECE",
        ]  # fmt: skip
        assert table["NLL"].tolist() == [s.nll for s in found]
        assert table["ECE low"].tolist() == [s.ece_interval[0] for s in found]

    def test_laws_of_held_out_rows(self, runs):
        (found,) = vcviz.studies.revise_runs(
            runs[0], ["gaussian_shared"], laws="validation", resamples=0
        )
        test, held = runs[0].latents("test"), runs[0].latents("validation")
        after = reclassify(test, refit_prior(held, "shared"))
        assert found.nll == pytest.approx(negative_log_likelihood(after.log_probs, test.y))
        with pytest.raises(InputError, match="kept no validation latents; train with validation"):
            vcviz.studies.revise_runs(runs[1], laws="validation")
        with pytest.raises(InputError, match="unknown laws 'tests'"):
            vcviz.studies.revise_runs(runs[1], laws="tests")

    def test_nothing_to_revise(self):
        with pytest.raises(InputError, match="runs must be at least one record"):
            vcviz.studies.revise_runs([])

    def test_the_explorer_draws_the_method_that_is_chosen(self, runs):
        run = runs[0]
        assert list(vcviz.PosthocExplorer(runs).controls) == ["run", "method", "bins"]  # no rows
        ui = vcviz.PosthocExplorer(run, resamples=20)
        assert list(ui.controls) == ["method", "laws", "bins"]
        assert len(ui.controls["method"].options) == len(REVISIONS) - 1
        test, held, train = (run.latents(s) for s in ("test", "validation", "train"))
        for method, laws in (("vector", train), ("gaussian_full", train), ("mixture", held)):
            ui.bound.set(method=method, bins=20, laws="train" if laws is train else "validation")
            after = revised(test, method, validation=held, train=laws)
            text = [t.text[0] for t in ui.view.data if t.name == "readout"]
            for lat, line in zip((test, after), text, strict=True):
                ece = expected_calibration_error(lat.log_probs, lat.y, n_bins=20)
                assert f"ECE {ece:.3f}" in line
            dots = next(t for t in ui.view.data if (t.meta or {}).get("layer") == "nll")
            place = list(REVISIONS).index(method)
            nll = negative_log_likelihood(after.log_probs, after.y)
            assert dots.x[place] == pytest.approx(nll, rel=1e-5)
            assert np.argmax(dots.marker.size) == place
        ui.reset()
        assert ui.controls["method"].value == "temperature"

    def test_the_static_figure_has_every_method(self, runs):
        fig = vcviz.PosthocExplorer(runs[0], resamples=20).figure()
        labels = [b.label for m in fig.layout.updatemenus for b in m.buttons]
        assert sum("scaling" in str(label) for label in labels) == 3
        assert sum("Gaussians" in str(label) for label in labels) == 5
        assert len(fig.layout.sliders[0].steps) == 4
        assert len(fig.to_json()) < 1e6

    def test_the_explorer_refuses_what_it_cannot_show(self, runs):
        with pytest.raises(InputError, match="takes a run, or several"):
            vcviz.PosthocExplorer([])
        with pytest.raises(InputError, match="unknown post-hoc method 'vectr'; did you mean"):
            vcviz.PosthocExplorer(runs, method="vectr")


def _pair(lat: LatentSet) -> tuple[np.ndarray, np.ndarray]:
    return lat.log_probs, lat.y


def test_scores_of_an_impossible_label_are_infinite_and_change_by_nothing():
    log_probs = np.log([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    log_probs[0] = -np.inf, 0.0
    lat = LatentSet(np.zeros((4, 2)), log_probs, [0, 0, 1, 1])
    same = posthoc_scores(lat, lat, "none", resamples=9)
    assert same.nll == np.inf
    assert same.nll_interval == (-np.inf, np.inf)
    assert (same.nll_change, same.nll_change_interval) == (0.0, (0.0, 0.0))
    assert posthoc_scores(lat, lat.take([1, 1, 2, 3]), "none").nll_change == -np.inf


def test_intervals_of_the_likelihood_are_normal_where_nothing_is_rare():
    rng = np.random.default_rng(0)
    before = log_softmax(rng.standard_normal((20_000, 3)), axis=1)
    after = log_softmax(before + 0.3 * rng.standard_normal((20_000, 3)), axis=1)
    y = rng.integers(0, 3, 20_000)
    lat, revised = (LatentSet(np.zeros((20_000, 1)), lp, y) for lp in (before, after))
    found = posthoc_scores(lat, revised, "temperature", resamples=0)
    rows = np.arange(20_000)
    for value, interval, losses in (
        (found.nll, found.nll_interval, -revised.log_probs[rows, y]),
        (found.nll_change, found.nll_change_interval, (lat.log_probs - revised.log_probs)[rows, y]),
    ):
        reach = norm.ppf(0.975) * losses.std() / np.sqrt(20_000)
        assert value == pytest.approx(losses.mean(), abs=1e-6)
        np.testing.assert_allclose(interval, (value - reach, value + reach), atol=0.04 * reach)


def test_a_change_of_the_likelihood_allows_for_rows_that_would_have_lost():
    # Every row gains a little; one in a thousand, of which none is here, would lose 2.3 nats.
    p, q = np.array([1 - 1e-3, 1e-3]), np.array([1 - 1e-4, 1e-4])
    sure, surer = (
        LatentSet(np.zeros((300, 1)), np.tile(np.log(v), (300, 1)), np.zeros(300, int))
        for v in (p, q)
    )
    found = posthoc_scores(sure, surer, "temperature", resamples=0)
    low, high = found.nll_change_interval
    assert low == pytest.approx(found.nll_change, rel=0.1)
    assert high - found.nll_change == pytest.approx(3.69 * np.log(10) / 300, rel=1e-2)
