"""Parts of an attack's figure that do not depend on a scene: cells, samples, legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.classes import MANY, labels
from vcviz.figures.grid import Cell, beside, cells, stacked
from vcviz.records import Trajectory, as_indices

SAMPLES = 12
#: heights of the latents, of the followed input, and of the pictures of all
LATENTS_PX, FOCUS_PX, PICTURES_PX = 420, 168, 170
LOW_PX = 220, 132  # of latents and of the input that is followed
GAP_PX = 96
#: how samples are chosen -> what it is called
WHICH = {
    "evenly": "over the classes in turn",
    "flip": "those that flip",
    "hold": "those that hold",
    "rows": "by row number",
}
Traces = list[dict[str, Any]]


class Places(NamedTuple):
    """The cells of a scene: latents, curves, what is done to the followed input, pictures."""

    latents: Cell
    curves: list[Cell]
    change: Cell
    bars: Cell
    pictures: Cell | None
    height: float


def of_class(k: int, names: Sequence[str]) -> dict[str, Any]:
    """Return what every trace of class `k` has."""
    return {
        "type": "scatter",
        "name": labels(names, 40)[k],
        "legendgroup": f"class {k}",
        "showlegend": False,
    }


def norm_name(norm: str) -> str:
    """Return a norm as people write it."""
    return {"linf": "L∞", "l2": "L2"}.get(norm, style.escape(norm))


def places(n_curves: int, pictures: bool, narrow: bool = False, low: bool = False) -> Places:
    """Return latents beside curves, above one followed input, above pictures of all.

    On a narrow page all of them stand beneath one another; a low figure has lower panels.
    """
    if narrow:
        return _column(n_curves, pictures)
    above = LOW_PX if low else (LATENTS_PX, FOCUS_PX)
    heights = [*above, *([PICTURES_PX] if pictures else [])]
    rows = cells(heights, 2, gap_x=0.09, gap_y=GAP_PX, widths=[1.0, 1.05])
    # Numbers far from those of `rows`: axes must not be shared.
    curves = stacked(rows[0][1], n_curves, gap=0.28, first=10)
    wide = beside(rows[2][0].y_domain, 1, gap_x=0, first=20, row=2)[0] if pictures else None
    height = sum(heights) + GAP_PX * (len(heights) - 1)
    change, bars = rows[1]
    return Places(rows[0][0], curves, change, bars, wide, height)


def _column(n_curves: int, pictures: bool) -> Places:
    heights = [260, 140 * n_curves, 110, FOCUS_PX, *([110] if pictures else [])]
    gaps = [GAP_PX, 1.5 * GAP_PX, GAP_PX, GAP_PX][: len(heights) - 1]  # words of several lines
    rows = [row[0] for row in cells(heights, 1, gap_x=0, gap_y=gaps)]
    height = sum(heights) + sum(gaps)
    latents, right, change, bars = rows[:4]
    curves = stacked(right, n_curves, gap=0.28, first=10)
    return Places(latents, curves, change, bars, rows[4] if pictures else None, height)


def checked_samples(path: Trajectory, samples: Sequence[int] | None) -> NDArray[np.int64]:
    """Return the rows to draw; by default of each class in turn, first those that were right."""
    if samples is not None:
        return as_indices("samples", samples, len(path))
    return in_turn(path, np.arange(len(path)))


def pick_samples(
    path: Trajectory, which: str, classes: Sequence[int], numbers: Sequence[int] = ()
) -> NDArray[np.int64]:
    """Return up to twelve positions in a path, of these classes.

    Parameters
    ----------
    which : a key of `WHICH`
    classes : of the true labels; not asked for where rows are named by number
    numbers : row numbers in the split, for "rows"

    Raises
    ------
    InputError
        If there are none, in words that say what to do.
    """
    if which == "rows":
        if not len(numbers):
            raise InputError("type row numbers to draw, for example 3, 17, 40-45")
        missing = sorted(set(numbers) - set(path.index.tolist()))
        if missing:
            raise InputError(
                f"row {missing[0]} was not attacked; there are {len(path)} rows from "
                f"{path.index.min()} to {path.index.max()}"
            )
        found = [int(np.flatnonzero(path.index == number)[0]) for number in numbers]
        return np.array(sorted(set(found))[:SAMPLES])
    of_classes = np.isin(path.y, classes)
    if not of_classes.any():
        raise InputError("none of the attacked inputs is of these classes; tick more")
    flips = path.first_flip
    wanted = {"evenly": of_classes, "flip": flips > 0, "hold": flips < 0}[which] & of_classes
    if not wanted.any():
        told = "flips" if which == "flip" else "holds"
        raise InputError(f"no input of these classes {told} under this attack; draw others")
    return in_turn(path, np.flatnonzero(wanted))


def in_turn(path: Trajectory, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return up to twelve of `rows`, of each class in turn, first those that were right."""
    y = path.y[rows]
    right = path.log_probs[0, rows].argmax(1) == y
    order = np.lexsort((np.arange(len(rows)), ~right))
    turn = np.zeros(len(rows), dtype=np.int64)  # the how-manieth of its class, in that order
    for k in np.unique(y):
        mine = order[y[order] == k]
        turn[mine] = np.arange(len(mine))
    return np.sort(rows[np.lexsort((y, turn))[:SAMPLES]])


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
        for k in classes[:MANY]
    ]
    if rest := len(classes[MANY:]):
        clear = {"color": "rgba(0,0,0,0)"}
        more = f"… {rest:,} more classes"
        found.append({**blank, "mode": "markers", "marker": clear, "name": more})
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
