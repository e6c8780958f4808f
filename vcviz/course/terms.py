"""Two classes and an encoder of two numbers: the terms of the VC objective, and its optimum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_expit

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
#: what is searched: half the distance m of the latents' means, and their spread s
#: (a spread of 1 is among them)
DISTANCES, SPREADS = np.linspace(0, 6, 97), np.geomspace(1 / 32, 4, 99)

#: objective -> its switches (likelihood, entropy, rate)
OBJECTIVES = {
    "cross-entropy": (False, False, False),
    "mixture": (True, False, False),
    "bottleneck": (True, True, True),
    "VC": (True, True, False),
}


def terms(
    m: ArrayLike, s: ArrayLike, *, mean: float, noise: float
) -> dict[str, NDArray[np.float64]]:
    """Return the terms of the objective, nats, of an encoder that is described by two numbers.

    Two classes, p(z|y) = N(±`mean`, 1). The encoder adds N(0, `noise`²) to f(x), which is
    N(±m, s² - noise²) within a class, so that q(z|y) = N(±m, s²). Then

        posterior   E_q log p(y|z)       (Gauss-Hermite quadrature)
        likelihood  E_q log p(z|y)
        entropy     H(q(z|y))            likelihood + entropy = -KL(q(z|y) || p(z|y))
        rate        -I(x; z | y)         + rate = -E KL(q(z|x) || p(z|y))
    """
    m, s = np.broadcast_arrays(np.asarray(m, float), np.asarray(s, float))
    z = m[..., None] + s[..., None] * _NODES
    return {
        "posterior": log_expit(2 * mean * z) @ _WEIGHTS,
        "likelihood": -0.5 * (np.log(2 * np.pi) + s**2 + (m - mean) ** 2),
        "entropy": 0.5 * (1 + np.log(2 * np.pi * s**2)),
        "rate": -np.log(s / noise),
    }


@lru_cache(maxsize=64)
def _searched(mean: float, noise: float) -> dict[str, NDArray[np.float64]]:
    return terms(DISTANCES, SPREADS[:, None], mean=mean, noise=noise)


@dataclass(frozen=True)
class Optimum:
    """Where an objective is largest, within what is searched.

    Attributes
    ----------
    m, s : half the distance of the latents' means, and their spread
    values : the terms there, nats
    runs_away : whether it lies at an edge of what is searched
    """

    m: float
    s: float
    values: dict[str, float]
    runs_away: bool

    @property
    def place(self) -> tuple[float, float]:
        """Distance and spread."""
        return self.m, self.s


def landscape(
    *, likelihood: bool, entropy: bool, rate: bool, weight: float, mean: float, noise: float
) -> NDArray[np.float64]:
    """Return the objective over spreads and distances (rows, columns); NaN for s < noise."""
    parts = _searched(mean, noise)
    on = {"likelihood": likelihood, "entropy": entropy, "rate": rate}
    total = parts["posterior"] + weight * sum(parts[k] for k, used in on.items() if used)
    return np.where(SPREADS[:, None] >= noise * (1 - 1e-9), total, np.nan)


def optimum(**values: Any) -> Optimum:
    """Return where the objective of `landscape` is largest."""
    total = landscape(**values)
    i, j = np.unravel_index(np.nanargmax(total), total.shape)
    m, s = float(DISTANCES[j]), float(max(SPREADS[i], values["noise"]))
    parts = terms(m, s, mean=values["mean"], noise=values["noise"])
    first = int(np.flatnonzero(np.isfinite(total[:, j]))[0])
    edge = j in (0, len(DISTANCES) - 1) or i in (first, len(SPREADS) - 1)
    return Optimum(m, s, {k: float(v) for k, v in parts.items()}, bool(edge))
