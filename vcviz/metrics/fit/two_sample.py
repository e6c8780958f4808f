"""Classifier two-sample test: whether a classifier can tell the latents from draws of the law."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, ndtr

from vcviz.metrics.ood import auroc

_PAIRS_UP_TO = 32


class Drawn:
    """Whitened draws of a law as a classifier sees them, in two halves; made once for all classes.

    Parameters
    ----------
    draws : (M, D) independent draws
    """

    def __init__(self, draws: NDArray[np.float64]) -> None:
        features = _features(draws)
        self.halves = [features[fold::2] for fold in (0, 1)]
        self.means = [half.mean(0) for half in self.halves]
        self.variances = [half.var(0) for half in self.halves]

    def __len__(self) -> int:
        return sum(map(len, self.halves))

    @cached_property
    def covariances(self) -> list[NDArray[np.float64]]:
        """(P, P) covariance of the features of each half."""
        return [np.cov(half.T, bias=True) for half in self.halves]


def held_out_auc(u: NDArray[np.float64], drawn: Drawn, rng: np.random.Generator) -> float:
    """Return the AUC of a classifier that tells `u` from draws, on points it did not see.

    Parameters
    ----------
    u : (N, D) whitened residuals, N >= 4
    drawn : whitened draws of the law
    rng : shuffles `u` into two halves; each half, with one of the draws, is judged by the
        classifier fitted to the other, and the two areas are averaged

    Notes
    -----
    A linear discriminant on Neyman's smooth features: Legendre polynomials up to degree four of
    each coordinate's and of the radius's normal distribution function, and products of pairs of
    coordinates. Under the law they are bounded and orthonormal, so that no outlier rules and
    one ridge fits all; together they see means, spreads, skews, tails, correlations and rings.
    On twelve departures at D = 2 and 16 it was as sharp as logistic regression on the same
    features at a fifth of the time, and mostly sharper than logistic regression on squares,
    boosted trees and nearest neighbours; trees see spirals and high-dimensional rings better.

    References
    ----------
    Lopez-Paz & Oquab, Revisiting Classifier Two-Sample Tests, ICLR 2017.
    Neyman, "Smooth test" for goodness of fit, 1937.
    """
    features = _features(u)[rng.permutation(len(u))]
    areas = []
    for fold in (0, 1):
        direction = _discriminant(features[fold::2], drawn, fold)
        areas.append(auroc(drawn.halves[1 - fold] @ direction, features[1 - fold :: 2] @ direction))
    return float(np.mean(areas))


def _features(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return features with mean 0 and covariance I under N(0, I) but for radius and coordinates."""
    dim = u.shape[1]
    coordinates = 2 * ndtr(u) - 1
    radius = 2 * gammainc(dim / 2, (u * u).sum(1) / 2) - 1
    v = np.column_stack([coordinates, radius])
    legendre = [
        np.sqrt(3) * v,
        np.sqrt(5) * (3 * v**2 - 1) / 2,
        np.sqrt(7) * (5 * v**3 - 3 * v) / 2,
        3 * (35 * v**4 - 30 * v**2 + 3) / 8,
    ]
    if dim <= _PAIRS_UP_TO:  # there are D (D-1) / 2
        i, j = np.triu_indices(dim, 1)
        legendre.append(3 * coordinates[:, i] * coordinates[:, j])
    return np.hstack(legendre)


def _discriminant(real: NDArray[np.float64], drawn: Drawn, fold: int) -> NDArray[np.float64]:
    """Return (P,) weights of the linear discriminant of features from half of the draws."""
    towards = real.mean(0) - drawn.means[fold]
    n, size = len(real), real.shape[1]
    if size > n:  # too few points for a covariance: each feature by itself
        return towards / ((real.var(0) + drawn.variances[fold]) / 2 + 1)
    spread = (np.cov(real.T, bias=True) + drawn.covariances[fold]) / 2
    return np.linalg.solve(spread + size / n * np.eye(size), towards)
