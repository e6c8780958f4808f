"""The least NLL of softmax(W x + b) in W, diagonal or full, and b, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

#: a log-probability is never read as lower, as in the code of Kull et al.: that of the smallest
#: normal float64, because 0 times minus infinity is no number
FLOOR = float(np.log(np.finfo(np.float64).tiny))
#: half the price in nats of a squared step of 1 from the start (weights in units of a column's
#: spread): too little to be seen where rows say anything, enough to stop where they do not
PRICE = 1e-7

Array = NDArray[np.float64]


def minimise(
    x: Array, y: NDArray[np.int64], weight: Array, bias: Array, odir: float = 0.0
) -> tuple[Array, Array]:
    """Return weight and bias of least mean NLL, found by Newton steps from those given.

    The NLL is convex; its steps are solved by conjugate gradients in a trust region, because the
    log-probabilities of one row go together: L-BFGS needs thousands of steps for them.

    Parameters
    ----------
    x : (N, C) finite log-probabilities
    y : (N,) labels
    weight : (C,) array of a diagonal map or (C, C) array of a full one
    bias : (C,) array
    odir : strength of the regularisation of off-diagonal weights and bias
    """
    problem = _Problem(x, y, weight, odir)
    start = problem.packed(weight, bias)

    def objective(theta: Array) -> tuple[float, Array]:
        value, slope = problem.loss(theta)
        step = theta - start
        return value + PRICE * float(step @ step), slope + 2 * PRICE * step

    def curvature(theta: Array, along: Array) -> Array:
        return problem.curvature(theta, along) + 2 * PRICE * along

    found = minimize(
        objective, start, jac=True, hessp=curvature, method="trust-ncg",
        options={"gtol": 1e-9, "maxiter": 500, "max_trust_radius": 1e4},
    )  # fmt: skip
    return problem.unpacked(found.x)


class _Problem:
    """Mean NLL plus regularisation as a function of one vector, with slope and curvature.

    The vector holds the weights times the spread of their columns, and the bias at the centre of
    the rows: a fair scale for the optimiser. Regularisation stays in the units of the caller.
    """

    def __init__(self, x: Array, y: NDArray[np.int64], weight: Array, odir: float) -> None:
        self.n, self.n_classes = x.shape
        self.centre, self.spread = x.mean(0), np.maximum(x.std(0), 1e-3)
        self.u, self.y, self.odir = (x - self.centre) / self.spread, y, odir
        self.shape, self.diagonal = weight.shape, weight.ndim == 1
        off = 1 - np.eye(self.n_classes)
        self.off = 0.0 if self.diagonal else off / (self.n_classes * (self.n_classes - 1))
        self.seen: tuple[bytes, Array] = (b"", np.empty(0))

    def packed(self, weight: Array, bias: Array) -> Array:
        """Return the vector of these weights and biases."""
        return np.concatenate([(weight * self.spread).ravel(), bias + self._moved(weight)])

    def unpacked(self, theta: Array) -> tuple[Array, Array]:
        """Return weights and biases of a vector."""
        weight = self._split(theta)[0] / self.spread
        return weight, theta[-self.n_classes :] - self._moved(weight)

    def loss(self, theta: Array) -> tuple[float, Array]:
        """Return the value and the slope."""
        log_probs = log_softmax(self._scores(theta), axis=1)
        rows = np.arange(self.n)
        slope = np.exp(log_probs)
        self.seen = (theta.tobytes(), slope.copy())
        slope[rows, self.y] -= 1
        regular = self._regular(theta)
        value = -log_probs[rows, self.y].mean() + 0.5 * theta @ regular
        return float(value), self._back(slope / self.n) + regular

    def curvature(self, theta: Array, along: Array) -> Array:
        """Return the second derivative times a direction."""
        if self.seen[0] != theta.tobytes():
            self.loss(theta)
        probs, moved = self.seen[1], self._scores(along)
        moved = probs * (moved - (probs * moved).sum(1, keepdims=True))
        return self._back(moved / self.n) + self._regular(along)

    def _split(self, theta: Array) -> tuple[Array, Array]:
        return theta[: -self.n_classes].reshape(self.shape), theta[-self.n_classes :]

    def _moved(self, weight: Array) -> Array:
        return weight * self.centre if self.diagonal else weight @ self.centre

    def _scores(self, theta: Array) -> Array:
        weight, level = self._split(theta)
        return (self.u * weight if self.diagonal else self.u @ weight.T) + level

    def _back(self, slope: Array) -> Array:
        """Return the slope in the vector, from that in the scores (N, C)."""
        at_weight = (slope * self.u).sum(0) if self.diagonal else slope.T @ self.u
        return np.concatenate([at_weight.ravel(), slope.sum(0)])

    def _regular(self, theta: Array) -> Array:
        """Return the slope of odir (sum off W^2 + mean b^2), a quadratic form of the vector."""
        if self.odir == 0:
            return np.zeros_like(theta)
        weight, bias = self.unpacked(theta)
        at_bias = 2 * self.odir / self.n_classes * bias
        pull = at_bias * self.centre if self.diagonal else np.outer(at_bias, self.centre)
        at_weight = (2 * self.odir * self.off * weight - pull) / self.spread
        return np.concatenate([at_weight.ravel(), at_bias])
