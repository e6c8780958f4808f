"""Laws of the latents: the posterior identity, known moments, and outlines that hold their mass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from vcviz.base.errors import InputError
from vcviz.geometry import empirical_prior, implied_prior
from vcviz.geometry.contours import empirical_contours, law_contours
from vcviz.geometry.moments import class_moments
from vcviz.geometry.priors import makes_scores
from vcviz.records import LatentPrior, LatentSet, Projection


def latents(n=60, c=4, d=3, seed=0, spread=1.0) -> LatentSet:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % c
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0] * rng.uniform(0.5, 2, d)
    z = 3 * rng.standard_normal((c, d))[y] + spread * rng.standard_normal((n, d)) @ turn
    return LatentSet(z, log_softmax(rng.standard_normal((n, c)), axis=1), y)


def inside(points: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Whether each point lies inside the closed polylines, by crossings of a ray."""
    start, end = xy[:-1], xy[1:]
    keep = ~(np.isnan(start).any(1) | np.isnan(end).any(1))
    start, end = start[keep], end[keep]
    x, y = points[:, 0, None], points[:, 1, None]
    crosses = (start[:, 1] > y) != (end[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = start[:, 0] + (y - start[:, 1]) * (end - start)[:, 0] / (end - start)[:, 1]
    return (crosses & (x < at)).sum(1) % 2 == 1


class TestMakesScores:
    def test_weights_of_another_classifier_are_told(self):
        rng = np.random.default_rng(0)
        lat, weight = latents(), rng.standard_normal((4, 3))
        scores = lat.z.astype(float) @ weight.T + 1
        own = LatentSet(lat.z, log_softmax(scores, axis=1), lat.y)
        implied_prior(weight, np.ones(4), own)  # without a warning
        implied_prior(weight, None, own)  # a bias that all classes share says nothing
        for other, bias in ((weight / 2, None), (weight, np.arange(4.0))):
            with pytest.warns(UserWarning, match="not what the classifier says of these latents"):
                implied_prior(other, bias, own)
            implied_prior(other, bias, own, verify=False)

    def test_scores_of_sixteen_bits_are_near_enough(self):
        rng = np.random.default_rng(0)
        lat, weight = latents(), 3 * rng.standard_normal((4, 3))
        scores = (lat.z.astype(float) @ weight.T).astype(np.float16).astype(float)
        assert (
            makes_scores(weight, None, LatentSet(lat.z, log_softmax(scores, axis=1), lat.y)) == ""
        )


@pytest.mark.filterwarnings("ignore:softmax.W z . b. is not:UserWarning")
class TestImpliedPrior:
    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 10_000),
        c=st.integers(2, 6),
        d=st.integers(1, 5),
        scale=st.floats(0.3, 10),
        shift=st.one_of(st.none(), st.floats(-5, 5)),
    )
    def test_posterior_is_the_softmax_layer(self, seed, c, d, scale, shift):
        rng = np.random.default_rng(seed)
        lat = latents(n=40, c=c, d=d, seed=seed)
        weight, bias = rng.standard_normal((c, d)), rng.standard_normal(c)
        m = None if shift is None else np.full(d, shift)
        law = implied_prior(weight, bias, lat, scale=scale, shift=m)
        expected = log_softmax(lat.z.astype(float) @ weight.T + bias, axis=1)
        np.testing.assert_allclose(law.log_posterior(lat.z), expected, atol=1e-10)

    def test_convention(self):
        lat = latents()
        rng = np.random.default_rng(1)
        weight, bias = rng.standard_normal((4, 3)), rng.standard_normal(4)
        law = implied_prior(weight, bias, lat, scale=2.0)
        covariance = 4 * class_moments(lat).within
        np.testing.assert_allclose(law.covariance, np.broadcast_to(covariance, (4, 3, 3)))
        means = np.stack([lat.z[lat.y == k].astype(float).mean(0) for k in range(4)])
        m = (means - weight @ covariance).mean(0)
        np.testing.assert_allclose(law.mean, weight @ covariance + m)
        np.testing.assert_allclose(law.mean.mean(0), means.mean(0), atol=1e-6)
        quadratic = np.einsum("cd,de,ce->c", law.mean, np.linalg.inv(covariance), law.mean)
        np.testing.assert_allclose(law.log_weight, log_softmax(bias + quadratic / 2))

    def test_shift_is_m_itself(self):
        lat, weight = latents(), np.eye(4, 3)
        law = implied_prior(weight, np.zeros(4), lat, shift=[1, 2, 3])
        covariance = class_moments(lat).within
        np.testing.assert_allclose(law.mean, weight @ covariance + [1, 2, 3])

    @pytest.mark.parametrize("spread", [0.0, 1.0])
    def test_identity_survives_a_singular_covariance(self, spread):
        # Dead units, or latents collapsed onto their class means.
        rng = np.random.default_rng(2)
        lat = latents(d=6, spread=spread)
        z = lat.z.copy()
        z[:, 4:] = 0
        lat = LatentSet(z, lat.log_probs, lat.y)
        weight, bias = rng.standard_normal((4, 6)), rng.standard_normal(4)
        law = implied_prior(weight, bias, lat)
        expected = log_softmax(z.astype(float) @ weight.T + bias, axis=1)
        np.testing.assert_allclose(law.log_posterior(z), expected, atol=1e-7)

    def test_a_class_without_latents_takes_no_part(self):
        lat = latents(c=4)
        wider = LatentSet(
            lat.z, np.pad(lat.log_probs, ((0, 0), (0, 1)), constant_values=-50), lat.y
        )
        weight, bias = np.ones((5, 3)), np.zeros(5)
        law = implied_prior(weight, bias, wider)
        np.testing.assert_allclose(law.mean[:4], implied_prior(weight[:4], bias[:4], lat).mean)

    def test_a_layer_of_torch_without_bias(self):
        torch = pytest.importorskip("torch")
        lat = latents()
        layer = torch.nn.Linear(3, 4, bias=False)
        law = implied_prior(layer.weight, layer.bias, lat)
        logits = lat.z.astype(float) @ layer.weight.detach().double().numpy().T
        np.testing.assert_allclose(law.log_posterior(lat.z), log_softmax(logits, 1), atol=1e-10)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"weight": np.ones((3, 4))}, r"weight must be \(4, 3\) to match the latents"),
            ({"bias": np.ones(3)}, r"bias must have shape \(4,\), got \(3,\)"),
            ({"scale": 0}, "scale must be a number above 0"),
            ({"scale": "1"}, "scale must be a number above 0"),
            ({"shift": [1.0]}, r"shift must have shape \(3,\), got \(1,\)"),
            ({"weight": np.full((4, 3), np.nan)}, "weight has 12 NaN"),
        ],
    )
    def test_refuses(self, change, message):
        arguments = {"weight": np.ones((4, 3)), "bias": np.ones(4), "lat": latents()}
        with pytest.raises(InputError, match=message):
            implied_prior(**(arguments | change))


class TestEmpiricalPrior:
    def test_moments_of_each_class(self):
        lat = latents()
        law = empirical_prior(lat)
        for k in range(4):
            own = lat.z[lat.y == k].astype(float)
            np.testing.assert_allclose(law.mean[k], own.mean(0))
            np.testing.assert_allclose(law.covariance[k], np.cov(own.T, bias=True))
        np.testing.assert_allclose(np.exp(law.log_weight), np.bincount(lat.y) / len(lat))

    def test_few_points_borrow_the_pooled_covariance(self):
        lat = latents(n=30, c=3)
        rows = np.r_[np.flatnonzero(lat.y != 0), np.flatnonzero(lat.y == 0)[:2]]
        part = lat.take(rows)
        law = empirical_prior(part)
        np.testing.assert_allclose(law.covariance[0], class_moments(part).within)
        np.testing.assert_allclose(law.mean[0], part.z[-2:].astype(float).mean(0))

    def test_an_absent_class_has_no_weight(self):
        lat = latents(c=3)
        law = empirical_prior(lat.take(lat.y != 1))
        assert law.log_weight[1] == -np.inf
        np.testing.assert_allclose(law.mean[1], lat.z[lat.y != 1].astype(float).mean(0))

    def test_pooled_covariance_is_sklearns(self):
        lat = latents()
        theirs = LinearDiscriminantAnalysis(store_covariance=True).fit(lat.z, lat.y).covariance_
        ours = class_moments(lat).within * (60 - 4) / 60  # theirs divides by N
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


class TestGaussianContours:
    law = LatentPrior(
        np.array([[0, 0], [5, 1.0]]), scale_tril=np.array([[[1, 0], [0.8, 0.3]], np.eye(2)])
    )

    def test_hold_their_mass(self):
        z, y = self.law.sample(np.repeat([0, 1], 20_000), np.random.default_rng(0))
        contours = law_contours(self.law, mass=(0.3, 0.9), n_points=200)
        assert [(c.label, c.mass) for c in contours] == [(0, 0.3), (0, 0.9), (1, 0.3), (1, 0.9)]
        for contour in contours:
            share = inside(z[y == contour.label], contour.xy).mean()
            assert share == pytest.approx(contour.mass, abs=0.012)

    def test_are_closed_and_of_equal_density(self):
        contour = law_contours(self.law, n_points=33)[0]
        assert contour.xy.shape == (33, 2)
        np.testing.assert_array_equal(contour.xy[0], contour.xy[-1])
        assert np.ptp(self.law.log_prob(contour.xy)[:, 0]) < 1e-9

    def test_need_two_dimensions(self):
        with pytest.raises(InputError, match="2 dimensions, got 3; pass a projection"):
            law_contours(LatentPrior(np.zeros((2, 3)), scale=1.0))
        three = Projection("pair", ("1", "2", "3"), np.eye(4)[:, :3])
        for family in ("gaussian", "laplace"):
            with pytest.raises(InputError, match="a projection with 2 axes, got 3"):
                law_contours(LatentPrior(np.zeros((2, 4)), scale=1.0, family=family), three)
        with pytest.raises(InputError, match="mass must hold shares between 0 and 1"):
            law_contours(self.law, mass=(50, 90))


class TestEmpiricalContours:
    def shares(self, points, mass=(0.5, 0.9)) -> list[float]:
        contours = empirical_contours(points, np.zeros(len(points), int), 1, mass)
        return [inside(points, c.xy).mean() for c in contours]

    @pytest.mark.parametrize("n", [30, 500, 20_000])
    @pytest.mark.parametrize("shape", ["round", "needle", "two", "ring", "dot", "tails", "spike"])
    def test_hold_their_share_of_the_points(self, n, shape):
        rng = np.random.default_rng(n)
        points = rng.standard_normal((n, 2))
        if shape == "needle":  # narrow and oblique, as softmax latents are
            points = (points * [10, 0.05]) @ [[0.8, 0.6], [-0.6, 0.8]] + 100
        if shape == "two":
            points[: n // 3] += 8
        if shape == "ring":
            points = points / np.linalg.norm(points, axis=1, keepdims=True) * 4 + 0.1 * points
        if shape == "dot":
            points = points * 1e-7 + 3
        if shape == "tails":
            points = rng.standard_cauchy((n, 2))
        if shape == "spike":
            points[: int(0.7 * n)] *= 0.03
        np.testing.assert_allclose(self.shares(points), (0.5, 0.9), atol=0.05)

    def test_population_mass(self):
        rng = np.random.default_rng(1)
        fresh = rng.standard_normal((20_000, 2))
        contours = empirical_contours(rng.standard_normal((500, 2)), np.zeros(500, int), 1)
        for contour in contours:
            assert inside(fresh, contour.xy).mean() == pytest.approx(contour.mass, abs=0.06)

    def test_outliers_neither_turn_nor_blur_a_needle(self):
        rng = np.random.default_rng(2)
        turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
        points = rng.standard_normal((400, 2)) * [10, 0.05]
        points[:8] = 1e4 * rng.standard_normal((8, 2))
        for contour in empirical_contours(points @ turn, np.zeros(400, int), 1):
            length, width = np.nanmax(np.abs(contour.xy @ turn.T), axis=0)
            assert length < 35
            assert width < 0.2

    def test_identical_points_have_a_small_outline(self):
        points = np.repeat([[0.0, 0.0], [10.0, 10.0]], 20, axis=0)
        contours = empirical_contours(points, np.repeat([0, 1], 20), 2)
        assert len(contours) == 4
        for contour in contours:
            size = np.ptp(contour.xy, axis=0)
            assert (size > 0).all()
            assert (size < 0.3).all()
            assert inside(points[20 * contour.label][None], contour.xy).all()

    def test_classes_are_outlined_one_by_one(self):
        lat = latents(d=2, n=200)
        together = empirical_contours(lat.z, lat.y, 4)
        assert [c.label for c in together] == [0, 0, 1, 1, 2, 2, 3, 3]
        for contour in together[::2]:
            own = lat.z[lat.y == contour.label]
            assert (contour.xy.max(0) > own.mean(0)).all()
            assert (contour.xy.min(0) < own.mean(0)).all()

    def test_pieces_are_closed_and_separated_by_nan(self):
        rng = np.random.default_rng(3)
        points = rng.standard_normal((300, 2))
        points[::2] += 12
        xy = empirical_contours(points, np.zeros(300, int), 1, (0.5,))[0].xy
        gaps = np.flatnonzero(np.isnan(xy[:, 0]))
        assert len(gaps) >= 1
        for piece in np.split(xy, gaps):
            piece = piece[~np.isnan(piece[:, 0])]
            np.testing.assert_allclose(piece[0], piece[-1])

    def test_few_points_have_none(self):
        assert empirical_contours(np.zeros((4, 2)), np.zeros(4, int), 1) == []
        assert empirical_contours(np.zeros((0, 2)), np.zeros(0, int), 3) == []

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((np.zeros((9, 3)), np.zeros(9, int), 1), r"points must have shape \(N, 2\)"),
            ((np.zeros((9, 2)), np.zeros((9, 1), int), 1), "one label per row"),
            ((np.zeros((9, 2)), np.zeros(9, int), 1, (0.0,)), "mass must hold shares"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(InputError, match=message):
            empirical_contours(*arguments)
        with pytest.raises(InputError, match="grid must be at least 8"):
            empirical_contours(np.zeros((9, 2)), np.zeros(9, int), 1, grid=2)


def laws() -> dict[str, LatentPrior]:
    """One law a family, in three dimensions."""
    mean = np.array([[4.0, 0, 1], [-3, 2, 0], [0, -4, -2]])
    tril = np.array([[1, 0, 0], [0.8, 0.5, 0], [-0.3, 0.2, 1.5]])
    return {
        "gaussian": LatentPrior(mean, scale_tril=[tril] * 3),
        "student_t": LatentPrior(mean, scale_tril=[tril] * 3, family="student_t", df=[3, 5, 9]),
        "laplace": LatentPrior(mean, scale=[[1, 0.5, 2]] * 3, family="laplace"),
        "von_mises_fisher": LatentPrior(mean, family="von_mises_fisher", concentration=[5, 20, 80]),
        "custom": LatentPrior(mean, scale=1.0, family="custom", density=Two(mean)),
    }


class Two:
    """Two unit Gaussians a class, four apart along the first axis."""

    def __init__(self, mean):
        self.parts = [LatentPrior(mean + s * np.eye(3)[0], scale=1.0) for s in (-2, 2)]

    def log_prob(self, z):
        return np.logaddexp(*(p.log_prob(z) for p in self.parts)) - np.log(2)

    def sample(self, y, rng):
        one, other = (p.sample(y, rng)[0] for p in self.parts)
        return np.where(rng.random((len(y), 1)) < 0.5, one, other)


MAPS = {
    "pair": Projection("pair", ("a", "b"), np.eye(3)[:, [0, 2]]),
    "pca": Projection(
        "pca", ("a", "b"), np.array([[0.8, 0.1], [0.6, -0.4], [0.2, 0.9]]), [1, 0, 2]
    ),
    "umap": Projection("umap", ("a", "b"), embed=lambda z: np.tanh(z[:, :2] / 3) + 0.1 * z[:, 1:]),
}


class TestLawContours:
    @pytest.mark.parametrize("method", MAPS)
    @pytest.mark.parametrize("family", laws())
    def test_any_law_in_any_projection_holds_its_mass(self, family, method):
        law, projection = laws()[family], MAPS[method]
        contours = law_contours(law, projection, (0.5, 0.9), seed=1)
        assert [(c.label, c.mass) for c in contours] == [
            (k, m) for k in range(3) for m in (0.5, 0.9)
        ]
        z, y = law.sample(np.repeat(np.arange(3), 4000), np.random.default_rng(0))
        points = projection(z)
        exact = law.keeps(projection)
        assert exact == ((family, method) in EXACT)
        for contour in contours:
            share = inside(points[y == contour.label], contour.xy).mean()
            assert share == pytest.approx(contour.mass, abs=0.025 if exact else 0.04)
        again = law_contours(law, projection, (0.5, 0.9), seed=1)
        np.testing.assert_array_equal(again[0].xy, contours[0].xy)

    def test_a_laplace_law_has_diamonds(self):
        contour = law_contours(laws()["laplace"], MAPS["pair"], (0.5,), n_points=32)[0]
        assert contour.xy.shape == (33, 2)
        np.testing.assert_allclose(contour.xy[8], [4, 1 + 2 * 1.678], atol=2e-3)
        np.testing.assert_allclose(np.abs((contour.xy - [4, 1]) / [1, 2]).sum(1), 1.678, atol=1e-3)


EXACT = {(f, m) for f in ("gaussian", "student_t") for m in ("pair", "pca")} | {("laplace", "pair")}
