"""The Laplace law with independent coordinates: a peak at the mean and exponential tails."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from scipy.stats import norm
from torch import Tensor

from vcviz.models.laws.base import of_labels
from vcviz.models.laws.location_scale import LocationScaleLaw
from vcviz.models.precision import wide

# Up to this many batch rows x means x dimensions at a time are differences formed.
_BLOCK = 2**22


class LaplaceLaw(LocationScaleLaw):
    """One Laplace law a class and coordinate.

        log p(z|y) = -sum_j ( |z_j - mu_yj| / b_yj + log 2 b_yj ).

    Parameters are those of `LocationScaleLaw`. The scale is b, not the standard deviation, which
    is sqrt(2) b; `covariance` is "isotropic" or "diagonal", since the coordinates are independent.
    """

    family = "laplace"
    covariances: ClassVar[tuple[str, ...]] = ("isotropic", "diagonal")

    def neighbour_distance(self, gaussian: float) -> float:
        """Return that of the one-dimensional law: 11.8 for Gaussians at 6."""
        return float(-2 * math.log(2 * norm.sf(gaussian / 2)))

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return log densities in nats: (B, C) of every class, or (B,) of the labels `y`."""
        constant = self.half_log_det() + self.latent_dim * math.log(2)
        if y is not None:
            return -self.excess(z, y) - of_labels(constant, y)
        z, mean = wide(z), wide(self.mean)
        inverse = (-wide(self.floored_log_scale())).exp()
        z, mean = (z * inverse, mean * inverse) if len(inverse) == 1 else (z, mean)
        if len(inverse) == 1 or inverse.shape[1] == 1:  # one scale a class: after the sum
            sums = torch.cdist(z, mean, p=1)
            return -(sums if len(inverse) == 1 else sums * inverse.T) - constant
        rows = max(1, _BLOCK // mean.numel())
        sums = torch.cat([((b[:, None] - mean).abs() * inverse).sum(2) for b in z.split(rows)])
        return -sums - constant

    def excess(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) sums over the coordinates of |z_j - mu_j| / b_j."""
        return self.residual(wide(z), y).abs().sum(1)

    def standard_noise(
        self, y: Tensor, device: torch.device, generator: torch.Generator | None
    ) -> Tensor:
        """Return (B, D) draws of the standard law: differences of two exponential ones."""
        shape = (2, len(y), self.latent_dim)
        one, other = torch.empty(shape, device=device, dtype=self.mean.dtype).exponential_(
            generator=generator
        )
        return one - other
