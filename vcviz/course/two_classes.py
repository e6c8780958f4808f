"""Two classes in the plane: Bayes' rule, the softmax nearest to it, and what that lacks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, expit, log_expit

from vcviz.base.errors import InputError, unknown
from vcviz.base.options import check_fraction, check_number
from vcviz.metrics.posthoc.mixture import MixtureDensity, mixture_prior
from vcviz.records import LatentPrior

LAWS = ("gaussian", "heavy tails", "two clumps")
MEAN_A = (-1.5, 0.0)
#: degrees of freedom of the heavy tails
DF = 1.5
_STEPS = 60
#: nodes an axis of the quadrature; draws a class where there is none
_NODES, _DRAWS = 48, 10_000


def two_classes(
    law: str = "gaussian",
    *,
    mean_a: ArrayLike = MEAN_A,
    mean_b: ArrayLike = (1.5, 0.0),
    spread: float = 1.0,
    correlation: float = 0.0,
    share_b: float = 0.5,
) -> LatentPrior:
    """Return the laws of classes A (with unit covariance) and B, with their frequencies.

    Parameters
    ----------
    law : "gaussian"; "heavy tails" (Student-t with 1.5 degrees of freedom, same centres and
        shapes); or "two clumps" (A is half at its place and half at its mirror image beyond B)
    mean_a, mean_b : (2,) centres
    spread : standard deviation of B in either direction; A has 1
    correlation : of the two coordinates of B
    share_b : P(B)
    """
    means = np.stack([_centre("mean_a", mean_a), _centre("mean_b", mean_b)])
    check_number("spread", spread, above=0)
    if not -1 < correlation < 1:
        raise InputError(f"correlation must lie between -1 and 1, got {correlation}")
    weight = np.log([1 - check_fraction("share_b", share_b), share_b])
    shape = spread * np.linalg.cholesky([[1.0, correlation], [correlation, 1.0]])
    factors = np.stack([np.eye(2), shape])
    if law == "gaussian":
        return LatentPrior(means, scale_tril=factors, log_weight=weight)
    if law == "heavy tails":
        return LatentPrior(
            means, scale_tril=factors, log_weight=weight, family="student_t", df=np.full(2, DF)
        )
    if law != "two clumps":
        raise unknown("law", law, LAWS)
    clumps = np.stack([means[0], 2 * means[1] - means[0]])
    return mixture_prior(
        (
            LatentPrior(clumps, scale=np.ones((2, 2))),
            LatentPrior(means[1:], scale_tril=factors[1:]),
        ),
        weight,
    )


def _centre(name: str, value: ArrayLike) -> NDArray[np.float64]:
    centre = np.asarray(value, dtype=float)
    if centre.shape != (2,) or not np.isfinite(centre).all():
        raise InputError(f"{name} must hold two numbers, got {value!r}")
    return centre


@dataclass(frozen=True)
class Softmax:
    """The linear softmax nearest to Bayes' rule, for two classes.

    Attributes
    ----------
    weight : (2,) w_B - w_A; bias : b_B - b_A
    excess : mean KL(p(y|z) || softmax), nats: its cross-entropy above the least possible
    least : mean entropy of p(y|z), nats, which no classifier goes below
    """

    weight: NDArray[np.float64]
    bias: float
    excess: float
    least: float

    def log_odds(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return log softmax_B / softmax_A at latents (N, 2), nats."""
        return np.asarray(z, dtype=float) @ self.weight + self.bias


def log_odds(prior: LatentPrior, z: ArrayLike) -> NDArray[np.float64]:
    """Return log p(B|z) / p(A|z) of two classes by Bayes' rule, nats."""
    return np.diff(prior.log_posterior(z), axis=1)[:, 0]


def best_softmax(prior: LatentPrior) -> Softmax:
    """Return the softmax w'z + b of least cross-entropy under two classes' laws.

    By Newton's method on points of each class that stand for its law: a Gauss-Hermite grid for
    Gaussians and mixtures of them, seeded draws for other laws. They are labelled with p(y|z)
    itself, so that the excess is exactly 0 where softmax is right.
    """
    z, share = _points(prior)
    logit = log_odds(prior, z)
    target = expit(logit)
    x = np.column_stack([z, np.ones(len(z))])
    theta = np.zeros(3)

    def loss(at: NDArray[np.float64]) -> float:
        u = x @ at
        return float(-(share * (target * log_expit(u) + (1 - target) * log_expit(-u))).sum())

    now = loss(theta)
    for _ in range(_STEPS):
        p = expit(x @ theta)
        slope = x.T @ (share * (p - target))
        if np.abs(slope).max() < 1e-10:
            break
        curve = (x * (share * p * (1 - p))[:, None]).T @ x
        step = np.linalg.solve(curve + 1e-12 * np.trace(curve) * np.eye(3), slope)
        size = 1.0
        # Latents far out make a whole step overshoot.
        while size > 1e-6 and not (then := loss(theta - size * step)) <= now:
            size /= 2
        theta, now = theta - size * step, min(then, now)
    u = x @ theta
    least = float((share * (entr(target) + entr(1 - target))).sum())
    gap = target * (log_expit(logit) - log_expit(u))
    gap += (1 - target) * (log_expit(-logit) - log_expit(-u))
    return Softmax(theta[:2], float(theta[2]), float((share * gap).sum()), least)


def _points(prior: LatentPrior) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (N, 2) points and (N,) weights, which sum to 1, for means over p(z)."""
    if isinstance(prior.density, MixtureDensity):
        parts = [_points(one) for one in prior.density.laws]
        frequency = np.exp(prior.log_weight)
        weights = [f * weight for f, (_, weight) in zip(frequency, parts, strict=True)]
        return np.concatenate([z for z, _ in parts]), np.concatenate(weights)
    if prior.family == "gaussian":
        at, weight = np.polynomial.hermite_e.hermegauss(_NODES)
        noise = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
        mass = np.outer(weight, weight).ravel() / weight.sum() ** 2
        factors = np.linalg.cholesky(prior.covariance)
        z = np.concatenate([m + noise @ f.T for m, f in zip(prior.mean, factors, strict=True)])
        return z, np.concatenate([np.exp(w) * mass for w in prior.log_weight])
    labels = np.repeat(np.arange(prior.n_classes), _DRAWS)
    z, _ = prior.sample(labels, np.random.default_rng(0))
    return z, np.exp(prior.log_weight)[labels] / _DRAWS


def boundary_shape(prior: LatentPrior) -> str:
    """Return what Bayes' decision line of two Gaussians is: "line", "ellipse" or "hyperbola".

    log p(B|z) / p(A|z) is quadratic in z with the matrix (Σ_A⁻¹ - Σ_B⁻¹) / 2: no square is left
    if the covariances are equal, and the line is closed if the matrix is definite. (A
    semidefinite one, a parabola, is a hyperbola here.)
    """
    inverse = np.linalg.inv(prior.covariance)
    values = np.linalg.eigvalsh(inverse[0] - inverse[1])
    if np.abs(values).max() < 1e-9 * np.abs(inverse).max():
        return "line"
    return "ellipse" if values[0] * values[1] > 0 else "hyperbola"
