"""Many rows, dimensions and classes: what is shared is stored once, and blocks change no number."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import multivariate_normal, multivariate_t

import vcviz
from vcviz.geometry.moments import class_moments, combined
from vcviz.metrics.ood import score
from vcviz.metrics.posthoc import recalibrate
from vcviz.records import LatentPrior, LatentSet, blocks


def latents(n: int, c: int, d: int, *, seed: int = 0) -> LatentSet:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % c
    z = rng.normal(size=(c, d))[y] + rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    return LatentSet(z, log_softmax(rng.normal(size=(n, c)), axis=1), y)


def peak(work) -> float:
    """Return the most megabytes that were allocated meanwhile."""
    tracemalloc.start()
    work()
    try:
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "_VALUES", 8)
    monkeypatch.setattr(blocks, "_ROWS", 3)


class TestOneScale:
    tril = np.array([[1.0, 0], [0.5, 2]])
    mean = np.array([[0.0, 0], [3, 1], [-1, 4]])

    @pytest.mark.parametrize("form", ["one", "row", "repeated", "view"])
    def test_is_kept_once_however_it_is_given(self, form):
        given = {
            "one": self.tril,
            "row": self.tril[None],
            "repeated": np.repeat(self.tril[None], 3, 0),
            "view": np.broadcast_to(self.tril, (3, 2, 2)),
        }[form]
        law = LatentPrior(self.mean, scale_tril=given)
        assert law.one_scale
        assert law.scale_tril.shape == (3, 2, 2)
        assert law.scale_tril.strides[0] == 0
        np.testing.assert_array_equal(law.covariance[2], self.tril @ self.tril.T)
        assert law.covariance.strides[0] == 0

    def test_two_factors_are_not_one(self):
        tril = np.stack([self.tril, self.tril, 2 * self.tril])
        assert not LatentPrior(self.mean, scale_tril=tril).one_scale

    @pytest.mark.parametrize("direct", [0, 4096])
    @pytest.mark.parametrize("family", ["gaussian", "student_t"])
    def test_densities_are_scipys(self, family, direct, monkeypatch, small_blocks):
        monkeypatch.setattr(blocks, "_DIRECT", direct)
        more = {"df": [3.0, 5, 9]} if family == "student_t" else {}
        law = LatentPrior(self.mean, scale_tril=self.tril, family=family, **more)
        z = np.random.default_rng(0).normal(size=(20, 2)) * 5
        cov = self.tril @ self.tril.T
        for k in range(3):
            one = (
                multivariate_t(self.mean[k], cov, df=more["df"][k])
                if more
                else multivariate_normal(self.mean[k], cov)
            )
            np.testing.assert_allclose(law.log_prob(z)[:, k], one.logpdf(z), rtol=1e-12)
        y = np.arange(20) % 3
        apart = LatentPrior(
            self.mean, scale_tril=self.tril * [[[1]], [[1]], [[1 + 1e-15]]], family=family, **more
        )
        assert not apart.one_scale
        np.testing.assert_allclose(law.whiten(z, y), apart.whiten(z, y), rtol=1e-10)
        np.testing.assert_allclose(law.log_posterior(z), apart.log_posterior(z), rtol=1e-10)
        np.testing.assert_allclose(law.log_marginal(z), apart.log_marginal(z), rtol=1e-12)

    def test_memory_grows_with_neither_classes_nor_rows(self):
        lat = latents(2000, 200, 128)
        weight = np.random.default_rng(0).normal(size=(200, 128))
        assert peak(lambda: vcviz.implied_prior(weight, None, lat, verify=False)) < 60
        law = vcviz.implied_prior(weight, None, lat, verify=False)  # all factors would be 26 MB
        for work in (
            lambda: law.log_marginal(lat.z),
            lambda: law.sample(10, np.random.default_rng(0)),
            lambda: vcviz.fit_projection(lat, method="pca", prior=law),
            lambda: law.project(np.eye(128)[:, :2]),
        ):
            assert peak(work) < 20

    def test_posterior_of_an_implied_law_is_the_layers(self):
        lat = latents(3000, 120, 64)  # so many that squares are expanded
        rng = np.random.default_rng(1)
        weight, bias = rng.normal(size=(120, 64)), rng.normal(size=120)
        law = vcviz.implied_prior(weight, bias, lat, verify=False)
        expected = log_softmax(lat.z.astype(float) @ weight.T + bias, axis=1)
        np.testing.assert_allclose(law.log_posterior(lat.z), expected, atol=1e-9)


class TestMoments:
    def test_blocks_change_nothing(self, small_blocks):
        lat = latents(200, 7, 5)
        found = class_moments(lat)
        z = lat.z.astype(float)
        np.testing.assert_allclose(found.covariance, np.cov(z.T, bias=True), rtol=1e-10)
        np.testing.assert_allclose(found.means[3], z[lat.y == 3].mean(0))
        assert class_moments(lat) is found

    def test_sets_together_are_one_set(self):
        lat = latents(200, 7, 5)
        parts = [class_moments(lat.take(rows)) for rows in (np.arange(90), np.arange(90, 200))]
        both, whole = combined(parts), class_moments(lat)
        for name in ("counts", "means", "scatter", "largest"):
            np.testing.assert_allclose(getattr(both, name), getattr(whole, name), atol=1e-9)

    @pytest.mark.parametrize("scale", [1e-24, 1.0, 1e12])
    def test_lda_is_the_same_in_any_unit(self, scale):
        lat = latents(300, 4, 3)
        units = scale * np.array([1, 1e-4, 1e4])
        moved = LatentSet(lat.z * units, lat.log_probs, lat.y)
        first, second = (vcviz.fit_projection(s, method="lda") for s in (lat, moved))
        ours, theirs = first(lat.z), second(moved.z)
        sign = np.sign((ours * theirs).sum(0))
        np.testing.assert_allclose(ours, theirs * sign, atol=1e-3)

    def test_a_unit_that_tells_classes_apart_without_error_comes_first(self):
        lat = latents(300, 4, 3)
        z = np.column_stack([lat.z, lat.y])  # constant within classes
        first = vcviz.fit_projection(LatentSet(z, lat.log_probs, lat.y), method="lda").matrix[:, 0]
        assert np.abs(first[3]) > 100 * np.abs(first[:3]).max()


def test_vector_scaling_is_the_same_in_blocks(monkeypatch):
    lat = latents(400, 5, 3)
    whole = recalibrate(lat.log_probs, lat.y, "vector")
    monkeypatch.setattr(blocks, "_VALUES", 64)
    monkeypatch.setattr(blocks, "_ROWS", 16)
    monkeypatch.setattr("vcviz.metrics.posthoc.scaling._KEPT", 0)
    monkeypatch.setattr("vcviz.metrics.posthoc.scaling._MANY", 0)  # second derivatives of 32 bits
    parts = recalibrate(lat.log_probs, lat.y, "vector")
    np.testing.assert_allclose(parts.weight, whole.weight, atol=1e-4)
    assert parts.nll_after == pytest.approx(whole.nll_after, abs=1e-9)


def test_a_temperature_from_a_sample_says_so_and_is_near(monkeypatch):
    lat = latents(4000, 5, 3)
    log_probs = log_softmax(3 * lat.log_probs, axis=1)
    whole = vcviz.metrics.calibration.fit_temperature(log_probs, lat.y)
    monkeypatch.setattr("vcviz.metrics.calibration.temperature._SEARCHED", 10_000)
    some = vcviz.metrics.calibration.fit_temperature(log_probs, lat.y)
    assert (whole.searched, some.searched) == (4000, 2000)
    assert some.temperature == pytest.approx(whole.temperature, rel=0.2)
    assert some.nll_after == pytest.approx(whole.nll_after, rel=0.01)


def test_neighbours_from_a_sample_say_so(monkeypatch):
    lat = latents(3000, 5, 3)
    exact = score(lat, "knn", train=lat, neighbours=30)
    monkeypatch.setattr("vcviz.metrics.ood.scores._PRODUCTS", 1)
    with pytest.warns(UserWarning, match="2,000 of 3,000 training rows"):
        some = score(lat, "knn", train=lat, neighbours=30)
    assert np.corrcoef(exact, some)[0, 1] > 0.95


def test_an_explorer_of_very_many_probabilities_takes_a_sample_and_says_so(monkeypatch):
    from vcviz.explorers import calibration_data
    from vcviz.explorers.panel_data import sources

    monkeypatch.setattr(calibration_data, "_PROBABILITIES", 500)
    found = calibration_data.Calibrations(sources((latents(400, 5, 3), None))[0], 0)
    rows, bins = calibration_data.Rows("test"), calibration_data.Bins(10, "width", None)
    curve = found.curve(rows, bins, 1.0)
    assert curve.n == 100
    assert curve.name == "latents (100 of 400 rows, drawn at random)"
