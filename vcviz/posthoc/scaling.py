"""The least NLL of softmax(W x + b) in W, diagonal or full, and b: L-BFGS in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

#: no weight is larger, as no temperature is below 1/100: rows that can be told apart without error
#: would otherwise drive them to infinity
BOUND = 100.0
#: a log-probability is never read as lower, as in the code of Kull et al.: that of the smallest
#: normal float64, because 0 times minus infinity is no number
FLOOR = float(np.log(np.finfo(np.float64).tiny))
_ITERATIONS = 3000


def minimise(
    x: NDArray[np.float64],
    y: NDArray[np.int64],
    weight: NDArray[np.float64],
    bias: NDArray[np.float64],
    odir: float = 0.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weight and bias of least mean NLL, starting from those given.

    Parameters
    ----------
    x : (N, C) finite log-probabilities
    y : (N,) labels
    weight : (C,) array of a diagonal map or (C, C) array of a full one
    bias : (C,) array
    odir : strength of the regularisation of off-diagonal weights and bias
    """
    n, n_classes = x.shape
    # Columns of mean 0 and spread 1 for the optimiser; bounds and regularisation stay in our units.
    centre, spread = x.mean(0), np.maximum(x.std(0), 1e-3)
    u = (x - centre) / spread
    rows = np.arange(n)
    diagonal = weight.ndim == 1
    off = 0.0 if diagonal else (1 - np.eye(n_classes)) / max(n_classes * (n_classes - 1), 1)

    def moved(weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the weights add to the bias at the centre."""
        return weight * centre if diagonal else weight @ centre

    def objective(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scaled, level = theta[:-n_classes].reshape(weight.shape), theta[-n_classes:]
        log_probs = log_softmax((u * scaled if diagonal else u @ scaled.T) + level, axis=1)
        value = -log_probs[rows, y].mean()
        slope = np.exp(log_probs)
        slope[rows, y] -= 1
        slope /= n
        at_weight = (slope * u).sum(0) if diagonal else slope.T @ u
        at_level = slope.sum(0)
        if odir > 0:
            w = scaled / spread
            b = level - moved(w)
            value += odir * ((off * w**2).sum() + (b**2).mean())
            at_bias = 2 * odir * b / n_classes
            at_level += at_bias
            pull = at_bias * centre if diagonal else np.outer(at_bias, centre)
            at_weight += (2 * odir * off * w - pull) / spread
        return float(value), np.concatenate([at_weight.ravel(), at_level])

    start = np.concatenate([(weight * spread).ravel(), bias + moved(weight)])
    limit = np.concatenate(
        [np.broadcast_to(BOUND * spread, weight.shape).ravel(), np.full(n_classes, np.inf)]
    )
    found = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=np.column_stack([-limit, limit]),
        options={"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS, "ftol": 1e-13, "gtol": 1e-8},
    )
    # A start at a bound, or flat ground, may leave nothing to gain: never worse than the start.
    theta = found.x if found.fun < objective(start)[0] else start
    weight = theta[:-n_classes].reshape(weight.shape) / spread
    return weight, theta[-n_classes:] - moved(weight)
