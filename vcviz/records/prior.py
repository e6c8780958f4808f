"""The law of the latents that a head anticipates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from scipy.stats import chi2

from vcviz.errors import InputError, unknown
from vcviz.records.checks import as_array, as_float, as_labels, freeze
from vcviz.records.latents import Projection


@dataclass(frozen=True, eq=False)
class LatentPrior:
    """Class-conditional law p(z|y) that a head anticipates, with the class prior pi.

    Parameters
    ----------
    mean : (C, D) array
    scale : (C, D) array of standard deviations; give this or `scale_tril`
    scale_tril : (C, D, D) array, lower Cholesky factors of the covariances
    log_weight : (C,) array, log pi; normalised here; default uniform
    family : "gaussian"

    Raises
    ------
    InputError
        If shapes disagree, a scale is not positive, or the family is unknown.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64] = None  # type: ignore[assignment]
    scale_tril: NDArray[np.float64] = None  # type: ignore[assignment]
    log_weight: NDArray[np.float64] = None  # type: ignore[assignment]
    family: str = "gaussian"

    def __post_init__(self) -> None:
        if self.family != "gaussian":
            raise unknown("family", self.family, ("gaussian",))
        mean = as_float("mean", self.mean, 2, np.float64)
        if mean.size == 0:
            raise InputError(f"mean must be (C, D) with at least one of each, got {mean.shape}")
        c, d = mean.shape
        if (self.scale is None) == (self.scale_tril is None):
            raise InputError("give exactly one of scale (C, D) and scale_tril (C, D, D)")
        scale, tril = self.scale, self.scale_tril
        if scale is not None:
            scale = as_float("scale", scale, None, np.float64)
            try:
                scale = np.array(np.broadcast_to(scale, (c, d)))
            except ValueError:
                raise InputError(
                    f"scale must have shape ({c}, {d}) like mean, got {scale.shape}"
                ) from None
            if scale.min() <= 0:
                raise InputError(
                    f"scale must be positive, got a smallest value of {scale.min():.3g}"
                )
        if tril is not None:
            tril = as_float("scale_tril", tril, 3, np.float64)
            if tril.shape != (c, d, d):
                raise InputError(f"scale_tril must have shape ({c}, {d}, {d}), got {tril.shape}")
            if np.diagonal(tril, axis1=1, axis2=2).min() <= 0 or np.abs(np.triu(tril, 1)).max() > 0:
                raise InputError("scale_tril must be lower triangular with a positive diagonal")
        if self.log_weight is None:
            log_weight = np.full(c, -np.log(c))
        else:
            # -inf is legal: a class that never occurred in training.
            log_weight = as_array("log_weight", self.log_weight, 1)
            if (
                log_weight.shape != (c,)
                or log_weight.dtype.kind not in "fiu"
                or not np.isfinite(log_weight.max())
            ):
                raise InputError(f"log_weight must be ({c},) logs of class weights")
            log_weight = log_weight.astype(np.float64)
            log_weight = log_weight - logsumexp(log_weight)
        freeze(self, mean=mean, scale=scale, scale_tril=tril, log_weight=log_weight)

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return self.mean.shape[0]

    @property
    def latent_dim(self) -> int:
        """D, the number of latent dimensions."""
        return self.mean.shape[1]

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(C, D, D) covariance matrices."""
        tril = self._tril()
        return tril @ tril.transpose(0, 2, 1)

    def _tril(self) -> NDArray[np.float64]:
        if self.scale_tril is not None:
            return self.scale_tril
        return np.einsum("cd,de->cde", self.scale, np.eye(self.latent_dim))

    def whiten(self, z: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Return (N, D) residuals of `z` under the law of label `y`; where it fits, N(0, I)."""
        z = self._latents(z)
        y = as_labels("y", y, len(z), self.n_classes)
        if self.scale is not None:
            return (z - self.mean[y]) / self.scale[y]
        out = np.empty_like(z)
        for k in np.unique(y):
            rows = y == k
            out[rows] = _solve_lower(self.scale_tril[k], z[rows] - self.mean[k])
        return out

    def log_prob(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N, C) log densities log p(z|y) in nats."""
        z = self._latents(z)
        out = np.empty((len(z), self.n_classes))
        for k in range(self.n_classes):
            if self.scale is not None:
                u, logdet = (z - self.mean[k]) / self.scale[k], np.log(self.scale[k]).sum()
            else:
                tril = self.scale_tril[k]
                u, logdet = _solve_lower(tril, z - self.mean[k]), np.log(np.diagonal(tril)).sum()
            out[:, k] = -0.5 * (u**2).sum(1) - logdet - 0.5 * self.latent_dim * np.log(2 * np.pi)
        return out

    def log_marginal(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N,) log p(z) = log sum_y pi_y p(z|y) in nats."""
        return logsumexp(self.log_prob(z) + self.log_weight, axis=1)

    def log_posterior(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N, C) log p(y|z) by Bayes' rule, rows sum to 1 after exp."""
        joint = self.log_prob(z) + self.log_weight
        return joint - logsumexp(joint, axis=1, keepdims=True)

    def sample(
        self, n: int | ArrayLike, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw latents with their labels.

        Parameters
        ----------
        n : number of draws, labels from pi; or an (N,) array of labels to draw for
        rng : NumPy generator

        Returns
        -------
        z : (N, D) array
        y : (N,) labels
        """
        if np.ndim(n) == 0:
            size = int(np.asarray(n))
            if size < 0:
                raise InputError(f"n must be a number of draws, 0 or more, got {size}")
            y = rng.choice(self.n_classes, size=size, p=np.exp(self.log_weight))
        else:
            y = as_labels("n", n, None, self.n_classes)
        noise = rng.standard_normal((len(y), self.latent_dim))
        if self.scale is not None:
            return self.mean[y] + self.scale[y] * noise, y
        for k in np.unique(y):
            noise[y == k] = noise[y == k] @ self.scale_tril[k].T
        return self.mean[y] + noise, y

    def project(self, projection: Projection | ArrayLike) -> LatentPrior:
        """Return the law of the projected latents: exact, as a linear map keeps it Gaussian.

        An axis along which nothing varies (the second of one-dimensional latents) gets a
        standard deviation of 1e-6 of the others, so that the law keeps a density.

        Parameters
        ----------
        projection : a linear `Projection`, or the (D, k) matrix of one

        Raises
        ------
        InputError
            If the projection is not linear.
        """
        if not isinstance(projection, Projection):
            matrix = as_float("projection", projection, 2, np.float64)
            labels = tuple(f"axis {i + 1}" for i in range(matrix.shape[1]))
            projection = Projection("matrix", labels, matrix)
        if projection.matrix is None:
            raise InputError(
                f"a law can only be projected linearly, {projection.method!r} is not linear"
            )
        covariance = projection.matrix.T @ self.covariance @ projection.matrix
        variance = np.diagonal(covariance, axis1=1, axis2=2).copy()
        axes = np.arange(variance.shape[1])
        covariance[:, axes, axes] = np.maximum(variance, 1e-12 * variance.max(1, keepdims=True))
        return LatentPrior(
            mean=projection(self.mean),
            scale_tril=np.linalg.cholesky(covariance),  # type: ignore[arg-type]
            log_weight=self.log_weight,
            family=self.family,
        )

    def mass_radius(self, mass: float) -> float:
        """Return the Mahalanobis radius of the region that holds `mass` of each class."""
        return float(np.sqrt(chi2.ppf(mass, self.latent_dim)))

    def _latents(self, z: ArrayLike) -> NDArray[np.float64]:
        z = as_float("z", z, 2, np.float64)
        if z.shape[1] != self.latent_dim:
            raise InputError(
                f"z must have {self.latent_dim} columns to match the prior, got {z.shape[1]}"
            )
        return z


def _solve_lower(tril: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.linalg import solve_triangular

    return solve_triangular(tril, rows.T, lower=True).T
