"""What an encoder says about the latents of an input: a point, or a Gaussian around it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

# Added before the softplus, so that an untrained encoder starts with scales near 0.13: noise that
# is felt, and small beside the unit scale of the heads' laws.
_SCALE_OFFSET = -2.0
#: no scale is smaller, so that its log stays finite
SMALLEST_SCALE = 1e-4


class LatentPosterior(NamedTuple):
    """The law q(z|x) of the latents of a batch: N(mean, diag(scale^2)), or a point.

    Attributes
    ----------
    mean : (B, D)
    scale : (B, D) standard deviations; None for a point
    """

    mean: Tensor
    scale: Tensor | None = None

    @classmethod
    def from_features(cls, features: Tensor) -> LatentPosterior:
        """Return the Gaussian of (B, 2 D) features: means, then scales before a softplus."""
        width = features.shape[1]  # of any width: what is wrong is said later
        mean, raw = features.split([width - width // 2, width // 2], dim=1)
        return cls(mean, F.softplus(raw + _SCALE_OFFSET) + SMALLEST_SCALE)

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return (n B, D) latents, reparameterised: the batch n times, each with fresh noise.

        A point gives itself n times. The noise is drawn on the generator's device.
        """
        if n == 1 and self.scale is None:
            return self.mean
        # An axis of one draw would cost as much on the way back as the draw itself.
        shape = self.mean.shape if n == 1 else (n, *self.mean.shape)
        if self.scale is None:
            drawn = self.mean.expand(shape)
        else:
            device = self.mean.device if generator is None else generator.device
            noise = torch.randn(shape, generator=generator, device=device, dtype=self.mean.dtype)
            drawn = self.mean + self.scale * noise.to(self.mean.device)
        return drawn if n == 1 else drawn.flatten(0, 1)

    def entropy(self) -> Tensor:
        """Return the scalar mean over the batch of the entropy of q(z|x) in nats.

        Minus infinity for a point.
        """
        if self.scale is None:
            return self.mean.new_full((), -torch.inf)
        constant = 0.5 * self.mean.shape[1] * (1 + math.log(2 * math.pi))
        return self.scale.log().sum(1).mean() + constant

    def rate(self) -> Tensor:
        """Return the scalar mean over the batch of KL(q(z|x) || N(0, I)) in nats.

        An upper bound on the information I(X; Z) that the latents carry about the input: the rate
        of the variational information bottleneck (Alemi et al., ICLR 2017, arXiv:1612.00410).
        Infinite for a point.
        """
        if self.scale is None:
            return self.mean.new_full((), torch.inf)
        squares = self.mean.square() + self.scale.square() - 1 - 2 * self.scale.log()
        return 0.5 * squares.sum(1).mean()
