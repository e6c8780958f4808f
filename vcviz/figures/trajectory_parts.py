"""Parts of an attack's figure that do not depend on a scene: rows, cells, legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.grid import Cell, beside, cells, stacked
from vcviz.records import Trajectory

SAMPLES = 12
#: heights of the latents and of the pictures, the gap above them included
LATENTS_PX, PICTURES_PX = 400, 254
_GAP_PX = 84
Traces = list[dict[str, Any]]


def of_class(k: int, names: Sequence[str]) -> dict[str, Any]:
    """Return what every trace of class `k` has."""
    return {
        "type": "scatter",
        "name": style.escape(names[k], 40),
        "legendgroup": f"class {k}",
        "showlegend": False,
    }


def norm_name(norm: str) -> str:
    """Return a norm as people write it."""
    return {"linf": "L∞", "l2": "L2"}.get(norm, style.escape(norm))


def scene_grid(n_curves: int, pictures: bool) -> tuple[Cell, list[Cell], Cell | None]:
    """Return the cells of latents (left), curves (right, stacked) and pictures (beneath)."""
    heights = [LATENTS_PX, *([PICTURES_PX - _GAP_PX] if pictures else [])]
    rows = cells(heights, 2, gap_x=0.09, gap_y=_GAP_PX, widths=[1.0, 1.05])
    left, right = rows[0]
    # Numbers far from those of `rows`: axes must not be shared.
    curves = stacked(right, n_curves, gap=0.18, first=10)
    wide = beside(rows[1][0].y_domain, 1, gap_x=0, first=20, row=1)[0] if pictures else None
    return left, curves, wide


def checked_samples(path: Trajectory, samples: Sequence[int] | None) -> NDArray[np.int64]:
    """Return the rows to draw; by default of each class in turn, first those that were right."""
    if samples is not None:
        rows = np.asarray(samples, dtype=np.int64).ravel()
        if rows.size == 0 or rows.min() < 0 or rows.max() >= len(path):
            raise InputError(
                f"samples must be rows in [0, {len(path)}), at least one; got {list(samples)}"
            )
        return rows
    right = path.log_probs[0].argmax(1) == path.y
    order = np.lexsort((np.arange(len(path)), ~right))
    turn = np.zeros(len(path), dtype=np.int64)  # the how-manieth of its class, in that order
    for k in np.unique(path.y):
        mine = order[path.y[order] == k]
        turn[mine] = np.arange(len(mine))
    return np.sort(np.lexsort((path.y, turn))[:SAMPLES])


def legend_keys(classes: Sequence[int], names: Sequence[str], n: int) -> Traces:
    """Return empty traces that stand in the legend."""
    blank = {"type": "scatter", "x": [None], "y": [None], "hoverinfo": "skip"}
    cross = {"color": style.NEUTRAL, "symbol": "x", "size": 8}
    ring = {"color": style.NEUTRAL, "symbol": "circle-open", "size": 9, "line": {"width": 2}}
    found = [
        {
            **of_class(k, names),
            **blank,
            "mode": "markers",
            "marker": {"color": style.class_color(k), "symbol": style.class_symbol(k)},
            "showlegend": True,
        }
        for k in classes
    ]
    found += [
        {**blank, "mode": "markers", "marker": cross, "name": "prediction flips"},
        {**blank, "mode": "markers", "marker": ring, "name": "misclassified at this step"},
        {
            **blank,
            "mode": "lines",
            "line": {"color": style.NEUTRAL, "width": 3},
            "name": f"median of {n:,}",
        },
    ]
    return [key | {"meta": {"layer": "key"}} for key in found]
