"""Labels turned at random, and labels that noisy utilities choose: exact, by quadrature."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import entr, expit, log_expit, log_softmax, softmax
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


@lru_cache(maxsize=64)
def fitted_slope(rate: float) -> tuple[float, float, float]:
    """Return (slope, NLL, least NLL) of the best softmax on flipped labels, in nats.

    Slope of the log odds in z, 2·HALF without noise; classes are N(±HALF, 1), equally likely, so
    that the best bias is 0. By quadrature.
    """
    z = np.linspace(-9, 9, 2001)
    density = 0.5 * (norm.pdf(z, HALF) + norm.pdf(z, -HALF))
    target = flipped(2 * HALF * z, rate)

    def nll(slope: float) -> float:
        said = target * log_expit(slope * z) + (1 - target) * log_expit(-slope * z)
        return float(-np.trapezoid(density * said, z))

    found = minimize_scalar(nll, bounds=(0, 4 * HALF), method="bounded", options={"xatol": 1e-8})
    least = float(np.trapezoid(density * (entr(target) + entr(1 - target)), z))
    return float(found.x), float(found.fun), least


def utilities(noise: float, temperature: float = 1.0) -> LogitLaw:
    """Return the law of three utilities with independent normal noise."""
    return LogitLaw(UTILITIES[None], np.full((1, 3), noise), temperature=temperature)


def plain_temperature(noise: float) -> tuple[float, float]:
    """Return the T whose softmax(mean / T) is nearest to the truth, and its KL in nats."""
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
