"""Means and covariances of latents by class, the subspace in which they vary, and what whitens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vcviz.records import LatentPrior, LatentSet
from vcviz.records.blocks import row_blocks

Array = NDArray[np.float64]

# A correlation matrix with eigenvalues below the first share of the largest loses digits where it
# whitens; below the second the directions are those of rounding.
_SINGULAR, _NOTHING = 1e-7, 1e-10
_DEAD_SCALE = 1e-3  # of a unit without variance, in standard deviations of the others
_ROUNDING = 4 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True, eq=False)
class Moments:
    """Counts, means and squares of latents by class, from two passes over the rows.

    Attributes
    ----------
    counts : (C,) latents of each class
    means : (C, D), zero for a class without latents
    scatter : (D, D) sum of the squares about the class means
    largest : (D,) largest absolute value
    """

    counts: NDArray[np.int64]
    means: Array
    scatter: Array
    largest: Array

    @property
    def n(self) -> int:
        """N, of all classes."""
        return int(self.counts.sum())

    @property
    def freedom(self) -> int:
        """N less the number of classes that are present."""
        return self.n - int((self.counts > 0).sum())

    @cached_property
    def within(self) -> Array:
        """(D, D) pooled covariance about the class means, unbiased."""
        return self.scatter / max(self.freedom, 1)

    @cached_property
    def centre(self) -> Array:
        """(D,) mean of all rows."""
        centre: Array = self.counts @ self.means / self.n
        return centre

    @cached_property
    def between(self) -> Array:
        """(D, D) covariance of the class means about the centre, by their counts."""
        offset = (self.means - self.centre) * np.sqrt(self.counts / self.n)[:, None]
        return offset.T @ offset

    @cached_property
    def covariance(self) -> Array:
        """(D, D) covariance of all rows, divided by N."""
        return self.scatter / self.n + self.between

    @cached_property
    def varying(self) -> Varying:
        """The subspace in which the latents vary within their classes."""
        scale = np.sqrt(np.diagonal(self.within))
        dim = len(scale)
        if self.freedom == 0:  # one latent a class: nothing is known
            return Varying(np.arange(dim), np.ones(dim))
        columns = np.flatnonzero(scale > _ROUNDING * self.largest)
        scale, largest = scale[columns], self.largest[columns]
        if len(columns) == 0 or self.freedom < len(columns):
            return Varying(columns, scale, dim=dim)
        tolerance = max(_NOTHING, min((_ROUNDING * (largest / scale).max()) ** 2, _SINGULAR))
        correlation = self.within[np.ix_(columns, columns)] / np.outer(scale, scale)
        values = np.linalg.eigvalsh(correlation)
        if values[0] > tolerance * values[-1]:
            return Varying(columns, scale, dim=dim)
        values, vectors = np.linalg.eigh(correlation)
        return Varying(columns, scale, vectors[:, values > tolerance * values[-1]], dim=dim)


class Varying:
    """The subspace in which latents vary within their classes: some units, or mixtures of them.

    Left out are units that are constant in every class (dead ones, say) and, where there are more
    rows than units, what the others already say (a unit that is there twice).

    Parameters
    ----------
    columns : (M,) units that vary
    scale : (M,) their standard deviations within classes, by which they are divided
    vectors : (M, r) orthonormal mixtures of these; None for the units themselves
    dim : D; default M
    """

    def __init__(
        self,
        columns: NDArray[np.int64],
        scale: Array,
        vectors: Array | None = None,
        *,
        dim: int | None = None,
    ) -> None:
        self.columns, self.vectors = columns, vectors
        self.dim = len(columns) if dim is None else dim
        self._factor = scale.max(initial=0) / scale

    @property
    def rank(self) -> int:
        """The number of dimensions in which the latents vary."""
        return len(self.columns) if self.vectors is None else self.vectors.shape[1]

    @property
    def left_out(self) -> int:
        """The number of dimensions in which they do not."""
        return self.dim - self.rank

    @property
    def matrix(self) -> Array:
        """(D, r) map of latents into the subspace."""
        out = np.zeros((self.dim, self.rank))
        out[self.columns] = self._factor[:, None] * (
            np.eye(len(self.columns)) if self.vectors is None else self.vectors
        )
        return out

    def __call__(self, z: NDArray[np.floating]) -> Array:
        """Return (N, r) latents in the subspace."""
        found = z[:, self.columns] * self._factor
        return found if self.vectors is None else found @ self.vectors

    def part(self, prior: LatentPrior) -> Varying | None:
        """Return what of the map leaves a law in its family; None where nothing is left out.

        A law that a mixture of units takes out of its family is seen in the units that vary.
        """
        if self.left_out == 0 or self.rank == 0:
            return None
        units = Varying(self.columns, 1 / self._factor, dim=self.dim)
        parts = (part for part in (self, units) if part.left_out and prior.keeps(part.matrix))
        return next(parts, None)


_kept: WeakKeyDictionary[LatentSet, Moments] = WeakKeyDictionary()


def class_moments(lat: LatentSet) -> Moments:
    """Return the moments of latents; they are computed once and kept as long as the latents."""
    if lat not in _kept:
        _kept[lat] = _moments(lat.z, lat.y, lat.n_classes)
    return _kept[lat]


def combined(parts: Sequence[Moments]) -> Moments:
    """Return the moments of the rows of several sets together; classes count alike in all."""
    if len(parts) == 1:
        return parts[0]
    size = max(len(part.counts) for part in parts)
    counts = np.zeros(size, np.int64)
    sums = np.zeros((size, parts[0].means.shape[1]))
    for part in parts:
        counts[: len(part.counts)] += part.counts
        sums[: len(part.counts)] += part.counts[:, None] * part.means
    means = sums / np.maximum(counts, 1)[:, None]
    scatter = np.zeros_like(parts[0].scatter)
    for part in parts:
        offset = np.sqrt(part.counts)[:, None] * (part.means - means[: len(part.counts)])
        scatter += part.scatter + offset.T @ offset
    return Moments(counts, means, scatter, np.max([part.largest for part in parts], axis=0))


def _moments(z: NDArray[np.floating], y: NDArray[np.int64], n_classes: int) -> Moments:
    counts = np.bincount(y, minlength=n_classes)
    sums, largest = np.zeros((n_classes, z.shape[1])), np.zeros(z.shape[1])
    for rows in row_blocks(len(z), z.shape[1]):
        part, label = np.asarray(z[rows], np.float64), y[rows]
        of_class = csr_array(
            (np.ones(len(part)), label, np.arange(len(part) + 1)), (len(part), n_classes)
        )
        sums += of_class.T @ part
        np.maximum(largest, np.maximum(part.max(0), -part.min(0)), out=largest)
    means = sums / np.maximum(counts, 1)[:, None]
    scatter = np.zeros((z.shape[1], z.shape[1]))
    for rows in row_blocks(len(z), z.shape[1]):
        residual = z[rows] - means[y[rows]]
        scatter += residual.T @ residual
    return Moments(counts, means, scatter, largest)


def invertible(covariance: Array) -> Array:
    """Return `covariance`, widened where whitening by it would lose too many digits.

    Units of any scale are told apart by their correlations. A unit without variance gets a
    thousandth of the others' standard deviation (root mean square); directions in which units
    that vary do not, when scaled to variance 1, get a variance of 1e-7 of the largest.
    """
    scale = np.sqrt(np.maximum(np.diagonal(covariance), 0))
    dead = scale <= 1e-12 * scale.max(initial=0)
    usual = float(np.sqrt((scale[~dead] ** 2).mean())) if not dead.all() else 1.0
    scale = np.where(dead, _DEAD_SCALE * usual, scale)
    correlation = covariance / np.outer(scale, scale)
    correlation[dead, :] = correlation[:, dead] = 0
    correlation[dead, dead] = 1
    values = np.linalg.eigvalsh(correlation)
    if values[0] > _SINGULAR * values[-1]:
        return covariance + np.diag(np.where(dead, scale**2, 0.0))
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, _SINGULAR * values[-1]))
    root *= scale[:, None]
    return root @ root.T
