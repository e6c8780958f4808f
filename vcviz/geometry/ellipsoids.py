"""Ellipsoids of laws and of points in three dimensions: regions of a given mass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull

from vcviz.base.errors import InputError
from vcviz.base.options import check_fraction
from vcviz.geometry.moments import invertible
from vcviz.records import LatentPrior, Projection, as_float, as_labels

#: fewer points of a class have no ellipsoid
MIN_POINTS = 5
_ON_CIRCLE, _ON_SURFACE = 33, 150  # points


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """The region centre + axes s, |s| <= 1.

    Attributes
    ----------
    label : the class
    centre : (3,) point
    axes : (3, 3) array whose columns are the half-axes
    """

    label: int
    centre: NDArray[np.float64]
    axes: NDArray[np.float64]

    def wire(self) -> NDArray[np.float64]:
        """Return (P, 3) circles on the surface, rows of NaN between them.

        Four meridians through the ends of the longest half-axis and three parallels about it.
        """
        angle = np.linspace(0, 2 * np.pi, _ON_CIRCLE)
        circle = np.stack([np.cos(angle), np.sin(angle), np.zeros(_ON_CIRCLE)], axis=1)
        found = []
        for turn in np.arange(4) * np.pi / 4:
            across = np.array([0, np.cos(turn), np.sin(turn)])
            found.append(circle[:, :1] * np.array([1.0, 0, 0]) + circle[:, 1:2] * across)
        for height in (-0.5, 0.0, 0.5):
            ring = np.sqrt(1 - height**2) * circle[:, [2, 0, 1]]
            ring[:, 0] = height
            found.append(ring)
        gap = np.full((1, 3), np.nan)
        surface = np.concatenate([part for ring in found for part in (ring, gap)][:-1])
        return self.centre + surface @ self.axes.T

    def surface(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return (P, 3) points spread over the surface and the (T, 3) triangles between them."""
        height = 1 - (2 * np.arange(_ON_SURFACE) + 1) / _ON_SURFACE
        turn = np.pi * (1 + np.sqrt(5)) * np.arange(_ON_SURFACE)
        ring = np.sqrt(1 - height**2)
        sphere = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
        return self.centre + sphere @ self.axes.T, ConvexHull(sphere).simplices.astype(np.int64)


def law_ellipsoids(
    prior: LatentPrior,
    projection: Projection,
    mass: float = 0.9,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> list[Ellipsoid]:
    """Return the smallest region of each class that holds `mass` of a law, in three dimensions.

    Exact for a Gaussian or Student-t law under a linear projection; otherwise
    `empirical_ellipsoids` of seeded draws, projected.

    Parameters
    ----------
    prior : p(z|y)
    projection : map to three axes
    mass : share inside, in (0, 1)
    draws, seed : draws of each class where there is no closed form
    """
    check_fraction("mass", mass)
    if len(projection.labels) != 3:
        raise InputError(f"ellipsoids need a map to three axes, got {len(projection.labels)}")
    if not prior.keeps(projection) or prior.family == "laplace":
        labels = np.repeat(np.arange(prior.n_classes), draws)
        z, y = prior.sample(labels, np.random.default_rng(seed))
        return empirical_ellipsoids(projection(z), y, prior.n_classes, mass)
    law = prior.project(projection)
    radius = law.mass_radius(mass)
    return [
        Ellipsoid(k, law.mean[k], radius[k] * _half_axes(law.dispersion[k]))
        for k in range(law.n_classes)
    ]


def empirical_ellipsoids(
    points: ArrayLike, y: ArrayLike, n_classes: int, mass: float = 0.9
) -> list[Ellipsoid]:
    """Return for each class the ellipsoid, of the shape of its covariance, that holds `mass` of it.

    Parameters
    ----------
    points : (N, 3) array
    y : (N,) labels in [0, n_classes)
    n_classes : C
    mass : share of the points inside, in (0, 1)

    Returns
    -------
    list of Ellipsoid
        One a class, but for classes of fewer than 5 points, which have none.
    """
    check_fraction("mass", mass)
    points = as_float("points", points, 2, np.float64)
    if points.shape[1] != 3:
        raise InputError(f"points must have shape (N, 3), got {points.shape}")
    y = as_labels("y", y, len(points), n_classes)
    found = []
    for k in range(n_classes):
        rows = points[y == k]
        if len(rows) < MIN_POINTS:
            continue
        centre = rows.mean(0)
        axes = _half_axes(invertible(np.cov(rows, rowvar=False, bias=True)))
        lengths = np.linalg.norm(np.linalg.solve(axes, (rows - centre).T), axis=0)
        found.append(Ellipsoid(k, centre, float(np.quantile(lengths, mass)) * axes))
    return found


def _half_axes(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (3, 3) principal half-axes as columns, the longest first."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1]
