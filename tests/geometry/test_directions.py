"""Latents along a direction: the law there, its band, its distance, and what is drawn of them."""

from __future__ import annotations

import numpy as np
import pytest
from fake_runs import NAMES, latents, prior
from scipy import stats
from scipy.special import log_softmax

from vcviz.base.errors import InputError
from vcviz.figures import plot_direction
from vcviz.figures import theme as style
from vcviz.figures.direction import direction_ranges, direction_spec
from vcviz.geometry import fit_projection
from vcviz.geometry.directions import direction, natural_directions
from vcviz.metrics.fit.marginals import _draws_below, kernel_density, marginals
from vcviz.records import Direction, LatentPrior, LatentSet

U = np.array([1.0, -2.0, 0.5, 0.3])


def law_of(family, c=3, d=4, seed=0):
    rng = np.random.default_rng(seed)
    mean = 2 * rng.standard_normal((c, d))
    if family == "von_mises_fisher":
        return LatentPrior(mean, family=family, concentration=[5.0, 20.0, 1.0])
    more = {"df": [3.0, 5.0, 9.0]} if family == "student_t" else {}
    if family == "laplace":
        return LatentPrior(mean, scale=rng.uniform(0.5, 2, (c, d)), family=family)
    tril = np.tril(rng.standard_normal((c, d, d)), -1) + np.eye(d) * rng.uniform(0.5, 2, (c, 1, 1))
    return LatentPrior(mean, scale_tril=tril, family=family, **more)


def draws_of(law, n=900, seed=1):
    y = np.arange(n) % law.n_classes
    z, _ = law.sample(y, np.random.default_rng(seed))
    log_probs = log_softmax(np.zeros((n, law.n_classes)), axis=1)
    return LatentSet(z, log_probs, y, class_names=NAMES[: law.n_classes], name="draws <i>")


# ---------------------------------------------------------------- directions


def test_a_direction_has_length_one():
    np.testing.assert_allclose(np.linalg.norm(Direction(U).vector), 1)
    with pytest.raises(InputError, match="has length 0"):
        Direction(np.zeros(3))


def test_axes_and_fitted_axes_are_those_of_projections():
    lat = latents(90, dim=4)
    np.testing.assert_array_equal(direction(lat, ("axis", 2)).vector, [0, 0, 1, 0])
    for kind in ("pca", "lda"):
        fitted = fit_projection(lat, method=kind).matrix
        for i in (0, 1):
            found = direction(lat, (kind, i)).vector
            np.testing.assert_allclose(found, fitted[:, i] / np.linalg.norm(fitted[:, i]))


def test_from_class_to_class():
    lat = latents(90, dim=4)
    means = np.stack([lat.z[lat.y == k].mean(0) for k in range(3)])
    found = direction(lat, ("means", 0, 2))
    gap = means[2] - means[0]
    np.testing.assert_allclose(found.vector, gap / np.linalg.norm(gap), rtol=1e-6)
    weight = np.random.default_rng(0).standard_normal((3, 4))
    found = direction(lat, ("weights", 1, 0), weight=weight)
    gap = weight[0] - weight[1]
    np.testing.assert_allclose(found.vector, gap / np.linalg.norm(gap))


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_every_direction_on_offer_is_there(dim):
    lat = latents(60, dim=dim)
    weight = np.random.default_rng(0).standard_normal((3, dim))
    offered = natural_directions(lat, weight=weight)
    assert len(offered) == (1 if dim == 1 else dim + min(dim, 3) + 2) + 6
    for spec in offered.values():
        assert direction(lat, spec, weight=weight).vector.shape == (dim,)


def test_many_classes_are_paired_with_their_neighbours_only():
    rng = np.random.default_rng(0)
    y = np.arange(80) % 20
    lat = LatentSet(rng.standard_normal((80, 2)), log_softmax(np.zeros((80, 20)), 1), y)
    assert sum(spec[0] == "means" for spec in natural_directions(lat).values()) == 19


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (("pcs", 0), "unknown direction 'pcs'; did you mean 'pca'"),
        (("axis", 4), r"axis must be followed by a number in \[0, 4\)"),
        (("pca", 3), r"pca must be followed by a number in \[0, 3\)"),
        (("means", 0), r"means must be followed by two classes in \[0, 3\)"),
        (("means", 1, 1), "has length 0"),
        (("weights", 0, 1), "needs weight="),
    ],
)
def test_directions_that_do_not_exist_are_refused(spec, message):
    with pytest.raises(InputError, match=message):
        direction(latents(dim=4), spec)


# ---------------------------------------------------------------- the law along one


@pytest.mark.parametrize("family", ["gaussian", "student_t"])
def test_the_law_is_scipys_along_any_direction(family):
    law, u = law_of(family), U / np.linalg.norm(U)
    found = marginals(draws_of(law), law, U)
    assert found.draws == 0
    for k in range(3):
        scale = np.sqrt(u @ law.dispersion[k] @ u)
        line = stats.norm(u @ law.mean[k], scale)
        if family == "student_t":
            line = stats.t(law.df[k], u @ law.mean[k], scale)
        np.testing.assert_allclose(found.law_density[k], line.pdf(found.law_x[k]))
        one_sigma = (line.ppf(stats.norm.cdf(1)) - line.ppf(stats.norm.cdf(-1))) / 2
        np.testing.assert_allclose([found.centre[k], found.scale[k]], [line.median(), one_sigma])


def test_a_laplace_law_is_exact_along_its_axes_and_drawn_elsewhere():
    law = law_of("laplace")
    lat = draws_of(law)
    found = marginals(lat, law, [0, 1, 0, 0])
    assert found.draws == 0
    line = stats.laplace(law.mean[2, 1], law.scale[2, 1])
    np.testing.assert_allclose(found.law_density[2], line.pdf(found.law_x[2]))
    expected = stats.kstest(lat.z[lat.y == 2, 1].astype(float), line.cdf).statistic
    np.testing.assert_allclose(found.distance[2], expected)
    assert marginals(lat, law, U, draws=300).draws == 300


def test_draws_stand_for_the_law_where_there_is_no_formula():
    law = law_of("gaussian")
    drawn = LatentPrior(
        law.mean, scale_tril=law.scale_tril, family="custom", density=_Gaussian(law)
    )
    lat, exact = draws_of(law), marginals(draws_of(law), law, U)
    found = marginals(lat, drawn, U, draws=40_000)
    assert (exact.draws, found.draws) == (0, 40_000)
    np.testing.assert_allclose(found.centre, exact.centre, atol=0.03)
    np.testing.assert_allclose(found.scale, exact.scale, rtol=0.02)
    np.testing.assert_allclose(found.distance, exact.distance, atol=0.01)
    at = np.interp(exact.law_x[0], found.law_x[0], found.law_density[0])
    np.testing.assert_allclose(at, exact.law_density[0], atol=0.03 * exact.law_density[0].max())
    assert (np.ptp(found.distance_interval, axis=1) > np.ptp(exact.distance_interval, axis=1)).all()


class _Gaussian:
    def __init__(self, law):
        self.law = law

    def log_prob(self, z):
        return self.law.log_prob(z)

    def sample(self, y, rng):
        return self.law.sample(y, rng)[0]


# ---------------------------------------------------------------- Q-Q and distance


def test_the_distance_and_its_p_value_are_scipys():
    law = law_of("student_t")
    lat = draws_of(law, 300)
    found = marginals(lat, law, U)
    u = U / np.linalg.norm(U)
    for k in range(3):
        line = stats.t(law.df[k], u @ law.mean[k], np.sqrt(u @ law.dispersion[k] @ u))
        expected = stats.kstest(lat.z[lat.y == k].astype(float) @ u, line.cdf, method="exact")
        np.testing.assert_allclose(found.distance[k], expected.statistic)
        np.testing.assert_allclose(found.p_value[k], expected.pvalue)
        low, high = found.distance_interval[k]
        assert low <= found.distance[k] <= high


def test_quantiles_are_order_statistics_and_lie_in_the_band_as_often_as_promised():
    law = LatentPrior([[0.0], [3.0]], scale=[[1.0], [2.0]])
    inside = []
    for seed in range(60):
        found = marginals(draws_of(law, 80, seed), law, [1.0], level=0.9)
        kept = np.isfinite(found.quantile)
        inside.append(((found.low <= found.quantile) & (found.quantile <= found.high))[kept].mean())
    np.testing.assert_allclose(np.mean(inside), 0.9, atol=0.03)
    values = np.sort(draws_of(law, 80, 59).z[1::2, 0].astype(float))
    np.testing.assert_allclose(found.quantile[1, :40], (values - 3) / 2, atol=1e-6)
    expected = stats.norm.ppf((np.arange(1, 41) - 0.5) / 40)
    np.testing.assert_allclose(found.law_quantile[1, :40], expected)
    np.testing.assert_allclose(found.high[0, 39], stats.norm.ppf(0.95 ** (1 / 40)))


@pytest.mark.parametrize(("n", "draws"), [(7, 30), (80, 200), (400, 90)])
def test_how_many_draws_lie_below_a_latent_is_beta_binomial(n, draws):
    rank = np.unique(np.linspace(1, n, 9).round().astype(int))
    low, high = _draws_below(rank, n, draws, (0.05, 0.95))
    np.testing.assert_array_equal(low, stats.betabinom.ppf(0.05, draws, rank, n + 1 - rank))
    np.testing.assert_array_equal(high, stats.betabinom.ppf(0.95, draws, rank, n + 1 - rank))


def test_a_band_from_draws_allows_for_their_noise():
    law = LatentPrior([[0.0], [3.0]], scale=[[1.0], [2.0]])
    drawn = LatentPrior(law.mean, scale=law.scale, family="custom", density=_Gaussian(law))
    inside, endless = [], []
    for seed in range(60):
        lat = draws_of(law, 80, seed)
        found = marginals(lat, drawn, [1.0], level=0.9, draws=100, seed=1000 + seed)
        kept = np.isfinite(found.quantile)
        held = (found.low <= found.quantile) & (found.quantile <= found.high)
        inside.append(held[kept].mean())
        endless.append(np.isinf(found.high[0, 39]))
    below = stats.betabinom(100, np.arange(1, 41), np.arange(40, 0, -1))
    expected = below.cdf(below.ppf(0.95)) - below.cdf(below.ppf(0.05) - 1)
    assert 0.9 < expected.mean() < 0.95
    np.testing.assert_allclose(np.mean(inside), expected.mean(), atol=0.03)
    assert all(endless)  # the largest of 40 lies above the largest of 100 in two cases of seven


def test_the_interval_of_the_distance_holds_that_of_the_laws():
    wrong = LatentPrior([[0.5], [3.0]], scale=[[1.0], [2.0]])
    true = LatentPrior([[0.0], [3.0]], scale=[[1.0], [2.0]])
    far = 2 * stats.norm.cdf(0.25) - 1  # sup |F - G| of N(0, 1) and N(0.5, 1)
    held = 0
    for seed in range(40):
        low, high = marginals(draws_of(true, 120, seed), wrong, [1.0]).distance_interval[0]
        held += low <= far <= high
    assert held >= 38


def test_a_density_integrates_to_one_and_is_the_kernel_estimate_of_scipy():
    rng = np.random.default_rng(0)
    values = np.sort(np.concatenate([rng.normal(0, 1, 300), rng.normal(4, 1, 100)]))
    x, density = kernel_density(values, size=501)
    np.testing.assert_allclose(np.trapezoid(density, x), 1, atol=0.01)
    spread = min(values.std(), np.ptp(np.quantile(values, (0.25, 0.75))) / 1.349)
    smooth = stats.gaussian_kde(values, 0.9 * spread * 400**-0.2 / values.std(ddof=1))
    np.testing.assert_allclose(density, smooth(x), atol=0.01 * density.max())


@pytest.mark.parametrize("values", [[3.0], [3.0] * 5, [0.0, 0.0, 0.0, 0.0, 1.0]])
def test_a_density_of_few_or_equal_values_is_a_peak(values):
    x, density = kernel_density(np.array(values))
    assert np.isfinite(density).all()
    assert x[0] < values[0] < x[-1]


def test_only_so_many_latents_are_looked_at():
    law = law_of("gaussian")
    lat = draws_of(law, 900)
    found = marginals(lat, law, U, max_rows=50)
    np.testing.assert_array_equal(found.count, [300] * 3)
    np.testing.assert_array_equal(found.used, [50] * 3)
    again = marginals(lat, law, U, max_rows=50)
    np.testing.assert_array_equal(found.quantile, again.quantile)


def test_a_class_without_latents_has_a_law_and_no_more():
    lat = draws_of(law_of("gaussian"), 90).take(np.arange(90) % 3 != 1)
    found = marginals(lat, law_of("gaussian"), U)
    assert np.isnan(found.distance[1])
    assert np.isnan(found.quantile[1]).all()
    assert np.isfinite(found.law_density[1]).all()
    assert len(plot_direction(found).data) == len(plot_direction(marginals(lat, None, U)).data) + 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"direction": [1.0, 0.0]}, "the direction must have 4 entries like the latents, got 2"),
        ({"prior": prior(2)}, "latents have 4 dimensions but the law has 2"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"classes": [0.9]}, r"classes must be whole numbers in \[0, 3\)"),
        ({"classes": [3]}, r"classes must be whole numbers in \[0, 3\)"),
        ({"level": 1.0}, "level must lie between 0 and 1"),
        ({"draws": 0}, "draws must be a whole number of at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    good = {"prior": prior(4), "direction": U}
    with pytest.raises(InputError, match=message):
        marginals(latents(dim=4), **good | arguments)


# ---------------------------------------------------------------- the figure


def of(fig, layer):
    return [t for t in fig.data if (t.meta or {}).get("layer") == layer]


def test_the_figure_draws_the_record():
    law = law_of("gaussian")
    found = marginals(draws_of(law), law, direction(draws_of(law), ("axis", 1)), classes=[0, 2])
    fig = plot_direction(found)
    for i, k in enumerate((0, 2)):
        line, points, band = (of(fig, name)[i] for name in ("anticipated", "quantiles", "band"))
        np.testing.assert_allclose(line.y, found.law_density[i], rtol=1e-6)
        np.testing.assert_allclose(of(fig, "empirical")[i].y, found.density[i], rtol=1e-6)
        np.testing.assert_allclose(points.y, found.quantile[i], rtol=1e-6)
        np.testing.assert_allclose(band.y[:101], found.low[i], rtol=1e-5)
        assert line.line.color == points.marker.color == style.class_color(k)
        assert f"{found.distance[i]:.2f} [" in points.hovertemplate
    (readout,) = of(fig, "readout")
    assert f"largest KS distance {found.distance.max():.2f}" in readout.text[0]
    assert fig.layout.xaxis.title.text == "u·z, latent units (u: z₂)"
    assert [a.text for a in fig.layout.annotations] == [
        "<b>draws &lt;i&gt;</b>", "<b>Q–Q against p(z|y), 95 % band</b>",
    ]  # fmt: skip
    assert "&lt;b&gt;bee&lt;/b&gt;" not in {t.name for t in fig.data}
    assert "cat &#36;x&#36;" in {t.name for t in fig.data}


def test_the_traces_and_axes_stay_while_the_latents_move():
    law = law_of("gaussian")
    frames = [marginals(draws_of(law, n), law, U) for n in (9, 90, 900)]
    ranges = direction_ranges(frames)
    specs = [direction_spec([m], ranges) for m in frames]
    assert len({tuple((t["name"], str(t["meta"])) for t in s["data"]) for s in specs}) == 1
    assert len({str(s["layout"]) for s in specs}) == 1
    inside = [ranges.x[0] <= m.x.min() and m.x.max() <= ranges.x[1] for m in frames]
    assert all(inside)


def test_runs_stand_above_one_another_on_the_same_axes():
    law = law_of("gaussian")
    found = [marginals(draws_of(law, seed=s), law, U) for s in (1, 2)]
    fig = plot_direction(found)
    assert fig.layout.xaxis.range == fig.layout.xaxis3.range
    assert {t.xaxis for t in of(fig, "quantiles")} == {"x2", "x4"}


def test_what_is_no_record_is_refused():
    law = law_of("gaussian")
    with pytest.raises(InputError, match="at least one record"):
        plot_direction([])
    both = [marginals(draws_of(law), law, U, classes=c) for c in ([0], [1])]
    with pytest.raises(InputError, match="the same classes"):
        plot_direction(both)
