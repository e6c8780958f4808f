"""Planes through latents: the grid, any classifier on it, and the pictures of its regions."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from fake_runs import NAMES, latents
from PIL import Image
from scipy.special import log_softmax
from torch import nn

from vcviz.base.errors import InputError
from vcviz.figures import plot_regions
from vcviz.figures import theme as style
from vcviz.figures.regions import region_pixels
from vcviz.geometry import fit_projection
from vcviz.geometry.projections import plane_latents
from vcviz.latents.planes import latent_log_probs, plane_log_probs
from vcviz.models.classifier import Classifier
from vcviz.models.heads import build_head
from vcviz.records import LatentPlane, Projection


def of(fig, layer):
    return [t for t in fig.data if (t.meta or {}).get("layer") == layer]


def plane(rows=4, columns=6, c=3, seed=0, **more):
    rng = np.random.default_rng(seed)
    log_probs = log_softmax(3 * rng.standard_normal((rows, columns, c)), axis=2)
    return LatentPlane(log_probs, np.linspace(-1, 1, columns), np.linspace(0, 3, rows), **more)


# ---------------------------------------------------------------- the grid


@pytest.mark.parametrize("method", ["pair", "pca", "lda"])
@pytest.mark.parametrize("dim", [2, 3, 5])
def test_projecting_the_plane_gives_the_grid_back(method, dim):
    lat = latents(dim=dim)
    projection = fit_projection(lat, method=method)
    x, y = np.linspace(-2, 3, 4), np.linspace(0, 1, 3)
    z = plane_latents(projection, x, y, through=lat.z[7])
    assert z.shape == (12, dim)
    back = projection(z).reshape(3, 4, 2)
    np.testing.assert_allclose(back[..., 0], np.tile(x, (3, 1)), atol=1e-5)
    np.testing.assert_allclose(back[..., 1], np.tile(y[:, None], (1, 4)), atol=1e-5)


@pytest.mark.parametrize("method", ["pca", "lda"])
def test_the_plane_goes_through_the_latent(method):
    lat = latents(dim=5)
    projection = fit_projection(lat, method=method)
    ((x, y),) = projection(lat.z[3:4])
    z = plane_latents(projection, [x], [y], through=lat.z[3])
    np.testing.assert_allclose(z[0], lat.z[3], atol=1e-5)


def test_a_plane_needs_a_linear_map_to_two_axes():
    umap = Projection("umap", ("a", "b"), embed=lambda z: z[:, :2])
    with pytest.raises(InputError, match="linear map to two axes, got 'umap'"):
        plane_latents(umap, [0.0], [0.0], through=np.zeros(2))
    line = fit_projection(latents(dim=1), method="pair")
    with pytest.raises(InputError, match="at least 2 dimensions"):
        plane_latents(line, [0.0], [0.0], through=np.zeros(1))


# ---------------------------------------------------------------- any classifier on it


@pytest.mark.parametrize("head", ["softmax", "variational", "dropmax"])
def test_a_head_says_of_the_plane_what_it_says_of_latents(head):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Classifier(nn.Linear(4, 5), build_head(head, latent_dim=5, n_classes=3))
    lat = latents(dim=5)
    found = plane_log_probs(model, lat, size=9, name="mine")
    assert (found.name, found.class_names, found.labels) == (
        "mine", NAMES, found.projection.labels,
    )  # fmt: skip
    assert found.log_probs.shape == (9, 9, 3)
    z = plane_latents(found.projection, found.x, found.y, through=lat.z.mean(0))
    expected = model.head.log_probs(torch.tensor(z, dtype=torch.float32)).detach()
    np.testing.assert_allclose(found.log_probs.reshape(-1, 3), expected, atol=1e-5)
    np.testing.assert_allclose(np.ptp(found.x), np.ptp(found.y))


def test_the_last_layer_of_any_module_is_asked():
    model = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 3)).double()
    z = latents().z
    expected = model[2](torch.tensor(z, dtype=torch.float64)).log_softmax(1).detach()
    np.testing.assert_allclose(latent_log_probs(model, z), expected, atol=1e-5)


def test_many_latents_are_asked_in_parts(monkeypatch):
    monkeypatch.setattr("vcviz.latents.planes._ROWS", 10)
    model = Classifier(nn.Linear(4, 2), build_head("softmax", latent_dim=2, n_classes=3))
    z = latents().z
    np.testing.assert_allclose(
        latent_log_probs(model, z), model.head.log_probs(torch.tensor(z)).detach(), atol=1e-6
    )


def test_a_head_that_draws_is_asked_with_the_seed():
    head = build_head("dropmax", latent_dim=2, n_classes=3, predict="monte_carlo", predict_draws=3)
    model = Classifier(nn.Linear(4, 2), head)
    z = latents().z
    np.testing.assert_array_equal(latent_log_probs(model, z), latent_log_probs(model, z))
    assert (latent_log_probs(model, z) != latent_log_probs(model, z, seed=1)).any()


# ---------------------------------------------------------------- the picture


def test_a_pixel_has_the_colour_of_its_class_and_the_strength_of_its_confidence():
    sure = np.log([[[0.98, 0.01, 0.01], [0.3, 0.4, 0.3]]])
    pixels = region_pixels(sure)
    colors = ["#{:02X}{:02X}{:02X}".format(*pixel[:3]) for pixel in pixels[0]]
    assert colors == [style.class_color(0), style.class_color(1)]
    assert pixels[0, 0, 3] > 4 * pixels[0, 1, 3] > 0
    everything = region_pixels(log_softmax(np.random.default_rng(0).normal(size=(50, 50, 3)), 2))
    assert len(np.unique(everything[..., 3])) <= 9


def test_the_picture_lies_where_the_grid_does():
    record = plane()
    (image,) = of(plot_regions(record), "regions")
    assert (image.x0, image.y0) == (-1, 0)
    np.testing.assert_allclose([image.dx, image.dy], [0.4, 1.0])
    data = base64.b64decode(image.source.removeprefix("data:image/png;base64,"))
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(pixels, region_pixels(record.log_probs))  # row 0 is y[0]


def test_latents_lie_on_top_in_their_colours_and_few_enough():
    lat = latents(300, dim=4)
    projection = fit_projection(lat, method="pca")
    fig = plot_regions(plane(latents=lat, projection=projection), max_points=60)
    points = of(fig, "points")
    assert [t.marker.color for t in points] == [style.class_color(k) for k in range(3)]
    assert 55 <= sum(len(t.x) for t in points) <= 60
    assert fig.layout.xaxis.title.text == projection.labels[0]
    assert fig.layout.yaxis.range == (0, 3)
    assert "&lt;b&gt;bee&lt;/b&gt;" in {t.name for t in points}
    assert f"accuracy {lat.accuracy:.3f}" in fig.layout.annotations[0].text


def test_the_payload_does_not_grow_with_the_latents():
    def size(n):
        lat = latents(n)
        record = plane(latents=lat, projection=fit_projection(lat))
        return len(plot_regions(record, max_points=30).to_json())

    assert size(3000) < 1.1 * size(300)


def test_labels_of_the_axes_are_text():
    good = plane()
    named = LatentPlane(good.log_probs, good.x, good.y, labels=("<b>x</b>", "$y$"))
    axes = plot_regions(named).layout
    assert axes.xaxis.title.text == style.escape("<b>x</b>", 60) != "<b>x</b>"
    assert axes.yaxis.title.text == style.escape("$y$", 60)


def test_planes_stand_side_by_side():
    fig = plot_regions([plane(name="a"), plane(seed=1, name="b")])
    assert [a.text for a in fig.layout.annotations] == ["<b>a</b>", "<b>b</b>"]
    assert [t.xaxis for t in of(fig, "regions")] == ["x", "x2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log_probs": np.zeros((4, 6))}, r"log_probs must have shape \(4, 6, C\)"),
        ({"log_probs": np.zeros((4, 6, 3))}, "must sum to 1 after exp"),
        ({"x": [0, 1, 3, 4, 5, 6]}, "x must hold at least 2 values that rise in equal steps"),
        ({"y": [3, 2, 1, 0]}, "y must hold"),
        ({"latents": latents()}, "latents and projection belong together"),
        ({"class_names": ("a", "b")}, "class_names must have 3 entries"),
    ],
)
def test_planes_that_do_not_fit_are_refused(change, message):
    good = plane()
    fields = {"log_probs": good.log_probs, "x": good.x, "y": good.y} | change
    with pytest.raises(InputError, match=message):
        LatentPlane(**fields)


def test_what_is_no_plane_is_refused():
    with pytest.raises(InputError, match="at least one record"):
        plot_regions([])
    with pytest.raises(InputError, match="the same classes"):
        plot_regions([plane(), plane(c=2)])
    with pytest.raises(InputError, match="columns must be a whole number of at least 1, got 0"):
        plot_regions(plane(), columns=0)
    for seed in (-1, 1.5, "x"):
        with pytest.raises(InputError, match="seed must be a whole number of at least 0, got"):
            latent_log_probs(nn.Linear(2, 3), latents().z, seed=seed)
    for size in (1, 2.5, "9"):
        with pytest.raises(InputError, match="size must be a whole number of at least 2, got"):
            plane_log_probs(nn.Linear(2, 3), latents(), size=size)
