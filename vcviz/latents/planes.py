"""Any classifier's last layer at latents of one's choice, above all on a plane through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_count
from vcviz.geometry import fit_projection
from vcviz.geometry.projections import plane_latents
from vcviz.latents.extraction import last_linear, to_numpy
from vcviz.latents.modules import float_type, label_prior_of, own_device, unwrapped
from vcviz.models.classifier import Classifier
from vcviz.records import LatentPlane, LatentSet, Projection, as_float

_ROWS = 16_384


def latent_log_probs(model: nn.Module, z: ArrayLike, *, seed: int = 0) -> NDArray[np.float32]:
    """Return (N, C) natural-log p(y|z) as the model's last layer gives them for latents (N, D).

    Parameters
    ----------
    model : a `Classifier`, whose head is asked (latents are moved onto the support of its law), or
        a module that ends in an `nn.Linear`, see `last_linear`
    z : latents
    seed : of the noise of a head that draws samples

    Returns
    -------
    (N, C) float32 array

    Raises
    ------
    InputError
        If D is not what the last layer takes.

    Examples
    --------
    >>> import torch
    >>> layer = torch.nn.Linear(2, 2)
    >>> layer.weight.data, layer.bias.data = torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.zeros(2)
    >>> np.exp(vcviz.latents.latent_log_probs(layer, [[0.0, 0.0], [2.0, 5.0]])).round(2)
    array([[0.5 , 0.5 ],
           [0.12, 0.88]], dtype=float32)
    """
    return latent_outputs(model, z, seed=seed)[0]


def latent_outputs(
    model: nn.Module, z: ArrayLike, *, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return `latent_log_probs` and the (N,) energies, minus the logsumexp of the logits."""
    check_count("seed", seed, minimum=0)
    inner: Any = unwrapped(model)
    layer = None if isinstance(inner, Classifier) else last_linear(inner)
    z = as_float("z", z, 2)
    if layer is not None and z.shape[1] != layer.in_features:
        raise InputError(
            f"the model's last linear layer takes latents of {layer.in_features} dimensions, "
            f"got {z.shape[1]}"
        )
    generator = torch.Generator(own_device(inner)).manual_seed(seed)
    found = []
    with torch.no_grad():
        for part in placed(inner, z):
            if layer is not None:
                logits = layer(part)
                outputs = logits.log_softmax(1), -logits.logsumexp(1)
            else:
                outputs = inner.head.predict(inner.head.place(part), generator=generator)
            found.append([to_numpy(output) for output in outputs])
    log_probs, energy = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return log_probs, energy


def placed(model: nn.Module, z: NDArray[np.float32]) -> Iterator[Tensor]:
    """Yield blocks of latents on a model's device, in its type."""
    for rows in torch.from_numpy(z.copy()).split(_ROWS):
        yield rows.to(own_device(model), float_type(model))


@takes_records
def plane_log_probs(
    model: nn.Module,
    lat: LatentSet,
    *,
    projection: Projection | None = None,
    ranges: Sequence[tuple[float, float]] | None = None,
    size: int = 160,
    through: ArrayLike | None = None,
    name: str | None = None,
    seed: int = 0,
) -> LatentPlane:
    """Return the predictions of the model's last layer on a square grid in a plane of the latents.

    Parameters
    ----------
    model : as for `latent_log_probs`
    lat : set where the plane lies and how much of it is looked at
    projection : linear map to the plane; default the two axes for D = 2, else PCA
    ranges : (low, high) of either axis; default the bulk of the latents, on axes of equal length
    size : grid points along each axis
    through : (D,) a latent that the plane goes through; default the mean of the latents. Where
        D > 2 a class whose latents lie off the plane may own no region of it.
    name : of the result; default that of the latents
    seed : of the noise of a head that draws samples

    Returns
    -------
    LatentPlane
        (size, size, C) log-probabilities.

    Raises
    ------
    InputError
        If the projection is not linear, or the model does not take latents of D dimensions.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> plane = vcviz.latents.plane_log_probs(run.model(), run.latents(), size=50)
    >>> plane.log_probs.shape
    (50, 50, 5)
    >>> np.unique(plane.log_probs.argmax(axis=2))  # every class owns a region
    array([0, 1, 2, 3, 4])
    """
    projection, x, y, z = plane_grid(
        lat, projection=projection, ranges=ranges, size=size, through=through
    )
    log_probs = latent_log_probs(model, z, seed=seed)
    return LatentPlane(
        log_probs.reshape(size, size, -1),
        x,
        y,
        lat,
        projection,
        name=lat.name if name is None else name,
        label_prior=label_prior_of(model),
    )


def plane_grid(
    lat: LatentSet,
    *,
    projection: Projection | None = None,
    ranges: Sequence[tuple[float, float]] | None = None,
    size: int = 160,
    through: ArrayLike | None = None,
) -> tuple[Projection, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the projection, the axes x and y, and the (size², D) latents on their grid.

    The parameters are those of `plane_log_probs`.
    """
    check_count("size", size, minimum=2)
    if projection is None:
        method = "pair" if lat.latent_dim <= 2 else "pca"
        projection = fit_projection(lat, method=method)  # type: ignore[arg-type]
    if ranges is None:
        ranges = square_ranges(projection(lat.z))
    bounds = as_float("ranges", ranges, 2, np.float64)
    if bounds.shape != (2, 2) or not (bounds[:, 0] < bounds[:, 1]).all():
        raise InputError(f"ranges must be (low, high) of two axes, got {clip(ranges)}")
    x, y = (np.linspace(low, high, size) for low, high in bounds)
    through = lat.z.mean(0) if through is None else through
    return projection, x, y, plane_latents(projection, x, y, through=through)


def square_ranges(
    points: NDArray[np.float64],
) -> list[tuple[float, float]]:
    """Return (low, high) of two axes of equal length that show the bulk of (N, 2) points."""
    low, high = np.quantile(points, [0.005, 0.995], axis=0)
    half = 0.58 * max(float((high - low).max()), 1e-6)
    return [(float(c - half), float(c + half)) for c in (low + high) / 2]
