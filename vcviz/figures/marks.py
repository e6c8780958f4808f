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


def of_class(k: int, names: Sequence[str], x: Any, y: Any, layer: str, **looks: Any) -> Trace:
    """Return a `scatter` of class `k`; a click on the class's key in the legend toggles it."""
    own: Trace = {
        "legendgroup": f"class {k}",
        "showlegend": False,
        "meta": {"layer": layer, "class": k},
    }
    return scatter(x, y, labels(names, 40)[k], **own | looks)


def key(name: str, **looks: Any) -> Trace:
    """Return an empty trace that stands in the legend: layer "key"."""
    return scatter([None], [None], name, "key", **{"hoverinfo": "skip"} | looks)


def key_of_rest(n: int) -> list[Trace]:
    """Return a key without a mark that says how many more classes there are, if there are any."""
    clear = {"color": "rgba(0,0,0,0)"}
    return [key(f"… {n:,} more classes", mode="markers", marker=clear)] if n > 0 else []


def image(source: str, name: str, layer: str, **place: Any) -> Trace:
    """Return a picture as a trace; `place` are ``x0, dx, y0, dy`` of its pixels' centres."""
    quietly = {"hoverinfo": "skip", "name": name, "meta": {"layer": layer}}
    return {"type": "image", "source": source} | quietly | place


def text_at(lines: Sequence[str], x: float, y: float, side: str = "top right") -> Trace:
    """Return text on a `side` of the point (x, y): "top right" of it, or hanging "bottom right".

    A trace, not an annotation: frames can change it without redrawing the figure.
    """
    text = {"mode": "text", "text": ["<br>".join(lines)], "textposition": side}
    return quiet([x], [y], "readout", "readout", cliponaxis=False, **text)
