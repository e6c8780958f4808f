"""Labels turned at random, and labels that noisy utilities choose: exact, by quadrature."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import entr, expit, log_expit, log_softmax, logit, softmax
from scipy.stats import norm

from vcviz.metrics.noisy_scores import argmax_probs, noisy_log_probs
from vcviz.records import LogitLaw

#: half the distance of two unit Gaussians, and the means of three utilities
HALF = 1.5
UTILITIES = np.array([1.0, 0.3, -0.8])
TEMPERATURES = tuple(float(t) for t in np.round(np.geomspace(0.05, 5, 13), 3))
DRAWS, _FEW, _REPEATS = 4000, 10, 200


def flipped(odds: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Return p(B|z) of labels of which a share `rate` was turned into the other class."""
    p = expit(odds)
    return (1 - rate) * p + rate * (1 - p)


@dataclass(frozen=True)
class Fit:
    """The best softmax on turned labels.

    Attributes
    ----------
    slope, bias : of its log odds of B, slope·z + bias
    nll : its cross-entropy on turned labels, nats
    least : that of Bayes' rule for turned labels
    """

    slope: float
    bias: float
    nll: float
    least: float

    @property
    def boundary(self) -> float:
        """The z where it says ½."""
        return -self.bias / self.slope


def log_odds(z: NDArray[np.float64], share: float = 0.5) -> NDArray[np.float64]:
    """Return the clean log odds of B at z, for P(B) = share, nats."""
    return 2 * HALF * z + logit(share)


@lru_cache(maxsize=256)
def fitted(rate: float, share: float = 0.5) -> Fit:
    """Return the best softmax on labels of which a share `rate` was turned, by quadrature.

    Classes A and B are N(-HALF, 1) and N(HALF, 1), with P(B) = share.
    """
    z = np.linspace(-9, 9, 2001)
    density = share * norm.pdf(z, HALF) + (1 - share) * norm.pdf(z, -HALF)
    weight = density / density.sum()
    target = flipped(log_odds(z, share), rate)

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        u = at[0] * z + at[1]
        said = target * log_expit(u) + (1 - target) * log_expit(-u)
        slope = weight * (expit(u) - target)
        return float(-weight @ said), np.array([slope @ z, slope.sum()])

    found = minimize(loss, [1.0, 0.0], jac=True, method="BFGS", options={"gtol": 1e-9})
    slope, bias = found.x
    return Fit(
        float(slope),
        float(bias),
        float(found.fun),
        float(weight @ (entr(target) + entr(1 - target))),
    )


def utilities(noise: float, temperature: float = 1.0) -> LogitLaw:
    """Return the law of three utilities with independent normal noise."""
    return LogitLaw(UTILITIES[None], np.full((1, 3), noise), temperature=temperature)


def plain_temperature(noise: float) -> tuple[float, float]:
    """Return the T whose softmax(a / T) is nearest to the truth, and its KL in nats."""
    truth = argmax_probs(utilities(noise))[0]

    def kl(t: float) -> float:
        return float((truth * (np.log(truth) - log_softmax(UTILITIES / t))).sum())

    found = minimize_scalar(kl, bounds=(0.02, 20), method="bounded", options={"xatol": 1e-7})
    return float(found.x), float(found.fun)


@lru_cache(maxsize=64)
def smoothing(noise: float) -> NDArray[np.float64]:
    """Return (len(TEMPERATURES), 2): bias and noise of the smoothed softmax, nats.

    Bias: KL(truth || mean over many draws of softmax(u / tau)). Noise: standard deviation of
    log p of the first class over repeats with ten draws.
    """
    truth = argmax_probs(utilities(noise))[0]
    u = UTILITIES + noise * np.random.default_rng(1).standard_normal((_REPEATS, _FEW, 3))
    found = []
    for tau in TEMPERATURES:
        mean = noisy_log_probs(utilities(noise, tau), draws=DRAWS)[0]
        few = np.log(softmax(u / tau, axis=2).mean(1)[:, 0] + 1e-12)
        found.append([(truth * (np.log(truth) - mean)).sum(), few.std()])
    return np.array(found)
