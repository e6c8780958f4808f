"""Intervals of means and of shares, for all that reports either."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import gamma, norm

from vcviz.base.options import check_fraction


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
    # Of 0 and of 1 an end is the share itself, but for rounding.
    ends = np.stack([np.minimum(middle - half, p), np.maximum(middle + half, p)], axis=-1)
    return np.clip(ends, 0, 1)


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the correlation of two (N,) arrays, 0 where one of them does not vary."""
    spread = first.std() * second.std()
    if not spread > 1e-30:
        return 0.0
    return float(((first - first.mean()) * (second - second.mean())).mean() / spread)


def mean_of_losses(
    losses: ArrayLike, *, heaviest: float = 0.0, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the mean of N independent losses, none negative, few of them large.

    Of values that are nearly all small a normal interval is too short, and most of all where none
    of the large ones happens to be among them. This is a gamma interval: of the gamma law that has
    the mean and the variance of the mean, and at the upper end of the one that it would have with
    a further loss of the heaviest kind. For many losses it is the normal interval. Where almost
    none was large it holds more than `level`, as exact intervals of rare events do.

    Parameters
    ----------
    losses : (N,) values, two at least
    heaviest : a loss that may occur though none as large has been seen; the largest of `losses`
        counts in any case
    level : mass of the interval

    References
    ----------
    Fay & Feuer, Confidence intervals for directly standardized rates: a method based on the gamma
    distribution, Statistics in Medicine 16, 1997.
    """
    x = np.asarray(losses, dtype=np.float64)
    tail = (1 - check_fraction("level", level)) / 2
    mean, variance = float(x.mean()), float(x.var(ddof=1)) / len(x)
    more = max(float(x.max()), heaviest) / len(x)

    def quantile(mean: float, variance: float, share: float) -> float:
        if not mean > 0 or not variance > 1e-30 * mean**2:
            return mean
        return float(gamma.ppf(share, mean**2 / variance, scale=variance / mean))

    return quantile(mean, variance, tail), quantile(mean + more, variance + more**2, 1 - tail)


def difference_interval(
    first: tuple[float, float, float], second: tuple[float, float, float], correlation: float = 0.0
) -> tuple[float, float]:
    """Return the interval of a difference from the (low, estimate, high) of its two terms.

    Each end recovers the variance that its own side of the two intervals stands for (MOVER), so
    that intervals that are not symmetric keep their shape.

    References
    ----------
    Zou & Donner, Construction of confidence limits about effect measures: a general approach,
    Statistics in Medicine 27, 2008.
    """
    (low, one, high), (least, other, most) = first, second

    def reach(a: float, b: float) -> float:
        return float(np.sqrt(max(a * a + b * b - 2 * correlation * a * b, 0.0)))

    return one - other - reach(one - low, most - other), one - other + reach(
        high - one, other - least
    )
