"""Fit of law and latents: closed forms, known answers, honest intervals and exact tests."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import gammaln, hyp1f1, log_softmax

from vcviz.base.errors import InputError
from vcviz.geometry import empirical_prior, implied_prior
from vcviz.metrics.fit import energy_distance, latent_fit, moment_kl, moment_kl_bias
from vcviz.metrics.fit.normal_energy import (
    distance_from_normal,
    drawn_kernel,
    normal_energy,
    normal_energy_interval,
    normal_energy_kernel,
    normal_energy_p_value,
    permutation_p_value,
)
from vcviz.metrics.fit.two_sample import Drawn, held_out_auc
from vcviz.records import LatentPrior, LatentSet

LAW = LatentPrior(
    np.array([[0.0, 0, 0], [5, 1, 0], [-4, 2, 9]]),
    scale_tril=np.array([np.eye(3), [[2, 0, 0], [1, 1, 0], [0, 0.5, 3]], 0.1 * np.eye(3)]),
)


def latents(law: LatentPrior, counts, *, spread=1.0, shift=0.0, seed=0) -> LatentSet:
    """Latents whose whitened residuals are N(shift, spread^2)."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(law.n_classes), counts)
    u = shift + spread * rng.standard_normal((len(y), law.latent_dim))
    tril = np.linalg.cholesky(law.covariance)
    z = law.mean[y] + np.einsum("nij,nj->ni", tril[y], u)
    return LatentSet(z, log_softmax(rng.standard_normal((len(y), law.n_classes)), axis=1), y)


class TestLatentsFromTheLaw:
    fit = latent_fit(latents(LAW, [400, 300, 200]), LAW)

    def test_every_number_says_so(self):
        np.testing.assert_array_equal(self.fit.count, [400, 300, 200])
        for k, n in enumerate((400, 300, 200)):
            assert self.fit.kl[k] == pytest.approx(moment_kl_bias(n, 3), abs=0.03)
        np.testing.assert_allclose(self.fit.energy, 0, atol=0.02)
        assert (self.fit.energy_p > 0.01).all()
        np.testing.assert_allclose(self.fit.auc, 0.5, atol=0.07)
        np.testing.assert_allclose(self.fit.whitened_variance, 1, atol=0.12)

    @pytest.mark.parametrize("name", ["kl", "energy", "auc"])
    def test_intervals_hold_their_estimates(self, name):
        low, high = getattr(self.fit, f"{name}_interval").T
        value = getattr(self.fit, name)
        assert ((low <= value) & (value <= high)).all()
        assert (high - low < 0.2).all()


class TestKnownMismatch:
    def test_collapse(self):
        # Variance 0.05, as a mixture head's latents have: KL = D (0.05 - 1 - log 0.05) / 2.
        fit = latent_fit(latents(LAW, 300, spread=np.sqrt(0.05)), LAW)
        np.testing.assert_allclose(fit.whitened_variance, 0.05, rtol=0.15)
        np.testing.assert_allclose(fit.kl, 1.5 * (0.05 - 1 - np.log(0.05)), rtol=0.05)
        assert (fit.energy > 0.4).all()
        assert (fit.energy_p == 1 / 2000).all()
        assert (fit.auc > 0.95).all()

    def test_shift(self):
        fit = latent_fit(latents(LAW, 300, shift=1.0), LAW)
        np.testing.assert_allclose(fit.kl, 1.5, rtol=0.25)
        np.testing.assert_allclose(fit.whitened_variance, 1, atol=0.15)
        # Two normals sqrt(3) apart: no classifier does better than Phi(sqrt(3/2)).
        np.testing.assert_allclose(fit.auc, scipy.stats.norm.cdf(np.sqrt(1.5)), atol=0.06)

    def test_shape_alone_is_seen_by_energy_and_auc(self):
        # A ring with the moments of the law: the KL is blind to it.
        rng = np.random.default_rng(0)
        angle = rng.uniform(0, 2 * np.pi, 1200)
        z = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.01 * rng.normal(
            size=(1200, 2)
        )
        law = LatentPrior(np.zeros((2, 2)), scale=1.0)
        y = np.arange(1200) % 2
        fit = latent_fit(LatentSet(z, np.log(np.full((1200, 2), 0.5)), y), law)
        assert (fit.kl < 0.02).all()
        assert (fit.energy > 0.02).all()
        assert (fit.energy_p < 0.001).all()
        assert (fit.auc > 0.8).all()

    def test_numbers_do_not_depend_on_the_latent_scale(self):
        lat = latents(LAW, 60, spread=2.0)
        turn = np.array([[2.0, 0, 0], [1, 0.5, 0], [0, -3, 10]])
        moved = LatentSet(lat.z @ turn.T, lat.log_probs, lat.y)
        law = LatentPrior(
            LAW.mean @ turn.T, scale_tril=np.linalg.cholesky(turn @ LAW.covariance @ turn.T)
        )
        first, second = latent_fit(lat, LAW), latent_fit(moved, law)
        for name in ("kl", "energy"):
            np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-4)


class TestMomentKL:
    def test_closed_form_of_two_gaussians(self):
        lat = latents(LAW, 50, spread=1.4, shift=0.3)
        kl = moment_kl(lat, LAW)
        for k in range(3):
            own = lat.z[lat.y == k].astype(float)
            fitted = scipy.stats.multivariate_normal(own.mean(0), np.cov(own.T, bias=True))
            target = scipy.stats.multivariate_normal(LAW.mean[k], LAW.covariance[k])
            draws = fitted.rvs(200_000, random_state=k)
            by_draws = (fitted.logpdf(draws) - target.logpdf(draws)).mean()
            assert kl[k] == pytest.approx(by_draws, abs=0.02)
        np.testing.assert_allclose(latent_fit(lat, LAW).kl, kl)

    def test_empirical_law_fits_its_own_latents(self):
        lat = latents(LAW, 30)
        np.testing.assert_allclose(moment_kl(lat, empirical_prior(lat)), 0, atol=1e-9)

    @pytest.mark.parametrize(("n", "dim"), [(8, 2), (40, 16)])
    def test_bias_is_exact_for_any_gaussian(self, n, dim):
        rng = np.random.default_rng(0)
        law = LatentPrior(np.zeros((300, dim)), scale=1.0)  # a class is a repeat
        spread, shift = rng.uniform(0.5, 2, dim), rng.uniform(-1, 1, dim)
        truth = 0.5 * (spread**2 + shift**2 - 1 - 2 * np.log(spread)).sum()
        values = moment_kl(latents(law, n, spread=spread, shift=shift), law)
        error = values.std() / np.sqrt(len(values))
        assert values.mean() - truth == pytest.approx(moment_kl_bias(n, dim), abs=3 * error)
        assert moment_kl_bias(n, dim) > 8 * error

    @pytest.mark.parametrize("kind", ["law", "collapse", "shift"])
    def test_interval_covers_the_expectation(self, kind):
        # Ten samples of a class: without the second-order term "collapse" covers 0.8.
        options = {"law": {}, "collapse": {"spread": 0.2}, "shift": {"shift": 0.7}}[kind]
        law = LatentPrior(np.zeros((100, 2)), scale=1.0)  # a class is a repeat
        sets = [latents(law, 10, seed=s, **options) for s in range(20)]
        expected = np.mean([moment_kl(lat, law) for lat in sets])
        fits = [latent_fit(lat, law, resamples=0) for lat in sets[:3]]
        low, high = np.concatenate([fit.kl_interval for fit in fits]).T
        assert ((low <= expected) & (expected <= high)).mean() > 0.87
        assert (low >= 0).all()

    def test_few_samples_have_none(self):
        fit = latent_fit(latents(LAW, [4, 5, 30]), LAW)
        np.testing.assert_array_equal(np.isnan(fit.kl), [True, False, False])
        assert np.isnan(moment_kl_bias(4, 3))

    def test_a_class_on_a_plane_is_infinitely_far(self):
        lat = latents(LAW, 30)
        z = lat.z.copy()
        z[lat.y == 1, 0] = 7
        fit = latent_fit(LatentSet(z, lat.log_probs, lat.y), LAW, resamples=0)
        np.testing.assert_array_equal(np.isinf(fit.kl), [False, True, False])
        np.testing.assert_array_equal(fit.constant, [0, 1, 0])
        assert np.isfinite(fit.mean("kl"))
        assert np.isfinite(fit.energy).all()


class TestWhatDoesNotVary:
    """A dead unit, or a copy of another, changes no number: it is left out and counted."""

    @pytest.mark.parametrize("kind", ["dead", "constant", "copy", "sum"])
    def test_changes_nothing(self, kind):
        lat = latents(LAW, 30)
        z = lat.z.astype(np.float64)
        more = {
            "dead": np.zeros(len(z)),
            "constant": np.full(len(z), 1e4 / 3),
            "copy": z[:, 1],
            "sum": z @ [1.0, -2, 0.5],
        }[kind]
        wider = LatentSet(np.column_stack([z, more]), lat.log_probs, lat.y)
        prior = implied_prior(
            np.random.default_rng(0).normal(size=(3, 4)), None, wider, verify=False
        )
        found = latent_fit(wider, prior)
        assert found.left_out == 1
        law = prior.project(np.eye(4)[:, :3])  # the law of what varies
        expected = latent_fit(lat, law)
        assert expected.left_out == 0
        np.testing.assert_allclose(found.kl, expected.kl, rtol=2e-3)
        np.testing.assert_allclose(found.kl, moment_kl(wider, prior))
        np.testing.assert_allclose(found.kl_bias, moment_kl_bias(30, 3))
        np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-3)
        np.testing.assert_allclose(found.whitened_variance, expected.whitened_variance, rtol=1e-2)

    def test_few_rows_leave_nothing_out(self):
        law = LatentPrior(np.zeros((2, 40)), scale=1.0)
        fit = latent_fit(latents(law, 8), law)
        assert fit.left_out == 0
        assert np.isnan(fit.kl).all()
        np.testing.assert_allclose(fit.whitened_variance, 1, atol=0.2)

    @pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
    def test_scale_of_the_latents_changes_nothing(self, scale):
        lat = latents(LAW, 30)
        units = np.array([1.0, 1e-5, 1e5]) * scale
        law = LatentPrior(LAW.mean * units, scale_tril=LAW.scale_tril * units[:, None])
        moved = LatentSet(lat.z * units, lat.log_probs, lat.y)
        fit = latent_fit(moved, law, resamples=0)
        assert fit.left_out == 0
        np.testing.assert_allclose(fit.kl, latent_fit(lat, LAW, resamples=0).kl, rtol=1e-3)

    def test_equal_latents_are_infinitely_far_and_say_so(self):
        lat = LatentSet(np.ones((60, 4)), np.full((60, 3), -np.log(3)), np.arange(60) % 3)
        fit = latent_fit(lat, implied_prior(np.eye(3, 4), None, lat, verify=False))
        assert np.isinf(fit.kl).all()
        np.testing.assert_array_equal(fit.constant, 4)


class TestEnergyDistance:
    def test_is_the_square_of_scipys_in_one_dimension(self):
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=70), rng.normal(0.5, 2, size=50)
        assert energy_distance(a, b) == pytest.approx(scipy.stats.energy_distance(a, b) ** 2)

    @pytest.mark.parametrize("dim", [1, 3])
    @pytest.mark.parametrize("unbiased", [False, True])
    def test_is_its_definition(self, unbiased, dim, monkeypatch):
        monkeypatch.setattr("vcviz.metrics.fit.energy._ROWS", 3)  # many blocks
        monkeypatch.setattr("vcviz.metrics.fit.energy._COLUMNS", 8)
        rng = np.random.default_rng(1)
        a, b = rng.normal(size=(31, dim)), rng.normal(1, 2, size=(17, dim))
        a[:4] = b[3] = a[9]  # ties

        def mean(x, y, same=False):
            d = np.linalg.norm(x[:, None] - y, axis=2)
            return d.sum() / (len(x) * (len(x) - 1)) if same and unbiased else d.mean()

        expected = 2 * mean(a, b) - mean(a, a, True) - mean(b, b, True)
        assert energy_distance(a, b, unbiased=unbiased) == pytest.approx(expected)

    @pytest.mark.parametrize("unbiased", [False, True])
    def test_on_angles_is_within_the_stated_bound(self, unbiased):
        rng = np.random.default_rng(2)
        a, b = rng.normal(size=(90, 2)) * [3, 0.1], rng.normal(1, 2, size=(70, 2)) * [3, 0.1]
        exact = energy_distance(a, b, unbiased=unbiased)
        means = [cdist(*pair).mean() for pair in ((a, b), (a, a), (b, b))]
        for angles in (2, 7, 50, 1024):
            found = energy_distance(a, b, unbiased=unbiased, directions=angles)
            worst = np.pi**2 / (12 * angles**2) * (2 * means[0] + 1.02 * sum(means[1:]))
            assert abs(found - exact) < worst
        assert found == pytest.approx(exact, rel=1e-6)
        assert energy_distance(a, a[::-1], directions=7) == 0

    def test_on_random_directions_is_right_on_average(self):
        rng = np.random.default_rng(3)
        a, b = rng.normal(size=(60, 5)), rng.normal(0.7, 1, size=(50, 5))
        found = [energy_distance(a, b, directions=5, seed=seed) for seed in range(200)]
        error = np.std(found) / np.sqrt(len(found))
        assert np.mean(found) == pytest.approx(energy_distance(a, b), abs=4 * error)
        assert error < 0.01 * np.mean(found)
        assert energy_distance(a, a[::-1], directions=5) == pytest.approx(0, abs=1e-12)
        assert energy_distance(a, b, directions=3, seed=1) == energy_distance(
            a, b, directions=3, seed=1
        )

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 999), far=st.sampled_from([0.0, 1e3, 1e6]))
    def test_of_equal_samples_is_zero_and_of_others_positive(self, seed, far):
        rng = np.random.default_rng(seed)
        a, b = far + rng.normal(size=(12, 2)), far + rng.normal(size=(9, 2))
        assert energy_distance(a, a[::-1]) == pytest.approx(0, abs=1e-6)
        assert energy_distance(a, b) > 0
        assert energy_distance(a, b) == pytest.approx(energy_distance(b, a))

    @pytest.mark.parametrize(
        ("a", "b", "message"),
        [
            (np.zeros((5, 2)), np.zeros((5, 3)), "b must have 2 columns like a, got 3"),
            (np.zeros((0, 2)), np.zeros((5, 2)), "a must have shape"),
            (np.zeros((5, 2, 2)), np.zeros((5, 2)), "a must have shape"),
            (np.full((5, 2), np.nan), np.zeros((5, 2)), "a has 10 NaN"),
        ],
    )
    def test_refuses(self, a, b, message):
        with pytest.raises(InputError, match=message):
            energy_distance(a, b)
        with pytest.raises(InputError, match="two rows a side, got 1 and 5"):
            energy_distance(np.zeros((1, 2)), np.zeros((5, 2)), unbiased=True)
        with pytest.raises(InputError, match="unbiased must be true or false"):
            energy_distance(np.zeros((3, 2)), np.zeros((5, 2)), unbiased="x")
        with pytest.raises(InputError, match="directions must be"):
            energy_distance(np.zeros((3, 2)), np.zeros((5, 2)), directions=0)


class TestNormalEnergy:
    @pytest.mark.parametrize("dim", [1, 2, 3, 16])
    def test_distance_from_normal_is_the_series(self, dim):
        radius = np.array([0.0, 0.3, 1, 3, 5])
        u = np.zeros((5, dim))
        u[:, 0] = radius
        front = np.sqrt(2) * np.exp(gammaln((dim + 1) / 2) - gammaln(dim / 2))
        expected = front * hyp1f1(-0.5, dim / 2, -(radius**2) / 2)
        np.testing.assert_allclose(distance_from_normal(u), expected, rtol=1e-12)

    def test_distance_from_normal_where_the_series_overflows(self):
        # 30-digit values of the series; scipy.special.hyp1f1 gives infinity for the first.
        u = np.zeros((3, 512))
        u[:, 0] = 10, 40, 1e5
        expected = [24.726878773517, 45.946938126211, 100000.002555]
        np.testing.assert_allclose(distance_from_normal(u), expected, rtol=1e-10)
        u = np.array([[3.0]])
        folded = 3 * (2 * scipy.stats.norm.cdf(3) - 1) + 2 * scipy.stats.norm.pdf(3)
        assert distance_from_normal(u)[0] == pytest.approx(folded, rel=1e-13)

    def test_agrees_with_the_two_sample_distance(self):
        rng = np.random.default_rng(0)
        u, z = rng.normal(0.4, 1.3, size=(300, 2)), rng.normal(size=(10_000, 2))
        ours = normal_energy(normal_energy_kernel(u))
        assert ours == pytest.approx(energy_distance(u, z, unbiased=True), abs=0.01)

    def test_is_unbiased(self):
        u = np.random.default_rng(1).standard_normal((4000, 10, 3))
        assert normal_energy(normal_energy_kernel(u)).mean() == pytest.approx(0, abs=0.01)

    @pytest.mark.parametrize(("n", "dim"), [(10, 2), (150, 2), (150, 16)])
    def test_p_values_are_uniform_under_the_law(self, n, dim):
        u = np.random.default_rng(n).standard_normal((400, n, dim))
        energies = [normal_energy(normal_energy_kernel(part)) for part in u]
        p = [normal_energy_p_value(e, n, dim) for e in energies]
        assert scipy.stats.kstest(p, "uniform").pvalue > 0.01
        assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)

    @pytest.mark.parametrize(("spread", "shift"), [(1.0, 0.0), (0.22, 0.0), (1.0, 0.7), (3.0, 0)])
    def test_interval_covers_the_energy(self, spread, shift):
        rng = np.random.default_rng(2)
        many = shift + spread * rng.standard_normal((40, 500, 2))
        truth = normal_energy(normal_energy_kernel(many)).mean()
        hits = 0
        for _ in range(150):
            kernel = normal_energy_kernel(shift + spread * rng.standard_normal((50, 2)))
            low, high = normal_energy_interval(kernel, resamples=200, level=0.95, rng=rng)
            hits += low <= truth <= high
        assert hits / 150 > 0.88


class TestClassifier:
    def test_is_even_handed_under_the_law(self):
        rng = np.random.default_rng(0)
        areas = [
            held_out_auc(rng.normal(size=(40, 3)), Drawn(rng.normal(size=(80, 3))), rng)
            for _ in range(200)
        ]
        assert np.mean(areas) == pytest.approx(0.5, abs=0.015)

    def test_interval_covers_a_half_under_the_law(self):
        law = LatentPrior(np.zeros((150, 2)), scale=1.0)
        low, high = latent_fit(latents(law, 30), law, resamples=0).auc_interval.T
        assert ((low <= 0.5) & (high >= 0.5)).mean() > 0.9

    @pytest.mark.parametrize("dim", [2, 40])
    def test_sees_mean_spread_tails_and_correlation(self, dim):
        rng = np.random.default_rng(1)

        def area(change):
            return held_out_auc(
                change(rng.normal(size=(400, dim))), Drawn(rng.normal(size=(400, dim))), rng
            )

        assert area(lambda u: u + 1) > 0.75
        assert area(lambda u: 0.5 * u) > 0.7
        assert area(lambda u: u * np.where(rng.random((400, 1)) < 0.1, 4, 0.5)) > 0.7
        if dim == 2:  # beyond 32 dimensions pairs are left out
            assert area(lambda u: u @ np.array([[1, 0.9], [0, 0.436]])) > 0.7


class TestOptions:
    def test_seed_decides_the_draws_alone(self):
        lat = latents(LAW, 40)
        first, again, other = (latent_fit(lat, LAW, seed=s) for s in (0, 0, 1))
        np.testing.assert_array_equal(first.energy_interval, again.energy_interval)
        np.testing.assert_array_equal(first.auc, again.auc)
        assert (first.auc != other.auc).any()
        np.testing.assert_array_equal(first.kl, other.kl)

    def test_no_resamples_leave_out_what_is_slow(self):
        lat = latents(LAW, 40)
        quick, full = latent_fit(lat, LAW, resamples=0), latent_fit(lat, LAW)
        assert np.isnan(quick.energy_interval).all()
        assert np.isnan(quick.energy_p).all()
        for name in ("kl", "kl_interval", "energy", "auc", "whitened_variance"):
            np.testing.assert_array_equal(getattr(quick, name), getattr(full, name))

    def test_large_classes_are_sampled(self):
        lat = latents(LAW, 200)
        fit = latent_fit(lat, LAW, max_rows=50)
        assert not np.allclose(fit.energy, latent_fit(lat, LAW).energy)
        np.testing.assert_array_equal(fit.kl, latent_fit(lat, LAW).kl)
        np.testing.assert_array_equal(fit.count, [200, 200, 200])

    def test_absent_and_tiny_classes_are_nan(self):
        fit = latent_fit(latents(LAW, [0, 1, 7]), LAW)
        for name in ("kl", "energy", "energy_p", "whitened_variance"):
            np.testing.assert_array_equal(np.isnan(getattr(fit, name)), [True, True, False])
        assert np.isnan(fit.auc).all()
        assert np.isnan(latent_fit(latents(LAW, [1, 1, 1]), LAW).mean("kl"))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"prior": LatentPrior(np.zeros((2, 3)), scale=1)}, "3 classes but the law has 2"),
            ({"prior": LatentPrior(np.zeros((3, 2)), scale=1)}, "3 dimensions but the law has 2"),
            ({"resamples": -1}, "resamples must be a whole number of at least 0"),
            ({"resamples": "x"}, "resamples must be a whole number of at least 0"),
            ({"level": 1}, "level must lie between 0 and 1"),
            ({"seed": -1}, "seed must be a whole number of at least 0"),
            ({"max_rows": 3}, "max_rows must be a whole number of at least 10"),
        ],
    )
    def test_refuses(self, change, message):
        with pytest.raises(InputError, match=message):
            latent_fit(**({"lat": latents(LAW, 10), "prior": LAW} | change))


def laws() -> dict[str, LatentPrior]:
    mean = np.array([[9.0, 0, 0], [0, 9, 0], [0, 0, 9]])
    return {
        "student_t": LatentPrior(mean, scale=2.0, family="student_t", df=[2.5, 4, 9]),
        "cauchy": LatentPrior(mean, scale=1.0, family="student_t", df=1.0),
        "laplace": LatentPrior(mean, scale=[[1, 0.5, 2]] * 3, family="laplace"),
        "von_mises_fisher": LatentPrior(
            mean, family="von_mises_fisher", concentration=[2, 20, 200]
        ),
        "custom": LatentPrior(mean, scale=1.0, family="custom", density=Ring(mean)),
    }


class Ring:
    """Moments of a unit Gaussian, and nothing in the middle."""

    def __init__(self, mean):
        self.mean = mean

    def sample(self, y, rng):
        noise = rng.standard_normal((len(y), 3))
        return self.mean[y] + np.sqrt(3) * noise / np.linalg.norm(noise, axis=1, keepdims=True)


class TestOtherFamilies:
    @pytest.mark.parametrize("name", laws())
    def test_draws_of_a_law_fit_it(self, name):
        law = laws()[name]
        z, y = law.sample(np.repeat(np.arange(3), (400, 300, 200)), np.random.default_rng(2))
        fit = latent_fit(LatentSet(z, np.log(np.full((900, 3), 1 / 3)), y), law, progress=False)
        np.testing.assert_allclose(fit.energy, 0, atol=0.025)
        assert (fit.energy_p > 0.01).all()
        np.testing.assert_allclose(fit.auc, 0.5, atol=0.08)
        np.testing.assert_allclose(fit.whitened_variance, 1, atol=0.15)
        assert (fit.kl < 0.06).all()
        assert (
            (fit.energy_interval[:, 0] <= fit.energy) & (fit.energy <= fit.energy_interval[:, 1])
        ).all()

    @pytest.mark.parametrize("name", laws())
    def test_collapse_is_seen_in_every_family(self, name):
        law = laws()[name]
        z, y = law.sample(np.arange(900) % 3, np.random.default_rng(1))
        z = law.mean[y] + 0.2 * (z - law.mean[y])
        fit = latent_fit(LatentSet(z, np.log(np.full((900, 3), 1 / 3)), y), law, progress=False)
        assert (fit.whitened_variance < 0.4).all()
        assert (fit.energy > 0.05).all()
        assert (fit.energy_p < 0.01).all()
        assert (fit.auc > 0.6).all()

    def test_moments_alone_do_not_make_the_law(self):
        law = laws()["custom"]
        lat = latents(LatentPrior(law.mean, scale=1.0), 300)
        fit = latent_fit(lat, law, progress=False)
        assert (fit.kl < 0.06).all()
        assert (fit.energy_p < 0.02).all()
        assert (fit.auc > 0.8).all()

    def test_the_permutation_test_keeps_its_level(self):
        rng = np.random.default_rng(0)
        values = [
            permutation_p_value(rng.standard_normal((20, 2)), rng.standard_normal((600, 2)), rng)
            for _ in range(60)
        ]
        assert scipy.stats.kstest(values, "uniform").pvalue > 0.01

    def test_the_kernel_of_draws_is_the_energy_distance(self):
        rng = np.random.default_rng(0)
        u, draws = rng.standard_normal((30, 2)), 1 + rng.standard_normal((50, 2))
        energy = normal_energy(drawn_kernel(u, draws))
        assert energy == pytest.approx(energy_distance(u, draws, unbiased=True))
