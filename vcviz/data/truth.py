"""What is known of a Gaussian mixture: Bayes error, mutual information, label entropy.

With noisy posterior p(y|x) and marginal p(y), in nats,

    bayes_error = 1 - E_x[max_y p(y|x)],   I(X;Y) = H(Y) - E_x[H(Y|X=x)].

Where the classes differ along one line only (one dimension, or one shared covariance and means
that are collinear once it is whitened) the expectation is a quadrature in one dimension;
elsewhere it is a Monte-Carlo mean over draws of x, whose standard error is given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import entr
from scipy.stats import norm
from tqdm.auto import tqdm

from vcviz.records import LatentPrior

#: draws of the Monte-Carlo estimate
DRAWS = 100_000


def true_numbers(
    law: LatentPrior, *, label_noise: float = 0.0, seed: int = 0, progress: bool = True
) -> dict[str, Any]:
    """Return ``bayes_error``, ``mutual_information``, ``label_entropy``, errors and the method.

    Parameters
    ----------
    law : class-conditional Gaussians with their weights
    label_noise : share of the labels replaced by another class, each equally likely
    seed : of the Monte-Carlo draws
    progress : whether work longer than two seconds shows a bar
    """
    entropy = float(entr(noisy(np.exp(law.log_weight), label_noise)).sum())
    line = as_line(law)
    if line is None:
        mean, error = _monte_carlo(law, label_noise, np.random.default_rng(seed), progress)
        how: dict[str, Any] = {"method": "monte carlo", "draws": DRAWS}
    else:
        mean, error = _quadrature(line, label_noise), np.zeros(2)
        how = {"method": "quadrature"}
    return {
        "bayes_error": float(mean[0]),
        "bayes_error_se": float(error[0]),
        "mutual_information": entropy - float(mean[1]),
        "mutual_information_se": float(error[1]),
        "label_entropy": entropy,
        **how,
    }


def noisy(probs: NDArray[np.float64], label_noise: float) -> NDArray[np.float64]:
    """Return class probabilities (…, C) after a share of the labels moved to the other classes."""
    others = (1 - probs) / (probs.shape[-1] - 1)
    return (1 - label_noise) * probs + label_noise * others


def as_line(law: LatentPrior) -> LatentPrior | None:
    """Return the one-dimensional law with the same posterior along the line, or None.

    For a shared covariance L L' the posterior depends on u = L^-1 x alone, in which every class
    has unit covariance; if the means of u are collinear, only the coordinate along them matters.
    """
    if law.latent_dim == 1:
        return law
    covariances = law.covariance
    if not np.allclose(covariances, covariances[0], rtol=1e-12, atol=0):
        return None
    lower = np.linalg.cholesky(covariances[0])
    centred = law.mean - law.mean.mean(0)
    u = solve_triangular(lower, centred.T, lower=True).T
    _, lengths, axes = np.linalg.svd(u, full_matrices=False)
    if lengths[1:].max(initial=0) > 1e-9 * lengths[0]:
        return None
    return LatentPrior(mean=u @ axes[:1].T, scale=np.ones((1, 1)), log_weight=law.log_weight)


def _losses(log_posterior: NDArray[np.float64], label_noise: float) -> NDArray[np.float64]:
    """Return (n, 2): probability of error of the best guess, and entropy of the label (nats)."""
    probs = noisy(np.exp(log_posterior), label_noise)
    return np.stack([1 - probs.max(1), entr(probs).sum(1)], axis=1)


def _quadrature(line: LatentPrior, label_noise: float) -> NDArray[np.float64]:
    """Return the expectations of `_losses`, by the trapezoidal rule over each class in turn.

    The rule converges faster than any power of the step for these smooth integrands; the corners
    of the maximum leave an error of about the square of the step.
    """
    n_classes = line.n_classes
    points = int(np.clip(2e8 / n_classes**2, 2001, 24001))
    u = np.linspace(-12, 12, points)
    density = norm.pdf(u) / norm.pdf(u).sum()
    total = np.zeros(2)
    scales = np.sqrt(line.covariance[:, 0, 0])
    for mean, scale, weight in zip(line.mean[:, 0], scales, np.exp(line.log_weight), strict=True):
        rows = (mean + scale * u)[:, None]
        losses = _losses(line.log_posterior(rows), label_noise)
        total += weight * (density @ losses)
    return total


def _monte_carlo(
    law: LatentPrior, label_noise: float, rng: np.random.Generator, progress: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means of `_losses` over draws of x, and their standard errors."""
    x, _ = law.sample(DRAWS, rng)
    chunks = np.array_split(x, max(1, DRAWS * law.n_classes // 4_000_000))
    bar = tqdm(chunks, "true information", delay=2, disable=not progress)
    losses = np.concatenate([_losses(law.log_posterior(chunk), label_noise) for chunk in bar])
    return losses.mean(0), losses.std(0, ddof=1) / np.sqrt(DRAWS)
