"""The von Mises-Fisher law: a Gaussian's counterpart on the unit sphere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vcviz.base.errors import InputError
from vcviz.base.options import check_flag, check_number
from vcviz.models.laws.base import Law, bounded, noise_device, of_labels
from vcviz.models.laws.means import initial_separation, spread_means
from vcviz.models.precision import wide
from vcviz.records import LatentPrior
from vcviz.records.sphere import log_normaliser, mean_length, separating_concentration

SMALLEST_CONCENTRATION, LARGEST_CONCENTRATION = 1e-6, 1e6


class VonMisesFisherLaw(Law):
    """One law a class on the unit sphere, with mean direction m_y and concentration k_y.

        log p(z|y) = k_y m_y'z + log c_D(k_y),    |z| = 1,

    a density with respect to area. As k goes to 0 it is uniform on the sphere; for large k it is
    a Gaussian of scale 1 / sqrt(k) on the tangent plane. Latents are divided by their length
    (`place`), here and in `log_prob`, `excess` and `whiten`.

    Parameters
    ----------
    latent_dim, n_classes : D >= 2, C
    concentration : initial k; default that at which the means of neighbours lie `separation`
        standard deviations apart
    shared_scale : one k for all classes rather than one a class
    learn_mean, learn_scale : whether the directions, and k, are trained or fixed
    separation : distance of neighbours that sets the default of `concentration`; default 6, or by
        `overlap` as for Gaussians

    Notes
    -----
    `mean` is (C, D) and divided by its length where it is used; `log_concentration` is (C,) or
    (1,). k counts as at least 1e-6 and at most 1e6, yet keeps its gradient.

    References
    ----------
    Banerjee et al., Clustering on the unit hypersphere using von Mises-Fisher distributions,
    JMLR 6, 2005. Draws: Wood, Simulation of the von Mises Fisher distribution, 1994.
    """

    mean: Tensor
    log_concentration: Tensor
    pole: Tensor

    def __init__(
        self,
        latent_dim: int,
        n_classes: int,
        *,
        concentration: float | None = None,
        shared_scale: bool = False,
        learn_mean: bool = True,
        learn_scale: bool = False,
        separation: float | None = None,
        overlap: float | None = None,
    ) -> None:
        super().__init__(latent_dim, n_classes)
        if latent_dim < 2:
            raise InputError(
                f"a law on the sphere needs latent_dim of at least 2, got {latent_dim}"
            )
        mean = F.normalize(spread_means(n_classes, latent_dim, 1.0), dim=1)
        if concentration is None:
            if separation is None:
                separation = initial_separation(n_classes, latent_dim, overlap)
            check_number("separation", separation, above=0)
            nearest = float((mean @ mean.T - 2 * torch.eye(n_classes)).max())
            concentration = separating_concentration(nearest, latent_dim, separation)
        elif separation is not None:
            raise InputError("give concentration or separation, not both: either sets the other")
        check_number("concentration", concentration, above=0)
        rows = 1 if check_flag("shared_scale", shared_scale) else n_classes
        log_concentration = torch.full((rows,), math.log(concentration))
        self.store("mean", mean, check_flag("learn_mean", learn_mean))
        self.store("log_concentration", log_concentration, check_flag("learn_scale", learn_scale))
        self.register_buffer("pole", _far_from(-mean).to(self.mean.dtype), persistent=False)

    def concentration(self) -> Tensor:
        """Return (C,) or (1,) concentrations within their bounds, in float64 where possible."""
        low, high = math.log(SMALLEST_CONCENTRATION), math.log(LARGEST_CONCENTRATION)
        return wide(bounded(self.log_concentration, low, high)).exp()

    def direction(self) -> Tensor:
        """Return (C, D) mean directions of length 1, in float64 where possible."""
        return F.normalize(wide(self.mean), dim=1)

    def place(self, z: Tensor) -> Tensor:
        """Return (B, D) latents divided by their length."""
        return F.normalize(z, dim=1)

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return log densities in nats: (B, C) of every class, or (B,) of the labels `y`."""
        z, k = self.place(wide(z)), self.concentration()
        constant = _LogNormaliser.apply(k, self.latent_dim)
        if y is None:
            return F.linear(z, self.direction()) * k + constant
        cosine = (z * self.direction()[y]).sum(1)
        return of_labels(k, y) * cosine + of_labels(constant, y)

    def excess(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) values k (1 - m'z)."""
        off = self.place(wide(z)) - self.direction()[y]
        return 0.5 * of_labels(self.concentration(), y) * off.square().sum(1)

    def whiten(self, z: Tensor, y: Tensor, *, frozen: bool = False) -> Tensor:
        """Return (B, D) residuals sqrt(k) (R_y z - e): R_y turns m_y onto one axis e for all."""
        direction, root = self.direction().to(z.dtype)[y], self.concentration().sqrt().to(z.dtype)
        if frozen:
            direction, root = direction.detach(), root.detach()
        z, pole = self.place(z), self.pole.to(z.dtype)
        between = direction + pole
        gap = (1 + direction @ pole).clamp(min=1e-3)[:, None]
        turned = z - between * ((between * z).sum(1, keepdim=True) / gap)
        turned = turned + 2 * pole * (direction * z).sum(1, keepdim=True)
        return (turned - pole) * of_labels(root, y)[:, None]

    @torch.no_grad()
    def sample(self, y: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return (B, D) draws, one for each label. The noise is drawn on the generator's device."""
        device = noise_device(self.mean, generator)
        direction = self.direction()[y].to(device)
        cosine = _draw_cosine(
            of_labels(self.concentration(), y).expand(len(y)).to(device), self.latent_dim, generator
        )[:, None]
        noise = torch.randn(
            direction.shape, generator=generator, device=device, dtype=direction.dtype
        )
        across = F.normalize(noise - direction * (noise * direction).sum(1, keepdim=True), dim=1)
        z = cosine * direction + (1 - cosine.square()).clamp(min=0).sqrt() * across
        return z.to(self.mean.device, self.mean.dtype)

    @torch.no_grad()
    def prior(self, log_weight: Tensor) -> LatentPrior:
        """Return the law as a NumPy record in float64, with class weights exp(`log_weight`)."""
        return LatentPrior(
            mean=self.direction().cpu().double().numpy(),
            log_weight=log_weight.cpu().double().numpy(),
            family="von_mises_fisher",
            concentration=self.concentration().cpu().double().expand(self.n_classes).numpy(),
        )


class _LogNormaliser(torch.autograd.Function):
    """log c_D(k), whose derivative is -A_D(k); SciPy on the CPU, for k is only (C,)."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, dim: int) -> Tensor:
        ctx.save_for_backward(concentration)
        ctx.dim = dim
        return _by_numpy(log_normaliser, concentration, dim)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (concentration,) = ctx.saved_tensors
        return -grad * _by_numpy(mean_length, concentration, ctx.dim), None


def _by_numpy(function: Any, value: Tensor, dim: int) -> Tensor:
    found = function(value.detach().cpu().double().numpy(), dim)
    return torch.as_tensor(np.asarray(found), dtype=value.dtype).to(value.device)


def _draw_cosine(k: Tensor, dim: int, generator: torch.Generator | None) -> Tensor:
    """Return (B,) draws of m'z by Wood's rejection, for each concentration (B,)."""
    free = torch.full_like(k, (dim - 1) / 2)
    b = 2 * free / (2 * k + (4 * k.square() + 4 * free.square()).sqrt())
    x = (1 - b) / (1 + b)
    c = k * x + 2 * free * (4 * b / (1 + b).square()).log()
    cosine, open_ = torch.empty_like(k), torch.arange(len(k), device=k.device)
    while len(open_):
        k_, b_, x_, c_, free_ = (v[open_] for v in (k, b, x, c, free))
        one, other = (torch._standard_gamma(free_, generator=generator) for _ in range(2))
        share = one / (one + other)
        w = (1 - (1 + b_) * share) / (1 - (1 - b_) * share)
        log_u = torch.rand(len(k_), generator=generator, device=k.device, dtype=k.dtype).log()
        accepted = k_ * w + 2 * free_ * (1 - x_ * w).log() - c_ >= log_u
        cosine[open_[accepted]] = w[accepted]
        open_ = open_[~accepted]
    return cosine


def _far_from(points: Tensor) -> Tensor:
    """Return the one of 512 seeded unit vectors (D,) that is farthest from all (C, D) points."""
    noise = torch.randn(512, points.shape[1], generator=torch.Generator().manual_seed(0))
    candidates = F.normalize(noise.to(points.dtype), dim=1)
    return candidates[(candidates @ points.T).amax(1).argmin()]
