"""Rows in blocks: what is made of millions of latents at once stays within some megabytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

_VALUES = 2**22  # numbers of a block: 32 MB of float64
_ROWS = 256  # at least so many, or the products of small matrices rule
# Up to so many centres times dimensions the differences themselves are squared.
_DIRECT = 4096


def row_blocks(n: int, width: int) -> Iterator[slice]:
    """Yield slices of `n` rows such that a block of them, `width` numbers each, stays small."""
    size = max(_VALUES // max(width, 1), _ROWS)
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def squared_distances(u: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, K) squared Euclidean distances of rows (N, D) from centres (K, D).

    Few differences are squared as they are; of many (K D > 4096) the square is expanded about the
    mean of the centres, a product of matrices that needs no (N, K, D) array.
    """
    if centres.size <= _DIRECT:
        return cdist(u, centres, "sqeuclidean")
    middle = centres.mean(0)
    u, centres = u - middle, centres - middle
    out = u @ (-2 * centres.T)
    out += np.einsum("nd,nd->n", u, u)[:, None]
    out += np.einsum("kd,kd->k", centres, centres)
    return np.maximum(out, 0, out=out)
