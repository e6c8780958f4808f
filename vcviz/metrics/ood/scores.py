"""Scores of how strange an input is: by what a classifier says of it and where its latent lies."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from vcviz.base.errors import InputError, unknown
from vcviz.base.options import check_count
from vcviz.geometry.moments import class_moments, invertible
from vcviz.records import LatentPrior, LatentSet
from vcviz.records.blocks import row_blocks, squared_distances

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
_PRODUCTS, _FEWEST = 5e11, 2000  # multiplications of knn at most, training rows at least
_DISTANCES = ("mahalanobis", "relative_mahalanobis", "knn")


def score(
    lat: LatentSet,
    method: Method = "max_prob",
    *,
    prior: LatentPrior | None = None,
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
        distance to the `neighbours`-th nearest of them; to a random sample of them, with a
        warning that says so, where all would take minutes (more than 5e11 products)
    prior : the anticipated law, for ``"log_marginal"``
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
        if train is None:
            raise InputError(f"the {method} score needs train=, latents of training rows")
        if train.latent_dim != lat.latent_dim:
            raise InputError(
                f"train must have latents of {lat.latent_dim} dimensions, got {train.latent_dim}"
            )
        if method == "knn":
            return _neighbour_distance(lat, train, neighbours, normalise)
        return _mahalanobis(lat, train, relative=method == "relative_mahalanobis")
    if method in ("max_prob", "entropy"):
        of_output = _unlikeliness_of_top if method == "max_prob" else _entropy
        found = np.empty(len(lat))
        for rows in row_blocks(len(lat), lat.n_classes):
            found[rows] = of_output(lat.log_probs[rows].astype(np.float64))
        return found
    if method == "energy":
        if lat.energy is None:
            raise InputError("the energy score needs latents with energy=, of unnormalised scores")
        return lat.energy.astype(np.float64)
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


def _entropy(log_probs: NDArray[np.float64]) -> NDArray[np.float64]:
    finite = np.where(np.isneginf(log_probs), 0.0, log_probs)
    return -(np.exp(log_probs) * finite).sum(1)


def _mahalanobis(lat: LatentSet, train: LatentSet, *, relative: bool) -> NDArray[np.float64]:
    found = class_moments(train)
    nearest = _squared_distance(lat.z, found.means[found.counts > 0], found.within)
    if not relative:
        return nearest
    return nearest - _squared_distance(lat.z, found.centre[None], found.covariance)


def _squared_distance(
    z: NDArray, means: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (N,) squared Mahalanobis distances of rows from the nearest of (K, D) means."""
    tril, centre = np.linalg.cholesky(invertible(covariance)), means.mean(0)

    def whitened(rows: NDArray) -> NDArray[np.float64]:
        return solve_triangular(tril, (rows - centre).T, lower=True, check_finite=False).T

    out, centres = np.empty(len(z)), whitened(means)
    for rows in row_blocks(len(z), max(z.shape[1], len(means))):
        out[rows] = squared_distances(whitened(z[rows]), centres).min(1)
    return out


def _neighbour_distance(
    lat: LatentSet, train: LatentSet, neighbours: int, normalise: bool
) -> NDArray[np.float64]:
    from sklearn.neighbors import NearestNeighbors

    check_count("neighbours", neighbours)
    if neighbours > len(train):
        raise InputError(f"neighbours must be at most the {len(train)} rows of train")
    chosen: slice | NDArray[np.int64] = slice(None)
    most = max(int(_PRODUCTS / (len(lat) * lat.latent_dim)), _FEWEST)
    if len(train) > most:
        # The k-th of all is about as far as the k·m/n-th of m of n.
        rng = np.random.default_rng(0)
        chosen = np.sort(rng.choice(len(train), most, replace=False))
        neighbours = max(round(neighbours * most / len(train)), 1)
        warnings.warn(
            f"knn: distances to {most:,} of {len(train):,} training rows (neighbour {neighbours} "
            "of them), drawn at random: all would take minutes",
            stacklevel=3,
        )

    def prepared(z: NDArray) -> NDArray[np.float64]:
        z = z.astype(np.float64)
        length = np.linalg.norm(z, axis=1, keepdims=True) if normalise else 1.0
        return z / np.maximum(length, 1e-12)

    found = NearestNeighbors(n_neighbors=neighbours).fit(prepared(train.z[chosen]))
    out = np.empty(len(lat))
    for rows in row_blocks(len(lat), lat.latent_dim):
        out[rows] = found.kneighbors(prepared(lat.z[rows]))[0][:, -1]
    return out
