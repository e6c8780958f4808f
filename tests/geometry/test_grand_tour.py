"""The grand tour: orthonormal, continuous, at constant speed, exact for laws."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from fake_runs import latents, prior
from scipy.linalg import subspace_angles

from vcviz.base.errors import InputError
from vcviz.geometry import fit_projection
from vcviz.geometry.grand_tour import geodesic, grand_tour, tour_ranges
from vcviz.records import Projection


@pytest.mark.parametrize("dim", [2, 3, 6])
def test_every_frame_is_orthonormal_and_so_exact_for_laws(dim):
    frames = grand_tour(latents(60, dim=dim), 80)
    assert len(frames) == 80
    for frame in frames:
        np.testing.assert_allclose(frame.matrix.T @ frame.matrix, np.eye(2), atol=1e-9)
        assert prior(dim).keeps(frame)
    projected = prior(dim).project(frames[50])
    np.testing.assert_allclose(projected.dispersion, np.tile(np.eye(2), (3, 1, 1)), atol=1e-9)


@pytest.mark.parametrize("dim", [3, 6])
def test_the_speed_is_constant_by_scipys_principal_angles(dim):
    frames = grand_tour(latents(60, dim=dim), 150, step=0.05)
    steps = [np.linalg.norm(subspace_angles(a.matrix, b.matrix)) for a, b in pairwise(frames)]
    assert max(steps) <= 0.05 + 1e-7
    # Only where the path turns from one plane to the next is the way across shorter.
    np.testing.assert_allclose(np.median(steps), 0.05, rtol=1e-4)
    moved = [np.abs(a.matrix - b.matrix).max() for a, b in pairwise(frames)]
    assert max(moved) < 0.1


def test_a_geodesic_goes_from_plane_to_plane_without_spinning():
    rng = np.random.default_rng(0)
    start, end = (np.linalg.qr(rng.standard_normal((5, 2)))[0] for _ in range(2))
    along, rest, angles, turn = geodesic(start, end)
    np.testing.assert_allclose(np.sort(angles), np.sort(subspace_angles(start, end)))
    last = (along * np.cos(angles) + rest * np.sin(angles)) @ turn.T
    np.testing.assert_allclose(along @ turn.T, start, atol=1e-12)
    np.testing.assert_allclose(last @ last.T, end @ end.T, atol=1e-12)
    half = (along * np.cos(angles / 2) + rest * np.sin(angles / 2)) @ turn.T
    np.testing.assert_allclose(subspace_angles(start, half), subspace_angles(half, end), atol=1e-7)


def test_planes_that_share_a_direction_keep_it():
    start, end = np.eye(4)[:, [0, 1]], np.eye(4)[:, [0, 2]]
    along, rest, angles, turn = geodesic(start, end)
    half = (along * np.cos(angles / 2) + rest * np.sin(angles / 2)) @ turn.T
    np.testing.assert_allclose(half[:, 0], [1, 0, 0, 0], atol=1e-12)


def test_it_starts_at_pca_or_where_it_is_told():
    lat = latents(60, dim=5)
    pca = fit_projection(lat, method="pca")
    np.testing.assert_allclose(grand_tour(lat, 3)[0](lat.z), pca(lat.z), atol=1e-9)
    pair = fit_projection(lat, method="pair", dims=(3, 1))
    first = grand_tour(lat, 3, start=pair)[0]
    np.testing.assert_allclose(first(lat.z), pair(lat.z), atol=1e-9)
    assert first.labels == pair.labels
    lda = fit_projection(lat, method="lda")
    begun = grand_tour(lat, 3, start=lda)[0].matrix
    np.testing.assert_allclose(subspace_angles(begun, lda.matrix), 0, atol=1e-7)


def test_the_seed_alone_decides_where_it_goes():
    lat = latents(60, dim=5)
    again = [[f.matrix for f in grand_tour(lat, 40, seed=s)] for s in (0, 0, 1)]
    np.testing.assert_array_equal(again[0], again[1])
    assert np.abs(again[0][-1] - again[2][-1]).max() > 0.1
    # A longer tour goes on where a shorter one ends.
    np.testing.assert_allclose(grand_tour(lat, 80)[39].matrix, again[0][-1])


def test_a_plane_turns_where_there_is_no_other():
    lat = latents(60)
    first, second = (f(lat.z) for f in grand_tour(lat, 2, step=0.1))
    np.testing.assert_allclose(np.hypot(*first.T), np.hypot(*second.T))
    angle = np.angle((second[:, 0] + 1j * second[:, 1]) / (first[:, 0] + 1j * first[:, 1]))
    np.testing.assert_allclose(np.abs(angle), 0.1)


def test_planes_are_drawn_from_the_leading_components():
    rng = np.random.default_rng(0)
    lat = latents(300, dim=12)
    z = lat.z.copy()
    z[:, 4:] = 1e-3 * rng.standard_normal((300, 8))
    flat = type(lat)(z, lat.log_probs, lat.y)
    for frame in grand_tour(flat, 60, n_components=3):
        np.testing.assert_allclose(np.abs(frame.matrix[4:]).max(), 0, atol=1e-2)


def test_the_axes_hold_latents_and_law_in_every_frame():
    lat = latents(500, dim=5)
    frames = grand_tour(lat, 50)
    (low, high), second = tour_ranges(lat, frames, prior(5))
    assert (low, high) == second
    for frame in frames:
        assert ((low < frame(lat.z)) & (frame(lat.z) < high)).all(1).mean() > 0.98
    wide = type(prior())(prior(5).mean, scale=np.full((3, 5), 20.0))
    assert tour_ranges(lat, frames, wide)[0][1] > 2 * high


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: grand_tour(latents(dim=1)), "at least 2 dimensions, got 1"),
        (lambda: grand_tour(latents(), 0), "frames must be a whole number"),
        (lambda: grand_tour(latents(), step=0), "step must be a number above 0"),
        # There is one plane in two dimensions, and the search for another would never end.
        (
            lambda: grand_tour(latents(dim=5), n_components=2),
            "n_components must be a whole number of at least 3",
        ),
        (
            lambda: grand_tour(latents(), start=Projection("umap", ("a", "b"), embed=lambda z: z)),
            "starts at a linear map from 2 dimensions to two, got 'umap'",
        ),
        (
            lambda: grand_tour(
                latents(dim=3), start=Projection("pair", ("a", "b"), np.ones((3, 2)))
            ),
            "the two axes of the start are one",
        ),
    ],
)
def test_what_cannot_be_toured_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
