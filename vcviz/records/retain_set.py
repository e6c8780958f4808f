"""What a DropMax head says of latents: which classes its masks retain, and how it scores them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.records.checks import as_float, freeze
from vcviz.records.latents import LatentSet


@dataclass(frozen=True, eq=False)
class RetainSet:
    """Retain probabilities of every class for every latent.

    Parameters
    ----------
    latents : the latents
    rho : (N, C) float array, probability that a mask retains each class
    posterior : (N, C) float array, the same given the label (g; 1 for the label itself)

    Examples
    --------
    >>> log_probs = np.log([[0.9, 0.1], [0.4, 0.6]])
    >>> lat = vcviz.LatentSet([[1.0], [0.1]], log_probs, y=[0, 0])
    >>> rho, posterior = [[0.95, 0.2], [0.7, 0.8]], [[1, 0.1], [1, 0.4]]
    >>> retained = vcviz.records.RetainSet(lat, rho, posterior)
    >>> retained.own
    array([[ True, False],
           [ True, False]])
    >>> retained.difficulty.round(2)
    array([0.11, 0.92])
    """

    latents: LatentSet
    rho: NDArray[np.float32]
    posterior: NDArray[np.float32]

    def __post_init__(self) -> None:
        shape = self.latents.log_probs.shape
        for name in ("rho", "posterior"):
            values = as_float(name, getattr(self, name), 2)
            if values.shape != shape:
                raise InputError(f"{name} must have shape {shape} to match, got {values.shape}")
            if values.min() < 0 or values.max() > 1:
                raise InputError(f"{name} must hold probabilities in [0, 1]")
            freeze(self, **{name: values})

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def own(self) -> NDArray[np.bool_]:
        """(N, C) mask, True at each row's label."""
        return np.arange(self.latents.n_classes) == self.latents.y[:, None]

    @property
    def difficulty(self) -> NDArray[np.float64]:
        """(N,) -log p(y|x) in nats: how hard an input was for the classifier."""
        return -self.latents.log_probs[self.own].astype(np.float64)
