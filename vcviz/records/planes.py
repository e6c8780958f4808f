"""Planes through the latents with what a classifier, a critic or a score says at every point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.records.checks import (
    as_array,
    as_float,
    as_log_probs,
    as_probs,
    class_names_of,
    freeze,
)
from vcviz.records.latents import LatentSet, Projection
from vcviz.records.results import Separation


@dataclass(frozen=True, eq=False)
class LatentPlane:
    """Log-probabilities on a regular grid in a plane of the latents.

    Parameters
    ----------
    log_probs : (R, Q, C) float array, natural-log p(y|z) at (x[j], y[i])
    x, y : (Q,) and (R,) float arrays, rising in equal steps
    latents, projection : latents to draw on top, and the map that brings them into the plane;
        both or neither
    labels : titles of the two axes; default those of the projection
    class_names : C strings; default those of the latents
    name : shown in titles
    label_prior : (C,) label frequencies that `log_probs` are for; None if they are not known

    Examples
    --------
    >>> x = np.linspace(-1, 1, 3)
    >>> p = 1 / (1 + np.exp(-4 * x))  # logistic in the first latent dimension
    >>> log_probs = np.log(np.stack([1 - p, p], axis=1))
    >>> plane = vcviz.records.LatentPlane(np.stack([log_probs] * 3), x, x, labels=("z1", "z2"))
    >>> plane.log_probs.argmax(axis=2)
    array([[0, 0, 1],
           [0, 0, 1],
           [0, 0, 1]])
    """

    log_probs: NDArray[np.float32]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    latents: LatentSet | None = None
    projection: Projection | None = None
    labels: tuple[str, str] = None  # type: ignore[assignment]
    class_names: tuple[str, ...] = None  # type: ignore[assignment]
    name: str = "plane"
    label_prior: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        x, y = _axis("x", self.x), _axis("y", self.y)
        log_probs = as_array("log_probs", self.log_probs)
        if log_probs.ndim != 3 or not log_probs.size or log_probs.shape[:2] != (len(y), len(x)):
            raise InputError(
                f"log_probs must have shape ({len(y)}, {len(x)}, C) to match y and x, "
                f"got {log_probs.shape}"
            )
        n_classes = log_probs.shape[2]
        flat = as_log_probs(log_probs.reshape(-1, n_classes), dtype=np.float32)
        names = self.class_names
        labels = _labels(self.labels, self.latents, self.projection)
        if self.latents is not None:
            if self.latents.n_classes != n_classes:
                raise InputError(
                    f"latents must have {n_classes} classes like log_probs, "
                    f"got {self.latents.n_classes}"
                )
            names = self.latents.class_names if names is None else names
        prior = self.label_prior
        freeze(
            self,
            x=x,
            y=y,
            label_prior=None if prior is None else as_probs("label_prior", prior, n_classes),
            log_probs=flat.reshape(log_probs.shape),
            labels=labels,
            class_names=class_names_of(names, n_classes),
        )

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return self.log_probs.shape[2]


@dataclass(frozen=True, eq=False)
class PlaneField:
    """One number at every point of a regular grid in a plane of the latents.

    Parameters
    ----------
    values : (R, Q) float array at (x[j], y[i])
    x, y : (Q,) and (R,) float arrays, rising in equal steps
    quantity, unit : what the number is, e.g. "log q(z)/p(z)", "nats"
    limits : (low, high) that its colours reach; default the whole range
    threshold : of a score, the value up to which a share `tpr` of the known latents is accepted
    tpr : that share
    separation : how the score separates strangers from the known, if there are strangers
    latents, projection : latents to draw on top, and the map that brings them into the plane;
        both or neither
    labels : titles of the two axes; default those of the projection
    name : shown in titles

    Examples
    --------
    >>> x = np.linspace(-2, 2, 5)
    >>> field = vcviz.records.PlaneField(x**2 + x[:, None] ** 2, x, x, "|z|²", unit="latent units²")
    >>> field.limits
    (0.0, 8.0)
    """

    values: NDArray[np.float32]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    quantity: str
    unit: str = "nats"
    limits: tuple[float, float] = None  # type: ignore[assignment]
    threshold: float | None = None
    tpr: float = 0.95
    separation: Separation | None = None
    latents: LatentSet | None = None
    projection: Projection | None = None
    labels: tuple[str, str] = None  # type: ignore[assignment]
    name: str = "plane"

    def __post_init__(self) -> None:
        x, y = _axis("x", self.x), _axis("y", self.y)
        values = as_float("values", self.values, 2)
        if values.shape != (len(y), len(x)):
            raise InputError(
                f"values must have shape ({len(y)}, {len(x)}) to match y and x, got {values.shape}"
            )
        low, high = self.limits or (values.min(), values.max())
        freeze(
            self,
            values=values,
            x=x,
            y=y,
            limits=(float(low), float(high)),
            labels=_labels(self.labels, self.latents, self.projection),
        )


def _axis(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
    values = as_float(name, value, 1, np.float64)
    steps = np.diff(values)
    if len(steps) == 0 or steps.min() <= 0 or np.ptp(steps) > 1e-3 * steps.mean():
        raise InputError(f"{name} must hold at least 2 values that rise in equal steps")
    return values


def _labels(
    labels: tuple[str, str] | None, lat: LatentSet | None, projection: Projection | None
) -> tuple[str, str]:
    if (lat is None) != (projection is None):
        raise InputError("latents and projection belong together; give both or neither")
    if labels is not None:
        return labels
    if projection is None:
        return "z₁", "z₂"
    first, second, *_ = projection.labels
    return first, second
