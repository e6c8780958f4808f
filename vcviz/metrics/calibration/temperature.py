"""Temperature: logits divided by T, the T of least NLL, and what every T would do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from vcviz.base.errors import InputError
from vcviz.base.options import check_number
from vcviz.metrics.calibration.binning import Binning, Predicted, checked, confidences
from vcviz.metrics.calibration.reliability import binned_error
from vcviz.metrics.calibration.scores import negative_log_likelihood
from vcviz.records import as_float, as_log_probs

#: values of a block of rows that stay in a core's own cache
_IN_CACHE = 2**16
_SEARCHED = 2**26  # probabilities


class TemperatureFit(NamedTuple):
    """A fitted temperature (T itself, not 1/T) with the NLL before and after it, in nats.

    `searched` counts the rows among which T was searched; the NLL are those of all.
    """

    temperature: float
    nll_before: float
    nll_after: float
    searched: int = 0


def apply_temperature(log_probs: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Return (N, C) log-probabilities softmax(log_probs / T), in float64.

    T above 1 softens, below 1 sharpens, 1 changes nothing; the order of the classes never changes.
    """
    check_number("temperature", temperature, above=0)
    log_probs = as_log_probs(log_probs, dtype=None)
    scaled = np.empty(log_probs.shape)
    size = max(256, _IN_CACHE // log_probs.shape[1])
    for start in range(0, len(log_probs), size):
        # Long rows in cache: ten times faster than one logsumexp over a short last axis.
        rows = slice(start, start + size)
        part = np.ascontiguousarray(log_probs[rows].T, np.float64) / temperature
        part -= part.max(0)
        scaled[rows] = (part - np.log(np.exp(part).sum(0))).T
    return scaled


def fit_temperature(log_probs: Predicted, y: ArrayLike | None = None) -> TemperatureFit:
    """Return the temperature T in [0.01, 100] of least NLL, with the NLL before and after.

    Fit it on data that the classifier was not trained on. The search is over log T, in float64
    whatever the input: the NLL is convex in 1/T, so there is one minimum. Of more than 2^26 (67
    million) probabilities a random sample of the rows is searched, which `searched` counts: its T
    is right to about 1 / sqrt(rows).

    Raises
    ------
    InputError
        If a label has probability 0, which no temperature changes.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    """
    log_probs, y = checked(log_probs, y)
    before = negative_log_likelihood(log_probs, y)
    if not np.isfinite(before):
        lost = int(np.isneginf(log_probs[np.arange(len(y)), y]).sum())
        raise InputError(
            f"{lost} rows of log_probs give their label probability 0: no temperature helps"
        )
    some, own = log_probs, y
    if log_probs.size > _SEARCHED:
        size = max(_SEARCHED // log_probs.shape[1], 1)
        rows = np.sort(np.random.default_rng(0).choice(len(y), size, replace=False))
        some, own = log_probs[rows], y[rows]

    def nll(log_temperature: float) -> float:
        return _mean_nll(some, own, np.exp(-log_temperature))

    bounds = (np.log(0.01), np.log(100.0))
    found = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    if not found.fun < nll(0.0):
        return TemperatureFit(1.0, before, before, len(own))
    after = found.fun if some is log_probs else _mean_nll(log_probs, y, np.exp(-found.x))
    return TemperatureFit(float(np.exp(found.x)), before, float(after), len(own))


def _mean_nll(log_probs: NDArray, y: NDArray[np.int64], inverse: float) -> float:
    """Return the mean of -log softmax(log_probs `inverse`) at the label, in float64."""
    total, size = 0.0, max(256, _IN_CACHE // log_probs.shape[1])
    for start in range(0, len(y), size):
        scaled = log_probs[start : start + size].astype(np.float64)
        scaled -= scaled.max(1, keepdims=True)
        scaled *= inverse
        own = scaled[np.arange(len(scaled)), y[start : start + size]]
        total += float((np.log(np.einsum("nc->n", np.exp(scaled, out=scaled))) - own).sum())
    return total / len(y)


class TemperatureSweep(NamedTuple):
    """What dividing the logits by each of S temperatures does.

    Attributes
    ----------
    temperature : (S,) values of T
    nll, ece : (S,) nats, fraction
    best : the temperature of least NLL on the rows it was fitted to
    name : shown in legends
    n_bins, binning, label : what `ece` is of, as for `reliability_curve`
    """

    temperature: NDArray[np.float64]
    nll: NDArray[np.float64]
    ece: NDArray[np.float64]
    best: float
    name: str = "temperature"
    n_bins: int = 15
    binning: Binning = "width"
    label: int | None = None


def temperature_sweep(
    log_probs: ArrayLike,
    y: ArrayLike,
    temperatures: ArrayLike,
    *,
    n_bins: int = 15,
    binning: Binning = "width",
    label: int | None = None,
    best: float | None = None,
    name: str = "temperature",
) -> TemperatureSweep:
    """Return NLL and ECE after dividing the logits by each of several temperatures.

    Equal to `apply_temperature`, then `negative_log_likelihood` and `expected_calibration_error`,
    but reads the rows once: the order of the classes is the same at every temperature.

    Parameters
    ----------
    log_probs, y, n_bins, binning, label : as for `reliability_curve`
    temperatures : (S,) positive
    best : kept as it is; default that of `fit_temperature`, NaN where a label has probability 0
    name : shown in legends
    """
    log_probs, y = checked(log_probs, y)
    each = as_float("temperatures", temperatures, 1, np.float64)
    if len(each) == 0 or each.min() <= 0:
        raise InputError("temperatures must be positive, at least one")
    right = confidences(log_probs, y, label)[1]
    nll, sure = np.zeros(len(each)), np.empty((len(each), len(y)))
    size = max(256, _IN_CACHE // log_probs.shape[1])
    for start in range(0, len(y), size):
        # Long rows in cache: several times faster than reducing over a short last axis.
        rows = slice(start, start + size)
        relative = np.ascontiguousarray(log_probs[rows].T, np.float64)
        relative -= relative.max(0)
        own = relative[y[rows], np.arange(relative.shape[1])]
        scaled = np.empty_like(relative)
        for i, temperature in enumerate(each):
            np.exp(np.divide(relative, temperature, out=scaled), out=scaled)
            total = scaled.sum(0)
            nll[i] += (np.log(total) - own / temperature).sum()
            sure[i, rows] = (1.0 if label is None else scaled[label]) / total
    nll /= len(y)
    ece = np.array([binned_error(np.minimum(one, 1), right, n_bins, binning) for one in sure])
    if best is None:
        best = fit_temperature(log_probs, y).temperature if np.isfinite(nll).all() else np.nan
    return TemperatureSweep(each, nll, ece, best, name, n_bins, binning, label)
