"""A law of the user's own: a `torch.distributions` object, its parameters fixed or learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Distribution, Independent, Transform

from vcviz.base.errors import InputError
from vcviz.base.options import check_flag
from vcviz.models.laws.base import Law
from vcviz.models.laws.description import from_description, rebuilt, tensors_of
from vcviz.models.precision import wide, widest
from vcviz.records import LatentPrior

_MEANS = ("loc", "mean")
# Of each class, for moments that the law itself does not know.
_DRAWS = 20_000


class CustomLaw(Law):
    """The class-conditional law that a `torch.distributions` object states.

    Parameters
    ----------
    latent_dim, n_classes : D, C
    law : a distribution with batch_shape (C,) and event_shape (D,); one with batch_shape (C, D)
        and no event_shape is taken as independent coordinates. Or what
        `vcviz.models.laws.describe` makes of one. It must have a density on all of R^D
    learn_mean : whether parameters called ``loc`` are trained
    learn_scale : whether all others are trained, each within its constraint
        (through `torch.distributions.biject_to`)

    Notes
    -----
    A class that is not one of torch's own can be neither trained nor described: it is kept as it
    is. Draws of `torch.distributions` come from torch's global state, which is put back after
    it has been seeded from the `generator`.
    """

    def __init__(
        self,
        latent_dim: int,
        n_classes: int,
        *,
        law: Distribution | Mapping[str, Any],
        learn_mean: bool = True,
        learn_scale: bool = False,
    ) -> None:
        super().__init__(latent_dim, n_classes)
        own = law if isinstance(law, Distribution) else from_description(law)
        if not own.event_shape and own.batch_shape == (n_classes, latent_dim):
            own = Independent(own, 1)
        _check(own, latent_dim, n_classes)
        learned = {True: check_flag("learn_mean", learn_mean)}
        learned[False] = check_flag("learn_scale", learn_scale)
        self._own = own
        #: parameter -> the map of unconstrained tensors to its values, or None if there is none;
        #: of a distribution that cannot be taken apart nothing
        self._from_free: dict[str, Transform | None] = {}
        for name, value, from_free in tensors_of(own):
            free = value if from_free is None else from_free.inv(value)
            trained = learned[name.rsplit("__", 1)[-1] in _MEANS]
            self.store(name, free.detach().clone(), from_free is not None and trained)
            self._from_free[name] = from_free

    def distribution(self, *, frozen: bool = False) -> Distribution:
        """Return the distribution with its present parameters, in float64 where possible."""
        values = {}
        for name, from_free in self._from_free.items():
            value = getattr(self, name)
            value = wide(value.detach() if frozen else value)
            values[name] = value if from_free is None else from_free(value)
        return rebuilt(self._own, values) if values else self._own

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return log densities in nats: (B, C) of every class, or (B,) of the labels `y`."""
        every = self.distribution().log_prob(wide(z)[:, None])
        return every if y is None else every.gather(1, y[:, None]).squeeze(1)

    def excess(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) log p(mode|y) - log p(z|y); refused for laws that do not know their mode."""
        law = self.distribution()
        try:
            peak = law.log_prob(law.mode)
        except NotImplementedError:
            raise InputError(
                f"a margin needs the mode of the law, which {_name(law)} does not know; "
                "take margin=0"
            ) from None
        return peak[y] - self.log_prob(z, y)

    def whiten(self, z: Tensor, y: Tensor, *, frozen: bool = False) -> Tensor:
        """Return (B, D) values (z - mean) / standard deviation.

        Where these are unknown or infinite, z itself.
        """
        moments = _moments(self.distribution(frozen=frozen))
        if moments is None:
            return z
        mean, scale = (m.to(z.dtype) for m in moments)
        return (z - mean[y]) / scale[y]

    @torch.no_grad()
    def sample(self, y: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return (B, D) draws, one for each label."""
        counts = y.bincount(minlength=self.n_classes)
        order = y.argsort()
        start = counts.cumsum(0) - counts
        rank = torch.empty_like(y).index_copy(
            0, order, torch.arange(len(y), device=y.device) - start[y[order]]
        )
        draws = _drawn(
            self.distribution(frozen=True), int(counts.max()) if len(y) else 0, generator
        )
        return draws[rank, y].to(torch.get_default_dtype())

    @torch.no_grad()
    def prior(self, log_weight: Tensor) -> LatentPrior:
        """Return the law as a NumPy record; its moments are those of draws if it knows none."""
        law = self.distribution(frozen=True)
        return LatentPrior(
            **{name: value.cpu().double().numpy() for name, value in _record(law).items()},
            log_weight=log_weight.cpu().double().numpy(),
            family="custom",
            density=_ArrayDensity(law),
        )


class _ArrayDensity:
    """A distribution as NumPy functions."""

    def __init__(self, law: Distribution) -> None:
        self._law = law
        self._device = _drawn(law, 1, torch.Generator().manual_seed(0)).device

    def log_prob(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, C) log densities in nats."""
        with torch.no_grad():
            rows = torch.tensor(z, dtype=widest(self._device)).to(self._device)
            return self._law.log_prob(rows[:, None]).cpu().double().numpy()

    def sample(self, y: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return (N, D) draws, one for each label."""
        draw = torch.Generator().manual_seed(int(rng.integers(2**62)))
        out = np.empty((len(y), self._law.event_shape[0]))
        counts = np.bincount(y, minlength=1)
        with torch.no_grad():
            drawn = _drawn(self._law, int(counts.max()), draw).cpu().double().numpy()
        for k in np.unique(y):
            out[y == k] = drawn[: counts[k], k]
        return out


def _drawn(law: Distribution, n: int, generator: torch.Generator | None) -> Tensor:
    """Return (n, C, D) draws seeded by `generator`; the global random state stays as it was."""
    if generator is None:
        return law.sample((n,))
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(cuda):
        torch.manual_seed(seed)
        return law.sample((n,))


def _moments(law: Distribution) -> tuple[Tensor, Tensor] | None:
    """Return means and standard deviations (C, D), or None if they are unknown or infinite."""
    try:
        mean, scale = law.mean, law.stddev
    except NotImplementedError:
        return None
    known = mean.isfinite().all() and scale.isfinite().all() and (scale > 0).all()
    return (mean, scale) if known else None


def _record(law: Distribution) -> dict[str, Tensor]:
    """Return mean and scale, or scale_tril: exact where the law knows them, else those of draws.

    Where the variance is infinite, median and interquartile range / 1.349.
    """
    moments, draws = _moments(law), wide(_drawn(law, _DRAWS, torch.Generator().manual_seed(0)))
    if moments is None:
        low, middle, high = draws.quantile(draws.new_tensor([0.25, 0.5, 0.75]), 0)
        return {"mean": middle, "scale": (high - low) / 1.349}
    mean, scale = moments
    if isinstance(law, Independent):
        return {"mean": mean, "scale": scale}
    if hasattr(law, "covariance_matrix"):
        covariance = law.covariance_matrix
    else:
        off = draws - mean
        covariance = torch.einsum("ncd,nce->cde", off, off) / _DRAWS
    return {"mean": mean, "scale_tril": torch.linalg.cholesky(covariance)}


def _name(law: Distribution) -> str:
    while isinstance(law, Independent):
        law = law.base_dist
    return type(law).__name__


def _everywhere(law: Distribution) -> bool:
    """Return whether the support holds whatever an encoder may give; unknown ones are believed."""
    try:
        support = law.support
    except NotImplementedError:
        support = None
    if support is None:
        return True
    places = torch.tensor([-1e4, -0.3, 0.7, 1e4])[:, None, None]
    return bool(support.check(places.expand(4, *law.batch_shape, *law.event_shape)).all())


def _check(law: Distribution, latent_dim: int, n_classes: int) -> None:
    """Refuse what is no density of R^D for each class."""
    shapes = tuple(law.batch_shape), tuple(law.event_shape)
    if shapes != ((n_classes,), (latent_dim,)):
        raise InputError(
            f"law must have batch_shape ({n_classes},) and event_shape ({latent_dim},), one law a "
            f"class, or batch_shape ({n_classes}, {latent_dim}); {_name(law)} has {shapes[0]} "
            f"and {shapes[1]}"
        )
    if not _everywhere(law):
        raise InputError(
            f"law must have a density on all of R^{latent_dim}, that of {_name(law)} is limited "
            f"to {law.support}; transform it, or choose another"
        )
    try:
        draw = _drawn(law, 2, torch.Generator().manual_seed(0))
        density = law.log_prob(draw)
    except NotImplementedError:
        raise InputError(f"law needs log_prob and sample, {_name(law)} lacks one of them") from None
    if draw.shape != (2, n_classes, latent_dim) or density.shape != (2, n_classes):
        raise InputError(
            f"log_prob of draws {tuple(draw.shape)} must be (2, {n_classes}), "
            f"{_name(law)} gives {tuple(density.shape)}"
        )
