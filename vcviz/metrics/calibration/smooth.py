"""Smooth calibration error: how far confidence is off, without bins.

Residuals (right or wrong, minus confidence) are smoothed along the confidence with a Gaussian
kernel that is reflected at 0 and 1, and the smoothed density's absolute value is integrated.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dct, idct

from vcviz.base.options import check_count, check_fraction, check_number
from vcviz.metrics.calibration.binning import (
    Cells,
    Predicted,
    bootstrap,
    confidences,
    draws_if_calibrated,
)

#: cells of [0, 1] in which samples count as one confidence, for the estimate
_FINE = 4096
#: cells per bandwidth: to integrate in, and that the draws are made in, at least and at most
_PER_BANDWIDTH, _DRAWN_PER_BANDWIDTH, _COARSE = 8, 4, (64, 1024)
#: smallest bandwidth, and halvings of its logarithm
_LEAST, _HALVINGS = 1e-4, 7
#: draws that tell how small the cells of the others must be
_PILOT = 4


class SmoothError(NamedTuple):
    """A smooth calibration error, a fraction; see `smooth_calibration_error`.

    Attributes
    ----------
    ece : the error at `bandwidth`
    bandwidth : standard deviation of the kernel, in units of confidence
    interval : bootstrap interval of what `ece` is on average for samples of this size, which is
        more than the population's error, for a calibrated model above all. Rough: of 95 % it held
        that mean in 89 to 99 % of simulated samples. `ReliabilityCurve.ece_debiased_interval` is
        about the population.
    if_calibrated, if_calibrated_interval : mean and interval of the error of a perfectly
        calibrated classifier with these confidences

    Examples
    --------
    >>> p = np.array([[0.9, 0.1]] * 100)
    >>> found = vcviz.metrics.smooth_calibration_error(np.log(p), [0] * 90 + [1] * 10)
    >>> found.ece < found.if_calibrated  # even a calibrated classifier shows more on 100 samples
    True
    """

    ece: float
    bandwidth: float
    interval: tuple[float, float]
    if_calibrated: float
    if_calibrated_interval: tuple[float, float]


def smooth_calibration_error(
    log_probs: Predicted,
    y: ArrayLike | None = None,
    *,
    label: int | None = None,
    bandwidth: float | None = None,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> SmoothError:
    """Return the smooth ECE (smECE), which has no bins to choose, with its interval.

    Parameters
    ----------
    log_probs : (N, C) float array, natural log; each row sums to 1 after exp
    y : (N,) int array in [0, C)
    label : None for the top label, k for the probability of class k
    bandwidth : standard deviation of the kernel; None for the one that equals the error itself,
        of which there is exactly one
    resamples : draws for each interval; 0 leaves the intervals NaN
    level : mass of the intervals
    seed : of the draws

    Returns
    -------
    SmoothError

    Raises
    ------
    InputError
        As for `reliability_curve`.

    Notes
    -----
    smECE_s = integral over t in [0, 1] of |sum_i (right_i - confidence_i) K_s(t, confidence_i)|
    / N with the reflected Gaussian kernel K_s. It falls as s grows, and the bandwidth is the fixed
    point smECE_s = s, sought down to 1e-4. Samples are counted in 4096 cells. In the cosines of
    those cells the kernel is a product, reflections and all, so that every s costs one transform
    and none grows with N. Draws are those of `reliability_curve`, each with a bandwidth of its
    own, in cells of at most a quarter of the bandwidth (but no less than 1/1024); the bootstrap's
    percentiles are shifted by its bias likewise.

    References
    ----------
    Błasiok & Nakkiran, Smooth ECE: Principled Reliability Diagrams via Kernel Smoothing,
    arXiv 2309.12236, 2023, definitions 2 and 3.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1]] * 100)
    >>> found = vcviz.metrics.smooth_calibration_error(np.log(p), [0] * 70 + [1] * 30)
    >>> print(f"{found.ece:.2f}")  # as sure as 0.9, right 70 times of 100
    0.20
    """
    resamples = check_count("resamples", resamples, minimum=0)
    check_fraction("level", level)
    rng = np.random.default_rng(check_count("seed", seed, minimum=0))
    if bandwidth is not None:
        check_number("bandwidth", bandwidth, above=0)
    confidence, right = confidences(log_probs, y, label)
    n = len(confidence)
    gaps = _counted(confidence, right - confidence, _FINE)
    error, width = (float(part[0]) for part in _errors(gaps[None] / n, bandwidth))
    if resamples == 0:
        unknown = (np.nan, np.nan)
        return SmoothError(error, width, unknown, np.nan, unknown)
    tails = ((1 - level) / 2, (1 + level) / 2)
    cells, filled = _cells(confidence, right, _size(width))
    hits, total = bootstrap(cells, resamples, rng)
    again = _errors(_spread(hits - total, filled, n), bandwidth)[0]
    low, high = np.quantile(again, tails) - (again.mean() - error)

    # The error of calibrated draws may be far smaller, and needs smaller cells: a first look.
    cells, filled = _cells(confidence, right, _COARSE[1])
    pilot = draws_if_calibrated(cells, _PILOT, rng) - cells.totals.sum(1)
    width_if = float(_errors(_spread(pilot, filled, n), bandwidth)[1].min())
    cells, filled = _cells(confidence, right, _size(width_if))
    null_gaps = draws_if_calibrated(cells, resamples, rng) - cells.totals.sum(1)
    null = _errors(_spread(null_gaps, filled, n), bandwidth)[0]
    null_low, null_high = np.quantile(null, tails)
    return SmoothError(
        error,
        width,
        (max(0.0, float(low)), float(high)),
        float(null.mean()),
        (float(null_low), float(null_high)),
    )


def _counted(
    confidence: NDArray[np.float64], weights: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """Return the (size,) sums of weights of the samples in equal cells of [0, 1]."""
    cell = np.minimum((confidence * size).astype(np.intp), size - 1)
    return np.bincount(cell, weights, minlength=size).astype(np.float64, copy=False)


def _cells_for(width: float, per_bandwidth: int) -> int:
    """Return a power of two of cells of which that many or more make a bandwidth."""
    return 2 ** int(np.ceil(np.log2(per_bandwidth / max(width, _LEAST))))


def _size(width: float) -> int:
    return min(max(_cells_for(width, _DRAWN_PER_BANDWIDTH), _COARSE[0]), _COARSE[1])


def _cells(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], size: int
) -> tuple[Cells, NDArray[np.bool_]]:
    """Return the filled cells of a grid, and which these are.

    What varies inside one is far below the bandwidth.
    """
    cell = 2 * np.minimum((confidence * size).astype(np.intp), size - 1) + right
    count = np.bincount(cell, minlength=2 * size).reshape(size, 2)
    total = np.bincount(cell, confidence, minlength=2 * size).reshape(size, 2)
    filled = count.sum(1) > 0
    count, total = count[filled], total[filled]
    return Cells(count, total, total**2 / np.maximum(count, 1)), filled


def _spread(gaps: NDArray, filled: NDArray[np.bool_], n: int) -> NDArray[np.float64]:
    """Return (R, G) residuals per sample on the whole grid."""
    every = np.zeros((len(gaps), len(filled)))
    every[:, filled] = gaps / n
    return every


def _errors(
    gaps: NDArray[np.float64], bandwidth: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (R,) errors and bandwidths of (R, G) residuals, each summed per cell and over N."""
    waves = dct(gaps, axis=1)
    decay = -0.5 * (np.pi * np.arange(gaps.shape[1])) ** 2

    def error(width: NDArray[np.float64]) -> NDArray[np.float64]:
        # Waves much shorter than the kernel are gone: the wider it is, the fewer are left.
        kept = min(_cells_for(width.min(), _PER_BANDWIDTH), gaps.shape[1])
        smooth = waves[:, :kept] * np.exp(decay[:kept] * width[:, None] ** 2)
        return np.abs(idct(smooth, axis=1, overwrite_x=True)).sum(1)

    if bandwidth is not None:
        width = np.full(len(gaps), float(bandwidth))
        return error(width), width
    # The error falls like a power of the bandwidth: halve in its logarithm, then draw a line.
    low, high = np.full(len(gaps), np.log(_LEAST)), np.zeros(len(gaps))
    for _ in range(_HALVINGS if len(gaps) > 1 else 3 * _HALVINGS):
        middle = (low + high) / 2
        above = error(np.exp(middle)) > np.exp(middle)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    lowest, highest = error(np.exp(low)), error(np.exp(high))
    with np.errstate(divide="ignore", invalid="ignore"):
        over, under = np.log(lowest) - low, np.log(highest) - high
        share = np.where(over > under, over / (over - under), 0.0)
    width = np.exp(low + np.clip(np.nan_to_num(share), 0, 1) * (high - low))
    return np.where(lowest < _LEAST, lowest, width), width
