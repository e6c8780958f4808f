"""Decision boundaries in a plane of the latents, as few line segments as they need."""

from __future__ import annotations

from typing import Any

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.marks import Trace, quiet
from vcviz.figures.outlines import GAP
from vcviz.records import LatentPlane


def boundary_trace(plane: LatentPlane) -> Trace:
    """Return the lines on which the most probable class changes: layer "boundaries"."""
    dotted = {"color": style.NEUTRAL, "width": 1.2, "dash": "dot"}
    x, y = boundaries(plane).astype(np.float32).T
    return quiet(x, y, "decision boundaries", "boundaries", line=dotted)


def boundaries(plane: LatentPlane) -> NDArray[np.float64]:
    """Return polylines (P, 2) between the classes of a plane, with rows of NaN between them.

    Good to half a step of the plane's grid.
    """
    # A class after another in memory: the largest of ten numbers side by side costs more.
    leading = np.unique(plane.log_probs.argmax(2))  # of many classes few lead anywhere
    scores = np.ascontiguousarray(np.moveaxis(plane.log_probs[..., leading], 2, 0), np.float64)
    upto = np.maximum.accumulate(scores)  # the best of the classes up to each, and from each on
    onward = np.maximum.accumulate(scores[::-1])[::-1]
    half = 0.5 * float(plane.x[1] - plane.x[0])
    parts: list[NDArray[np.float64]] = []
    for k in range(1, len(leading)):
        # Each border once: that of class k with the classes before it, where these two lead.
        margin = scores[k] - upto[k - 1]
        mask = np.zeros(margin.shape, bool)
        if k + 1 < len(leading):
            mask = _shrunk(onward[k + 1] > upto[k])
        z = np.ma.masked_array(np.clip(margin, -50, 50), mask)
        lines: Any = contour_generator(x=plane.x, y=plane.y, z=z).lines(0.0)
        for line in lines:
            parts += [simplified(line, half), GAP]
    return np.concatenate(parts[:-1]) if parts else GAP


def _shrunk(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask without its rim, so that lines reach the corner where three classes meet."""
    kept = mask.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            kept &= np.roll(mask, shift, axis)
    return kept


def simplified(line: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """Return a polyline (P, 2) without the points that lie within `tolerance` of what is left.

    Douglas & Peucker, Cartographica 10 (2), 1973.
    """
    keep = np.zeros(len(line), bool)
    keep[[0, -1]] = True
    stack = [(0, len(line) - 1)]
    while stack:
        a, b = stack.pop()
        if b - a < 2:
            continue
        start, along = line[a], line[b] - line[a]
        offset = line[a + 1 : b] - start
        length = float(np.hypot(*along))
        if length > 0:
            far = np.abs(along[0] * offset[:, 1] - along[1] * offset[:, 0]) / length
        else:
            far = np.hypot(*offset.T)
        worst = int(far.argmax())
        if far[worst] > tolerance:
            keep[a + 1 + worst] = True
            stack += [(a, a + 1 + worst), (a + 1 + worst, b)]
    return line[keep]
