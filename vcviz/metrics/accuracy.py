"""Accuracy class by class, and their mean, which imbalanced data cannot flatter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.arguments import takes_records
from vcviz.metrics.intervals import normal_quantile, wilson
from vcviz.records import LatentSet, as_labels, as_log_probs


@dataclass(frozen=True, eq=False)
class ClassAccuracy:
    """Accuracy (recall) of each class, fractions; arrays of length C.

    Attributes
    ----------
    accuracy : share of a class's samples whose most probable class is theirs; NaN without samples
    interval : (C, 2) Wilson score intervals at `level`
    count : samples of each class
    balanced, balanced_interval : mean over the classes that occur, with its normal interval
    overall : share of all samples
    class_names, name, level : names of the classes; title; mass of the intervals
    label_note : for which label frequencies the predictions are, "" if for those of the samples

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> found = vcviz.metrics.class_accuracy(run.latents())
    >>> found.accuracy.round(1), found.count
    (array([1. , 1. , 1. , 0.9, 1. ]), array([209, 197, 201, 189, 204]))
    """

    accuracy: NDArray[np.float64]
    interval: NDArray[np.float64]
    count: NDArray[np.int64]
    balanced: float
    balanced_interval: tuple[float, float]
    overall: float
    class_names: tuple[str, ...]
    name: str = "accuracy"
    level: float = 0.95
    label_note: str = ""


@takes_records
def class_accuracy(
    lat: LatentSet, *, level: float = 0.95, name: str | None = None
) -> ClassAccuracy:
    """Return the accuracy of each class and their mean, with intervals.

    Parameters
    ----------
    lat : latents with log p(y|x) and labels
    level : mass of the intervals
    name : title; default that of `lat`

    Returns
    -------
    ClassAccuracy

    Raises
    ------
    InputError
        If `level` is not between 0 and 1.

    Notes
    -----
    The variance of the balanced accuracy is sum_k a_k (1 - a_k) / (n_k C^2), with
    (hits + 1) / (n_k + 2) for a_k, so that a class without a miss keeps some noise.

    Examples
    --------
    >>> log_probs = np.log([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> lat = vcviz.LatentSet(np.zeros((4, 1)), log_probs, y=[0, 0, 0, 1])  # never predicts class 1
    >>> found = vcviz.metrics.class_accuracy(lat)
    >>> found.accuracy, found.overall, found.balanced
    (array([1., 0.]), 0.75, 0.5)
    """
    z = normal_quantile(level)
    right = lat.log_probs.argmax(1) == lat.y
    count = np.bincount(lat.y, minlength=lat.n_classes)
    hits = np.bincount(lat.y[right], minlength=lat.n_classes)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = hits / count
    seen = count > 0
    smoothed = (hits[seen] + 1) / (count[seen] + 2)
    error = np.sqrt((smoothed * (1 - smoothed) / count[seen]).sum()) / seen.sum()
    balanced = float(accuracy[seen].mean())
    return ClassAccuracy(
        accuracy=accuracy,
        interval=wilson(accuracy, count, level),
        count=count,
        balanced=balanced,
        balanced_interval=(max(balanced - z * error, 0.0), min(balanced + z * error, 1.0)),
        overall=float(right.mean()),
        class_names=lat.class_names,
        name=lat.name if name is None else name,
        level=level,
        label_note=lat.label_note,
    )


def balanced_accuracy(log_probs: ArrayLike, y: ArrayLike) -> float:
    """Return the mean recall over the classes that occur.

    A fraction; the macro-averaged recall. Chance is 1 / C whatever the class frequencies.

    Parameters
    ----------
    log_probs : (N, C) float array, natural log, each row sums to 1 after exp
    y : (N,) int array in [0, C)

    Returns
    -------
    float

    Raises
    ------
    InputError
        If `y` is not one label per row, or rows are not log-probabilities.

    References
    ----------
    Brodersen et al., The Balanced Accuracy and Its Posterior Distribution, ICPR 2010.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1]] * 4)  # always class 0: right for 3 rows of 4
    >>> vcviz.metrics.balanced_accuracy(np.log(p), [0, 0, 0, 1])
    0.5
    """
    log_probs = as_log_probs(log_probs, dtype=None)
    y = as_labels("y", y, len(log_probs), log_probs.shape[1])
    count = np.bincount(y)
    hits = np.bincount(y[log_probs.argmax(1) == y], minlength=len(count))
    return float((hits[count > 0] / count[count > 0]).mean())
