"""Means and covariances of latents by class, and what keeps a covariance invertible."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.records import LatentSet, as_float, as_labels


def pooled_covariance(z: ArrayLike, y: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    """Return the (D, D) within-class covariance of all classes together, unbiased.

    The sum of squares about the class means is divided by N minus the number of classes present.
    """
    z = as_float("z", z, 2, np.float64)
    y = as_labels("y", y, len(z), n_classes)
    scatter = np.zeros((z.shape[1], z.shape[1]))
    present = np.unique(y)
    for k in present:
        residual = z[y == k]
        residual = residual - residual.mean(0)
        scatter += residual.T @ residual
    return scatter / max(len(z) - len(present), 1)


def class_means(lat: LatentSet) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (C, D) means, zero for a class without latents, and (C,) counts."""
    counts = np.bincount(lat.y, minlength=lat.n_classes)
    sums = np.stack(
        [np.bincount(lat.y, column, minlength=lat.n_classes) for column in lat.z.T], axis=1
    )
    return sums / np.maximum(counts, 1)[:, None], counts


def invertible(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `covariance`, with a ridge where whitening by it would lose too many digits."""
    values = np.linalg.eigvalsh(covariance)
    if values[0] > 1e-7 * values[-1]:
        return covariance
    ridge = 1e-6 * np.trace(covariance) / len(covariance)
    return covariance + (ridge if ridge > 0 else 1e-6) * np.eye(len(covariance))
