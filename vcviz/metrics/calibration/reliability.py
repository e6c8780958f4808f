"""Reliability curves and the calibration errors of their bins, all fractions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.options import check_count, check_fraction
from vcviz.metrics.calibration.binning import (
    Binning,
    Predicted,
    bin_edges,
    bins_of,
    bootstrap,
    calibration_error,
    cells_of,
    confidences,
    draws_if_calibrated,
    each_class,
    outwards,
)
from vcviz.metrics.calibration.debiased import debiased_error
from vcviz.metrics.intervals import wilson
from vcviz.records import LatentSet, ReliabilityCurve


def reliability_curve(
    log_probs: Predicted,
    y: ArrayLike | None = None,
    *,
    n_bins: int = 15,
    binning: Binning = "width",
    label: int | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    debiased: bool = True,
    name: str = "reliability",
) -> ReliabilityCurve:
    """Return accuracy against confidence in bins, with their ECE and what noise alone would do.

    Parameters
    ----------
    log_probs : a `LatentSet`; or (N, C) float array, natural log, each row sums to 1 after exp
    y : (N,) int array in [0, C), of an array
    n_bins : number of bins K; see the module for their edges
    binning : "width" (equal widths of [0, 1]) or "mass" (equal counts)
    label : None for the top label (confidence max_k p_k, right if it is the label); k for the
        curve of class k (confidence p_k, "accuracy" is the share of samples of class k)
    resamples : draws for each interval; 0 leaves the intervals NaN
    level : mass of the intervals
    seed : of the draws
    debiased : also estimate the population's error, which takes most of the time; else it is NaN
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

    *Bands* (`band_*`). Wilson's interval of the share of a bin's samples that are right.

    *Bootstrap* (`ece_interval`). Drawing N samples with replacement makes the counts of the 2K
    cells (bin, right or wrong) multinomial; they are drawn as such, at a cost that does not grow
    with N. The sum of the confidences in a cell of m drawn samples is drawn from the normal law
    with the same mean and variance as m draws from the cell: exact in its first two moments. The
    edges stay fixed. Resampling adds the noise of sampling a second time, which biases every
    resampled ECE upwards; the percentiles are shifted down by that bias (to no less than 0), so
    that the interval is about the estimate: about the ECE that samples of this size have on
    average. That is more than the error of the population, for a calibrated model above all, whose
    own error of 0 it hardly ever holds.

    *Debiased* (`ece_debiased`, `ece_debiased_interval`). What the ECE of these bins would be with
    rows without end: a median-unbiased estimate, 0 for about half of the samples of a calibrated
    model, and an interval that holds the population's error. `vcviz.metrics.calibration.debiased`
    says how.

    *If calibrated* (`consistency_*`, `ece_if_calibrated`). Every sample keeps its confidence and
    is right with that probability. The number right in a bin is then Poisson-binomial; it is drawn
    as a binomial of the bin's mean confidence, its deviations shrunk to the exact variance
    sum_i p_i (1 - p_i). Shrunk numbers are not whole: the bars reach outwards to the next
    accuracies that a bin can have, so that they hold `level` at least.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, eq. 3.
    Broecker & Smith, Increasing the Reliability of Reliability Diagrams, Weather and
    Forecasting 22, 2007 (consistency bars).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.dirichlet([1, 1, 1], 2000)
    >>> y = (np.log(p) + rng.gumbel(size=p.shape)).argmax(axis=1)  # labels drawn from p: calibrated
    >>> curve = vcviz.reliability_curve(np.log(p), y)
    >>> print(f"ECE {curve.ece:.3f}; {curve.ece_if_calibrated:.3f} is what chance alone would show")
    ECE 0.024; 0.024 is what chance alone would show
    """
    check_count("resamples", resamples, minimum=0)
    check_fraction("level", level)
    rng = np.random.default_rng(check_count("seed", seed, minimum=0))
    confidence, right = confidences(log_probs, y, label)
    edges = bin_edges(confidence, n_bins, binning)
    cells = cells_of(confidence, right, edges)
    count = cells.counts.sum(1)
    n, total = len(confidence), cells.totals.sum(1)
    ece = float(calibration_error(cells.counts[:, 1], total, n))
    with np.errstate(invalid="ignore"):
        accuracy, mean = cells.counts[:, 1] / count, total / count
    band, consistency = np.full((2, 2, len(count)), np.nan)
    interval = if_calibrated_interval = population_interval = (np.nan, np.nan)
    if_calibrated = population = np.nan
    if resamples:
        tails = ((1 - level) / 2, (1 + level) / 2)
        band = wilson(accuracy, count, level).T
        drawn = calibration_error(*bootstrap(cells, resamples, rng), n)
        low, high = np.quantile(drawn, tails) - (drawn.mean() - ece)
        interval = (max(0.0, float(low)), float(high))
        right_if = draws_if_calibrated(cells, resamples, rng)
        ends = np.quantile(right_if, tails, axis=0)
        consistency = outwards(ends, np.where(count > 0, count, np.nan))
        drawn = calibration_error(right_if, total, n)
        if_calibrated = float(drawn.mean())
        low, high = np.quantile(drawn, tails)
        if_calibrated_interval = (float(low), float(high))
        if debiased:
            population, population_interval = debiased_error(cells, resamples, level, rng)
    return ReliabilityCurve(
        edges=edges,
        count=count,
        confidence=mean,
        accuracy=accuracy,
        band_low=band[0],
        band_high=band[1],
        consistency_low=consistency[0],
        consistency_high=consistency[1],
        ece=ece,
        ece_interval=interval,
        ece_if_calibrated=if_calibrated,
        ece_if_calibrated_interval=if_calibrated_interval,
        ece_debiased=population,
        ece_debiased_interval=population_interval,
        n=n,
        binning=binning,
        level=level,
        name=name,
        label=label,
        label_note=log_probs.label_note if isinstance(log_probs, LatentSet) else "",
    )


def expected_calibration_error(
    log_probs: Predicted,
    y: ArrayLike | None = None,
    *,
    n_bins: int = 15,
    binning: Binning = "width",
    label: int | None = None,
) -> float:
    """Return the ECE, sum_k (n_k / N) |accuracy_k - confidence_k|.

    Nothing is resampled. `reliability_curve` adds intervals, and the ECE that a calibrated
    classifier would show on as few samples.

    Parameters
    ----------
    log_probs : a `LatentSet`; or (N, C) float array, natural log, each row sums to 1 after exp
    y : (N,) int array in [0, C), of an array
    n_bins : number of bins K
    binning : "width" (equal widths of [0, 1]) or "mass" (equal counts)
    label : None for the top label; k for the probability of class k

    Returns
    -------
    float
        A fraction; the `ece` of `reliability_curve`.

    Raises
    ------
    InputError
        As for `reliability_curve`.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, eq. 3.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1]] * 10)
    >>> y = [0] * 7 + [1] * 3  # right 7 times of 10, at a confidence of 0.9
    >>> print(f"{vcviz.expected_calibration_error(np.log(p), y):.2f}")
    0.20
    """
    confidence, right = confidences(log_probs, y, label)
    return binned_error(confidence, right, n_bins, binning)


def classwise_calibration_error(
    log_probs: Predicted,
    y: ArrayLike | None = None,
    *,
    n_bins: int = 15,
    binning: Binning = "width",
) -> float:
    """Return the mean over the C classes of the ECE of p(y=k|x), a fraction.

    References
    ----------
    Kull et al., Beyond Temperature Scaling, NeurIPS 2019, eq. 3.
    """
    return float(np.mean([binned_error(*of, n_bins, binning) for of in each_class(log_probs, y)]))


def maximum_calibration_error(
    log_probs: Predicted,
    y: ArrayLike | None = None,
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


def binned_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], n_bins: int, binning: Binning
) -> float:
    """Return the ECE of confidences that came true or not."""
    edges = bin_edges(confidence, n_bins, binning)
    gaps = np.bincount(bins_of(confidence, edges), right - confidence, len(edges) - 1)
    return float(calibration_error(gaps, 0, len(confidence)))
