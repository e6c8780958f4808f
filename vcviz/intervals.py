"""Intervals of means and of shares, for all that reports either."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from vcviz.options import check_fraction


def normal_quantile(level: float) -> float:
    """Return the quantile of N(0, 1) whose central interval holds `level`."""
    return float(norm.ppf(0.5 + check_fraction("level", level) / 2))


def wilson(share: ArrayLike, n: ArrayLike, level: float = 0.95) -> NDArray[np.float64]:
    """Return (…, 2) ends of the Wilson score interval of shares of `n` independent trials.

    Parameters
    ----------
    share : (…) fractions
    n : trials, one number for all or one each; without any the ends are NaN
    level : mass of the intervals

    References
    ----------
    Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.
    """
    p, trials = np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64)
    z2 = normal_quantile(level) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (p + z2 / (2 * trials)) / (1 + z2 / trials)
        half = np.sqrt(z2) / (1 + z2 / trials)
        half = half * np.sqrt(p * (1 - p) / trials + z2 / (4 * trials**2))
    return np.clip(np.stack([middle - half, middle + half], axis=-1), 0, 1)
