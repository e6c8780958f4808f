"""Traces and parts of traces that many figures draw, as plain dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures.classes import labels

Trace = dict[str, Any]


def scatter(x: Any, y: Any, name: str, layer: str | None = None, **looks: Any) -> Trace:
    """Return a line, or with ``mode`` among its looks markers or text; `layer` goes to its meta."""
    trace: Trace = {"type": "scatter", "x": x, "y": y, "mode": "lines", "name": name}
    return trace | ({} if layer is None else {"meta": {"layer": layer}}) | looks


def quiet(x: Any, y: Any, name: str, layer: str | None = None, **looks: Any) -> Trace:
    """Return a `scatter` with no place in the legend that says nothing when pointed at."""
    return scatter(x, y, name, layer, **{"showlegend": False, "hoverinfo": "skip"} | looks)


def band(x: NDArray[Any], low: NDArray[Any], high: NDArray[Any], color: str, **looks: Any) -> Trace:
    """Return the area between two curves, filled faintly: layer "interval"."""
    around = np.r_[x, x[::-1]], np.r_[high, low[::-1]]
    fill: Trace = {"fill": "toself", "fillcolor": color, "opacity": 0.13, "line": {"width": 0}}
    return quiet(*around, "interval", "interval", **fill) | looks


def error_bars(above: Any, below: Any, **looks: Any) -> dict[str, Any]:
    """Return the error bars of a trace, so far above and below its values."""
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below} | looks


def of_class(k: int, names: Sequence[str]) -> Trace:
    """Return what every trace of class `k` has; a click on its key in the legend toggles them."""
    name, group = labels(names, 40)[k], f"class {k}"
    return {"type": "scatter", "name": name, "legendgroup": group, "showlegend": False}


def text_at(lines: Sequence[str], x: float, y: float, side: str = "top right") -> Trace:
    """Return text on a `side` of the point (x, y): "top right" of it, or hanging "bottom right".

    A trace, not an annotation: frames can change it without redrawing the figure.
    """
    text = {"mode": "text", "text": ["<br>".join(lines)], "textposition": side}
    return quiet([x], [y], "readout", "readout", cliponaxis=False, **text)
