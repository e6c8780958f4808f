"""A law of the latents with several components a class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError
from vcviz.records import LatentPrior


@dataclass(frozen=True, eq=False)
class MixtureDensity:
    """p(z|y) as a mixture for each class: the `density` of a "custom" `LatentPrior`.

    Parameters
    ----------
    laws : C laws, one a class; the "classes" of each are the components of that mixture, its
        `log_weight` the logs of their shares
    """

    laws: tuple[LatentPrior, ...]

    def __post_init__(self) -> None:
        if not self.laws or not all(isinstance(law, LatentPrior) for law in self.laws):
            raise InputError("laws must hold one LatentPrior per class, at least one")
        if len(dims := {law.latent_dim for law in self.laws}) > 1:
            raise InputError(f"laws must have one dimension, got {sorted(dims)}")

    def log_prob(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, C) log densities in nats of (N, D) latents."""
        return np.stack([law.log_marginal(z) for law in self.laws], axis=1)

    def sample(self, y: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return (N, D) draws, one for each label."""
        z = np.empty((len(y), self.laws[0].latent_dim))
        for k in np.unique(y):
            z[y == k] = self.laws[k].sample(int((y == k).sum()), rng)[0]
        return z


def mixture_prior(
    laws: tuple[LatentPrior, ...], log_weight: ArrayLike | None = None
) -> LatentPrior:
    """Return the law whose classes are mixtures, with their means and covariances.

    Parameters
    ----------
    laws : as for `MixtureDensity`
    log_weight : (C,) log pi; default uniform
    """
    density = MixtureDensity(tuple(laws))
    share = [np.exp(law.log_weight)[:, None] for law in density.laws]
    mean = np.stack([(s * law.mean).sum(0) for s, law in zip(share, density.laws, strict=True)])
    tril = np.empty((len(mean), mean.shape[1], mean.shape[1]))
    for k, law in enumerate(density.laws):
        step = law.mean - mean[k]
        within = (share[k][..., None] * law.covariance).sum(0)
        tril[k] = np.linalg.cholesky(within + (share[k] * step).T @ step)
    return LatentPrior(
        mean,
        scale_tril=tril,
        log_weight=log_weight,  # type: ignore[arg-type]
        family="custom",
        density=density,
    )
