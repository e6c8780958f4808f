"""Labelled inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice
from vcviz.records.checks import (
    as_array,
    as_distributions,
    as_float,
    as_labels,
    as_places,
    class_names_of,
    freeze,
)

Kind = Literal["image", "text", "table"]


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled inputs: images, token ids or table rows.

    Parameters
    ----------
    x : array
        Images (N, c, h, w), uint8 in 0..255 (kept so until they are on the device) or float32
        in [0, 1]; text (N, L) int32 token ids padded with 0; tables (N, F) float32.
    y : (N,) int array in [0, C)
    class_names : C strings; default "0", "1", …
    name : what the split is called in titles, e.g. ``"digits test"``
    kind : "image", "text" or "table"; default from the shape and dtype of `x`
    label_probs : (N, C) array, optional
        Human or true label distributions p(y|x) per row.
    index : (N,) int array, optional
        Row numbers in the source; default 0..N-1. Subsets keep them.
    texts : N strings, optional
        The raw text behind token ids, for hovers.
    labels : mapping of name to (N,) int array, optional
        Further label columns (for example noisy human labels).
    truth : mapping, optional
        Known facts of the generating law, e.g. ``bayes_error`` (fraction) and
        ``mutual_information`` (nats) for ``mixture``.
    preprocessing : mapping, optional
        JSON-able description of how raw rows became `x`, so that new rows can follow.

    Raises
    ------
    InputError
        For empty input, non-finite values, labels out of range or fewer than two classes.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> split = vcviz.Split(rng.random((6, 4)), y=[0, 1, 0, 1, 0, 1], class_names=("off", "on"))
    >>> split.kind, split.x.shape, split.class_counts
    ('table', (6, 4), array([3, 3]))
    >>> vcviz.Split(split.x, y=[0, 1, 2, 3, 4, 5], class_names=("off", "on"))
    Traceback (most recent call last):
        ...
    vcviz.base.errors.InputError: y must lie in [0, 2), got labels from 0 to 5
    """

    x: NDArray[Any]
    y: NDArray[np.int64]
    class_names: tuple[str, ...] = None  # type: ignore[assignment]
    name: str = "data"
    kind: Kind = None  # type: ignore[assignment]
    label_probs: NDArray[np.float64] | None = None
    index: NDArray[np.int64] = None  # type: ignore[assignment]
    texts: tuple[str, ...] | None = None
    labels: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    truth: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        x = as_array("x", self.x)
        if x.ndim < 2 or len(x) == 0 or x[0].size == 0:
            raise InputError(f"x must hold at least one row with values, got shape {x.shape}")
        kind = self.kind or _guess_kind(x)
        check_choice("kind of data", kind, ("image", "text", "table"))
        x = _checked_inputs(x, kind)
        n = len(x)
        raw = as_labels("y", self.y, n)
        n_classes = len(self.class_names) if self.class_names is not None else int(raw.max()) + 1
        if n_classes < 2:
            raise InputError(f"a classifier needs at least 2 classes, got {n_classes}")
        y = as_labels("y", raw, n, n_classes)
        probs = self.label_probs
        if probs is not None:
            probs = as_distributions("label_probs", probs, (n, n_classes))
        index = np.arange(n) if self.index is None else as_labels("index", self.index, n)
        texts = None if self.texts is None else tuple(str(t) for t in self.texts)
        if texts is not None and len(texts) != n:
            raise InputError(f"texts must have {n} entries, one per row, got {len(texts)}")
        labels = {k: as_labels(f"labels[{k!r}]", v, n) for k, v in self.labels.items()}
        freeze(
            self,
            x=x,
            y=y,
            kind=kind,
            label_probs=probs,
            index=index,
            texts=texts,
            class_names=class_names_of(self.class_names, n_classes),
            labels=MappingProxyType(labels),
            truth=MappingProxyType(dict(self.truth)),
            preprocessing=MappingProxyType(dict(self.preprocessing)),
        )

    def __len__(self) -> int:
        return len(self.y)

    @property
    def n_classes(self) -> int:
        """C, the number of classes (those absent from this split included)."""
        return len(self.class_names)

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(C,) number of rows of each class."""
        return np.bincount(self.y, minlength=self.n_classes)

    @property
    def floats(self) -> NDArray[Any]:
        """The inputs, images of bytes brought to [0, 1]."""
        return self.x.astype(np.float32) / 255 if self.x.dtype == np.uint8 else self.x

    def take(self, rows: ArrayLike, name: str | None = None) -> Split:
        """Return the split of `rows` (integer positions or a boolean mask), in that order."""
        rows = as_places(rows, len(self))
        if rows.size == 0:
            raise InputError(f"no rows of {self.name!r} were selected; a split cannot be empty")
        return replace(
            self,
            x=self.x[rows],
            y=self.y[rows],
            index=self.index[rows],
            name=name or self.name,
            label_probs=None if self.label_probs is None else self.label_probs[rows],
            texts=None if self.texts is None else tuple(self.texts[i] for i in rows),
            labels={k: v[rows] for k, v in self.labels.items()},
        )


def _guess_kind(x: NDArray[Any]) -> Kind:
    if x.ndim == 4:
        return "image"
    return "text" if x.ndim == 2 and x.dtype in (np.int32, np.int64) else "table"


def _checked_inputs(x: NDArray[Any], kind: Kind) -> NDArray[Any]:
    if kind == "image":
        if x.ndim != 4:
            raise InputError(f"images must have shape (N, channels, height, width), got {x.shape}")
        if x.dtype == np.uint8:
            return x
        x = as_float("x", x)
        if x.min() < 0 or x.max() > 1:
            raise InputError(
                f"float images must lie in [0, 1], got [{x.min():.3g}, {x.max():.3g}]; "
                "divide by 255 or pass uint8"
            )
        return x
    if kind == "text":
        if x.ndim != 2 or x.dtype.kind not in "iu":
            raise InputError(f"token ids must be (N, L) integers, got {x.shape} {x.dtype}")
        if x.min() < 0 or x.max() > np.iinfo(np.int32).max:
            raise InputError(
                "token ids must be 0 (padding) or positive numbers of 32 bits, "
                f"got {x.min()} to {x.max()}"
            )
        return x.astype(np.int32, copy=False)
    if x.ndim != 2:
        raise InputError(f"a table must have shape (N, features), got {x.shape}")
    return as_float("x", x)
