"""Outlines of p(z|y) and q(z|y) in a projected plane, and the axes that show both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures.theme import escape
from vcviz.geometry.contours import Contour, empirical_contours, law_contours
from vcviz.records import LatentPrior, LatentSet, Projection

Range = tuple[float, float]
#: class -> (P, 2) polylines with a row of NaN between them
Outlines = dict[int, NDArray[np.float64]]
#: class -> (2,) point
Centres = dict[int, NDArray[np.float64]]

#: draws per class by which the extent of a law without closed form is judged, or its outlines in
#: a projection that is not linear
_DRAWS = 400
_SHOWN = 0.9  # share of a law inside its outline that axes make room for
_OUTLINED = 5000  # points of a class that say where it is densest, at most
GAP = np.full((1, 2), np.nan)


def anticipated_outlines(
    prior: LatentPrior,
    projection: Projection,
    mass: Sequence[float],
    *,
    vertices: int | None = None,
    seed: int = 0,
    classes: Sequence[int] | None = None,
) -> tuple[Outlines, Centres]:
    """Return the outlines of p(z|y) and its mean, per class; `law_contours` says how exact."""
    # A projection that is not linear (UMAP) takes seconds for thousands of points.
    draws = 2000 if projection.linear else _DRAWS
    contours = law_contours(
        prior, projection, mass, n_points=vertices or 64, draws=draws, seed=seed, classes=classes
    )
    exact = prior.keeps(projection)
    centres = projection(prior.mean)[:, :2]
    return _by_class(contours, None if exact else vertices), dict(enumerate(centres))


def empirical_outlines(
    points: NDArray[np.float64],
    lat: LatentSet,
    mass: Sequence[float],
    *,
    vertices: int | None = None,
    classes: Sequence[int] | None = None,
) -> tuple[Outlines, Centres]:
    """Return the outlines of q(z|y), estimated from projected latents (N, 2), and its mean.

    The mean is that of all latents; the outline looks at no more than 5,000 of a class.
    """
    grid = 96 if vertices is None else 48
    y = lat.y
    if classes is not None:
        rows = np.isin(y, list(classes))
        points, y = points[rows], y[rows]
    contours = empirical_contours(points, y, lat.n_classes, mass, grid=grid, most=_OUTLINED)
    return _by_class(contours, vertices), _means(points, y)


def thin(line: NDArray[np.float64], vertices: int | None) -> NDArray[np.float64]:
    """Return a polyline (P, 2) with at most `vertices` points, spread evenly along it."""
    if vertices is None or len(line) <= vertices:
        return line
    along = np.r_[0.0, np.cumsum(np.hypot(*np.diff(line, axis=0).T))]
    at = np.linspace(0.0, along[-1], vertices)
    return np.column_stack([np.interp(at, along, line[:, i]) for i in (0, 1)])


def latent_ranges(
    points: NDArray[np.float64],
    prior: LatentPrior | None = None,
    projection: Projection | None = None,
) -> tuple[Range, Range]:
    """Return (x, y) axis ranges of equal length that show the bulk of `points` and of `prior`.

    Parameters
    ----------
    points : (N, 2) projected latents
    prior : p(z|y); its outlines of 90 % are shown as far as they lie within one width of the
        points, so that a law far away cannot shrink the points to a speck
    projection : map of the law to the plane; default none, for a law of the plane. One that is
        not linear may put draws of a law anywhere: the law is then left out
    """
    # Outliers do not set the range: half a percent is left out at each end of each axis.
    low, high = np.quantile(points, [0.005, 0.995], axis=0)
    # Where all points are one (or nearly) the axes show its surroundings, in its own unit.
    least = 1e-6 * (float(np.abs(points).max(initial=0)) or 1.0)
    width = max(float((high - low).max()), least)
    if prior is not None and (projection is None or projection.linear):
        law_low, law_high = _law_box(prior, projection)
        low = np.minimum(low, np.maximum(law_low, low - width))
        high = np.maximum(high, np.minimum(law_high, high + width))
    centre, half = (low + high) / 2, 0.55 * max(float((high - low).max()), least)
    (x, y) = ((float(c - half), float(c + half)) for c in centre)
    return x, y


def latent_axes(
    labels: Sequence[str], ranges: tuple[Range, Range], suffix: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the axes of a plane of latents, in which a length is the same either way.

    `suffix` is that of the names of plotly's axes.
    """
    x, y = (
        {"title": {"text": escape(label, 60)}, "range": list(bounds), "constrain": "domain"}
        for label, bounds in zip(labels, ranges, strict=False)
    )
    return x, y | {"scaleanchor": f"x{suffix}", "constraintoward": "top"}


def _law_box(
    prior: LatentPrior, projection: Projection | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners (2,), (2,) of a box around the region of 90 % of every class."""
    projection = projection or Projection("pair", ("1", "2"), np.eye(2))
    if prior.keeps(projection):
        flat = prior.project(projection)
        scale = np.sqrt(np.diagonal(flat.dispersion, axis1=1, axis2=2))
        reach = flat.mass_radius(_SHOWN)[:, None] * scale
        return (flat.mean - reach).min(0), (flat.mean + reach).max(0)
    labels = np.repeat(np.arange(prior.n_classes), _DRAWS)
    points = projection(prior.sample(labels, np.random.default_rng(0))[0])[:, :2]
    by_class = points.reshape(prior.n_classes, _DRAWS, 2)
    low, high = np.quantile(by_class, [(1 - _SHOWN) / 2, (1 + _SHOWN) / 2], axis=1)
    return low.min(0), high.max(0)


def count_outside(points: NDArray[np.float64], ranges: tuple[Range, Range]) -> int:
    """Return how many of the (N, 2) points lie outside the axes."""
    low, high = np.array(ranges).T
    return int(((points < low) | (points > high)).any(1).sum())


def _means(points: NDArray[np.float64], y: NDArray[np.int64]) -> Centres:
    count = np.bincount(y)
    total = np.stack([np.bincount(y, points[:, i]) for i in (0, 1)], axis=1)
    return {int(k): total[k] / count[k] for k in np.flatnonzero(count)}


def _by_class(contours: Iterable[Contour], vertices: int | None = None) -> Outlines:
    found: dict[int, list[NDArray[np.float64]]] = {}
    for contour in contours:
        for line in _polylines(contour.xy):
            found.setdefault(contour.label, []).extend([thin(line, vertices), GAP])
    return {k: np.concatenate(parts[:-1]) for k, parts in found.items()}


def _polylines(xy: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    pieces = np.split(xy, np.flatnonzero(np.isnan(xy).any(1)))
    return [p for p in (q[~np.isnan(q).any(1)] for q in pieces) if len(p) > 1]
