"""The Gaussian class-conditional law p(z|y) = N(z; mu_y, diag(sigma_y^2))."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vcviz.laws.means import spread_means
from vcviz.options import check_choice, check_flag, check_number
from vcviz.records import LatentPrior

COVARIANCES = ("isotropic", "diagonal")
#: no scale is taken smaller than this, so that a collapsing class cannot overflow
SMALLEST_SCALE = 1e-3
# Up to this many means x dimensions a (B, C, D) array of differences is formed.
_DIRECT_SIZE = 4096


class GaussianLaw(nn.Module):
    """One Gaussian a class, with independent coordinates.

    A law is what a head needs of p(z|y): `log_prob`, `whiten`, `sample` and `prior`. Another
    family is another module with these four methods.

    Parameters
    ----------
    latent_dim, n_classes : D, C
    covariance : "isotropic" (one scale a class) or "diagonal" (one a class and dimension)
    learn_mean, learn_scale : whether means and log-scales are trained or fixed
    separation : smallest distance between initial means in units of `initial_scale`
    initial_scale : initial standard deviation, the same for all classes

    Notes
    -----
    `mean` is (C, D) and `log_scale` (C, 1) or (C, D); fixed ones are buffers.
    A log-scale below the log of `SMALLEST_SCALE` (1e-3) counts as that, yet keeps its gradient,
    so that it can rise again.
    """

    mean: Tensor
    log_scale: Tensor

    def __init__(
        self,
        latent_dim: int,
        n_classes: int,
        *,
        covariance: str = "isotropic",
        learn_mean: bool = True,
        learn_scale: bool = False,
        separation: float = 6.0,
        initial_scale: float = 1.0,
    ) -> None:
        super().__init__()
        check_choice("covariance", covariance, COVARIANCES)
        check_number("separation", separation, above=0)
        check_number("initial_scale", initial_scale, above=SMALLEST_SCALE)
        mean = spread_means(n_classes, latent_dim, separation * initial_scale)
        columns = 1 if covariance == "isotropic" else latent_dim
        log_scale = torch.full((n_classes, columns), math.log(initial_scale))
        dtype = torch.get_default_dtype()
        self._store("mean", mean.to(dtype), check_flag("learn_mean", learn_mean))
        self._store("log_scale", log_scale.to(dtype), check_flag("learn_scale", learn_scale))
        self.latent_dim = latent_dim

    def _store(self, name: str, value: Tensor, learned: bool) -> None:
        if learned:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)

    def floored_log_scale(self) -> Tensor:
        """Return `log_scale` with its floor applied."""
        floored = self.log_scale.clamp(min=math.log(SMALLEST_SCALE))
        return self.log_scale + (floored - self.log_scale).detach()

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return log densities in nats: (B, C) of every class, or (B,) of the labels `y`.

        The result is float64 where the device has it. For latents of length 1e4 half the squared
        length, common to all classes, is 5e7, of which float32 keeps steps of 4 nats: enough to
        lose the posterior.
        Small problems take differences z - mu directly; large ones (C D > 4096) expand the square
        around the mean of the means, which needs no (B, C, D) array.
        """
        z, mean, log_scale = _wide(z), _wide(self.mean), _wide(self.floored_log_scale())
        half_log_det = log_scale.sum(1) * (self.latent_dim // log_scale.shape[1])
        constant = half_log_det + 0.5 * self.latent_dim * math.log(2 * math.pi)
        inverse = (-log_scale).exp()
        if y is not None:
            return -0.5 * ((z - mean[y]) * inverse[y]).square().sum(1) - constant[y]
        if mean.numel() <= _DIRECT_SIZE:
            return -0.5 * ((z[:, None] - mean) * inverse).square().sum(2) - constant
        centre, precision = mean.detach().mean(0), inverse.square()
        z, mean = z - centre, mean - centre
        squares = z.square()
        if precision.shape[1] == 1:
            squares = squares.sum(1, keepdim=True)
        own = (mean.square() * precision).sum(1)
        cross = F.linear(z, mean * precision)
        return cross - 0.5 * (F.linear(squares, precision) + own) - constant

    def whiten(self, z: Tensor, y: Tensor, *, frozen: bool = False) -> Tensor:
        """Return (B, D) residuals (z - mu_y) / sigma_y: standard normal if the law holds.

        With `frozen`, no gradient reaches the law.
        """
        mean, log_scale = self.mean, self.floored_log_scale()
        if frozen:
            mean, log_scale = mean.detach(), log_scale.detach()
        return (z - mean[y]) * (-log_scale[y]).exp()

    def sample(self, y: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return (B, D) draws, one for each label. The noise is drawn on the generator's device."""
        mean, scale = self.mean, self.floored_log_scale().exp()
        device = mean.device if generator is None else generator.device
        noise = torch.randn(
            (len(y), self.latent_dim), generator=generator, device=device, dtype=mean.dtype
        )
        return mean[y] + scale[y] * noise.to(mean.device)

    @torch.no_grad()
    def prior(self, log_weight: Tensor) -> LatentPrior:
        """Return the law as a NumPy record in float64, with class weights exp(`log_weight`)."""
        scale = self.floored_log_scale().double().cpu().exp().expand(self.mean.shape)
        return LatentPrior(
            mean=self.mean.double().cpu().numpy(),
            scale=scale.numpy(),
            log_weight=log_weight.double().cpu().numpy(),
        )


def _wide(value: Tensor) -> Tensor:
    return value.float() if value.device.type == "mps" else value.double()
