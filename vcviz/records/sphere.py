"""Numbers of the von Mises-Fisher law on the unit sphere: normaliser, moments, its angle.

The law of unit vectors z in D dimensions with mean direction m and concentration k >= 0 has, with
respect to area, the density c_D(k) exp(k m'z).

References
----------
Mardia & Jupp, Directional Statistics, 2000, section 9.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, gammaincinv, ive

from vcviz.records.checks import as_float

# From this order on the uniform expansion of the Bessel function is exact to 13 digits.
_UNIFORM_ORDER = 45
_LARGE = 1e8
_NODES = 2049
_LEAST_MASS = 1e-100


def log_normaliser(concentration: ArrayLike, dim: int) -> NDArray[np.float64]:
    """Return log c_D(k) = v log k - D/2 log 2 pi - log I_v(k), v = D/2 - 1, for k > 0 in nats."""
    k = np.asarray(concentration, np.float64)
    order = dim / 2 - 1
    return order * np.log(k) - dim / 2 * np.log(2 * np.pi) - log_bessel(order, k) - k


def mean_length(concentration: ArrayLike, dim: int) -> NDArray[np.float64]:
    """Return A_D(k) = I_(v+1)(k) / I_v(k), v = D/2 - 1: the length of the mean of the law."""
    k, order = np.asarray(concentration, np.float64), dim / 2 - 1
    return np.exp(log_bessel(order + 1, k) - log_bessel(order, k))


def log_bessel(order: float, x: ArrayLike) -> NDArray[np.float64]:
    """Return log I_order(x) - x, I the modified Bessel function of the first kind, for x > 0.

    SciPy's `ive` below order 45, above it the uniform expansion (Abramowitz & Stegun 9.7.7),
    which neither overflows nor underflows.
    """
    x = np.asarray(x, np.float64)
    if order < _UNIFORM_ORDER:
        # SciPy gives up on large x, where two terms (Abramowitz & Stegun 9.7.1) are exact.
        m, e = 4 * order**2, 8 * np.maximum(x, _LARGE)
        series = np.log1p(-(m - 1) / e * (1 - (m - 9) / (2 * e)))
        return np.where(
            x > _LARGE,
            series - 0.5 * np.log(2 * np.pi * x),
            np.log(ive(order, np.minimum(x, _LARGE))),
        )
    root = np.hypot(order, x)
    p = order / root
    s = p * p
    u = (
        (p * (3 - 5 * s) / 24) / order,
        (s * (81 - 462 * s + 385 * s**2) / 1152) / order**2,
        (p * s * (30375 - 369603 * s + 765765 * s**2 - 425425 * s**3) / 414720) / order**3,
        s**2
        * (4465125 - 94121676 * s + 349922430 * s**2 - 446185740 * s**3 + 185910725 * s**4)
        / 39813120
        / order**4,
    )
    exponent = order**2 / (root + x) + order * np.log(x / (order + root))
    return exponent - 0.5 * np.log(2 * np.pi * root) + np.log1p(sum(u))


def separating_concentration(cosine: float, dim: int, separation: float) -> float:
    """Return the concentration at which two classes are `separation` standard deviations apart.

    Between the means of two laws whose directions have that cosine, in units of the standard
    deviation of either along the line that joins them: 6 for neighbours of a Gaussian law.
    """
    sin2, cos2 = (1 - cosine) / 2, (1 + cosine) / 2  # squares, of half the angle

    def apart(log_k: float) -> float:
        length, along, across = along_and_across(np.exp(log_k), dim)
        return float(2 * length * np.sqrt(sin2 / (sin2 * along + cos2 * across)))

    low, high = np.log(1e-3), np.log(1e6)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if apart(middle) < separation else (low, middle)
    return float(np.exp(high))


def along_and_across(
    concentration: ArrayLike, dim: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of m'z, its variance, and the variance of z in any direction across m."""
    k = np.asarray(concentration, np.float64)
    length = mean_length(k, dim)
    across = length / k
    # 1 - (D - 1) A / k - A^2 loses all its digits to cancellation for large k; what is left is
    # never below zero, and (D - 1) / (2 k^2) in that limit.
    along = np.where(k < 1e4 * dim, 1 - (dim - 1) * across - length**2, (dim - 1) / (2 * k**2))
    return length, np.maximum(along, 0), across


def normal_residuals(
    z: NDArray[np.float64], direction: NDArray[np.float64], concentration: float
) -> NDArray[np.float64]:
    """Return (N, D - 1) residuals of unit vectors (N, D): standard normal if they follow the law.

    The tangent of z at the mean direction, with the length that a standard normal exceeds as
    often as the law exceeds the angle between the two.
    """
    turned = _to_first_axis(direction, z)
    across = np.linalg.norm(turned[:, 1:], axis=1)
    radius = _normal_radius(np.arctan2(across, turned[:, 0]), concentration, z.shape[1])
    return turned[:, 1:] * (radius / np.where(across > 0, across, 1))[:, None]


def mass_angle(mass: float, concentration: float, dim: int) -> float:
    """Return the angle from the mean direction within which the law has that mass, in radians."""
    angle, below, _ = _angle_law(concentration, dim)
    return float(np.interp(mass, below, angle))


def _normal_radius(
    angle: NDArray[np.float64], concentration: float, dim: int
) -> NDArray[np.float64]:
    nodes, below, above = _angle_law(concentration, dim)
    square = np.where(
        above < 0.5, chdtri(dim - 1, above), 2 * gammaincinv((dim - 1) / 2, np.minimum(below, 0.5))
    )
    known = above > _LEAST_MASS
    radius = np.interp(angle, nodes[known], np.sqrt(square[known]))
    # Farther out the mass beyond is no longer a number; its logarithm goes on like this.
    last = nodes[known][-1]
    more = 2 * concentration * np.maximum(np.cos(last) - np.cos(angle), 0)
    return np.where(angle > last, np.sqrt(radius**2 + more), radius)


def _angle_law(
    concentration: float, dim: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return angles from the mean direction and the mass of the law below and above each."""
    # Finely as far as a mass of 1e-100 lies beyond, coarsely from there.
    bulk = min(np.pi, (22 + 2 * np.sqrt(dim)) / np.sqrt(concentration))
    angle = np.unique(np.r_[np.linspace(0, bulk, _NODES), np.linspace(bulk, np.pi, _NODES)])
    with np.errstate(divide="ignore"):
        log_density = (dim - 2) * np.log(np.sin(angle)) if dim > 2 else np.zeros_like(angle)
    log_density = log_density + concentration * (np.cos(angle) - 1)
    density = np.exp(log_density - log_density.max())
    part = (density[1:] + density[:-1]) / 2 * np.diff(angle)
    below = np.r_[0, np.cumsum(part)]
    above = np.r_[np.cumsum(part[::-1])[::-1], 0]
    return angle, below / below[-1], above / below[-1]


def _to_first_axis(direction: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, D) vectors turned such that the unit vector `direction` becomes (1, 0, …).

    By a reflection, the one of two that is not ill-conditioned.
    """
    sign = -1.0 if direction[0] > 0 else 1.0
    axis = direction.copy()
    axis[0] -= sign
    turned = z - np.outer(z @ axis * 2 / (axis @ axis), axis)
    turned[:, 0] *= sign
    return turned


def unit_rows(z: ArrayLike, name: str = "z") -> NDArray[np.float64]:
    """Return the rows of (N, D) divided by their lengths; a row of zeros stays."""
    rows = as_float(name, z, 2, np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)
