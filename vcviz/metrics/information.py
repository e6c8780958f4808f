"""How many nats a classifier knows about the label.

The pointwise information of a sample is log p(y|x) / p(y) of its own label; its mean estimates
I(X; Y). Log-probabilities of any head will do, but they must be for the label frequencies p(y) at
which they are judged. Where they are for others (a head that predicts for equally likely classes,
training data more or less balanced than the test data), `LatentSet.label_prior` says for which,
and the estimate is Qin, Kim & Gedeon's bound with the scores f = log p(y|x) - log label_prior:

    E[ f_y(x) - log sum_k p(k) exp f_k(x) ]  =  I(X; Y) - E_x KL( p(y|x) || p_f(y|x) ).

A trap: log C - NLL ("softmax + log C", ``prior_probs`` uniform for latents without a `label_prior`)
is the information only of balanced data; otherwise it is too large by log C - H(Y), whatever x is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.metrics.intervals import (
    correlation,
    difference_interval,
    mean_of_losses,
    normal_quantile,
)
from vcviz.records import LatentSet, as_log_probs, as_probs

#: rows at a time, so that no copy in float64 is of the size of all
_BLOCK = 8192


class Information(NamedTuple):
    """An estimate of I(X; Y) in nats.

    Attributes
    ----------
    estimate : mean of the pointwise information
    standard_error : of that mean
    interval : (low, high) at `level`; not symmetric, see `mutual_information`
    label_entropy : H(Y) of the label probabilities used, which no classifier exceeds
    level, n : mass of the interval; number of samples

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> found = vcviz.mutual_information(run.latents())
    >>> found.interval[0] < found.estimate < found.interval[1] < found.label_entropy
    True
    """

    estimate: float
    standard_error: float
    interval: tuple[float, float]
    label_entropy: float
    level: float
    n: int


@dataclass(frozen=True, eq=False)
class ClassInformation:
    """What a classifier knows about the samples of each class, in nats; arrays of length C.

    Attributes
    ----------
    estimate : mean pointwise information of the samples of a class; weighted by the label
        frequencies of the data they sum to I(X; Y). NaN for a class without samples.
    standard_error : of each mean, noise of counted label frequencies included; infinite for a
        single sample, and where a label was given probability 0
    interval : (C, 2) intervals at `level`, see `class_information`; everything where the error is
        infinite
    ceiling : -log p(k), what is known of a class that is always recognised with certainty
    count, class_names, level : samples of each class; names; mass of the intervals
    """

    estimate: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    interval: NDArray[np.float64]
    ceiling: NDArray[np.float64]
    count: NDArray[np.int64]
    class_names: tuple[str, ...]
    level: float


@takes_records
def mutual_information(
    lat: LatentSet,
    *,
    prior_probs: ArrayLike | None = None,
    level: float = 0.95,
) -> Information:
    """Return the mutual information between input and label that the classifier attains.

    The mean of log p(y|x) / p(y): in expectation I(X; Y) minus the mean KL of p(y|x) from the
    truth, so a lower bound on I(X; Y) on data that the classifier was not trained on; on its
    training data it can exceed it. A classifier worse than the label frequencies is negative.

    Parameters
    ----------
    lat : latents with log p(y|x) and labels. Where their `label_prior` is known, log p(y|x) is
        moved from it to p(y) first (`shift_prior`); else it is taken to be for p(y) already
    prior_probs : (C,) label probabilities p(y) of the data; default the label frequencies of
        `lat`, whose entropy is too small by about (C - 1) / 2N nats
    level : mass of the interval

    Returns
    -------
    Information
        If a label was given probability 0 the estimate is minus infinity, and the interval is
        everything.

    Raises
    ------
    InputError
        If `prior_probs` is not C probabilities.

    Notes
    -----
    The interval holds the noise of the samples, of their label frequencies too; not that the
    classifier falls short of the true p(y|x). The estimate is the mean of -log p(y) less that of
    the loss -log p(y|x). The first has a normal interval. Losses of a good classifier are nearly
    all small and now and then large, so theirs is a gamma interval (`mean_of_losses` in
    `vcviz.metrics.intervals`) that allows for a loss which did not occur: the one that the
    classifier's own probabilities expect when it loses (their mean loss, weighted by the loss).
    Where hardly a sample was in doubt it holds more than `level`.

    References
    ----------
    Qin, Kim & Gedeon, Rethinking Softmax with Cross-Entropy, 2019, arXiv 1911.10688.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> found = vcviz.mutual_information(run.latents())
    >>> truth = run.split().truth["mutual_information"]
    >>> print(f"{found.estimate:.1f} nats of {truth:.1f}; H(Y) is {found.label_entropy:.1f}")
    1.5 nats of 1.5; H(Y) is 1.6
    """
    quantile = normal_quantile(level)
    prior = _label_probs(lat, prior_probs)
    log_probs = _for(lat, prior)
    losses, surprise = -_own(lat, log_probs), -np.log(prior[lat.y])
    n = len(lat)
    entropy = float(-xlogy(prior, prior).sum())
    if np.isposinf(losses).any():
        return Information(-np.inf, np.inf, (-np.inf, np.inf), entropy, level, n)
    pointwise = surprise - losses
    estimate = float(pointwise.mean())
    if n == 1:
        return Information(estimate, np.inf, (-np.inf, np.inf), entropy, level, n)
    error = float(pointwise.std(ddof=1) / np.sqrt(n))
    first, second = (moment.sum() for moment in _expected_losses(log_probs))
    low, high = mean_of_losses(losses, heaviest=second / max(first, 1e-300), level=level)
    middle, reach = float(surprise.mean()), quantile * float(surprise.std(ddof=1) / np.sqrt(n))
    interval = difference_interval(
        (middle - reach, middle, middle + reach),
        (low, float(losses.mean()), high),
        correlation(surprise, losses),
    )
    return Information(estimate, error, interval, entropy, level, n)


@takes_records
def class_information(
    lat: LatentSet,
    *,
    prior_probs: ArrayLike | None = None,
    level: float = 0.95,
) -> ClassInformation:
    """Return the mean of log p(k|x) / p(k) over the samples of each class k, with intervals.

    A rare class can carry much: up to -log p(k). The mean of these, weighted by how often each
    class occurs, is `mutual_information`.

    Parameters
    ----------
    lat, prior_probs, level : as for `mutual_information`

    Returns
    -------
    ClassInformation
        Arrays of length C, in nats; NaN for a class without samples.

    Raises
    ------
    InputError
        If `prior_probs` is not C probabilities.

    Notes
    -----
    Frequencies that are counted have noise: (1 - p(k)) / (N p(k)) is the variance of log p(k) for
    N samples, more than that of all else for a class that is easily recognised. It is part of the
    intervals unless `prior_probs` says what p(k) is. (Where log-probabilities are moved to the
    counted frequencies, the variance becomes (sum_j m_j^2 / p(j) - 1) / N, with m_j the mean
    probability of class j for the samples of class k.) The loss has a gamma interval, as in
    `mutual_information`.

    References
    ----------
    Qin, Kim & Gedeon, Rethinking Softmax with Cross-Entropy, 2019, arXiv 1911.10688.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> found = vcviz.metrics.class_information(run.latents())
    >>> found.estimate.round(1)  # at most log 5 = 1.6 nats for five classes
    array([1.4, 1.5, 1.5, 1.5, 1.5])
    """
    quantile = normal_quantile(level)
    prior = _label_probs(lat, prior_probs)
    log_probs = _for(lat, prior)
    losses = -_own(lat, log_probs)
    first, second = _expected_losses(log_probs)
    heaviest = second / np.maximum(first, 1e-300)
    estimate, error = np.full((2, lat.n_classes), np.nan)
    interval = np.full((lat.n_classes, 2), np.nan)
    for k in np.unique(lat.y):
        own = losses[lat.y == k]
        middle = -np.log(prior[k])
        estimate[k] = middle - own.mean()
        if len(own) == 1 or not np.isfinite(estimate[k]):
            error[k], interval[k] = np.inf, (-np.inf, np.inf)
            continue
        counted = 0.0 if prior_probs is not None else _counting_noise(lat, log_probs, prior, k)
        error[k] = np.sqrt(own.var(ddof=1) / len(own) + counted)
        low, high = mean_of_losses(own, heaviest=heaviest[k], level=level)
        reach = quantile * np.sqrt(counted)
        interval[k] = difference_interval(
            (middle - reach, middle, middle + reach), (low, float(own.mean()), high)
        )
    with np.errstate(divide="ignore"):
        ceiling = -np.log(prior)
    return ClassInformation(
        estimate=estimate,
        standard_error=error,
        interval=interval,
        ceiling=ceiling,
        count=np.bincount(lat.y, minlength=lat.n_classes),
        class_names=lat.class_names,
        level=level,
    )


@takes_records
def pointwise_information(
    lat: LatentSet, *, prior_probs: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return log p(y|x) / p(y) of each sample's own label, in nats.

    At most -log p(y), when the classifier is certain and right; negative where the input speaks
    against the label, minus infinity where it was given probability 0.

    Parameters
    ----------
    lat, prior_probs : as for `mutual_information`

    Returns
    -------
    (N,) float64 array

    Raises
    ------
    InputError
        If `prior_probs` is not C probabilities.

    References
    ----------
    Qin, Kim & Gedeon, Rethinking Softmax with Cross-Entropy, 2019, arXiv 1911.10688.

    Examples
    --------
    >>> p = np.array([[0.99, 0.01], [0.6, 0.4], [0.25, 0.75], [0.1, 0.9]])
    >>> lat = vcviz.LatentSet(np.zeros((4, 1)), np.log(p), y=[0, 1, 0, 1])
    >>> vcviz.metrics.pointwise_information(lat).round(2)  # at most log 2 = 0.69
    array([ 0.68, -0.22, -0.69,  0.59])
    """
    prior = _label_probs(lat, prior_probs)
    return _own(lat, _for(lat, prior)) - np.log(prior[lat.y])


@overload
def shift_prior(log_probs: LatentSet, *, to_prior: ArrayLike | None = None) -> LatentSet: ...


@overload
def shift_prior(
    log_probs: ArrayLike, from_prior: ArrayLike, to_prior: ArrayLike
) -> NDArray[np.float64]: ...


def shift_prior(
    log_probs: LatentSet | ArrayLike,
    from_prior: ArrayLike | None = None,
    to_prior: ArrayLike | None = None,
) -> LatentSet | NDArray[np.float64]:
    """Return log-probabilities for other label frequencies, by Bayes' rule.

    log p'(y|x) = log p(y|x) - log p(y) + log p'(y) + const: right if p(x|y) stays as it was
    (label shift). From the training frequencies to equal ones it is the post-hoc logit
    adjustment, whose argmax has the best mean accuracy per class. ``shift_prior(lat)`` makes
    latents predict for the label frequencies that their rows have, at which accuracy, NLL and
    calibration error judge them.

    Parameters
    ----------
    log_probs : a `LatentSet`, which knows what its log-probabilities are for; or (N, C)
        natural-log p(y|x), rows that sum to 1 after exp
    from_prior : (C,) label probabilities that an array is for. Of a `LatentSet` it is left out:
        its `label_prior`, and the frequencies of its labels where that is None
    to_prior : (C,) label probabilities to go to; a class of probability 0 is ruled out. Of a
        `LatentSet` the default is the frequencies of its labels

    Returns
    -------
    LatentSet or (N, C) array
        What was given: of a `LatentSet` another one, whose `label_prior` is `to_prior` and whose
        latents, labels and energies are the same; of an array float64 log-probabilities.

    Raises
    ------
    InputError
        If a prior is missing or not C probabilities, rules out all that a row allows, or gives a
        class some probability that had none before.

    References
    ----------
    Saerens, Latinne & Decaestecker, Adjusting the Outputs of a Classifier to New a Priori
    Probabilities, Neural Computation 14, 2002, eq. 2.2.

    Menon et al., Long-tail Learning via Logit Adjustment, ICLR 2021, section 4.1.

    Examples
    --------
    >>> p = np.array([[0.5, 0.5]])  # an undecided prediction, made for classes equally frequent
    >>> np.exp(vcviz.metrics.shift_prior(np.log(p), [0.5, 0.5], [0.9, 0.1]))
    array([[0.9, 0.1]])
    """
    if isinstance(log_probs, LatentSet):
        lat, own = log_probs, _label_probs(log_probs, None)
        if from_prior is not None:
            raise InputError(
                "latents say by label_prior what they are for: leave from_prior out, "
                "and name to_prior="
            )
        before = own if lat.label_prior is None else lat.label_prior
        after = own if to_prior is None else as_probs("to_prior", to_prior, lat.n_classes)
        values: Any = {"log_probs": shift_prior(lat.log_probs, before, after)}
        return replace(lat, **values, label_prior=after)
    log_probs = as_log_probs(log_probs)
    if from_prior is None or to_prior is None:
        raise InputError("an array of log_probs needs from_prior and to_prior, got one or neither")
    n_classes = log_probs.shape[1]
    before = as_probs("from_prior", from_prior, n_classes)
    after = as_probs("to_prior", to_prior, n_classes)
    if (lost := (before == 0) & (after > 0)).any():
        k = int(np.flatnonzero(lost)[0])
        raise InputError(f"from_prior gives class {k} probability 0, which nothing can undo")
    moved = _moved(log_probs, before, after)
    if np.isnan(moved).any():
        row = int(np.flatnonzero(np.isnan(moved).any(1))[0])
        raise InputError(f"to_prior rules out every class that row {row} of log_probs allows")
    return moved


def _moved(
    log_probs: NDArray[np.floating], before: NDArray[np.float64], after: NDArray[np.float64]
) -> NDArray[Any]:
    """Return `shift_prior` of an array, in its type; a class without probability keeps none.

    A row that is left without any class is NaN.
    """
    moved = np.empty_like(log_probs)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(before > 0, np.log(after) - np.log(before), -np.inf)
        for start in range(0, len(moved), _BLOCK):
            part = log_probs[start : start + _BLOCK] + change
            part -= np.logaddexp.reduce(part, axis=1, keepdims=True)
            moved[start : start + _BLOCK] = part
    return moved


def _for(lat: LatentSet, prior: NDArray[np.float64]) -> NDArray[np.floating]:
    """Return (N, C) log-probabilities for the label frequencies `prior`."""
    if lat.label_prior is None:
        return lat.log_probs
    return _moved(lat.log_probs, lat.label_prior, prior)


def _own(lat: LatentSet, log_probs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (N,) log-probabilities of the labels."""
    own = log_probs[np.arange(len(lat)), lat.y].astype(np.float64)
    own[np.isnan(own)] = -np.inf  # a row whose every class is impossible, its label too
    return own


def _expected_losses(
    log_probs: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (C,) sums over rows of p(k|x) times the loss -log p(k|x), and times its square."""
    first, second = np.zeros((2, log_probs.shape[1]))
    for start in range(0, len(log_probs), _BLOCK):
        part = np.asarray(log_probs[start : start + _BLOCK], np.float64)
        loss = np.where(np.isfinite(part), np.maximum(-part, 0), 0)
        weighted = np.exp(-loss) * loss
        first += weighted.sum(0)
        second += (weighted * loss).sum(0)
    return first, second


def _counting_noise(
    lat: LatentSet, log_probs: NDArray[np.floating], prior: NDArray[np.float64], k: int
) -> float:
    """Return the variance that counted frequencies add to the estimate of class `k`."""
    if lat.label_prior is None:
        return float((1 - prior[k]) / (len(lat) * prior[k]))
    mean = np.exp(log_probs[lat.y == k].astype(np.float64)).mean(0)
    squares = np.divide(mean**2, prior, out=np.zeros_like(prior), where=prior > 0)
    return float(max(squares.sum() - 1, 0.0) / len(lat))


def _label_probs(lat: LatentSet, prior_probs: ArrayLike | None) -> NDArray[np.float64]:
    counts = np.bincount(lat.y, minlength=lat.n_classes)
    if prior_probs is None:
        return counts / counts.sum()
    prior = as_probs("prior_probs", prior_probs, lat.n_classes)
    if (prior[counts > 0] == 0).any():
        k = int(np.flatnonzero((prior == 0) & (counts > 0))[0])
        raise InputError(f"prior_probs gives class {k} probability 0, but samples have that label")
    return prior
