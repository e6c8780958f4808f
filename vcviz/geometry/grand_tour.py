"""A grand tour: a smooth path through planes of the latents, each a linear projection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_count, check_number
from vcviz.geometry.moments import class_moments
from vcviz.geometry.projections import fit_projection
from vcviz.records import LatentPrior, LatentSet, Projection

Array = NDArray[np.float64]
#: rows and draws by which the extent of the latents and of a law is judged
_ROWS = 2000
_SHORTEST = 1e-3  # radians; planes that near are one


@takes_records
def grand_tour(
    lat: LatentSet,
    frames: int = 120,
    *,
    start: Projection | None = None,
    prior: LatentPrior | None = None,
    step: float = 0.06,
    n_components: int = 10,
    seed: int = 0,
) -> list[Projection]:
    """Return linear projections to two axes along a path through random planes.

    Parameters
    ----------
    lat : latents of D dimensions
    frames : how many projections
    start : the first; default `fit_projection` by PCA, with `prior`. Its axes are made orthonormal
        (those of LDA are not)
    prior : anticipated law, for the default start
    step : distance between two frames in radians, the root of the summed squares of the two
        principal angles between their planes
    n_components : planes are drawn from the span of that many leading principal components, at
        least 3: in a random plane of many dimensions every class would lie on every other
    seed : of the planes

    Returns
    -------
    list of Projection
        The columns of each `matrix` are orthonormal: lengths shown are at most true lengths, and a
        law that can be projected stays exact. With D = 2 there is one plane, which turns by `step`
        a frame.

    Raises
    ------
    InputError
        If D < 2, `n_components` < 3, or the start is not linear or not to two axes.

    References
    ----------
    Asimov, The Grand Tour, SIAM J. Sci. Stat. Comput. 6, 1985; Buja, Cook, Asimov & Hurley,
    Computational Methods for High-Dimensional Rotations in Data Visualization, 2005, section 2.

    Examples
    --------
    >>> z = np.random.default_rng(0).normal(size=(100, 4))
    >>> lat = vcviz.LatentSet(z, np.log(np.full((100, 2), 0.5)), y=[0, 1] * 50)
    >>> tour = vcviz.geometry.grand_tour(lat, frames=5)
    >>> len(tour), tour[0].matrix.shape
    (5, (4, 2))
    >>> np.allclose(tour[3].matrix.T @ tour[3].matrix, np.eye(2))  # orthonormal axes
    True
    """
    check_count("frames", frames)
    check_number("step", step, above=0)
    check_count(
        "n_components", n_components, minimum=3
    )  # of two there is one plane, and no way to another
    dim = lat.latent_dim
    if dim < 2:
        raise InputError("a tour needs latents of at least 2 dimensions, got 1")
    if start is None:
        start = fit_projection(lat, method="pca", prior=prior)
    frame = _orthonormal(start, dim)
    if dim == 2:
        found = [frame @ _turned(i * step) for i in range(frames)]
    else:
        found = _walk(frame, _principal_span(lat, n_components), frames, step, seed)
    labels = ("tour, axis 1", "tour, axis 2")
    first = Projection(start.method, start.labels, found[0], start.offset)
    return [first, *(Projection("tour", labels, f, start.offset) for f in found[1:])]


def tour_ranges(
    lat: LatentSet, frames: Sequence[Projection], prior: LatentPrior | None = None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return axis ranges, equally long, that hold 99 % of latents and law in every frame."""
    rng = np.random.default_rng(0)
    z = lat.z if len(lat) <= _ROWS else lat.z[rng.choice(len(lat), _ROWS, replace=False)]
    sets: list[NDArray[Any]] = [z] if prior is None else [z, prior.sample(_ROWS, rng)[0]]
    reach = max(
        float(np.quantile(np.abs(frame(points)), 0.995, axis=0).max())
        for points in sets
        for frame in frames
    )
    reach = 1.05 * (reach or 1e-6)
    return (-reach, reach), (-reach, reach)


def geodesic(start: Array, end: Array) -> tuple[Array, Array, Array, Array]:
    """Return (G, H, angles, V) of the shortest path from one plane to another.

    The frame at a share t of it is (G cos(t angles) + H sin(t angles)) V', the one at 0 `start`.

    Parameters
    ----------
    start, end : (D, 2) orthonormal columns; of the end only the plane matters
    """
    left, cosines, right = np.linalg.svd(start.T @ end)
    angles = np.arccos(np.clip(cosines, -1, 1))
    along, towards = start @ left, end @ right.T
    rest = towards - along * np.cos(angles)
    # A direction that both planes share does not move.
    length = np.linalg.norm(rest, axis=0)
    moving = length > 1e-9
    rest = np.where(moving, rest / np.where(moving, length, 1), 0)
    return along, rest, np.where(moving, angles, 0), left


def _walk(frame: Array, span: Array, frames: int, step: float, seed: int) -> list[Array]:
    """Return frames at equal distances along geodesics through random planes of `span`."""
    rng = np.random.default_rng(seed)
    found, at = [frame], 0.0  # how far into the leg the last frame is
    while len(found) < frames:
        plane = span @ np.linalg.qr(rng.standard_normal((span.shape[1], 2)))[0]
        along, rest, angles, turn = geodesic(frame, plane)
        length = float(np.linalg.norm(angles))
        if length < _SHORTEST:
            continue
        while at + step <= length and len(found) < frames:
            at += step
            share = at / length * angles
            found.append((along * np.cos(share) + rest * np.sin(share)) @ turn.T)
        at -= length
        frame = (along * np.cos(angles) + rest * np.sin(angles)) @ turn.T
    return found


def _orthonormal(start: Projection, dim: int) -> Array:
    """Return the orthonormal columns nearest to those of a projection."""
    if not start.linear or len(start.labels) != 2 or len(start.matrix) != dim:
        raise InputError(
            f"a tour starts at a linear map from {dim} dimensions to two, got {start.method!r}"
        )
    left, values, right = np.linalg.svd(start.matrix, full_matrices=False)
    if values[1] <= 1e-9 * values[0]:
        raise InputError("a tour starts at a plane, but the two axes of the start are one")
    return left @ right


def _principal_span(lat: LatentSet, n_components: int) -> Array:
    covariance = class_moments(lat).covariance
    vectors = np.linalg.eigh(covariance / (np.trace(covariance) or 1.0))[1]
    return vectors[:, ::-1][:, :n_components]


def _turned(angle: float) -> Array:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])
