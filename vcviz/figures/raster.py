"""Points of any number as a picture: what a page is sent does not grow with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.colouring import Colouring
from vcviz.figures.marks import Trace, image
from vcviz.figures.pictures import palette_uri
from vcviz.geometry.binned import BinnedCloud, Cloud, Window

_FAINTEST = 0.5  # opacity of a pixel with one point
_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(frozen=True, eq=False)
class RasterPicture:
    """Points in a window as one picture.

    Attributes
    ----------
    trace : the picture as a trace that fills the window, transparent where there is no point: layer
        "raster". It would turn axes around that have no ranges of their own
    shown : points in the window
    n : points of the shown classes, in the window or not
    """

    trace: Trace
    shown: int
    n: int

    @property
    def note(self) -> str:
        """The line that says what the picture shows."""
        text = f"{self.n:,} points"
        if self.shown < self.n:
            text = f"{self.shown:,} of {self.n:,} points in view"
        return f"{text} as a picture: stronger colour = more; zoom in for points"


def raster_picture(
    cloud: Cloud,
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
        colors = [style.rgb(style.class_color(k)) for k in range(cloud.n_classes)]
        binned = cloud.binned(classes, window, size, np.array(colors, np.float64))
    else:
        binned = cloud.binned(classes, window, size, colouring.rgb(values), of_rows=True)
    (x0, x1), (y0, y1) = (sorted(map(float, ends)) for ends in window)
    dx, dy = (x1 - x0) / size[0], (y1 - y0) / size[1]
    place = {"x0": x0 + dx / 2, "dx": dx, "y0": y0 + dy / 2, "dy": dy}
    source = palette_uri(raster_pixels(binned))
    trace = image(source, "points as a picture", "raster", **place)
    n = int(cloud.counts[sorted(set(classes))].sum())
    return RasterPicture(trace, int(binned.counts.sum()), n)


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
