"""Proper scores (Brier's with its parts, likelihood in nats), and how far a truth is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vcviz.metrics.calibration.binning import (
    Binning,
    Predicted,
    bin_edges,
    bins_of,
    checked,
    each_class,
)
from vcviz.records import as_log_probs
from vcviz.records.checks import as_distributions

_BLOCK = 8192


class BrierParts(NamedTuple):
    """A Brier score and its parts, in units of the score; see `brier_decomposition`.

    Attributes
    ----------
    score : reliability - resolution + uncertainty + remainder
    reliability : mean squared gap between confidence and frequency, 0 is best
    resolution : how far the frequencies of the bins differ, more is better
    uncertainty : variance of the labels, which no model changes
    remainder : what happens inside the bins

    Examples
    --------
    >>> p = np.array([[0.9, 0.1]] * 10)
    >>> parts = vcviz.metrics.brier_decomposition(np.log(p), [0] * 9 + [1])
    >>> print(f"{parts.reliability:.2f}, {parts.uncertainty:.2f}")  # calibrated; the rest is noise
    0.00, 0.18
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    remainder: float


def brier_score(log_probs: Predicted, y: ArrayLike | None = None) -> float:
    """Return the mean over samples of sum_k (p_k - [y = k])^2: 0 is perfect, 2 the worst.

    This is Brier's original sum over all classes, twice the one-column form used for C = 2.

    Parameters
    ----------
    log_probs : a `LatentSet`; or (N, C) float array, natural log, each row sums to 1 after exp
    y : (N,) int array in [0, C), of an array

    Returns
    -------
    float

    Raises
    ------
    InputError
        If `y` is not one label per row, or rows are not log-probabilities.

    References
    ----------
    Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1], [0.4, 0.6]])
    >>> print(f"{vcviz.metrics.brier_score(np.log(p), [0, 0]):.2f}")
    0.37
    """
    log_probs, y = checked(log_probs, y)
    total = 0.0
    for start in range(0, len(y), _BLOCK):
        rows = slice(start, start + _BLOCK)
        probs = np.exp(log_probs[rows].astype(np.float64, copy=False))
        own = np.take_along_axis(probs, y[rows, None], axis=1)
        total += np.vdot(probs, probs) - 2 * own.sum()
    return float(total / len(y) + 1)


def brier_decomposition(
    log_probs: Predicted,
    y: ArrayLike | None = None,
    *,
    n_bins: int = 15,
    binning: Binning = "width",
) -> BrierParts:
    """Return the Brier score in parts: reliability - resolution + uncertainty + remainder.

    With bins of each p_k, summed over the classes: *reliability* is the mean squared gap between
    confidence and frequency (0 is best), *resolution* the variance of the bins' frequencies
    (more is better), *uncertainty* the variance of the labels, which no model changes, and
    *remainder* what happens inside the bins (0 if confidences do not vary there).

    Parameters
    ----------
    log_probs : a `LatentSet`; or (N, C) float array, natural log, each row sums to 1 after exp
    y : (N,) int array in [0, C), of an array
    n_bins : bins of each p_k
    binning : "width" (equal widths of [0, 1]) or "mass" (equal counts)

    Returns
    -------
    BrierParts

    Raises
    ------
    InputError
        As for `reliability_curve`.

    References
    ----------
    Murphy, A New Vector Partition of the Probability Score, 1973.
    Stephenson et al., Two Extra Components in the Brier Score Decomposition, 2008.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1]] * 10)
    >>> parts = vcviz.metrics.brier_decomposition(np.log(p), [0] * 7 + [1] * 3)
    >>> print(", ".join(f"{name} {value:.2f}" for name, value in parts._asdict().items()))
    score 0.50, reliability 0.08, resolution 0.00, uncertainty 0.42, remainder -0.00
    """
    parts = np.zeros(3)
    for confidence, right in each_class(log_probs, y):
        n, base = len(right), right.mean()
        edges = bin_edges(confidence, n_bins, binning)
        found = bins_of(confidence, edges)
        count, total, hits = (
            np.bincount(found, weights, len(edges) - 1) for weights in (None, confidence, right)
        )
        filled = count > 0
        count, total, hits = count[filled], total[filled], hits[filled]
        parts += (
            ((total - hits) ** 2 / count).sum() / n,
            (count * (hits / count - base) ** 2).sum() / n,
            base * (1 - base),
        )
    reliability, resolution, uncertainty = (float(part) for part in parts)
    score = brier_score(log_probs, y)
    remainder = score - (reliability - resolution + uncertainty)
    return BrierParts(score, reliability, resolution, uncertainty, remainder)


def negative_log_likelihood(log_probs: Predicted, y: ArrayLike | None = None) -> float:
    """Return the mean of -log p(y|x) in nats; infinite if a label was given probability 0.

    Parameters
    ----------
    log_probs : a `LatentSet`; or (N, C) float array, natural log, each row sums to 1 after exp
    y : (N,) int array in [0, C), of an array

    Returns
    -------
    float

    Raises
    ------
    InputError
        If `y` is not one label per row, or rows are not log-probabilities.

    Examples
    --------
    >>> p = np.array([[0.5, 0.5], [0.25, 0.75]])
    >>> print(f"{vcviz.metrics.negative_log_likelihood(np.log(p), [0, 1]):.3f} nats")
    0.490 nats
    """
    log_probs, y = checked(log_probs, y)
    return float(-log_probs[np.arange(len(y)), y].mean(dtype=np.float64))


def mean_kl(label_probs: ArrayLike, log_probs: ArrayLike) -> float:
    """Return the mean over rows of KL(true p(y|x) || predicted p(y|x)) in nats.

    What the expected NLL has above its smallest possible value, without the noise of labels.

    Parameters
    ----------
    label_probs : (N, C) true or human label distributions
    log_probs : (N, C) predicted log-probabilities

    Returns
    -------
    float
        In nats; infinite if a possible label was given probability 0.

    Raises
    ------
    InputError
        If shapes differ, or rows are not probabilities and log-probabilities.

    Examples
    --------
    >>> truth, predicted = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    >>> print(f"{vcviz.metrics.mean_kl(truth, np.log(predicted)):.3f} nats")
    0.511 nats
    """
    log_probs = as_log_probs(log_probs)
    n, n_classes = log_probs.shape
    truth = as_distributions("label_probs", label_probs, (n, n_classes))
    used = truth > 0
    return float(np.sum(truth[used] * (np.log(truth[used]) - log_probs[used])) / len(truth))
