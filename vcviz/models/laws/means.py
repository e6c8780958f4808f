"""Initial class means, as far apart as asked: crowded means cost accuracy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcviz.base.options import check_count, check_fraction, check_number

_REPULSION_STEPS = 200
# Standard deviations between neighbouring means where nothing else is asked for. Encoders find
# means twice as far away more slowly: the latents' energy distance was twice as large after 600
# epochs.
_MEANS_APART = 6.0


def spread_means(n_classes: int, dim: int, separation: float) -> Tensor:
    """Return (C, D) float64 class means, centred, whose smallest distance is `separation`.

    One dimension gives an evenly spaced line, two a circle, and C-1 or more a regular simplex
    (every distance equal) turned so that its first two coordinates lie on that circle too. In
    between, points on a sphere repel one another from a seeded start; the result comes within a
    few per cent of the best known packings.

    Parameters
    ----------
    n_classes : C
    dim : D
    separation : smallest pairwise distance, positive. Six times the scale of the class laws or
        more: nearer means force classes to overlap once the latents match the law.

    Raises
    ------
    InputError
        If a count or the separation is not positive.
    """
    check_count("n_classes", n_classes, minimum=2)
    check_count("dim", dim)
    check_number("separation", separation, above=0)
    return torch.from_numpy(_unit_means(n_classes, dim) * separation)


def separation_for(n_classes: int, dim: int, error: float) -> float:
    """Return the separation of `spread_means` at which equal Gaussians N(mu_y, I) overlap so much.

    Each pair at distance d is told apart with error Phi(-d / 2); their sum over the other classes
    bounds the error of Bayes' rule from above (the union bound). It is `error` in the mean over the
    classes. More classes, or more neighbours in more dimensions, thus ask for means further apart:
    4.1 for ten classes on a circle at 0.04, 5.2 for ten in nine or more dimensions.

    Parameters
    ----------
    n_classes, dim : C, D
    error : between 0 and 1
    """
    from scipy.optimize import brentq
    from scipy.spatial.distance import pdist
    from scipy.stats import norm

    check_fraction("error", error)
    apart = pdist(_unit_means(n_classes, dim)) / 2

    def excess(separation: float) -> float:
        return float(2 * norm.sf(separation * apart).sum() / n_classes - error)

    return float(brentq(excess, 0.0, 100.0))


def initial_separation(n_classes: int, dim: int, overlap: float | None) -> float:
    """Return how many standard deviations apart Gaussian neighbours start: 6, or by `overlap`."""
    return _MEANS_APART if overlap is None else separation_for(n_classes, dim, overlap)


@lru_cache(maxsize=16)
def _unit_means(n_classes: int, dim: int) -> NDArray[np.float64]:
    """Return means whose smallest distance is 1; kept, as a thousand classes take seconds."""
    from scipy.spatial.distance import pdist

    if dim == 1:
        points = np.arange(n_classes, dtype=np.float64)[:, None]
    elif dim == 2 or dim >= n_classes - 1:
        points = _trigonometric(n_classes, dim)
    else:
        points = _repelled(n_classes, dim)
    points = points - points.mean(0)
    return points / pdist(points).min()


def _trigonometric(n_classes: int, dim: int) -> NDArray[np.float64]:
    """Return rows (cos a, sin a, cos 2a, …) with a = 2 pi y / C: a circle, or a simplex if all."""
    columns = np.zeros((n_classes, dim))
    angle = 2 * np.pi * np.arange(n_classes) / n_classes
    for j in range(min(dim, n_classes - 1)):
        wave = (np.cos, np.sin)[j % 2]((j // 2 + 1) * angle)
        columns[:, j] = wave / np.linalg.norm(wave)
    return columns


def _repelled(n_classes: int, dim: int) -> NDArray[np.float64]:
    """Return points on the unit sphere moved away from their neighbours, ever nearer ones."""
    x = np.random.default_rng(0).standard_normal((n_classes, dim))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    for step in range(_REPULSION_STEPS):
        progress = step / _REPULSION_STEPS
        cosine = x @ x.T
        np.fill_diagonal(cosine, -np.inf)
        closest = cosine.max(1, keepdims=True)
        gap = np.maximum(1 - closest, 1e-12)  # half the squared distance to the nearest
        weight = np.exp((cosine - closest) / gap * (0.5 * 100**progress))
        away = x * weight.sum(1, keepdims=True) - weight @ x
        away -= (away * x).sum(1, keepdims=True) * x
        away /= np.linalg.norm(away, axis=1, keepdims=True) + 1e-12
        x = x + 0.4 * np.sqrt(gap) * (1 - progress) * away
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x
