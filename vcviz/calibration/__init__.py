"""How far a classifier's confidence can be trusted: reliability curves, ECE, scores, temperature.

All calibration errors are fractions, not percentages; likelihoods are in nats.
`vcviz.calibration.binning` says where the edges of the bins lie.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from vcviz.calibration.binning import (
    Binning,
    bin_edges,
    bins_of,
    bootstrap,
    calibration_error,
    cells_of,
    checked,
    column_quantiles,
    confidences,
    draws_if_calibrated,
    each_class,
    jeffreys,
)
from vcviz.calibration.smooth import SmoothError, smooth_calibration_error
from vcviz.errors import InputError
from vcviz.records import ReliabilityCurve, as_float, as_log_probs

__all__ = [
    "BrierParts",
    "SmoothError",
    "TemperatureFit",
    "apply_temperature",
    "brier_decomposition",
    "brier_score",
    "classwise_calibration_error",
    "expected_calibration_error",
    "fit_temperature",
    "maximum_calibration_error",
    "negative_log_likelihood",
    "reliability_curve",
    "smooth_calibration_error",
]


class TemperatureFit(NamedTuple):
    """A fitted temperature (T itself, not 1/T) with the NLL before and after it, in nats."""

    temperature: float
    nll_before: float
    nll_after: float


class BrierParts(NamedTuple):
    """A Brier score and its parts, in units of the score; see `brier_decomposition`.

    Attributes
    ----------
    score : reliability - resolution + uncertainty + remainder
    reliability : mean squared gap between confidence and frequency, 0 is best
    resolution : how far the frequencies of the bins differ, more is better
    uncertainty : variance of the labels, which no model changes
    remainder : what happens inside the bins
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    remainder: float


# ---------------------------------------------------------------- reliability


def reliability_curve(
    log_probs: ArrayLike,
    y: ArrayLike,
    *,
    n_bins: int = 15,
    binning: Binning = "width",
    label: int | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    name: str = "reliability",
) -> ReliabilityCurve:
    """Return accuracy against confidence in bins, with their ECE and what noise alone would do.

    Parameters
    ----------
    log_probs : (N, C) float array, natural log; each row sums to 1 after exp
    y : (N,) int array in [0, C)
    n_bins : number of bins K; see the module for their edges
    binning : "width" (equal widths of [0, 1]) or "mass" (equal counts)
    label : None for the top label (confidence max_k p_k, right if it is the label); k for the
        curve of class k (confidence p_k, "accuracy" is the share of samples of class k)
    resamples : draws for each interval; 0 leaves the intervals NaN
    level : mass of the intervals
    seed : of the draws
    name : title of the curve

    Returns
    -------
    ReliabilityCurve
        Empty bins have count 0 and NaN heights, and add nothing to `ece`.

    Raises
    ------
    InputError
        If `y` is not one label per row, rows are not log-probabilities, or an option is unknown.

    Notes
    -----
    ``ece`` = sum_k (n_k / N) |accuracy_k - confidence_k|.

    *Bootstrap* (`band_*`, `ece_interval`). Drawing N samples with replacement makes the counts
    of the 2K cells (bin, right or wrong) multinomial; they are drawn as such, at a cost that
    does not grow with N. The sum of the confidences in a cell of m drawn samples is drawn from
    the normal law with the same mean and variance as m draws from the cell: exact in its first
    two moments. The edges stay fixed. Where a bin's samples are all right (or all wrong) a
    bootstrap has no spread, and the Jeffreys interval takes its place. Resampling adds the noise
    of sampling a second time, which biases every resampled ECE upwards; the percentiles are
    shifted down by that bias (to no less than 0), so that the interval is about the estimate.

    *If calibrated* (`consistency_*`, `ece_if_calibrated`). Every sample keeps its confidence and
    is right with that probability. The number right in a bin is then Poisson-binomial; it is drawn
    as a binomial of the bin's mean confidence, its deviations shrunk to the exact variance
    sum_i p_i (1 - p_i).

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, eq. 3.
    Broecker & Smith, Increasing the Reliability of Reliability Diagrams, Weather and
    Forecasting 22, 2007 (consistency bars).
    """
    if resamples < 0:
        raise InputError(f"resamples must be 0 or more, got {resamples}")
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    confidence, right = confidences(log_probs, y, label)
    edges = bin_edges(confidence, n_bins, binning)
    cells = cells_of(confidence, right, edges)
    count = cells.counts.sum(1)
    filled = count > 0
    rng = np.random.default_rng(seed)
    tails = ((1 - level) / 2, (1 + level) / 2)

    ece = calibration_error(cells.counts[:, 1], cells.totals.sum(1), len(confidence))
    boot_right, boot_count, boot_total = bootstrap(cells, resamples, rng)
    boot_ece = calibration_error(boot_right, boot_total, len(confidence))
    with np.errstate(invalid="ignore"):
        band = column_quantiles(boot_right / boot_count, tails)
    certain = filled & (cells.counts.min(1) == 0)
    if resamples:
        band[:, certain] = jeffreys(cells.counts[certain, 1], count[certain], tails)
        shifted = np.quantile(boot_ece, tails) - (boot_ece.mean() - ece)
        ece_interval = (max(0.0, float(shifted[0])), float(shifted[1]))
    else:
        ece_interval = (np.nan, np.nan)

    null_right = draws_if_calibrated(cells, resamples, rng)
    null_ece = calibration_error(null_right, cells.totals.sum(1), len(confidence))
    consistency = column_quantiles(null_right / np.where(filled, count, np.nan), tails)
    null_interval = np.quantile(null_ece, tails) if resamples else (np.nan, np.nan)
    with np.errstate(invalid="ignore"):
        return ReliabilityCurve(
            edges=edges,
            count=count,
            confidence=cells.totals.sum(1) / count,
            accuracy=cells.counts[:, 1] / count,
            band_low=band[0],
            band_high=band[1],
            consistency_low=consistency[0],
            consistency_high=consistency[1],
            ece=float(ece),
            ece_interval=ece_interval,
            ece_if_calibrated=float(null_ece.mean()) if resamples else np.nan,
            ece_if_calibrated_interval=(float(null_interval[0]), float(null_interval[1])),
            n=len(confidence),
            binning=binning,
            level=level,
            name=name,
        )


def expected_calibration_error(
    log_probs: ArrayLike,
    y: ArrayLike,
    *,
    n_bins: int = 15,
    binning: Binning = "width",
    label: int | None = None,
) -> float:
    """Return the ECE, sum_k (n_k / N) |accuracy_k - confidence_k|, a fraction.

    The parameters are those of `reliability_curve`, whose `ece` this equals; nothing is resampled.
    """
    confidence, right = confidences(log_probs, y, label)
    return _ece(confidence, right, n_bins, binning)


def classwise_calibration_error(
    log_probs: ArrayLike, y: ArrayLike, *, n_bins: int = 15, binning: Binning = "width"
) -> float:
    """Return the mean over the C classes of the ECE of p(y=k|x), a fraction.

    References
    ----------
    Kull et al., Beyond Temperature Scaling, NeurIPS 2019, eq. 3.
    """
    return float(np.mean([_ece(*of, n_bins, binning) for of in each_class(log_probs, y)]))


def maximum_calibration_error(
    log_probs: ArrayLike,
    y: ArrayLike,
    *,
    n_bins: int = 15,
    binning: Binning = "width",
    label: int | None = None,
) -> float:
    """Return the largest |accuracy_k - confidence_k| over the bins with samples, a fraction."""
    confidence, right = confidences(log_probs, y, label)
    cells = cells_of(confidence, right, bin_edges(confidence, n_bins, binning))
    count = cells.counts.sum(1)
    gap = np.abs(cells.counts[:, 1] - cells.totals.sum(1))[count > 0] / count[count > 0]
    return float(gap.max())


def _ece(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], n_bins: int, binning: Binning
) -> float:
    edges = bin_edges(confidence, n_bins, binning)
    gaps = np.bincount(bins_of(confidence, edges), right - confidence, len(edges) - 1)
    return float(np.abs(gaps).sum() / len(confidence))


# ---------------------------------------------------------------- proper scores


def brier_score(log_probs: ArrayLike, y: ArrayLike) -> float:
    """Return the mean over samples of sum_k (p_k - [y = k])^2: 0 is perfect, 2 the worst.

    This is Brier's original sum over all classes, twice the one-column form used for C = 2.

    References
    ----------
    Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.
    """
    log_probs, y = checked(log_probs, y)
    probs = np.exp(log_probs.astype(np.float64, copy=False))
    own = probs[np.arange(len(y)), y]
    return float((np.einsum("nc,nc->n", probs, probs) - 2 * own + 1).mean())


def brier_decomposition(
    log_probs: ArrayLike, y: ArrayLike, *, n_bins: int = 15, binning: Binning = "width"
) -> BrierParts:
    """Return the Brier score in parts: reliability - resolution + uncertainty + remainder.

    With bins of each p_k, summed over the classes: *reliability* is the mean squared gap between
    confidence and frequency (0 is best), *resolution* the variance of the bins' frequencies
    (more is better), *uncertainty* the variance of the labels, which no model changes, and
    *remainder* what happens inside the bins (0 if confidences do not vary there).

    References
    ----------
    Murphy, A New Vector Partition of the Probability Score, 1973.
    Stephenson et al., Two Extra Components in the Brier Score Decomposition, 2008.
    """
    log_probs, y = checked(log_probs, y)
    n = len(y)
    parts = np.zeros(3)
    for confidence, right in each_class(log_probs, y):
        cells = cells_of(confidence, right, bin_edges(confidence, n_bins, binning))
        count, total, hits = cells.counts.sum(1), cells.totals.sum(1), cells.counts[:, 1]
        filled = count > 0
        count, total, hits = count[filled], total[filled], hits[filled]
        base = right.mean()
        parts += (
            ((total - hits) ** 2 / count).sum() / n,
            (count * (hits / count - base) ** 2).sum() / n,
            base * (1 - base),
        )
    reliability, resolution, uncertainty = (float(part) for part in parts)
    score = brier_score(log_probs, y)
    remainder = score - (reliability - resolution + uncertainty)
    return BrierParts(score, reliability, resolution, uncertainty, remainder)


def negative_log_likelihood(log_probs: ArrayLike, y: ArrayLike) -> float:
    """Return the mean of -log p(y|x) in nats; infinite if a label was given probability 0."""
    log_probs, y = checked(log_probs, y)
    return float(-log_probs[np.arange(len(y)), y].mean(dtype=np.float64))


# ---------------------------------------------------------------- temperature


def mean_kl(label_probs: ArrayLike, log_probs: ArrayLike) -> float:
    """Return the mean over rows of KL(true p(y|x) || predicted p(y|x)) in nats.

    What the expected NLL has above its smallest possible value, without the noise of labels.

    Parameters
    ----------
    label_probs : (N, C) true or human label distributions
    log_probs : (N, C) predicted log-probabilities
    """
    log_probs, truth = as_log_probs(log_probs), as_float("label_probs", label_probs, 2, np.float64)
    if truth.shape != log_probs.shape:
        raise InputError(
            f"label_probs must have the shape {log_probs.shape} of log_probs, got {truth.shape}"
        )
    used = truth > 0
    return float(np.sum(truth[used] * (np.log(truth[used]) - log_probs[used])) / len(truth))


def apply_temperature(log_probs: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Return (N, C) log-probabilities softmax(log_probs / T), in float64.

    T above 1 softens, below 1 sharpens, 1 changes nothing; the order of the classes never changes.
    """
    if not 0 < temperature < np.inf:
        raise InputError(f"temperature must be positive and finite, got {temperature}")
    scaled = as_log_probs(log_probs) / temperature
    return scaled - logsumexp(scaled, axis=1, keepdims=True)


def fit_temperature(log_probs: ArrayLike, y: ArrayLike) -> TemperatureFit:
    """Return the temperature T in [0.01, 100] of least NLL, with the NLL before and after.

    Fit it on data that the classifier was not trained on. The search is over log T, in float64
    whatever the input: the NLL is convex in 1/T, so there is one minimum.

    Raises
    ------
    InputError
        If a label has probability 0, which no temperature changes.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    """
    log_probs, y = checked(log_probs, y)
    log_probs = log_probs.astype(np.float64, copy=False)
    before = negative_log_likelihood(log_probs, y)
    if not np.isfinite(before):
        lost = int(np.isneginf(log_probs[np.arange(len(y)), y]).sum())
        raise InputError(
            f"{lost} rows of log_probs give their label probability 0: no temperature helps"
        )
    relative = log_probs - log_probs.max(1, keepdims=True)
    own = relative[np.arange(len(y)), y]

    def nll(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        scaled = np.exp(relative * inverse)
        return float((np.log(np.einsum("nc->n", scaled)) - own * inverse).mean())

    bounds = (np.log(0.01), np.log(100.0))
    found = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    if not found.fun < nll(0.0):
        return TemperatureFit(1.0, before, before)
    return TemperatureFit(float(np.exp(found.x)), before, float(found.fun))
