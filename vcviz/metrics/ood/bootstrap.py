"""Bootstrap interval of FPR at a TPR: both sides are drawn again, ties kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from vcviz.base.options import check_count, check_fraction
from vcviz.metrics.ood.ranks import accepted_rows, ranked

Interval = tuple[float, float]


def fpr_interval(
    scores_in: ArrayLike,
    scores_out: ArrayLike,
    *,
    tpr: float = 0.95,
    level: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> Interval:
    """Return the percentile bootstrap interval of `fpr_at_tpr` that holds `level`.

    The threshold is found again in every draw of the known samples: its noise is part of the
    interval. At 0 and 1 the Jeffreys interval of a proportion of the strangers widens it.
    """
    known, strange = ranked(scores_in, scores_out)
    accepted = accepted_rows(int(known.sum()), tpr)

    def rate(known: NDArray[np.int64], strange: NDArray[np.int64]) -> float:
        below = int(np.searchsorted(known.cumsum(), accepted)) + 1
        return float(strange[:below].sum() / strange.sum())

    drawn = [rate(k, s) for k, s in _resampled(known, strange, resamples, seed)]
    return _widened(rate(known, strange), drawn, int(strange.sum()), level)


def _resampled(
    first: NDArray[np.int64], second: NDArray[np.int64], resamples: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield counts by score of both sides, each drawn again with replacement."""
    rng = np.random.default_rng(check_count("seed", seed, minimum=0))
    places = [np.repeat(np.arange(len(c)), c) for c in (first, second)]
    for _ in range(check_count("resamples", resamples)):
        one, two = (
            np.bincount(p[rng.integers(len(p), size=len(p))], minlength=len(first)) for p in places
        )
        yield one, two


def _widened(value: float, drawn: list[float], n: int, level: float) -> Interval:
    check_fraction("level", level)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(drawn, tails)
    if value >= 1 - 1e-12:
        low = min(low, beta.ppf(tails[0], n + 0.5, 0.5))
    if value <= 1e-12:
        high = max(high, beta.ppf(tails[1], 0.5, n + 0.5))
    return float(low), float(high)
