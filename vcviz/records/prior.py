"""The law of the latents that a head anticipates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_choice, check_fraction
from vcviz.records.blocks import row_blocks
from vcviz.records.checks import (
    LARGEST,
    as_array,
    as_factors,
    as_float,
    as_labels,
    as_log_weights,
    as_positive,
    freeze,
)
from vcviz.records.families import FAMILIES, Family, Parameters
from vcviz.records.latents import Projection
from vcviz.records.sphere import unit_rows

_FIELDS = ("scale", "scale_tril", "df", "concentration", "density")


@dataclass(frozen=True, eq=False)
class LatentPrior(Parameters):
    """Class-conditional law p(z|y) that a head anticipates, with the class prior pi.

    Parameters
    ----------
    mean : (C, D) array; for "von_mises_fisher" the mean directions, divided by their length here
    scale : (C, D) array of scales, one a coordinate: standard deviations of a Gaussian, elsewhere
        the scale of `scipy.stats`. Give this or `scale_tril`
    scale_tril : (C, D, D) array of lower triangular factors L; z = mean + L e. One (D, D) for all
        classes is stored once: the field is then a view of it, C times over
    log_weight : (C,) array, log pi; normalised here; default uniform
    family : "gaussian"; "student_t" (with `df`); "laplace" (independent coordinates, `scale`
        only); "von_mises_fisher" (on the unit sphere, with `concentration` and no scale);
        "custom" (with `density`; mean and scale are then its moments)
    df : (C,) degrees of freedom
    concentration : (C,) concentrations
    density : object with `log_prob(z)` -> (N, C) and `sample(y, rng)` -> (N, D)

    Raises
    ------
    InputError
        If shapes disagree, a scale is not positive, a family is unknown, or lacks a field.

    Examples
    --------
    >>> law = vcviz.LatentPrior(mean=[[0.0, 0.0], [4.0, 0.0]], scale=np.ones((2, 2)))
    >>> z = [[0.0, 0.0], [2.0, 0.0]]
    >>> law.log_prob(z).round(2)
    array([[-1.84, -9.84],
           [-3.84, -3.84]])
    >>> np.exp(law.log_posterior(z)).round(3)
    array([[1. , 0. ],
           [0.5, 0.5]])
    >>> law.mass_radius(0.9).round(2)
    array([2.15, 2.15])
    """

    def __post_init__(self) -> None:
        check_choice("family", self.family, FAMILIES)
        mean = as_float("mean", self.mean, 2, np.float64)
        if mean.size == 0:
            raise InputError(f"mean must be (C, D) with at least one of each, got {mean.shape}")
        c, d = mean.shape
        self._check_fields(d)
        if self.family == "von_mises_fisher":
            mean = unit_rows(mean, "mean")
        parts: dict[str, Any] = {"mean": mean, "log_weight": as_log_weights(self.log_weight, c)}
        if self.scale is not None:
            parts["scale"] = as_positive("scale", self.scale, (c, d))
        if self.scale_tril is not None:
            parts["scale_tril"] = as_factors("scale_tril", self.scale_tril, c, d)
        for name in ("df", "concentration"):
            if getattr(self, name) is not None:
                parts[name] = as_positive(name, getattr(self, name), (c,))
        freeze(self, **parts)

    def _check_fields(self, dim: int) -> None:
        wanted = self._law.fields
        given = [name for name in _FIELDS if getattr(self, name) is not None]
        if stray := [name for name in given if name not in wanted]:
            raise InputError(f"a {self.family} law has no {stray[0]}; leave it out")
        if missing := [n for n in wanted if n not in given and not n.startswith("scale")]:
            raise InputError(f"a {self.family} law needs {missing[0]}=")
        if "scale_tril" in wanted and (self.scale is None) == (self.scale_tril is None):
            raise InputError("give exactly one of scale (C, D) and scale_tril (C, D, D)")
        if wanted == ("scale",) and self.scale is None:
            raise InputError(f"a {self.family} law needs scale=")
        if self.family == "von_mises_fisher" and dim < 2:
            raise InputError("a von_mises_fisher law needs 2 dimensions or more, got 1")

    @property
    def _law(self) -> Family:
        return FAMILIES[self.family]

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(C, D, D) covariance matrices; of a Student-t with 2 degrees or fewer all infinite."""
        return self._law.covariance(self)

    @property
    def normal_residuals(self) -> bool:
        """Whether `whiten` gives standard normal residuals: so for all but a custom law."""
        return self._law.normal_residuals

    def whiten(self, z: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Return (N, D) residuals of `z` under the law of label `y`: N(0, I) if the law holds.

        L^-1 (z - mean) for a Gaussian. Any other family is mapped onto the normal one to one: the
        lengths of a Student-t's residuals, the coordinates of a Laplace law, and the angles of a
        von Mises-Fisher law are replaced by those that a standard normal exceeds as often; the
        latter leaves (N, D - 1) residuals, in the tangent plane. A custom law has residuals of
        mean 0 and variance 1 that are not normal.
        """
        z = self._latents(z)
        y = as_labels("y", y, len(z), self.n_classes)
        return self._law.residuals(self, z, y)

    def log_prob(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N, C) log densities log p(z|y) in nats; on a sphere with respect to its area."""
        return self._law.log_prob(self, self._latents(z))

    def log_marginal(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N,) log p(z) = log sum_y pi_y p(z|y) in nats."""
        z = self._latents(z)
        out = np.empty(len(z))
        for rows in row_blocks(len(z), self.n_classes):
            out[rows] = logsumexp(self._law.log_prob(self, z[rows]) + self.log_weight, axis=1)
        return out

    def log_posterior(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N, C) log p(y|z) by Bayes' rule, rows sum to 1 after exp."""
        joint = self.log_prob(z)
        for rows in row_blocks(len(joint), self.n_classes):
            joint[rows] += self.log_weight
            joint[rows] -= logsumexp(joint[rows], axis=1, keepdims=True)
        return joint

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
        wanted = as_array("n", n)
        if wanted.ndim == 0:
            if wanted.dtype.kind not in "iu" or wanted < 0:
                raise InputError(
                    f"n must be a number of draws, 0 or more, got {clip(wanted.item())}"
                )
            size = int(wanted)
            y = rng.choice(self.n_classes, size=size, p=np.exp(self.log_weight))
        else:
            y = as_labels("n", wanted, None, self.n_classes)
        return self._law.draw(self, y, rng), y

    def keeps(self, projection: Projection | ArrayLike) -> bool:
        """Return whether `project` gives the law of the projected latents exactly."""
        matrix = _as_projection(projection).matrix
        return matrix is not None and self._law.keeps(self, matrix)

    def project(self, projection: Projection | ArrayLike) -> LatentPrior:
        """Return the law of the projected latents, exactly.

        A linear map keeps a Gaussian Gaussian and a Student-t a Student-t; a Laplace law it keeps
        if each axis is one of the coordinates. An axis along which nothing varies (the second of
        one-dimensional latents) gets a scale of 1e-6 of the others, so that the law keeps a
        density.

        Parameters
        ----------
        projection : a linear `Projection`, or the (D, k) matrix of one

        Raises
        ------
        InputError
            If the projection is not linear, or the law is not of its family any more: `keeps`
            says so beforehand.
        """
        projection = _as_projection(projection)
        if projection.matrix is None:
            raise InputError(
                f"a law can only be projected linearly, {projection.method!r} is not linear"
            )
        if not self.keeps(projection):
            raise InputError(
                f"a {self.family} law projected by {projection.method!r} is of no known family; "
                "project draws of it instead"
            )
        if projection.matrix.shape[0] != self.latent_dim or (
            np.abs(projection.matrix).max(initial=0) < 1 / LARGEST
        ):
            raise InputError(
                f"a projection must have {self.latent_dim} rows, not all zero, "
                f"got a matrix of shape {projection.matrix.shape}"
            )
        dispersion = self.dispersion_along(projection.matrix)
        variance = np.diagonal(dispersion, axis1=1, axis2=2).copy()
        axes = np.arange(variance.shape[1])
        variance = np.maximum(variance, 1e-12 * variance.max(1, keepdims=True))
        dispersion[:, axes, axes] = variance
        scale: dict[str, Any] = (
            {"scale_tril": _cholesky(dispersion)}
            if "scale_tril" in self._law.fields
            else {"scale": np.sqrt(variance)}
        )
        return LatentPrior(
            mean=projection(self.mean),
            log_weight=self.log_weight,
            family=self.family,
            df=self.df,
            **scale,
        )

    def mass_radius(self, mass: float) -> NDArray[np.float64]:
        """Return (C,) radii of the smallest regions that hold `mass` of each class.

        In |L^-1 (z - mean)| for a Gaussian or Student-t, in the sum of its coordinates' absolute
        values for a Laplace law, and in radians from the mean direction on the sphere; `mass` lies
        in (0, 1).
        """
        check_fraction("mass", mass)
        return self._law.mass_radius(self, mass)

    def _latents(self, z: ArrayLike) -> NDArray[Any]:
        """Return latents in a float type of their own: float64 is made of them block by block."""
        z = as_float("z", z, 2, None)
        if z.shape[1] != self.latent_dim:
            raise InputError(
                f"z must have {self.latent_dim} columns to match the prior, got {z.shape[1]}"
            )
        return z


def _cholesky(dispersion: NDArray[np.float64]) -> NDArray[np.floating]:
    """Return (C, k, k) factors; axes that are one and the same get a scale of 1e-6 beside it."""
    try:
        return np.linalg.cholesky(dispersion)
    except np.linalg.LinAlgError:
        ridge = 1e-12 * np.trace(dispersion, axis1=1, axis2=2)[:, None, None]
        return np.linalg.cholesky(dispersion + ridge * np.eye(dispersion.shape[1]))


def _as_projection(projection: Projection | ArrayLike) -> Projection:
    if isinstance(projection, Projection):
        return projection
    matrix = as_float("projection", projection, 2, np.float64)
    return Projection("matrix", tuple(f"axis {i + 1}" for i in range(matrix.shape[1])), matrix)
