"""The multivariate Student-t law: a Gaussian with heavy tails."""

from __future__ import annotations

import math
from typing import Any

import torch
from scipy.stats import norm, t
from torch import Tensor

from vcviz.base.options import check_flag, check_number
from vcviz.models.laws.base import bounded, of_labels
from vcviz.models.laws.location_scale import LocationScaleLaw
from vcviz.models.precision import wide


class StudentTLaw(LocationScaleLaw):
    """One multivariate t a class, mu_y + L_y g sqrt(df / c) with g normal and c chi-squared.

    With r^2 = |L_y^-1 (z - mu_y)|^2,

        log p(z|y) = log Gamma((df + D)/2) - log Gamma(df/2) - D/2 log(df pi) - log det L_y
                     - (df + D)/2 log(1 + r^2 / df).

    Parameters
    ----------
    df : degrees of freedom, at least 1 (Cauchy); the variance is infinite up to 2, and with
        many the law is Gaussian
    learn_df : train them, one number a class, or one for all with `shared_scale`
    others : as for `LocationScaleLaw`; L is the scale, not the standard deviation, which is
        sqrt(df / (df - 2)) times as large
    """

    log_df: Tensor
    family = "student_t"

    def __init__(
        self,
        latent_dim: int,
        n_classes: int,
        *,
        df: float = 5.0,
        learn_df: bool = False,
        shared_scale: bool = False,
        **options: object,
    ) -> None:
        self._initial_df = check_number("df", df, least=1)
        super().__init__(latent_dim, n_classes, shared_scale=shared_scale, **options)  # type: ignore[arg-type]
        rows = 1 if shared_scale else n_classes
        self.store("log_df", torch.full((rows,), math.log(df)), check_flag("learn_df", learn_df))

    def neighbour_distance(self, gaussian: float) -> float:
        """Return that of the one-dimensional t: 10.6 at 5 degrees of freedom for Gaussians at 6."""
        return float(2 * t.isf(norm.sf(gaussian / 2), self._initial_df))

    def df(self) -> Tensor:
        """Return (C,) or (1,) degrees of freedom, at least 1, in float64 where possible."""
        return wide(bounded(self.log_df, low=0.0)).exp()

    def _weigh(self, squared: Tensor, df: Tensor) -> Tensor:
        """Return (df + D)/2 log(1 + r^2 / df)."""
        return 0.5 * (df + self.latent_dim) * torch.log1p(squared / df)

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return log densities in nats: (B, C) of every class, or (B,) of the labels `y`."""
        df, d = self.df(), self.latent_dim
        constant = torch.lgamma(df / 2) - torch.lgamma((df + d) / 2) + self.half_log_det()
        constant = constant + 0.5 * d * (df.log() + math.log(math.pi))
        if y is not None:
            df, constant = of_labels(df, y), of_labels(constant, y)
        return -self._weigh(self.squared_distance(z, y), df) - constant

    def excess(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) values (df + D)/2 log(1 + r^2 / df)."""
        return self._weigh(self.squared_distance(z, y), of_labels(self.df(), y))

    def whiten(self, z: Tensor, y: Tensor, *, frozen: bool = False) -> Tensor:
        """Return (B, D) residuals L_y^-1 (z - mu_y), their length r made sqrt(df) asinh(r/sqrt df).

        The log of the density is linear in that length far out, as that of a Gaussian is not: no
        draw of the law, however far, is a large number to a critic.
        """
        u = self.residual(z, y, frozen=frozen)
        root = of_labels(self.df().sqrt(), y)[:, None].to(u.dtype)
        root = root.detach() if frozen else root
        share = (u.square().sum(1, keepdim=True) + torch.finfo(u.dtype).tiny).sqrt() / root
        return u * (torch.asinh(share) / share)

    def standard_noise(
        self, y: Tensor, device: torch.device, generator: torch.Generator | None
    ) -> Tensor:
        """Return (B, D) draws of the standard t with the degrees of freedom of each label."""
        shape = (len(y), self.latent_dim)
        normal = torch.randn(shape, generator=generator, device=device, dtype=self.mean.dtype)
        half = (of_labels(self.df(), y) / 2).detach().expand(len(y)).to(device)
        share = torch._standard_gamma(half.contiguous(), generator=generator) / half
        return normal * share.rsqrt()[:, None].to(normal.dtype)

    def _record(self) -> dict[str, Any]:
        return super()._record() | {"df": self.df().cpu().double().expand(self.n_classes).numpy()}
