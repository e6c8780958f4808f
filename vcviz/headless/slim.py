"""Figures of an executed notebook in as few bytes as show the same."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcviz.headless.outputs import FIGURE

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: plotly's names of the types of arrays; it knows no others
_TYPES = {"f8": "<f8", "f4": "<f4", "i4": "<i4", "u4": "<u4", "i2": "<i2", "u2": "<u2",
          "i1": "i1", "u1": "u1"}  # fmt: skip
_WHOLE = ("u1", "i1", "u2", "i2", "i4")
_DIGITS = 7  # of 32-bit floats, more than a screen has pixels for
_SHORT = 3  # arrays of fewer numbers take less room as text


def slim_figures(nb: NotebookNode) -> None:
    """Make the plotly figures among the outputs of `nb` smaller, in place.

    Floats keep 32 bits or 7 digits and whole numbers as many bytes as they need; a frame leaves out
    the type of a scatter trace, which is plotly's default. The layout is rounded like the data, or
    what stands on the edge of an axis would lie beyond it, where plotly draws nothing.
    """
    for figure in _figures(nb):
        for part in ("data", "layout", "frames"):
            if part in figure:
                figure[part] = _slim(figure[part])
        for frame in figure.get("frames") or []:
            for trace in frame.get("data") or []:
                if trace.get("type") == "scatter":
                    del trace["type"]


def notebook_text(nb: NotebookNode) -> str:
    """Return a notebook as the text of its file, each plotly figure on one line.

    nbformat puts every number of a figure on a line of its own, as deep as it is nested.
    """
    import nbformat

    # Out of the notebook while it is written: nbformat copies it, number by number.
    places = [o["data"] for o in _outputs(nb) if FIGURE in o.get("data", {})]
    figures = [data[FIGURE] for data in places]
    marks = [f"figure {number} of this notebook" for number in range(len(places))]
    try:
        for data, mark in zip(places, marks, strict=True):
            data[FIGURE] = mark
        text = nbformat.writes(nb)
    finally:
        for data, figure in zip(places, figures, strict=True):
            data[FIGURE] = figure
    for mark, figure in zip(marks, figures, strict=True):
        line = json.dumps(figure, separators=(",", ":"), ensure_ascii=False)
        text = text.replace(f'"{FIGURE}": "{mark}"', f'"{FIGURE}": {line}', 1)
    return text


def _outputs(nb: NotebookNode) -> Iterator[Any]:
    for cell in nb.cells:
        yield from cell.get("outputs", ())


def _figures(nb: NotebookNode) -> Iterator[Any]:
    for output in _outputs(nb):
        if FIGURE in output.get("data", {}):
            yield output["data"][FIGURE]


def _slim(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() >= {"dtype", "bdata"}:
            return _slim_array(value)
        return {key: _slim(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_slim(part) for part in value]
    if isinstance(value, float) and math.isfinite(value):
        return _rounded(value)
    return value


def numbers_of(value: Any) -> NDArray[Any] | None:
    """Return an array that is packed in a figure's JSON, flat; None for anything else."""
    if not isinstance(value, dict) or value.get("dtype") not in _TYPES:
        return None
    return np.frombuffer(base64.b64decode(value["bdata"]), _TYPES[value["dtype"]])


def _slim_array(spec: dict[str, Any]) -> Any:
    values = numbers_of(spec)
    if values is None:
        return spec
    if "shape" not in spec and len(values) < _SHORT and np.isfinite(values).all():
        return [_rounded(v) for v in values.tolist()]
    kind = _smallest(values)
    if kind == spec["dtype"]:
        return spec
    small = np.ascontiguousarray(values, _TYPES[kind])
    return {**spec, "dtype": kind, "bdata": base64.b64encode(small.tobytes()).decode()}


def _smallest(values: NDArray[Any]) -> str:
    """Return plotly's name of the smallest type that holds these numbers."""
    if np.isfinite(values).all() and (values == np.round(values)).all():
        low, high = (values.min(), values.max()) if len(values) else (0, 0)
        for kind in _WHOLE:
            bounds = np.iinfo(_TYPES[kind])
            if bounds.min <= low and high <= bounds.max:
                return kind
        return "f8"
    return "f4" if np.abs(values[np.isfinite(values)]).max(initial=0) < 1e30 else "f8"


def _rounded(value: float) -> float | int:
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
