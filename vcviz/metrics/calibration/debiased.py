"""The calibration error of the population behind a sample: an estimate and an interval.

The ECE of n rows is too large on average, most of all for a calibrated model, whose own error is
0: every bin adds the size of its noise. No resampling of the rows undoes that, since rows that are
drawn again have the noise twice. So the question is turned round: of which errors would an ECE as
large as this one be no surprise?
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri

from vcviz.metrics.calibration.binning import Cells, calibration_error

Array = NDArray[np.float64]
#: of the multiplier: what its hyperbolic sine is divided by, and how far it is sought
_SCALE, _FURTHEST = 50.0, 7.0
#: data sets for an error at most: their own noise moves an end by a tenth of its distance
_DRAWS = 500


def debiased_error(
    cells: Cells, resamples: int, level: float, rng: np.random.Generator
) -> tuple[float, tuple[float, float]]:
    """Return a median-unbiased estimate of the population's ECE and an interval for it.

    Parameters
    ----------
    cells : samples of each bin
    resamples : data sets drawn for each error that is tried, of which 500 are enough
    level : mass of the interval
    rng : of the draws

    Returns
    -------
    estimate, (low, high) : of sum_k |E[(right - confidence) 1(bin k)]|, the edges taken as fixed

    Notes
    -----
    For an error E the accuracies of the bins are taken to be the likeliest ones whose error is E
    (`likeliest`), and data sets of this size are drawn from them: multinomial counts, binomial
    hits with their deviations shrunk to the variance that confidences which vary inside a bin
    leave. E is in the interval if the observed ECE lies in neither tail of the ECEs drawn; the
    estimate is the E of which half the draws lie above it, or 0. The tails hold half of
    1 - `level` each. Only towards E = 0, where nothing lies below, all of it goes to the upper
    tail (from the mean ECE of a calibrated model down, along a line): there the interval excludes
    0 exactly if a test of calibration at that level does, and it is never empty.

    References
    ----------
    Chuang & Lai, Hybrid resampling methods for confidence intervals, Statistica Sinica 10, 2000.
    Feldman & Cousins, Unified approach to the classical statistical analysis of small signals,
    Physical Review D 57, 1998 (intervals at a boundary).
    Roelofs et al., Mitigating Bias in Calibration Error Estimation, AISTATS 2022 (the bias).
    """
    resamples = min(resamples, _DRAWS)
    filled = cells.counts.sum(1) > 0
    cells = Cells(*(part[filled] for part in cells))
    count, total = cells.counts.sum(1), cells.totals.sum(1)
    n, confidence = int(count.sum()), np.minimum(total / count, 1)
    observed = float(calibration_error(cells.counts[:, 1], total, n))
    counts = rng.multinomial(n, count / n, size=resamples)
    seed = int(rng.integers(2**62))

    def drawn(accuracy: Array) -> Array:
        gap = accuracy - confidence
        # What is binomial about a hit: the mean of p (1 - p) over the bin's confidences + gap.
        squares = cells.squares.sum(1) / count + 2 * gap * confidence + gap * gap
        binomial = accuracy * (1 - accuracy)
        left = np.divide(accuracy - squares, binomial, out=np.ones(len(gap)), where=binomial > 0)
        # The same random numbers for every error: what differs between two is not their noise.
        hits = np.random.default_rng(seed).binomial(counts, accuracy)
        deviation = np.sqrt(np.clip(left, 0, 1)) * (hits - counts * accuracy)
        return np.abs(counts * gap + deviation).sum(1) / n

    places = [-_FURTHEST, _FURTHEST]

    @cache
    def tried(place: float | None) -> tuple[float, float]:
        """Return the error at a place of the path, and in normal quantiles the share above."""
        if place is not None and abs(place) < _FURTHEST:
            places.append(place)
        if place is None:
            accuracy = confidence
        else:
            accuracy = likeliest(cells, -float(np.sinh(place)) / _SCALE)
        draws = drawn(accuracy)
        slack = 1e-12
        share = ((draws > observed + slack).mean() + (draws >= observed - slack).mean()) / 2
        error = float(count @ np.abs(accuracy - confidence) / n)
        return error, float(ndtri(np.clip(share, 0.5 / resamples, 1 - 0.5 / resamples)))

    def where(target: Callable[[float], float]) -> float:
        """Return the error of which a share `target(error)` of the draws lies above."""

        def short(place: float | None) -> float:
            error, above = tried(place)
            return above - float(ndtri(target(error)))

        if short(None) >= 0:
            return 0.0
        below = [place for place in places if short(place) < 0]
        above = [place for place in places if short(place) >= 0]
        if not below or not above:
            return tried(places[0] if above else places[1])[0]
        # What was tried for another target brackets this one too.
        return tried(float(brentq(short, max(below), min(above), xtol=1e-2)))[0]

    calibrated = float(drawn(confidence).mean())

    def upper_tail(error: float) -> float:
        near = max(1 - error / calibrated, 0.0) if calibrated > 0 else 0.0
        return (1 - level) * (1 + near) / 2

    low, estimate = where(upper_tail), where(lambda _: 0.5)
    high = where(lambda error: level + upper_tail(error))
    return estimate, (min(low, estimate), max(high, estimate))


def likeliest(cells: Cells, multiplier: float) -> Array:
    """Return (K,) accuracies of greatest binomial likelihood among those of the same error.

    By Lagrange's rule: with h of n right in a bin, (h/n - a) / (a (1 - a)) = multiplier for an
    accuracy a above the confidence, mirrored below it; a bin that would cross its confidence
    stays there. Multiplier 0 gives the observed accuracies, larger ones an error nearer to 0.
    """
    count, total = cells.counts.sum(1), cells.totals.sum(1)
    accuracy, confidence = cells.counts[:, 1] / count, np.minimum(total / count, 1)
    above = accuracy >= confidence
    a, least = (np.where(above, part, 1 - part) for part in (accuracy, confidence))
    if abs(multiplier) > 1e-12:
        middle = 1 + multiplier
        a = (middle - np.sqrt(np.maximum(middle**2 - 4 * multiplier * a, 0))) / (2 * multiplier)
    a = np.clip(np.maximum(a, least), 0, 1)
    return np.where(above, a, 1 - a)
