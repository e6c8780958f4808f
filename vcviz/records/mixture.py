"""A law of the latents with several components a class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from vcviz.errors import InputError
from vcviz.records.checks import as_labels, freeze
from vcviz.records.latents import Projection
from vcviz.records.prior import LatentPrior


@dataclass(frozen=True, eq=False)
class MixturePrior:
    """Class-conditional law p(z|y) that is a mixture for each class, with the class prior pi.

    Parameters
    ----------
    laws : C laws, one a class; the "classes" of each are the components of that mixture, its
        `log_weight` the logs of their shares
    log_weight : (C,) array, log pi; normalised here; default uniform

    Raises
    ------
    InputError
        If the laws differ in dimension or `log_weight` is not one number per law.
    """

    laws: tuple[LatentPrior, ...]
    log_weight: NDArray[np.float64] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        laws = tuple(self.laws)
        if not laws or not all(isinstance(law, LatentPrior) for law in laws):
            raise InputError("laws must hold one LatentPrior per class, at least one")
        if len(dims := {law.latent_dim for law in laws}) > 1:
            raise InputError(f"laws must have one dimension, got {sorted(dims)}")
        pi = LatentPrior(np.zeros((len(laws), 1)), scale=1.0, log_weight=self.log_weight)  # type: ignore[arg-type]
        freeze(self, laws=laws, log_weight=pi.log_weight)

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return len(self.laws)

    @property
    def latent_dim(self) -> int:
        """D, the number of latent dimensions."""
        return self.laws[0].latent_dim

    def log_prob(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N, C) log densities log p(z|y) in nats."""
        return np.stack([law.log_marginal(z) for law in self.laws], axis=1)

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
        """Draw latents (N, D) with their labels (N,); as for `LatentPrior.sample`."""
        if np.ndim(n) == 0:
            size = int(np.asarray(n))
            if size < 0:
                raise InputError(f"n must be a number of draws, 0 or more, got {size}")
            y = rng.choice(self.n_classes, size=size, p=np.exp(self.log_weight))
        else:
            y = as_labels("n", n, None, self.n_classes)
        z = np.empty((len(y), self.latent_dim))
        for k in np.unique(y):
            z[y == k] = self.laws[k].sample(int((y == k).sum()), rng)[0]
        return z, y

    def project(self, projection: Projection | ArrayLike) -> MixturePrior:
        """Return the law of the linearly projected latents; as for `LatentPrior.project`."""
        return MixturePrior(tuple(law.project(projection) for law in self.laws), self.log_weight)
