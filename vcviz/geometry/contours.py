"""Outlines of laws and of points in two dimensions: the smallest regions of a given mass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from contourpy import contour_generator
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from vcviz.base.errors import InputError, clip
from vcviz.records import LatentPrior, Projection, as_array, as_float, as_labels

#: classes with fewer points have no empirical outline
MIN_POINTS = 5
_SCALED = 50_000  # points that say how large the whole is, of many


@dataclass(frozen=True, eq=False)
class Contour:
    """Outline of the smallest region that holds a share `mass` of class `label`.

    Attributes
    ----------
    label : the class
    mass : share of the class inside
    xy : (P, 2) closed polylines; rows of NaN stand between the pieces of one region
    """

    label: int
    mass: float
    xy: NDArray[np.float64]


def law_contours(
    prior: LatentPrior,
    projection: Projection | None = None,
    mass: Sequence[float] = (0.5, 0.9),
    *,
    n_points: int = 64,
    draws: int = 2000,
    seed: int = 0,
    classes: Sequence[int] | None = None,
) -> list[Contour]:
    """Return the outlines of the smallest regions that hold `mass` of each class of a law.

    Parameters
    ----------
    prior : law p(z|y)
    projection : map to two dimensions; default none, for a law with D = 2
    mass : shares inside, each in (0, 1)
    n_points : vertices of an ellipse or a diamond; the last is the first again
    draws, seed : draws of each class where there is no closed form
    classes : class indices; default all

    Returns
    -------
    list of Contour
        Class by class, in the order of `mass`.

    Notes
    -----
    Exact where the projected law has a closed form (`LatentPrior.keeps`): ellipses of a Gaussian
    or Student-t under a linear map, diamonds of a Laplace law on two of its own axes. Otherwise
    `empirical_contours` of seeded draws, projected.
    """
    shares = shares_of(mass)
    if projection is not None and len(projection.labels) != 2:
        raise InputError(f"contours need a projection with 2 axes, got {len(projection.labels)}")
    if projection is None:
        projection = Projection("pair", ("1", "2"), np.eye(prior.latent_dim)[:, :2])
        if prior.latent_dim != 2:
            raise InputError(
                f"contours need a law in 2 dimensions, got {prior.latent_dim}; pass a projection"
            )
    wanted = range(prior.n_classes) if classes is None else classes
    if not prior.keeps(projection):
        z, y = prior.sample(np.repeat(np.array(wanted), draws), np.random.default_rng(seed))
        return empirical_contours(projection(z)[:, :2], y, prior.n_classes, shares)
    law = prior.project(projection)
    ball = _diamond(n_points) if law.family == "laplace" else _circle(n_points)
    factor = np.linalg.cholesky(law.dispersion)
    radius = np.stack([law.mass_radius(share) for share in shares], axis=1)
    return [
        Contour(k, share, law.mean[k] + radius[k, i] * ball @ factor[k].T)
        for k in wanted
        for i, share in enumerate(shares)
    ]


def _circle(n_points: int) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, n_points)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    circle[-1] = circle[0]
    return circle


def _diamond(n_points: int) -> NDArray[np.float64]:
    """Return points along |x| + |y| = 1, the four corners among them."""
    corners = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1], [1, 0]])
    side = max(n_points // 4, 1)
    at = np.linspace(0, 4, 4 * side + 1)
    return np.stack([np.interp(at, range(5), corners[:, i]) for i in (0, 1)], axis=1)


def empirical_contours(
    points: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    mass: Sequence[float] = (0.5, 0.9),
    *,
    grid: int = 96,
    most: int | None = None,
) -> list[Contour]:
    """Return outlines of where the points of each class are densest, from a kernel estimate.

    Parameters
    ----------
    points : (N, 2) array, projected latents
    y : (N,) labels in [0, C)
    n_classes : C
    mass : shares inside, each in (0, 1)
    grid : cells along each axis of the estimate
    most : points of a class that the estimate looks at, evenly spread over its rows; default all

    Returns
    -------
    list of Contour
        Class by class, in the order of `mass`; none for a class of fewer than 5 points.

    Notes
    -----
    A Gaussian kernel on a grid along each class's own principal axes, with Scott's bandwidth
    n^(-1/6) times the interquartile range / 1.349: outliers neither turn nor widen it, and a class
    as narrow as a line or a point still has an outline (its scale is at least 1e-3 of the extent
    of all points). The level is the quantile 1 - mass of the density at the
    points themselves (Hyndman, The American Statistician 50, 1996), so that this share of
    them lies inside.
    """
    points = as_float("points", points, 2, np.float64)
    if points.shape[1] != 2:
        raise InputError(f"points must have shape (N, 2), got {points.shape}")
    y = as_labels("y", y, len(points), n_classes)
    if grid < 8:
        raise InputError(f"grid must be at least 8 cells, got {grid}")
    shares = shares_of(mass)
    if len(points) == 0:
        return []
    some = points[:: max(len(points) // _SCALED, 1)]
    bulk = np.ptp(np.quantile(some, (0.1, 0.9), axis=0), axis=0).max()
    smallest = 1e-3 * (bulk or np.ptp(points, axis=0).max() or 1.0)
    found = []
    for k in range(n_classes):
        mine = np.flatnonzero(y == k)
        if most is not None and len(mine) > most:
            mine = mine[np.linspace(0, len(mine) - 1, most).astype(int)]
        rows = points[mine]
        if len(rows) >= MIN_POINTS:
            lines = _highest_density(rows, shares, grid, smallest)
            found += [Contour(k, share, xy) for share, xy in zip(shares, lines, strict=True)]
    return found


def level_line(values: ArrayLike, x: ArrayLike, y: ArrayLike, level: float) -> NDArray[np.float64]:
    """Return (P, 2) polylines where a field crosses `level`; rows of NaN stand between them.

    Parameters
    ----------
    values : (R, Q) field at (x[j], y[i])
    x, y : (Q,) and (R,) coordinates
    level : where to cut; a field that stays on one side gives no rows
    """
    lines: Any = contour_generator(x=np.asarray(x), y=np.asarray(y), z=np.asarray(values))
    return _joined(lines.lines(level))


def shares_of(mass: float | Sequence[float]) -> tuple[float, ...]:
    """Return one share or several as a tuple, each checked to be in (0, 1)."""
    shares = np.atleast_1d(as_array("mass", mass))
    numbers = shares.ndim == 1 and shares.size > 0 and shares.dtype.kind in "fiu"
    if not numbers or not ((shares > 0) & (shares < 1)).all():
        raise InputError(f"mass must hold shares between 0 and 1, got {clip(mass)}")
    return tuple(float(share) for share in shares)


def _highest_density(
    points: NDArray[np.float64], shares: Sequence[float], grid: int, smallest: float
) -> list[NDArray[np.float64]]:
    """Return one (P, 2) outline per share."""
    centre, axes = _robust_frame(points, smallest)
    at = (points - centre) @ np.linalg.inv(axes)
    bandwidth = len(at) ** (-1 / 6)
    tail = (1 - max(shares)) / 4  # what lies farther out is outside anyway
    low, high = np.quantile(at, (tail, 1 - tail), axis=0)
    low, high = low - 3 * bandwidth, high + 3 * bandwidth
    step = (high - low) / (grid - 1)
    cell = (at - low) / step
    weight = _linear_bins(cell[((cell >= 0) & (cell <= grid - 1)).all(1)], grid)
    density = gaussian_filter(weight, np.maximum(bandwidth / step, 1), mode="constant")
    density = np.pad(density, 1)  # a rim of zeros closes every line
    levels = np.quantile(map_coordinates(density, cell.T + 1, order=1), 1 - np.array(shares))
    lines: Any = contour_generator(z=density.T)
    # At the peak itself (all points are one) or at zero there would be no line.
    levels = np.clip(levels, 1e-9 * density.max(), 0.999 * density.max())
    return [
        _joined([(line - 1) * step + low for line in lines.lines(level)]) @ axes + centre
        for level in levels
    ]


def _robust_frame(
    points: NDArray[np.float64], smallest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centre (2,) and the scaled principal axes (2, 2, rows) of the bulk of `points`."""
    centre = np.median(points, axis=0)
    offset = points - centre
    distance = (np.abs(offset) / np.maximum(_spread(offset), smallest)).max(1)
    bulk = offset[distance <= np.quantile(distance, 0.9)]
    directions = np.linalg.eigh(bulk.T @ bulk)[1].T
    return centre, directions * np.maximum(_spread(offset @ directions.T), smallest)[:, None]


def _spread(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (2,) standard deviations that a quarter of outliers at either end cannot move."""
    return np.ptp(np.quantile(offset, (0.25, 0.75), axis=0), axis=0) / 1.349


def _linear_bins(cell: NDArray[np.float64], grid: int) -> NDArray[np.float64]:
    """Return (grid, grid) weights of points at fractional cells, shared among four neighbours."""
    base = np.minimum(cell.astype(np.int64), grid - 2)
    part = cell - base
    out = np.zeros(grid * grid)
    for i in (0, 1):
        for j in (0, 1):
            share = np.abs(1 - i - part[:, 0]) * np.abs(1 - j - part[:, 1])
            out += np.bincount((base[:, 0] + i) * grid + base[:, 1] + j, share, grid * grid)
    return out.reshape(grid, grid)


def _joined(lines: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the polylines one after another, with a row of NaN between two."""
    if not lines:
        return np.empty((0, 2))
    gap = np.full((1, 2), np.nan)
    parts = [part for line in lines for part in (line, gap)]
    return np.concatenate(parts[:-1])
