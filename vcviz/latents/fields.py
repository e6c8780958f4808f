"""Numbers on a plane through the latents: a critic's T, out-of-distribution scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from torch import nn

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_choice
from vcviz.latents.extraction import to_numpy
from vcviz.latents.modules import unwrapped
from vcviz.latents.planes import latent_outputs, placed, plane_grid
from vcviz.metrics.ood import METHODS, OF_OUTPUT, UNITS, score, separation, threshold_at_tpr
from vcviz.models.classifier import Classifier
from vcviz.records import LatentPrior, LatentSet, PlaneField, Projection, as_float, as_labels


def has_critic(model: nn.Module) -> bool:
    """Return whether the model's head has a critic, which `log_ratio` asks."""
    inner = unwrapped(model)
    return isinstance(inner, Classifier) and inner.head.critic is not None


def log_ratio(model: nn.Module, z: ArrayLike, *, label: int | None = None) -> NDArray[np.float32]:
    """Return (N,) values T(z, y) of the critic, or those of all classes together.

    Positive where the encoder puts more latents than the law anticipates, 0 where the two agree.
    With `critic_penalty` 0 estimates of log q(z|y)/p(z|y), or of log q(z)/p(z), in nats. With the
    penalty, which is the default, of the same sign and much smaller, see `VariationalHead`.

    Parameters
    ----------
    model : a `Classifier` whose head has a critic T(z, y) (the variational head)
    z : (N, D) latents
    label : y; None for all classes together, log sum_y p(y|z) exp T(z, y), which would be
        log q(z)/p(z) if q(z|y) = p(z|y) exp T(z, y)

    Raises
    ------
    InputError
        If the head has no critic, or there is no such class.

    Notes
    -----
    The critic was trained where latents and draws of the law are; elsewhere it only goes on.
    """
    inner: Any = unwrapped(model)
    if not has_critic(inner):
        kind = type(inner.head if isinstance(inner, Classifier) else inner).__name__
        raise InputError(f"{kind} has no critic to ask for T; train head='variational'")
    head = inner.head
    if label is not None:
        as_labels("label", [label], 1, head.n_classes)
    labels = range(head.n_classes) if label is None else [label]
    found = []
    with torch.no_grad():
        for part in placed(inner, as_float("z", z, 2)):
            at = head.place(part)
            ratios = [
                to_numpy(head.log_ratio(at, torch.full((len(part),), k, device=part.device)))
                for k in labels
            ]
            if label is None:
                posterior = to_numpy(head.log_probs(at))
                found.append(logsumexp(posterior + np.stack(ratios, axis=1), axis=1))
            else:
                found.append(ratios[0])
    return np.concatenate(found).astype(np.float32)


@takes_records
def plane_log_ratio(
    model: nn.Module,
    lat: LatentSet,
    *,
    label: int | None = None,
    projection: Projection | None = None,
    ranges: Sequence[tuple[float, float]] | None = None,
    size: int = 160,
    through: ArrayLike | None = None,
    name: str | None = None,
) -> PlaneField:
    """Return the critic's T(z, y) on a square grid in a plane through the latents.

    Parameters
    ----------
    model, label : as for `log_ratio`
    lat : set where the plane lies and how much of it is looked at
    projection, ranges, size, through : as for `plane_log_probs`
    name : of the result; default that of the latents

    Raises
    ------
    InputError
        If the model's head has no critic, or the projection is not linear.

    Notes
    -----
    `limits` are symmetric and reach what nine in ten of the latents themselves have, at least
    0.1: away from latents and law the critic says nothing, and may be far from 0.

    References
    ----------
    Dhuliawala, Sachan & Allen, Variational Classification, TMLR 2024, arXiv 2305.10406.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="variational", epochs=3, progress=False)
    >>> field = vcviz.latents.plane_log_ratio(run.model(), run.latents(), size=20)
    >>> field.values.shape, field.quantity
    ((20, 20), "critic's T(z)")
    """
    projection, x, y, z = plane_grid(
        lat, projection=projection, ranges=ranges, size=size, through=through
    )
    values = log_ratio(model, z, label=label)
    own = lat.z if label is None else lat.z[lat.y == label]
    at_own = np.abs(log_ratio(model, own, label=label)) if len(own) else values
    reach = max(float(np.quantile(at_own, 0.9)), 0.1)
    k = "" if label is None else f"|{lat.class_names[label]}"
    inner: Any = unwrapped(model)
    exact = inner.head.critic_penalty == 0
    return PlaneField(
        values.reshape(size, size),
        x,
        y,
        quantity=f"log q(z{k})/p(z{k})" if exact else f"critic's T(z{k.replace('|', ', ')})",
        unit="nats" if exact else "",
        limits=(-reach, reach),
        latents=lat,
        projection=projection,
        name=lat.name if name is None else name,
    )


@takes_records
def score_plane(
    model: nn.Module | None,
    lat: LatentSet,
    method: str = "max_prob",
    *,
    prior: LatentPrior | None = None,
    train: LatentSet | None = None,
    strangers: LatentSet | None = None,
    tpr: float = 0.95,
    neighbours: int = 10,
    projection: Projection | None = None,
    ranges: Sequence[tuple[float, float]] | None = None,
    size: int = 120,
    through: ArrayLike | None = None,
    name: str | None = None,
    seed: int = 0,
) -> PlaneField:
    """Return an out-of-distribution score on a plane, with the threshold that accepts `tpr`.

    Parameters
    ----------
    model : asked for ``"max_prob"``, ``"entropy"`` and ``"energy"``; may be None for the others
    lat : in-distribution latents, which set the threshold and where the plane lies
    method, prior, train, neighbours : as for `vcviz.metrics.ood.score`
    strangers : latents of out-of-distribution inputs by the same model; with them `separation`
        holds FPR at `tpr`
    tpr : share of the in-distribution latents that is accepted
    projection, ranges, size, through : as for `plane_log_probs`
    name : of the result; default that of the latents
    seed : of the noise of a head that draws samples

    Returns
    -------
    PlaneField
        With the threshold.

    Raises
    ------
    InputError
        If the score lacks what it needs, or the projection is not linear.

    Notes
    -----
    Where D > 2 the line at the threshold belongs to the plane, while a latent drawn on it has the
    score of its own place, which may lie off the plane.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> lat = run.latents()
    >>> field = vcviz.latents.score_plane(None, lat, "log_marginal", prior=run.prior(), size=20)
    >>> score = vcviz.metrics.ood.score(lat, "log_marginal", prior=run.prior())
    >>> print(f"{(score <= field.threshold).mean():.2f}")  # accepted by the threshold
    0.95
    """
    check_choice("score", method, METHODS)
    options: dict[str, Any] = {"prior": prior, "train": train, "neighbours": neighbours}
    known = score(lat, method, **options)  # type: ignore[arg-type]
    projection, x, y, z = plane_grid(
        lat, projection=projection, ranges=ranges, size=size, through=through
    )
    if method in OF_OUTPUT:
        if model is None:
            raise InputError(f"the {method} score needs the model, got None")
        log_probs, energy = latent_outputs(model, z, seed=seed)
    else:
        n_classes = lat.n_classes
        log_probs = np.full((len(z), n_classes), -np.log(n_classes), np.float32)
        energy = np.zeros(len(z), np.float32)
    points = LatentSet(as_float("z", z), log_probs, np.zeros(len(z), np.int64), energy=energy)
    values = as_float("scores", score(points, method, **options))  # type: ignore[arg-type]
    threshold = threshold_at_tpr(known, tpr=tpr)
    found = None
    if strangers is not None:
        strange = score(strangers, method, **options)  # type: ignore[arg-type]
        found = separation(
            known, strange, method=method, tpr=tpr, name=lat.name, against=strangers.name
        )
    middle = float(np.median(known))
    reach = max(3 * (threshold - middle), 1e-6)
    return PlaneField(
        values.reshape(size, size),
        x,
        y,
        quantity=METHODS[method],
        unit=UNITS[method],
        limits=(middle, middle + reach),
        threshold=threshold,
        tpr=tpr,
        separation=found,
        latents=lat,
        projection=projection,
        name=lat.name if name is None else name,
    )
