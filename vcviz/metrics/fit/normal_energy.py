"""Energy distance of one sample from a law, with an interval and a p-value.

The law is the standard normal, or one that is known by its draws alone.

References
----------
Szekely & Rizzo, A new test for multivariate normality, Journal of Multivariate Analysis 93, 2005.
Szekely & Rizzo, Testing for equal distributions in high dimension, InterStat, 2004 (draws).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import gammaln

from vcviz.metrics.fit.energy import distances

_ELEMENTS = 2**21  # of a block of kernels: 16 MB
_NULL_DRAWS = 1999
_NULL_POINTS = 32
_PERMUTATIONS, _LEAST_DRAWS = 499, 500


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
    kernel -= distances(centred, centred)
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


def drawn_kernel(u: NDArray[np.float64], draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, N) terms as `normal_energy_kernel` does, expectations taken over (M, D) draws.

    Their mean off the diagonal is the unbiased energy distance of the two samples.
    """
    m = len(draws)
    apart = cdist(u, draws).mean(1)
    between = cdist(draws, draws).sum() / (m * (m - 1))
    kernel = apart[:, None] + apart - between - cdist(u, u)
    np.fill_diagonal(kernel, 0)
    return kernel


def permutation_p_value(
    u: NDArray[np.float64], draws: NDArray[np.float64], rng: np.random.Generator
) -> float:
    """Return the share of 499 shuffles of latents and draws that lie as far apart, or farther.

    Exact whatever the law: as many draws as latents take part, 500 at least.
    """
    n, m = len(u), min(len(draws), max(len(u), _LEAST_DRAWS))
    both = np.concatenate([u, draws[:m]])
    distance = cdist(both, both)
    side = np.zeros((1 + _PERMUTATIONS, n + m))
    side[0, :n] = 1
    for row in side[1:]:
        row[rng.choice(n + m, n, replace=False)] = 1
    # 2 E|a-b| - E|a-a'| - E|b-b'| by the weights 1/n and -1/m: a quadratic form.
    weight = np.where(side > 0, 1 / n, -1 / m)
    energy = -np.einsum("rn,rn->r", weight @ distance, weight)
    return float((energy[1:] >= energy[0] * (1 - 1e-12)).sum() + 1) / (1 + _PERMUTATIONS)
