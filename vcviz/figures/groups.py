"""Several metrics of several groups of runs: every run a dot, the mean with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.grid import cells

_ROW_PX, _GAP_PX = 30, 0


def plot_groups(
    values: Mapping[str, Mapping[str, Sequence[float]]],
    intervals: Mapping[str, Mapping[str, float]] | None = None,
    *,
    titles: Mapping[str, str] | None = None,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return each metric in a column: every run a small dot, the mean of its group a large one.

    Parameters
    ----------
    values : group -> metric -> one number per run
    intervals : group -> metric -> half width of the interval of the mean over runs; NaN for none
    titles : metric -> heading with unit; default the metric's name
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background
    """
    if not values or not any(values.values()):
        raise InputError("plot_groups needs at least one group with a metric")
    metrics = list(dict.fromkeys(m for group in values.values() for m in group))
    names = list(values)
    height = _ROW_PX * len(names) + 20
    (row,) = cells([height], len(metrics), gap_x=0.16 / len(metrics), gap_y=_GAP_PX)
    labels = [style.escape(name, 60) for name in names]
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "height": height + 108,
        "margin": {"t": 44, "b": 58, "l": 20},
        "showlegend": False,
    }
    for place, (cell, metric) in enumerate(zip(row, metrics, strict=True)):
        for i, name in enumerate(names):
            runs = np.asarray(values[name].get(metric, ()), float)
            if not len(runs):
                continue
            reach = (intervals or {}).get(name, {}).get(metric, np.nan)
            data += cell.place([_runs(runs, i, labels[i]), _mean(runs, reach, i, labels[i])])
        x_axis = {"nticks": 5, "tickformat": "~r"}
        y_axis: dict[str, Any] = {
            "tickvals": list(range(len(names))),
            "ticktext": labels if place == 0 else [""] * len(names),
            "range": [len(names) - 0.5, -0.5],
            "ticks": "",
        }
        layout |= cell.axes(x_axis, y_axis)
        layout.setdefault("annotations", []).append(
            cell.heading(style.escape((titles or {}).get(metric, metric)))
        )
    return style.apply(go.Figure(data, layout), theme)


def _runs(runs: np.ndarray, i: int, label: str) -> dict[str, Any]:
    spread = np.linspace(-0.12, 0.12, len(runs)) if len(runs) > 1 else [0.0]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": runs,
        "y": i + np.asarray(spread),
        "marker": {"size": 4, "color": style.run_style(i)[0], "opacity": 0.45},
        "hovertemplate": f"{label}<br>one run: %{{x:.4g}}<extra></extra>",
    }


def _mean(runs: np.ndarray, reach: float, i: int, label: str) -> dict[str, Any]:
    color, _, symbol = style.run_style(i)
    known = np.isfinite(reach)
    text = f" ± {reach:.2g} (95 %, {len(runs)} runs)" if known else ""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [runs.mean()],
        "y": [i],
        "error_x": {"array": [reach if known else 0], "color": color, "thickness": 1.5, "width": 5},
        "marker": {"size": 10, "color": color, "symbol": symbol},
        "hovertemplate": f"{label}<br>mean %{{x:.4g}}{text}<extra></extra>",
    }
