"""Maps of log-probabilities fitted on held-out rows: temperature, vector and Dirichlet scaling.

Fit them on rows that the classifier was not trained on, and judge them on rows of neither kind:
``train(..., validation=0.2)`` holds such rows out and ``run.latents("validation")`` gives them.
Where there are none, `cross_recalibrate` fits and judges in turn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_count, check_number
from vcviz.metrics.calibration import fit_temperature, negative_log_likelihood
from vcviz.metrics.posthoc.scaling import FLOOR, minimise
from vcviz.records import LatentSet, as_float, as_labels, as_log_probs, as_probs
from vcviz.records.blocks import row_blocks
from vcviz.records.checks import freeze

Method = Literal["temperature", "vector", "dirichlet"]
METHODS: tuple[str, ...] = ("temperature", "vector", "dirichlet")
#: strengths that ``odir="auto"`` tries
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


@dataclass(frozen=True, eq=False)
class Recalibration:
    """A fitted map of log-probabilities, softmax(weight log p + bias).

    Attributes
    ----------
    method : "temperature", "vector" or "dirichlet"
    weight : () array 1/T, (C,) array, or (C, C) array (row k makes the score of class k)
    bias : (C,) array, zero for a temperature
    nll_before, nll_after : mean NLL in nats of the rows that it was fitted to
    n : number of those rows
    label_prior : (C,) label frequencies of those rows, which a map with a bias predicts for: at
        least NLL its mean probability of a class is the class's frequency. None for a temperature,
        which has no bias and leaves log-probabilities to be for what they were for
    odir : the strength of the regularisation that was used; 0 without

    Examples
    --------
    >>> p = np.array([[0.9, 0.1]] * 10)
    >>> found = vcviz.recalibrate(np.log(p), [0] * 7 + [1] * 3)
    >>> np.exp(found(np.log(p[:1]))).round(2)
    array([[0.7, 0.3]])
    """

    method: Method
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    nll_before: float
    nll_after: float
    n: int
    odir: float = 0.0
    label_prior: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        bias = as_float("bias", self.bias, 1, np.float64)
        c = len(bias)
        shape = {"temperature": (), "vector": (c,), "dirichlet": (c, c)}[self.method]
        weight = as_float("weight", self.weight, len(shape), np.float64)
        if weight.shape != shape or c < 2:
            raise InputError(
                f"weight must be {shape} for {self.method} scaling of {c} classes, at least 2, "
                f"got {weight.shape}"
            )
        prior = self.label_prior
        prior = None if prior is None else as_probs("label_prior", prior, c)
        freeze(self, weight=weight, bias=bias, label_prior=prior)

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return len(self.bias)

    @property
    def temperature(self) -> float:
        """T itself (above 1 softens); only temperature scaling has one."""
        if self.method != "temperature":
            raise InputError(f"{self.method} scaling has no single temperature; see weight")
        return float(1 / self.weight)

    def __call__(self, log_probs: ArrayLike) -> NDArray[np.float64]:
        """Return (N, C) recalibrated log-probabilities, in float64."""
        log_probs = as_log_probs(log_probs, dtype=None)
        if log_probs.shape[1] != self.n_classes:
            raise InputError(
                f"log_probs must have {self.n_classes} classes like those this was fitted to, "
                f"got {log_probs.shape[1]}"
            )
        out = np.empty(log_probs.shape)
        for rows in row_blocks(*log_probs.shape):
            part = log_probs[rows].astype(np.float64)
            if self.method != "temperature":  # which keeps a probability of 0 where there was one
                part = np.maximum(part, FLOOR)
            scores = part @ self.weight.T if self.method == "dirichlet" else part * self.weight
            out[rows] = log_softmax(scores + self.bias, axis=1)
        return out

    def apply(self, lat: LatentSet) -> LatentSet:
        """Return the latents with recalibrated log-probabilities; z and energy stay the model's."""
        log_probs: Any = self(lat.log_probs)
        prior = lat.label_prior if self.label_prior is None else self.label_prior
        how = f" {self.temperature:.3g}" if self.method == "temperature" else ""
        name = f"{lat.name}, {self.method}{how}"
        return replace(lat, log_probs=log_probs, label_prior=prior, name=name)


def recalibrate(
    log_probs: ArrayLike,
    y: ArrayLike,
    method: Method = "temperature",
    *,
    odir: float | Literal["auto"] = "auto",
    folds: int = 3,
    seed: int = 0,
) -> Recalibration:
    """Return the map of log-probabilities of least NLL, fitted in float64.

    Parameters
    ----------
    log_probs : (N, C) float array, natural log, of rows that the classifier was **not** trained on;
        of training rows it would be fitted to confidence that only those deserve
    y : (N,) int array in [0, C)
    method : ``"temperature"``: softmax(log p / T), one number, the decision stays;
        ``"vector"``: softmax(w * log p + b), 2 C numbers;
        ``"dirichlet"``: softmax(W log p + b), C (C + 1) numbers
    odir : for ``"dirichlet"``, the strength lambda of the off-diagonal and intercept
        regularisation added to the mean NLL,

            lambda (sum_{i != j} W_ij^2 / (C (C - 1)) + sum_j b_j^2 / C);

        0 for none, ``"auto"`` for the best of `STRENGTHS` on held-out folds
    folds, seed : how ``odir="auto"`` splits the rows

    Returns
    -------
    Recalibration
        Call it on log-probabilities, or give latents to its `apply`. Without regularisation each
        method starts from the one before, so that the training NLL never rises from identity to
        temperature to vector to Dirichlet.

    Raises
    ------
    InputError
        If a label has probability 0, or an option is unknown or out of range.

    Notes
    -----
    T lies in [0.01, 100]. Rows that a map can tell apart without error have no least NLL; weights
    and biases then stop where another step is not worth `vcviz.metrics.posthoc.scaling.PRICE`, too
    small to be seen otherwise: probabilities are then as sharp as that allows and say nothing. A
    probability of 0 of another class is read as the smallest positive float64.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    Kull et al., Beyond Temperature Scaling, NeurIPS 2019, sections 3 and 4 (Dirichlet, ODIR).

    Examples
    --------
    >>> from scipy.special import log_softmax
    >>> rng = np.random.default_rng(0)
    >>> scores = rng.normal(0, 2, (2000, 3))
    >>> y = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)  # labels follow softmax(scores)
    >>> log_probs = log_softmax(3 * scores, axis=1)  # a classifier three times too sure of itself
    >>> found = vcviz.recalibrate(log_probs, y)
    >>> print(f"T = {found.temperature:.1f}")
    T = 2.9
    >>> print(f"NLL {found.nll_before:.1f} nats before, {found.nll_after:.1f} after")
    NLL 0.9 nats before, 0.6 after
    """
    check_choice("method", method, METHODS)
    if odir != "auto":
        odir = check_number("odir", odir, least=0)
    log_probs = as_log_probs(log_probs, dtype=None)
    y = as_labels("y", y, len(log_probs), log_probs.shape[1])
    heated = fit_temperature(log_probs, y)
    n_classes, before = log_probs.shape[1], heated.nll_before
    inverse, zero = 1 / heated.temperature, np.zeros(n_classes)
    if method == "temperature":
        weight = np.asarray(inverse)
        return Recalibration(method, weight, zero, before, heated.nll_after, len(y))
    weight, bias = minimise(log_probs, y, np.full(n_classes, inverse), zero)
    strength = 0.0
    if method == "dirichlet":
        strength = _best_strength(log_probs, y, folds, seed) if odir == "auto" else odir
        weight, bias = minimise(log_probs, y, np.diag(weight), bias, strength)
    own = np.bincount(y, minlength=n_classes) / len(y)
    found = Recalibration(method, weight, bias, before, np.nan, len(y), strength, own)
    return replace(found, nll_after=negative_log_likelihood(found(log_probs), y))


def cross_recalibrate(
    log_probs: ArrayLike,
    y: ArrayLike,
    method: Method = "temperature",
    *,
    odir: float | Literal["auto"] = "auto",
    folds: int = 5,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return recalibrated log-probabilities, those of each row by a map fitted to the other folds.

    For judging a recalibration where no rows are held out for it. The folds hold the classes in
    proportion. The strength of ``odir="auto"`` is chosen once, on all rows.

    Parameters
    ----------
    log_probs : (N, C) float array, natural log, each row sums to 1 after exp
    y : (N,) int array in [0, C)
    method, odir : as for `recalibrate`
    folds : how many
    seed : of the folds

    Returns
    -------
    (N, C) float64 array

    Raises
    ------
    InputError
        As `recalibrate` does, or for fewer rows than folds.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1]] * 20)
    >>> y = [0, 0, 0, 1] * 5  # right 3 times of 4
    >>> found = vcviz.metrics.cross_recalibrate(np.log(p), y)
    >>> found.shape, np.exp(found).mean(axis=0).round(1)
    ((20, 2), array([0.8, 0.2]))
    """
    log_probs = as_log_probs(log_probs)
    y = as_labels("y", y, len(log_probs), log_probs.shape[1])
    fold = _folds(y, folds, seed)
    if odir == "auto":
        odir = _best_strength(log_probs, y, 3, seed) if method == "dirichlet" else 0.0
    out = np.empty_like(log_probs)
    for k in range(folds):
        rest, part = fold != k, fold == k
        out[part] = recalibrate(log_probs[rest], y[rest], method, odir=odir)(log_probs[part])
    return out


def _best_strength(
    log_probs: NDArray[np.float64], y: NDArray[np.int64], folds: int, seed: int
) -> float:
    def held_out(strength: float) -> float:
        found = cross_recalibrate(log_probs, y, "dirichlet", odir=strength, folds=folds, seed=seed)
        return negative_log_likelihood(found, y)

    return min(STRENGTHS, key=held_out)


def _folds(y: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Return (N,) fold numbers, every class spread evenly."""
    check_count("folds", folds, minimum=2)
    if folds > len(y):
        raise InputError(f"{folds} folds need at least as many rows, got {len(y)}")
    rng = np.random.default_rng(check_count("seed", seed, minimum=0))
    fold = np.empty(len(y), np.int64)
    fold[np.lexsort((rng.random(len(y)), y))] = np.arange(len(y)) % folds
    return fold
