"""Energy distance from a law that is known by its draws alone, and a test of equal laws.

References
----------
Szekely & Rizzo, Testing for equal distributions in high dimension, InterStat, 2004.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

_PERMUTATIONS = 499
_LEAST = 500


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
    n, m = len(u), min(len(draws), max(len(u), _LEAST))
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
