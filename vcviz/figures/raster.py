"""Points of any number as a picture: what a page is sent does not grow with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.figures import theme as style
from vcviz.figures.colouring import Colouring
from vcviz.figures.pictures import palette_uri
from vcviz.geometry.binned import BinnedCloud, Cloud, Window

_FAINTEST = 0.5  # opacity of a pixel with one point
_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(frozen=True, eq=False)
class RasterPicture:
    """Points in a window as one picture.

    Attributes
    ----------
    source : PNG as a data URI, transparent where there is no point
    window : ((x0, x1), (y0, y1)) that it fills, ends rising
    size : (W, H) in pixels
    counts : (C,) points of each class in it, 0 for a class that is not shown
    n : points of the shown classes, in the window or not
    most : points in the fullest pixel
    """

    source: str
    window: Window
    size: tuple[int, int]
    counts: NDArray[np.int64]
    n: int
    most: int

    @property
    def shown(self) -> int:
        """Points in the window."""
        return int(self.counts.sum())


class Raster:
    """Points that are drawn as a picture while too many are in view, and as points otherwise.

    Parameters
    ----------
    points : (N, 2) projected latents
    y : (N,) labels in [0, n_classes)
    n_classes : C
    """

    def __init__(self, points: ArrayLike, y: ArrayLike, n_classes: int) -> None:
        self._cloud = Cloud(points, y, n_classes)
        colors = [style.rgb(style.class_color(k)) for k in range(n_classes)]
        self._colors = np.array(colors, np.float64)

    def __len__(self) -> int:
        return len(self._cloud)

    def picture(
        self,
        classes: Sequence[int],
        window: Window,
        size: tuple[int, int],
        values: NDArray[np.float64] | None = None,
        colouring: Colouring | None = None,
    ) -> RasterPicture:
        """Return the points of `classes` in a window as a picture of (W, H) pixels.

        With (N,) `values` and what they are coloured by, a pixel has the colour of their mean; of
        levels the mean of their colours.

        Notes
        -----
        A pixel has the mean colour of its points' classes. Its opacity rises with the logarithm
        of their number, from 0.5 for one to 1 for as many as the fullest pixel has. An empty
        pixel beside one with points takes its looks, so that a single point is a dot three
        pixels across. Which points are misclassified is not shown.
        """
        if values is None or colouring is None:
            binned = self._cloud.binned(classes, window, size, self._colors)
        else:
            binned = self._cloud.binned(classes, window, size, colouring.rgb(values), of_rows=True)
        (x0, x1), (y0, y1) = (sorted(map(float, ends)) for ends in window)
        return RasterPicture(
            palette_uri(raster_pixels(binned)),
            ((x0, x1), (y0, y1)),
            (int(size[0]), int(size[1])),
            binned.counts,
            int(self._cloud.counts[sorted(set(classes))].sum()),
            int(binned.total.max()),
        )

    def in_view(
        self, window: Window, limit: int, classes: Sequence[int] | None = None
    ) -> NDArray[np.int64] | None:
        """Return the sorted rows of the points in a window, or None if they are more than `limit`.

        `classes` are class indices; default all.
        """
        return self._cloud.in_view(window, limit, classes)


def raster_pixels(binned: BinnedCloud) -> NDArray[np.uint8]:
    """Return (H, W, 4) bytes of binned points whose mean values are their colours."""
    total = binned.total
    level = np.log(np.maximum(total, 1)) / np.log(max(int(total.max()), 2))
    pixels = np.zeros((*total.shape, 4), np.uint8)
    pixels[..., :3] = binned.mean.round()
    pixels[..., 3] = np.where(total > 0, 255 * (_FAINTEST + (1 - _FAINTEST) * level), 0).round()
    return _widened(pixels)


def _widened(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pixels with the empty ones beside filled ones painted like these."""
    packed = np.ascontiguousarray(pixels).view(np.uint32)[..., 0]
    out = packed.copy()
    for down, right in _NEIGHBOURS:
        to, of = (_shifted(out, down, right), _shifted(packed, -down, -right))
        np.copyto(to, of, where=(to == 0) & (of != 0))
    return out[..., None].view(np.uint8)


def _shifted(values: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    """Return a view without the first (or, if negative, last) row or column."""
    rows = slice(max(down, 0), min(down, 0) or None)
    columns = slice(max(right, 0), min(right, 0) or None)
    return values[rows, columns]


def raster_trace(picture: RasterPicture) -> dict[str, Any]:
    """Return the picture as a trace that fills its window.

    An image trace would turn the axes around if they had no ranges of their own; give them some.
    """
    (x0, x1), (y0, y1) = picture.window
    dx, dy = (x1 - x0) / picture.size[0], (y1 - y0) / picture.size[1]
    return {
        "type": "image",
        "source": picture.source,
        "x0": x0 + dx / 2,
        "dx": dx,
        "y0": y0 + dy / 2,
        "dy": dy,
        "hoverinfo": "skip",
        "name": "points as a picture",
        "meta": {"layer": "raster"},
    }


def binned_note(picture: RasterPicture) -> str:
    """Return the line that says what a picture shows."""
    if picture.shown == picture.n:
        told = f"{picture.n:,} points"
    else:
        told = f"{picture.shown:,} of {picture.n:,} points in view"
    return f"{told} as a picture: stronger colour = more; zoom in for points"
