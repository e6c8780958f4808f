"""Projections against sklearn, with fixed signs, and for every awkward number of dimensions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from vcviz.base.errors import InputError
from vcviz.geometry import fit_projection
from vcviz.records import LatentPrior, LatentSet


def latents(n=90, c=4, d=5, seed=0) -> LatentSet:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % c
    z = 4 * rng.standard_normal((c, d))[y] + rng.standard_normal((n, d)) @ rng.normal(size=(d, d))
    return LatentSet(z, log_softmax(rng.standard_normal((n, c)), axis=1), y)


def law(lat: LatentSet, spread=1.0, seed=0) -> LatentPrior:
    rng = np.random.default_rng(seed)
    return LatentPrior(spread * rng.normal(size=(lat.n_classes, lat.latent_dim)), scale=spread)


class TestPair:
    def test_picks_axes(self):
        lat = latents()
        projection = fit_projection(lat, dims=(3, 1))
        np.testing.assert_array_equal(projection(lat.z), lat.z[:, [3, 1]])
        assert projection.labels == ("z₄", "z₂")
        assert projection.linear
        assert fit_projection(latents(d=12), dims=(0, 11, 2)).labels == ("z₁", "z₁₂", "z₃")

    def test_one_dimension_gets_an_axis_of_zeros(self):
        lat = latents(d=1)
        projection = fit_projection(lat)
        np.testing.assert_array_equal(projection(lat.z), np.pad(lat.z, ((0, 0), (0, 1))))
        assert projection.labels[0] == "z₁"
        projected = law(lat).project(projection)
        assert projected.latent_dim == 2

    @pytest.mark.parametrize("dims", [(0, 0), (0,), (0, 1, 2, 3), (0.5, 1), ("a", "b")])
    def test_wants_different_axes(self, dims):
        with pytest.raises(InputError, match="dims must be two or three different axes"):
            fit_projection(latents(), dims=dims)

    def test_wants_axes_that_exist(self):
        with pytest.raises(InputError, match=r"dims must lie in \[0, 5\) for 5-dimensional"):
            fit_projection(latents(), dims=(0, 5))


class TestPCA:
    @pytest.mark.parametrize("size", [2, 3])
    def test_is_sklearns(self, size):
        lat = latents()
        projection = fit_projection(lat, method="pca", n_components=size)
        theirs = PCA(size).fit(lat.z.astype(float))
        expected = theirs.transform(lat.z.astype(float))
        sign = np.sign((projection(lat.z) * expected).sum(0))
        np.testing.assert_allclose(projection(lat.z), expected * sign, atol=1e-6)
        shares = [f"({r:.0%})".replace("%", " %") for r in theirs.explained_variance_ratio_]
        assert projection.labels == tuple(f"PC {i + 1} {s}" for i, s in enumerate(shares))

    @pytest.mark.parametrize("method", ["pca", "lda"])
    def test_largest_entry_is_positive(self, method):
        for seed in range(6):
            matrix = fit_projection(latents(seed=seed), method=method).matrix
            assert (matrix[np.abs(matrix).argmax(0), [0, 1]] > 0).all()

    def test_sets_share_one_map(self):
        one, two = latents(seed=1), latents(n=30, seed=2)
        projection = fit_projection([one, two], method="pca")
        both = PCA(2).fit(np.concatenate([one.z, two.z]).astype(float))
        np.testing.assert_allclose(np.abs(projection.matrix.T), np.abs(both.components_), atol=1e-6)

    def test_law_is_looked_at_too(self):
        # Latents vary along the first axis; the law along the others, a thousand times more.
        rng = np.random.default_rng(0)
        z = rng.normal(size=(200, 3)) * [3, 0.1, 0.1]
        lat = LatentSet(z, np.log(np.full((200, 2), 0.5)), np.arange(200) % 2)
        prior = LatentPrior(np.zeros((2, 3)), scale=np.tile([1.0, 2000, 3000], (2, 1)))
        matrix = np.abs(fit_projection(lat, method="pca", prior=prior).matrix)
        assert sorted(matrix.argmax(0)) == [0, 2]
        assert (np.abs(fit_projection(lat, method="pca").matrix)[2] < 0.9).all()

    def test_fewer_dimensions_than_axes(self):
        lat = latents(d=2)
        projection = fit_projection(lat, method="pca", n_components=3)
        assert projection(lat.z).shape == (90, 3)
        np.testing.assert_array_equal(projection(lat.z)[:, 2], 0)
        same = LatentSet(np.ones((4, 3)), np.log(np.full((4, 2), 0.5)), [0, 1, 0, 1])
        np.testing.assert_allclose(fit_projection(same, method="pca")(same.z), 0)


class TestLDA:
    @pytest.mark.parametrize("size", [2, 3])
    def test_is_sklearns(self, size):
        lat = latents()
        projection = fit_projection(lat, method="lda", n_components=size)
        theirs = LinearDiscriminantAnalysis(n_components=size).fit(lat.z.astype(float), lat.y)
        expected = theirs.transform(lat.z.astype(float))
        ours = projection(lat.z)
        # Signs are free, and releases differ in the unit (see the next test for ours).
        factor = (ours * expected).sum(0) / (expected**2).sum(0)
        np.testing.assert_allclose(ours, expected * factor, atol=1e-4)
        np.testing.assert_allclose(np.abs(factor), np.abs(factor[0]), rtol=1e-5)
        assert projection.labels == ("LD 1", "LD 2", "LD 3")[:size]

    def test_unit_is_the_within_class_deviation(self):
        lat = latents()
        points = fit_projection(lat, method="lda")(lat.z)
        within = [points[lat.y == k] - points[lat.y == k].mean(0) for k in range(4)]
        scatter = sum(w.T @ w for w in within) / (90 - 4)
        np.testing.assert_allclose(scatter, np.eye(2), atol=1e-5)

    def test_two_classes_have_one_discriminant(self):
        lat = latents(c=2)
        projection = fit_projection(lat, method="lda")
        theirs = LinearDiscriminantAnalysis().fit(lat.z.astype(float), lat.y)
        first = projection(lat.z)[:, 0]
        expected = theirs.transform(lat.z.astype(float))[:, 0]
        assert abs(np.corrcoef(first, expected)[0, 1]) == pytest.approx(1)
        assert projection.labels[0] == "LD 1"
        assert projection.labels[1].startswith("rest PC 1 (")
        # The second axis is the direction of most variance at right angles to the first.
        one, two = projection.matrix.T
        assert one @ two == pytest.approx(0, abs=1e-9)
        z = lat.z.astype(float) - lat.z.astype(float).mean(0)
        left = z - np.outer(z @ one, one) / (one @ one)
        np.testing.assert_allclose(np.abs(two), np.abs(PCA(1).fit(left).components_[0]), atol=1e-6)

    def test_collapsed_latents_still_have_axes(self):
        y = np.arange(30) % 3
        z = np.eye(3, 4)[y]
        lat = LatentSet(z, np.log(np.full((30, 3), 1 / 3)), y)
        points = fit_projection(lat, method="lda")(lat.z)
        assert np.isfinite(points).all()
        assert len(np.unique(points.round(6), axis=0)) == 3

    @pytest.mark.parametrize("d", [1, 2])
    def test_few_dimensions(self, d):
        lat = latents(d=d)
        projection = fit_projection(lat, method="lda")
        assert projection(lat.z).shape == (90, 2)
        assert len(projection.labels) == 2

    def test_one_class_is_refused(self):
        lat = latents()
        with pytest.raises(InputError, match="at least two classes; use pca"):
            fit_projection(lat.take(lat.y == 1), method="lda")


@pytest.fixture(scope="module")
def umap_of():
    lat = latents(n=120, d=4)
    return lat, fit_projection(lat, method="umap", seed=1, progress=False)


class TestUMAP:
    def test_keeps_classes_together(self, umap_of):
        lat, projection = umap_of
        points = projection(lat.z)
        assert points.shape == (120, 2)
        assert not projection.linear
        assert projection.labels == ("UMAP 1", "UMAP 2")
        distance = np.linalg.norm(points[:, None] - points, axis=2)
        np.fill_diagonal(distance, np.inf)
        assert (lat.y[distance.argmin(1)] == lat.y).mean() > 0.8

    def test_is_reproducible(self, umap_of):
        lat, projection = umap_of
        again = fit_projection(lat, method="umap", seed=1, progress=False)
        np.testing.assert_array_equal(projection(lat.z), again(lat.z))

    def test_a_point_has_one_place_whatever_it_comes_with(self, umap_of):
        lat, projection = umap_of
        moved = lat.z + 0.1
        np.testing.assert_allclose(projection(moved)[5:9], projection(moved[5:9]))

    def test_new_points_go_to_their_neighbours(self, umap_of):
        lat, projection = umap_of
        points = projection(lat.z)
        near = projection(lat.z + 1e-4)
        np.testing.assert_allclose(near, points, atol=np.ptp(points) / 4)
        assert np.median(np.linalg.norm(near - points, axis=1)) < np.ptp(points) / 20

    def test_fitted_rows_keep_their_place_in_many_dimensions(self, monkeypatch):
        # Beyond 15 dimensions neighbours are found with rounding errors.
        lat = latents(n=60, d=40)
        rows = {}
        from umap import UMAP

        fit = UMAP.fit_transform

        def spy(self, x):
            rows["place"] = fit(self, x)
            return rows["place"]

        monkeypatch.setattr(UMAP, "fit_transform", spy)
        projection = fit_projection(lat, method="umap", progress=False)
        np.testing.assert_allclose(projection(lat.z), rows["place"], atol=1e-4)

    def test_draws_of_the_law_have_their_own_place(self):
        # A law far from the latents: its draws form islands where no latent is.
        lat = latents(n=60, d=4)
        far = LatentPrior(np.full((4, 4), 500.0), scale=1.0)
        projection = fit_projection(lat, method="umap", prior=far, progress=False)
        points = projection(lat.z)
        drawn = projection(far.sample(60, np.random.default_rng(9))[0])
        apart = np.linalg.norm(drawn[:, None] - points, axis=2).min(1)
        assert np.median(apart) > 1

    def test_few_points_are_refused(self):
        with pytest.raises(InputError, match="umap needs at least 5 latents, got 4"):
            fit_projection(latents(n=4), method="umap", progress=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "tsne"}, "unknown projection 'tsne'"),
        ({"method": "pca", "n_components": 4}, "n_components must be 2 or 3, got 4"),
        ({"method": "pca", "prior": LatentPrior(np.zeros((2, 2)), scale=1)}, "prior must have 5"),
        ({"lat": []}, "at least one LatentSet"),
        ({"lat": [latents(), latents(d=2)]}, r"share one latent dimension, got \[2, 5\]"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        fit_projection(**({"lat": latents()} | arguments))
