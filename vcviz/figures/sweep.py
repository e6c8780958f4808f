"""A metric against a swept setting: a line per group, the mean with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.stats import t

from vcviz.base.errors import InputError, unknown
from vcviz.base.options import check_fraction
from vcviz.figures import theme as style
from vcviz.figures.grid import legend_above
from vcviz.figures.marks import Trace, band, quiet, scatter

Table = Mapping[str, Any]


def plot_sweep(
    table: Table,
    *,
    x: str,
    y: str,
    by: str | None = None,
    references: Mapping[str, Sequence[float]] | None = None,
    log_x: bool = False,
    log_y: bool = False,
    x_title: str | None = None,
    y_title: str | None = None,
    best: str | None = None,
    level: float = 0.95,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return a metric against a setting: runs as dots, their mean as a line with its interval.

    Parameters
    ----------
    table : a pandas DataFrame, or a mapping of column name to values: one row per run
    x, y : columns of the setting and of the metric
    by : column of the groups, a line each in the order in which they come; default one line
    references : name -> values of runs to which the setting does not apply, drawn as level lines
        with bands
    log_x, log_y : logarithmic axes
    x_title, y_title : titles of the axes, with units; default the columns' names
    best : "least" or "most" rings the best mean of each line
    level : mass of the t-interval of each mean over its runs; one run has none. Noise of test rows
        that the runs share is not in it.
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        For a column that is not there, columns of different lengths, or a setting that is not
        positive on a logarithmic axis.

    Examples
    --------
    >>> table = {"width": [16, 16, 64, 64], "accuracy": [0.90, 0.91, 0.94, 0.95]}
    >>> figure = vcviz.figures.plot_sweep(table, x="width", y="accuracy", log_x=True, best="most")
    >>> sorted({trace.meta["layer"] for trace in figure.data})
    ['best', 'interval', 'mean', 'runs']
    """
    check_fraction("level", level)
    if best not in (None, "least", "most"):
        raise unknown("best", best, ("least", "most"))
    columns = {name: np.asarray(_column(table, name)) for name in (x, y, by) if name is not None}
    if len({len(c) for c in columns.values()}) != 1 or not len(columns[x]):
        sizes = ", ".join(f"{name} {len(c)}" for name, c in columns.items())
        raise InputError(f"columns must have one length of at least 1, got {sizes}")
    at, values = columns[x].astype(float), columns[y].astype(float)
    if log_x and at.min() <= 0:
        raise InputError(f"{x} must be positive on a logarithmic axis, got {at.min():g}")
    groups = columns[by].astype(str) if by else np.full(len(at), y)
    data: list[Trace] = []
    names = list(dict.fromkeys(groups.tolist()))
    for i, name in enumerate(names):
        mine = groups == name
        data += _line(at[mine], values[mine], name, i, best, level)
    for i, (name, runs) in enumerate((references or {}).items(), start=len(names)):
        data += _level(np.asarray(runs, float), at, name, i, level)
    if log_y:
        _keep_positive(data)
    layout = {
        "height": 400,
        "xaxis": {"title": {"text": style.escape(x_title or x)}} | _scale(log_x),
        "yaxis": {"title": {"text": style.escape(y_title or y)}} | _scale(log_y),
        "legend": legend_above(1.02),
        "margin": {"t": 30 + 22 * (1 + (len(names) + len(references or {})) // 4)},
    }
    return style.apply(go.Figure(data, layout), theme)


def _column(table: Table, name: str) -> Any:
    if name not in table:
        raise unknown("column", name, [str(c) for c in table])
    return table[name]


def _scale(log: bool) -> dict[str, Any]:
    return {"type": "log", "dtick": "D2", "tickformat": "~g"} if log else {}


def _keep_positive(data: Sequence[Trace]) -> None:
    """Cut bands that reach to 0 or below, where a logarithmic axis has no place for them."""
    shown = [np.asarray(t["y"], float) for t in data if t["meta"]["layer"] != "interval"]
    lowest = min(values.min() for values in shown)
    if lowest <= 0:
        raise InputError(f"a logarithmic axis needs positive values, got {lowest:g}")
    for trace in data:
        trace["y"] = np.maximum(trace["y"], lowest / 2)


def _interval(runs: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Return the mean of runs and the half width of its t-interval; 0 for a single run."""
    n = len(runs)
    if n < 2:
        return float(runs.mean()), 0.0
    reach = t.ppf(0.5 + level / 2, n - 1) * runs.std(ddof=1) / np.sqrt(n)
    return float(runs.mean()), float(reach)


def _line(
    at: NDArray[np.float64],
    values: NDArray[np.float64],
    name: str,
    i: int,
    best: str | None,
    level: float,
) -> list[Trace]:
    points = np.unique(at)
    mean, reach = np.array([_interval(values[at == p], level) for p in points]).T
    color, dash, symbol = style.run_style(i)
    title = style.escape(name, 60)
    dots = {"color": color, "size": 4, "opacity": 0.4}
    hover = f"{title}, one run<br>%{{x:.4g}}: %{{y:.4g}}<extra></extra>"
    looks: Trace = {
        "customdata": reach,
        "mode": "lines+markers",
        "line": {"color": color, "dash": dash, "width": 2},
        "marker": {"symbol": symbol, "size": 7},
        "hovertemplate": f"{title}<br>%{{x:.4g}}: %{{y:.4g}} ± %{{customdata:.2g}}<extra></extra>",
    }
    runs: Trace = {"mode": "markers", "marker": dots, "hovertemplate": hover, "showlegend": False}
    traces = [
        band(points, mean - reach, mean + reach, color, name=title),
        scatter(at, values, title, "runs", **runs),
        scatter(points, mean, title, "mean", showlegend=True, **looks),
    ]
    if best is not None:
        k = int(mean.argmin() if best == "least" else mean.argmax())
        ring = {"symbol": "circle-open", "size": 16, "color": color, "line": {"width": 2}}
        place = points[[k]], mean[[k]]
        traces.append(quiet(*place, title, "best", mode="markers", marker=ring))
    return [trace | {"legendgroup": f"group {i}"} for trace in traces]


def _level(
    runs: NDArray[np.float64], at: NDArray[np.float64], name: str, i: int, level: float
) -> list[Trace]:
    mean, reach = _interval(runs, level)
    ends = np.array([at.min(), at.max()])
    color, dash, _ = style.run_style(i)
    title = style.escape(name, 60)
    low, high = np.full(2, mean - reach), np.full(2, mean + reach)
    line = {"color": color, "dash": "dash" if dash == "solid" else dash, "width": 1.6}
    hover = f"{title}: %{{y:.4g}} ± {reach:.2g}<extra></extra>"
    traces = [
        band(ends, low, high, color, name=title, opacity=0.1),
        scatter(ends, [mean, mean], title, "reference", line=line, hovertemplate=hover),
    ]
    return [trace | {"legendgroup": f"group {i}"} for trace in traces]
