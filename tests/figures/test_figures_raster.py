"""Points as a picture: every one is counted, every colour is its class's, and N does not matter."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.raster import raster_picture, raster_pixels
from vcviz.geometry.binned import Cloud

WINDOW = ((-2.0, 4.0), (-1.0, 2.0))
SIZE = (12, 9)


def cloud(n=500, seed=0):
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(-3, 5, n), rng.uniform(-2, 3, n)]).astype(np.float32)
    return points, rng.integers(0, 3, n)


def colors(n=3):
    return np.array([style.rgb(style.class_color(k)) for k in range(n)], float)


def decoded(source):
    data = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


# ---------------------------------------------------------------- counts


@pytest.mark.parametrize("classes", [[0, 1, 2], [2, 0], [1], []])
@pytest.mark.parametrize("block", [64, 1 << 18])
def test_cells_hold_what_histogram2d_counts(classes, block, monkeypatch):
    monkeypatch.setattr("vcviz.geometry.binned._BLOCK", block)
    points, y = cloud()
    found = Cloud(points, y, 3).binned(classes, WINDOW, SIZE, np.eye(3))
    expected = np.stack(
        [
            np.histogram2d(*points[y == k].T[::-1], bins=SIZE[::-1], range=WINDOW[::-1])[0]
            * (k in classes)
            for k in range(3)
        ],
        axis=2,
    )
    np.testing.assert_array_equal(found.total, expected.sum(2))
    np.testing.assert_allclose(found.mean * found.total[..., None], expected, atol=1e-9)
    np.testing.assert_array_equal(found.counts, expected.sum((0, 1)))


def test_the_far_edge_belongs_to_the_next_window():
    points = np.array([[0, 0], [1, 0.5], [0.5, 1], [np.nextafter(np.float32(1), 0)] * 2])
    found = Cloud(points, [0, 0, 0, 1], 2).binned([0, 1], ((0, 1), (0, 1)), (3, 3), np.eye(2))
    np.testing.assert_array_equal(found.counts, [1, 1])
    assert found.total[0, 0] == found.total[2, 2] == 1


def test_a_window_may_be_given_from_right_to_left():
    made = Cloud(*cloud(), 3)
    turned = tuple(ends[::-1] for ends in WINDOW)
    one, other = (raster_picture(made, [0, 1], window, SIZE) for window in (turned, WINDOW))
    assert one.trace == other.trace


@pytest.mark.parametrize("block", [64, 1 << 18])
def test_rows_in_view_are_those_in_the_window(block, monkeypatch):
    monkeypatch.setattr("vcviz.geometry.binned._BLOCK", block)
    points, y = cloud()
    made = Cloud(points, y, 3)
    (x0, x1), (y0, y1) = WINDOW
    x, v = points.T
    inside = (x >= x0) & (x < x1) & (v >= y0) & (v < y1)
    expected = np.flatnonzero(inside)
    np.testing.assert_array_equal(made.in_view(WINDOW, len(expected)), expected)
    assert made.in_view(WINDOW, len(expected) - 1) is None
    found = made.in_view(WINDOW, 400, [2])
    np.testing.assert_array_equal(found, np.flatnonzero(inside & (y == 2)))
    assert len(made.in_view(WINDOW, 10, [])) == 0


# ---------------------------------------------------------------- looks


def test_a_lone_point_is_a_dot_in_the_colour_of_its_class():
    made = Cloud([[0.55, 0.25]], [1], 3).binned([1], ((0, 1), (0, 1)), (10, 10), colors())
    pixels = raster_pixels(made)
    dot = {(2, 5), (1, 5), (3, 5), (2, 4), (2, 6)}
    assert set(zip(*map(tuple, np.nonzero(pixels[..., 3])), strict=True)) == dot
    for i, j in dot:
        np.testing.assert_array_equal(pixels[i, j], [*colors()[1], 128])  # half of 255


def test_dots_at_the_edges_stay_within_the_picture():
    points = [[0.05, 0.05], [0.95, 0.95]]
    made = Cloud(points, [0, 0], 1).binned([0], ((0, 1), (0, 1)), (10, 10), colors(1))
    assert np.count_nonzero(raster_pixels(made)[..., 3]) == 6


def test_more_points_are_stronger_and_mixed_classes_mix():
    points = np.repeat([[0.5, 0.5], [2.5, 0.5], [4.5, 0.5]], [1, 10, 100], axis=0)
    y = np.repeat([0, 0, 0, 1], [1, 10, 25, 75])
    made = Cloud(points, y, 2).binned([0, 1], ((0, 5), (0, 1)), (5, 1), colors(2))
    pixels = raster_pixels(made)[0, ::2]
    np.testing.assert_array_equal(pixels[:, 3], [128, 191, 255])  # equal steps a decade
    np.testing.assert_allclose(pixels[2, :3], 0.25 * colors()[0] + 0.75 * colors()[1], atol=1)


def test_the_picture_shows_the_pixels_where_the_window_is():
    points, y = cloud(40)
    made = Cloud(points, y, 3)
    trace = raster_picture(made, [0, 1, 2], WINDOW, (60, 30)).trace
    shown = decoded(trace["source"])
    exact = raster_pixels(made.binned([0, 1, 2], WINDOW, (60, 30), colors()))
    assert shown.shape == (30, 60, 4)
    np.testing.assert_array_equal(shown[..., 3] == 0, exact[..., 3] == 0)
    assert np.abs(shown[exact[..., 3] > 0].astype(int) - exact[exact[..., 3] > 0]).max() < 30
    assert (trace["type"], trace["meta"]) == ("image", {"layer": "raster"})
    np.testing.assert_allclose([trace["dx"], trace["dy"]], [0.1, 0.1])
    # The centre of the first pixel is half a pixel from the corner.
    np.testing.assert_allclose([trace["x0"], trace["y0"]], [-1.95, -0.95])


def test_the_note_says_what_is_shown():
    points, y = cloud(2000)
    made = Cloud(points, y, 3)
    everything = raster_picture(made, [0, 1, 2], ((-9, 9), (-9, 9)), SIZE)
    assert everything.note.startswith("2,000 points as a picture: ")
    n, of = len(made.in_view(WINDOW, 2000, [1])), int((y == 1).sum())
    part = raster_picture(made, [1], WINDOW, SIZE)
    assert part.note.startswith(f"{n:,} of {of:,} points in view as a picture: ")


def test_the_payload_does_not_grow_with_the_points():
    rng = np.random.default_rng(0)
    for n in (1000, 300_000):
        points = rng.standard_normal((n, 2))
        made = Cloud(points, rng.integers(0, 10, n), 10)
        picture = raster_picture(made, range(10), ((-3, 3), (-3, 3)), (500, 500))
        assert len(picture.trace["source"]) < 210_000
        assert len(made) == n


def test_a_picture_of_nothing_is_transparent():
    picture = raster_picture(Cloud(*cloud(), 3), [], WINDOW, SIZE)
    assert (picture.shown, picture.n) == (0, 0)
    assert decoded(picture.trace["source"])[..., 3].max() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: raster_picture(r, [3], WINDOW, SIZE), r"classes must lie in \[0, 3\)"),
        (lambda r: raster_picture(r, [0], ((0, 0), (0, 1)), SIZE), "ends that differ"),
        (lambda r: raster_picture(r, [0], (0, 1), SIZE), "window must have 2 axes"),
        (lambda r: raster_picture(r, [0], WINDOW, (0, 3)), "size must be a whole number"),
        (lambda r: Cloud(np.zeros((4, 3)), np.zeros(4), 3), r"points must have shape \(N, 2\)"),
        (lambda r: Cloud(np.zeros((4, 2)), [0, 1], 3), r"y must have shape \(4,\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(Cloud(*cloud(), 3))
