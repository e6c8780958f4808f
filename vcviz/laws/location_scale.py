"""What laws share that are a standard law, scaled and shifted to each class."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from vcviz.laws.base import Law, bounded, noise_device, of_labels, wide
from vcviz.laws.means import spread_means
from vcviz.options import check_choice, check_flag, check_number

COVARIANCES = ("isotropic", "diagonal", "full")
#: no scale is taken smaller than this, so that a collapsing class cannot overflow
SMALLEST_SCALE = 1e-3
# Up to this many means x dimensions a (B, C, D) array of differences is formed.
_DIRECT_SIZE = 4096
# Distance of neighbouring means where neither separation nor scale is given. Encoders find means
# twice as far away more slowly: the latents' energy distance was twice as large after 600 epochs.
_MEANS_APART = 6.0


class LocationScaleLaw(Law):
    """z = mu_y + L_y e, with noise e of one standard law for all classes.

    Parameters
    ----------
    latent_dim, n_classes : D, C
    covariance : form of L_y: "isotropic" (one scale), "diagonal" (one a dimension) or "full"
        (lower triangular)
    shared_scale : one L for all classes rather than one a class
    learn_mean, learn_scale : whether mu, and all of L, are trained or fixed
    separation : smallest distance between initial means in units of `initial_scale`; default that
        at which neighbours overlap as two Gaussians do that are 6 standard deviations apart
    initial_scale : initial diagonal of L, the same for all classes; default 1 for a Gaussian, and
        for other families that at which neighbouring means lie 6 apart as well

    Notes
    -----
    `mean` is (C, D) and `log_scale` (C, 1) or (C, D), with 1 row in place of C if shared; fixed
    ones are buffers. L = diag(exp log_scale) (I + N), where N is strictly lower triangular and 0
    at first; its entries are the rows of `lower`, which only a full covariance has.
    A log-scale below the log of `SMALLEST_SCALE` (1e-3) counts as that, yet keeps its gradient,
    so that it can rise again.
    """

    mean: Tensor
    log_scale: Tensor
    lower: Tensor
    covariances: ClassVar[tuple[str, ...]] = COVARIANCES

    def __init__(
        self,
        latent_dim: int,
        n_classes: int,
        *,
        covariance: str = "isotropic",
        shared_scale: bool = False,
        learn_mean: bool = True,
        learn_scale: bool = False,
        separation: float | None = None,
        initial_scale: float | None = None,
    ) -> None:
        super().__init__(latent_dim, n_classes)
        self.covariance = check_choice("covariance", covariance, self.covariances)
        rows = 1 if check_flag("shared_scale", shared_scale) else n_classes
        apart = self.neighbour_distance()
        scale = _MEANS_APART / apart if initial_scale is None else initial_scale
        check_number("initial_scale", scale, above=SMALLEST_SCALE)
        if separation is None:
            separation = apart
        check_number("separation", separation, above=0)
        columns = 1 if covariance == "isotropic" else latent_dim
        mean = spread_means(n_classes, latent_dim, separation * scale)
        self.store("mean", mean, check_flag("learn_mean", learn_mean))
        learned = check_flag("learn_scale", learn_scale)
        self.store("log_scale", torch.full((rows, columns), math.log(scale)), learned)
        if covariance == "full":
            self.store("lower", torch.zeros(rows, latent_dim * (latent_dim - 1) // 2), learned)

    @abstractmethod
    def neighbour_distance(self) -> float:
        """Return the distance in scales at which two classes overlap as little as Gaussians at 6.

        An optimal classifier errs in 0.135 % there, one side of 3 standard deviations.
        """

    @abstractmethod
    def standard_noise(
        self, y: Tensor, device: torch.device, generator: torch.Generator | None
    ) -> Tensor:
        """Return (B, D) draws of the standard law on `device`, for labels on the law's device."""

    def floored_log_scale(self) -> Tensor:
        """Return `log_scale` with its floor applied."""
        return bounded(self.log_scale, low=math.log(SMALLEST_SCALE))

    def half_log_det(self) -> Tensor:
        """Return log det L, (C,) or (1,), in float64 where possible."""
        log_scale = wide(self.floored_log_scale())
        return log_scale.sum(1) * (self.latent_dim // log_scale.shape[1])

    def shear(self) -> Tensor | None:
        """Return (C, D, D) matrices I + N, one row if shared; None unless they are full."""
        if self.covariance != "full":
            return None
        d = self.latent_dim
        row, column = torch.tril_indices(d, d, offset=-1, device=self.lower.device)
        matrix = torch.eye(d, dtype=self.lower.dtype, device=self.lower.device)
        matrix = matrix.expand(len(self.lower), d, d).clone()
        matrix[:, row, column] = self.lower
        return matrix

    def residual(self, z: Tensor, y: Tensor, *, frozen: bool = False) -> Tensor:
        """Return (B, D) values L_y^-1 (z - mu_y) in the precision of `z`."""
        mean, log_scale, shear = self.mean, self.floored_log_scale(), self.shear()
        if frozen:
            mean, log_scale = mean.detach(), log_scale.detach()
            shear = None if shear is None else shear.detach()
        u = (z - mean[y].to(z.dtype)) * (-of_labels(log_scale, y)).exp().to(z.dtype)
        if shear is None:
            return u
        return _solve_unit(of_labels(shear, y).to(z.dtype), u[..., None]).squeeze(-1)

    def squared_distance(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return |L^-1 (z - mu)|^2, float64 where possible: (B, C) of every class, or (B,) of `y`.

        Small problems take differences z - mu directly; large ones (C D > 4096) expand the square
        around the mean of the means, which needs no (B, C, D) array.
        """
        z, mean, shear = wide(z), wide(self.mean), self.shear()
        if y is not None:
            return self.residual(z, y).square().sum(1)
        inverse = (-wide(self.floored_log_scale())).exp()
        if len(inverse) == 1:  # shared: all is whitened once
            z, mean = z * inverse, mean * inverse
            if shear is not None:
                z, mean = (_solve_unit(wide(shear[0]), v.T).T for v in (z, mean))
            inverse, shear = torch.ones_like(inverse[:, :1]), None
        if mean.numel() <= _DIRECT_SIZE:
            u = (z[:, None] - mean) * inverse
            if shear is not None:
                u = _solve_unit(wide(shear), u.permute(1, 2, 0)).permute(2, 0, 1)
            return u.square().sum(2)
        centre = mean.detach().mean(0)
        return _expanded(z - centre, mean - centre, inverse, shear)

    @torch.no_grad()
    def sample(self, y: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return (B, D) draws, one for each label. The noise is drawn on the generator's device."""
        noise = self.standard_noise(y, noise_device(self.mean, generator), generator)
        noise = noise.to(self.mean.device, self.mean.dtype)
        if (shear := self.shear()) is not None:
            noise = (of_labels(shear, y) @ noise[..., None]).squeeze(-1)
        return self.mean[y] + of_labels(self.floored_log_scale().exp(), y) * noise

    def _record(self) -> dict[str, Any]:
        """Return the fields of a `LatentPrior` that all families here have."""
        shape = self.mean.shape
        scale = self.floored_log_scale().double().cpu().exp().expand(shape)
        record = {"mean": self.mean.double().cpu().numpy()}
        if (shear := self.shear()) is None:
            return record | {"scale": scale.numpy()}
        scale = scale[: len(shear)]  # a shared one is written down once
        return record | {"scale_tril": (scale[:, :, None] * shear.double().cpu()).numpy()}


def _solve_unit(lower: Tensor, right: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(lower, right, upper=False, unitriangular=True)


def _expanded(z: Tensor, mean: Tensor, inverse: Tensor, shear: Tensor | None) -> Tensor:
    """Return (B, C) of z'Pz - 2 z'P mu + mu'P mu, P the precision of each class."""
    if shear is None:
        precision = inverse.square()
        squares = z.square() if precision.shape[1] > 1 else z.square().sum(1, keepdim=True)
        own = (mean.square() * precision).sum(1)
        slope = mean * precision
    else:
        eye = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        root = _solve_unit(wide(shear), eye.expand_as(shear)) * inverse[:, None]
        matrix = root.mT @ root
        precision = matrix.flatten(1)
        squares = (z[:, :, None] * z[:, None]).flatten(1)
        slope = (matrix @ mean[..., None]).squeeze(-1)
        own = (slope * mean).sum(1)
    return (F.linear(squares, precision) - 2 * F.linear(z, slope) + own).clamp(min=0)
