"""A plane through the latents with what a classifier says at every point of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcviz.errors import InputError
from vcviz.records.checks import as_float, as_log_probs, class_names_of, freeze
from vcviz.records.latents import LatentSet, Projection


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
    """

    log_probs: NDArray[np.float32]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    latents: LatentSet | None = None
    projection: Projection | None = None
    labels: tuple[str, str] = None  # type: ignore[assignment]
    class_names: tuple[str, ...] = None  # type: ignore[assignment]
    name: str = "plane"

    def __post_init__(self) -> None:
        x, y = (self._axis(name) for name in ("x", "y"))
        log_probs = np.asarray(self.log_probs)
        if log_probs.ndim != 3 or log_probs.shape[:2] != (len(y), len(x)):
            raise InputError(
                f"log_probs must have shape ({len(y)}, {len(x)}, C) to match y and x, "
                f"got {log_probs.shape}"
            )
        n_classes = log_probs.shape[2]
        flat = as_log_probs(log_probs.reshape(-1, n_classes), dtype=np.float32)
        if (self.latents is None) != (self.projection is None):
            raise InputError("latents and projection belong together; give both or neither")
        names, labels = self.class_names, self.labels
        if self.latents is not None and self.projection is not None:
            if self.latents.n_classes != n_classes:
                raise InputError(
                    f"latents must have {n_classes} classes like log_probs, "
                    f"got {self.latents.n_classes}"
                )
            names = self.latents.class_names if names is None else names
            first, second, *_ = self.projection.labels
            labels = (first, second) if labels is None else labels
        freeze(
            self,
            x=x,
            y=y,
            log_probs=flat.reshape(log_probs.shape),
            labels=("z₁", "z₂") if labels is None else labels,
            class_names=class_names_of(names, n_classes),
        )

    def _axis(self, name: str) -> NDArray[np.float64]:
        values = as_float(name, getattr(self, name), 1, np.float64)
        steps = np.diff(values)
        if len(steps) == 0 or steps.min() <= 0 or np.ptp(steps) > 1e-3 * steps.mean():
            raise InputError(f"{name} must hold at least 2 values that rise in equal steps")
        return values

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return self.log_probs.shape[2]
