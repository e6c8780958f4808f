"""Samples to bins: edges, counts per (bin, right or wrong), and draws of them.

Bin k covers (edge_k, edge_{k+1}], the first also its left edge. ``"width"`` cuts [0, 1] into K
equal widths. ``"mass"`` cuts at the quantiles k/K of the confidences; edges that coincide because
of ties are merged, so that there may be fewer than K bins, and if all confidences are one value
there is the single bin [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_count
from vcviz.records import LatentSet, as_array, as_labels, as_log_probs, is_coarse

Binning = Literal["width", "mass"]
#: latents, which hold predictions and labels, or an array of log-probabilities
Predicted = LatentSet | ArrayLike

_BLOCK = 8192
#: values of a block of rows that stay in a core's own cache
_IN_CACHE = 2**16
_COLUMNS = 8


class Cells(NamedTuple):
    """(K, 2) numbers of samples of each bin, wrong ones first, and sums of their confidences."""

    counts: NDArray[np.int64]
    totals: NDArray[np.float64]
    squares: NDArray[np.float64]


def rows_of(log_probs: Predicted, y: ArrayLike | None) -> tuple[ArrayLike, ArrayLike]:
    """Return the two arrays of a `LatentSet`, or those that were given."""
    if isinstance(log_probs, LatentSet):
        if y is not None:
            raise InputError("latents have labels of their own; leave y out")
        return log_probs.log_probs, log_probs.y
    if y is None:
        raise InputError(
            "an array of log_probs needs y, the label of each row; latents have theirs"
        )
    return log_probs, y


def checked(log_probs: Predicted, y: ArrayLike | None) -> tuple[NDArray, NDArray[np.int64]]:
    """Return `log_probs` in their own float type and `y` as labels, at least one row of each."""
    log_probs, y = rows_of(log_probs, y)
    log_probs = as_log_probs(log_probs, dtype=None)
    if len(log_probs) == 0:
        raise InputError("log_probs must hold at least one row, got none")
    return log_probs, as_labels("y", y, len(log_probs), log_probs.shape[1])


def confidences(
    log_probs: Predicted, y: ArrayLike | None, label: int | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return (N,) confidences in [0, 1] and whether each came true."""
    if label is None:
        return _top_label(log_probs, y)
    log_probs, y = checked(log_probs, y)
    if not isinstance(label, int | np.integer) or label not in range(log_probs.shape[1]):
        raise InputError(
            f"label must be None or a class in [0, {log_probs.shape[1]}), got {label!r}"
        )
    confidence = np.exp(log_probs[:, label].astype(np.float64, copy=False))
    return np.minimum(confidence, 1, out=confidence), y == label


def each_class(
    log_probs: Predicted, y: ArrayLike | None = None
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield what `confidences` returns for every class in turn, checking the arrays once."""
    log_probs, y = checked(log_probs, y)
    for first in range(0, log_probs.shape[1], _COLUMNS):
        # Some columns at once: each row's place in memory is then visited once for all of them.
        # A copy always: columns of the caller's own array are contiguous in Fortran order.
        group = np.array(log_probs[:, first : first + _COLUMNS].T, np.float64, order="C")
        np.minimum(np.exp(group, out=group), 1, out=group)
        for place, confidence in enumerate(group):
            yield confidence, y == first + place


def _top_label(
    log_probs: Predicted, y: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return each row's largest probability and whether the first class that has it is the label.

    One pass over the rows makes their probabilities, checks them and takes the largest: nothing
    of the size of `log_probs` is ever written.
    """
    log_probs, y = rows_of(log_probs, y)
    if is_coarse(log_probs):  # rows that sum to one as well as 16 bits can
        log_probs = as_log_probs(log_probs, dtype=None)
    array = as_array("log_probs", log_probs)
    if array.ndim != 2 or array.dtype not in (np.float32, np.float64) or array.shape[1] < 2:
        array = as_log_probs(array, dtype=None)
    n, c = array.shape
    if n == 0:
        array, _ = checked(array, y)
    y = as_labels("y", y, n, c)
    best, right = np.empty(n), np.empty(n, bool)
    # Long rows in cache: several times faster than reducing over a short last axis.
    size = max(256, min(8192, _IN_CACHE // c))
    buffer, equal, place = np.empty((c, size), array.dtype), np.empty((c, size), bool), np.arange(n)
    worst = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, n, size):
            rows = slice(start, start + size)
            m = min(size, n - start)
            p = buffer[:, :m]
            np.copyto(p, array[rows].T)
            np.exp(p, out=p)
            worst = float(np.maximum(worst, np.abs(p.sum(0) - 1).max()))
            best[rows] = top = p.max(0)
            hit = equal.ravel()[: c * m].reshape(c, m)
            np.equal(p, top, out=hit)
            right[rows] = hit.ravel().take(y[rows] * m + place[:m], mode="clip")
            if np.count_nonzero(hit) != m:  # ties go to the first class, as in argmax
                tied = start + np.flatnonzero(hit.sum(0, dtype=np.int32) != 1)
                right[tied] = array[tied].argmax(1) == y[tied]
    if not worst < 1e-2:  # NaN too
        as_log_probs(array, dtype=None)
    return np.minimum(best, 1, out=best), right


def bin_edges(confidence: NDArray[np.float64], n_bins: int, binning: str) -> NDArray[np.float64]:
    """Return the (K+1,) edges of the bins."""
    check_count("n_bins", n_bins)
    if check_choice("binning", binning, ("width", "mass")) == "width":
        return np.linspace(0, 1, n_bins + 1)
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, n_bins + 1)))
    return edges if len(edges) > 1 else np.array([0.0, 1.0])


def bins_of(confidence: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the (N,) number of the bin that each confidence is in."""
    k = len(edges) - 1
    if not np.array_equal(edges, np.linspace(0, 1, k + 1)):
        found = np.searchsorted(edges, confidence)  # left-sided: edges[found - 1] < confidence
        return np.clip(found - 1, 0, k - 1, out=found)
    # Of equal widths the bin is known up to rounding, which a look at both edges mends.
    found = np.empty(len(confidence), np.intp)
    for start in range(0, len(confidence), _BLOCK):
        part, cell = confidence[start : start + _BLOCK], found[start : start + _BLOCK]
        cell[:] = part * k
        np.minimum(cell, k - 1, out=cell)
        cell -= part <= edges.take(cell)
        np.maximum(cell, 0, out=cell)
        cell += part > edges.take(cell + 1)
    return found


def cells_of(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], edges: NDArray[np.float64]
) -> Cells:
    """Return the sums over the samples of each bin."""
    k = len(edges) - 1
    cell = 2 * bins_of(confidence, edges) + right

    def sums(weights: NDArray | None = None) -> NDArray:
        return np.bincount(cell, weights, minlength=2 * k).reshape(k, 2)

    return Cells(sums(), sums(confidence), sums(confidence * confidence))


def calibration_error(right: NDArray, total: NDArray | float, n: int) -> NDArray[np.float64]:
    """Return sum_k |right_k - total_k| / n over the last axis: the ECE."""
    return np.abs(right - total).sum(-1) / n


def bootstrap(cells: Cells, resamples: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Return (R, K) numbers right and sums of confidences of resampled data."""
    count = cells.counts.ravel()
    filled = np.maximum(count, 1)
    mean = cells.totals.ravel() / filled
    variance = np.maximum(cells.squares.ravel() / filled - mean**2, 0)
    drawn = rng.multinomial(count.sum(), count / count.sum(), size=resamples)
    noise = rng.standard_normal(drawn.shape)
    total = drawn * mean + np.sqrt(drawn * variance) * noise
    drawn = drawn.reshape(resamples, *cells.counts.shape)
    return drawn[..., 1], total.reshape(drawn.shape).sum(2)


def draws_if_calibrated(cells: Cells, resamples: int, rng: np.random.Generator) -> NDArray:
    """Return (R, K) numbers right in each bin if every confidence were true."""
    count, total = cells.counts.sum(1), cells.totals.sum(1)
    mean = np.minimum(total / np.maximum(count, 1), 1)
    binomial = count * mean * (1 - mean)
    exact = np.maximum(total - cells.squares.sum(1), 0)
    shrink = np.sqrt(np.divide(exact, binomial, out=np.zeros(len(count)), where=binomial > 0))
    drawn = rng.binomial(count, mean, size=(resamples, len(count)))
    return total + np.minimum(shrink, 1) * (drawn - total)


def outwards(ends: NDArray[np.float64], count: NDArray) -> NDArray[np.float64]:
    """Return (2, K) ends of numbers right as accuracies, each at the next whole number outside."""
    low, high = np.floor(ends[0] + 1e-9), np.ceil(ends[1] - 1e-9)
    return np.clip(np.stack([low, high]) / count, 0, 1)
