"""What the course's figures are made of: panels side by side, lines, and words above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as ipw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.explorers.controls import PLAIN
from vcviz.figures import theme as style
from vcviz.figures.grid import cells, text_above

Trace = dict[str, Any]
_LINE_PX = 17


@dataclass(frozen=True)
class Panel:
    """A panel of a figure.

    Attributes
    ----------
    heading : its title
    traces : plain plotly traces
    x, y : its axes, as plotly takes them; `range` must be there
    said : lines above it that may change with a control
    """

    heading: str
    traces: Sequence[Trace]
    x: dict[str, Any]
    y: dict[str, Any]
    said: Sequence[str] = ()


def sheet(
    panels: Sequence[Panel],
    *,
    height: int = 330,
    widths: Sequence[float] | None = None,
    legend_rows: int = 1,
    **layout: Any,
) -> dict[str, Any]:
    """Return panels side by side as the plain data and layout of a figure.

    Parameters
    ----------
    panels : at least one
    height : of the panels, pixels
    widths : relative widths of the panels
    legend_rows : rows that the legend may need on a narrow page
    layout : more properties of plotly's layout
    """
    (row,) = cells([height], len(panels), gap_x=0.2 / len(panels), gap_y=0, widths=widths)
    lines = max(len(panel.said) for panel in panels)
    above = _LINE_PX * lines + 28
    legend = 24 * legend_rows
    data: list[Trace] = []
    annotations = []
    axes: dict[str, Any] = {}
    for cell, panel in zip(row, panels, strict=True):
        (left, right), (low, top) = panel.x["range"], panel.y["range"]
        # Pages hold rounded numbers, and a text outside its axes is not drawn.
        left, top = left + 1e-3 * (right - left), top - 1e-3 * (top - low)
        if panel.x.get("type") == "log":
            left = 10**left
        words = [text_above(panel.said, left, top)] if panel.said else []
        data += cell.place([*panel.traces, *words])
        axes |= cell.axes(panel.x, panel.y)
        annotations.append(cell.heading(panel.heading) | {"yshift": _LINE_PX * len(panel.said) + 2})
    found = {
        "height": height + above + legend + 66,
        "margin": {"t": above + legend + 8, "b": 58, "r": 14, "l": 58},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1 + (above + 4) / height,
            "yanchor": "bottom",
        },
        "annotations": annotations,
        **axes,
        **layout,
    }
    return style.themed({"data": data, "layout": found})


def columns(xy: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x and y of points (P, 2), of which there may be none."""
    points = xy.reshape(-1, 2)
    return points[:, 0], points[:, 1]


def axis(title: str, low: float, high: float, **more: Any) -> dict[str, Any]:
    """Return an axis that stays where it is."""
    return {"title": {"text": title}, "range": [float(low), float(high)], **more}


def line(
    x: ArrayLike,
    y: ArrayLike,
    name: str,
    color: str,
    *,
    dash: str = "solid",
    width: float = 2,
    legend: bool = True,
    mode: str = "lines",
    **more: Any,
) -> Trace:
    """Return a line (or markers) with its place in the legend."""
    return {
        "type": "scatter",
        "x": np.asarray(x, dtype=np.float32),
        "y": np.asarray(y, dtype=np.float32),
        "mode": mode,
        "name": style.escape(name),
        "legendgroup": name,
        "showlegend": legend,
        "line": {"color": color, "dash": dash, "width": width},
        **more,
    }


def bars(x: ArrayLike, y: ArrayLike, name: str, color: str | Sequence[str], **more: Any) -> Trace:
    """Return bars with their values in words."""
    heights = np.asarray(y, dtype=np.float32)
    return {
        "type": "bar",
        "x": np.asarray(x),
        "y": heights,
        "name": style.escape(name),
        "marker": {"color": color},
        "hovertemplate": "%{x}: %{y:.3f}<extra>" + style.escape(name) + "</extra>",
        **more,
    }


def float_slider(
    description: str,
    value: float,
    low: float,
    high: float,
    step: float,
    form: str = ".2f",
    px: int = 360,
) -> ipw.FloatSlider:
    """Return a slider with its number, `px` pixels wide."""
    return ipw.FloatSlider(
        value,
        min=low,
        max=high,
        step=step,
        description=description,
        readout_format=form,
        style=PLAIN,
        layout=ipw.Layout(width=f"{px}px"),
    )
