"""The families of laws that a `LatentPrior` can be of: densities, draws and residuals of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import betaincinv, chdtri, gammaincinv, gammaln, ndtri_exp
from scipy.stats import chi2, f, gamma, vonmises_fisher

from vcviz.base.errors import InputError
from vcviz.records import sphere
from vcviz.records.blocks import row_blocks, squared_distances

Array = NDArray[np.float64]
#: tail masses below this are left to asymptotics
_LEAST_MASS = 1e-100


class Density(Protocol):
    """A law of the user's own, as arrays: what `LatentPrior` asks of its field `density`."""

    def log_prob(self, z: Array) -> Array:
        """Return (N, C) log densities in nats of (N, D) latents."""

    def sample(self, y: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Return (N, D) draws, one for each label."""


@dataclass(frozen=True, eq=False)
class Parameters:
    """Parameters of a law of any family; `LatentPrior` says what they are, and checks them."""

    mean: Array
    scale: Array = None  # type: ignore[assignment]
    scale_tril: Array = None  # type: ignore[assignment]
    log_weight: Array = None  # type: ignore[assignment]
    family: str = "gaussian"
    df: Array = None  # type: ignore[assignment]
    concentration: Array = None  # type: ignore[assignment]
    density: Density = None  # type: ignore[assignment]

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return self.mean.shape[0]

    @property
    def latent_dim(self) -> int:
        """D, the number of latent dimensions."""
        return self.mean.shape[1]

    @cached_property
    def one_scale(self) -> bool:
        """Whether all classes have one and the same scale."""
        if self.scale_tril is not None:
            return self.n_classes == 1 or self.scale_tril.strides[0] == 0
        return self.scale is not None and bool((self.scale == self.scale[0]).all())

    @property
    def dispersion(self) -> Array:
        """(C, D, D) matrices L L', L the scale: covariances up to a factor of the family.

        Of one scale for all classes a view of one matrix.
        """
        if self.scale is None and self.scale_tril is None:
            raise InputError(f"a {self.family} law has no scale matrix; take its covariance")
        own = slice(1 if self.one_scale else None)
        if self.scale is None:
            found = self.scale_tril[own] @ self.scale_tril[own].transpose(0, 2, 1)
        else:
            found = self.scale[own, None] ** 2 * np.eye(self.latent_dim)
        return np.broadcast_to(found, (self.n_classes, *found.shape[1:]))

    def dispersion_along(self, matrix: Array) -> Array:
        """Return (C, k, k) dispersions along the columns of (D, k); one for all if there is one."""
        own = slice(1 if self.one_scale else None)
        half = (
            matrix.T * self.scale[own, None]
            if self.scale is not None
            else matrix.T @ self.scale_tril[own]
        )
        return half @ half.transpose(0, 2, 1)


class Family(ABC):
    """What a family does for a law of it; the functions are those of `LatentPrior`."""

    #: the fields of a `LatentPrior`, beside mean and log_weight, that hold its parameters
    fields: ClassVar[tuple[str, ...]] = ("scale", "scale_tril")
    #: whether residuals are standard normal under the law
    normal_residuals: ClassVar[bool] = True

    @abstractmethod
    def log_prob(self, prior: Parameters, z: Array) -> Array:
        """Return (N, C) log densities in nats."""

    @abstractmethod
    def draw(self, prior: Parameters, y: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Return (N, D) draws, one for each label."""

    @abstractmethod
    def residuals(self, prior: Parameters, z: Array, y: NDArray[np.int64]) -> Array:
        """Return (N, D) residuals of latents with their labels, or (N, D - 1) on a sphere."""

    @abstractmethod
    def covariance(self, prior: Parameters) -> Array:
        """Return (C, D, D) covariances."""

    @abstractmethod
    def mass_radius(self, prior: Parameters, mass: float) -> Array:
        """Return (C,) radii."""

    def keeps(self, prior: Parameters, matrix: Array) -> bool:
        """Return whether the law of ``z @ matrix`` is of this family too."""
        return False


class _Gaussian(Family):
    """Normal, and the base of what is elliptical: z = mu + L e with e of a law of |e| alone."""

    def log_radial(self, prior: Parameters, square: Array, k: int | slice) -> Array:
        """Return the log density of e in class `k`, or in all of them, from |e|^2."""
        return -0.5 * (square + prior.latent_dim * np.log(2 * np.pi))

    def log_prob(self, prior: Parameters, z: Array) -> Array:
        out = np.empty((len(z), prior.n_classes))
        if prior.one_scale:  # one whitening for all classes; |e|^2 are then plain distances
            centre = prior.mean.mean(0)
            means = unscaled(prior, prior.mean - centre, 0)
            for rows in row_blocks(len(z), max(prior.latent_dim, prior.n_classes)):
                square = squared_distances(unscaled(prior, z[rows] - centre, 0), means)
                out[rows] = self.log_radial(prior, square, slice(None)) - log_det(prior, 0)
            return out
        for k in range(prior.n_classes):
            for rows in row_blocks(len(z), prior.latent_dim):
                square = (unscaled(prior, z[rows] - prior.mean[k], k) ** 2).sum(1)
                out[rows, k] = self.log_radial(prior, square, k) - log_det(prior, k)
        return out

    def noise(self, prior: Parameters, y: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Return (N, D) draws of e."""
        return rng.standard_normal((len(y), prior.latent_dim))

    def draw(self, prior: Parameters, y: NDArray[np.int64], rng: np.random.Generator) -> Array:
        noise = self.noise(prior, y, rng)
        if prior.scale is not None:
            return prior.mean[y] + prior.scale[y] * noise
        if prior.one_scale:
            for rows in row_blocks(len(y), prior.latent_dim):
                noise[rows] = noise[rows] @ prior.scale_tril[0].T
        else:
            for k in np.unique(y):
                noise[y == k] = noise[y == k] @ prior.scale_tril[k].T
        noise += prior.mean[y]
        return noise

    def residuals(self, prior: Parameters, z: Array, y: NDArray[np.int64]) -> Array:
        return standardised(prior, z, y)

    def covariance(self, prior: Parameters) -> Array:
        return prior.dispersion

    def mass_radius(self, prior: Parameters, mass: float) -> Array:
        return np.full(prior.n_classes, np.sqrt(chi2.ppf(mass, prior.latent_dim)))

    def keeps(self, prior: Parameters, matrix: Array) -> bool:
        return True


class _StudentT(_Gaussian):
    """Multivariate t: a normal divided by the root of a chi-squared over its `df`."""

    fields = ("scale", "scale_tril", "df")

    def log_radial(self, prior: Parameters, square: Array, k: int | slice) -> Array:
        df, d = prior.df[k], prior.latent_dim
        constant = gammaln((df + d) / 2) - gammaln(df / 2) - 0.5 * d * np.log(df * np.pi)
        return constant - 0.5 * (df + d) * np.log1p(square / df)

    def noise(self, prior: Parameters, y: NDArray[np.int64], rng: np.random.Generator) -> Array:
        normal = rng.standard_normal((len(y), prior.latent_dim))
        df = prior.df[y]
        return normal / np.sqrt(rng.chisquare(df) / df)[:, None]

    def residuals(self, prior: Parameters, z: Array, y: NDArray[np.int64]) -> Array:
        u, df, d = standardised(prior, z, y), prior.df[y], prior.latent_dim
        square = (u**2).sum(1)
        above = f.sf(square / d, d, df)
        with np.errstate(divide="ignore"):
            normal = np.where(
                above < 0.5,
                chdtri(d, above),
                2 * gammaincinv(d / 2, np.minimum(f.cdf(square / d, d, df), 0.5)),
            )
        # Farther out the mass beyond is no longer a number; its logarithm goes on like this.
        last = df * (1 / betaincinv(df / 2, d / 2, _LEAST_MASS) - 1)
        weight = 0.5 * (df + d) * (np.log1p(square / df) - np.log1p(last / df))
        normal = np.where(square > last, chdtri(d, _LEAST_MASS) + 2 * weight, normal)
        return u * np.sqrt(normal / np.where(square > 0, square, 1))[:, None]

    def covariance(self, prior: Parameters) -> Array:
        df = prior.df[:1] if prior.one_scale and (prior.df == prior.df[0]).all() else prior.df
        factor = np.where(df > 2, df / np.maximum(df - 2, 1e-300), 1)[:, None, None]
        found = np.where(df[:, None, None] > 2, factor * prior.dispersion[: len(df)], np.inf)
        return np.broadcast_to(found, prior.dispersion.shape)

    def mass_radius(self, prior: Parameters, mass: float) -> Array:
        return np.sqrt(prior.latent_dim * f.ppf(mass, prior.latent_dim, prior.df))


class _Laplace(Family):
    """Independent Laplace coordinates; `scale` is b, the standard deviation sqrt(2) b."""

    fields = ("scale",)

    def log_prob(self, prior: Parameters, z: Array) -> Array:
        out = np.empty((len(z), prior.n_classes))
        for k in range(prior.n_classes):
            constant = np.log(2 * prior.scale[k]).sum()
            for rows in row_blocks(len(z), prior.latent_dim):
                out[rows, k] = (
                    -np.abs(unscaled(prior, z[rows] - prior.mean[k], k)).sum(1) - constant
                )
        return out

    def draw(self, prior: Parameters, y: NDArray[np.int64], rng: np.random.Generator) -> Array:
        return prior.mean[y] + prior.scale[y] * rng.laplace(size=(len(y), prior.latent_dim))

    def residuals(self, prior: Parameters, z: Array, y: NDArray[np.int64]) -> Array:
        u = standardised(prior, z, y)
        return np.sign(u) * -ndtri_exp(-np.log(2) - np.abs(u))

    def covariance(self, prior: Parameters) -> Array:
        own = prior.dispersion[: 1 if prior.one_scale else None]
        return np.broadcast_to(2 * own, (prior.n_classes, *own.shape[1:]))

    def mass_radius(self, prior: Parameters, mass: float) -> Array:
        return np.full(prior.n_classes, gamma.ppf(mass, prior.latent_dim))

    def keeps(self, prior: Parameters, matrix: Array) -> bool:
        used = matrix != 0
        return bool((used.sum(0) <= 1).all() and (used.sum(1) <= 1).all())


class _VonMisesFisher(Family):
    """On the unit sphere: `mean` holds directions; latents are divided by their length."""

    fields = ("concentration",)

    def log_prob(self, prior: Parameters, z: Array) -> Array:
        constant = sphere.log_normaliser(prior.concentration, prior.latent_dim)
        out = np.empty((len(z), prior.n_classes))
        for rows in row_blocks(len(z), max(prior.latent_dim, prior.n_classes)):
            out[rows] = (sphere.unit_rows(z[rows]) @ prior.mean.T) * prior.concentration + constant
        return out

    def draw(self, prior: Parameters, y: NDArray[np.int64], rng: np.random.Generator) -> Array:
        z = np.empty((len(y), prior.latent_dim))
        for k in np.unique(y):
            law = vonmises_fisher(prior.mean[k], prior.concentration[k])
            z[y == k] = law.rvs(int((y == k).sum()), random_state=rng)
        return z

    def residuals(self, prior: Parameters, z: Array, y: NDArray[np.int64]) -> Array:
        z, out = sphere.unit_rows(z), np.empty((len(z), prior.latent_dim - 1))
        for k in np.unique(y):
            rows = y == k
            out[rows] = sphere.normal_residuals(
                z[rows], prior.mean[k], float(prior.concentration[k])
            )
        return out

    def covariance(self, prior: Parameters) -> Array:
        _, along, across = sphere.along_and_across(prior.concentration, prior.latent_dim)
        outer = prior.mean[:, :, None] * prior.mean[:, None]
        eye = np.eye(prior.latent_dim)
        return along[:, None, None] * outer + across[:, None, None] * (eye - outer)

    def mass_radius(self, prior: Parameters, mass: float) -> Array:
        return np.array([sphere.mass_angle(mass, k, prior.latent_dim) for k in prior.concentration])


class _Custom(Family):
    """A law of the user's own, in the field `density`; mean and scale are its moments."""

    fields = ("scale", "scale_tril", "density")
    normal_residuals = False

    def log_prob(self, prior: Parameters, z: Array) -> Array:
        return np.asarray(prior.density.log_prob(np.asarray(z, np.float64)), np.float64)

    def draw(self, prior: Parameters, y: NDArray[np.int64], rng: np.random.Generator) -> Array:
        return np.asarray(prior.density.sample(y, rng), np.float64)

    def residuals(self, prior: Parameters, z: Array, y: NDArray[np.int64]) -> Array:
        return standardised(prior, z, y)

    def covariance(self, prior: Parameters) -> Array:
        return prior.dispersion

    def mass_radius(self, prior: Parameters, mass: float) -> Array:
        raise InputError("a custom law has no radius in closed form; draw from it instead")


FAMILIES: Mapping[str, Family] = {
    "gaussian": _Gaussian(),
    "student_t": _StudentT(),
    "laplace": _Laplace(),
    "von_mises_fisher": _VonMisesFisher(),
    "custom": _Custom(),
}


def unscaled(prior: Parameters, offset: Array, k: int) -> Array:
    """Return (N, D) values L_k^-1 v of rows v."""
    if prior.scale is not None:
        return offset / prior.scale[k]
    return solve_triangular(prior.scale_tril[k], offset.T, lower=True, check_finite=False).T


def standardised(prior: Parameters, z: Array, y: NDArray[np.int64]) -> Array:
    """Return (N, D) values L_y^-1 (z - mu_y) of rows with their labels."""
    out = np.empty(z.shape)
    if prior.scale is not None or prior.one_scale:
        for rows in row_blocks(len(z), prior.latent_dim):
            offset = z[rows] - prior.mean[y[rows]]
            out[rows] = (
                unscaled(prior, offset, 0) if prior.one_scale else offset / prior.scale[y[rows]]
            )
        return out
    for k in np.unique(y):
        mine = y == k
        out[mine] = unscaled(prior, z[mine] - prior.mean[k], k)
    return out


def log_det(prior: Parameters, k: int) -> float:
    """Return log det L_k."""
    diagonal = prior.scale[k] if prior.scale is not None else np.diagonal(prior.scale_tril[k])
    return float(np.log(diagonal).sum())
