"""Latents in three dimensions: ellipsoids of the promised mass, and what is drawn of them."""

from __future__ import annotations

import numpy as np
import pytest
from fake_runs import latents, prior
from scipy.spatial import Delaunay

from vcviz.base.errors import InputError
from vcviz.figures import plot_latents_3d
from vcviz.figures import theme as style
from vcviz.geometry import fit_projection
from vcviz.geometry.ellipsoids import Ellipsoid, empirical_ellipsoids, law_ellipsoids
from vcviz.records import LatentPrior


def law_of(family, d=5, seed=0):
    rng = np.random.default_rng(seed)
    mean = 3 * rng.standard_normal((2, d))
    if family == "laplace":
        return LatentPrior(mean, scale=rng.uniform(0.5, 2, (2, d)), family=family)
    tril = np.tril(rng.standard_normal((2, d, d)), -1) + np.eye(d)
    more = {"df": [4.0, 9.0]} if family == "student_t" else {}
    return LatentPrior(mean, scale_tril=tril, family=family, **more)


def inside(one, points):
    return np.linalg.norm(np.linalg.solve(one.axes, (points - one.centre).T), axis=0) <= 1


def of(fig, layer):
    return [t for t in fig.data if (t.meta or {}).get("layer") == layer]


@pytest.mark.parametrize("family", ["gaussian", "student_t", "laplace"])
@pytest.mark.parametrize("mass", [0.5, 0.9])
def test_the_ellipsoid_of_a_law_holds_its_mass(family, mass):
    law = law_of(family)
    projection = fit_projection(latents(90, dim=5), method="pca", n_components=3)
    y = np.repeat([0, 1], 20_000)
    z, _ = law.sample(y, np.random.default_rng(1))
    points = projection(z)
    for one in law_ellipsoids(law, projection, mass, draws=20_000):
        share = inside(one, points[y == one.label]).mean()
        np.testing.assert_allclose(share, mass, atol=0.012)


def test_the_ellipsoid_of_points_holds_the_mass_of_them():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((200, 3)) @ np.diag([1, 3, 0.2]) + [1, 2, 3]
    (one,) = empirical_ellipsoids(points, np.ones(200, int), 2, 0.8)
    assert one.label == 1
    assert inside(one, points).mean() == 0.8
    np.testing.assert_allclose(one.centre, points.mean(0))
    assert empirical_ellipsoids(points[:4], np.zeros(4, int), 1) == []


def test_the_wire_lies_on_the_surface():
    one = Ellipsoid(0, np.array([1.0, 2, 3]), np.diag([3.0, 2.0, 0.5]))
    wire = one.wire()
    rows = wire[np.isfinite(wire).all(1)]
    np.testing.assert_allclose(np.linalg.norm((rows - one.centre) / [3, 2, 0.5], axis=1), 1)
    np.testing.assert_allclose(np.ptp(rows, axis=0), [6, 4, 1])
    assert Delaunay(rows).find_simplex(one.centre) >= 0
    assert np.isnan(wire).any(1).sum() == 6


def test_the_surface_is_closed_and_lies_outside_what_it_holds():
    one = Ellipsoid(0, np.array([1.0, 2, 3]), np.diag([3.0, 2.0, 0.5]))
    points, triangles = one.surface()
    np.testing.assert_allclose(np.linalg.norm((points - one.centre) / [3, 2, 0.5], axis=1), 1)
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_flat_points_have_a_flat_ellipsoid():
    points = np.random.default_rng(0).standard_normal((50, 3)) * [1, 1, 0]
    (one,) = empirical_ellipsoids(points, np.zeros(50, int), 1)
    assert np.isfinite(one.axes).all()
    assert np.ptp(one.wire()[:30, 2]) < 0.01


def test_the_figure_has_points_wires_and_rings():
    lat = latents(90, dim=3)
    fig = plot_latents_3d(lat, prior(3), classes=[0, 2], empirical=True)
    for k, trace in zip((0, 2), of(fig, "points"), strict=True):
        np.testing.assert_allclose(np.column_stack([trace.x, trace.y, trace.z]), lat.z[lat.y == k])
        assert trace.marker.color == style.class_color(k)
    solid, hulls = of(fig, "anticipated"), of(fig, "empirical")
    assert [t.color for t in hulls] == [style.class_color(k) for k in (0, 2)]
    assert [t.type for t in hulls] == ["mesh3d"] * 2
    radius = prior(3).mass_radius(0.9)[0]
    np.testing.assert_allclose(np.nanmax(solid[1].x) - np.nanmin(solid[1].x), 2 * radius, rtol=1e-4)
    (rings,) = of(fig, "misclassified")
    shown = np.isin(lat.y, [0, 2])
    assert len(rings.x) == (lat.log_probs.argmax(1) != lat.y)[shown].sum()
    assert [t.name for t in of(fig, "key")] == ["90 % of p(z|y)", "90 % of q(z|y)"]
    assert fig.layout.scene.xaxis.title.text == "z₁"


def test_many_points_are_sampled_and_it_says_so():
    fig = plot_latents_3d(latents(900, dim=4), max_points=60)
    drawn = sum(len(t.x) for t in of(fig, "points"))
    assert drawn == 60
    assert "60 of 900 points drawn" in fig.layout.title.text
    assert fig.layout.scene.zaxis.title.text.startswith("PC 3")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_latents_3d(latents()), "more than the latents have"),
        (
            lambda: plot_latents_3d(latents(dim=3), projection=fit_projection(latents(dim=3))),
            "projection must have three axes, got 2",
        ),
        (lambda: law_ellipsoids(prior(3), fit_projection(latents(dim=3))), "map to three axes"),
        (lambda: empirical_ellipsoids(np.zeros((9, 2)), np.zeros(9), 1), r"shape \(N, 3\)"),
        (lambda: empirical_ellipsoids(np.zeros((9, 3)), np.zeros(9), 1, 1.0), "mass must lie"),
    ],
)
def test_what_has_no_three_dimensions_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
