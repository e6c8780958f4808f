"""What every law of the latents is, for the heads that state one."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.func import functional_call

from vcviz.records import LatentPrior


class Law(nn.Module, ABC):
    """One density p(z|y) a class over the latents: what a head needs of it.

    Attributes
    ----------
    latent_dim, n_classes : D, C

    Examples
    --------
    >>> import torch
    >>> law = vcviz.models.build_law("gaussian", latent_dim=2, n_classes=3)
    >>> isinstance(law, vcviz.models.Law)
    True
    >>> z, y = torch.zeros(4, 2), torch.tensor([0, 1, 2, 0])
    >>> law.log_prob(z).shape, law.log_prob(z, y).shape, law.whiten(z, y).shape
    (torch.Size([4, 3]), torch.Size([4]), torch.Size([4, 2]))
    """

    def __init__(self, latent_dim: int, n_classes: int) -> None:
        super().__init__()
        self.latent_dim, self.n_classes = latent_dim, n_classes

    @abstractmethod
    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return log densities in nats: (B, C) of every class, or (B,) of the labels `y`.

        The result is float64 where the device has it. For latents of length 1e4 half the squared
        length, common to all classes, is 5e7, of which float32 keeps steps of 4 nats: enough to
        lose the posterior.
        """

    def frozen_log_prob(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) log p(z|y) in nats through which no gradient reaches the law."""
        frozen = {name: p.detach() for name, p in self.named_parameters()}
        return functional_call(self, frozen, (z, y))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return `log_prob`."""
        return self.log_prob(z, y)

    @abstractmethod
    def excess(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) log p(mode|y) - log p(z|y) >= 0 in nats: how far out z lies for its class.

        Of a Gaussian half the squared Mahalanobis distance, the d_y of the margin loss.
        """

    @abstractmethod
    def whiten(self, z: Tensor, y: Tensor, *, frozen: bool = False) -> Tensor:
        """Return (B, D) residuals: z seen from its class, in units of the law's own scale.

        A smooth one-to-one map for each class, so that a critic loses nothing by seeing the
        residual in place of z, and finds numbers of about unit size whatever the family.
        With `frozen`, no gradient reaches the law.
        """

    @abstractmethod
    def sample(self, y: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return (B, D) draws, one for each label. The noise is drawn on the generator's device."""

    @abstractmethod
    def prior(self, log_weight: Tensor) -> LatentPrior:
        """Return the law as a NumPy record in float64, with class weights exp(`log_weight`)."""

    def place(self, z: Tensor) -> Tensor:
        """Return latents (B, D) moved onto the law's support: `z` itself if that is all of R^D."""
        return z

    def store(self, name: str, value: Tensor, learned: bool) -> None:
        """Keep `value` under `name`, as a parameter or as a buffer; floats in the default dtype."""
        if value.is_floating_point():
            value = value.to(torch.get_default_dtype())
        if learned:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)


def bounded(value: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """Return `value` clamped, with the gradient of `value`, so that it can come back."""
    if not value.requires_grad:
        return value.clamp(low, high)
    return value + (value.clamp(low, high) - value).detach()


def of_labels(value: Tensor, y: Tensor) -> Tensor:
    """Return (B, …) rows of a (C, …) tensor for labels, or the one row (1, …) that all share."""
    return value if len(value) == 1 else value[y]


def noise_device(like: Tensor, generator: torch.Generator | None) -> torch.device:
    """Return where to draw: on the generator's device, else where the law is."""
    return like.device if generator is None else generator.device
