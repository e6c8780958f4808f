"""The least NLL of softmax(W x + b) in W, diagonal or full, and b, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax

from vcviz.records.blocks import row_blocks

#: a log-probability is never read as lower, as in the code of Kull et al.: that of the smallest
#: normal float64, because 0 times minus infinity is no number
FLOOR = float(np.log(np.finfo(np.float64).tiny))
#: half the price in nats of a squared step of 1 from the start (weights in units of a column's
#: spread): too little to be seen where rows say anything, enough to stop where they do not
PRICE = 1e-7

Array = NDArray[np.float64]


# From so many probabilities on second derivatives, which only lead the way, are of 32 bits.
_MANY = 2**22
_DENSE = 2000  # classes up to which a diagonal map's second derivatives are written down
_KEPT = 2**22  # probabilities that are kept from the slope for the curvature


def minimise(
    x: NDArray[np.floating], y: NDArray[np.int64], weight: Array, bias: Array, odir: float = 0.0
) -> tuple[Array, Array]:
    """Return weight and bias of least mean NLL, found by Newton steps from those given.

    The NLL is convex; its steps are solved in a trust region, because the log-probabilities of one
    row go together: L-BFGS needs thousands of steps for them. Of a full map the second derivatives
    are too many to be written down, and the steps are solved by conjugate gradients.

    Parameters
    ----------
    x : (N, C) log-probabilities, read as no lower than `FLOOR`
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

    def matrix(theta: Array) -> Array:
        return problem.matrix(theta) + 2 * PRICE * np.eye(len(theta))

    dense = problem.diagonal and odir == 0 and len(bias) <= _DENSE
    options: dict[str, Any] = {"gtol": 1e-9, "maxiter": 500, "max_trust_radius": 1e4}
    if dense:  # a step is dear: long ones first
        options["initial_trust_radius"] = float(np.sqrt(len(start)))
    found = minimize(
        objective, start, jac=True, options=options,
        method="trust-exact" if dense else "trust-ncg",
        **({"hess": matrix} if dense else {"hessp": curvature}),
    )  # fmt: skip
    return problem.unpacked(found.x)


class _Problem:
    """Mean NLL plus regularisation as a function of one vector, with slope and curvature.

    The vector holds the weights times the spread of their columns, and the bias at the centre of
    the rows: a fair scale for the optimiser. Regularisation stays in the units of the caller.
    """

    def __init__(
        self, x: NDArray[np.floating], y: NDArray[np.int64], weight: Array, odir: float
    ) -> None:
        self.x, self.y, self.odir = x, y, odir
        self.n, self.n_classes = x.shape
        self.centre, squares = np.zeros((2, self.n_classes))
        for block in self._blocks():
            self.centre += self._rows(block).sum(0) / self.n
        for block in self._blocks():
            squares += ((self._rows(block) - self.centre) ** 2).sum(0)
        self.spread = np.maximum(np.sqrt(squares / self.n), 1e-3)
        self.shape, self.diagonal = weight.shape, weight.ndim == 1
        off = 1 - np.eye(self.n_classes)
        self.off = 0.0 if self.diagonal else off / (self.n_classes * (self.n_classes - 1))
        self.seen: tuple[bytes, list[Array]] = (b"", [])

    def packed(self, weight: Array, bias: Array) -> Array:
        """Return the vector of these weights and biases."""
        return np.concatenate([(weight * self.spread).ravel(), bias + self._moved(weight)])

    def unpacked(self, theta: Array) -> tuple[Array, Array]:
        """Return weights and biases of a vector."""
        weight = self._split(theta)[0] / self.spread
        return weight, theta[-self.n_classes :] - self._moved(weight)

    def loss(self, theta: Array) -> tuple[float, Array]:
        """Return the value and the slope."""
        regular = self._regular(theta)
        value, slope, seen = 0.5 * float(theta @ regular), regular.copy(), []
        for block in self._blocks():
            u, label = self._units(block), self.y[block]
            own = np.arange(len(u)), label
            probs = self._scores(u, theta)
            probs -= probs.max(1, keepdims=True)
            value -= float(probs[own].sum()) / self.n
            np.exp(probs, out=probs)
            total = probs.sum(1, keepdims=True)
            value += float(np.log(total).sum()) / self.n
            probs /= total
            if self.x.size <= _KEPT:
                seen.append(probs.copy())
            probs[own] -= 1
            slope += self._back(u, probs) / self.n
        self.seen = theta.tobytes(), seen
        return value, slope

    def curvature(self, theta: Array, along: Array) -> Array:
        """Return the second derivative times a direction."""
        out = self._regular(along)
        for u, probs in self._probs(theta):
            moved = self._scores(u, along)
            moved = probs * (moved - (probs * moved).sum(1, keepdims=True))
            out += self._back(u, moved) / self.n
        return out

    def matrix(self, theta: Array) -> Array:
        """Return the second derivatives of a diagonal map without regularisation."""
        c = self.n_classes
        kind = np.float32 if self.x.size > _MANY else np.float64
        out, straight = np.zeros((2 * c, 2 * c)), np.zeros((3, c))
        for u, probs in self._probs(theta):
            pull: NDArray[Any] = np.hstack([probs * u, probs]).astype(kind)
            out -= pull.T @ pull
            straight += [(probs * u * u).sum(0), (probs * u).sum(0), probs.sum(0)]
        place = np.arange(c)
        out[place, place] += straight[0]
        out[place, c + place] += straight[1]
        out[c + place, place] += straight[1]
        out[c + place, c + place] += straight[2]
        return out / self.n

    def _probs(self, theta: Array) -> Iterator[tuple[Array, Array]]:
        """Yield scaled rows and their probabilities, block by block."""
        kept = self.seen[1] if self.seen[0] == theta.tobytes() else []
        for i, block in enumerate(self._blocks()):
            u = self._units(block)
            yield u, kept[i] if kept else softmax(self._scores(u, theta), axis=1)

    def _blocks(self) -> Iterator[slice]:
        return row_blocks(self.n, self.n_classes)

    def _rows(self, block: slice) -> Array:
        return np.maximum(self.x[block].astype(np.float64), FLOOR)

    def _units(self, block: slice) -> Array:
        return (self._rows(block) - self.centre) / self.spread

    def _split(self, theta: Array) -> tuple[Array, Array]:
        return theta[: -self.n_classes].reshape(self.shape), theta[-self.n_classes :]

    def _moved(self, weight: Array) -> Array:
        return weight * self.centre if self.diagonal else weight @ self.centre

    def _scores(self, u: Array, theta: Array) -> Array:
        weight, level = self._split(theta)
        return (u * weight if self.diagonal else u @ weight.T) + level

    def _back(self, u: Array, slope: Array) -> Array:
        """Return the slope in the vector, from that in the scores of some rows."""
        at_weight = (slope * u).sum(0) if self.diagonal else slope.T @ u
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
