from dataclasses import replace

import numpy as np
import pytest
from fake_runs import NAMES, latents, prior

from vcviz.base.errors import InputError
from vcviz.explorers import LatentExplorer
from vcviz.figures import plot_latent_panels, plot_latents, theme
from vcviz.figures.latent_panel import LatentOptions, LatentPanel
from vcviz.figures.outlines import (
    anticipated_outlines,
    count_outside,
    empirical_outlines,
    latent_ranges,
    thin,
)
from vcviz.geometry import fit_projection
from vcviz.records import LatentPrior, LatentSet, Projection


def of(fig, layer: str, k: int | None = None):
    """Traces of a layer, of one class or of all."""
    metas = [(t, t.meta or {}) for t in fig.data]
    return [t for t, m in metas if m.get("layer") == layer and k in (None, m.get("class"))]


# ---------------------------------------------------------------- points


def test_points_are_the_latents_of_each_class_in_its_colour_and_marker():
    lat = latents()
    fig = plot_latents(lat, prior())
    for k in range(3):
        (trace,) = of(fig, "points", k)
        np.testing.assert_allclose(trace.x, lat.z[lat.y == k, 0])
        np.testing.assert_allclose(trace.y, lat.z[lat.y == k, 1])
        assert trace.marker.color == theme.class_color(k)
        assert trace.marker.symbol == theme.class_symbol(k)
        np.testing.assert_array_equal(trace.customdata[:, 0], lat.index[lat.y == k])
        best = np.exp(lat.log_probs[lat.y == k].max(1))
        np.testing.assert_allclose(trace.customdata[:, 1], best)


def test_rings_mark_the_misclassified():
    lat = latents()
    fig = plot_latents(lat)
    wrong = lat.log_probs.argmax(1) != lat.y
    for k in range(3):
        (trace,) = of(fig, "points", k)
        np.testing.assert_array_equal(np.asarray(trace.marker.line.width) > 0, wrong[lat.y == k])
    assert "misclassified" in [t.name for t in of(fig, "key")]


def test_names_hovers_and_titles_are_text():
    lat = latents()
    fig = plot_latents(lat, prior(), title="<i>t</i>", hover=["<script>"] * len(lat))
    (trace,) = of(fig, "points", 1)
    assert trace.name == "&lt;b&gt;bee&lt;/b&gt;"
    assert set(trace.hovertext) == {"&lt;script&gt;"}
    assert all("<" not in text for text in trace.text)
    assert "&lt;i&gt;t&lt;/i&gt;" in fig.layout.annotations[0].text
    (outline,) = of(fig, "anticipated", 2)
    assert outline.text == ("<b>cat &#36;x&#36;</b>",)


def test_one_legend_key_per_class_toggles_all_of_it():
    fig = plot_latents(latents(), prior())
    keys = [t for t in of(fig, "key") if t.legendgroup]
    assert [t.legendgroup for t in keys] == ["class 0", "class 1", "class 2"]
    for k, key in enumerate(keys):
        mine = of(fig, "points", k) + of(fig, "empirical", k) + of(fig, "anticipated", k)
        assert {t.legendgroup for t in mine} == {key.legendgroup}
        assert not any(t.showlegend for t in mine)


def test_a_subsample_is_stratified_seeded_and_said():
    y = np.array([0] * 40 + [1] * 8 + [2] * 2)
    lat = LatentSet(
        np.random.default_rng(0).standard_normal((50, 2)), np.log(np.full((50, 3), 1 / 3)), y
    )
    fig = plot_latents(lat, max_points=20)
    assert [len(of(fig, "points", k)[0].x) for k in range(3)] == [16, 3, 1]
    assert "20 of 50 points drawn" in fig.layout.annotations[0].text
    again, other = plot_latents(lat, max_points=20), plot_latents(lat, max_points=20, seed=1)
    np.testing.assert_array_equal(of(fig, "points", 0)[0].x, of(again, "points", 0)[0].x)
    assert not np.array_equal(of(fig, "points", 0)[0].x, of(other, "points", 0)[0].x)


def test_many_points_are_drawn_by_webgl_and_few_are_not():
    lat = latents(5400)
    assert of(plot_latents(lat, max_points=6000, empirical=False), "points")[0].type == "scattergl"
    assert of(plot_latents(lat, empirical=False), "points")[0].type == "scatter"


def test_inputs_are_not_changed():
    lat, law = latents(), prior()
    before = lat.z.tobytes(), lat.log_probs.tobytes(), law.mean.tobytes()
    fig = plot_latents(lat, law)
    fig.data[0].x = np.zeros(3)
    assert (lat.z.tobytes(), lat.log_probs.tobytes(), law.mean.tobytes()) == before


# ---------------------------------------------------------------- outlines


def test_anticipated_is_solid_and_empirical_dashed_and_each_can_be_left_out():
    fig = plot_latents(latents(), prior())
    assert {t.line.dash for t in of(fig, "anticipated")} == {"solid"}
    assert {t.line.dash for t in of(fig, "empirical")} == {"4px,3px"}
    assert not of(plot_latents(latents(), prior(), anticipated=False), "anticipated")
    assert not of(plot_latents(latents(), prior(), empirical=False), "empirical")
    assert not of(plot_latents(latents()), "anticipated")


@pytest.mark.parametrize("dim", [2, 4])
def test_anticipated_outlines_hold_the_mass_of_the_projected_law(dim):
    rng = np.random.default_rng(2)
    matrix = np.linalg.qr(rng.standard_normal((dim, dim)))[0][:, :2]
    projection = Projection("pca", ("a", "b"), matrix, rng.standard_normal(dim))
    law = LatentPrior(rng.standard_normal((3, dim)), scale=0.5 + rng.random((3, dim)))
    outlines, centres = anticipated_outlines(law, projection, (0.9,), vertices=13)
    flat = law.project(projection)
    for k in range(3):
        assert len(outlines[k]) == 13
        r = np.linalg.norm(flat.whiten(outlines[k], np.full(13, k)), axis=1)
        np.testing.assert_allclose(r, flat.mass_radius(0.9)[0])
        np.testing.assert_allclose(centres[k], flat.mean[k])


def test_a_law_under_a_map_that_is_not_linear_is_outlined_by_draws():
    bent = Projection("umap", ("a", "b"), embed=lambda z: np.stack([z[:, 0], z[:, 1] ** 2], 1))
    outlines, _ = anticipated_outlines(prior(), bent, (0.9,), seed=4)
    again, _ = anticipated_outlines(prior(), bent, (0.9,), seed=4)
    # Class 0 is at (5, 0): the square of its second coordinate starts at 0 and is rarely above 4.
    x, y = outlines[0][~np.isnan(outlines[0]).any(1)].T
    assert 2 < x.min() < 4 < 6 < x.max() < 9
    assert -1.5 < y.min() < 0.5
    assert 1 < y.max() < 6
    np.testing.assert_array_equal(outlines[0], again[0])


def test_empirical_outlines_surround_their_points():
    lat = latents(300)
    outlines, centres = empirical_outlines(lat.z[:, :2].astype(float), lat, (0.9,), vertices=20)
    for k in range(3):
        np.testing.assert_allclose(centres[k], lat.z[lat.y == k].mean(0), rtol=1e-5)
        r = np.linalg.norm(outlines[k] - centres[k], axis=1)
        assert 1.2 < np.nanmean(r) < 3.2  # a unit normal has its 90 % region at 2.15


def test_a_cross_and_the_name_stand_at_the_law():
    fig = plot_latents(latents(), prior(), empirical=False, mass=(0.9,))
    (trace,) = of(fig, "anticipated", 0)
    xy = np.stack([trace.x, trace.y], axis=1)
    np.testing.assert_allclose(xy[0], [5.0, 2.146], atol=0.06)  # the top of the outline: the name
    np.testing.assert_allclose((xy[2] + xy[3]) / 2, [5.0, 0.0], atol=1e-5)  # the cross
    np.testing.assert_allclose((xy[5] + xy[6]) / 2, [5.0, 0.0], atol=1e-5)


def test_thin_keeps_the_ends_and_the_shape():
    t = np.linspace(0, 2 * np.pi, 400)
    circle = np.stack([np.cos(t), np.sin(t)], axis=1)
    few = thin(circle, 13)
    assert len(few) == 13
    np.testing.assert_allclose(few[[0, -1]], circle[[0, -1]], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(few, axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(
        np.diff(np.unwrap(np.arctan2(few[:, 1], few[:, 0]))), np.pi / 6, atol=0.01
    )
    assert thin(circle, None) is circle


# ---------------------------------------------------------------- axes


def test_axis_titles_come_from_the_projection_and_scales_are_equal():
    matrix = np.zeros((4, 2))
    matrix[3, 0] = matrix[1, 1] = 1
    projection = Projection("pair", ("latent dimension 4", "<2>"), matrix)
    lat = latents(dim=4)
    fig = plot_latents(lat, projection=projection)
    assert fig.layout.xaxis.title.text == "latent dimension 4"
    assert fig.layout.yaxis.title.text == "&lt;2&gt;"
    assert fig.layout.yaxis.scaleanchor == "x"
    np.testing.assert_allclose(of(fig, "points", 0)[0].x, lat.z[lat.y == 0, 3])


def test_ranges_show_the_bulk_and_the_law_but_not_outliers():
    points = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
    points[0] = 1000
    (x0, x1), (y0, y1) = latent_ranges(points)
    assert x1 - x0 == pytest.approx(y1 - y0)
    assert 1.9 < x1 - x0 < 2.4
    assert count_outside(points, ((x0, x1), (y0, y1))) == 1
    near = LatentPrior([[1.5, 0.0]], scale=[[0.1, 0.1]], log_weight=[0.0])
    assert latent_ranges(points, near)[0][1] > 1.5 + 0.1 * 2.146
    far = LatentPrior([[500.0, 0.0]], scale=[[0.1, 0.1]], log_weight=[0.0])
    # One width of the points (2) beyond them (1), and the margin.
    assert 3 < latent_ranges(points, far)[0][1] < 3.3


def test_points_outside_the_axes_are_counted_on_the_figure():
    lat = latents(400)
    z = lat.z.copy()
    z[0] = 99
    out = LatentSet(z, lat.log_probs, lat.y, class_names=NAMES)
    fig = plot_latents(out)
    hidden = count_outside(z, (fig.layout.xaxis.range, fig.layout.yaxis.range))
    assert 1 <= hidden <= 9
    assert f"{hidden} point" in fig.layout.annotations[0].text


def test_default_projection_is_the_plane_itself_or_principal_components():
    assert plot_latents(latents()).layout.xaxis.title.text == "z₁"
    assert "PC 1" in plot_latents(latents(dim=4), prior(4)).layout.xaxis.title.text


# ---------------------------------------------------------------- side by side


def test_panels_have_their_own_axes_titles_and_fits():
    kl = [np.array([1.0, 2.0, 3.0]), np.array([10.0, np.nan, 30.0])]
    panels = [
        LatentPanel(latents(seed=i), prior(), title=f"run {i}", subtitle="law", fit=kl[i],
                    ranges=((-9, 9), (-9.0, 9.0)))
        for i in range(2)
    ]  # fmt: skip
    fig = plot_latent_panels(panels)
    headings = [a.text for a in fig.layout.annotations]
    assert ["run 0" in headings[0], "run 1" in headings[1], "law" in headings[0]] == [True] * 3
    for i, trace in enumerate(of(fig, "fit")):
        np.testing.assert_allclose(trace.y, kl[i], rtol=1e-6)
        assert fig.layout[trace.yaxis.replace("y", "yaxis")].type == "log"
    assert fig.layout[of(fig, "fit")[1].yaxis.replace("y", "yaxis")].title.text is None
    assert "nats" in fig.layout[of(fig, "fit")[0].yaxis.replace("y", "yaxis")].title.text
    told = [t.text[0] for t in of(fig, "readout")]
    assert f"mean KL 2 nats, N = {len(latents())}" in told[0]
    assert "mean KL 20 nats" in told[1]
    assert fig.layout.xaxis.range == (-9, 9)


def test_an_infinite_or_missing_fit_does_not_break_the_axis():
    panel = LatentPanel(latents(), prior(), fit=np.array([np.inf, np.nan, 0.0]))
    fig = plot_latent_panels([panel])
    assert np.isfinite(fig.layout[of(fig, "fit")[0].yaxis.replace("y", "yaxis")].range).all()


def test_more_panels_than_columns_go_into_rows():
    fig = plot_latent_panels(
        [LatentPanel(latents(seed=i)) for i in range(3)], LatentOptions(columns=2)
    )
    assert fig.layout.xaxis3.domain[0] == fig.layout.xaxis.domain[0]
    assert fig.layout.yaxis3.domain[1] < fig.layout.yaxis.domain[0]
    assert fig.layout.height > plot_latent_panels([LatentPanel(latents())] * 2).layout.height


def test_compact_figures_carry_less_and_change_only_traces():
    lat = latents()
    panels = [LatentPanel(lat, prior(), ranges=((-9, 9), (-9, 9)))]
    fig = plot_latent_panels(panels, LatentOptions(compact=True))
    assert of(fig, "points", 0)[0].text is None
    assert of(fig, "anticipated", 0)[0].line.shape == "spline"
    assert "accuracy" in of(fig, "readout")[0].text[0]
    later = LatentPanel(latents(seed=5), prior(), title=lat.name, ranges=((-9, 9), (-9, 9)))
    assert plot_latent_panels([later], LatentOptions(compact=True)).layout == fig.layout


def test_only_chosen_classes_are_drawn():
    fig = plot_latents(latents(), prior(), classes=[2, 0])
    assert [t.meta["class"] for t in of(fig, "points")] == [0, 2]
    assert [t.meta["class"] for t in of(fig, "anticipated")] == [0, 2]
    assert len([t for t in of(fig, "key") if t.legendgroup]) == 2


def test_one_share_needs_no_list():
    one, listed = (plot_latents(latents(), prior(), mass=mass) for mass in (0.9, [0.9]))
    assert one.to_plotly_json() == listed.to_plotly_json()


# ---------------------------------------------------------------- errors


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError, match="at least one set of latents"):
        plot_latent_panels([])
    with pytest.raises(InputError, match=r"numbers in \[0, 3\), at least one; got \[3\]"):
        plot_latents(latents(), classes=[3])
    for odd in ([0.9], ["a"], 1, "ab"):
        with pytest.raises(InputError, match=r"classes must be whole numbers in \[0, 3\)"):
            plot_latents(latents(), classes=odd)
    for odd in ("x", [], 1.5, [0.5, "a"]):
        with pytest.raises(InputError, match="mass must hold shares between 0 and 1"):
            plot_latents(latents(), mass=odd)
    with pytest.raises(InputError, match="projection must be a Projection, got str; see"):
        plot_latents(latents(), projection="pca")
    with pytest.raises(InputError, match="prior must be a LatentPrior, got str; of a run it is"):
        plot_latents(latents(), "law")
    for odd in (-1, 1.5, "x"):
        with pytest.raises(InputError, match="max_points must be a whole number of at least 0"):
            plot_latents(latents(), max_points=odd)
    with pytest.raises(InputError, match="columns must be a whole number of at least 1, got 0"):
        plot_latent_panels([LatentPanel(latents())], LatentOptions(columns=0))
    with pytest.raises(InputError, match=r"at least one; got \[\]"):
        plot_latents(latents(), classes=[])
    with pytest.raises(InputError, match="hover texts must have 46 entries, one per row, got 1"):
        plot_latents(latents(), hover=["a"])
    four = LatentPrior(np.zeros((4, 2)), scale=np.ones((4, 2)))
    with pytest.raises(InputError, match="the prior must have 3 classes like the latents, got 4"):
        plot_latents(latents(), four)
    other = LatentSet(np.zeros((3, 2)), np.log(np.full((3, 3), 1 / 3)), [0, 1, 2])
    with pytest.raises(InputError, match="must have the same classes: 'latents' and 'b' differ"):
        plot_latent_panels([LatentPanel(latents()), LatentPanel(other, title="b")])


def test_a_compact_figure_has_the_same_traces_when_nothing_is_misclassified():
    lat = latents()
    right = LatentSet(lat.z, np.log(0.98 * np.eye(3)[lat.y] + 0.02 / 3), lat.y, class_names=NAMES)
    some, none = (
        plot_latent_panels([LatentPanel(x)], LatentOptions(compact=True)) for x in (lat, right)
    )
    assert [t.name for t in some.data] == [t.name for t in none.data]


def test_long_class_names_stand_in_the_legend_alone():
    fig = plot_latent_panels([LatentPanel(latents(), prior(), fit=np.array([1.0, 2.0, 3.0]))])
    assert fig.layout.xaxis2.ticktext == ("ant", "&lt;b&gt;bee&lt;/b&gt;", "cat &#36;x&#36;")
    lat = latents()
    long = LatentSet(lat.z, lat.log_probs, lat.y, class_names=("a" * 20, "b" * 20, "c"))
    fig = plot_latent_panels([LatentPanel(long, prior(), fit=np.array([1.0, 2.0, 3.0]))])
    assert fig.layout.xaxis2.showticklabels is False
    assert fig.layout.xaxis2.title.text == "class, in the order of the legend"


def test_four_panels_stand_two_by_two():
    fig = plot_latent_panels([LatentPanel(latents(seed=i)) for i in range(4)])
    assert len({fig.layout[f"xaxis{i}"].domain for i in ("", 2, 3, 4)}) == 2
    assert len({fig.layout[f"yaxis{i}"].domain for i in ("", 2, 3, 4)}) == 2


@pytest.mark.parametrize("method", ["pca", "lda"])
@pytest.mark.parametrize(
    "law",
    [
        LatentPrior(5.0 * np.eye(3, 4), scale=1.0, family="student_t", df=[1.5, 3, 9]),
        LatentPrior(5.0 * np.eye(3, 4), scale=1.0, family="laplace"),
        LatentPrior(np.eye(3, 4), family="von_mises_fisher", concentration=20.0),
    ],
    ids=lambda law: law.family,
)
def test_any_family_is_drawn_in_any_projection(law, method):
    lat = latents(dim=4)
    projection = fit_projection(lat, method=method, prior=law)
    fig = plot_latents(lat, law, projection=projection, mass=(0.9,))
    lines = of(fig, "anticipated")
    assert len(lines) == 3
    z, y = law.sample(np.repeat(np.arange(3), 4000), np.random.default_rng(0))
    points = projection(z)
    for k, line in enumerate(lines):
        x, y_ = (np.asarray(v, float) for v in (line.x, line.y))
        width = np.ptp(np.quantile(points[y == k, 0], [0.02, 0.98]))
        assert np.nanmax(x) - np.nanmin(x) == pytest.approx(width, rel=0.35)
        assert np.isfinite(y_[~np.isnan(y_)]).all()
    explorer = LatentExplorer((lat, law))
    assert explorer.figure().data


def test_points_without_a_value_are_grey_and_the_scale_ends_at_0():
    found = latents()
    ink = np.linspace(0, 8, len(found))
    ink[3] = np.nan
    lat = replace(found, table={"ink": ink})
    fig = plot_latents(lat, color="own:ink")
    (trace,) = of(fig, "points", int(lat.y[3]))
    place = np.flatnonzero(lat.y == lat.y[3]).tolist().index(3)
    assert trace.marker.color[place].upper() == theme.NEUTRAL.upper()
    others = [c for i, c in enumerate(trace.marker.color) if i != place]
    assert theme.NEUTRAL.upper() not in [c.upper() for c in others]
    tiny = replace(found, table={"ink": np.r_[np.full(len(found) - 1, 1e-9), 1.0]})
    words = [a.text for a in plot_latents(tiny, color="own:ink").layout.annotations]
    assert "0" in words
