"""A classifier of known calibration: Bayes' rule with its log odds times a number."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit
from scipy.stats import norm

from vcviz.metrics.calibration import expected_calibration_error

#: half the distance of two unit Gaussians: the classifier's task
HALF = 0.75
SIZES = (50, 100, 200, 500, 1000, 2000, 5000, 20000)
SHARPNESS = (0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
BINS = 15


def sample(sharpness: float, n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (N, 2) log-probabilities and labels of a classifier whose calibration is known.

    The latents of two classes are N(-HALF, 1) and N(HALF, 1), equally likely. Bayes' rule has the
    log odds 2·HALF·z; the classifier says `sharpness` times that. 1 is perfectly calibrated.
    """
    rng = np.random.default_rng([seed, n])
    y = rng.integers(0, 2, n)
    z = rng.normal(np.where(y == 1, HALF, -HALF))
    odds = sharpness * 2 * HALF * z
    return np.stack([log_expit(-odds), log_expit(odds)], axis=1), y


def accuracy() -> float:
    """Return the accuracy of all of these classifiers: sharpness never changes a decision."""
    return float(norm.cdf(HALF))


def true_error(sharpness: float) -> float:
    """Return E|p(right | confidence) - confidence|, what the ECE estimates, by quadrature."""
    z = np.linspace(-9, 9, 4001)
    density = 0.5 * (norm.pdf(z, HALF) + norm.pdf(z, -HALF))
    odds = 2 * HALF * np.abs(z)
    gap = np.abs(expit(odds) - expit(sharpness * odds))
    return float(np.trapezoid(density * gap, z))


@lru_cache(maxsize=64)
def error_spread(sharpness: float) -> NDArray[np.float64]:
    """Return (len(SIZES), 3): mean, 2.5 % and 97.5 % of the ECE over repeated samples."""
    found = []
    for n in SIZES:
        draws = [
            expected_calibration_error(*sample(sharpness, n, 1000 + i), n_bins=BINS)
            for i in range(max(60, 200 * 500 // max(n, 500)))
        ]
        found.append([np.mean(draws), *np.quantile(draws, (0.025, 0.975))])
    return np.array(found)
