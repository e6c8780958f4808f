"""Images with a label for every pixel, and what a classifier says of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError
from vcviz.records.checks import (
    as_array,
    as_float,
    as_known,
    as_labels,
    as_log_probs,
    class_names_of,
    freeze,
)


@dataclass(frozen=True, eq=False)
class PixelSplit:
    """Images and labels of their pixels.

    Attributes
    ----------
    x : (N, channels, H, W) float32 in [0, 1]
    y : (N, H, W) int64 in [0, C)
    class_names : C strings; default "0", "1", …
    label_probs : (N, C, H, W) true p(y|image) of each pixel, or None
    name : shown in titles

    Raises
    ------
    InputError
        For shapes that do not fit or labels out of range.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((2, 1, 4, 4))
    >>> y = np.rint(x[:, 0]).astype(int)
    >>> split = vcviz.records.PixelSplit(x, y, class_names=("dark", "light"))
    >>> split.y.shape, split.n_classes
    ((2, 4, 4), 2)
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    class_names: tuple[str, ...] = None  # type: ignore[assignment]
    label_probs: NDArray[np.float64] | None = None
    name: str = "images"

    def __post_init__(self) -> None:
        x, y = as_float("x", self.x, 4), as_array("y", self.y, 3)
        places = (len(x), *x.shape[2:])
        if y.shape != places or y.size == 0 or y.dtype.kind not in "iu" or y.min() < 0:
            raise InputError(f"y must be labels from 0 of shape {places}, got {y.shape} {y.dtype}")
        n_classes = len(self.class_names) if self.class_names else int(y.max()) + 1
        if n_classes < 2 or y.max() >= n_classes:
            raise InputError(
                f"labels go up to {y.max()}, which does not fit {n_classes} classes; at least 2"
            )
        probs = self.label_probs
        if probs is not None:
            probs = as_float("label_probs", probs, 4, np.float64)
            if probs.shape != (places[0], n_classes, *places[1:]):
                raise InputError(
                    f"label_probs must have shape {(places[0], n_classes, *places[1:])}, "
                    f"got {probs.shape}"
                )
        names = class_names_of(self.class_names, n_classes)
        freeze(self, x=x, y=y.astype(np.int64), label_probs=probs, class_names=names)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.class_names)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a classifier says of every pixel.

    Attributes
    ----------
    log_probs : (N, C, H, W) natural-log p(y|image)
    noise : (N, H, W) standard deviation of (u_k - u_j) / tau between the two classes of largest
        mean; None for a head without noise
    flips : (N, H, W) probability that this noise alone changes which of the two is larger
    name : shown in titles

    Examples
    --------
    >>> p = np.full((1, 2, 2, 2), 0.5)
    >>> p[0, :, 0, 0] = 0.9, 0.1
    >>> seen = vcviz.records.Segmentation(np.log(p))
    >>> y = [[[0, 0], [0, 1]]]
    >>> seen.accuracy(y)
    0.75
    >>> seen.nll(y).round(2)
    array([[[0.11, 0.69],
            [0.69, 0.69]]])
    """

    log_probs: NDArray[np.float64]
    noise: NDArray[np.float64] | None = None
    flips: NDArray[np.float64] | None = None
    name: str = "segmentation"

    def __post_init__(self) -> None:
        log_probs = as_array("log_probs", self.log_probs, 4)
        n, c, *places = log_probs.shape
        flat = as_log_probs(np.moveaxis(log_probs, 1, 3).reshape(-1, c))
        own: dict[str, Any] = {
            k: None if v is None else as_known(k, v, (n, *places))
            for k, v in (("noise", self.noise), ("flips", self.flips))
        }
        log_probs = np.moveaxis(flat.reshape(n, *places, c), 3, 1)
        freeze(self, log_probs=log_probs, **own)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N, H, W) most probable classes."""
        return self.log_probs.argmax(1)

    def accuracy(self, y: ArrayLike) -> float:
        """Return the share of pixels, a fraction, whose most probable class is their label."""
        return float((self.predicted == self._labels(y)).mean())

    def nll(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return (N, H, W) -log p of the labels (N, H, W), in nats."""
        return -np.take_along_axis(self.log_probs, self._labels(y)[:, None], axis=1)[:, 0]

    def kl(self, label_probs: ArrayLike) -> NDArray[np.float64]:
        """Return (N, H, W) KL(true p(y|image) || predicted) in nats, pixel by pixel."""
        truth = as_float("label_probs", label_probs, 4, np.float64)
        if truth.shape != self.log_probs.shape:
            raise InputError(
                f"label_probs must have shape {self.log_probs.shape}, got {truth.shape}"
            )
        log_truth = np.log(np.maximum(truth, np.finfo(float).tiny))
        return (truth * (log_truth - self.log_probs)).sum(1)

    def _labels(self, y: ArrayLike) -> NDArray[Any]:
        found, shape = as_array("y", y, 3), self.predicted.shape
        if found.shape != shape:
            raise InputError(f"y must have shape {shape}, one label per pixel, got {found.shape}")
        return as_labels("y", found.ravel(), None, self.log_probs.shape[1]).reshape(shape)
