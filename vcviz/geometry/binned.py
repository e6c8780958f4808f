"""A cloud of labelled points, of any number, as seen through a window of the plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError
from vcviz.base.options import check_count
from vcviz.records import as_float, as_labels

#: ((x0, x1), (y0, y1)), the ranges of two axes; their ends may come in either order
Window = tuple[tuple[float, float], tuple[float, float]]
#: points looked at together: what is made of them stays within a few megabytes
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class BinnedCloud:
    """Points counted in cells, with the mean of a value of their classes.

    Attributes
    ----------
    total : (H, W) points in each cell; row 0 is the lowest
    mean : (H, W, K) mean over the points of a cell of the values of their classes; 0 where empty
    counts : (C,) points of each class in the window; 0 for a class that was left out
    """

    total: NDArray[np.int64]
    mean: NDArray[np.float64]
    counts: NDArray[np.int64]


class Cloud:
    """Labelled points of the plane, kept in float32 for quick passes over all of them.

    Parameters
    ----------
    points : (N, 2) array
    y : (N,) labels in [0, n_classes)
    n_classes : C
    """

    def __init__(self, points: ArrayLike, y: ArrayLike, n_classes: int) -> None:
        found = as_float("points", points, 2)
        if found.shape[1] != 2:
            raise InputError(f"points must have shape (N, 2), got {found.shape}")
        self.n_classes = check_count("n_classes", n_classes)
        self._x, self._y = (np.ascontiguousarray(column) for column in found.T)
        self._label = as_labels("y", y, len(found), n_classes).astype(np.int32)
        #: (C,) points of each class
        self.counts = np.bincount(self._label, minlength=n_classes)

    def __len__(self) -> int:
        return len(self._label)

    def binned(
        self,
        classes: Sequence[int],
        window: Window,
        size: tuple[int, int],
        values: NDArray[np.float64],
        *,
        of_rows: bool = False,
    ) -> BinnedCloud:
        """Return the points of `classes` counted in the cells of a window.

        Parameters
        ----------
        classes : class indices
        window : what is looked at; a cell holds its left and lower edge
        size : (W, H), cells along each axis
        values : (C, K) numbers of each class to take the mean of
        of_rows : they are (N, K) numbers of each point instead
        """
        width, height = (check_count("size", n) for n in size)
        total = np.zeros(width * height, np.int64)
        sums = np.zeros((values.shape[1], width * height))
        counts = np.zeros(self.n_classes, np.int64)
        (x0, x1), (y0, y1) = _ordered(window)
        scale = np.float32(width / (x1 - x0)), np.float32(height / (y1 - y0))
        shown = self._shown(classes)
        for block in self._blocks():
            parts = [self._x[block], self._y[block], self._label[block]]
            inside = self._inside(block, shown, window)
            if not inside.all():
                parts = [part[inside] for part in parts]
            # float32 may round a point just inside the far edge onto it.
            column = np.minimum((parts[0] - np.float32(x0)) * scale[0], width - 1).astype(np.int32)
            row = np.minimum((parts[1] - np.float32(y0)) * scale[1], height - 1).astype(np.int32)
            cell, label = row * np.int32(width) + column, parts[2]
            counts += np.bincount(label, minlength=self.n_classes)
            total += np.bincount(cell, minlength=len(total))
            of_points = values[block][inside] if of_rows else values[label]
            for value, summed in zip(of_points.T, sums, strict=True):
                summed += np.bincount(cell, value, len(total))
        mean = (sums / np.maximum(total, 1)).T
        return BinnedCloud(
            total.reshape(height, width), mean.reshape(height, width, values.shape[1]), counts
        )

    def in_view(
        self, window: Window, limit: int, classes: Sequence[int] | None = None
    ) -> NDArray[np.int64] | None:
        """Return the sorted rows of the points in a window, or None if they are more than `limit`.

        Parameters
        ----------
        window : what is looked at
        limit : most rows that are wanted
        classes : class indices; default all
        """
        shown = self._shown(range(self.n_classes) if classes is None else classes)
        found, n = [np.empty(0, np.int64)], 0
        for block in self._blocks():
            rows = np.flatnonzero(self._inside(block, shown, window))
            n += len(rows)
            if n > limit:
                return None
            found.append(rows + block.start)
        return np.concatenate(found)

    def _blocks(self) -> list[slice]:
        return [slice(start, start + _BLOCK) for start in range(0, len(self), _BLOCK)]

    def _shown(self, classes: Sequence[int]) -> NDArray[np.bool_]:
        """Return (C,) whether a class is among `classes`."""
        chosen: Any = (
            as_labels("classes", list(classes), None, self.n_classes) if len(classes) else []
        )
        shown = np.zeros(self.n_classes, bool)
        shown[chosen] = True
        return shown

    def _inside(self, block: slice, shown: NDArray[np.bool_], window: Window) -> NDArray[np.bool_]:
        (x0, x1), (y0, y1) = (np.array(ends, np.float32) for ends in _ordered(window))
        x, y = self._x[block], self._y[block]
        inside = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
        return inside if shown.all() else inside & shown[self._label[block]]


def _ordered(window: Window) -> Window:
    """Return the window with rising ends."""
    ends = as_float("window", window, 2, np.float64)
    if ends.shape != (2, 2) or (ends[:, 0] == ends[:, 1]).any():
        raise InputError(
            f"window must be ((x0, x1), (y0, y1)) with ends that differ, got {window!r}"
        )
    (x0, x1), (y0, y1) = np.sort(ends, axis=1).tolist()
    return (x0, x1), (y0, y1)
