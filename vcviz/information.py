"""How many nats a classifier knows about the label."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from vcviz.errors import InputError
from vcviz.records import LatentSet, as_float

__all__ = ["Information", "mutual_information", "pointwise_information"]


class Information(NamedTuple):
    """An estimate of I(X; Y) in nats.

    Attributes
    ----------
    estimate : mean of the pointwise information
    standard_error : of that mean
    interval : normal interval at `level`
    label_entropy : H(Y) of the label probabilities used, which no classifier exceeds
    level, n : mass of the interval; number of samples
    """

    estimate: float
    standard_error: float
    interval: tuple[float, float]
    label_entropy: float
    level: float
    n: int


def mutual_information(
    lat: LatentSet, *, prior_probs: ArrayLike | None = None, level: float = 0.95
) -> Information:
    """Return the mutual information between input and label that the classifier attains.

    The mean of log p(y|x) / p(y): in expectation I(X; Y) minus the mean KL of p(y|x) from the
    truth, so a lower bound on I(X; Y) on data that the classifier was not trained on; on its
    training data it can exceed it. A classifier worse than the label frequencies is negative.

    Parameters
    ----------
    lat : latents with log p(y|x) and labels
    prior_probs : (C,) label probabilities p(y); default the label frequencies of `lat`, whose
        entropy is too small by about (C - 1) / 2N nats
    level : mass of the interval

    Returns
    -------
    Information
        If a label was given probability 0 the estimate is minus infinity, and the interval is
        everything.

    References
    ----------
    Qin, Kim & Gedeon, Rethinking Softmax with Cross-Entropy, 2019, arXiv 1911.10688.
    """
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    prior = _label_probs(lat, prior_probs)
    pointwise = _pointwise(lat, prior)
    n = len(pointwise)
    present = prior > 0
    entropy = float(-(prior[present] * np.log(prior[present])).sum())
    if np.isneginf(pointwise).any():
        return Information(-np.inf, np.inf, (-np.inf, np.inf), entropy, level, n)
    estimate = float(pointwise.mean())
    error = float(pointwise.std(ddof=1) / np.sqrt(n)) if n > 1 else np.inf
    reach = float(norm.ppf((1 + level) / 2)) * error
    return Information(estimate, error, (estimate - reach, estimate + reach), entropy, level, n)


def pointwise_information(
    lat: LatentSet, *, prior_probs: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return (N,) log p(y|x) / p(y) in nats of each sample's own label.

    At most -log p(y), when the classifier is certain and right; negative where the input speaks
    against the label, minus infinity where it was given probability 0. `prior_probs` as for
    `mutual_information`.
    """
    return _pointwise(lat, _label_probs(lat, prior_probs))


def _pointwise(lat: LatentSet, prior: NDArray[np.float64]) -> NDArray[np.float64]:
    own = lat.log_probs[np.arange(len(lat)), lat.y].astype(np.float64)
    return own - np.log(prior[lat.y])


def _label_probs(lat: LatentSet, prior_probs: ArrayLike | None) -> NDArray[np.float64]:
    counts = np.bincount(lat.y, minlength=lat.n_classes)
    if prior_probs is None:
        return counts / counts.sum()
    prior = as_float("prior_probs", prior_probs, 1, np.float64)
    if prior.shape != (lat.n_classes,) or prior.min() < 0 or abs(prior.sum() - 1) > 1e-3:
        raise InputError(
            f"prior_probs must hold {lat.n_classes} probabilities that sum to 1, "
            f"got shape {prior.shape} with sum {prior.sum():.3g}"
        )
    if (prior[counts > 0] == 0).any():
        k = int(np.flatnonzero((prior == 0) & (counts > 0))[0])
        raise InputError(f"prior_probs gives class {k} probability 0, but samples have that label")
    return prior / prior.sum()
