"""Energy distance: between two samples, and of one sample from the standard normal law.

For laws p and q, 2 E|u - v| - E|u - u'| - E|v - v'| with u, u' from p and v, v' from q
(no square root): 0 if and only if p = q, sensitive to mean, spread and shape alike.

References
----------
Szekely & Rizzo, Energy statistics: a class of statistics based on distances, Journal of
Statistical Planning and Inference 143, 2013; A new test for multivariate normality, 2005.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from vcviz.errors import InputError
from vcviz.options import check_count
from vcviz.records import as_float

__all__ = [
    "distance_from_normal",
    "energy_distance",
    "normal_energy",
    "normal_energy_interval",
    "normal_energy_kernel",
    "normal_energy_p_value",
]

_ELEMENTS = 2**21  # of a block of kernels: 16 MB
_ROWS, _COLUMNS = 128, 512  # of a block of distances: 512 kB, which a core's own cache holds
_NULL_DRAWS = 1999
_NULL_POINTS = 32


def energy_distance(
    a: ArrayLike,
    b: ArrayLike,
    *,
    unbiased: bool = False,
    directions: int | None = None,
    seed: int = 0,
) -> float:
    """Return the energy distance between two samples, 2 E|a-b| - E|a-a'| - E|b-b'|.

    Parameters
    ----------
    a, b : (N, D) and (M, D) arrays, or (N,) and (M,) for D = 1
    unbiased : False takes the means over all pairs: never negative, 0 for equal samples, and
        biased upwards for few. True leaves out each point's distance to itself: unbiased for the
        laws, so it may fall below 0.
    directions : None computes every distance. A number P approximates for D > 1: the mean energy
        distance of the projections on P directions, scaled, in time P N log N. Evenly spaced
        angles for D = 2, bases turned at random for D > 2
    seed : of the directions for D > 2

    Notes
    -----
    In one dimension its square root is `scipy.stats.energy_distance`, and it is computed from the
    sorted points, in time N log N. In more, distances are computed in blocks: time grows as
    (N + M)^2, memory does not. For 100,000 points a side that is a minute, and `directions` has
    the use.

    |u| is the mean of |<d, u>| over all unit vectors d, times a constant, so projections give an
    energy distance of their own: 0 for equal samples, never negative unless `unbiased`. On P
    angles of the plane each mean distance is off by a factor between 1 - pi^2 / (12 P^2) and
    1 + pi^2 / (24 P^2) at most. On P random directions the error is random, and none on average.

    References
    ----------
    Rizzo & Szekely, Energy distance, WIREs Computational Statistics 8, 2016 (one dimension).
    """
    left, right = _rows("a", a), _rows("b", b)
    dim = left.shape[1]
    if dim != right.shape[1]:
        raise InputError(f"b must have {dim} columns like a, got {right.shape[1]}")
    if unbiased and min(len(left), len(right)) < 2:
        raise InputError(f"unbiased needs two rows a side, got {len(left)} and {len(right)}")
    if directions is not None:
        check_count("directions", directions)
    centre = left.mean(0)  # distances of points far from the origin keep their digits
    left, right = left - centre, right - centre
    if dim == 1:
        return _on_a_line(left[:, 0], right[:, 0], unbiased)
    if directions is not None:
        unit, scale = _directions(dim, directions, seed)
        found = [_on_a_line(left @ d, right @ d, unbiased) for d in unit]
        return float(scale * np.mean(found))
    within = [_total_within(side) / (len(side) * (len(side) - unbiased)) for side in (left, right)]
    between = _total_between(left, right) / (len(left) * len(right))
    return float(2 * between - sum(within))


def _rows(name: str, value: ArrayLike) -> NDArray[np.float64]:
    array = as_float(name, value, None, np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.size == 0:
        raise InputError(f"{name} must have shape (N, D) with at least one row, got {array.shape}")
    return array


def _on_a_line(a: NDArray[np.float64], b: NDArray[np.float64], unbiased: bool) -> float:
    """Return the energy distance of (N,) and (M,) points, 2 int (F - G)^2 of their steps F, G."""
    n, m = len(a), len(b)
    both = np.concatenate([a, b])
    order = both.argsort()
    gap = np.diff(both[order])
    # Counts, so that equal samples give 0 and not what divisions leave.
    of_a = np.cumsum(order < n)[:-1]
    f, g = of_a / n, (np.arange(1, n + m) - of_a) / m
    energy = 2 * float(np.square(f - g) @ gap)
    if unbiased:  # E|a-a'| over all pairs is 2 int F (1 - F)
        energy -= 2 * float((f * (1 - f)) @ gap) / (n - 1) + 2 * float((g * (1 - g)) @ gap) / (
            m - 1
        )
    return energy


def _directions(dim: int, count: int, seed: int) -> tuple[NDArray[np.float64], float]:
    """Return (P, D) unit vectors and |u| over the mean of |<d, u>| over all of them."""
    scale = np.sqrt(np.pi) * np.exp(gammaln((dim + 1) / 2) - gammaln(dim / 2))
    if dim == 2:
        angle = np.pi * np.arange(count) / count
        return np.stack([np.cos(angle), np.sin(angle)], axis=1), float(scale)
    rng = np.random.default_rng(seed)
    bases = [
        np.linalg.qr(rng.standard_normal((dim, dim)))[0].T for _ in range(0, count, dim)
    ]  # directions at right angles miss less than as many at random
    return np.concatenate(bases)[:count], float(scale)


def _total_between(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the sum of the distances of all rows of `a` to all rows of `b`."""
    wide, long = _as_factors(a), _as_factors(b, swapped=True)
    return sum(
        _block_total(wide[start : start + _ROWS], long[:, at : at + _COLUMNS])
        for start in range(0, len(a), _ROWS)
        for at in range(0, len(b), _COLUMNS)
    )


def _total_within(a: NDArray[np.float64]) -> float:
    """Return the sum of the distances of all ordered pairs of rows, each computed once."""
    wide, long = _as_factors(a), _as_factors(a, swapped=True)
    total = 0.0
    for start in range(0, len(a), _COLUMNS):
        stop = start + _COLUMNS
        part = a[start:stop]
        total += float(_distances(part, part).sum())
        for first in range(start, min(stop, len(a)), _ROWS):
            rows = wide[first : min(first + _ROWS, stop)]
            total += 2 * sum(
                _block_total(rows, long[:, at : at + _COLUMNS])
                for at in range(stop, len(a), _COLUMNS)
            )
    return total


def _as_factors(a: NDArray[np.float64], *, swapped: bool = False) -> NDArray[np.float64]:
    """Return (N, D + 2) rows, or columns if `swapped`, whose products are squared distances."""
    square, one = (a * a).sum(1), np.ones(len(a))
    if swapped:
        return np.ascontiguousarray(np.column_stack([a, one, square]).T)
    return np.column_stack([-2 * a, square, one])


def _block_total(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> float:
    squares = rows @ columns
    return float(np.sqrt(np.maximum(squares, 0, out=squares), out=squares).sum())


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (..., N, M) distances between the rows of (..., N, D) and (..., M, D)."""
    if a.shape[-1] == 1:
        return np.abs(a - b.swapaxes(-1, -2))
    squares = -2 * a @ b.swapaxes(-1, -2)
    squares += (a * a).sum(-1)[..., :, None]
    squares += (b * b).sum(-1)[..., None, :]
    return np.sqrt(np.maximum(squares, 0, out=squares), out=squares)


# ---------------------------------------------------------------- against N(0, I)


def distance_from_normal(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return E|u - Z| of points (..., D) for Z of the standard normal law, to 13 digits.

    Equal to sqrt(2) Gamma((D+1)/2) / Gamma(D/2) 1F1(-1/2; D/2; -|u|^2/2), computed as

        sqrt(2/pi) int_0^(pi/2) cos^D(t) exp(-|u|^2 sin^2(t) / 2) (D + |u|^2 cos^2(t)) dt,

    whose terms are all positive: the series and SciPy's `hyp1f1` overflow for D in the hundreds.
    """
    dim, square = u.shape[-1], (u * u).sum(-1)[..., None]
    nodes, weights = np.polynomial.legendre.leggauss(24)
    # The integrand is a bump of width 1 / sqrt(D + |u|^2): nothing is left after ten of them.
    half = np.minimum(np.pi / 2, 10 / np.sqrt(dim + square)) / 2
    angle = half * (nodes + 1)
    cosine = np.cos(angle)
    bump = np.exp(dim * np.log(cosine) - square * np.sin(angle) ** 2 / 2)
    return np.sqrt(2 / np.pi) * (bump * (dim + square * cosine**2) * half) @ weights


def normal_energy_kernel(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (..., N, N) terms E|u_i-Z| + E|u_j-Z| - |u_i-u_j| - E|Z-Z'|, 0 on the diagonal."""
    dim = u.shape[-1]
    between = np.exp(np.log(2) + gammaln((dim + 1) / 2) - gammaln(dim / 2))
    centred = u - u.mean(-2, keepdims=True)
    apart = distance_from_normal(u)
    kernel = apart[..., :, None] + apart[..., None, :] - between
    kernel -= _distances(centred, centred)
    diagonal = np.arange(u.shape[-2])
    kernel[..., diagonal, diagonal] = 0
    return kernel


def normal_energy(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the energy distance from N(0, I), unbiased, from a (..., N, N) kernel."""
    n = kernel.shape[-1]
    return kernel.sum((-1, -2)) / (n * (n - 1))


def normal_energy_interval(
    kernel: NDArray[np.float64], *, resamples: int, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the bootstrap interval of `normal_energy`.

    Points are drawn with replacement; pairs of a point with a copy of itself, which are not pairs
    of independent draws, are left out of the mean, so that it stays unbiased.
    """
    n = len(kernel)
    weight = rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
    pairs = weight.sum(1) ** 2 - (weight**2).sum(1)
    draws = np.einsum("rn,rn->r", weight @ kernel, weight) / np.maximum(pairs, 1)
    low, high = np.quantile(draws, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def normal_energy_p_value(energy: float, n: int, dim: int, *, seed: int = 0) -> float:
    """Return the Monte-Carlo p-value of `normal_energy` of `n` points for the law N(0, I).

    The share of 1999 simulated samples whose energy is at least as large, the sample itself
    counted among them. Under the law sqrt(n (n-1)) times the energy has the same variance
    at every n, and all but the same distribution: one simulation at 32 points serves all n.
    """
    null = _null_energies(dim, seed)
    above = len(null) - np.searchsorted(null, energy * np.sqrt(n * (n - 1)))
    return float((1 + above) / (1 + len(null)))


@lru_cache(maxsize=32)
def _null_energies(dim: int, seed: int) -> NDArray[np.float64]:
    """Return sorted scaled energies of samples of N(0, I)."""
    rng = np.random.default_rng(seed)
    scale = np.sqrt(_NULL_POINTS * (_NULL_POINTS - 1))
    draws = []
    block = max(1, min(_ELEMENTS // (_NULL_POINTS * max(dim, _NULL_POINTS)), _NULL_DRAWS))
    for start in range(0, _NULL_DRAWS, block):
        size = min(block, _NULL_DRAWS - start)
        u = rng.standard_normal((size, _NULL_POINTS, dim))
        draws.append(scale * normal_energy(normal_energy_kernel(u)))
    return np.sort(np.concatenate(draws))
