"""Latents: of a split, along an attack, and the maps that bring them into the plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError
from vcviz.records.blocks import row_blocks
from vcviz.records.checks import (
    as_float,
    as_labels,
    as_log_probs,
    as_places,
    as_probs,
    as_table,
    class_names_of,
    freeze,
)
from vcviz.records.label_law import label_note


@dataclass(frozen=True, eq=False)
class LatentSet:
    """Latents of a split with what the classifier said about them.

    Parameters
    ----------
    z : (N, D) float array, the input of the classifier's last layer
    log_probs : (N, C) float array, natural-log p(y|x), rows sum to 1 after exp
    y : (N,) int array in [0, C)
    index : (N,) int array, optional; row of each sample in its split, default 0..N-1
    class_names : C strings, optional
    name : shown in titles and legends
    energy : (N,) float array, optional; minus the logsumexp of the logits before they were
        normalised, which `log_probs` no longer know
    label_prior : (C,) float array, optional; the label frequencies that `log_probs` are for, see
        `vcviz.metrics.shift_prior`; None: those of the data, whatever they are
    table : columns of the user's own by name, one value per row, or a DataFrame; optional. They go
        with the rows into hovers, selections and exports

    Examples
    --------
    >>> z = np.array([[0.0, 1.0], [2.0, 0.0], [0.5, 0.9]])
    >>> p = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]])
    >>> lat = vcviz.LatentSet(z, np.log(p), y=[0, 1, 1], class_names=("cat", "dog"))
    >>> lat.latent_dim, lat.n_classes, round(lat.accuracy, 2)
    (2, 2, 0.67)
    >>> lat.take([0, 2]).y
    array([0, 1])
    """

    z: NDArray[np.float32]
    log_probs: NDArray[np.float32]
    y: NDArray[np.int64]
    index: NDArray[np.int64] = None  # type: ignore[assignment]
    class_names: tuple[str, ...] = None  # type: ignore[assignment]
    name: str = "latents"
    energy: NDArray[np.float32] | None = None
    label_prior: NDArray[np.float64] | None = None
    table: Mapping[str, NDArray[Any]] | None = None

    def __post_init__(self) -> None:
        z = as_float("z", self.z, 2)
        if z.shape[0] == 0 or z.shape[1] == 0:
            raise InputError(f"z must hold at least one latent, got shape {z.shape}")
        log_probs = as_log_probs(self.log_probs, dtype=np.float32)
        if len(log_probs) != len(z):
            raise InputError(f"log_probs must have {len(z)} rows to match z, got {len(log_probs)}")
        y = as_labels("y", self.y, len(z), log_probs.shape[1])
        index = np.arange(len(z)) if self.index is None else as_labels("index", self.index, len(z))
        energy = None if self.energy is None else as_float("energy", self.energy, 1)
        if energy is not None and len(energy) != len(z):
            raise InputError(f"energy must have {len(z)} values to match z, got {len(energy)}")
        n_classes, prior = log_probs.shape[1], self.label_prior
        freeze(
            self,
            z=z,
            log_probs=log_probs,
            y=y,
            index=index,
            class_names=class_names_of(self.class_names, n_classes),
            energy=energy,
            label_prior=None if prior is None else as_probs("label_prior", prior, n_classes),
            table=as_table(self.table, len(z)),
        )

    def __len__(self) -> int:
        return len(self.y)

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return self.log_probs.shape[1]

    @property
    def latent_dim(self) -> int:
        """D, the number of latent dimensions."""
        return self.z.shape[1]

    @cached_property
    def accuracy(self) -> float:
        """Share of samples whose most probable class is the label (a fraction)."""
        return float((self.log_probs.argmax(1) == self.y).mean())

    @cached_property
    def label_note(self) -> str:
        """For which label frequencies `log_probs` are, in words; "" where it is those of `y`."""
        return label_note(self.label_prior, self.y)

    def details(self, place: int, most: int = 6) -> list[str]:
        """Return what the first columns of the `table` say of one row, "name: value" each."""
        columns = list((self.table or {}).items())[:most]
        return [f"{name}: {_plain(values[place])}" for name, values in columns]

    def take(self, rows: ArrayLike) -> LatentSet:
        """Return the latents of `rows` (integer positions or a boolean mask)."""
        rows = as_places(rows, len(self))
        return replace(
            self,
            z=self.z[rows],
            log_probs=self.log_probs[rows],
            y=self.y[rows],
            index=self.index[rows],
            energy=None if self.energy is None else self.energy[rows],
            table=None if self.table is None else {k: v[rows] for k, v in self.table.items()},
        )


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, np.floating) else str(value)


@dataclass(frozen=True, eq=False)
class Projection:
    """A fitted map (N, D) to (N, k) with k of 2 or 3.

    Attributes
    ----------
    method : "pair", "pca", "lda" or "umap"
    labels : k axis titles
    matrix : (D, k) array of a linear map, ``(z - offset) @ matrix``; None if it is not linear
    offset : (D,) array, default zeros
    embed : callable (N, D) -> (N, k) for maps that are not linear

    Examples
    --------
    >>> first_and_third = vcviz.Projection("pair", ("z1", "z3"), matrix=np.eye(3)[:, [0, 2]])
    >>> first_and_third([[1.0, 2.0, 3.0]])
    array([[1., 3.]])
    """

    method: str
    labels: tuple[str, ...]
    matrix: NDArray[np.float64] = None  # type: ignore[assignment]
    offset: NDArray[np.float64] = None  # type: ignore[assignment]
    embed: Callable[[NDArray[Any]], NDArray[Any]] | None = None

    def __post_init__(self) -> None:
        if (self.matrix is None) == (self.embed is None):
            raise InputError(
                "a projection needs exactly one of matrix (linear) and embed (not linear)"
            )
        if self.matrix is not None:
            matrix = as_float("matrix", self.matrix, 2, np.float64)
            offset = (
                np.zeros(len(matrix))
                if self.offset is None
                else as_float("offset", self.offset, 1, np.float64)
            )
            if offset.shape != (len(matrix),) or matrix.shape[1] != len(self.labels):
                raise InputError(
                    f"matrix {matrix.shape}, offset {offset.shape} and "
                    f"{len(self.labels)} labels disagree"
                )
            freeze(self, matrix=matrix, offset=offset)

    @property
    def linear(self) -> bool:
        """Whether the map is linear, so that laws can be projected exactly."""
        return self.matrix is not None

    def __call__(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N, k) projected latents."""
        z = as_float("z", z, 2, None)
        if self.embed is not None:
            return np.asarray(self.embed(z.astype(np.float64)), dtype=np.float64)
        if z.shape[1] != len(self.matrix):
            raise InputError(
                f"z must have {len(self.matrix)} columns for this projection, got {z.shape[1]}"
            )
        out = np.empty((len(z), self.matrix.shape[1]))
        for rows in row_blocks(len(z), len(self.matrix)):
            out[rows] = (z[rows] - self.offset) @ self.matrix
        return out
