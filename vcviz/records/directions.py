"""A direction in the space of latents, and the laws of the latents along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.records.checks import as_float, as_known, freeze


@dataclass(frozen=True, eq=False)
class Direction:
    """A unit vector u of the latent space; along it a latent is at u·z, in latent units.

    Parameters
    ----------
    vector : (D,) array, divided by its length here
    label : what it is, for titles

    Examples
    --------
    >>> u = vcviz.records.Direction([3.0, 4.0], label="3 z1 + 4 z2")
    >>> u.vector
    array([0.6, 0.8])
    """

    vector: NDArray[np.float64]
    label: str = "u"

    def __post_init__(self) -> None:
        vector = as_float("vector", self.vector, 1, np.float64)
        length = float(np.linalg.norm(vector))
        if length == 0:
            raise InputError(f"direction {self.label!r} has length 0; it points nowhere")
        freeze(self, vector=vector / length)


@dataclass(frozen=True, eq=False)
class Marginals:
    """Latents along a direction beside what p(z|y) says of them there, class by class.

    All arrays start with an axis of length K, the classes shown. Without a law, or for a class
    without latents, what is missing is NaN.

    Attributes
    ----------
    direction : along which
    class_names : C strings
    classes : K class indices
    count, used : (K,) latents of the class, and how many of them (drawn at random) were looked at
    x, density : (K, G) kernel estimate of the density of u·z, per latent unit
    law_x, law_density : (K, G) anticipated density of u·z
    centre, scale : (K,) median of the law and half the width of its central 68.27 %, which is the
        standard deviation of a Gaussian: "one σ of the law"
    law_quantile, quantile : (K, P) anticipated and observed quantiles, in σ from `centre`
    low, high : (K, P) where the observed quantile falls with probability `level` if the law holds,
        point by point; infinite where the draws that stand for a law do not reach so far
    distance : (K,) Kolmogorov-Smirnov distance, the largest difference of the shares of latents
        and of the law below any one point: 0 if equal, at most 1
    distance_interval : (K, 2) of the distance between the laws, at `level`
    p_value : (K,) chance of a distance this large if the law holds
    draws : draws of each class that stand for the law; 0 if it is exact
    name, level

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(0, 2, (500, 2))  # twice as wide as the law below
    >>> lat = vcviz.LatentSet(z, np.log(np.full((500, 2), 0.5)), y=[0, 1] * 250)
    >>> law = vcviz.LatentPrior(np.zeros((2, 2)), scale=np.ones((2, 2)))
    >>> found = vcviz.metrics.marginals(lat, law, [1, 0])
    >>> found.distance.round(1), found.p_value < 0.001
    (array([0.2, 0.2]), array([ True,  True]))
    """

    direction: Direction
    class_names: tuple[str, ...]
    classes: tuple[int, ...]
    count: NDArray[np.int64]
    used: NDArray[np.int64]
    x: NDArray[np.float64]
    density: NDArray[np.float64]
    law_x: NDArray[np.float64]
    law_density: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    law_quantile: NDArray[np.float64]
    quantile: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    distance: NDArray[np.float64]
    distance_interval: NDArray[np.float64]
    p_value: NDArray[np.float64]
    draws: int = 0
    name: str = "latents"
    level: float = 0.95

    def __post_init__(self) -> None:
        n = len(self.classes)
        arrays: dict[str, NDArray[Any]] = {}
        for name in ("count", "used", "centre", "scale", "distance", "p_value"):
            arrays[name] = as_known(name, getattr(self, name), (n,))
        for name in ("x", "density", "law_x", "law_density"):
            arrays[name] = as_known(name, getattr(self, name), (n, -1))
        for name in ("law_quantile", "quantile", "low", "high"):
            arrays[name] = as_known(name, getattr(self, name), (n, -1))
        arrays["distance_interval"] = as_known("distance_interval", self.distance_interval, (n, 2))
        freeze(self, **arrays)

    @property
    def has_law(self) -> bool:
        """Whether there is a law to compare with."""
        return bool(np.isfinite(self.scale).any())
