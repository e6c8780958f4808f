"""Scores of how strange an input is: by what a classifier says of it and where its latent lies."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from vcviz.densities.moments import class_means, invertible, pooled_covariance
from vcviz.errors import InputError, unknown
from vcviz.options import check_count
from vcviz.records import LatentPrior, LatentSet, as_float

Method = Literal[
    "max_prob", "entropy", "energy", "log_marginal", "mahalanobis", "relative_mahalanobis", "knn"
]
#: score -> what it is, for titles
METHODS: dict[str, str] = {
    "max_prob": "-log max p(y|x)",
    "entropy": "entropy of p(y|x)",
    "energy": "energy",
    "log_marginal": "-log p(z)",
    "mahalanobis": "Mahalanobis",
    "relative_mahalanobis": "relative Mahalanobis",
    "knn": "k-th neighbour",
}
#: score -> its unit
UNITS: dict[str, str] = dict.fromkeys(METHODS, "nats") | {
    "mahalanobis": "squared σ", "relative_mahalanobis": "squared σ", "knn": "latent units",
}  # fmt: skip
#: scores of what a classifier says, not of where the latent lies
OF_OUTPUT = ("max_prob", "entropy", "energy")
_DISTANCES = ("mahalanobis", "relative_mahalanobis", "knn")


def score(
    lat: LatentSet,
    method: Method = "max_prob",
    *,
    prior: LatentPrior | None = None,
    logits: ArrayLike | None = None,
    train: LatentSet | None = None,
    neighbours: int = 10,
    normalise: bool = False,
) -> NDArray[np.float64]:
    """Return (N,) scores, higher for stranger inputs.

    Parameters
    ----------
    lat : the latents to judge
    method : in nats, ``"max_prob"``: -max_k log p(k|x); ``"entropy"``: of p(y|x);
        ``"energy"``: -logsumexp of the logits, from ``lat.energy``;
        ``"log_marginal"``: -log p(z) under `prior`;
        and from the latents of `train`,
        ``"mahalanobis"``: least squared distance from a class mean, min_k (z - m_k)' S^-1 (z - m_k)
        with their pooled covariance S; ``"relative_mahalanobis"``: the same less the squared
        distance from their overall mean, with their overall covariance; ``"knn"``: Euclidean
        distance to the `neighbours`-th nearest of them
    prior : the anticipated law, for ``"log_marginal"``
    logits : (N, C) array before normalisation, for ``"energy"`` of latents that have none
    train : latents of training rows by the same model, for the distances
    neighbours : k of ``"knn"``; a share of 0.1 to 1 % of the training rows is usual
    normalise : for ``"knn"``, bring every latent to length 1 first, as its authors do; in few
        dimensions that throws most of it away

    Raises
    ------
    InputError
        If the method is unknown or lacks what it needs.

    References
    ----------
    Hendrycks & Gimpel, ICLR 2017 (max_prob); Liu et al., Energy-based Out-of-distribution
    Detection, NeurIPS 2020 (energy); Lee et al., A Simple Unified Framework, NeurIPS 2018, eq. 2
    (mahalanobis); Ren et al., A Simple Fix to Mahalanobis Distance, 2021, eq. 3 (relative); Sun et
    al., Out-of-Distribution Detection with Deep Nearest Neighbors, ICML 2022 (knn).
    """
    if method not in METHODS:
        raise unknown("score", method, METHODS)
    if method in _DISTANCES:
        train = _checked_train(lat, train, method)
        if method == "knn":
            return _neighbour_distance(lat, train, neighbours, normalise)
        return _mahalanobis(lat, train, relative=method == "relative_mahalanobis")
    log_probs = lat.log_probs.astype(np.float64)
    if method == "max_prob":
        return _unlikeliness_of_top(log_probs)
    if method == "entropy":
        finite = np.where(np.isneginf(log_probs), 0.0, log_probs)
        return -(np.exp(log_probs) * finite).sum(1)
    if method == "energy":
        return _energy(lat, logits)
    if prior is None:
        raise InputError("the log_marginal score needs prior=, the law of the latents")
    return -prior.log_marginal(lat.z)


def available(
    lat: LatentSet,
    *,
    prior: LatentPrior | None = None,
    train: LatentSet | None = None,
) -> tuple[str, ...]:
    """Return the names of the scores that have what they need."""
    lacking = {
        "energy": lat.energy is None,
        "log_marginal": prior is None,
        **dict.fromkeys(_DISTANCES, train is None),
    }
    return tuple(method for method in METHODS if not lacking.get(method, False))


def _unlikeliness_of_top(log_probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -log of each row's largest probability, through all the others.

    log p itself is rounded to 0 where p is within 1e-7 of 1: the most confident would all tie.
    """
    top = log_probs.argmax(1)[:, None]
    odds = np.exp(log_probs - np.take_along_axis(log_probs, top, 1))
    np.put_along_axis(odds, top, 0.0, 1)
    return np.log1p(odds.sum(1))


def _energy(lat: LatentSet, logits: ArrayLike | None) -> NDArray[np.float64]:
    if logits is None and lat.energy is not None:
        return lat.energy.astype(np.float64)
    if logits is None:
        raise InputError(
            "the energy score needs latents with energy, or logits=(N, C) before normalisation"
        )
    logits = as_float("logits", logits, 2, np.float64)
    if len(logits) != len(lat):
        raise InputError(f"logits must have {len(lat)} rows to match, got {len(logits)}")
    return -logsumexp(logits, axis=1)


def _checked_train(lat: LatentSet, train: LatentSet | None, method: str) -> LatentSet:
    if train is None:
        raise InputError(f"the {method} score needs train=, latents of training rows")
    if train.latent_dim != lat.latent_dim:
        raise InputError(
            f"train must have latents of {lat.latent_dim} dimensions, got {train.latent_dim}"
        )
    return train


def _mahalanobis(lat: LatentSet, train: LatentSet, *, relative: bool) -> NDArray[np.float64]:
    means, counts = class_means(train)
    pooled = pooled_covariance(train.z, train.y, train.n_classes)
    nearest = _squared_distance(lat.z, means[counts > 0], pooled).min(1)
    if not relative:
        return nearest
    z = train.z.astype(np.float64)
    overall = np.atleast_2d(np.cov(z, rowvar=False, bias=True))
    return nearest - _squared_distance(lat.z, z.mean(0)[None], overall)[:, 0]


def _squared_distance(
    z: NDArray, means: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (N, K) squared Mahalanobis distances of rows from means."""
    tril = np.linalg.cholesky(invertible(covariance))
    u, m = (solve_triangular(tril, v.astype(np.float64).T, lower=True).T for v in (z, means))
    return np.stack([((u - centre) ** 2).sum(1) for centre in m], axis=1)


def _neighbour_distance(
    lat: LatentSet, train: LatentSet, neighbours: int, normalise: bool
) -> NDArray[np.float64]:
    from sklearn.neighbors import NearestNeighbors

    check_count("neighbours", neighbours)
    if neighbours > len(train):
        raise InputError(f"neighbours must be at most the {len(train)} rows of train")
    reference, z = (v.z.astype(np.float64) for v in (train, lat))
    if normalise:
        reference, z = (
            v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (reference, z)
        )
    found = NearestNeighbors(n_neighbors=neighbours).fit(reference)
    return found.kneighbors(z)[0][:, -1]
