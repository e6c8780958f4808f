"""Intervals of shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from vcviz.options import check_fraction


def wilson(share: ArrayLike, n: int, level: float = 0.95) -> NDArray[np.float64]:
    """Return (…, 2) ends of the Wilson score interval of shares of `n` independent trials.

    References
    ----------
    Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.
    """
    p = np.asarray(share, dtype=np.float64)
    z2 = norm.ppf(0.5 + check_fraction("level", level) / 2) ** 2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2) / (1 + z2 / n) * np.sqrt(p * (1 - p) / n + z2 / (4 * n**2))
    return np.clip(np.stack([middle - half, middle + half], axis=-1), 0, 1)
