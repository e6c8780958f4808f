"""Retain probabilities of a DropMax head: over the inputs, by difficulty, given the label."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.arguments import takes_records
from vcviz.base.options import check_count
from vcviz.figures import theme as style
from vcviz.figures.grid import Panels
from vcviz.figures.latent_panel import stratified
from vcviz.figures.marks import Trace, quiet, scatter
from vcviz.records import RetainSet

#: where the regulariser alone would hold rho: log rho/(1 - rho) = 1/rho for the target
FIXED_POINT = 0.7822
_BINS = 10
_MOST_PAIRS = 1500
_PANEL_PX, _GAP_PX = 300, 104
_SCALE = "Cividis"
_BAR = {"thickness": 10, "outlinewidth": 0, "tickfont": {"size": 10}}


@takes_records
def plot_retain(
    retained: RetainSet, *, max_rows: int = 400, theme: style.Theme = "auto"
) -> go.Figure:
    """Return four panels of DropMax's retain probabilities.

    Parameters
    ----------
    retained : see `vcviz.latents.retain_set`
    max_rows : most inputs in the heat map, evenly from the classes
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Notes
    -----
    First: rho of each class (a column) for each input (a row); inputs stand by class, within a
    class the easiest, with the highest p(y|x), at the top. Second: means over tenths of the inputs
    from the easiest to the hardest; dotted, where the regulariser alone would hold rho. Third: g,
    which knows the label, against rho, which does not, one point a class and input. Fourth:
    correlation of rho between classes over the inputs; empty where rho does not vary.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="dropmax", epochs=2, progress=False)
    >>> retained = vcviz.latents.retain_set(run.model(), run.latents())
    >>> figure = vcviz.figures.plot_retain(retained, max_rows=50)
    >>> figure.data[0].type, figure.data[0].z.shape
    ('heatmap', (48, 5))
    """
    panels = Panels([_PANEL_PX] * 2, 2, gap_x=0.17, gap_y=_GAP_PX)
    upper, lower = panels.rows
    panels.add(
        upper[0],
        *_over_inputs(retained, max_rows),
        "Retain probability ρ of every class",
        "a row an input, by class, easiest first",
    )
    tenths = f"mean ρ over tenths of {len(retained):,} inputs"
    panels.add(upper[1], *_by_difficulty(retained), "Harder inputs", tenths)
    sides = "g with the label against ρ without"
    panels.add(lower[0], *_given_label(retained), "Given the label", sides)
    correlated = "Correlation of ρ between classes"
    panels.add(lower[1], *_correlation(retained), correlated, "over the inputs")
    panels.frame(96, 64, legend=46, margin={"r": 60})
    return style.apply(go.Figure(**panels.spec), theme)


Panel = tuple[list[Trace], tuple[dict[str, Any], dict[str, Any]]]


def _over_inputs(retained: RetainSet, max_rows: int) -> Panel:
    lat, names = retained.latents, _names(retained)
    check_count("max_rows", max_rows)
    rows = stratified(lat.y, range(lat.n_classes), max_rows, 0)
    rows = rows[np.lexsort((retained.difficulty[rows], lat.y[rows]))]
    starts = np.flatnonzero(np.r_[True, np.diff(lat.y[rows]) > 0])
    middles = (starts + np.r_[starts[1:], len(rows)]) / 2 - 0.5
    heat = {
        "type": "heatmap",
        "z": _hundredths(retained.rho[rows]),
        "x": names,
        "customdata": np.column_stack([lat.index[rows]] * lat.n_classes),
        "zmin": 0,
        "zmax": 1,
        "colorscale": _SCALE,
        "colorbar": _BAR | {"x": 0.425, "len": 0.42, "y": 1, "yanchor": "top"},
        "hovertemplate": "row %{customdata}<br>class %{x}: ρ = %{z:.2f}<extra></extra>",
        "name": "rho",
    }
    y = {
        "title": {"text": "true class"},
        "tickvals": middles,
        "ticktext": [names[lat.y[rows[s]]] for s in starts],
        "range": [len(rows) - 0.5, -0.5],
        "showgrid": False,
    }
    return [heat], (_classes("class that a mask may retain"), y)


def _by_difficulty(retained: RetainSet) -> Panel:
    """Return rho of the label, of the likeliest other class and of the others, by difficulty."""
    own, order = retained.own, np.argsort(retained.difficulty, kind="stable")
    others = np.where(own, np.nan, retained.rho)
    lines = {
        "its own class": (retained.rho[own], "solid"),
        "the other class with the largest ρ": (np.nanmax(others, 1), "dash"),
        "mean of the other classes": (np.nanmean(others, 1), "dot"),
    }
    parts = np.array_split(order, min(_BINS, len(order)))
    hardest = np.linspace(100 / len(parts), 100, len(parts))
    probability = [float(np.exp(-retained.difficulty[part]).mean()) for part in parts]
    traces = []
    for i, (name, (values, dash)) in enumerate(lines.items()):
        line = {"color": style.RUN_COLORS[i], "dash": dash, "width": 2}
        hover = f"{name}: ρ = %{{y:.3f}}<br>mean p(y|x) here %{{customdata:.3f}}<extra></extra>"
        looks: Trace = {"mode": "lines+markers", "line": line, "hovertemplate": hover}
        means = np.array([values[part].mean() for part in parts])
        x = hardest - 50 / len(parts)
        traces.append(scatter(x, means, name, customdata=probability, **looks))
    dotted = {"color": style.NEUTRAL, "width": 1, "dash": "1px,4px"}
    for level in (FIXED_POINT, 1 - FIXED_POINT):
        hover = f"regulariser alone: ρ = {level:.3f}<extra></extra>"
        looks = {"line": dotted, "showlegend": False, "hovertemplate": hover}
        traces.append(scatter([0, 100], [level, level], "regulariser alone", **looks))
    across = {"title": {"text": "inputs, easiest to hardest, %"}, "range": [0, 100]}
    return traces, (across, {"title": {"text": "ρ, probability"}, "range": [0, 1]})


def _given_label(retained: RetainSet) -> Panel:
    own = retained.own
    traces: list[Trace] = []
    for i, (name, mask) in enumerate((("its own class", own), ("other classes", ~own))):
        pairs = np.argwhere(mask)
        if len(pairs) > _MOST_PAIRS:
            rng = np.random.default_rng(0)
            pairs = pairs[np.sort(rng.choice(len(pairs), _MOST_PAIRS, replace=False))]
        row, k = pairs.T
        marker: Trace = {"color": style.RUN_COLORS[2 * i], "symbol": style.SYMBOLS[i]}
        marker |= {"size": 4, "opacity": 0.5}
        hover = f"{name}<br>ρ %{{x:.3f}}, g %{{y:.3f}}<extra></extra>"
        looks: Trace = {"mode": "markers", "marker": marker, "hovertemplate": hover}
        pair = retained.rho[row, k], retained.posterior[row, k]
        traces.append(scatter(*pair, name, showlegend=False, **looks))
    traces.append(quiet([0, 1], [0, 1], "g = ρ", line={"color": style.NEUTRAL, "width": 1}))
    x = {"title": {"text": "ρ, probability without the label"}, "range": [0, 1]}
    y = {"title": {"text": "g, probability with the label"}, "range": [-0.02, 1.04]}
    return traces, (x, y)


def _correlation(retained: RetainSet) -> Panel:
    names = _names(retained)
    centred = retained.rho - retained.rho.mean(0, dtype=np.float64)
    spread = np.sqrt((centred**2).mean(0))
    spread[spread < 1e-6] = np.nan
    together = centred.T @ centred / len(centred) / np.outer(spread, spread)
    np.fill_diagonal(together, np.nan)  # 1 by definition, and would fix the scale
    known = np.abs(together[np.isfinite(together)])
    reach = float(max(known.max(), 0.1)) if len(known) else 1.0
    heat = {
        "type": "heatmap",
        "z": _hundredths(together),
        "x": names,
        "y": names,
        "zmin": -reach,
        "zmax": reach,
        "colorscale": "RdBu",
        "reversescale": True,
        "colorbar": _BAR | {"x": 1.01, "len": 0.42, "y": 0, "yanchor": "bottom"},
        "hovertemplate": "classes %{x} and %{y}: %{z:.2f}<extra></extra>",
        "name": "correlation",
    }
    y = _classes("class") | {"autorange": "reversed"}
    return [heat], (_classes("class"), y)


def _names(retained: RetainSet) -> list[str]:
    return [style.escape(name, 12) for name in retained.latents.class_names]


def _classes(title: str) -> dict[str, Any]:
    # A category axis: class names that are numbers stay names.
    return {"title": {"text": title}, "type": "category", "showgrid": False}


def _hundredths(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.round(2).astype(np.float32)
