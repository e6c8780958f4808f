"""Accuracy of classifiers while the same attack goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from scipy.stats import norm

from vcviz.errors import InputError
from vcviz.figures import theme as style
from vcviz.records import Trajectory


def plot_attack_accuracy(
    paths: Trajectory | Sequence[Trajectory],
    *,
    level: float = 0.95,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return accuracy after each step of an attack, a line per classifier with its interval.

    Parameters
    ----------
    paths : one attack, or the same attack on several classifiers
    level : mass of the (Wilson score) interval of each accuracy, drawn as a band
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background
    """
    paths = [paths] if isinstance(paths, Trajectory) else list(paths)
    if not paths or not all(isinstance(p, Trajectory) for p in paths):
        raise InputError("plot_attack_accuracy draws Trajectory records, at least one")
    data: list[dict[str, Any]] = []
    for i, path in enumerate(paths):
        data += _line(path, i, level)
    attacks = {(p.method, p.norm, round(float(p.epsilon), 6)) for p in paths}
    said = "; ".join(f"{m}, {n}, ε = {e:g}" for m, n, e in sorted(attacks))
    layout = {
        "height": 380,
        "title": {"text": style.escape(f"Attack: {said}"), "font": {"size": 13}},
        "xaxis": {"title": {"text": "attack step"}},
        "yaxis": {"title": {"text": "accuracy, fraction"}, "range": [-0.02, 1.02]},
        "margin": {"t": 78},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    return style.apply(go.Figure(data, layout), theme)


def _line(path: Trajectory, i: int, level: float) -> list[dict[str, Any]]:
    color, dash, _ = style.run_style(i)
    accuracy, n = path.accuracy, len(path)
    z = norm.ppf(0.5 + level / 2)
    middle = (accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(accuracy * (1 - accuracy) / n + z**2 / (4 * n**2))
    steps = np.arange(path.steps + 1)
    name = style.escape(path.name, 50)
    return [
        {
            "type": "scatter",
            "x": np.r_[steps, steps[::-1]],
            "y": np.r_[middle + half, (middle - half)[::-1]],
            "fill": "toself",
            "fillcolor": color,
            "opacity": 0.13,
            "mode": "lines",
            "line": {"width": 0},
            "name": name,
            "legendgroup": f"run {i}",
            "showlegend": False,
            "hoverinfo": "skip",
            "meta": {"layer": "interval"},
        },
        {
            "type": "scatter",
            "x": steps,
            "y": accuracy,
            "mode": "lines",
            "line": {"color": color, "dash": dash, "width": 2},
            "name": f"{name} (n = {n:,})",
            "legendgroup": f"run {i}",
            "hovertemplate": "%{fullData.name}<br>step %{x}: accuracy %{y:.3f}<extra></extra>",
            "meta": {"layer": "accuracy"},
        },
    ]
