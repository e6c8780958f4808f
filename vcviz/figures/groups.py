"""Several metrics of several groups of runs: every run a dot, the mean with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.grid import Panels
from vcviz.figures.marks import Trace

_ROW_PX = 30


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
    panels = Panels([_ROW_PX * len(names) + 20], len(metrics), gap_x=0.16 / len(metrics))
    labels = [style.escape(name, 60) for name in names]
    for cell, metric in zip(panels.rows[0], metrics, strict=True):
        traces: list[Trace] = []
        for i, name in enumerate(names):
            runs = np.asarray(values[name].get(metric, ()), float)
            if not len(runs):
                continue
            reach = (intervals or {}).get(name, {}).get(metric, np.nan)
            known = np.isfinite(reach)
            text = f" ± {reach:.2g} (95 %, {len(runs)} runs)" if known else ""
            hover = f"{labels[i]}<br>one run", f"{labels[i]}<br>mean %{{x:.4g}}{text}"
            traces += group_dots(i, runs, runs.mean(), reach if known else 0, hover, spread=0.12)
        axes = {"nticks": 5, "tickformat": "~r"}, groups_axis(labels, named=cell.leftmost)
        panels.add(cell, traces, axes, style.escape((titles or {}).get(metric, metric)))
    height, margin = panels.height + 108, {"l": 20}
    panels.frame(44, 58, height=height, margin=margin, showlegend=False)
    return style.apply(go.Figure(**panels.spec), theme)


def groups_axis(labels: Sequence[str], *, named: bool) -> dict[str, Any]:
    """Return the axis of groups, the first at the top; not `named` beside other panels."""
    n = len(labels)
    return {
        "tickvals": list(range(n)),
        "ticktext": list(labels) if named else [""] * n,
        "range": [n - 0.5, -0.5],
        "ticks": "",
    }


def group_dots(
    i: int,
    runs: Sequence[float] | NDArray[np.float64],
    mean: float,
    reach: float,
    hover: tuple[str, str],
    *,
    spread: float,
) -> list[Trace]:
    """Return a small dot for each run of the `i`-th group, and a large one with the interval.

    Parameters
    ----------
    runs, mean, reach : values, their mean and the half width of its interval
    hover : what a run is called when pointed at, before its value, and what the mean says
    spread : of the runs' places, in rows
    """
    color, _, symbol = style.run_style(i)
    places = np.linspace(-spread, spread, len(runs)) if len(runs) > 1 else np.zeros(1)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": runs,
            "y": i + places,
            "marker": {"size": 4, "color": color, "opacity": 0.45},
            "hovertemplate": f"{hover[0]}: %{{x:.4g}}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": [mean],
            "y": [i],
            "error_x": {"array": [reach], "color": color, "thickness": 1.5, "width": 5},
            "marker": {"size": 10, "color": color, "symbol": symbol},
            "hovertemplate": f"{hover[1]}<extra></extra>",
        },
    ]
