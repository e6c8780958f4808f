"""What laws share that are a standard law, scaled and shifted to each class."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_flag, check_number
from vcviz.models.laws.base import Law, bounded, noise_device, of_labels
from vcviz.models.laws.means import initial_separation, spread_means
from vcviz.models.precision import wide
from vcviz.records import LatentPrior

COVARIANCES = ("isotropic", "diagonal", "full")
INITIAL_MEANS = ("spread", "normal", "he")
#: no scale is taken smaller than this, so that a collapsing class cannot overflow
SMALLEST_SCALE = 1e-3
# Up to this many means x dimensions a (B, C, D) array of differences is formed.
_DIRECT_SIZE = 4096


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
        at which neighbours overlap as two Gaussians do that are 6 standard deviations apart, or by
        `overlap`
    initial_scale : initial diagonal of L, the same for all classes; default 1 for a Gaussian, and
        for other families that at which neighbouring means lie as far apart as the Gaussians
    overlap : sets the default of `separation`: an upper bound of the error of Bayes' rule among
        Gaussians there, see `vcviz.models.laws.means.separation_for`
    initial_means : "spread", as far apart as `separation` says (`spread_means`); or independent
        normal draws of variance 1 ("normal") or 2/D ("he", the initialiser of He et al.) a
        dimension, in units of `initial_scale`, which classes may share by chance
    learn_log_variance : train log sigma^2 in place of log sigma, for a scale that is learned. The
        law is the same, but gradient descent takes steps on log sigma^2 a quarter as long.

    Notes
    -----
    `mean` is (C, D) and `log_scale` (C, 1) or (C, D), with 1 row in place of C if shared; fixed
    ones are buffers. With `learn_log_variance` there is `log_variance`, twice as large, in place of
    `log_scale`. L = diag(exp log_scale) (I + N), where N is strictly lower triangular and 0
    at first; its entries are the rows of `lower`, which only a full covariance has.
    A log-scale below the log of `SMALLEST_SCALE` (1e-3) counts as that, yet keeps its gradient,
    so that it can rise again.
    """

    mean: Tensor
    log_scale: Tensor
    log_variance: Tensor
    lower: Tensor
    covariances: ClassVar[tuple[str, ...]] = COVARIANCES
    #: its name among `vcviz.records.families.FAMILIES`
    family: ClassVar[str] = "gaussian"

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
        overlap: float | None = None,
        initial_means: str = "spread",
        learn_log_variance: bool = False,
    ) -> None:
        super().__init__(latent_dim, n_classes)
        self.covariance = check_choice("covariance", covariance, self.covariances)
        rows = 1 if check_flag("shared_scale", shared_scale) else n_classes
        gaussian = initial_separation(n_classes, latent_dim, overlap)
        apart = self.neighbour_distance(gaussian)
        scale = gaussian / apart if initial_scale is None else initial_scale
        check_number("initial_scale", scale, above=SMALLEST_SCALE)
        columns = 1 if covariance == "isotropic" else latent_dim
        mean = _initial_means(initial_means, n_classes, latent_dim, separation, apart) * scale
        self.store("mean", mean, check_flag("learn_mean", learn_mean))
        learned = check_flag("learn_scale", learn_scale)
        log_scale = torch.full((rows, columns), math.log(scale))
        self.of_variance = check_flag("learn_log_variance", learn_log_variance)
        if self.of_variance:
            self.store("log_variance", 2 * log_scale, learned)
        else:
            self.store("log_scale", log_scale, learned)
        self._seen_scale: tuple[Tensor | None, int, float | None] = None, 0, None
        if covariance == "full":
            self.store("lower", torch.zeros(rows, latent_dim * (latent_dim - 1) // 2), learned)

    @abstractmethod
    def neighbour_distance(self, gaussian: float) -> float:
        """Return the distance in scales at which neighbours overlap as much as Gaussians do.

        Of these `gaussian` is the distance in standard deviations. At 6 an optimal classifier of
        two classes errs in 0.135 %, one side of 3 standard deviations.
        """

    @abstractmethod
    def standard_noise(
        self, y: Tensor, device: torch.device, generator: torch.Generator | None
    ) -> Tensor:
        """Return (B, D) draws of the standard law on `device`, for labels on the law's device."""

    def floored_log_scale(self) -> Tensor:
        """Return the log of the scale with its floor applied."""
        log_scale = self.log_variance / 2 if self.of_variance else self.log_scale
        return bounded(log_scale, low=math.log(SMALLEST_SCALE))

    @property
    def inverse_scale(self) -> float | None:
        """1 / sigma if all classes and dimensions have one sigma that is not learned, else None.

        Read off once, as a look at a number makes a GPU wait.
        """
        held = self.log_variance if self.of_variance else self.log_scale
        seen, version, inverse = self._seen_scale
        if held is not seen or held._version != version:
            found = (-self.floored_log_scale()).exp()
            fixed = self.covariance != "full" and not held.requires_grad
            inverse = found[0, 0].item() if fixed and len(found.unique()) == 1 else None
            self._seen_scale = held, held._version, inverse
        return inverse

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
        if (inverse := self.inverse_scale) is not None:
            mean = self.mean.detach() if frozen else self.mean
            u = z - mean.index_select(0, y).to(z.dtype)
            return u if inverse == 1 else u * inverse
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            mean, log_scale, shear = self.mean, self.floored_log_scale(), self.shear()
        if frozen:
            mean = mean.detach()
        u = (z - mean[y].to(z.dtype)) * (-of_labels(log_scale, y)).exp().to(z.dtype)
        if shear is None:
            return u
        return _solve_unit(of_labels(shear, y).to(z.dtype), u[..., None]).squeeze(-1)

    def whiten(self, z: Tensor, y: Tensor, *, frozen: bool = False) -> Tensor:
        """Return `residual`."""
        return self.residual(z, y, frozen=frozen)

    def squared_distance(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return |L^-1 (z - mu)|^2, float64 where possible: (B, C) of every class, or (B,) of `y`.

        Small problems take differences z - mu directly; large ones (C D > 4096) expand the square
        around the mean of the means, which needs no (B, C, D) array.
        """
        z = wide(z)
        if y is not None:
            return self.residual(z, y).square().sum(1)
        mean, shear = wide(self.mean), self.shear()
        inverse = (-wide(self.floored_log_scale())).exp()
        if self.inverse_scale is not None:  # fixed, and the same for all
            inverse = inverse[:1]
        if len(inverse) == 1:  # shared: all is whitened once
            z, mean = z * inverse, mean * inverse
            if shear is not None:
                z, mean = (_solve_unit(wide(shear[0]), v.T).T for v in (z, mean))
            inverse, shear = torch.ones_like(inverse[:, :1]), None
        if mean.numel() <= _DIRECT_SIZE:
            if shear is None and not torch.is_grad_enabled():
                return _direct(z, mean, inverse)
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

    @torch.no_grad()
    def prior(self, log_weight: Tensor) -> LatentPrior:
        """Return the law as a NumPy record in float64, with class weights exp(`log_weight`)."""
        log_weights = log_weight.cpu().double().numpy()
        return LatentPrior(**self._record(), log_weight=log_weights, family=self.family)

    def _record(self) -> dict[str, Any]:
        """Return the parameters of a `LatentPrior`."""
        shape = self.mean.shape
        scale = self.floored_log_scale().cpu().double().exp().expand(shape)
        record = {"mean": self.mean.cpu().double().numpy()}
        if (shear := self.shear()) is None:
            return record | {"scale": scale.numpy()}
        scale = scale[: len(shear)]  # a shared one is written down once
        return record | {"scale_tril": (scale[:, :, None] * shear.cpu().double()).numpy()}


def _initial_means(
    kind: str, n_classes: int, latent_dim: int, separation: float | None, apart: float
) -> Tensor:
    """Return (C, D) initial means in units of the scale; spread ones default to `apart`."""
    if check_choice("initial_means", kind, INITIAL_MEANS) == "spread":
        separation = apart if separation is None else separation
        return spread_means(n_classes, latent_dim, check_number("separation", separation, above=0))
    if separation is not None:
        raise InputError(
            f"initial_means={kind!r} draws the means, so that they have no separation; leave it out"
        )
    return torch.randn(n_classes, latent_dim) * (1 if kind == "normal" else (2 / latent_dim) ** 0.5)


def _direct(z: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    """Return (B, C) squared distances from differences, without a (B, C, D) array."""
    if len(inverse) == 1:  # z and mu are whitened
        return torch.cdist(z, mean, compute_mode="donot_use_mm_for_euclid_dist").square()
    each = (((z - m) * i).square().sum(1) for m, i in zip(mean, inverse, strict=True))
    return torch.stack(list(each), 1)


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
