"""The Gaussian class-conditional law p(z|y) = N(z; mu_y, L_y L_y')."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vcviz.models.laws.base import of_labels
from vcviz.models.laws.location_scale import LocationScaleLaw


class GaussianLaw(LocationScaleLaw):
    """One Gaussian a class; parameters are those of `LocationScaleLaw`.

    The residual of a latent that follows the law is standard normal. With one covariance for all
    classes (`shared_scale`) Bayes' rule is a softmax of linear scores, see `SoftmaxHead`.
    """

    def neighbour_distance(self, gaussian: float) -> float:
        """Return that distance."""
        return gaussian

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return -|L^-1 (z - mu)|^2 / 2 - log det L - D/2 log 2 pi: (B, C), or (B,) of `y`."""
        constant = self.half_log_det() + 0.5 * self.latent_dim * math.log(2 * math.pi)
        if y is not None:
            constant = of_labels(constant, y)
        return -0.5 * self.squared_distance(z, y) - constant

    def frozen_log_prob(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) log p(z|y) in nats, in the precision of `z`, with no gradient to the law."""
        with torch.no_grad():
            constant = self.half_log_det() + 0.5 * self.latent_dim * math.log(2 * math.pi)
        squares = self.residual(z, y, frozen=True).square().sum(1)
        return -0.5 * squares - of_labels(constant, y).to(z.dtype)

    def excess(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) half squared Mahalanobis distances."""
        return 0.5 * self.squared_distance(z, y)

    def standard_noise(
        self, y: Tensor, device: torch.device, generator: torch.Generator | None
    ) -> Tensor:
        """Return (B, D) standard normal draws."""
        shape, dtype = (len(y), self.latent_dim), self.mean.dtype
        return torch.randn(shape, generator=generator, device=device, dtype=dtype)
