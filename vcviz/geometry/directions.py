"""Directions worth looking along: axes, principal and discriminant axes, from class to class."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, unknown
from vcviz.base.options import check_count
from vcviz.geometry.moments import class_moments
from vcviz.geometry.projections import SUBSCRIPTS, fit_projection
from vcviz.records import Direction, LatentSet, as_float

#: ("axis", i), ("pca", i), ("lda", i), ("means", a, b) or ("weights", a, b); all count from 0
Spec = tuple[Any, ...]
KINDS = ("axis", "pca", "lda", "means", "weights")
#: classes with more pairs than this are not listed pair by pair
_PAIRS = 66


@takes_records
def natural_directions(
    lat: LatentSet, *, weight: ArrayLike | None = None, most: int = 8
) -> dict[str, Spec]:
    """Return directions to choose from: label -> what `direction` takes.

    Axes, principal axes and (of two classes or more) discriminant axes; then the lines between the
    means of any two classes and, with the last layer's weights, their differences. Of more than 12
    classes only neighbours in their order are paired.

    Parameters
    ----------
    lat : latents with labels
    weight : (C, D) weights of the last layer
    most : most axes, principal axes and discriminant axes, each

    Raises
    ------
    InputError
        If `weight` does not fit the latents.

    Examples
    --------
    >>> lat = vcviz.train("mixture", epochs=3, progress=False).latents()
    >>> list(vcviz.geometry.natural_directions(lat))[:7]
    ['z₁', 'z₂', 'PC 1', 'PC 2', 'LD 1', 'LD 2', 'mean of 0 → mean of 1']
    """
    check_count("most", most)
    weighted = _weights(lat, weight) is not None
    dim, names = lat.latent_dim, lat.class_names
    present = np.unique(lat.y)
    found: dict[str, Spec] = {}
    # Units that never vary have nothing to show.
    axes = class_moments(lat).varying.columns if dim > most else range(dim)
    for i in map(int, axes[:most]):
        found[f"z{str(i + 1).translate(SUBSCRIPTS)}"] = ("axis", i)
    if dim > 1:
        found |= {f"PC {i + 1}": ("pca", i) for i in range(min(dim, most, 3))}
        n_discriminants = min(dim, most, 3, len(present) - 1)
        found |= {f"LD {i + 1}": ("lda", i) for i in range(n_discriminants)}
    pairs = [(int(a), int(b)) for i, a in enumerate(present) for b in present[i + 1 :]]
    if len(pairs) > _PAIRS:
        pairs = [(int(a), int(b)) for a, b in pairwise(present)]
    found |= {f"mean of {names[a]} → mean of {names[b]}": ("means", a, b) for a, b in pairs}
    if weighted:
        found |= {
            f"weight of {names[b]} − weight of {names[a]}": ("weights", a, b) for a, b in pairs
        }
    return found


@takes_records
def direction(lat: LatentSet, spec: Spec, *, weight: ArrayLike | None = None) -> Direction:
    """Return a direction by its kind.

    Parameters
    ----------
    lat : latents that principal axes, discriminant axes and class means are those of
    spec : ``("axis", i)``; ``("pca", i)`` or ``("lda", i)``, i up to 2; ``("means", a, b)``: from
        the mean of class a to that of class b; ``("weights", a, b)``: w_b - w_a, along which a
        softmax layer tells b from a
    weight : (C, D) weights of the last layer, for ``"weights"``

    Returns
    -------
    Direction
        A unit vector with a label for titles.

    Raises
    ------
    InputError
        For an unknown kind, an axis or class that does not exist, or means that coincide.

    Examples
    --------
    >>> z = [[0.0, 0.0], [0.0, 2.0], [6.0, 0.0], [6.0, 2.0]]
    >>> lat = vcviz.LatentSet(z, np.log(np.full((4, 2), 0.5)), y=[0, 0, 1, 1])
    >>> u = vcviz.geometry.direction(lat, ("means", 0, 1))
    >>> u.label, u.vector
    ('from 0 to 1', array([1., 0.]))
    """
    rows = _weights(lat, weight)
    kind, *places = spec
    if kind not in KINDS:
        raise unknown("direction", kind, KINDS)
    if kind in ("means", "weights"):
        return _between(lat, kind, places, rows)
    dim = lat.latent_dim
    last = dim if kind == "axis" else min(dim, 3)
    if len(places) != 1 or not 0 <= places[0] < last:
        raise InputError(f"{kind} must be followed by a number in [0, {last}), got {places}")
    place = int(places[0])
    if kind == "axis":
        return Direction(np.eye(dim)[place], f"z{str(place + 1).translate(SUBSCRIPTS)}")
    projection = fit_projection(lat, method=kind, n_components=3)
    return Direction(projection.matrix[:, place], projection.labels[place])


def _weights(lat: LatentSet, weight: ArrayLike | None) -> NDArray[np.float64] | None:
    if weight is None:
        return None
    rows = as_float("weight", weight, 2, np.float64)
    if rows.shape != (lat.n_classes, lat.latent_dim):
        raise InputError(
            f"weight must be ({lat.n_classes}, {lat.latent_dim}) to match the latents, "
            f"got {rows.shape}"
        )
    return rows


def _between(
    lat: LatentSet, kind: str, places: list[Any], rows: NDArray[np.float64] | None
) -> Direction:
    if len(places) != 2 or not all(0 <= k < lat.n_classes for k in places):
        raise InputError(
            f"{kind} must be followed by two classes in [0, {lat.n_classes}), got {places}"
        )
    (a, b), names = places, lat.class_names
    if kind == "means":
        found = class_moments(lat)
        for k in places:
            if found.counts[k] == 0:
                raise InputError(f"{names[k]!r} has no latents, and no mean")
        return Direction(found.means[b] - found.means[a], f"from {names[a]} to {names[b]}")
    if rows is None:
        raise InputError("a direction of weights needs weight=, those of the last layer")
    return Direction(rows[b] - rows[a], f"w({names[b]}) − w({names[a]})")
